//! What a helper is: its number, its name, who may call it, and what its arguments mean.

use skep_abi::{AttachType, FuncId, MapType, ProgType};

use super::context::Context;
use super::ctype::{CType, Pointee};
use super::lsm;
use super::sets::{MapSet, ProgSet};
use super::version::Version;

/// Whether a null pointer may be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Nullable {
    /// A pointer is wanted.
    No,
    /// Null will do; for memory, if the size that follows is zero.
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

/// A socket that a program reaches through a pointer of its own kind, with a table of fields instead of BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Socket {
    /// Any socket, request sockets and those in TIME_WAIT among them (`PTR_TO_SOCK_COMMON`).
    Common,
    /// A full socket (`PTR_TO_SOCKET`).
    Full,
    /// A TCP socket, seen as one (`PTR_TO_TCP_SOCK`).
    Tcp,
    /// An AF_XDP socket (`PTR_TO_XDP_SOCK`).
    Xdp,
}

/// Which sockets an argument may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SocketArg {
    /// Any [`Socket`] (`ARG_PTR_TO_SOCK_COMMON`).
    Common,
    /// [`Socket::Full`] only (`ARG_PTR_TO_SOCKET`).
    Full,
    /// Any [`Socket`], or a trusted pointer by BTF to a `sock_common` or to a struct that begins with one
    /// (`ARG_PTR_TO_BTF_ID_SOCK_COMMON`).
    CommonOrBtf,
}

impl SocketArg {
    /// Tells whether a socket of this kind will do.
    pub const fn takes(self, socket: Socket) -> bool {
        match self {
            Self::Common | Self::CommonOrBtf => true,
            Self::Full => matches!(socket, Socket::Full),
        }
    }
}

