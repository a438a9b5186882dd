//! The commands on one element: look-up, update, delete, next key, look-up and delete; and freezing.

use super::end_of;
use crate::error::Result;
use crate::file::{self, OpenMap};
use crate::kernel::Inner;
use crate::map::MapObject;
use crate::request::Request;
use crate::slots;
use alloc::sync::Arc;
use skep_abi::flags::BPF_F_LOCK;
use skep_abi::{Errno, MapElem, MapFreeze, MapNextKey, MapType};
use skep_mem::{Block, OnCpu};

/// Copies a key in; kinds without keys take none.
fn key(request: &Request<'_>, map: &MapObject, addr: u64) -> Result<Block> {
    let size = map.map.def().key_size as usize;
    match (size, addr) {
        (0, 0) => Ok(Block::zeroed(0)?),
        // `___bpf_copy_key`: a key for a kind that has none.
        (0, _) => Err(Errno::EINVAL),
        _ => request.copy_block(addr, size),
    }
}

/// Copies a value out.
pub(super) fn copy_out(request: &Request<'_>, addr: u64, value: &Block) -> Result<()> {
    let mut chunk = [0; 256];
    let mut at = 0;
    while at < value.bytes().len() {
        let part = &mut chunk[..(value.bytes().len() - at).min(256)];
        value.bytes().copy_out(at, part).map_err(|_| Errno::EFAULT)?;
        request.write(addr + at as u64, part)?;
        at += part.len();
    }
    Ok(())
}

/// The bits of a look-up's flags (`BPF_F_LOCK`), of which none is for kinds without a lock in their values.
fn check_lookup_flags(flags: u64) -> Result<()> {
    match flags {
        0 => Ok(()),
        _ => Err(Errno::EINVAL),
    }
}

pub(super) fn lookup(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapElem = request.attr(end_of!(MapElem, flags))?;
    if attr.flags & !BPF_F_LOCK != 0 {
        return Err(Errno::EINVAL);
    }
    let OpenMap { map, mode, .. } = file::map(kernel, request, attr.map_fd)?;
    map.access.check_read(mode)?;
    check_lookup_flags(attr.flags)?;
    let key = key(request, &map, attr.key)?;
    let value = match map.map_type() {
        // The value is what to look for (`map_lookup_elem`).
        MapType::BLOOM_FILTER => request.copy_block(attr.value, map.map.sys_value_size())?,
        _ => Block::zeroed(map.map.sys_value_size())?,
    };
    let on = OnCpu::enter(kernel.host.cpus());
    // A queue's or stack's look-up is a peek (`bpf_map_copy_value`).
    match map.map_type() {
        MapType::QUEUE | MapType::STACK => map.map.peek(&on, value.bytes())?,
        _ => map.map.sys_lookup(&on, key.bytes(), value.bytes(), attr.flags)?,
    }
    drop(on);
    copy_out(request, attr.value, &value)?;
    Ok(0)
}

pub(super) fn update(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapElem = request.attr(end_of!(MapElem, flags))?;
    let open = file::map(kernel, request, attr.map_fd)?;
    let _writing = open.map.access.begin_write(open.mode)?;
    if attr.flags & BPF_F_LOCK != 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(request, &open.map, attr.key)?;
    let value = request.copy_block(attr.value, open.map.map.sys_value_size())?;
    store(kernel, request, &open, &key, &value, attr.flags)?;
    Ok(0)
}

/// Stores one element; the value of a map of programs or events is a descriptor.
pub(super) fn store(
    kernel: &Arc<Inner>,
    request: &Request<'_>,
    open: &OpenMap,
    key: &Block,
    value: &Block,
    flags: u64,
) -> Result<()> {
    let on = || OnCpu::enter(kernel.host.cpus());
    let map = &open.map;
    match map.map_type() {
        MapType::PROG_ARRAY => slots::store_prog(kernel, request, map, key.bytes(), value.bytes(), flags),
        MapType::PERF_EVENT_ARRAY => {
            slots::store_event(request, map, open.owner, key.bytes(), value.bytes(), flags)
        }
        MapType::QUEUE | MapType::STACK => map.map.push(&on(), value.bytes(), flags),
        _ => map.map.sys_update(&on(), key.bytes(), value.bytes(), flags),
    }
}

pub(super) fn delete(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapElem = request.attr(end_of!(MapElem, key))?;
    let OpenMap { map, mode, .. } = file::map(kernel, request, attr.map_fd)?;
    let _writing = map.access.begin_write(mode)?;
    let key = key(request, &map, attr.key)?;
    let on = OnCpu::enter(kernel.host.cpus());
    map.map.sys_delete(&on, key.bytes())?;
    Ok(0)
}

pub(super) fn next_key(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapNextKey = request.attr(end_of!(MapNextKey, next_key))?;
    let OpenMap { map, mode, .. } = file::map(kernel, request, attr.map_fd)?;
    map.access.check_read(mode)?;
    let from = match attr.key {
        0 => None,
        addr => Some(key(request, &map, addr)?),
    };
    let next = Block::zeroed(map.map.def().key_size as usize)?;
    let on = OnCpu::enter(kernel.host.cpus());
    map.map.sys_next_key(&on, from.as_ref().map(Block::bytes), next.bytes())?;
    drop(on);
    copy_out(request, attr.next_key, &next)?;
    Ok(0)
}

pub(super) fn take(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapElem = request.attr(end_of!(MapElem, flags))?;
    if attr.flags & !BPF_F_LOCK != 0 {
        return Err(Errno::EINVAL);
    }
    let OpenMap { map, mode, .. } = file::map(kernel, request, attr.map_fd)?;
    map.access.check_read(mode)?;
    let _writing = map.access.begin_write(mode)?;
    let is_queue = matches!(map.map_type(), MapType::QUEUE | MapType::STACK);
    if attr.flags != 0 {
        return Err(Errno::EINVAL);
    }
    let key = key(request, &map, attr.key)?;
    let value = Block::zeroed(map.map.sys_value_size())?;
    let on = OnCpu::enter(kernel.host.cpus());
    match is_queue {
        true => map.map.pop(&on, value.bytes())?,
        false => map.map.sys_take(&on, key.bytes(), value.bytes(), attr.flags)?,
    }
    drop(on);
    copy_out(request, attr.value, &value)?;
    Ok(0)
}

pub(super) fn freeze(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapFreeze = request.attr(end_of!(MapFreeze, map_fd))?;
    let OpenMap { map, mode, .. } = file::map(kernel, request, attr.map_fd)?;
    map.access.freeze(mode)?;
    Ok(0)
}
