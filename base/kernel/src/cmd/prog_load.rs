//! `BPF_PROG_LOAD`: decode, resolve what the instructions name, check, keep.

mod verdict;

use self::verdict::{Asked, Kept, is_bound, verdict};
use super::end_of;
use crate::compiled::{Compiled, Stays, Wanted};
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::{Inner, Runs};
use crate::log::Log;
use crate::map::MapObject;
use crate::name;
use crate::observer::LoadReport;
use crate::prog::{Prog, ProgBody, ProgTypes, Stats};
use crate::request::Request;
use crate::tag::tag;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem::offset_of;
use skep_abi::flags::{
    BPF_F_ANY_ALIGNMENT, BPF_F_STRICT_ALIGNMENT, BPF_F_TEST_RND_HI32, BPF_F_XDP_HAS_FRAGS,
};
use skep_abi::{AttachType, Errno, FuncId, FuncInfo, LineInfo, MapType, ProgLoad, ProgType};
use skep_btf::{Def, TypeId};
use skep_exact::{HelperLink, LoadErrorKind, MapRef, MapShape, Platform, Rights, Rules, UninitStack};
use skep_isa::{Addr, Insn, InsnIdx, RawInsn};
use skep_mem::{Capability, MapIndex, Shared};
use skep_model::platform::helper::Licence;
use skep_model::platform::{self, Platform as Model};
use skep_verifier::{Reference, References};
use zerocopy::FromBytes;

/// The most instructions of a privileged program (`BPF_COMPLEXITY_LIMIT_INSNS`).
const MOST_INSNS: u32 = 1_000_000;
/// The most maps of a program (`MAX_USED_MAPS`).
const MOST_MAPS: usize = 64;
/// The longest licence text that is looked at (`bpf_prog_load`: 128 bytes).
const LICENCE: usize = 128;
/// The load flags that have a meaning here; the others are refused.
const FLAGS: u32 = BPF_F_STRICT_ALIGNMENT | BPF_F_ANY_ALIGNMENT | BPF_F_TEST_RND_HI32 | BPF_F_XDP_HAS_FRAGS;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: ProgLoad = request.attr(end_of!(ProgLoad, keyring_id))?;
    request.require(Capability::Bpf)?;
    if attr.prog_flags & !FLAGS != 0 || attr.signature != 0 || attr.prog_token_fd != 0 {
        return Err(Errno::EINVAL);
    }
    name::check(&attr.prog_name)?;
    if attr.insn_cnt == 0 || attr.insn_cnt > MOST_INSNS {
        return Err(Errno::E2BIG);
    }
    let mut licence = [0; LICENCE];
    let licence = request.string(attr.license, &mut licence, Errno::EFAULT)?;
    let licence = platform::licence(licence);
    let prog_type = ProgType(attr.prog_type);
    let model = Model::LINUX_6_18.prog(prog_type).ok_or(Errno::EINVAL)?;
    if let Some(capability) = capability(prog_type) {
        request.require(capability)?;
    }
    check_target(request, &attr, prog_type)?;
    let mut log = Log::new(attr.log_level, attr.log_buf, attr.log_size)?;
    let body = load(kernel, request, &attr, model, licence, &mut log);
    let body = log.finish(request, offset_of!(ProgLoad, log_true_size), body)?;
    let prog = Prog::publish(&kernel.progs, body)?;
    kernel.observer.loaded(&LoadReport {
        prog_id: prog.id,
        prog_name: prog.body.name,
        engine: prog.engine(),
        why: prog.body.stays,
    });
    file::install(request, File::Prog(prog))
}

/// What a type needs besides `CAP_BPF` (`is_net_admin_prog_type`, `is_perfmon_prog_type`).
fn capability(prog_type: ProgType) -> Option<Capability> {
    match prog_type {
        ProgType::XDP | ProgType::SCHED_CLS | ProgType::SCHED_ACT => Some(Capability::NetAdmin),
        ProgType::TRACEPOINT | ProgType::RAW_TRACEPOINT | ProgType::RAW_TRACEPOINT_WRITABLE => {
            Some(Capability::Perfmon)
        }
        _ => None,
    }
}

