//! One question to the kernel: does this program load, is this map created.

use skep_abi::{AttachType, Errno, MapCreate, MapType, ProgLoad, ProgType, flags};
use skep_btf::{Btf, Def, Kind, TypeId};
use skep_sys::{BtfFd, Kernel, MapFd, ProgFd, ProgLoadMemory};

/// The running kernel, with what some questions need.
pub(super) struct Asker {
    kernel: Kernel,
    /// A BTF with `int` as type 1.
    btf: BtfFd,
    /// A map that may be inside another.
    inner: MapFd,
    /// The kernel's own types.
    types: Btf<'static>,
}

/// A refusal, with what the verifier said.
pub(super) struct Refused {
    pub(super) log: String,
}

/// What is asked to load.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) kind: ProgType,
    pub(super) attach: AttachType,
    /// What it is attached to, as [`Asker::target`] finds it.
    pub(super) target: &'static str,
    pub(super) license: &'a str,
    pub(super) insns: &'a [u8],
}

/// Whether a program is loaded as one that may sleep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sleep {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// A map to be made: sizes, number of elements, flags.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) kind: MapType,
    pub(super) key: u32,
    pub(super) value: u32,
    pub(super) entries: u32,
    pub(super) flags: u32,
}

impl Asker {
    /// Opens what is needed; fails without the rights.
    pub(super) fn new() -> Result<Self, Errno> {
        let kernel = skep_linux::kernel();
        let btf =
            kernel.btf_load(&mut Default::default(), &int_btf(), &mut []).map_err(|error| error.errno())?;
        let array = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 8,
            max_entries: 4,
            ..Default::default()
        };
        let inner = kernel.map_create(&array).map_err(|error| error.errno())?;
        let types = std::fs::read("/sys/kernel/btf/vmlinux").map_err(|_| Errno::ENOENT)?;
        let types = Btf::from_vec(types).map_err(|_| Errno::EINVAL)?;
        Ok(Self { kernel, btf, inner, types })
    }

    /// The kernel that is asked.
    pub(super) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Names one of the kernel's types.
    pub(super) fn type_name(&self, id: u32) -> Option<&str> {
        self.types.get(TypeId(id)).map(|ty| ty.name())
    }

    /// Finds what a program is attached to: nothing, the type of a tracepoint, a function, or a member of a struct of
    /// operations (`struct.member`), which is named by its position in place of an attach type.
    fn target(&self, question: &Question<'_>) -> Option<(u32, AttachType)> {
        let name = question.target;
        let found = |kind| self.types.find(name, kind).map(|id| (id.0, question.attach));
        if let Some((ops, member)) = name.split_once('.') {
            let id = self.types.find(ops, Kind::Struct)?;
            let Def::Struct(fields) = self.types.get(id)?.def() else { return None };
            let position = fields.members.iter().position(|field| field.name == member)?;
            return Some((id.0, AttachType(position as u32)));
        }
        if name.is_empty() { Some((0, question.attach)) } else { found(Kind::Func).or(found(Kind::Typedef)) }
    }

    /// Loads a program and lets it go again.
    pub(super) fn load(&self, question: Question<'_>) -> Result<(), Refused> {
        self.loaded(question).map(drop)
    }

    /// Loads a program; those of system calls may always sleep.
    pub(super) fn loaded(&self, question: Question<'_>) -> Result<ProgFd, Refused> {
        let sleep = if question.kind == ProgType::SYSCALL { Sleep::Yes } else { Sleep::No };
        self.loaded_as(question, sleep)
    }

    /// Loads a program as one that may sleep, or not.
    pub(super) fn loaded_as(&self, question: Question<'_>, sleep: Sleep) -> Result<ProgFd, Refused> {
        let mut log = vec![0; 1 << 16];
        let Some((attach_btf_id, attach)) = self.target(&question) else {
            return Err(Refused { log: format!("the kernel has no {}", question.target) });
        };
        let mut load = ProgLoad {
            prog_type: question.kind.0,
            expected_attach_type: attach.0,
            attach_btf_id,
            prog_flags: if sleep == Sleep::Yes { flags::BPF_F_SLEEPABLE } else { 0 },
            log_level: 1,
            ..Default::default()
        };
        let memory = ProgLoadMemory {
            insns: question.insns,
            license: question.license,
            log: &mut log,
            ..Default::default()
        };
        match self.kernel.prog_load(&mut load, memory) {
            Ok(prog) => Ok(prog),
            Err(_) => {
                let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
                Err(Refused { log: String::from_utf8_lossy(&log[..end]).into_owned() })
            }
        }
    }

    /// Creates a map, with an inner map or BTF where the kind must have it.
    pub(super) fn create(&self, wanted: Wanted) -> Result<MapFd, Errno> {
        let mut create = MapCreate {
            map_type: wanted.kind.0,
            key_size: wanted.key,
            value_size: wanted.value,
            max_entries: wanted.entries,
            map_flags: wanted.flags,
            ..Default::default()
        };
        if matches!(wanted.kind, MapType::ARRAY_OF_MAPS | MapType::HASH_OF_MAPS) {
            create.inner_map_fd = self.inner.fd().raw();
        }
        if needs_btf(wanted.kind) {
            create.btf_fd = self.btf.fd().raw();
            (create.btf_key_type_id, create.btf_value_type_id) = (1, 1);
        }
        self.kernel.map_create(&create).map_err(|error| error.errno())
    }

    /// Creates an array of one element with these 64 bytes, which programs may only read and nobody may change.
    pub(super) fn constant(&self, bytes: &[u8; 64]) -> Result<MapFd, Errno> {
        let create = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 64,
            max_entries: 1,
            map_flags: flags::BPF_F_RDONLY_PROG,
            ..Default::default()
        };
        let map = self.kernel.map_create(&create).map_err(|error| error.errno())?;
        map.update(&0u32.to_ne_bytes(), bytes, flags::BPF_ANY).map_err(|error| error.errno())?;
        map.freeze().map_err(|error| error.errno())?;
        Ok(map)
    }
}

