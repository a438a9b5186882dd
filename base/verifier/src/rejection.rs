//! Why a program is rejected, as data.

use crate::verified::Stats;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use skep_abi::Errno;
use skep_isa::InsnIdx;

/// A program that is rejected: the rule it breaks, where, and in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The rule.
    pub rule: Rule,
    /// The instruction; `None` where it is the program as a whole.
    pub insn: Option<InsnIdx>,
    /// What was wanted and what was found; empty for [`Rule::Memory`].
    pub message: String,
    /// What led to it, by the order of the path: where what is wanted was so last, and what ended that.
    pub notes: Vec<Note>,
    /// What Linux's log says of it, line by line; empty where that is not known.
    pub linux: Box<str>,
    /// What the load fails with, if not what is usual for the rule.
    pub(crate) fails_with: Option<Errno>,
    /// The last instructions of the path, the one that is rejected at the end: what comes after a branch says which way it went.
    pub path: Vec<InsnIdx>,
    /// What it took.
    pub stats: Stats,
}

/// Something on the path that has to do with a rejection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The instruction.
    pub insn: InsnIdx,
    /// What of it.
    pub message: String,
    /// Whether this is the mistake, and the rejection only what comes of it.
    pub is_mistake: bool,
}

impl Rejection {
    fn of(rule: Rule) -> Rejection {
        Rejection {
            rule,
            insn: None,
            message: String::new(),
            notes: Vec::new(),
            linux: Box::default(),
            fails_with: None,
            path: Vec::new(),
            stats: Stats::default(),
        }
    }

    /// The stable name of the rule.
    pub fn id(&self) -> &'static str {
        self.rule.row().id
    }

    /// The kind of rule.
    pub fn category(&self) -> Category {
        self.rule.row().category
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        self.rule.row().help
    }

    /// What Linux answers.
    pub fn errno(&self) -> Errno {
        self.fails_with.unwrap_or(self.rule.row().errno)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.insn {
            Some(at) => write!(f, "instruction {at}: {}", self.message),
            None if self.message.is_empty() => write!(f, "{}: {}", self.id(), self.help()),
            None => f.write_str(&self.message),
        }
    }
}

impl core::error::Error for Rejection {}

/// A kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// What an instruction is.
    Instruction,
    /// Where control goes.
    Control,
    /// What may be called.
    Call,
    /// Maps, variables and functions that instructions refer to.
    Reference,
    /// What a register may be used for.
    Register,
    /// What a pointer may be used for.
    Pointer,
    /// What memory is read and written.
    Memory,
    /// What a program must return and give back.
    Obligation,
    /// How much there may be of something.
    Limit,
    /// What is right on Linux, perhaps, and not modelled here.
    Unsupported,
}

impl Category {
    /// The name.
    pub const fn name(self) -> &'static str {
        match self {
            Category::Instruction => "instruction",
            Category::Control => "control",
            Category::Call => "call",
            Category::Reference => "reference",
            Category::Register => "register",
            Category::Pointer => "pointer",
            Category::Memory => "memory",
            Category::Obligation => "obligation",
            Category::Limit => "limit",
            Category::Unsupported => "unsupported",
        }
    }
}

struct Row {
    id: &'static str,
    category: Category,
    errno: Errno,
    help: &'static str,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $rule:ident = $id:literal, $category:ident, $errno:ident, $help:literal;)*) => {
        /// A rule that programs keep to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ $rule,)*
        }

        impl Rule {
            /// Lists every rule.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule),*];

            const fn row(self) -> Row {
                match self {
                    $(Rule::$rule => Row {
                        id: $id,
                        category: Category::$category,
                        errno: Errno::$errno,
                        help: $help,
                    },)*
                }
            }
        }
    };
}

