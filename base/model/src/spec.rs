//! Programs and maps as an object file describes them.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use skep_abi::{AttachType, LineInfo, MapType, ProgType};
use skep_isa::{InsnIdx, RawInsn};

/// A type in the object's own BTF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BtfId(pub u32);

/// Position of a map in its object's list of maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapId(pub u32);

/// A map to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapSpec {
    /// Its name in the object; the kernel gets the first 15 bytes.
    pub name: String,
    /// Its kind.
    pub map_type: MapType,
    /// Size of a key in bytes.
    pub key_size: u32,
    /// Size of a value in bytes.
    pub value_size: u32,
    /// The most entries, or the size of a ring in bytes; 0 where the loader must still choose.
    pub max_entries: u32,
    /// `BPF_F_*` creation flags.
    pub flags: u32,
    /// `map_extra`, whose meaning is the kind's.
    pub extra: u64,
    /// The NUMA node asked for.
    pub numa_node: Option<u32>,
    /// Whether it is shared through the BPF file system.
    pub pinning: Pinning,
    /// The key's type.
    pub key_type: Option<BtfId>,
    /// The value's type.
    pub value_type: Option<BtfId>,
    /// For maps of maps: what an inner map is like.
    pub inner: Option<Box<MapSpec>>,
    /// Slots filled at load, for maps of maps and of programs.
    pub initial: Vec<InitialSlot>,
    /// Where it comes from.
    pub origin: MapOrigin,
}

impl MapSpec {
    /// Gives the variables that it holds: those of its data section, or those in an arena.
    pub fn data(&self) -> Option<&MapData> {
        match &self.origin {
            MapOrigin::Data(data) | MapOrigin::Arena(data) => Some(data),
            MapOrigin::Btf | MapOrigin::Legacy | MapOrigin::StructOps(_) => None,
        }
    }

    /// Gives the variables that it holds, for changes.
    pub fn data_mut(&mut self) -> Option<&mut MapData> {
        match &mut self.origin {
            MapOrigin::Data(data) | MapOrigin::Arena(data) => Some(data),
            MapOrigin::Btf | MapOrigin::Legacy | MapOrigin::StructOps(_) => None,
        }
    }
}

/// How a map is shared by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pinning {
    /// Not at all.
    #[default]
    None,
    /// `LIBBPF_PIN_BY_NAME`: pinned under its name, reused where a compatible one is pinned there already.
    ByName,
}

/// One slot of a map that is filled at load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialSlot {
    /// The key.
    pub index: u32,
    /// The value.
    pub target: SlotTarget,
}

/// What a slot is filled with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotTarget {
    /// A program of the same object, by function name.
    Program(String),
    /// A map of the same object.
    Map(MapId),
}

/// Where a map comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapOrigin {
    /// A BTF-described variable in `.maps`.
    Btf,
    /// A definition of seven words in `maps` or `maps/NAME`.
    Legacy,
    /// A data section, which becomes an array of one value.
    Data(Box<MapData>),
    /// A BTF-described arena in `.maps` that holds the variables of `.addr_space.1`.
    Arena(Box<MapData>),
    /// A variable in `.struct_ops` or `.struct_ops.link`: a struct of functions that the kernel calls.
    StructOps(Box<StructOps>),
}

/// A struct of functions that the kernel calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructOps {
    /// Its bytes in the object's own layout, with zeroes where there are functions.
    pub bytes: Vec<u8>,
    /// The functions that stand in it, by ascending member.
    pub functions: Vec<OpsFunction>,
    /// Whether it is made unless asked otherwise (`?` in front of the section's name says no).
    pub autocreate: bool,
}

/// A function in a struct of functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpsFunction {
    /// The position of its member in the object's struct.
    pub member: u32,
    /// The program of the same object, by function name.
    pub program: String,
}

