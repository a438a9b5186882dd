//! What skep's verifier is told of a program: all of it made of what reaches the kernel, and of what that says of maps and types.

use super::verdict::Ours;
use super::watch::Sent;
use skep::Btf;
use skep::sys::{BtfFd, Call, Fd, Handle, Kernel, MapFd, ObjectKind, Reply};
use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT};
use skep_abi::{AttachType, FuncId, MapInfo, MapType, ProgType};
use skep_btf::{Def, FuncInfo, TypeId};
use skep_isa::{Addr, ByteOrder, Insn, InsnIdx, Program, RawInsn, raw};
use skep_model::platform::{self, Platform};
use skep_verifier::{
    Alignment, Limits, MapProto, Reference, References, Sleep, Special, SpecialKind, Subject, special_fields,
    verify,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Once, OnceLock};
use std::time::Instant;

/// The types of the running kernel.
static KERNEL: OnceLock<Option<Btf<'static>>> = OnceLock::new();

fn kernel_types() -> Option<&'static Btf<'static>> {
    let read = || Btf::from_vec(std::fs::read("/sys/kernel/btf/vmlinux").ok()?).ok();
    KERNEL.get_or_init(read).as_ref()
}

/// A map, as the kernel describes it.
#[derive(Clone)]
pub(crate) struct MapOf {
    info: MapInfo,
    inner: Option<Box<MapOf>>,
    frozen: Option<Vec<u8>>,
    special: Vec<Special>,
}

/// Opens what a descriptor stands for once more; `None` where it is no map.
pub(crate) fn map_fd(kernel: &Kernel, fd: Fd) -> Option<MapFd> {
    kernel.map_from_handle(again(kernel, fd)?).ok()
}

fn again(kernel: &Kernel, fd: Fd) -> Option<Handle> {
    match kernel.call(Call::Dup(fd)).ok()? {
        Reply::Fd(fd) => Some(Handle::new(kernel.clone(), fd)),
        _ => None,
    }
}

/// Reads the types that the kernel has under an id.
fn types_of(kernel: &Kernel, id: u32) -> Option<Btf<'static>> {
    let handle = kernel.fd_by_id(ObjectKind::Btf, id, 0).ok()?;
    Btf::from_vec(BtfFd::from_handle(handle).data().ok()?).ok()
}

impl MapOf {
    /// Asks for all that matters of a map.
    pub(crate) fn of(kernel: &Kernel, fd: Fd, inner_maps: &BTreeMap<u32, MapOf>) -> Option<MapOf> {
        let map = map_fd(kernel, fd)?;
        let info = map.info().ok()?;
        let value = TypeId(info.btf_value_type_id);
        let special = match types_of(kernel, info.btf_id) {
            // What is wrong with them the kernel has seen: it finds none either.
            Some(types) if value.0 != 0 => special_fields(&types, value, kernel_types()).unwrap_or_default(),
            _ => Vec::new(),
        };
        let inner = inner_maps.get(&info.id).cloned().map(Box::new);
        Some(MapOf { frozen: frozen(&map, &info), info, inner, special })
    }
}

/// The bytes of a map that nobody can change any more (`bpf_map_is_rdonly`, kernel/bpf/verifier.c).
fn frozen(map: &MapFd, info: &MapInfo) -> Option<Vec<u8>> {
    let is_array = MapType(info.type_) == MapType::ARRAY && info.max_entries == 1;
    if !is_array || info.map_flags & BPF_F_RDONLY_PROG == 0 {
        return None;
    }
    let path = format!("/proc/self/fdinfo/{}", map.fd().number());
    let said = std::fs::read_to_string(path).ok()?;
    let is_frozen = said.lines().filter_map(|line| line.split_once(':'));
    let is_frozen = is_frozen.into_iter().any(|(name, value)| name == "frozen" && value.trim() == "1");
    let mut bytes = vec![0; info.value_size as usize];
    (is_frozen && map.lookup(&[0; 4], &mut bytes, 0).is_ok()).then_some(bytes)
}

/// All that the verifier is told.
pub(crate) struct Gathered {
    slots: Vec<RawInsn>,
    kind: ProgType,
    attach: AttachType,
    licence: platform::helper::Licence,
    flags: u32,
    /// The maps, those that others hold among them.
    maps: Vec<(MapOf, Option<usize>)>,
    by_fd: BTreeMap<i32, usize>,
    fd_array: Vec<i32>,
    functions: Vec<FuncInfo>,
    types: Option<Btf<'static>>,
    target: Option<TypeId>,
    exception_callback: Option<InsnIdx>,
    cpus: u32,
}

/// Says what the numbers in the instructions stand for.
struct ByFd<'g>(&'g Gathered);

