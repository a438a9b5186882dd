//! `BPF_OBJ_GET_INFO_BY_FD`.

use super::end_of;
use crate::btf::BtfObject;
use crate::compiled::Compiled;
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::link::{LinkObject, LinkTarget};
use crate::map::MapObject;
use crate::prog::Prog;
use crate::request::Request;
use alloc::sync::Arc;
use core::mem::offset_of;
use skep_abi::flags::{BPF_F_RDONLY, BPF_F_WRONLY};
use skep_abi::{
    BtfInfo, Errno, FuncInfo, InfoByFd, LineInfo, LinkInfo, LinkInfoPerfEventTracepoint,
    LinkInfoRawTracepoint, LinkInfoTcx, LinkInfoXdp, MapInfo, PerfEventType, ProgInfo,
};
use skep_isa::{ByteOrder, RawInsn};
use zerocopy::{FromBytes, Immutable, IntoBytes};

pub(super) fn run(_: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: InfoByFd = request.attr(end_of!(InfoByFd, info))?;
    match &*file::lookup(request, attr.bpf_fd)? {
        File::Map(map, _) => map_info(request, &attr, map),
        File::Prog(prog) => prog_info(request, &attr, prog),
        File::Btf(btf) => btf_info(request, &attr, btf),
        File::Link(link) => link_info(request, &attr, link),
        File::Perf(_) | File::Stats(_) => return Err(Errno::EINVAL),
    }?;
    Ok(0)
}

/// Reads what the caller asks for; what their struct has beyond the known one must be zero.
fn asked<T: FromBytes + IntoBytes + Default>(request: &Request<'_>, attr: &InfoByFd) -> Result<T> {
    let mut info = T::default();
    let known = (attr.info_len as usize).min(size_of::<T>());
    request.copy_in(attr.info, &mut info.as_mut_bytes()[..known])?;
    let mut at = known as u64;
    let mut byte = [0; 1];
    // `bpf_check_uarg_tail_zero`: at most a page.
    if attr.info_len > 4096 {
        return Err(Errno::E2BIG);
    }
    while at < u64::from(attr.info_len) {
        request.copy_in(attr.info + at, &mut byte)?;
        if byte != [0] {
            return Err(Errno::E2BIG);
        }
        at += 1;
    }
    Ok(info)
}

/// Hands the answer over, cut to what the caller has room for.
fn answer<T: IntoBytes + Immutable>(request: &Request<'_>, attr: &InfoByFd, info: &T) -> Result<()> {
    let len = (attr.info_len as usize).min(size_of::<T>());
    request.write(attr.info, &info.as_bytes()[..len])?;
    request.write_field(offset_of!(InfoByFd, info_len), len as u32)
}

fn map_info(request: &Request<'_>, attr: &InfoByFd, map: &MapObject) -> Result<()> {
    let _: MapInfo = asked(request, attr)?;
    let def = map.map.def();
    let types = map.types.as_ref();
    let info = MapInfo {
        type_: def.map_type.0,
        id: map.id,
        key_size: def.key_size,
        value_size: def.value_size,
        max_entries: def.max_entries,
        // Those of the descriptor that creation gave are not the map's (`bpf_map_flags_retain_permanent`).
        map_flags: def.flags & !(BPF_F_RDONLY | BPF_F_WRONLY),
        name: map.name,
        map_extra: def.extra,
        btf_id: types.map_or(0, |types| types.btf.id),
        btf_key_type_id: types.map_or(0, |types| types.key),
        btf_value_type_id: types.map_or(0, |types| types.value),
        ..MapInfo::default()
    };
    answer(request, attr, &info)
}

/// Fills a list of the caller's with as many records as there is room for, and gives how many there are.
fn list<T>(
    request: &Request<'_>,
    addr: u64,
    room: u32,
    records: &[T],
    stride: u32,
    bytes: impl Fn(&T) -> [u8; 16],
) -> Result<u32> {
    if addr != 0 {
        for (index, record) in (0u64..).zip(records.iter().take(room as usize)) {
            request.write(addr.wrapping_add(index * u64::from(stride)), &bytes(record)[..stride as usize])?;
        }
    }
    Ok(records.len() as u32)
}

fn sixteen<T: IntoBytes + Immutable>(record: &T) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..size_of::<T>()].copy_from_slice(record.as_bytes());
    bytes
}

/// The size of a record in the kernel's lists.
const FUNC: u32 = size_of::<FuncInfo>() as u32;
const LINE: u32 = size_of::<LineInfo>() as u32;

