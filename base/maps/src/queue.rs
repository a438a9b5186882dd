//! QUEUE and STACK: values without keys, first or last in first out (kernel/bpf/queue_stack_maps.c).

use crate::map::sized;
use crate::values::{check_lookup_flags, copy};
use crate::{Map, MapDef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use skep_abi::flags::BPF_EXIST;
use skep_abi::{Errno, MapType};
use skep_mem::{Block, Bytes, Guard, Host, Level, Locked, NoMemory, OnCpu, try_box};

/// Makes a queue or stack.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    Ok(try_box(Queue::new(host, def)?)?)
}

/// A queue or stack.
#[derive(Debug)]
struct Queue {
    def: MapDef,
    values: Block,
    held: Locked<Held>,
}

/// Which places hold values: `len` of them from `first` on, around the end.
#[derive(Debug, Default)]
struct Held {
    first: u32,
    len: u32,
}

/// What becomes of a value that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Keep,
    Remove,
}

impl Queue {
    fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<Queue, NoMemory> {
        let size = def.stride().checked_mul(def.max_entries as usize).ok_or(NoMemory)?;
        Ok(Queue { def: *def, values: Block::zeroed(size)?, held: Locked::new(host, Held::default()) })
    }

    fn lock(&self, on: &OnCpu<'_>) -> Result<Guard<'_, Held>, Errno> {
        match on.level() {
            Level::Nmi => self.held.try_lock().ok_or(Errno::EBUSY),
            _ => Ok(self.held.lock()),
        }
    }

    /// Gives the place `nth` after the first.
    fn place(&self, held: &Held, nth: u32) -> Result<Bytes<'_>, Errno> {
        let place = (u64::from(held.first) + u64::from(nth)) % u64::from(self.def.max_entries);
        let at = place as usize * self.def.stride();
        self.values.bytes().slice(at, self.def.value_size as usize).map_err(|_| Errno::EINVAL)
    }

    fn read(&self, on: &OnCpu<'_>, into: Bytes<'_>, then: Then) -> Result<(), Errno> {
        let into = sized(into, self.def.value_size as usize)?;
        let mut held = self.lock(on)?;
        let Some(last) = held.len.checked_sub(1) else {
            into.fill(0);
            return Err(Errno::ENOENT);
        };
        let is_queue = self.def.map_type == MapType::QUEUE;
        copy(into, self.place(&held, if is_queue { 0 } else { last })?)?;
        if then == Then::Remove {
            held.len = last;
            if is_queue {
                held.first = (held.first + 1) % self.def.max_entries;
            }
        }
        Ok(())
    }
}

impl Map for Queue {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        (size_of::<Queue>() + self.values.bytes().len()) as u64
    }

    fn update(&self, _on: &OnCpu<'_>, _key: Bytes<'_>, _value: Bytes<'_>, _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _on: &OnCpu<'_>, _key: Bytes<'_>) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    /// With `BPF_EXIST` a full map drops its oldest value.
    fn push(&self, on: &OnCpu<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags != 0 && flags != BPF_EXIST {
            return Err(Errno::EINVAL);
        }
        let value = sized(value, self.def.value_size as usize)?;
        let mut held = self.lock(on)?;
        if held.len == self.def.max_entries {
            if flags != BPF_EXIST {
                return Err(Errno::E2BIG);
            }
            held.first = (held.first + 1) % self.def.max_entries;
            held.len -= 1;
        }
        copy(self.place(&held, held.len)?, value)?;
        held.len += 1;
        Ok(())
    }

    fn pop(&self, on: &OnCpu<'_>, into: Bytes<'_>) -> Result<(), Errno> {
        self.read(on, into, Then::Remove)
    }

    fn peek(&self, on: &OnCpu<'_>, into: Bytes<'_>) -> Result<(), Errno> {
        self.read(on, into, Then::Keep)
    }

    fn sys_lookup(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        sized(key, 0)?;
        self.peek(on, into)
    }

    fn sys_update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        sized(key, 0)?;
        self.push(on, value, flags)
    }

    fn sys_take(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        sized(key, 0)?;
        self.pop(on, into)
    }

    fn sys_next_key(&self, _on: &OnCpu<'_>, _key: Option<Bytes<'_>>, _next: Bytes<'_>) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }
}
