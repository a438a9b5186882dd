//! Variables in an arena: those of address space 1, which clang gathers in one section.
//!
//! No map stands for the section. Its variables live in the one arena that `.maps` defines, at a place that the loader
//! chooses.

use crate::error::{ElfError, Problem};
use crate::image::{Section, SectionKind};
use skep_abi::MapType;
use skep_model::{DataKind, MapData, MapId, MapOrigin, MapSpec};

/// The name that clang gives the section (`BPFTargetMachine`: `.addr_space.` and the number).
pub(super) const SECTION: &str = ".addr_space.1";

/// Refuses a second arena, as libbpf does (`bpf_object__init_user_btf_maps`): a program uses one ("Only one arena per program", kernel/bpf/verifier.c).
pub(super) fn only_one(maps: &[MapSpec]) -> Result<(), ElfError> {
    match maps.iter().filter(|map| map.map_type == MapType::ARENA).nth(1) {
        Some(second) => {
            Err(ElfError::from(Problem::Unsupported("several maps of type arena")).in_symbol(&second.name))
        }
        None => Ok(()),
    }
}

/// Gives the section's variables to the arena among the maps; `None` where it has none.
pub(super) fn hold(section: &Section<'_>, maps: &mut [MapSpec]) -> Result<Option<MapId>, ElfError> {
    let bytes = match section.kind {
        SectionKind::Bytes => section.data.to_vec(),
        // Clang writes the zeroes out: to believe a size that the file does not have is for nobody.
        SectionKind::NoBits if section.size != 0 => {
            return Err(Problem::Unsupported("variables in an arena that the file does not hold").into());
        }
        SectionKind::NoBits | SectionKind::Code | SectionKind::Other => return Ok(None),
    };
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut arenas = maps.iter_mut().enumerate().filter(|(_, map)| map.map_type == MapType::ARENA);
    let (Some((index, arena)), None) = (arenas.next(), arenas.next()) else {
        let (target, wanted) = (section.name.to_owned(), "one map of type arena for its variables");
        return Err(Problem::BadTarget { target, wanted }.into());
    };
    let data = MapData { section: section.name.to_owned(), kind: DataKind::Arena, bytes };
    arena.origin = MapOrigin::Arena(Box::new(data));
    Ok(Some(MapId(index as u32)))
}