fn prog_info(request: &Request<'_>, attr: &InfoByFd, prog: &Prog) -> Result<()> {
    let wanted: ProgInfo = asked(request, attr)?;
    let body = &prog.body;
    let types = body.types.as_ref();
    let functions = types.map_or(&[][..], |types| &types.functions);
    let lines = types.map_or(&[][..], |types| &types.lines);
    if wanted.nr_func_info != 0 && wanted.func_info != 0 && wanted.func_info_rec_size != FUNC {
        return Err(Errno::EINVAL);
    }
    if wanted.nr_line_info != 0 && wanted.line_info != 0 && wanted.line_info_rec_size != LINE {
        return Err(Errno::EINVAL);
    }
    let slot = |insn: &RawInsn| sixteen(&insn.to_bytes(ByteOrder::NATIVE));
    let insns = wanted.xlated_prog_len / 8;
    let info = ProgInfo {
        type_: body.prog_type.0,
        id: prog.id,
        tag: body.tag,
        // One for the program, as where nothing is compiled function by function.
        nr_prog_tags: list(request, wanted.prog_tags, wanted.nr_prog_tags, &[body.tag], 8, sixteen)?,
        jited_prog_len: list(
            request,
            wanted.jited_prog_insns,
            wanted.jited_prog_len,
            body.compiled.as_ref().map_or(&[], Compiled::code),
            1,
            sixteen,
        )?,
        xlated_prog_len: list(request, wanted.xlated_prog_insns, insns, &body.insns, 8, slot)? * 8,
        load_time: body.loaded_ns,
        created_by_uid: body.uid,
        nr_map_ids: list(request, wanted.map_ids, wanted.nr_map_ids, &body.maps, 4, |map| sixteen(&map.id))?,
        name: body.name,
        flags: u32::from(body.licence == skep_model::platform::helper::Licence::Gpl),
        btf_id: types.map_or(0, |types| types.btf.id),
        func_info_rec_size: FUNC,
        line_info_rec_size: LINE,
        nr_func_info: list(request, wanted.func_info, wanted.nr_func_info, functions, FUNC, sixteen)?,
        nr_line_info: list(request, wanted.line_info, wanted.nr_line_info, lines, LINE, sixteen)?,
        run_time_ns: body.stats.time_ns(),
        run_cnt: body.stats.runs(),
        recursion_misses: body.stats.missed(),
        verified_insns: body.trust.verified_insns(),
        // The lists' addresses are the caller's own.
        jited_prog_insns: wanted.jited_prog_insns,
        xlated_prog_insns: wanted.xlated_prog_insns,
        map_ids: wanted.map_ids,
        func_info: wanted.func_info,
        line_info: wanted.line_info,
        prog_tags: wanted.prog_tags,
        ..ProgInfo::default()
    };
    answer(request, attr, &info)
}

fn btf_info(request: &Request<'_>, attr: &InfoByFd, btf: &BtfObject) -> Result<()> {
    let wanted: BtfInfo = asked(request, attr)?;
    let bytes = btf.btf.bytes();
    if wanted.btf != 0 {
        request.write(wanted.btf, &bytes[..bytes.len().min(wanted.btf_size as usize)])?;
    }
    let len = btf.name.iter().position(|byte| *byte == 0).unwrap_or(btf.name.len());
    name(request, wanted.name, wanted.name_len, &btf.name[..len])?;
    let info = BtfInfo {
        btf_size: bytes.len() as u32,
        id: btf.id,
        name_len: len as u32,
        kernel_btf: u32::from(btf.is_kernel()),
        ..wanted
    };
    answer(request, attr, &info)
}

/// Copies a name and its NUL, cut to the room there is.
fn name(request: &Request<'_>, addr: u64, room: u32, name: &[u8]) -> Result<()> {
    if (addr != 0) != (room != 0) {
        return Err(Errno::EINVAL);
    }
    if addr == 0 {
        return Ok(());
    }
    let fits = name.len().min(room as usize - 1);
    request.write(addr, &name[..fits])?;
    request.write(addr + fits as u64, &[0])?;
    if fits == name.len() { Ok(()) } else { Err(Errno::ENOSPC) }
}

fn link_info(request: &Request<'_>, attr: &InfoByFd, link: &LinkObject) -> Result<()> {
    let wanted: LinkInfo = asked(request, attr)?;
    let mut info =
        LinkInfo { type_: link.link_type().0, id: link.id, prog_id: link.prog().id, ..LinkInfo::default() };
    let tail = || wanted.tail_as::<LinkInfoRawTracepoint>().ok_or(Errno::EINVAL);
    let set = match &link.target {
        LinkTarget::Interface(_, skep_abi::AttachType::XDP) => {
            info.set_tail(&LinkInfoXdp { ifindex: link.ifindex() })
        }
        LinkTarget::Interface(_, attach_type) => {
            info.set_tail(&LinkInfoTcx { ifindex: link.ifindex(), attach_type: attach_type.0 })
        }
        LinkTarget::RawTracepoint(tracepoint) => {
            let room = tail()?;
            name(request, room.tp_name, room.tp_name_len, tracepoint.as_bytes())?;
            let tp_name_len = tracepoint.len() as u32 + 1;
            info.set_tail(&LinkInfoRawTracepoint { tp_name_len, cookie: link.cookie, ..room })
        }
        LinkTarget::Tracepoint(tracepoint) => {
            let room: LinkInfoPerfEventTracepoint = wanted.tail_as().ok_or(Errno::EINVAL)?;
            name(request, room.tp_name, room.name_len, tracepoint.as_bytes())?;
            info.set_tail(&LinkInfoPerfEventTracepoint {
                type_: PerfEventType::TRACEPOINT.0,
                name_len: tracepoint.len() as u32 + 1,
                cookie: link.cookie,
                ..room
            })
        }
    };
    debug_assert!(set.is_some(), "every tail fits");
    answer(request, attr, &info)
}