rules! {
    /// Every slot decodes.
    Decodes = "insn-decodes", Instruction, EINVAL, "compile for the BPF target, and do not edit instructions by hand";
    /// The platform has the instruction.
    Instruction = "insn-known", Instruction, EINVAL, "compile with a lower -mcpu";
    /// A constant divisor is not zero.
    Divisor = "insn-divisor", Instruction, EINVAL, "divide by a number that is not zero";
    /// A constant shift is within the width.
    Shift = "insn-shift", Instruction, EINVAL, "shift by less than the width of the operation";
    /// The program type exists on the platform.
    ProgType = "prog-type", Reference, EINVAL, "give another type with --type, or place the program in another section";
    /// Jumps and calls lead to instructions, and functions end.
    Flow = "control-targets", Control, EINVAL, "end each function with an exit, and jump within it";
    /// Every instruction can be reached.
    Reachable = "control-unreachable", Control, EINVAL, "remove the instructions that nothing leads to";
    /// Packet loads of classic BPF stand in programs that have a socket buffer.
    ClassicLoad = "insn-packet-load", Instruction, EINVAL, "read the packet through data and data_end, or bpf_skb_load_bytes";
    /// The frame pointer is read only.
    FramePointer = "register-frame-pointer", Register, EACCES, "copy r10 to another register and change that";
    /// What an instruction reads was written before.
    Initialised = "register-uninitialised", Register, EACCES, "give the variable a value first, and each function a result";
    /// A helper of that number exists, and the program may call it.
    Helper = "call-helper", Call, EINVAL, "call a helper that the program type, licence and kernel version have";
    /// Functions of the kernel exist.
    Kfunc = "call-kfunc", Call, EINVAL, "declare it __weak and test for it, or run a kernel that has it";
    /// Maps exist.
    Reference = "reference-missing", Reference, EBADF, "declare the map in the object";
    /// The place in a map's value exists whose address is loaded.
    MapValue = "reference-map-value", Reference, EINVAL, "point into the only value of an array, as those of global variables are";
    /// Variables of the kernel exist.
    Variable = "reference-variable", Reference, EINVAL, "declare it __weak and test for it, or run a kernel that has it";
    /// What a program is attached to exists, and is what its type attaches to.
    Target = "reference-target", Reference, EINVAL, "attach it to a function, tracepoint or iterator that the kernel has";
    /// A program is no longer than the kernel takes.
    Length = "limit-instructions", Limit, E2BIG, "split the program with tail calls";
    /// A program has no more functions than the kernel takes.
    Functions = "limit-functions", Limit, E2BIG, "inline some functions";
    /// Loops end.
    Endless = "control-endless-loop", Control, EINVAL, "change in the loop what ends it";
    /// What is read or written through is a pointer.
    Dereference = "pointer-dereference", Pointer, EACCES, "keep the pointer in a variable of its own, and do not compute it from numbers";
    /// A pointer that may be null is tested before it is used.
    Null = "pointer-null", Pointer, EACCES, "test the pointer for null first, and use it only where it is not";
    /// An instruction that is rewritten for one kind of pointer is used with that kind only.
    Mixed = "pointer-mixed", Pointer, EINVAL, "read through pointers of different kinds in branches of their own";
    /// Pointers are only computed with in ways that keep them pointers.
    Arithmetic = "pointer-arithmetic", Pointer, EACCES, "add numbers with known bounds to pointers, and nothing else";
    /// Accesses to the context hit fields that the program has.
    Context = "context-access", Memory, EACCES, "read the context's fields whole, as its struct has them, and write only those that are for it";
    /// Accesses to objects of the kernel hit members of their structs.
    Object = "object-access", Memory, EACCES, "read whole members of the object's struct, at constant offsets";
    /// Accesses to packets lie before its end.
    Packet = "packet-bounds", Memory, EACCES, "compare the pointer behind the last byte with data_end first, on this path";
    /// Accesses to the stack lie within the function's.
    Stack = "stack-bounds", Memory, EACCES, "index the stack within the variable's size";
    /// Accesses to map values and other memory lie within.
    Bounds = "memory-bounds", Memory, EACCES, "compare the index with the size first, on this path, unsigned";
    /// Memory is written only if it may be, and read only if it may be.
    Rights = "memory-rights", Memory, EACCES, "copy the data to where it may be changed";
    /// Accesses are aligned where they must be.
    Alignment = "memory-alignment", Memory, EACCES, "access whole fields at their own offsets";
    /// Bytes that the kernel keeps for itself are left alone.
    Special = "memory-special", Memory, EACCES, "use the helpers for locks, timers and kernel pointers in map values";
    /// Arguments of calls are what is wanted.
    Argument = "call-argument", Call, EACCES, "pass what the called function's description asks for";
    /// Dynptrs are made where none is handed over, and are used from their first byte.
    Dynptr = "call-dynptr", Call, EINVAL, "let the helper make the dynptr in a variable of its own, and pass that variable's address";
    /// A program returns a number within the range of its type.
    Return = "return-value", Obligation, EINVAL, "return one of the values that the program type knows";
    /// Functions that are verified by themselves have a type that says what they take.
    FunctionType = "call-function-type", Call, EINVAL, "make the function static, or give it arguments whose types have a size";
    /// What was acquired is released.
    Leak = "reference-leak", Obligation, EINVAL, "release it on every path, early returns too";
    /// What is released was acquired, once.
    Release = "reference-release", Obligation, EINVAL, "release what the acquiring call returned, once, and unchanged";
    /// Locks are taken and released in order.
    Lock = "lock-order", Obligation, EINVAL, "release the lock that was taken, before anything else is called";
    /// Not too many instructions are looked at.
    Processed = "limit-processed", Limit, E2BIG, "bound loops by small constants, or use bpf_loop";
    /// Not too many paths wait.
    Waiting = "limit-paths", Limit, EFAULT, "take branches out of loops, or split the program";
    /// Functions do not nest too deep.
    Frames = "limit-frames", Limit, E2BIG, "inline some functions";
    /// Functions that are active at once do not use too much stack.
    StackDepth = "limit-stack", Limit, EACCES, "keep large variables in a per-CPU array";
    /// What the program needs is modelled here.
    Unmodelled = "unsupported", Unsupported, EOPNOTSUPP, "load it into Linux";
    /// Memory for the analysis could be had.
    Memory = "limit-memory", Limit, ENOMEM, "free some memory";
}

