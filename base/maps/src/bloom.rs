//! BLOOM_FILTER: a set that may hold a little more than was put in, never less (kernel/bpf/bloom_filter.c).

use crate::map::sized;
use crate::values::{check_lookup_flags, hash_key};
use crate::{Map, MapDef};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use skep_abi::Errno;
use skep_abi::flags::{BPF_ANY, BPF_F_ZERO_SEED};
use skep_mem::{Block, Bytes, Host, NoMemory, OnCpu, try_box};

/// How many hashes there are where `map_extra` does not say.
const DEFAULT_HASHES: u64 = 5;

/// Makes a filter.
pub(crate) fn make(host: &Arc<dyn Host>, def: &MapDef) -> Result<Box<dyn Map>, Errno> {
    Ok(try_box(Bloom::new(host, def)?)?)
}

/// A filter.
#[derive(Debug)]
struct Bloom {
    def: MapDef,
    bits: Block,
    /// The number of bits less one.
    mask: u32,
    hashes: u64,
    seed: u64,
}

impl Bloom {
    fn new(host: &Arc<dyn Host>, def: &MapDef) -> Result<Bloom, NoMemory> {
        let hashes = if def.extra == 0 { DEFAULT_HASHES } else { def.extra };
        // The number of bits that makes false answers rarest is n * k / ln 2, rounded up to a power of two
        // (bloom_map_alloc uses 7/5 for 1 / ln 2).
        let bits = (u64::from(def.max_entries) * hashes / 5).saturating_mul(7);
        let bits = bits.clamp(32, 1 << 32).next_power_of_two();
        let seed = match (def.flags & BPF_F_ZERO_SEED, host.random()) {
            (0, Some(random)) => u64::from(random.next_u32()),
            _ => 0,
        };
        let bytes = usize::try_from(bits / 8).map_err(|_| NoMemory)?;
        Ok(Bloom { def: *def, bits: Block::zeroed(bytes)?, mask: (bits - 1) as u32, hashes, seed })
    }

    /// Gives the words and bits of a value.
    fn places<'s>(&'s self, value: Bytes<'s>) -> impl Iterator<Item = (&'s AtomicU32, u32)> {
        (0..self.hashes).map(move |nth| {
            let bit = hash_key(value, self.seed + nth) & self.mask;
            (&self.bits.words()[bit as usize / 32], 1 << (bit % 32))
        })
    }
}

impl Map for Bloom {
    fn def(&self) -> &MapDef {
        &self.def
    }

    fn mem_usage(&self) -> u64 {
        (size_of::<Bloom>() + self.bits.bytes().len()) as u64
    }

    fn update(&self, _on: &OnCpu<'_>, _key: Bytes<'_>, _value: Bytes<'_>, _flags: u64) -> Result<(), Errno> {
        Err(Errno::EINVAL)
    }

    fn delete(&self, _on: &OnCpu<'_>, _key: Bytes<'_>) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    fn push(&self, _on: &OnCpu<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        if flags != BPF_ANY {
            return Err(Errno::EINVAL);
        }
        let value = sized(value, self.def.value_size as usize)?;
        for (word, bit) in self.places(value) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    fn peek(&self, _on: &OnCpu<'_>, value: Bytes<'_>) -> Result<(), Errno> {
        let value = sized(value, self.def.value_size as usize)?;
        match self.places(value).all(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0) {
            true => Ok(()),
            false => Err(Errno::ENOENT),
        }
    }

    /// Here `into` holds the value to look for, and stays as it is.
    fn sys_lookup(&self, on: &OnCpu<'_>, _key: Bytes<'_>, into: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        check_lookup_flags(flags)?;
        self.peek(on, into)
    }

    fn sys_update(&self, on: &OnCpu<'_>, _key: Bytes<'_>, value: Bytes<'_>, flags: u64) -> Result<(), Errno> {
        self.push(on, value, flags)
    }

    fn sys_next_key(&self, _on: &OnCpu<'_>, _key: Option<Bytes<'_>>, _next: Bytes<'_>) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }
}
