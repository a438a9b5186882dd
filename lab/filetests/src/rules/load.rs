//! Loading a case's programs into a kernel behind the seam.

use super::{RuleCase, Which};
use skep_abi::flags::{BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT, BPF_PSEUDO_MAP_FD, BPF_PSEUDO_MAP_VALUE};
use skep_abi::{BtfLoad, Errno, FuncInfo, MapCreate, MapType, ProgLoad, ProgType};
use skep_btf::{Btf, Kind};
use skep_isa::structure;
use skep_isa::{ByteOrder, Program, RawInsn, raw};
use skep_lab_world::{FIRST, MAPS, ValueType, functions, value_types};
use skep_model::platform::helper::Licence;
use skep_sys::{BtfFd, CallError, Kernel, MapFd, ProgLoadMemory, Records};
use skep_verifier::{Alignment, Sleep};
use zerocopy::IntoBytes;

/// The log of a load, as far as it fits.
pub const LOG: usize = 1 << 20;
/// `BPF_LOG_LEVEL1`: the way to what is refused.
pub const WAY: u32 = 1;
/// `BPF_LOG_LEVEL2`: every way.
pub const EVERY_WAY: u32 = 2;

/// A kernel that programs are loaded into.
#[derive(Debug)]
pub struct Loader {
    kernel: Kernel,
    types: Option<Btf<'static>>,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it failed with; nothing where the program is loaded.
    pub errno: Option<Errno>,
    /// The log.
    pub log: String,
    /// How many bytes all of it takes.
    pub whole: u32,
}

impl Loaded {
    /// The instruction that was looked at last.
    pub fn last_insn(&self) -> Option<u32> {
        self.log.lines().filter_map(insn_of).next_back()
    }

    /// What the log says after the last instruction, and before what it took.
    pub fn reasons(&self) -> Vec<&str> {
        let lines: Vec<&str> = self.log.lines().collect();
        let first = lines.iter().rposition(|line| insn_of(line).is_some()).map_or(0, |last| last + 1);
        let is_reason = |line: &&str| !line.is_empty() && !line.starts_with("processed ");
        lines[first..].iter().copied().filter(is_reason).collect()
    }
}

/// The instruction of a line `12: (85) call bpf_map_lookup_elem#1`.
fn insn_of(line: &str) -> Option<u32> {
    line.split_once(": (").and_then(|(number, _)| number.parse().ok())
}

impl Loader {
    /// Takes a kernel.
    pub fn new(kernel: Kernel) -> Loader {
        let types = kernel.file_read("/sys/kernel/btf/vmlinux").ok();
        let types = types.and_then(|bytes| Btf::from_vec(bytes).ok());
        Loader { kernel, types }
    }

    /// Gives the kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The number of a type of this kernel.
    pub fn find(&self, name: &str) -> Option<u32> {
        let types = self.types.as_ref()?;
        [Kind::Func, Kind::Typedef, Kind::Struct, Kind::Var]
            .into_iter()
            .find_map(|kind| types.find(name, kind))
            .map(|id| id.0)
    }

    /// Loads one of a case's programs.
    ///
    /// # Errors
    /// Why it cannot even be tried.
    pub fn load(&self, case: &RuleCase, which: Which) -> Result<Loaded, String> {
        self.load_with(case, which, WAY)
    }

    /// Loads one of a case's programs, with a log of this level.
    ///
    /// # Errors
    /// Why it cannot even be tried.
    pub fn load_with(&self, case: &RuleCase, which: Which, level: u32) -> Result<Loaded, String> {
        let loaded = self.load_into(case, which, level, LOG)?;
        if loaded.errno != Some(Errno::ENOSPC) {
            return Ok(loaded);
        }
        let errno = self.load_into(case, which, 0, 0)?.errno;
        Ok(Loaded { errno, ..loaded })
    }

    /// Loads one of a case's programs, with a log of this level and at most so many bytes, whatever comes of it.
    ///
    /// # Errors
    /// Why it cannot even be tried.
    pub fn load_into(
        &self,
        case: &RuleCase,
        which: Which,
        level: u32,
        most: usize,
    ) -> Result<Loaded, String> {
        let written = case.program(which, &|name| self.find(name)).map_err(|error| error.to_string())?;
        let target = match case.target(which) {
            None => 0,
            Some(name) => self.find(name).ok_or_else(|| format!("the kernel has no type called `{name}`"))?,
        };
        let said = |error: CallError| error.to_string();
        let mut slots = written.slots;
        let maps = self.place_maps(&mut slots, &case.values).map_err(said)?;
        let functions = case.functions(which);
        let typed = functions_of(case.kind(which), &functions, &slots);
        let btf = match &typed {
            Some((bytes, _)) => Some(self.btf(bytes).map_err(said)?),
            None => None,
        };
        let infos = typed.map_or_else(Vec::new, |(_, infos)| infos);
        let insns = raw::to_bytes(&slots, ByteOrder::NATIVE).map_err(|error| error.to_string())?;
        let flag = |wanted: bool, flag: u32| if wanted { flag } else { 0 };
        let load = ProgLoad {
            prog_type: case.kind(which).0,
            expected_attach_type: case.attach.0,
            attach_btf_id: target,
            prog_btf_fd: btf.as_ref().map_or(0, |btf| btf.fd().raw()),
            prog_flags: flag(case.sleep == Sleep::Allowed, BPF_F_SLEEPABLE)
                | flag(case.alignment == Alignment::Strict, BPF_F_STRICT_ALIGNMENT),
            ..ProgLoad::default()
        };
        let licence = if case.licence == Licence::Gpl { "GPL" } else { "Proprietary" };
        let mut log = vec![0; most];
        let func_info = Records { size: size_of::<FuncInfo>() as u32, bytes: infos.as_bytes() };
        let func_info = if infos.is_empty() { Records::default() } else { func_info };
        let memory = ProgLoadMemory {
            insns: &insns,
            license: licence,
            log: &mut log,
            func_info,
            ..Default::default()
        };
        let mut load = ProgLoad { log_level: level, ..load };
        let error = self.kernel.prog_load(&mut load, memory).err();
        drop(maps);
        let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
        let log = String::from_utf8_lossy(&log[..end]).into_owned();
        Ok(Loaded { errno: error.map(|error| error.errno()), log, whole: load.log_true_size })
    }