/// The contents of a data section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapData {
    /// The section, as `.rodata.cst`.
    pub section: String,
    /// What it is for.
    pub kind: DataKind,
    /// Its initial bytes: as many as the map's value has, or none where they are all zero and too many to hold.
    pub bytes: Vec<u8>,
}

/// What a data section is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataKind {
    /// `.rodata*`: frozen at load, constant to the verifier.
    ReadOnly,
    /// `.data*`.
    Initialised,
    /// `.bss*`.
    Zero,
    /// `.kconfig`: filled from the kernel's configuration.
    Kconfig,
    /// `.addr_space.1`: in the memory of an arena.
    Arena,
}

/// A program to be loaded: one entry function with all the functions it calls, linked together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramSpec {
    /// The entry function's name; the kernel gets the first 15 bytes.
    pub name: String,
    /// The section it was in, as written.
    pub section: String,
    /// What the section's name says of it; `None` where no rule knows the name.
    pub attach: Option<AttachSpec>,
    /// The instruction slots of the entry function, then those of the functions it calls.
    /// Calls among them are resolved; maps, data and symbols are not.
    pub insns: Vec<RawInsn>,
    /// What must be filled in.
    pub relocations: Vec<Relocation>,
    /// The functions, the entry first, in the order of their instructions.
    pub functions: Vec<FunctionSpec>,
    /// Types of the functions.
    pub func_info: Vec<FuncInfoSpec>,
    /// Source lines, as a kernel takes them: `insn_off` is a slot of the linked program, texts are in the BTF strings.
    pub line_info: Vec<LineInfo>,
    /// Where the function begins that the kernel calls when the program throws.
    pub exception_callback: Option<InsnIdx>,
}

/// What a section's name says about its programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachSpec {
    /// The program type.
    pub prog_type: ProgType,
    /// The attach type, where the section has one.
    pub attach_type: Option<AttachType>,
    /// What follows the prefix, as `syscalls/sys_enter_openat`; a tracepoint, function, path …
    pub target: Option<String>,
    /// `BPF_F_*` load flags that the section asks for (sleepable, XDP fragments).
    pub prog_flags: u32,
    /// Whether it is loaded unless asked otherwise (`?` in front of the name says no).
    pub autoload: bool,
}

/// One function of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Its name.
    pub name: String,
    /// Its first instruction slot in the linked program.
    pub start: InsnIdx,
    /// The number of its slots.
    pub slots: u32,
    /// Its visibility.
    pub linkage: Linkage,
}

/// Visibility of a function, which decides how Linux verifies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linkage {
    /// Verified with each call.
    Static,
    /// Verified by itself.
    Global,
}

/// The type of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FuncInfoSpec {
    /// The function's first instruction slot in the linked program.
    pub insn: InsnIdx,
    /// Its `BTF_KIND_FUNC`.
    pub type_id: BtfId,
}

/// An instruction whose value depends on a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// The instruction slot in the linked program.
    pub insn: InsnIdx,
    /// What it refers to.
    pub target: RelocTarget,
}

/// What an instruction refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelocTarget {
    /// A map (`LDDW` kind 1 or 5).
    Map(MapId),
    /// A place in the one value of a data map, or among the variables in an arena (`LDDW` kind 2 or 6).
    MapValue {
        /// The data map or arena.
        map: MapId,
        /// Offset in its value, or in the section of the variables, in bytes.
        offset: u32,
    },
    /// A kernel variable (`LDDW` kind 3).
    Ksym(Box<SymbolTarget>),
    /// A kernel function (`CALL` kind 2).
    Kfunc(Box<SymbolTarget>),
    /// A CO-RE relocation.
    Core(Box<CoreTarget>),
}

/// A symbol of the kernel's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolTarget {
    /// Its name.
    pub name: Box<str>,
    /// Whether it may be absent.
    pub weak: bool,
}

/// What a CO-RE relocation asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreTarget {
    /// The root type.
    pub type_id: BtfId,
    /// `enum bpf_core_relo_kind`.
    pub kind: u32,
    /// The access string.
    pub access: Box<str>,
}
