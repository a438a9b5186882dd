//! Definitions of up to seven words in `maps` and `maps/NAME`, as aya's programs and older ones carry them.
//!
//! The words are `type, key_size, value_size, max_entries, map_flags, id, pinning`; the last two may be missing, and
//! `id` means nothing to a loader (aya's `bpf_map_def`, `aya-ebpf-bindings`). iproute2's `struct bpf_elf_map` goes on with
//! `inner_id` and `inner_idx`, which say what goes into a map of maps: they ask for nothing where the section has none (lib/bpf_legacy.c,
//! `bpf_maps_attach_all`), and a map of maps that has them is refused. Words behind those must be zero.

use super::Found;
use crate::error::{ElfError, Problem};
use crate::image::{Image, Section};
use skep_abi::MapType;
use skep_isa::ByteOrder;
use skep_model::{MapOrigin, MapSpec, Pinning};

const LEAST: u64 = 20;
const WORDS: usize = 7;
/// With those that are about inner maps.
const WITH_INNER: usize = 9;
const OF_MAPS: [MapType; 2] = [MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS];

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
        let mut words = [0; WORDS];
        for (word, chunk) in words.iter_mut().zip(bytes.chunks_exact(4)) {
            let chunk = [chunk[0], chunk[1], chunk[2], chunk[3]];
            *word = match image.order {
                ByteOrder::Little => u32::from_le_bytes(chunk),
                ByteOrder::Big => u32::from_be_bytes(chunk),
            };
        }
        let [map_type, key_size, value_size, max_entries, flags, _id, pinning] = words;
        let known = if OF_MAPS.contains(&MapType(map_type)) { WORDS } else { WITH_INNER };
        if bytes.iter().skip(4 * known).any(|byte| *byte != 0) {
            return Err(fail(Problem::LegacyTooLong { found: size }));
        }
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