    fn btf(&self, bytes: &[u8]) -> Result<BtfFd, CallError> {
        self.kernel.btf_load(&mut BtfLoad::default(), bytes, &mut [])
    }

    /// Makes the maps that instructions name, and puts their descriptors there.
    fn place_maps(&self, slots: &mut [RawInsn], values: &[ValueType]) -> Result<Vec<MapFd>, CallError> {
        let mut maps: Vec<(i32, MapFd)> = Vec::new();
        for slot in slots.iter_mut().filter(|slot| slot.code == 0x18) {
            if !matches!(slot.src(), BPF_PSEUDO_MAP_FD | BPF_PSEUDO_MAP_VALUE) {
                continue;
            }
            let named = slot.imm;
            let Some(number) = named.checked_sub(FIRST).and_then(|number| usize::try_from(number).ok())
            else {
                continue;
            };
            let own = number.checked_sub(MAPS.len());
            if own.is_some_and(|own| own >= values.len()) {
                continue;
            }
            if !maps.iter().any(|(known, _)| *known == named) {
                let map = match own.and_then(|own| values.get(own)) {
                    Some(value) => self.map_of(value)?,
                    None => self.map(number)?,
                };
                maps.push((named, map));
            }
            if let Some((_, map)) = maps.iter().find(|(known, _)| *known == named) {
                slot.imm = map.fd().raw() as i32;
            }
        }
        Ok(maps.into_iter().map(|(_, map)| map).collect())
    }

    /// Makes a map of values of a type.
    fn map_of(&self, value: &ValueType) -> Result<MapFd, CallError> {
        let proto = value.map(&[]);
        let btf = self.btf(&value.bytes)?;
        self.kernel.map_create(&MapCreate {
            map_type: proto.kind.0,
            key_size: proto.key_size,
            value_size: proto.value_size,
            max_entries: proto.max_entries,
            btf_fd: btf.fd().raw(),
            btf_key_type_id: value.key.0,
            btf_value_type_id: value.id.0,
            ..MapCreate::default()
        })
    }

    fn map(&self, number: usize) -> Result<MapFd, CallError> {
        let proto = &MAPS[number];
        let mut create = MapCreate {
            map_type: proto.kind.0,
            key_size: proto.key_size,
            value_size: proto.value_size,
            max_entries: proto.max_entries,
            map_flags: proto.flags,
            ..MapCreate::default()
        };
        let inner = proto.inner.map(|inner| self.map(inner)).transpose()?;
        create.inner_map_fd = inner.as_ref().map_or(0, |inner| inner.fd().raw());
        let values = value_types();
        let is_stored = proto.kind == MapType::SK_STORAGE;
        let btf = if is_stored || !proto.special.is_empty() { Some(self.btf(&values.bytes)?) } else { None };
        if let Some(btf) = &btf {
            create.btf_fd = btf.fd().raw();
            create.btf_key_type_id = values.key.0;
            create.btf_value_type_id = if is_stored { values.stored.0 } else { values.locked.0 };
        }
        let map = self.kernel.map_create(&create)?;
        if let Some(frozen) = proto.frozen {
            map.update(&[0; 4], frozen, 0)?;
            map.freeze()?;
        }
        Ok(map)
    }
}

/// The types of functions, and which begins where; nothing where the program does not hang together.
fn functions_of(
    kind: ProgType,
    all: &[skep_lab_world::Function],
    slots: &[RawInsn],
) -> Option<(Vec<u8>, Vec<FuncInfo>)> {
    if all.is_empty() {
        return None;
    }
    let made = functions(kind, all);
    let infos = made.at(&starts(slots)?);
    let info = |info: &skep_btf::FuncInfo| FuncInfo { insn_off: info.insn_off, type_id: info.type_id.0 };
    Some((made.bytes, infos.iter().map(info).collect()))
}

/// Where functions begin.
pub fn starts(slots: &[RawInsn]) -> Option<Vec<u32>> {
    let program = Program::decode(slots).ok()?;
    let structure = structure::check(&program).ok()?;
    Some(structure.subprograms().iter().map(|sub| sub.start.0).collect())
}
