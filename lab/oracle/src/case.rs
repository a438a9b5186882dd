//! A program, and all that a verifier is told of it.

use crate::capture::{Known, MapOf, Sent, again};
use skep::sys::{BtfFd, Fd, Kernel};
use skep_abi::flags::{BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT};
use skep_abi::{AttachType, MapType, ProgType};
use skep_btf::{Btf, Def, FuncInfo, TypeId};
use skep_isa::{Addr, ByteOrder, Insn, InsnIdx, Program, RawInsn, raw};
use skep_model::platform::helper::Licence;
use skep_model::platform::{self, Platform};
use skep_verifier::{
    Alignment, Limits, MapProto, Reference, References, Rejection, Sleep, Subject, Trace, Verified, verify,
    verify_traced,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A program, and what its numbers stand for.
#[derive(Clone)]
pub struct Case {
    /// The instruction slots.
    pub slots: Vec<RawInsn>,
    /// The type.
    pub kind: ProgType,
    /// The attach type that it expects.
    pub attach: AttachType,
    /// What its licence allows.
    pub licence: Licence,
    /// `BPF_F_…`.
    pub flags: u32,
    /// The maps, each with the position of the one that it holds.
    pub maps: Vec<(MapOf, Option<usize>)>,
    /// Which descriptor is which map.
    pub by_fd: BTreeMap<i32, usize>,
    /// The descriptors that instructions name by their position.
    pub fd_array: Vec<i32>,
    /// The functions whose types are known.
    pub functions: Vec<FuncInfo>,
    /// The types that those name.
    pub types: Option<Arc<Btf<'static>>>,
    /// The types of the kernel.
    pub kernel: Option<Arc<Btf<'static>>>,
    /// What of the kernel's types it is attached to.
    pub target: Option<TypeId>,
    /// The function that is called when it throws.
    pub exception_callback: Option<InsnIdx>,
    /// Possible CPUs.
    pub cpus: u32,
}

/// Says what the numbers in the instructions stand for.
struct ByFd<'c>(&'c Case);

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
        self.0.map_at(addr)
    }
}

impl Case {
    /// Puts together what a kernel can tell of what it is about to be sent.
    pub(crate) fn of(
        kernel: &Kernel,
        sent: &Sent,
        known: &Known,
        kernel_types: Option<Arc<Btf<'static>>>,
    ) -> Case {
        let attr = &sent.attr;
        let types = match (&sent.func_info[..], attr.prog_btf_fd) {
            ([], _) | (_, 0) => None,
            (_, fd) => [Fd::Os(fd as i32), Fd::Virtual(fd as i32)]
                .into_iter()
                .find_map(|fd| Btf::from_vec(BtfFd::from_handle(again(kernel, fd)?).data().ok()?).ok()),
        };
        let number = |bytes: &[u8], at: usize| {
            let word = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            word.map_or(0, u32::from_ne_bytes)
        };
        let records = sent.func_info.chunks_exact(attr.func_info_rec_size.max(8) as usize);
        let functions = records
            .map(|record| FuncInfo { insn_off: number(record, 0), type_id: TypeId(number(record, 4)) })
            .collect();
        let mut case = Case {
            slots: raw::from_bytes(&sent.insns, ByteOrder::NATIVE).unwrap_or_default(),
            kind: ProgType(attr.prog_type),
            attach: AttachType(attr.expected_attach_type),
            licence: platform::licence(&sent.license),
            flags: attr.prog_flags,
            maps: Vec::new(),
            by_fd: BTreeMap::new(),
            fd_array: sent.fd_array.clone(),
            functions,
            types: types.map(Arc::new),
            kernel: kernel_types,
            // Of a module's or another program's types nothing is told.
            target: Some(TypeId(attr.attach_btf_id)).filter(|id| id.0 != 0 && attr.attach_prog_fd == 0),
            exception_callback: None,
            cpus: kernel.possible_cpus().unwrap_or(1),
        };
        case.exception_callback = case.find_exception_callback();
        for fd in case.map_fds() {
            let types = case.kernel.clone();
            let found = [Fd::Os(fd), Fd::Virtual(fd)]
                .into_iter()
                .find_map(|fd| MapOf::of(kernel, fd, known, types.as_deref()));
            if let Some(map) = found {
                let at = case.add(map);
                case.by_fd.insert(fd, at);
            }
        }
        case
    }