/// Refuses targets where there can be none (`bpf_prog_load`, `bpf_prog_load_check_attach`, kernel/bpf/syscall.c): only
/// programs of some types are loaded for a function, named by its type, or for another program.
fn check_target(request: &Request<'_>, attr: &ProgLoad, prog_type: ProgType) -> Result<()> {
    /// `BTF_MAX_TYPE`, include/uapi/linux/btf.h.
    const LAST_TYPE: u32 = 0x000f_ffff;
    let takes_types =
        [ProgType::TRACING, ProgType::LSM, ProgType::STRUCT_OPS, ProgType::EXT].contains(&prog_type);
    let takes_programs = [ProgType::TRACING, ProgType::EXT].contains(&prog_type);
    let object = match attr.attach_prog_fd {
        0 => None,
        // The same field has the descriptor of a program or of types.
        fd => match file::lookup(request, fd) {
            Ok(object) => Some(object),
            Err(_) => return Err(Errno::EINVAL),
        },
    };
    let fits = match object.as_deref() {
        None => true,
        Some(File::Prog(_)) => takes_programs,
        Some(File::Btf(btf)) if !btf.is_kernel() => return Err(Errno::ENOTSUPP),
        Some(File::Btf(_)) => attr.attach_btf_id != 0,
        Some(_) => false,
    };
    let named = attr.attach_btf_id == 0 || (takes_types && attr.attach_btf_id <= LAST_TYPE);
    if fits && named { Ok(()) } else { Err(Errno::EINVAL) }
}

fn load(
    kernel: &Arc<Inner>,
    request: &Request<'_>,
    attr: &ProgLoad,
    model: &'static platform::prog::Prog,
    licence: Licence,
    log: &mut Log,
) -> Result<ProgBody> {
    if !model.context.is_some_and(crate::context::is_made) {
        log.line(format_args!("programs of type {} cannot be run here", model.kind));
        return Err(Errno::EINVAL);
    }
    let insns = instructions(request, attr)?;
    let types = types(request, attr, &insns, log)?;
    let mut linker =
        Linker { kernel, request, model, licence, maps: Vec::new(), shapes: Vec::new(), refs: Vec::new() };
    linker.collect(&insns, attr, log)?;
    let attach_type = AttachType(attr.expected_attach_type);
    let asked = Asked {
        admit: kernel.admit,
        insns: &insns,
        model,
        attach: attach_type,
        licence,
        flags: attr.prog_flags,
        references: &linker,
        has_helper: &|id| kernel.has_helper(id),
        maps: &linker.maps,
        types: types.as_ref(),
        cpus: kernel.host.cpus().possible(),
    };
    let kept = verdict(&asked, log)?;
    let rules =
        Rules { prog: Some(model), attach: attach_type, uninit_stack: UninitStack::Zero, ..Rules::default() };
    let code = skep_exact::Program::link(kept.structured().program(), &linker, rules).map_err(|error| {
        let errno = match error.kind {
            LoadErrorKind::OutOfMemory => Errno::ENOMEM,
            // Linux refuses what it cannot prove with EACCES and what makes no sense with EINVAL.
            LoadErrorKind::FramePointer | LoadErrorKind::MapValueOffset { .. } => Errno::EACCES,
            _ => Errno::EINVAL,
        };
        log.refuse(errno, error)
    })?;
    let (compiled, stays) = match compile(&kept, &linker, &asked) {
        Ok(compiled) => (Some(compiled), None),
        Err(Stays::OnExact(why)) => (None, Some(why)),
        Err(Stays::NoMemory) => return Err(Errno::ENOMEM),
    };
    Ok(ProgBody {
        name: attr.prog_name,
        prog_type: model.kind,
        attach_type,
        licence,
        code,
        compiled,
        stays,
        trust: kept.trust(),
        tag: tag(&insns),
        insns,
        maps: linker.maps,
        types,
        loaded_ns: kernel.host.clock().map_or(0, |clock| clock.boot_ns()),
        uid: kernel.host.tasks().map_or(0, |tasks| tasks.current().uid),
        stats: Stats::default(),
    })
}

/// Compiles a program that is verified.
fn compile(kept: &Kept, linker: &Linker<'_>, asked: &Asked<'_>) -> core::result::Result<Compiled, Stays> {
    let Runs::Compiled(promise) = linker.kernel.runs else {
        return Err(Stays::OnExact("the kernel runs all programs so"));
    };
    let Kept::Verified(verified) = kept else {
        return Err(Stays::OnExact("it is not verified"));
    };
    if !is_bound(asked, verified).map_err(|_| Stays::NoMemory)? {
        return Err(Stays::OnExact("what it was verified against has changed meanwhile"));
    }
    Compiled::new(&Wanted {
        verified,
        model: linker.model,
        attach: asked.attach,
        licence: linker.licence,
        maps: &linker.maps,
        find: &|addr| linker.map(named(addr)?),
        host: &linker.kernel.host,
        fuel: linker.kernel.fuel,
        promise,
    })
}

fn instructions(request: &Request<'_>, attr: &ProgLoad) -> Result<Vec<RawInsn>> {
    let mut insns = Vec::new();
    insns.try_reserve_exact(attr.insn_cnt as usize).map_err(|_| Errno::ENOMEM)?;
    let mut chunk = [0; 512];
    while insns.len() < attr.insn_cnt as usize {
        let count = (attr.insn_cnt as usize - insns.len()).min(chunk.len() / 8);
        let part = &mut chunk[..count * 8];
        request.copy_in(attr.insns + insns.len() as u64 * 8, part)?;
        insns.extend(part.chunks_exact(8).map(|slot| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(slot);
            RawInsn::from_bytes(bytes, skep_isa::ByteOrder::NATIVE)
        }));
    }
    Ok(insns)
}

