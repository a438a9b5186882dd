//! ARRAY and PERCPU_ARRAY: values by a 32-bit index, all there from the start (kernel/bpf/arraymap.c).

use crate::map::{Visit, sized};
use crate::values::{Wanted, check_lookup_flags, copy, fill_from};
use crate::{Lanes, Map, MapDef, Mmap, Region};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::ControlFlow;
use skep_abi::flags::BPF_F_MMAPABLE;
use skep_abi::{Errno, MapType};
use skep_mem::{Block, Bytes, Host, NoMemory, OnCpu, PageRun, Shared, try_box};
use skep_model::MapAccess;

/// Makes an array. A host without pages has none that can be mapped.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    if def.has(BPF_F_MMAPABLE) && host.pages().is_none() {
        return Err(Errno::EINVAL);
    }
    Ok(try_box(Array::new(host, def)?)?)
}

/// Fills `next` with the index after `key` (`array_map_get_next_key`).
pub(crate) fn next_index(max_entries: u32, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
    let index = |key| sized(key, 4)?.load_u32(0).map_err(|_| Errno::EINVAL);
    let following = match key.map(index).transpose()? {
        Some(index) if index < max_entries => index + 1,
        _ => 0,
    };
    if following == max_entries {
        return Err(Errno::ENOENT);
    }
    sized(next, 4)?.store_u32(0, following).map_err(|_| Errno::EINVAL)
}

/// An array.
#[derive(Debug)]
pub(crate) struct Array {
    def: MapDef,
    memory: Memory,
    /// Bytes of one CPU's values.
    lane: usize,
    lanes: u32,
    page_size: usize,
    /// The index under the eyes of each CPU's iteration at each level.
    cursors: Block,
}

#[derive(Debug)]
enum Memory {
    Heap(Block),
    /// May be mapped into user space.
    Pages(Shared<PageRun>),
}

const LEVELS: usize = 4;

impl Array {
    fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<Array, NoMemory> {
        let possible = host.cpus().possible();
        let lanes = if def.is_per_cpu() { possible } else { 1 };
        let page_size = host.pages().map_or(1, |pages| pages.page_size());
        let lane = def.stride().checked_mul(def.max_entries as usize).ok_or(NoMemory)?;
        let memory = if def.has(BPF_F_MMAPABLE) {
            Memory::Pages(Shared::try_new(PageRun::new(host, lane.div_ceil(page_size), 0)?)?)
        } else {
            Memory::Heap(Block::zeroed(lane.checked_mul(lanes as usize).ok_or(NoMemory)?)?)
        };
        let cursors = Block::zeroed(possible as usize * LEVELS * size_of::<u32>())?;
        Ok(Array { def: *def, memory, lane, lanes, page_size, cursors })
    }

    fn memory(&self) -> Bytes<'_> {
        match &self.memory {
            Memory::Heap(block) => block.bytes(),
            Memory::Pages(run) => run.bytes(),
        }
    }

    fn index(&self, key: Bytes<'_>) -> Result<u32, Errno> {
        sized(key, 4)?.load_u32(0).map_err(|_| Errno::EINVAL)
    }

    /// Finds the value at `index`, padding included.
    fn padded(&self, index: u32, lane: u32) -> Option<Bytes<'_>> {
        if index >= self.def.max_entries || lane >= self.lanes {
            return None;
        }
        let at = lane as usize * self.lane + index as usize * self.def.stride();
        self.memory().slice(at, self.def.stride()).ok()
    }

    fn value(&self, index: u32, lane: u32) -> Option<Bytes<'_>> {
        self.padded(index, lane)?.slice(0, self.def.value_size as usize).ok()
    }

    /// Maps a CPU to the lane that has its values.
    fn lane_of(&self, cpu: u32) -> u32 {
        if self.def.is_per_cpu() { cpu } else { 0 }
    }

    /// Checks an update in the order of `array_map_update_elem`: flags, bounds, existence.
    fn check_update(&self, index: u32, flags: u64) -> Result<(), Errno> {
        let wanted = match Wanted::from_flags(flags) {
            Err(_) if flags & !skep_abi::flags::BPF_F_LOCK > skep_abi::flags::BPF_EXIST => {
                return Err(Errno::EINVAL);
            }
            wanted => wanted,
        };
        if index >= self.def.max_entries {
            return Err(Errno::E2BIG);
        }
        wanted?.check(true)
    }
}

