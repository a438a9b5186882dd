//! Maps as objects: a kind's memory with a number, a name, types and rights.

use crate::btf::BtfObject;
use crate::error::Result;
use crate::ids::{Id, IdTable};
use crate::name::Name;
use crate::prog::Prog;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::MapType;
use skep_abi::flags::BPF_F_PRESERVE_ELEMS;
use skep_maps::{Access, Entry, Lanes, Map, MapDef};
use skep_mem::{Host, RcuArray, Shared};

/// Where a map's key and value types are.
#[derive(Debug)]
pub(crate) struct MapTypes {
    pub(crate) btf: Shared<BtfObject>,
    pub(crate) key: u32,
    pub(crate) value: u32,
}

/// A map.
#[derive(Debug)]
pub(crate) struct MapObject {
    pub(crate) id: Id,
    pub(crate) name: Name,
    pub(crate) map: Box<dyn Map>,
    /// What the map says it is, for those who ask often.
    pub(crate) def: MapDef,
    /// Where each CPU's values are, likewise.
    pub(crate) lanes: Option<Lanes>,
    /// What it holds if that is objects, likewise.
    pub(crate) entries: Option<Shared<RcuArray<Entry>>>,
    pub(crate) access: Access,
    pub(crate) types: Option<MapTypes>,
    /// Files and pins, not counting programs: when the last goes, an array of programs is emptied, because programs
    /// in it may hold the array itself (`map_release_uref`, `kernel/bpf/syscall.c`).
    users: AtomicU32,
    /// The type of the programs in an array of programs; 0 while it is open.
    prog_type: AtomicU32,
    ids: Arc<IdTable<MapObject>>,
}

/// What a map is made from.
pub(crate) struct NewMap {
    pub(crate) def: MapDef,
    pub(crate) name: Name,
    pub(crate) types: Option<MapTypes>,
}

impl MapObject {
    /// Makes a map and gives it a number.
    ///
    /// # Errors
    /// As its kind; `ENOMEM`.
    pub(crate) fn create(
        host: &Arc<dyn Host>,
        ids: &Arc<IdTable<MapObject>>,
        new: NewMap,
    ) -> Result<Shared<MapObject>> {
        let map = skep_maps::create(host, &new.def)?;
        let object = MapObject {
            id: ids.reserve()?,
            name: new.name,
            def: *map.def(),
            lanes: map.lanes(),
            entries: map.objects().map(|objects| objects.entries().clone()),
            map,
            access: Access::new(),
            types: new.types,
            users: AtomicU32::new(0),
            prog_type: AtomicU32::new(0),
            ids: Arc::clone(ids),
        };
        let object = Shared::try_new(object)?;
        ids.publish(object.id, &object);
        Ok(object)
    }

    /// Gives the kind.
    pub(crate) fn map_type(&self) -> MapType {
        self.def.map_type
    }

    /// Counts a file or pin.
    pub(crate) fn add_user(&self) {
        self.users.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a file or pin less.
    pub(crate) fn drop_user(&self) {
        let last = self.users.fetch_sub(1, Ordering::AcqRel) == 1;
        if let (true, MapType::PROG_ARRAY, Some(progs)) = (last, self.map_type(), self.map.objects()) {
            progs.remove_where(|_| true);
        }
    }

    /// Forgets the perf events that were stored through a file that is closed now.
    pub(crate) fn forget_events(&self, owner: u64) {
        if let (MapType::PERF_EVENT_ARRAY, Some(events)) = (self.map_type(), self.map.objects()) {
            if !self.map.def().has(BPF_F_PRESERVE_ELEMS) {
                events.remove_where(|entry| entry.owner == owner);
            }
        }
    }

    /// Tells whether a program may be stored here: the first one, or one that uses the array itself, decides the
    /// type that all have.
    pub(crate) fn takes(&self, prog: &Prog) -> bool {
        let mine = prog.body.prog_type.0;
        let known = self.prog_type.compare_exchange(0, mine, Ordering::AcqRel, Ordering::Acquire);
        known.is_ok() || known == Err(mine)
    }

    /// Tells whether the map belongs to the kernel with this table.
    pub(crate) fn is_of(&self, ids: &Arc<IdTable<MapObject>>) -> bool {
        Arc::ptr_eq(&self.ids, ids)
    }
}

impl Drop for MapObject {
    fn drop(&mut self) {
        self.ids.release(self.id);
    }
}