/// Reads and checks what the program's BTF says of its functions and lines (`check_btf_info`).
fn types(
    request: &Request<'_>,
    attr: &ProgLoad,
    insns: &[RawInsn],
    log: &mut Log,
) -> Result<Option<ProgTypes>> {
    if attr.func_info_cnt == 0 && attr.line_info_cnt == 0 {
        return Ok(None);
    }
    let btf = file::btf(request, attr.prog_btf_fd)?;
    let functions: Vec<FuncInfo> =
        records(request, attr.func_info, attr.func_info_cnt, attr.func_info_rec_size)?;
    let lines: Vec<LineInfo> = records(request, attr.line_info, attr.line_info_cnt, attr.line_info_rec_size)?;
    let mut fail = |what: &str, at: u32| {
        log.line(format_args!("{what} at instruction {at} is out of order or outside the program"));
        Errno::EINVAL
    };
    let mut last = None;
    for record in &functions {
        let fits = (record.insn_off as usize) < insns.len() && last.is_none_or(|last| last < record.insn_off);
        let is_func = btf.btf.get(TypeId(record.type_id)).is_some_and(|ty| matches!(ty.def(), Def::Func(_)));
        if !fits || !is_func || (last.is_none() && record.insn_off != 0) {
            return Err(fail("function information", record.insn_off));
        }
        last = Some(record.insn_off);
    }
    last = None;
    for record in &lines {
        let fits = (record.insn_off as usize) < insns.len() && last.is_none_or(|last| last < record.insn_off);
        let named = btf.btf.string(skep_btf::StrOff(record.line_off)).is_some()
            && btf.btf.string(skep_btf::StrOff(record.file_name_off)).is_some();
        if !fits || !named || insns[record.insn_off as usize].code == 0 {
            return Err(fail("line information", record.insn_off));
        }
        last = Some(record.insn_off);
    }
    Ok(Some(ProgTypes { btf, functions, lines }))
}

/// Reads records of a stride that may be longer than what is known, if the rest is zero.
fn records<T: FromBytes>(request: &Request<'_>, addr: u64, count: u32, stride: u32) -> Result<Vec<T>> {
    /// `MAX_FUNCINFO_REC_SIZE`, `MAX_LINEINFO_REC_SIZE`.
    const MOST_STRIDE: u32 = 252;
    let mut records = Vec::new();
    if count == 0 {
        return Ok(records);
    }
    if (stride as usize) < size_of::<T>() || stride > MOST_STRIDE || stride % 4 != 0 || count > MOST_INSNS {
        return Err(Errno::EINVAL);
    }
    let mut bytes = [0; MOST_STRIDE as usize];
    let bytes = &mut bytes[..stride as usize];
    for index in 0..u64::from(count) {
        request.copy_in(addr + index * u64::from(stride), bytes)?;
        let (record, rest) = T::read_from_prefix(bytes).map_err(|_| Errno::EINVAL)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG);
        }
        records.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        records.push(record);
    }
    Ok(records)
}

/// Resolves what instructions name: maps by descriptor, helpers by number.
struct Linker<'k> {
    kernel: &'k Arc<Inner>,
    request: &'k Request<'k>,
    model: &'static platform::prog::Prog,
    licence: Licence,
    maps: Vec<Shared<MapObject>>,
    shapes: Vec<MapShape>,
    /// What each way to name a map turned out to be.
    refs: Vec<(MapRef, MapIndex)>,
}

