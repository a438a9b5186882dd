//! The commands on many elements (`generic_map_*_batch`, `kernel/bpf/syscall.c`).

use super::{end_of, map_elem};
use crate::error::Result;
use crate::file::{self, OpenMap};
use crate::kernel::Inner;
use crate::request::Request;
use alloc::sync::Arc;
use core::mem::offset_of;
use skep_abi::{Errno, MapBatch};
use skep_maps::{BatchThen, Batches, Kind, lookup_batch};
use skep_mem::OnCpu;

/// Reads the attributes and finds the map.
fn open(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<(MapBatch, OpenMap)> {
    let attr: MapBatch = request.attr(end_of!(MapBatch, flags))?;
    let open = file::map(kernel, request, attr.map_fd)?;
    Ok((attr, open))
}

/// Refuses what the map's kind cannot do, and flags; only locks of values would have one, and there are none here.
fn check(attr: &MapBatch, open: &OpenMap, has: impl FnOnce(Batches) -> bool) -> Result<()> {
    if !Kind::of(open.map.map_type()).is_some_and(|kind| has(kind.batches)) {
        return Err(Errno::ENOTSUPP);
    }
    if attr.elem_flags != 0 { Err(Errno::EINVAL) } else { Ok(()) }
}

pub(super) fn lookup(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, open) = open(kernel, request)?;
    open.map.access.check_read(open.mode)?;
    check(&attr, &open, |batches| batches != Batches::None)?;
    read(kernel, request, &attr, &open, BatchThen::Keep)
}

pub(super) fn take(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, open) = open(kernel, request)?;
    open.map.access.check_read(open.mode)?;
    let _writing = open.map.access.begin_write(open.mode)?;
    check(&attr, &open, |batches| batches == Batches::All)?;
    read(kernel, request, &attr, &open, BatchThen::Delete)
}

/// Copies elements out from where the caller stands.
fn read(
    kernel: &Arc<Inner>,
    request: &Request<'_>,
    attr: &MapBatch,
    open: &OpenMap,
    then: BatchThen,
) -> Result<i64> {
    // Hashes alone look at these (`__htab_map_lookup_and_delete_batch`, kernel/bpf/hashtab.c).
    if attr.flags != 0 && Kind::of(open.map.map_type()).is_some_and(|kind| kind.batches == Batches::All) {
        return Err(Errno::EINVAL);
    }
    if attr.count == 0 {
        return Ok(0);
    }
    request.write_field(offset_of!(MapBatch, count), 0u32)?;
    let map = &*open.map.map;
    let key_size = u64::from(map.def().key_size);
    let value_size = map.sys_value_size() as u64;
    let cursor = match attr.in_batch {
        0 => None,
        addr => Some(request.copy_vec(addr, map.sys_cursor_size())?),
    };
    let mut copy = |before: u32, keys: &[u8], values: &[u8]| {
        let before = u64::from(before);
        request.write(attr.keys.wrapping_add(before * key_size), keys)?;
        request.write(attr.values.wrapping_add(before * value_size), values)
    };
    let end = lookup_batch(map, &*kernel.host, cursor.as_deref(), attr.count, then, &mut copy)?;
    request.write_field(offset_of!(MapBatch, count), end.count)?;
    if !end.cursor.bytes().is_empty() {
        request.write(attr.out_batch, end.cursor.bytes())?;
    }
    end.outcome.map(|()| 0)
}

/// Does something to each of many keys and tells how many went well.
fn each(request: &Request<'_>, attr: &MapBatch, mut one: impl FnMut(u64) -> Result<()>) -> Result<i64> {
    let mut count = 0;
    let done = (0..attr.count).try_for_each(|index| {
        one(u64::from(index))?;
        count = index + 1;
        Ok(())
    });
    request.write_field(offset_of!(MapBatch, count), count)?;
    done.map(|()| 0)
}

pub(super) fn update(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, open) = open(kernel, request)?;
    let map = &open.map;
    let _writing = map.access.begin_write(open.mode)?;
    check(&attr, &open, |batches| batches != Batches::None)?;
    let key_size = map.map.def().key_size as usize;
    let value_size = map.map.sys_value_size();
    each(request, &attr, |index| {
        let key = request.copy_block(attr.keys.wrapping_add(index * key_size as u64), key_size)?;
        let value = request.copy_block(attr.values.wrapping_add(index * value_size as u64), value_size)?;
        map_elem::store(kernel, request, &open, &key, &value, attr.elem_flags)
    })
}

pub(super) fn delete(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let (attr, open) = open(kernel, request)?;
    let map = &open.map;
    let _writing = map.access.begin_write(open.mode)?;
    check(&attr, &open, |batches| matches!(batches, Batches::LookupUpdateDelete | Batches::All))?;
    let key_size = map.map.def().key_size as usize;
    each(request, &attr, |index| {
        let key = request.copy_block(attr.keys.wrapping_add(index * key_size as u64), key_size)?;
        let on = OnCpu::enter(kernel.host.cpus());
        map.map.sys_delete(&on, key.bytes())
    })
}
