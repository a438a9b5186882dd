//! Walks over a map.

use super::Map;
use crate::error::Result;
use skep_abi::{Errno, MapType};
use skep_btf::Value;
use skep_model::platform::Platform;
use skep_model::platform::maps::Access;
use std::collections::BTreeSet;
use std::fmt;

/// An element, read by its types.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<'m> {
    /// The key; of a map without a key type, its bytes as an array.
    pub key: Value<'m>,
    /// The value.
    pub value: EntryValue<'m>,
}

/// A value, read by its type; of a map without a value type, its bytes as an array.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryValue<'m> {
    /// The value.
    One(Value<'m>),
    /// A value for each CPU.
    PerCpu(Vec<Value<'m>>),
}

impl fmt::Display for EntryValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EntryValue::One(value) => value.fmt(f),
            EntryValue::PerCpu(values) => {
                for (cpu, value) in values.iter().enumerate() {
                    let gap = if cpu == 0 { "" } else { ", " };
                    write!(f, "{gap}CPU {cpu}: {value}")?;
                }
                Ok(())
            }
        }
    }
}

/// The keys of a map, each once.
///
/// What holds while others change the map:
/// - A key that is there all the time is given, but of a hash with preallocated elements (all without
///   `BPF_F_NO_PREALLOC`). The kernel's order of keys does not change while they stay, and where the key that the walk
///   stands on is deleted, it starts again from the front (`htab_map_get_next_key`, kernel/bpf/hashtab.c). A preallocated
///   element that is deleted is used again at once, perhaps in another bucket (`free_htab_elem`, `alloc_htab_elem`
///   there): where that happens while the kernel goes from it to the one behind it, without a lock, the walk goes on in
///   the other bucket, and what it has not read of the one that it left is missing, or is met again and passed over. The
///   key may be read while it is overwritten, too, and be a mixture of two.
/// - No key is given twice: what was seen is passed over, one that was deleted and stored again meanwhile too.
/// - A key that is stored or deleted meanwhile may be given or not.
/// - The walk ends: where the map changes faster than it is read, after eight times as many steps as it has room for
///   elements, with `EBUSY`.
///
/// The next key is asked for before one is given out, so whoever walks may delete the element that the walk stands on.
/// [`Map::read_all`] holds a part of a hash still while it reads it, and makes fewer calls.
pub struct Keys<'m> {
    map: &'m Map,
    walk: Walk,
}

enum Walk {
    /// All indices of an array.
    Index { next: u32, end: u32 },
    /// By `BPF_MAP_GET_NEXT_KEY`.
    Next { next: Option<Vec<u8>>, seen: BTreeSet<Box<[u8]>>, steps: u64, most: u64 },
    /// Before the first.
    Start,
    /// After the last.
    End,
}

impl<'m> Keys<'m> {
    fn start(&mut self) -> Result<()> {
        let access = Platform::LINUX_6_18.map(self.map.map_type()).map(|row| row.access);
        let entries = self.map.max_entries()?;
        self.walk = match access {
            Some(Access::Index) => Walk::Index { next: 0, end: entries },
            Some(Access::Ends | Access::Records | Access::Memory) => Walk::End,
            _ => {
                let most = u64::from(entries) * 8 + 1024;
                Walk::Next { next: self.after(None)?, seen: BTreeSet::new(), steps: 0, most }
            }
        };
        Ok(())
    }

    fn after(&self, key: Option<&[u8]>) -> Result<Option<Vec<u8>>> {
        let mut next = vec![0; self.map.key_size()];
        match self.map.fd.next_key(key, &mut next) {
            Ok(()) => Ok(Some(next)),
            Err(error) if error.errno() == Errno::ENOENT => Ok(None),
            Err(error) => Err(self.map.error("BPF_MAP_GET_NEXT_KEY", error)),
        }
    }

