//! `BPF_MAP_CREATE`.

use super::end_of;
use crate::error::Result;
use crate::file::{self, File};
use crate::kernel::Inner;
use crate::map::{MapObject, MapTypes, NewMap};
use crate::name;
use crate::request::Request;
use alloc::sync::Arc;
use skep_abi::flags::BPF_F_ZERO_SEED;
use skep_abi::{Errno, MapCreate, MapType};
use skep_btf::TypeId;
use skep_maps::{MapDef, Mode};
use skep_mem::Capability;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: MapCreate = request.attr(end_of!(MapCreate, excl_prog_hash_size))?;
    request.require(Capability::Bpf)?;
    name::check(&attr.map_name)?;
    if attr.map_ifindex != 0 || attr.map_token_fd != 0 || attr.btf_vmlinux_value_type_id != 0 {
        return Err(Errno::EINVAL);
    }
    if attr.excl_prog_hash != 0 || attr.excl_prog_hash_size != 0 || attr.value_type_btf_obj_fd != 0 {
        return Err(Errno::EINVAL);
    }
    let mode = Mode::from_flags(attr.map_flags)?;
    let is_hash = matches!(
        MapType(attr.map_type),
        MapType::HASH | MapType::PERCPU_HASH | MapType::LRU_HASH | MapType::LRU_PERCPU_HASH
    );
    if is_hash && attr.map_flags & BPF_F_ZERO_SEED != 0 {
        // Whoever knows the seed can fill one bucket (`htab_map_alloc_check`).
        request.require(Capability::SysAdmin)?;
    }
    let types = types(request, &attr)?;
    let def = MapDef::from_attr(&attr);
    let map = MapObject::create(&kernel.host, &kernel.maps, NewMap { def, name: attr.map_name, types })?;
    file::install(request, File::of_map(map, mode))
}

/// The types of keys and values; they must have the map's sizes (`map_check_btf`).
fn types(request: &Request<'_>, attr: &MapCreate) -> Result<Option<MapTypes>> {
    if attr.btf_key_type_id == 0 && attr.btf_value_type_id == 0 {
        return Ok(None);
    }
    if attr.btf_value_type_id == 0 {
        return Err(Errno::EINVAL);
    }
    // Rings and the like have no values to describe (`btf_key_type_id` without `map_check_btf`).
    let map_type = MapType(attr.map_type);
    let without =
        [MapType::RINGBUF, MapType::PERF_EVENT_ARRAY, MapType::PROG_ARRAY, MapType::QUEUE, MapType::STACK];
    if without.contains(&map_type) {
        return Err(Errno::ENOTSUPP);
    }
    let object = file::btf(request, attr.btf_fd)?;
    let size = |id: u32| object.btf.size_of(TypeId(id)).map_err(|_| Errno::EINVAL);
    // A data section's array has a key without a type.
    let key_fits = match attr.btf_key_type_id {
        0 => map_type == MapType::ARRAY,
        id => size(id)? == attr.key_size,
    };
    if !key_fits || size(attr.btf_value_type_id)? != attr.value_size {
        return Err(Errno::EINVAL);
    }
    Ok(Some(MapTypes { btf: object, key: attr.btf_key_type_id, value: attr.btf_value_type_id }))
}
