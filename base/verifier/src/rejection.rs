//! Why a program is rejected, as data.

use alloc::string::String;
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
}

impl Rejection {
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
        self.rule.row().errno
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
    /// How much there may be of something.
    Limit,
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
            Category::Limit => "limit",
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
    /// Variables of the kernel exist.
    Variable = "reference-variable", Reference, EINVAL, "declare it __weak and test for it, or run a kernel that has it";
    /// A program is no longer than the kernel takes.
    Length = "limit-instructions", Limit, E2BIG, "split the program with tail calls";
    /// A program has no more functions than the kernel takes.
    Functions = "limit-functions", Limit, E2BIG, "inline some functions";
    /// Memory for the analysis could be had.
    Memory = "limit-memory", Limit, ENOMEM, "free some memory";
}

impl Rule {
    /// Makes the rejection of a program that breaks the rule; where there is no memory for the words, that is the
    /// reason instead.
    pub(crate) fn broken(self, insn: impl Into<Option<InsnIdx>>, message: fmt::Arguments<'_>) -> Rejection {
        match words(message) {
            Some(message) => Rejection { rule: self, insn: insn.into(), message },
            None => no_memory(),
        }
    }
}

/// The rejection for want of memory, which words would need too.
pub(crate) fn no_memory() -> Rejection {
    Rejection { rule: Rule::Memory, insn: None, message: String::new() }
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