impl Rule {
    /// Whether the rule may be broken only because the turns of a loop are followed one by one.
    pub(crate) const fn may_be_endless(self) -> bool {
        matches!(self, Rule::Endless | Rule::Processed | Rule::Waiting)
    }

    /// The stable name.
    pub fn id(self) -> &'static str {
        self.row().id
    }

    /// What Linux answers.
    pub fn errno(self) -> Errno {
        self.row().errno
    }

    /// Makes the rejection of a program that breaks the rule; where there is no memory for the words, that is the
    /// reason instead.
    pub(crate) fn broken(self, insn: impl Into<Option<InsnIdx>>, message: fmt::Arguments<'_>) -> Rejection {
        match words(message) {
            Some(message) => Rejection { message, insn: insn.into(), ..Rejection::of(self) },
            None => no_memory(),
        }
    }
}

/// The rejection for want of memory, which words would need too.
pub(crate) fn no_memory() -> Rejection {
    Rejection::of(Rule::Memory)
}

/// Puts something in words, if there is memory for them.
pub(crate) fn words(message: fmt::Arguments<'_>) -> Option<String> {
    /// A text that grows as long as there is memory.
    struct Text(String);

    impl fmt::Write for Text {
        fn write_str(&mut self, more: &str) -> fmt::Result {
            self.0.try_reserve(more.len()).map_err(|_| fmt::Error)?;
            self.0.push_str(more);
            Ok(())
        }
    }

    let mut text = Text(String::new());
    fmt::write(&mut text, message).ok().map(|()| text.0)
}

/// A text of just its length, which takes no more memory when it is boxed.
pub(crate) fn boxed(text: &str) -> Option<Box<str>> {
    let mut exact = String::new();
    exact.try_reserve_exact(text.len()).ok()?;
    exact.push_str(text);
    Some(exact.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        for (i, rule) in Rule::ALL.iter().enumerate() {
            assert!(Rule::ALL[..i].iter().all(|other| other.row().id != rule.row().id), "{rule:?}");
            assert!(!rule.row().help.is_empty());
        }
    }
}