/// How far a pointer to a kernel struct, typed by BTF, is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// It is valid while the program runs (`PTR_TRUSTED`).
    Trusted,
    /// It may be null or stale; loads through it are guarded, helpers take it where they take old-style pointers.
    Legacy,
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
    /// Memory with one value of the map, or null (`ARG_PTR_TO_MAP_VALUE_OR_NULL`).
    MapValueOrNull,
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
    /// A header of this many bytes, which is read, at any alignment.
    Header(u8),
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
    /// A socket.
    Socket(SocketArg, Nullable),
    /// A socket that the program has acquired, as [`SocketArg::CommonOrBtf`]; the call releases it.
    SocketRelease,
    /// A pointer by BTF to the kernel's struct of this name (`ARG_PTR_TO_BTF_ID`): trusted, under RCU, or of the old kind.
    Btf(&'static str, Nullable),
    /// A pointer by BTF to a per-CPU variable of the kernel's, or to a per-CPU object of the program's
    /// (`ARG_PTR_TO_PERCPU_BTF_ID`).
    PercpuBtf,
    /// A field of a map value, or of an allocated object, that keeps a pointer (`ARG_KPTR_XCHG_DEST`).
    KptrField,
    /// A reference to what that field keeps, which the call releases, or null.
    KptrOrNull,
    /// An object of a host's own, as [`Ret::OwnOrNull`] returns it.
    Own(&'static Context, Nullable),
    /// An object of a host's own that the program has acquired; the call releases it.
    OwnRelease(&'static Context),
}

impl Arg {
    /// Tells whether the call releases the reference in this argument (`OBJ_RELEASE`).
    pub const fn is_released(self) -> bool {
        matches!(
            self,
            Self::Record
                | Self::Dynptr(Dynptr::ReleaseRingbuf)
                | Self::SocketRelease
                | Self::KptrOrNull
                | Self::OwnRelease(_)
        )
    }

    /// What is wanted where the map before it is of this kind: what is looked for in a bloom filter is read, not written
    /// (`resolve_map_arg_type` in `kernel/bpf/verifier.c`).
    pub const fn of_map(self, kind: MapType) -> Arg {
        match (self, kind) {
            (Arg::MapValueOut, MapType::BLOOM_FILTER) => Arg::MapValue,
            _ => self,
        }
    }

    /// The C type, as a program's declaration of the helper has it (`bpf_helper_defs.h` of libbpf), but for the context:
    /// that one's struct depends on the program.
    pub const fn c_type(self) -> CType {
        const VOID: Pointee = Pointee::Void;
        match self {
            Self::Any | Self::Unchecked | Self::AllocSize => CType::U64,
            Self::Size(_) => CType::U32,
            Self::Ctx
            | Self::CtxOrNull
            | Self::Record
            | Self::Func(_)
            | Self::StackOrNull
            | Self::Socket(..)
            | Self::SocketRelease
            | Self::KptrField
            | Self::KptrOrNull => CType::Pointer(VOID),
            Self::Map => CType::Pointer(Pointee::Struct("bpf_map")),
            Self::MapKey | Self::MapValue | Self::MapValueOrNull | Self::Header(_) | Self::PercpuBtf => {
                CType::ConstPointer(VOID)
            }
            Self::Btf(name, _) => CType::Pointer(Pointee::Struct(name)),
            Self::Own(of, _) | Self::OwnRelease(of) => CType::Pointer(Pointee::Struct(of.name)),
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
    /// A value of the map, or null; for a map of maps, a map or null; for a map of sockets, a [`Socket::Full`] that is
    /// acquired, or null; for one of AF_XDP sockets, a [`Socket::Xdp`] or null ([`Ret::socket_of`]).
    MapValueOrNull,
    /// A value of the map.
    MapValue,
    /// A ring-buffer record as long as [`Arg::AllocSize`] said, or null; it must be released.
    RecordOrNull,
    /// Memory of a dynptr as long as [`Arg::AllocSize`] said, or null.
    DynptrMemOrNull,
    /// A socket, or null.
    SocketOrNull(Socket),
    /// A pointer by BTF to the kernel's struct of this name.
    Btf(&'static str, Trust),
    /// A trusted pointer by BTF to the kernel's struct of this name, or null.
    BtfOrNull(&'static str),
    /// What [`Arg::PercpuBtf`] is of this CPU, read only (`RET_PTR_TO_MEM_OR_BTF_ID`): memory where it is a scalar, a
    /// pointer by BTF where it is a struct.
    Percpu,
    /// The same of another CPU, or null.
    PercpuOrNull,
    /// What [`Arg::KptrField`] kept, or null; it must be released.
    KptrOrNull,
    /// An object of a host's own, or null: a handle where it has no fields, otherwise the address of its bytes. With
    /// [`Effects::ACQUIRES`] it must be released.
    OwnOrNull(&'static Context),
}

impl Ret {
    /// The C type.
    pub const fn c_type(self) -> CType {
        match self {
            Self::Void => CType::Void,
            // What the kernel's own functions return, whatever the declaration for programs says.
            Self::Int | Self::UpToSize(_) | Self::Cpu => CType::U64,
            Self::MapValueOrNull
            | Self::MapValue
            | Self::RecordOrNull
            | Self::DynptrMemOrNull
            | Self::SocketOrNull(_)
            | Self::Percpu
            | Self::PercpuOrNull
            | Self::KptrOrNull => CType::Pointer(Pointee::Void),
            Self::Btf(name, _) | Self::BtfOrNull(name) => CType::Pointer(Pointee::Struct(name)),
            Self::OwnOrNull(of) => CType::Pointer(Pointee::Struct(of.name)),
        }
    }

    /// Tells which socket [`Ret::MapValueOrNull`] is for a kind of map, and whether it is acquired; `None` where it is
    /// a value (`mark_ptr_not_null_reg`, `is_acquire_function`).
    pub const fn socket_of(map: MapType) -> Option<(Socket, Acquired)> {
        match map {
            MapType::SOCKMAP | MapType::SOCKHASH => Some((Socket::Full, Acquired::Yes)),
            MapType::XSKMAP => Some((Socket::Xdp, Acquired::No)),
            _ => None,
        }
    }
}

/// Whether what a call returns is a reference that the program must release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Acquired {
    /// It is.
    Yes,
    /// It is not.
    No,
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
    /// It may sleep: sleepable programs only, and nothing locked (`might_sleep`).
    pub const SLEEPS: Self = Self(4);
    /// What it returns is a reference, which the program must release (`is_acquire_function`); for look-ups in maps of
    /// sockets see [`Ret::socket_of`].
    pub const ACQUIRES: Self = Self(16);
    /// What it returns is its argument seen in another way, and the same reference (`is_ptr_cast_function`,
    /// `is_dynptr_ref_function`).
    pub const CASTS: Self = Self(32);
    /// Its own code spares r1 to r5 (`allow_fastcall`), so that spills around the call cost no stack.
    pub const FASTCALL: Self = Self(64);

    /// Both.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether all of `other` is in here.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// What a program is attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target<'a> {
    /// A function of the kernel's, or the type of a tracepoint, by its name in BTF.
    Function(&'a str),
    /// A member of a struct of operations.
    Member {
        /// The struct.
        ops: &'a str,
        /// Its member.
        member: &'a str,
    },
}

/// Where a program is attached, as far as that decides about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Where {
    /// Anywhere.
    Anywhere,
    /// At one of these expected attach types.
    At(&'static [AttachType]),
    /// At none of these expected attach types.
    NotAt(&'static [AttachType]),
    /// At one of these functions.
    Function(&'static [&'static str]),
    /// At a function whose name does not start so.
    NotPrefix(&'static str),
    /// At a hook of security modules that may sleep ([`lsm::sleeps`]).
    SleepableHook,
    /// In one of these structs of operations.
    Ops(&'static [&'static str]),
    /// At none of these members of a struct of operations.
    NotMember(&'static [&'static str]),
}

impl Where {
    /// Decides; what is not known of the caller refuses nothing.
    fn is(self, caller: &Caller<'_>) -> bool {
        let attach = |wanted: &[AttachType]| caller.attach.map(|attach| wanted.contains(&attach));
        let function = match caller.target {
            Some(Target::Function(name)) => Some(name),
            _ => None,
        };
        let member = match caller.target {
            Some(Target::Member { ops, member }) => Some((ops, member)),
            _ => None,
        };
        let known = match self {
            Self::Anywhere => None,
            Self::At(wanted) => attach(wanted),
            Self::NotAt(others) => attach(others).map(|is| !is),
            Self::Function(wanted) => function.map(|name| wanted.contains(&name)),
            Self::NotPrefix(prefix) => function.map(|name| !name.starts_with(prefix)),
            Self::SleepableHook => function.map(lsm::sleeps),
            Self::Ops(wanted) => member.map(|(ops, _)| wanted.contains(&ops)),
            Self::NotMember(others) => member.map(|(_, member)| !others.contains(&member)),
        };
        known.unwrap_or(true)
    }
}

/// A condition on the programs of some types; programs of others meet it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Only {
    /// Which types it is about.
    pub progs: ProgSet,
    /// Where the program may be attached: any of these; nowhere, if there is none.
    pub any: &'static [Where],
}

impl Only {
    fn admits(&self, caller: &Caller<'_>) -> bool {
        !self.progs.contains(caller.kind) || self.any.iter().any(|place| place.is(caller))
    }
}

/// How some programs call a helper that others call otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// The program types.
    pub progs: ProgSet,
    /// Where they are attached: any of these.
    pub any: &'static [Where],
    /// The licences that allow the call.
    pub licence: Licence,
    /// How it is called.
    pub prototype: Prototype,
}

/// Who calls a helper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller<'a> {
    /// The program's type; of a program that extends another one, that other one's type.
    pub kind: ProgType,
    /// Its licence.
    pub licence: Licence,
    /// Its expected attach type; `None` where that is not known, and refuses nothing.
    pub attach: Option<AttachType>,
    /// What it is attached to; `None` where that is nothing or not known, and refuses nothing.
    pub target: Option<Target<'a>>,
}

impl Caller<'_> {
    /// A program of this type and licence, of which no more is known.
    pub const fn of(kind: ProgType, licence: Licence) -> Self {
        Self { kind, licence, attach: None, target: None }
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
    /// On what else than the program's type that depends; all conditions are to be met.
    pub only: &'static [Only],
    /// The licences that may.
    pub licence: Licence,
    /// What it does besides returning.
    pub effects: Effects,
    /// How it is called; `None` for a helper of a host's own that checks its arguments itself, whose call cannot be
    /// verified.
    ///
    /// That there is a prototype does not mean that a host implements the helper: which ones it has, it says itself.
    pub prototype: Option<Prototype>,
    /// How some programs call it otherwise; the first that fits counts.
    pub variants: &'static [Variant],
}

impl Helper {
    /// A helper of a host's own, which programs of every type and licence may call; it is not modelled before it has a
    /// [prototype](Self::call).
    pub const fn own(id: FuncId, name: &'static str) -> Self {
        Self::named(id, name, Version::new(0, 0), ProgSet::ALL)
    }

    /// A helper that is named but not modelled.
    pub const fn named(id: FuncId, name: &'static str, since: Version, progs: ProgSet) -> Self {
        Self {
            id,
            name,
            since,
            progs,
            only: &[],
            licence: Licence::Any,
            effects: Effects::NONE,
            prototype: None,
            variants: &[],
        }
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

    /// With conditions.
    pub const fn only(mut self, only: &'static [Only]) -> Self {
        self.only = only;
        self
    }

    /// With variants.
    pub const fn variants(mut self, variants: &'static [Variant]) -> Self {
        self.variants = variants;
        self
    }

    /// Tells whether a program may call it, whatever its licence.
    pub fn admits(&self, caller: &Caller<'_>) -> bool {
        self.progs.contains(caller.kind) && self.only.iter().all(|only| only.admits(caller))
    }

    /// Returns how a program calls it, and which licences allow that.
    pub fn called_by(&'static self, caller: &Caller<'_>) -> (Licence, Option<&'static Prototype>) {
        let fits = |variant: &&Variant| {
            variant.progs.contains(caller.kind) && variant.any.iter().any(|place| place.is(caller))
        };
        match self.variants.iter().find(fits) {
            Some(variant) => (variant.licence, Some(&variant.prototype)),
            None => (self.licence, self.prototype.as_ref()),
        }
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
