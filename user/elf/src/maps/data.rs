//! Data sections, which become arrays of one value.

use crate::error::{ElfError, Problem};
use crate::image::{Section, SectionKind};
use skep_abi::{MapType, flags::BPF_F_RDONLY_PROG};
use skep_btf::Btf;
use skep_model::{BtfId, DataKind, MapData, MapOrigin, MapSpec, Pinning};

/// The largest section that becomes a map: an array's value is at most `KMALLOC_MAX_SIZE` where it is not mapped, and
/// this many bytes anywhere (`array_map_alloc_check`).
const MOST: u64 = i32::MAX as u64;

/// How many zero bytes the sections of one object that merely claim their size are given in memory, all together. One that
/// would take more is known by its size alone: the kernel zeroes its map by itself.
pub(super) const ZEROES: usize = 16 << 20;

/// What a data section is for, by its name; `None` where it becomes no map.
pub(crate) fn data_kind(section: &str) -> Option<DataKind> {
    let is = |prefix: &str| {
        section.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if is(".rodata") {
        Some(DataKind::ReadOnly)
    } else if is(".data") {
        Some(DataKind::Initialised)
    } else if is(".bss") {
        Some(DataKind::Zero)
    } else {
        None
    }
}

/// Finds the map that a section becomes; `zeroes` is what is left of [`ZEROES`].
pub(super) fn find(
    section: &Section<'_>,
    btf: Option<&Btf<'_>>,
    zeroes: &mut usize,
) -> Result<Option<MapSpec>, ElfError> {
    let Some(kind) = data_kind(section.name) else { return Ok(None) };
    let (size, bytes) = match section.kind {
        SectionKind::Bytes => (section.data.len() as u64, section.data.to_vec()),
        SectionKind::NoBits if section.size > MOST => {
            return Err(Problem::OutsideSection { start: 0, size: section.size, section: MOST }.into());
        }
        SectionKind::NoBits => (section.size, take_zeroes(section.size as usize, zeroes)?),
        SectionKind::Code | SectionKind::Other => return Ok(None),
    };
    if size == 0 {
        return Ok(None);
    }
    if size > MOST {
        return Err(Problem::OutsideSection { start: 0, size, section: MOST }.into());
    }
    let value_type = btf.and_then(|btf| btf.datasec(section.name)).map(|(id, _)| BtfId(id.0));
    Ok(Some(MapSpec {
        name: section.name.to_owned(),
        map_type: MapType::ARRAY,
        key_size: 4,
        value_size: size as u32,
        max_entries: 1,
        flags: match kind {
            DataKind::ReadOnly => BPF_F_RDONLY_PROG,
            DataKind::Initialised | DataKind::Zero | DataKind::Kconfig | DataKind::Arena => 0,
        },
        extra: 0,
        numa_node: None,
        pinning: Pinning::None,
        key_type: None,
        value_type,
        inner: None,
        initial: Vec::new(),
        origin: MapOrigin::Data(Box::new(MapData { section: section.name.to_owned(), kind, bytes })),
    }))
}

/// Gives zero bytes where the object has not had too many yet, else none.
fn take_zeroes(len: usize, left: &mut usize) -> Result<Vec<u8>, ElfError> {
    let Some(rest) = left.checked_sub(len) else { return Ok(Vec::new()) };
    *left = rest;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| Problem::TooLarge)?;
    bytes.resize(len, 0);
    Ok(bytes)
}