    fn step(&mut self) -> Result<Option<Vec<u8>>> {
        if let Walk::Start = self.walk {
            self.start()?;
        }
        loop {
            let key = match &mut self.walk {
                Walk::Start | Walk::End => return Ok(None),
                Walk::Index { next, end } => {
                    if next == end {
                        return Ok(None);
                    }
                    let key = next.to_ne_bytes().to_vec();
                    *next += 1;
                    return Ok(Some(key));
                }
                Walk::Next { next, steps, most, .. } => {
                    let Some(key) = next.take() else { return Ok(None) };
                    *steps += 1;
                    if steps > most {
                        let what = "it changes faster than it can be read";
                        return Err(self.map.error("BPF_MAP_GET_NEXT_KEY", Errno::EBUSY).hint(what));
                    }
                    key
                }
            };
            let following = self.after(Some(&key))?;
            if let Walk::Next { next, seen, .. } = &mut self.walk {
                *next = following;
                if seen.insert(key.clone().into_boxed_slice()) {
                    return Ok(Some(key));
                }
            }
        }
    }
}

impl Iterator for Keys<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Result<Vec<u8>>> {
        let step = self.step();
        if step.is_err() {
            self.walk = Walk::End;
        }
        step.transpose()
    }
}

impl fmt::Debug for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.map.name())
    }
}

/// The elements of a map, read by their types; see [`Keys`] for what happens when others change it meanwhile.
#[derive(Debug)]
pub struct Entries<'m> {
    keys: Keys<'m>,
}

impl<'m> Iterator for Entries<'m> {
    type Item = Result<Entry<'m>>;

    fn next(&mut self) -> Option<Result<Entry<'m>>> {
        let map = self.keys.map;
        let found = map.next_found(&mut self.keys)?;
        Some(found.map(|(key, value)| Entry {
            key: map.decode_key(&key).unwrap_or_else(|| raw(&key)),
            value: map.entry_value(&value),
        }))
    }
}

/// Bytes as a value, where there is no type for them.
fn raw<'m>(bytes: &[u8]) -> Value<'m> {
    Value::Array(bytes.iter().map(|byte| Value::Unsigned((*byte).into())).collect())
}

impl Map {
    /// Walks over the keys: of an array all indices, of queues and rings none.
    pub fn keys(&self) -> Keys<'_> {
        Keys { map: self, walk: Walk::Start }
    }

    /// Walks over keys and values as bytes; what is deleted meanwhile, and empty slots of maps of maps and programs,
    /// are passed over.
    pub fn iter(&self) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> + '_ {
        let mut keys = self.keys();
        std::iter::from_fn(move || self.next_found(&mut keys))
    }

    /// Walks over keys and values, read by their types.
    pub fn entries(&self) -> Entries<'_> {
        Entries { keys: self.keys() }
    }

    /// Reads what a look-up gave by the type of values.
    pub fn entry_value(&self, value: &[u8]) -> EntryValue<'_> {
        let read = |value: &[u8]| self.decode_value(value).unwrap_or_else(|| raw(value));
        match self.is_per_cpu() {
            true => EntryValue::PerCpu(self.split_cpus(value).map(read).collect()),
            false => EntryValue::One(read(value)),
        }
    }

    /// Tells whether it has a value for each CPU.
    pub fn is_per_cpu(&self) -> bool {
        use skep_model::platform::maps::Copies;
        let row = Platform::LINUX_6_18.map(self.map_type());
        row.is_some_and(|row| row.copies == Copies::PerCpu)
    }

    fn next_found(&self, keys: &mut Keys<'_>) -> Option<Result<(Vec<u8>, Vec<u8>)>> {
        loop {
            let key = match keys.next()? {
                Ok(key) => key,
                Err(error) => return Some(Err(error)),
            };
            match self.lookup(&key) {
                Ok(Some(value)) => return Some(Ok((key, value))),
                Ok(None) => {}
                // A map of programs cannot be read before Linux 4.11, a perf-event array not at all.
                Err(error) => {
                    keys.walk = Walk::End;
                    let cannot = [Some(Errno::ENOTSUPP), Some(Errno::EOPNOTSUPP)].contains(&error.errno());
                    let never = self.map_type() == MapType::PERF_EVENT_ARRAY;
                    return if cannot && never { None } else { Some(Err(error)) };
                }
            }
        }
    }
}
