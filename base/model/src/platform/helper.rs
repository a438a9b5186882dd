//! What a helper is: its number, its name, who may call it, and what its arguments mean.

use skep_abi::FuncId;

use super::ctype::{CType, Pointee};
use super::sets::{MapSet, ProgSet};
use super::version::Version;

/// Whether memory may be given as a null pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nullable {
    /// A pointer is wanted.
    No,
    /// Null will do, if the size that follows is zero.
    Yes,
}

/// What a helper does with memory that it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemAccess {
    /// It reads: every byte must be initialised. Linux 6.18 lets privileged programs lend stack bytes that are not.
    Read,
    /// It reads and writes: every byte must be initialised.
    ReadWrite,
    /// It writes without reading: afterwards every byte counts as initialised, on failure too.
    Write,
}

/// Whether a size may be zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Zero {
    /// At least one byte.
    Refused,
    /// Zero is allowed.
    Allowed,
}

/// How a helper calls a function of the program, each with a return of 0 (go on) or 1 (stop) but for the timer's 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Callback {
    /// `(map, key, value, context)`, once per element.
    MapElem,
    /// `(index, context)`, once per iteration.
    Loop,
    /// `(map, key, value)`, later.
    Timer,
    /// `(dynptr, context)`, once per record.
    UserRecord,
    /// `(task, vma, context)`, once.
    Vma,
}

/// Which dynptr an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dynptr {
    /// Any initialised one.
    Any,
    /// An uninitialised one on the stack that becomes one over local memory.
    NewLocal,
    /// An uninitialised one on the stack that becomes one over a ring-buffer record, which must be released.
    NewRingbuf,
    /// One over a ring-buffer record, which the call releases.
    ReleaseRingbuf,
}

/// What a helper wants in one of its registers r1 to r5 (Linux: `enum bpf_arg_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arg {
    /// Anything that is initialised; privileged programs may pass pointers (`ARG_ANYTHING`).
    Any,
    /// Whatever the register holds, initialised or not: what `trace_printk` prints, and flags that
    /// Linux's prototype forgot.
    Unchecked,
    /// The program's context, unmodified.
    Ctx,
    /// The program's context or null.
    CtxOrNull,
    /// A map, of the kinds in [`Prototype::maps`].
    Map,
    /// Memory with one key of the map.
    MapKey,
    /// Memory with one value of the map.
    MapValue,
    /// Memory for one value of the map; it is written.
    MapValueOut,
    /// Memory whose size is the next argument.
    Mem(MemAccess, Nullable),
    /// The bytes of the memory in the argument before; a bounded number (`ARG_CONST_SIZE`).
    Size(Zero),
    /// Memory of a fixed size, aligned to that size.
    Fixed {
        /// Its bytes.
        bytes: u8,
        /// What is done with it.
        access: MemAccess,
    },
    /// A constant: the bytes of what the call returns.
    AllocSize,
    /// A ring-buffer record of this program's own, which the call releases.
    Record,
    /// A string in a read-only map, up to its NUL.
    ConstStr,
    /// A function of the program.
    Func(Callback),
    /// A pointer into the stack, or null, handed to the function unseen.
    StackOrNull,
    /// A `bpf_spin_lock` in a map value or in an allocated object.
    SpinLock,
    /// A `bpf_timer` in a map value.
    Timer,
    /// A dynptr.
    Dynptr(Dynptr),
}

impl Arg {
    /// The C type, as a program's declaration of the helper has it (`bpf_helper_defs.h` of libbpf), but for the context:
    /// that one's struct depends on the program.
    pub const fn c_type(self) -> CType {
        const VOID: Pointee = Pointee::Void;
        match self {
            Self::Any | Self::Unchecked | Self::AllocSize => CType::U64,
            Self::Size(_) => CType::U32,
            Self::Ctx | Self::CtxOrNull | Self::Record | Self::Func(_) | Self::StackOrNull => {
                CType::Pointer(VOID)
            }
            Self::Map => CType::Pointer(Pointee::Struct("bpf_map")),
            Self::MapKey | Self::MapValue => CType::ConstPointer(VOID),
            Self::MapValueOut => CType::Pointer(VOID),
            Self::Mem(access, _) | Self::Fixed { access, .. } => match access {
                MemAccess::Read => CType::ConstPointer(VOID),
                MemAccess::ReadWrite | MemAccess::Write => CType::Pointer(VOID),
            },
            Self::ConstStr => CType::ConstPointer(Pointee::Char),
            Self::SpinLock => CType::Pointer(Pointee::Struct("bpf_spin_lock")),
            Self::Timer => CType::Pointer(Pointee::Struct("bpf_timer")),
            Self::Dynptr(Dynptr::Any) => CType::ConstPointer(Pointee::Struct("bpf_dynptr")),
            Self::Dynptr(_) => CType::Pointer(Pointee::Struct("bpf_dynptr")),
        }
    }
}

/// What r0 holds afterwards (Linux: `enum bpf_return_type` and `do_refine_retval_range`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ret {
    /// A number about which nothing is known.
    Int,
    /// Nothing: r0 is not readable.
    Void,
    /// A negative errno, or at most the size in this argument (1 to 5).
    UpToSize(u8),
    /// The number of a logical CPU: below the number of possible ones.
    Cpu,
    /// A value of the map, or null; for a map of maps, a map or null.
    MapValueOrNull,
    /// A ring-buffer record as long as [`Arg::AllocSize`] said, or null; it must be released.
    RecordOrNull,
    /// Memory of a dynptr as long as [`Arg::AllocSize`] said, or null.
    DynptrMemOrNull,
}