/// Tells whether a kind is refused without BTF.
pub(super) fn needs_btf(kind: MapType) -> bool {
    let owned = [MapType::SK_STORAGE, MapType::INODE_STORAGE, MapType::TASK_STORAGE, MapType::CGRP_STORAGE];
    owned.contains(&kind)
}

/// A BTF of one type, `int`.
fn int_btf() -> Vec<u8> {
    let strings = b"\0int\0";
    let mut bytes = 0xeb9fu16.to_ne_bytes().to_vec();
    bytes.extend([1, 0]);
    for word in [24, 0, 16, 16, strings.len() as u32] {
        bytes.extend(word.to_ne_bytes());
    }
    // The name, BTF_KIND_INT, 4 bytes, signed with 32 bits.
    for word in [1u32, 1 << 24, 4, 1 << 24 | 32] {
        bytes.extend(word.to_ne_bytes());
    }
    bytes.extend(strings);
    bytes
}

/// Instructions as bytes.
pub(super) mod insn {
    /// `r = imm`.
    pub(in crate::platform) fn set(dst: u8, imm: i32) -> [u8; 8] {
        raw(0xb7, dst, 0, 0, imm)
    }

    /// `dst = src`.
    pub(in crate::platform) fn copy(dst: u8, src: u8) -> [u8; 8] {
        raw(0xbf, dst, src, 0, 0)
    }

    /// `dst += imm`.
    pub(in crate::platform) fn add(dst: u8, imm: i32) -> [u8; 8] {
        raw(0x07, dst, 0, 0, imm)
    }

    /// `call helper`.
    pub(in crate::platform) fn call(helper: u32) -> [u8; 8] {
        raw(0x85, 0, 0, 0, helper as i32)
    }

    /// `exit`.
    pub(in crate::platform) fn exit() -> [u8; 8] {
        raw(0x95, 0, 0, 0, 0)
    }

    /// Both slots of a 64-bit load with this source field.
    pub(in crate::platform) fn wide(dst: u8, src: u8, imm: u32) -> [u8; 16] {
        let mut both = [0; 16];
        both[..8].copy_from_slice(&raw(0x18, dst, src, 0, imm as i32));
        both
    }

    /// Any instruction by its fields.
    pub(in crate::platform) fn raw(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> [u8; 8] {
        skep_isa::RawInsn::new(code, dst, src, off, imm).to_bytes(skep_isa::ByteOrder::NATIVE)
    }
}