impl References for ByFd<'_> {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        match addr {
            Addr::Variable { .. } => Reference::Kernel,
            _ => match self.map_of(at, addr).and_then(|index| self.0.maps.get(index)) {
                Some((map, _)) => Reference::Map(MapType(map.info.type_)),
                None => Reference::Missing,
            },
        }
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Kernel
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        let fd = match addr {
            Addr::MapFd { fd } | Addr::MapValueFd { fd, .. } => fd,
            Addr::MapIndex { index } | Addr::MapValueIndex { index, .. } => {
                *self.0.fd_array.get(index as usize)?
            }
            Addr::Variable { .. } | Addr::Code { .. } => return None,
        };
        self.0.by_fd.get(&fd).copied()
    }
}

thread_local! {
    /// Where the last panic was.
    static PANICKED: RefCell<String> = const { RefCell::new(String::new()) };
}

impl Gathered {
    /// Gathers what the kernel can tell of what is sent.
    pub(crate) fn of(kernel: &Kernel, sent: &Sent, inner_maps: &BTreeMap<u32, MapOf>) -> Gathered {
        let attr = &sent.attr;
        let types = match (&sent.func_info[..], attr.prog_btf_fd) {
            ([], _) | (_, 0) => None,
            (_, fd) => again(kernel, Fd::Os(fd as i32))
                .and_then(|handle| Btf::from_vec(BtfFd::from_handle(handle).data().ok()?).ok()),
        };
        let number = |bytes: &[u8], at: usize| {
            bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
        };
        let records = sent.func_info.chunks_exact(attr.func_info_rec_size.max(8) as usize);
        let functions = records
            .map(|record| FuncInfo { insn_off: number(record, 0), type_id: TypeId(number(record, 4)) })
            .collect();
        let mut gathered = Gathered {
            slots: raw::from_bytes(&sent.insns, ByteOrder::NATIVE).unwrap_or_default(),
            kind: ProgType(attr.prog_type),
            attach: AttachType(attr.expected_attach_type),
            licence: platform::licence(&sent.license),
            flags: attr.prog_flags,
            maps: Vec::new(),
            by_fd: BTreeMap::new(),
            fd_array: sent.fd_array.clone(),
            functions,
            types,
            // Of a module's or another program's types nothing is told.
            target: Some(TypeId(attr.attach_btf_id)).filter(|id| id.0 != 0 && attr.attach_prog_fd == 0),
            exception_callback: None,
            cpus: kernel.possible_cpus().unwrap_or(1),
        };
        gathered.exception_callback = gathered.find_exception_callback();
        for fd in gathered.map_fds() {
            if let Some(map) = MapOf::of(kernel, Fd::Os(fd), inner_maps) {
                let at = gathered.add(map);
                gathered.by_fd.insert(fd, at);
            }
        }
        gathered
    }

    /// Adds a map and those that it holds.
    fn add(&mut self, map: MapOf) -> usize {
        let inner = map.inner.clone().map(|inner| self.add(*inner));
        self.maps.push((map, inner));
        self.maps.len() - 1
    }

    /// The descriptors of maps in the instructions.
    fn map_fds(&self) -> Vec<i32> {
        let in_array = |index: u32| self.fd_array.get(index as usize).copied();
        let mut fds: Vec<i32> = self
            .program()
            .iter()
            .flat_map(|program| program.iter())
            .filter_map(|(_, insn)| match insn {
                Insn::LoadAddr { addr: Addr::MapFd { fd } | Addr::MapValueFd { fd, .. }, .. } => Some(fd),
                Insn::LoadAddr {
                    addr: Addr::MapIndex { index } | Addr::MapValueIndex { index, .. }, ..
                } => in_array(index),
                _ => None,
            })
            .collect();
        fds.sort_unstable();
        fds.dedup();
        fds
    }

    fn program(&self) -> Option<Program> {
        Program::decode(&self.slots).ok()
    }

    /// Finds the function that is called when the program throws, which a tag on the main one names
    /// (`bpf_find_exception_callback_insn_off`, kernel/bpf/btf.c).
    fn find_exception_callback(&self) -> Option<InsnIdx> {
        const TAG: &str = "exception_callback:";
        let types = self.types.as_ref()?;
        let main = self.functions.first()?.type_id;
        let name = types.types().find_map(|ty| match ty.def() {
            Def::DeclTag(tag) if tag.target == main && tag.component.is_none() => ty.name().strip_prefix(TAG),
            _ => None,
        })?;
        let is_it = |info: &&FuncInfo| types.get(info.type_id).is_some_and(|ty| ty.name() == name);
        self.functions.iter().find(is_it).map(|info| InsnIdx(info.insn_off))
    }

