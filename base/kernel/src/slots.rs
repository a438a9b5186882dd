//! Storing descriptors in maps of programs and of perf events.

use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::map::MapObject;
use crate::request::Request;
use skep_abi::Errno;
use skep_maps::Entry;
use skep_mem::Bytes;

fn descriptor(value: Bytes<'_>) -> Result<u32> {
    value.load_u32(0).map_err(|_| Errno::EINVAL)
}

/// Stores a program; all programs of one array have one type, for a tail call leads from any to any
/// (`bpf_prog_map_compatible`).
pub(crate) fn store_prog(
    kernel: &Inner,
    request: &Request<'_>,
    map: &MapObject,
    key: Bytes<'_>,
    value: Bytes<'_>,
    flags: u64,
) -> Result<()> {
    let objects = map.map.objects().ok_or(Errno::EINVAL)?;
    objects.store(key, flags, || {
        let prog = file::prog(kernel, request, descriptor(value)?)?;
        let id = prog.id;
        if !map.takes(&prog) {
            return Err(Errno::EINVAL);
        }
        Ok(Entry { object: prog.into_any(), id, owner: 0 })
    })
}

/// Stores a perf event, until this file of the map is closed.
pub(crate) fn store_event(
    request: &Request<'_>,
    map: &MapObject,
    owner: u64,
    key: Bytes<'_>,
    value: Bytes<'_>,
    flags: u64,
) -> Result<()> {
    let objects = map.map.objects().ok_or(Errno::EINVAL)?;
    objects.store(key, flags, || match &*file::lookup(request, descriptor(value)?)? {
        File::Perf(event) => {
            let event = event.output().ok_or(Errno::EINVAL)?;
            Ok(Entry { object: event.clone().into_any(), id: 0, owner })
        }
        _ => Err(Errno::EINVAL),
    })
}