impl Map for Array {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        (size_of::<Array>() + self.memory().len() + self.cursors.bytes().len()) as u64
    }

    fn lookup_lane(&self, _on: &OnCpu<'_>, key: Bytes<'_>, cpu: u32) -> Option<Bytes<'_>> {
        self.value(self.index(key).ok()?, self.lane_of(cpu))
    }

    fn update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let index = self.index(key)?;
        self.check_update(index, flags)?;
        let into = self.value(index, self.lane_of(on.id())).ok_or(Errno::E2BIG)?;
        copy(into, sized(value, into.len())?)
    }

    fn delete(&self, _on: &OnCpu<'_>, _key: Bytes<'_>) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn for_each<'m>(&'m self, on: &OnCpu<'_>, visit: &mut Visit<'_, 'm>) -> Result<u64, Errno> {
        let cursor = (on.id() as usize * LEVELS + on.level() as usize) * size_of::<u32>();
        let cursor = self.cursors.bytes().slice(cursor, size_of::<u32>()).map_err(|_| Errno::EINVAL)?;
        // An iteration within an iteration leaves the outer one's key as it was.
        let outer = cursor.load_u32(0).unwrap_or(0);
        let mut visited = 0;
        for index in 0..self.def.max_entries {
            let Some(value) = self.value(index, self.lane_of(on.id())) else { break };
            let _ = cursor.store_u32(0, index);
            visited += 1;
            if visit(cursor, value) == ControlFlow::Break(()) {
                break;
            }
        }
        let _ = cursor.store_u32(0, outer);
        Ok(visited)
    }

    fn direct_value(&self, offset: u32) -> Result<Bytes<'_>, Errno> {
        // array_map_direct_value_addr: of arrays with one element.
        if self.def.map_type != MapType::ARRAY || self.def.max_entries != 1 {
            return Err(Errno::ENOTSUPP);
        }
        if offset >= self.def.value_size {
            return Err(Errno::EINVAL);
        }
        self.value(0, 0).ok_or(Errno::EINVAL)
    }

    fn values(&self) -> Option<Bytes<'_>> {
        Some(self.memory())
    }

    fn shortcut(&self) -> Option<MapAccess> {
        // Where each CPU has its own values, only who asks knows which.
        if self.def.is_per_cpu() {
            return None;
        }
        let values = self.memory().as_ptr().as_ptr().expose_provenance() as u64;
        let stride = u32::try_from(self.def.stride()).ok()?;
        Some(MapAccess::Array { values, stride, entries: self.def.max_entries })
    }

    fn lanes(&self) -> Option<Lanes> {
        let values = self.memory().as_ptr().as_ptr().expose_provenance() as u64;
        let (lane, stride, entries) = (self.lane as u64, self.def.stride() as u64, self.def.max_entries);
        self.def.is_per_cpu().then_some(Lanes { values, lane, lanes: self.lanes, stride, entries })
    }

    fn sys_value_size(&self) -> usize {
        match self.def.is_per_cpu() {
            true => self.def.stride() * self.lanes as usize,
            false => self.def.value_size as usize,
        }
    }

    fn sys_lookup(&self, _on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        let index = self.index(key)?;
        let into = sized(into, self.sys_value_size())?;
        if !self.def.is_per_cpu() {
            return copy(into, self.value(index, 0).ok_or(Errno::ENOENT)?);
        }
        for lane in 0..self.lanes {
            let from = self.padded(index, lane).ok_or(Errno::ENOENT)?;
            into.copy_from(lane as usize * from.len(), from).map_err(|_| Errno::EINVAL)?;
        }
        Ok(())
    }

    fn sys_update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if !self.def.is_per_cpu() {
            return self.update(on, key, value, flags);
        }
        let index = self.index(key)?;
        let from = sized(value, self.sys_value_size())?;
        self.check_update(index, flags)?;
        for lane in 0..self.lanes {
            let into = self.padded(index, lane).ok_or(Errno::E2BIG)?;
            fill_from(into, from.slice(lane as usize * into.len(), into.len()).map_err(|_| Errno::EINVAL)?)?;
        }
        Ok(())
    }

    fn sys_next_key(&self, _on: &OnCpu<'_>, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
        next_index(self.def.max_entries, key, next)
    }

    fn mmap(&self, offset: usize, len: usize, _how: Mmap) -> Result<Region, Errno> {
        // `percpu_array_map_ops` has no `map_mmap`.
        if self.def.is_per_cpu() {
            return Err(Errno::ENOTSUPP);
        }
        let Memory::Pages(pages) = &self.memory else { return Err(Errno::EINVAL) };
        let end = offset.checked_add(len).and_then(|end| end.checked_next_multiple_of(self.page_size));
        let end = end.filter(|end| *end <= pages.bytes().len()).ok_or(Errno::EINVAL)?;
        if offset % self.page_size != 0 || len == 0 {
            return Err(Errno::EINVAL);
        }
        Ok(Region { pages: pages.clone(), offset, len: end - offset })
    }
}
