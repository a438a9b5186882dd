//! What is to be verified.

use skep_abi::{AttachType, MapType, ProgType};
use skep_btf::{Btf, FuncInfo, LineInfo, TypeId};
use skep_isa::{Addr, InsnIdx, RawInsn};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;

/// A program, with what its numbers stand for.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// The instruction slots.
    pub slots: &'a [RawInsn],
    /// The kernel that is to run it.
    pub platform: &'a Platform,
    /// Its type.
    pub kind: ProgType,
    /// The attach type that it expects.
    pub attach: AttachType,
    /// What its licence allows.
    pub licence: Licence,
    /// Whether it may sleep.
    pub sleep: Sleep,
    /// How accesses must be aligned.
    pub alignment: Alignment,
    /// What its instructions refer to.
    pub references: &'a dyn References,
    /// The maps that [`References::map_of`] counts.
    pub maps: &'a [MapProto<'a>],
    /// The functions whose types are known, by ascending instruction.
    pub functions: &'a [FuncInfo],
    /// The lines of the source, by ascending instruction.
    pub lines: &'a [LineInfo],
    /// The types that `functions` names, with the texts that `lines` does.
    pub types: Option<&'a Btf<'a>>,
    /// The types of the kernel that is to run it.
    pub kernel: Option<&'a Btf<'a>>,
    /// The function, of the kernel's types, that the program is attached to, or the struct that it is a part of.
    pub target: Option<TypeId>,
    /// Where the function begins that is called when the program throws, if it names one.
    pub exception_callback: Option<InsnIdx>,
    /// How many CPUs are possible.
    pub cpus: u32,
}

impl<'a> Subject<'a> {
    /// A program that expects no attach type, has no maps and no types, and whose licence is any; on four thousand CPUs.
    pub fn new(
        slots: &'a [RawInsn],
        platform: &'a Platform,
        kind: ProgType,
        references: &'a dyn References,
    ) -> Self {
        Self {
            slots,
            platform,
            kind,
            attach: AttachType::CGROUP_INET_INGRESS,
            licence: Licence::Any,
            sleep: Sleep::Never,
            alignment: Alignment::Machine,
            references,
            maps: &[],
            functions: &[],
            lines: &[],
            types: None,
            kernel: None,
            target: None,
            exception_callback: None,
            // NR_CPUS of the largest configurations of x86-64.
            cpus: 8192,
        }
    }
}

/// Whether a program may sleep (`BPF_F_SLEEPABLE`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// It may not.
    Never,
    /// It may.
    Allowed,
}

/// How accesses to memory must be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alignment {
    /// As the machine wants it: on one with cheap unaligned accesses, packets, map values and other memory need none.
    Machine,
    /// Always by the size of the access (`BPF_F_STRICT_ALIGNMENT`).
    Strict,
}

/// A map as the verifier knows it.
#[derive(Clone, Copy, Debug)]
pub struct MapProto<'a> {
    /// Its type.
    pub kind: MapType,
    /// The bytes of a key.
    pub key_size: u32,
    /// The bytes of a value.
    pub value_size: u32,
    /// How many elements it can hold.
    pub max_entries: u32,
    /// `BPF_F_…`.
    pub flags: u32,
    /// What is found in a map of maps: an index into [`Subject::maps`].
    pub inner: Option<usize>,
    /// The bytes of the first value, if nobody can change them any more: the map is frozen and read only to programs.
    pub frozen: Option<&'a [u8]>,
    /// What of a value is not the program's own, by ascending offset.
    pub special: &'a [Special],
}

/// Bytes of a map's value that the kernel keeps for itself (`struct btf_field`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Special {
    /// What they are.
    pub kind: SpecialKind,
    /// Where they begin.
    pub offset: u32,
    /// How many they are.
    pub size: u32,
}

/// What bytes of a map's value are (`enum btf_field_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// `struct bpf_spin_lock`.
    SpinLock,
    /// `struct bpf_res_spin_lock`.
    ResSpinLock,
    /// `struct bpf_timer`.
    Timer,
    /// `struct bpf_wq`.
    Workqueue,
    /// A pointer to an object of the kernel, of this type there.
    Kptr {
        /// The type pointed to.
        type_id: TypeId,
        /// What may be done with what is loaded.
        trust: KptrTrust,
    },
    /// Anything else, which programs cannot use here: lists, trees, their nodes, reference counts.
    Other,
}

/// What may be done with a pointer to an object of the kernel that is loaded from a map (`BPF_KPTR_UNREF`, `BPF_KPTR_REF`,
/// `BPF_KPTR_PERCPU`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KptrTrust {
    /// It may be read through, and may point nowhere.
    Untrusted,
    /// It is owned by the map.
    Referenced,
    /// It is owned by the map, and there is one object for each CPU.
    PerCpu,
}

/// For a program that refers to nothing: it has no maps, and calls helpers only.
impl References for () {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Missing
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }
}

/// What an instruction refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A map, or a place in one.
    Map(MapType),
    /// A variable or a function of the kernel, which only its own types can describe.
    Kernel,
    /// Nothing that is there.
    Missing,
}

/// Says what the numbers in instructions stand for: descriptors for the kernel, relocations for an object.
pub trait References {
    /// What a wide load refers to.
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference;

    /// What a call of a kernel function refers to.
    fn kfunc(&self, at: InsnIdx, btf_id: u32) -> Reference;

    /// What a map is called; `map` counts [`Subject::maps`].
    fn map_name(&self, map: usize) -> &str {
        let _ = map;
        ""
    }

    /// Which of [`Subject::maps`] a wide load refers to.
    fn map_of(&self, at: InsnIdx, addr: Addr) -> Option<usize> {
        let _ = (at, addr);
        None
    }
}
