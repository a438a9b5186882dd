//! Maps, attached without a kernel: how programs name them, and what of their memory they reach.

use core::fmt;
use skep_exact::{MapShape, Rights, Value};
use skep_helpers::Env;
use skep_isa::Addr;
use skep_maps::{Map, MapDef};
use skep_mem::{Bytes, Host, MapIndex, OnCpu};

/// A map, and the descriptor by which programs name it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attached<'m> {
    pub(crate) fd: i32,
    pub(crate) map: &'m dyn Map,
    /// What the map was made from, which never changes.
    pub(crate) def: &'m MapDef,
}

impl<'m> Attached<'m> {
    pub(crate) fn new(fd: i32, map: &'m dyn Map) -> Attached<'m> {
        Attached { fd, map, def: map.def() }
    }

    pub(crate) fn shape(&self) -> MapShape {
        let def = self.def;
        MapShape {
            kind: def.map_type,
            key_size: def.key_size,
            value_size: def.value_size,
            rights: self.rights(),
        }
    }

    pub(crate) fn rights(&self) -> Rights {
        match self.def.is_read_only_to_programs() {
            true => Rights::ReadOnly,
            false => Rights::ReadWrite,
        }
    }

    /// Gives the bytes of the value that a wide load of a place in the map points into.
    pub(crate) fn direct(&self) -> Option<Bytes<'m>> {
        self.map.direct_value(0).ok()
    }
}

/// Finds the map that a wide load names, and the offset in its value where it names one.
pub(crate) fn named(maps: &[Attached<'_>], addr: Addr) -> Option<(MapIndex, Option<u32>)> {
    let by_fd = |fd: i32| maps.iter().position(|attached| attached.fd == fd);
    let by_index = |index: u32| usize::try_from(index).ok().filter(|index| *index < maps.len());
    let (position, offset) = match addr {
        Addr::MapFd { fd } => (by_fd(fd)?, None),
        Addr::MapIndex { index } => (by_index(index)?, None),
        Addr::MapValueFd { fd, off } => (by_fd(fd)?, Some(off)),
        Addr::MapValueIndex { index, off } => (by_index(index)?, Some(off)),
        Addr::Code { .. } | Addr::Variable { .. } => return None,
    };
    Some((MapIndex(u32::try_from(position).ok()?), offset))
}

/// Gives the number that a program holds for a map; it is no address.
pub(crate) fn handle(map: MapIndex) -> u64 {
    Value::Map(map).bits().unwrap_or(0)
}

/// Finds the map that such a number stands for, whether there is one or not.
pub(crate) fn of_handle(number: u64) -> Option<MapIndex> {
    let map = MapIndex((number.wrapping_sub(handle(MapIndex(0))) >> 32) as u32);
    (handle(map) == number).then_some(map)
}

/// What helpers of Linux's may reach besides their arguments.
pub(crate) struct Surroundings<'a, 'r> {
    pub(crate) host: &'r dyn Host,
    pub(crate) on: &'a OnCpu<'r>,
    pub(crate) maps: &'r [Attached<'r>],
}

impl fmt::Debug for Surroundings<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("maps", &self.maps).finish_non_exhaustive()
    }
}

impl<'r> Env<'r> for Surroundings<'_, 'r> {
    fn host(&self) -> &dyn Host {
        self.host
    }

    fn on(&self) -> &OnCpu<'_> {
        self.on
    }

    fn map(&self, map: MapIndex) -> &'r dyn Map {
        // Only what was found in this list is handed to helpers.
        self.maps[map.0 as usize].map
    }
}
