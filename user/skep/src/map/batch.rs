//! Many elements in one call.

use super::{Map, When};
use crate::error::{Error, ErrorKind, Result};
use skep_abi::Errno;
use skep_sys::{BatchStep, BatchThen};

/// A key and a value, as bytes.
type Element = (Vec<u8>, Vec<u8>);

/// Elements asked for at once.
const FIRST: u32 = 256;
/// The most bytes of keys and values that are asked for at once.
const MOST_BYTES: usize = 1 << 20;

impl Map {
    /// Reads all elements, many at once where the kernel can (Linux 5.6), else one by one. Of a hash, each element that is
    /// there all the time is read exactly once, as its buckets are locked one after the other
    /// (`__htab_map_lookup_and_delete_batch`, kernel/bpf/hashtab.c); of other kinds it is as [`super::Keys`] says.
    ///
    /// # Errors
    /// As [`Map::lookup`] and [`super::Keys`].
    pub fn read_all(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        match self.batches(BatchThen::Keep)? {
            Some(all) => Ok(all),
            None => self.iter().collect(),
        }
    }

    /// Takes all elements out, many at once where the kernel can (Linux 5.6), else one by one.
    ///
    /// # Errors
    /// As [`Map::take`] and [`super::Keys`]; what was taken out before the error is gone.
    pub fn drain(&self) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
        if let Some(all) = self.batches(BatchThen::Delete)? {
            return Ok(all);
        }
        let mut all = Vec::new();
        for key in self.keys() {
            let key = key?;
            if let Some(value) = self.take(&key)? {
                all.push((key, value));
            }
        }
        Ok(all)
    }

    /// Stores many elements, at once where the kernel can (Linux 5.6).
    ///
    /// # Errors
    /// Of the first element that cannot be stored; those before it are.
    pub fn insert_all<K: AsRef<[u8]>, V: AsRef<[u8]>>(&self, elements: &[(K, V)]) -> Result<()> {
        self.check_sizes(elements.iter().map(|(key, value)| (key.as_ref(), value.as_ref().len())))?;
        for chunk in elements.chunks(self.per_batch() as usize) {
            let mut keys = Vec::with_capacity(chunk.len() * self.key_size());
            let mut values = Vec::with_capacity(chunk.len() * self.value_stride());
            for (key, value) in chunk {
                keys.extend_from_slice(key.as_ref());
                values.extend_from_slice(value.as_ref());
            }
            match self.fd.update_batch(&keys, &values, chunk.len() as u32, When::Any.flags()) {
                Ok(_) => {}
                Err((error, 0)) if has_no_batches(error.errno()) => {
                    for (key, value) in chunk {
                        self.insert(key.as_ref(), value.as_ref())?;
                    }
                }
                Err((error, _)) => return Err(self.error("BPF_MAP_UPDATE_BATCH", error)),
            }
        }
        Ok(())
    }

    /// Deletes many keys, at once where the kernel can (Linux 5.6). Keys that are not there are passed over.
    ///
    /// # Errors
    /// As [`Map::delete`].
    pub fn delete_all<K: AsRef<[u8]>>(&self, keys: &[K]) -> Result<()> {
        self.check_sizes(keys.iter().map(|key| (key.as_ref(), self.value_stride())))?;
        for chunk in keys.chunks(self.per_batch() as usize) {
            let mut bytes = Vec::with_capacity(chunk.len() * self.key_size());
            for key in chunk {
                bytes.extend_from_slice(key.as_ref());
            }
            match self.fd.delete_batch(&bytes, chunk.len() as u32) {
                Ok(_) => {}
                // The batch stops at a key that is not there, so the rest goes one by one.
                Err((error, done)) if has_no_batches(error.errno()) || error.errno() == Errno::ENOENT => {
                    for key in chunk.iter().skip(done as usize) {
                        self.delete(key.as_ref())?;
                    }
                }
                Err((error, _)) => return Err(self.error("BPF_MAP_DELETE_BATCH", error)),
            }
        }
        Ok(())
    }

    fn check_sizes<'k>(&self, elements: impl Iterator<Item = (&'k [u8], usize)>) -> Result<()> {
        let (key_size, value_size) = (self.key_size(), self.value_stride());
        for (index, (key, value)) in elements.enumerate() {
            if key.len() != key_size || value != value_size {
                let what = format!(
                    "element {index}: wanted a key of {key_size} and a value of {value_size} bytes, found {} and {value}",
                    key.len()
                );
                return Err(Error::new(ErrorKind::Setting, what).in_map(self.name()));
            }
        }
        Ok(())
    }

    /// How many elements go into one call.
    fn per_batch(&self) -> u32 {
        let each = (self.key_size() + self.value_stride()).max(1);
        FIRST.min(u32::try_from(MOST_BYTES / each).unwrap_or(u32::MAX)).max(1)
    }

    /// Reads everything in batches; `None` where this kind of map or this kernel has none.
    fn batches(&self, then: BatchThen) -> Result<Option<Vec<Element>>> {
        if self.key_size() == 0 {
            return Ok(None);
        }
        let call = match then {
            BatchThen::Keep => "BPF_MAP_LOOKUP_BATCH",
            BatchThen::Delete => "BPF_MAP_LOOKUP_AND_DELETE_BATCH",
        };
        let no_memory = || self.error(call, Errno::ENOMEM);
        let most = self.max_entries()?.max(1);
        let mut count = self.per_batch().min(most);
        let mut step = BatchStep::default();
        let mut all = Vec::new();
        // A hash that others fill may give more than it can hold, not without end.
        let enough = u64::from(most).saturating_mul(2).saturating_add(64);
        while !step.is_done() {
            let (mut keys, mut values) = (Vec::new(), Vec::new());
            let (key, value) = (self.key_size(), self.value_stride());
            for (list, size) in [(&mut keys, key), (&mut values, value)] {
                let len = size.checked_mul(count as usize).ok_or_else(no_memory)?;
                list.try_reserve_exact(len).map_err(|_| no_memory())?;
                list.resize(len, 0u8);
            }
            let read = match self.fd.lookup_batch(&mut step, &mut keys, &mut values, count, then) {
                Ok(read) => read.min(count) as usize,
                // A bucket with more than there was room for; twice the map's size is room for any.
                Err((error, _)) if error.errno() == Errno::ENOSPC && u64::from(count) < enough => {
                    count = count.saturating_mul(2);
                    continue;
                }
                Err((error, _)) if all.is_empty() && has_no_batches(error.errno()) => return Ok(None),
                // The key that a batch stood on was deleted (`generic_map_lookup_batch`, kernel/bpf/syscall.c); nothing is
                // lost where nothing is taken out.
                Err((error, _)) if error.errno() == Errno::EINTR && then == BatchThen::Keep => {
                    return Ok(None);
                }
                Err((error, _)) => return Err(self.error(call, error)),
            };
            let values = values.chunks_exact(value.max(1));
            all.extend(keys.chunks_exact(key).zip(values).take(read).map(|(k, v)| (k.to_vec(), v.to_vec())));
            if all.len() as u64 > enough {
                return Err(self.error(call, Errno::EBUSY).hint("it changes faster than it can be read"));
            }
        }
        Ok(Some(all))
    }
}

/// The answers of kernels and kinds of maps without batches (`bpf_map_do_batch`).
fn has_no_batches(errno: Errno) -> bool {
    [Errno::EINVAL, Errno::ENOTSUPP, Errno::EOPNOTSUPP].contains(&errno)
}
