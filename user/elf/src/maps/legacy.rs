//! Definitions of up to seven words in `maps` and `maps/NAME`, as aya's programs and older ones carry them.
//!
//! The words are `type, key_size, value_size, max_entries, map_flags, id, pinning`; the last two may be missing, and
//! `id` means nothing to a loader (aya's `bpf_map_def`, `aya-ebpf-bindings`). Words behind them must be zero: then whoever
//! gave them a meaning asks for nothing by them (iproute2's `struct bpf_elf_map` goes on with inner maps).

use super::Found;
use crate::error::{ElfError, Problem};
use crate::image::{Image, Section};
use skep_abi::MapType;
use skep_isa::ByteOrder;
use skep_model::{MapOrigin, MapSpec, Pinning};

const LEAST: u64 = 20;
const WORDS: usize = 7;

/// Says whether a section of that name holds such definitions; the last is where the infrared decoders of v4l-utils have
/// theirs (`utils/keytable/bpf_load.c`).
pub(super) fn is_section(name: &str) -> bool {
    matches!(name, "maps" | "lirc_mode2/maps") || name.starts_with("maps/")
}

pub(super) fn find(image: &Image<'_>, section: &Section<'_>) -> Result<Vec<Found>, ElfError> {
    let mut symbols: Vec<_> =
        image.symbols_in(section.index).filter(|symbol| !symbol.name.is_empty()).collect();
    symbols.sort_by_key(|symbol| symbol.value);
    symbols.dedup_by_key(|symbol| symbol.value);
    let len = section.data.len() as u64;
    let mut found = Vec::new();
    for (i, symbol) in symbols.iter().enumerate() {
        let end = symbols.get(i + 1).map_or(len, |next| next.value).min(len);
        let size = if symbol.size == 0 { end.saturating_sub(symbol.value) } else { symbol.size };
        let fail = |problem: Problem| ElfError::from(problem).in_symbol(symbol.name).at_byte(symbol.value);
        if symbol.value.checked_add(size).is_none_or(|end| end > len) {
            return Err(fail(Problem::OutsideSection { start: symbol.value, size, section: len }));
        }
        if size < LEAST {
            return Err(fail(Problem::LegacyTooShort { found: size }));
        }
        if size % 4 != 0 {
            return Err(fail(Problem::OddSize { unit: 4, found: size }));
        }
        let start = symbol.value as usize;
        let bytes = &section.data[start..start + size as usize];
        if bytes.iter().skip(4 * WORDS).any(|byte| *byte != 0) {
            return Err(fail(Problem::LegacyTooLong { found: size }));
        }
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            let chunk = [chunk[0], chunk[1], chunk[2], chunk[3]];
            *word = match image.order {
                ByteOrder::Little => u32::from_le_bytes(chunk),
                ByteOrder::Big => u32::from_be_bytes(chunk),
            };
        }
        let [map_type, key_size, value_size, max_entries, flags, _id, pinning] = words;
        let pinning = match pinning {
            0 => Pinning::None,
            1 => Pinning::ByName,
            other => return Err(fail(Problem::BadPinning(other))),
        };
        found.push(Found {
            section: section.index,
            offset: symbol.value,
            spec: MapSpec {
                name: symbol.name.to_owned(),
                map_type: MapType(map_type),
                key_size,
                value_size,
                max_entries,
                flags,
                extra: 0,
                numa_node: None,
                pinning,
                key_type: None,
                value_type: None,
                inner: None,
                initial: Vec::new(),
                origin: MapOrigin::Legacy,
            },
        });
    }
    Ok(found)
}
