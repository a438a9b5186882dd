//! LPM_TRIE: values by prefix, found by the longest that matches (kernel/bpf/lpm_trie.c).
//!
//! Linux keeps a trie; here prefixes are elements of a hash, and a look-up tries each length that occurs, longest
//! first. Results are the same; `get_next_key` has another order, which Linux does not promise either, and shows the
//! bits beyond a prefix as zero, where Linux shows what was stored.

use crate::hash::{Added, Hash};
use crate::map::sized;
use crate::{Map, MapDef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_mem::{Block, Bytes, Host, NoMemory, OnCpu, try_box};

/// The bytes of the prefix length before the data, and the most bytes of data (`LPM_DATA_SIZE_MAX`).
const LENGTH: usize = 4;
const MAX_DATA: usize = 256;

/// Makes a set of prefixes.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    Ok(try_box(Lpm::new(host, def)?)?)
}

/// A set of prefixes.
#[derive(Debug)]
struct Lpm {
    prefixes: Hash,
    /// For each length the number of prefixes, or of those about to be added.
    lengths: Block,
}

/// A key with the bits beyond its prefix cleared.
struct Prefix {
    bytes: [u8; LENGTH + MAX_DATA],
    size: usize,
}

impl Prefix {
    fn as_bytes(&mut self) -> Bytes<'_> {
        Bytes::from_mut(&mut self.bytes[..self.size])
    }

    fn len(&self) -> u32 {
        u32::from_ne_bytes([self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]])
    }

    /// Shortens the prefix to `len` bits.
    fn cut(&mut self, len: u32) {
        self.bytes[..LENGTH].copy_from_slice(&len.to_ne_bytes());
        let (whole, bits) = (LENGTH + len as usize / 8, len % 8);
        if let Some(partial) = self.bytes.get_mut(whole) {
            *partial &= !(0xff >> bits);
        }
        if let Some(rest) = self.bytes.get_mut(whole + 1..) {
            rest.fill(0);
        }
    }
}

impl Lpm {
    fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<Lpm, NoMemory> {
        let lengths = (def.key_size as usize - LENGTH) * 8 + 1;
        Ok(Lpm { prefixes: Hash::new(host, def)?, lengths: Block::zeroed(lengths * size_of::<u32>())? })
    }

    fn lengths(&self) -> &[AtomicU32] {
        self.lengths.words()
    }

    /// Copies a key; `EINVAL` where its length is more than its bits.
    fn prefix(&self, key: Bytes<'_>) -> Result<Prefix, Errno> {
        let size = self.def().key_size as usize;
        let mut prefix = Prefix { bytes: [0; LENGTH + MAX_DATA], size };
        sized(key, size)?.copy_out(0, &mut prefix.bytes[..size]).map_err(|_| Errno::EINVAL)?;
        let len = prefix.len();
        if len as usize >= self.lengths().len() {
            return Err(Errno::EINVAL);
        }
        prefix.cut(len);
        Ok(prefix)
    }

    fn length(&self, prefix: &Prefix) -> &AtomicU32 {
        &self.lengths()[prefix.len() as usize]
    }

    /// Finds the prefix that a look-up means: the longest that matches `key`.
    fn longest(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Option<Prefix> {
        let mut prefix = self.prefix(key).ok()?;
        for len in (0..=prefix.len()).rev() {
            if self.lengths()[len as usize].load(Ordering::Acquire) == 0 {
                continue;
            }
            prefix.cut(len);
            if self.prefixes.lookup(on, prefix.as_bytes()).is_some() {
                return Some(prefix);
            }
        }
        None
    }
}

impl Map for Lpm {
    fn def(&self) -> &MapDef {
        self.prefixes.def()
    }

    fn mem_usage(&self) -> u64 {
        self.prefixes.mem_usage() + self.lengths.bytes().len() as u64
    }

    fn lookup_lane(&self, on: &OnCpu<'_>, key: Bytes<'_>, _cpu: u32) -> Option<Bytes<'_>> {
        let mut prefix = self.longest(on, key)?;
        self.prefixes.lookup(on, prefix.as_bytes())
    }

    fn update(&self, on: &OnCpu<'_>, key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let mut prefix = self.prefix(key)?;
        // Counted before it is there, and taken back if it was there already, or does not come.
        self.length(&prefix).fetch_add(1, Ordering::AcqRel);
        let added = self.prefixes.insert_element(on, prefix.as_bytes(), value, flags);
        if added != Ok(Added::New) {
            self.length(&prefix).fetch_sub(1, Ordering::AcqRel);
        }
        match added {
            // trie_check_add_elem: a full trie says so in its own way.
            Err(Errno::E2BIG) => Err(Errno::ENOSPC),
            added => added.map(drop),
        }
    }

    fn delete(&self, on: &OnCpu<'_>, key: Bytes<'_>) -> Result<(), Errno> {
        let mut prefix = self.prefix(key)?;
        self.prefixes.delete(on, prefix.as_bytes())?;
        self.length(&prefix).fetch_sub(1, Ordering::AcqRel);
        Ok(())
    }

    fn values(&self) -> Option<Bytes<'_>> {
        self.prefixes.values()
    }

    fn sys_lookup(&self, on: &OnCpu<'_>, key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        let mut prefix = self.longest(on, key).ok_or(Errno::ENOENT)?;
        self.prefixes.sys_lookup(on, prefix.as_bytes(), into, flags)
    }

    fn sys_next_key(&self, on: &OnCpu<'_>, key: Option<Bytes<'_>>, next: Bytes<'_>) -> Result<(), Errno> {
        match key.map(|key| self.prefix(key)) {
            Some(Ok(mut prefix)) => self.prefixes.sys_next_key(on, Some(prefix.as_bytes()), next),
            // trie_get_next_key: a key that is none starts over.
            _ => self.prefixes.sys_next_key(on, None, next),
        }
    }
}