impl Ret {
    /// The C type.
    pub const fn c_type(self) -> CType {
        match self {
            Self::Void => CType::Void,
            // What the kernel's own functions return, whatever the declaration for programs says.
            Self::Int | Self::UpToSize(_) | Self::Cpu => CType::U64,
            Self::MapValueOrNull | Self::RecordOrNull | Self::DynptrMemOrNull => {
                CType::Pointer(Pointee::Void)
            }
        }
    }
}

/// What a call is charged besides the instruction itself, in units of about one instruction.
///
/// It depends on nothing but the arguments, so that every engine counts alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Work {
    /// As much, always.
    Fixed(u16),
    /// One per eight bytes of the map's key, and one more.
    Key,
    /// One per eight bytes of the map's key and value, and one more.
    KeyValue,
    /// One per eight bytes of the map's value, and one more.
    Value,
    /// One per eight bytes of the size in this argument (1 to 5), and one more.
    Bytes(u8),
    /// One per eight bytes of the sizes in both arguments, and one more.
    TwoSizes(u8, u8),
    /// One per call of the function, which is charged for itself.
    PerCallback,
}

impl Work {
    /// Returns the units for a call with these registers r1 to r5, on a map of these sizes (zero without a map).
    ///
    /// Callbacks are charged one by one as they run; this is what the call costs without them.
    pub fn units(self, args: &[u64; 5], key_size: u32, value_size: u32) -> u64 {
        let size = |arg: u8| args.get(usize::from(arg).wrapping_sub(1)).map_or(0, |&size| size & 0xffff_ffff);
        let bytes = match self {
            Self::Fixed(units) => return u64::from(units),
            Self::PerCallback => return 1,
            Self::Key => u64::from(key_size),
            Self::Value => u64::from(value_size),
            Self::KeyValue => u64::from(key_size) + u64::from(value_size),
            Self::Bytes(arg) => size(arg),
            Self::TwoSizes(one, other) => size(one) + size(other),
        };
        1 + bytes.div_ceil(8)
    }
}

/// Everything a verifier or an engine needs to know about calling a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prototype {
    /// What is wanted in r1 and following; registers beyond are not looked at.
    pub args: &'static [Arg],
    /// What r0 holds afterwards; r1 to r5 hold nothing.
    pub ret: Ret,
    /// Which maps [`Arg::Map`] accepts.
    pub maps: MapSet,
    /// What the call is charged.
    pub work: Work,
}

/// Which licences of a program allow the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Licence {
    /// Any.
    Any,
    /// Those compatible with the GPL (`license_is_gpl_compatible`).
    Gpl,
}

/// What a call does besides returning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Effects(u8);

impl Effects {
    /// Nothing of note.
    pub const NONE: Self = Self(0);
    /// It may move or change the packet: every pointer into it is gone (`bpf_helper_changes_pkt_data`).
    pub const CHANGES_PACKET: Self = Self(1);
    /// Packet pointers of the functions that called this one are gone, this function's own stay: a tail call does not
    /// return to where it was made, but to that function's caller.
    pub const CHANGES_CALLERS_PACKET: Self = Self(8);
    /// Its memory arguments may be packet memory (`pkt_access`).
    pub const TAKES_PACKET: Self = Self(2);
    /// It may sleep: sleepable programs only.
    pub const SLEEPS: Self = Self(4);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all of `other` is in here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// One helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Helper {
    /// Its number.
    pub id: FuncId,
    /// Its name, without Linux's `bpf_`.
    pub name: &'static str,
    /// The version that brought it.
    pub since: Version,
    /// The program types that may call it in Linux 6.18.
    pub progs: ProgSet,
    /// The licences that may.
    pub licence: Licence,
    /// What it does besides returning.
    pub effects: Effects,
    /// How it is called; `None` for a helper that is named but not modelled, whose call must be refused by name.
    pub prototype: Option<Prototype>,
}

impl Helper {
    /// A helper that is named but not modelled.
    pub const fn named(id: FuncId, name: &'static str, since: Version, progs: ProgSet) -> Self {
        Self { id, name, since, progs, licence: Licence::Any, effects: Effects::NONE, prototype: None }
    }

    /// With a prototype that takes no map.
    pub const fn call(mut self, args: &'static [Arg], ret: Ret, work: Work) -> Self {
        self.prototype = Some(Prototype { args, ret, maps: MapSet::NONE, work });
        self
    }

    /// With a prototype that takes one of these maps.
    pub const fn on(mut self, maps: MapSet, args: &'static [Arg], ret: Ret, work: Work) -> Self {
        self.prototype = Some(Prototype { args, ret, maps, work });
        self
    }

    /// For programs under the GPL only.
    pub const fn gpl(mut self) -> Self {
        self.licence = Licence::Gpl;
        self
    }

    /// With effects.
    pub const fn effects(mut self, effects: Effects) -> Self {
        self.effects = self.effects.and(effects);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_counts_eights() {
        let args = [0, 17, 0, 0, u64::MAX];
        assert_eq!(Work::Fixed(3).units(&args, 4, 8), 3);
        assert_eq!(Work::Key.units(&args, 4, 8), 2);
        assert_eq!(Work::KeyValue.units(&args, 4, 8), 3);
        assert_eq!(Work::Bytes(2).units(&args, 0, 0), 4);
        assert_eq!(Work::Bytes(5).units(&args, 0, 0), 1 + (1 << 29));
        assert_eq!(Work::Bytes(9).units(&args, 0, 0), 1, "an argument that is not there has no size");
        assert_eq!(Work::KeyValue.units(&args, u32::MAX, u32::MAX), 1 + (1 << 30));
    }
}