    /// Adds a map and those that it holds.
    fn add(&mut self, map: MapOf) -> usize {
        let inner = map.inner.clone().map(|inner| self.add(*inner));
        self.maps.push((map, inner));
        self.maps.len() - 1
    }

    /// The position of the map that a wide load names.
    pub fn map_at(&self, addr: Addr) -> Option<usize> {
        let fd = match addr {
            Addr::MapFd { fd } | Addr::MapValueFd { fd, .. } => fd,
            Addr::MapIndex { index } | Addr::MapValueIndex { index, .. } => {
                *self.fd_array.get(index as usize)?
            }
            Addr::Variable { .. } | Addr::Code { .. } => return None,
        };
        self.by_fd.get(&fd).copied()
    }

    /// The descriptors of maps in the instructions.
    fn map_fds(&self) -> Vec<i32> {
        let named = |addr: Addr| match addr {
            Addr::MapFd { fd } | Addr::MapValueFd { fd, .. } => Some(fd),
            Addr::MapIndex { index } | Addr::MapValueIndex { index, .. } => {
                self.fd_array.get(index as usize).copied()
            }
            Addr::Variable { .. } | Addr::Code { .. } => None,
        };
        let program = self.program();
        let loads = program.iter().flat_map(Program::iter).filter_map(|(_, insn)| match insn {
            Insn::LoadAddr { addr, .. } => named(addr),
            _ => None,
        });
        let mut fds: Vec<i32> = loads.collect();
        fds.sort_unstable();
        fds.dedup();
        fds
    }

    /// The program, decoded; `None` where a slot is no instruction.
    pub fn program(&self) -> Option<Program> {
        Program::decode(&self.slots).ok()
    }

    /// Finds the function that is called when the program throws, which a tag on the main one names
    /// (`bpf_find_exception_callback_insn_off`, kernel/bpf/btf.c).
    fn find_exception_callback(&self) -> Option<InsnIdx> {
        const TAG: &str = "exception_callback:";
        let types = self.types.as_deref()?;
        let main = self.functions.first()?.type_id;
        let name = types.types().find_map(|ty| match ty.def() {
            Def::DeclTag(tag) if tag.target == main && tag.component.is_none() => ty.name().strip_prefix(TAG),
            _ => None,
        })?;
        let is_it = |info: &&FuncInfo| types.get(info.type_id).is_some_and(|ty| ty.name() == name);
        self.functions.iter().find(is_it).map(|info| InsnIdx(info.insn_off))
    }

    /// Verifies these slots in the place of the program's own.
    ///
    /// # Errors
    /// Why the verifier refuses them.
    pub fn verify(&self, slots: &[RawInsn]) -> Result<Verified, Rejection> {
        self.verify_within(slots, &Limits::LINUX)
    }

    /// Verifies these slots in the place of the program's own, within other limits.
    ///
    /// # Errors
    /// Why the verifier refuses them.
    pub fn verify_within(&self, slots: &[RawInsn], limits: &Limits) -> Result<Verified, Rejection> {
        self.with_subject(slots, |subject| verify(subject, limits))
    }

    /// Verifies these slots in the place of the program's own, and tells of every state that is looked at.
    ///
    /// # Errors
    /// Why the verifier refuses them.
    pub fn verify_traced(
        &self,
        slots: &[RawInsn],
        limits: &Limits,
        trace: &mut dyn Trace,
    ) -> Result<Verified, Rejection> {
        self.with_subject(slots, |subject| verify_traced(subject, limits, trace))
    }

    fn with_subject<T>(&self, slots: &[RawInsn], then: impl FnOnce(&Subject<'_>) -> T) -> T {
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
        let mut subject = Subject::new(slots, &Platform::LINUX_6_18, self.kind, &references);
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
        subject.types = self.types.as_deref();
        subject.kernel = self.kernel.as_deref();
        subject.target = self.target;
        subject.exception_callback = self.exception_callback;
        subject.cpus = self.cpus;
        then(&subject)
    }
}