impl Linker<'_> {
    fn collect(&mut self, insns: &[RawInsn], attr: &ProgLoad, log: &mut Log) -> Result<()> {
        for (at, insn) in skep_isa::insns(insns).flatten() {
            let (named, needs_value) = match insn {
                Insn::LoadAddr { addr: Addr::MapFd { fd }, .. } => (MapRef::Fd(fd), false),
                Insn::LoadAddr { addr: Addr::MapValueFd { fd, .. }, .. } => (MapRef::Fd(fd), true),
                Insn::LoadAddr { addr: Addr::MapIndex { index }, .. } => (MapRef::Index(index), false),
                Insn::LoadAddr { addr: Addr::MapValueIndex { index, .. }, .. } => {
                    (MapRef::Index(index), true)
                }
                _ => continue,
            };
            let map = self.resolve(named, attr).map_err(|errno| {
                let errno = log.refuse(
                    errno,
                    format_args!("instruction {at}: the map that it names cannot be used: {errno}"),
                );
                match named {
                    MapRef::Fd(fd) => {
                        log.refuse(errno, format_args!("fd {fd} is not pointing to valid bpf_map"))
                    }
                    MapRef::Index(_) => errno,
                }
            })?;
            let object = &self.maps[map.0 as usize].map;
            if needs_value && object.direct_value(0).is_err() {
                let errno = log.refuse(
                    // As `array_map_direct_value_addr`, kernel/bpf/arraymap.c.
                    if object.def().map_type == MapType::ARRAY { Errno::ENOTSUPP } else { Errno::EINVAL },
                    format_args!("instruction {at}: the map has no value that can be addressed directly"),
                );
                return Err(match (errno, insn) {
                    (Errno::ENOTSUPP, Insn::LoadAddr { addr, .. }) => {
                        let size = object.def().value_size;
                        let (Addr::MapValueFd { off, .. } | Addr::MapValueIndex { off, .. }) = addr else {
                            return Err(errno);
                        };
                        log.refuse(
                            errno,
                            format_args!("invalid access to map value pointer, value_size={size} off={off}"),
                        )
                    }
                    _ => log.refuse(errno, "no direct value access support for this map type"),
                });
            }
        }
        Ok(())
    }

    fn resolve(&mut self, named: MapRef, attr: &ProgLoad) -> Result<MapIndex> {
        if let Some((_, index)) = self.refs.iter().find(|known| known.0 == named) {
            return Ok(*index);
        }
        let fd = match named {
            MapRef::Fd(fd) => fd as u32,
            MapRef::Index(_) if attr.fd_array == 0 => return Err(Errno::EPROTO),
            MapRef::Index(index) => {
                let mut fd = [0; 4];
                let addr = attr.fd_array.checked_add(u64::from(index) * 4).ok_or(Errno::EFAULT)?;
                self.request.copy_in(addr, &mut fd)?;
                u32::from_ne_bytes(fd)
            }
        };
        let map = file::map(self.kernel, self.request, fd)?.map;
        let index = match self.maps.iter().position(|known| known.ptr_eq(&map)) {
            Some(index) => index,
            None if self.maps.len() >= MOST_MAPS => return Err(Errno::E2BIG),
            None => self.keep(map)?,
        };
        let index = MapIndex(index as u32);
        self.refs.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.refs.push((named, index));
        Ok(index)
    }

    fn keep(&mut self, map: Shared<MapObject>) -> Result<usize> {
        let def = map.map.def();
        let rights = match (def.is_read_only_to_programs(), def.is_write_only_to_programs()) {
            (true, _) => Rights::ReadOnly,
            (_, true) => Rights::WriteOnly,
            _ => Rights::ReadWrite,
        };
        let shape =
            MapShape { kind: def.map_type, key_size: def.key_size, value_size: def.value_size, rights };
        self.maps.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.shapes.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        self.maps.push(map);
        self.shapes.push(shape);
        Ok(self.maps.len() - 1)
    }
}

impl References for Linker<'_> {
    fn address(&self, at: InsnIdx, addr: Addr) -> Reference {
        let shape = self.map_of(at, addr).and_then(|index| self.shapes.get(index));
        shape.map_or(Reference::Missing, |shape| Reference::Map(shape.kind))
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }

    fn map_name(&self, map: usize) -> &str {
        let name = self.maps.get(map).map_or(&[][..], |map| &map.name);
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        core::str::from_utf8(&name[..end]).unwrap_or_default()
    }

    fn map_of(&self, _: InsnIdx, addr: Addr) -> Option<usize> {
        Some(self.map(named(addr)?)?.0 as usize)
    }
}

/// How an instruction names a map, if it does.
fn named(addr: Addr) -> Option<MapRef> {
    match addr {
        Addr::MapFd { fd } | Addr::MapValueFd { fd, .. } => Some(MapRef::Fd(fd)),
        Addr::MapIndex { index } | Addr::MapValueIndex { index, .. } => Some(MapRef::Index(index)),
        _ => None,
    }
}

impl Platform for Linker<'_> {
    fn map(&self, map: MapRef) -> Option<MapIndex> {
        self.refs.iter().find(|known| known.0 == map).map(|known| known.1)
    }

    fn maps(&self) -> &[MapShape] {
        &self.shapes
    }

    fn helper(&self, id: u32) -> HelperLink {
        let id = FuncId(id);
        match Model::LINUX_6_18.call(id, self.model.kind, self.licence) {
            Ok((helper, _)) if self.kernel.has_helper(id) => HelperLink::Known(helper),
            Ok((helper, _)) => HelperLink::Refused(Some(helper.name)),
            Err(_) => HelperLink::Refused(Model::LINUX_6_18.helper(id).ok().map(|helper| helper.name)),
        }
    }
}