    /// Has skep's verifier look at it.
    pub(crate) fn verify(&self) -> Ours {
        let protos: Vec<MapProto<'_>> = self
            .maps
            .iter()
            .map(|(map, inner)| MapProto {
                kind: MapType(map.info.type_),
                key_size: map.info.key_size,
                value_size: map.info.value_size,
                max_entries: map.info.max_entries,
                flags: map.info.map_flags,
                inner: *inner,
                frozen: map.frozen.as_deref(),
                special: &map.special,
            })
            .collect();
        let references = ByFd(self);
        let mut subject = Subject::new(&self.slots, &Platform::LINUX_6_18, self.kind, &references);
        subject.attach = self.attach;
        subject.licence = self.licence;
        subject.sleep = match self.flags & BPF_F_SLEEPABLE {
            0 => Sleep::Never,
            _ => Sleep::Allowed,
        };
        subject.alignment = match self.flags & BPF_F_STRICT_ALIGNMENT {
            0 => Alignment::Machine,
            _ => Alignment::Strict,
        };
        subject.maps = &protos;
        subject.functions = &self.functions;
        subject.types = self.types.as_ref();
        subject.kernel = kernel_types();
        subject.target = self.target;
        subject.exception_callback = self.exception_callback;
        subject.cpus = self.cpus;
        keep_panics();
        let start = Instant::now();
        let answer = panic::catch_unwind(AssertUnwindSafe(|| verify(&subject, &Limits::LINUX)));
        let time = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        match answer {
            Ok(answer) => Ours::of(&answer, time),
            Err(_) => Ours::died(PANICKED.with(|said| said.borrow().clone())),
        }
    }

    /// What of the kernel's own types the program needs.
    pub(crate) fn needs(&self) -> Vec<String> {
        let mut needs = Vec::new();
        if TYPED.contains(&self.kind) {
            needs.push("a context of the kernel's types".to_owned());
        }
        for (_, insn) in self.program().iter().flat_map(|program| program.iter()) {
            match insn {
                Insn::CallKfunc { .. } => needs.push("kernel functions".to_owned()),
                Insn::LoadAddr { addr: Addr::Variable { .. }, .. } => {
                    needs.push("kernel variables".to_owned());
                }
                Insn::CallHelper { id } if TYPED_HELPERS.contains(&FuncId(id)) => {
                    needs.push("helpers with pointers of the kernel's types".to_owned());
                }
                _ => {}
            }
        }
        let of_kernel =
            |special: &Special| matches!(special.kind, SpecialKind::Kptr { .. } | SpecialKind::Other);
        if self.maps.iter().any(|(map, _)| map.special.iter().any(of_kernel)) {
            needs.push("objects of the kernel in maps".to_owned());
        }
        if self.maps.iter().any(|(map, _)| MapType(map.info.type_) == MapType::ARENA) {
            needs.push("an arena".to_owned());
        }
        if let Some(types) = &self.types {
            let tagged = types.types().any(|ty| match ty.def() {
                Def::DeclTag(tag) => {
                    ty.name().starts_with("arg:")
                        && self.functions.iter().any(|function| function.type_id == tag.target)
                }
                _ => false,
            });
            if tagged {
                needs.push("functions whose arguments have tags".to_owned());
            }
        }
        needs.sort();
        needs.dedup();
        needs
    }
}

/// Types of programs whose contexts are of the kernel's types.
const TYPED: &[ProgType] = &[ProgType::TRACING, ProgType::LSM, ProgType::STRUCT_OPS, ProgType::EXT];

/// Helpers that take or return pointers of the kernel's types (`ARG_PTR_TO_BTF_ID`, `RET_PTR_TO_BTF_ID` and their kin in the
/// prototypes of Linux 6.18).
const TYPED_HELPERS: &[FuncId] = &[
    FuncId::GET_CURRENT_TASK_BTF,
    FuncId::TASK_PT_REGS,
    FuncId::SKC_TO_TCP6_SOCK,
    FuncId::SKC_TO_TCP_SOCK,
    FuncId::SKC_TO_TCP_TIMEWAIT_SOCK,
    FuncId::SKC_TO_TCP_REQUEST_SOCK,
    FuncId::SKC_TO_UDP6_SOCK,
    FuncId::SKC_TO_UNIX_SOCK,
    FuncId::SKC_TO_MPTCP_SOCK,
    FuncId::SOCK_FROM_FILE,
    FuncId::PER_CPU_PTR,
    FuncId::THIS_CPU_PTR,
    FuncId::KPTR_XCHG,
    FuncId::TASK_STORAGE_GET,
    FuncId::TASK_STORAGE_DELETE,
    FuncId::INODE_STORAGE_GET,
    FuncId::INODE_STORAGE_DELETE,
    FuncId::CGRP_STORAGE_GET,
    FuncId::CGRP_STORAGE_DELETE,
    FuncId::GET_TASK_STACK,
    FuncId::FIND_VMA,
    FuncId::SEQ_PRINTF,
    FuncId::SEQ_WRITE,
    FuncId::SEQ_PRINTF_BTF,
    FuncId::D_PATH,
    FuncId::COPY_FROM_USER_TASK,
];

/// Keeps the words of panics for the answer, instead of printing them.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        panic::set_hook(Box::new(|info| {
            let text = info.to_string().replace('\n', ": ");
            PANICKED.with(|said| *said.borrow_mut() = text);
        }));
    });
}
