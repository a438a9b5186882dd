//! Maps: one file per form of definition, and the list that instructions refer to.

mod arena;
mod btf;
mod data;
mod legacy;
mod struct_ops;

use crate::error::{ElfError, Problem};
use crate::functions::Functions;
use crate::image::{Home, Image, SecIdx, SymIdx};
use skep_btf::Btf;
use skep_model::{MapId, MapOrigin, MapSpec, RelocTarget};
use std::collections::BTreeMap;

pub(crate) use btf::definition;
pub(crate) use data::data_kind;

/// The maps of an object, and what part of which section each stands for.
#[derive(Debug)]
pub(crate) struct Maps {
    pub(crate) specs: Vec<MapSpec>,
    /// By section and offset of the definition.
    defined: BTreeMap<(SecIdx, u64), MapId>,
    /// Sections that are one map as a whole, in their order.
    data: Vec<(SecIdx, MapId)>,
}

/// One definition found: where it is, and what it says.
struct Found {
    section: SecIdx,
    offset: u64,
    spec: MapSpec,
}

impl Maps {
    /// What the maps are, without where they are.
    pub(crate) fn into_specs(self) -> Vec<MapSpec> {
        self.specs
    }

    pub(crate) fn find(
        image: &Image<'_>,
        btf: Option<&Btf<'_>>,
        functions: &Functions<'_>,
    ) -> Result<Maps, ElfError> {
        // About as many as there are: more only where a section defines some that no symbol names.
        let expected = image.sections().map(|section| match section.name {
            ".maps" => image.symbols_in(section.index).count(),
            name => usize::from(data_kind(name).is_some()),
        });
        let mut maps =
            Maps { specs: Vec::with_capacity(expected.sum()), defined: BTreeMap::new(), data: Vec::new() };
        let mut names = BTreeMap::new();
        let mut add = |maps: &mut Maps, spec: MapSpec| {
            let id = MapId(maps.specs.len() as u32);
            if names.insert(spec.name.clone(), id).is_some() {
                return Err(ElfError::from(Problem::Twice(spec.name.clone())).in_symbol(&spec.name));
            }
            maps.specs.push(spec);
            Ok(id)
        };
        let mut slots = Vec::new();
        for section in image.sections() {
            let found = match section.name {
                ".maps" => btf::find(image, &section, btf, &mut slots),
                name if legacy::is_section(name) => legacy::find(image, &section),
                _ => continue,
            };
            for found in found.map_err(|error| error.in_section(section.name))? {
                let id = add(&mut maps, found.spec).map_err(|error| error.in_section(section.name))?;
                maps.defined.insert((found.section, found.offset), id);
            }
        }
        arena::only_one(&maps.specs).map_err(|error| error.in_section(".maps"))?;
        let mut zeroes = data::ZEROES;
        for section in image.sections() {
            let found = data::find(&section, btf, &mut zeroes);
            if let Some(spec) = found.map_err(|error| error.in_section(section.name))? {
                let id = add(&mut maps, spec).map_err(|error| error.in_section(section.name))?;
                maps.data.push((section.index, id));
            }
        }
        for section in image.sections().filter(|section| section.name == arena::SECTION) {
            let found = arena::hold(&section, &mut maps.specs);
            if let Some(id) = found.map_err(|error| error.in_section(section.name))? {
                maps.data.push((section.index, id));
            }
        }
        maps.data.sort_unstable();
        maps.data.shrink_to_fit();
        btf::fill_slots(image, functions, &mut maps, &slots).map_err(|error| error.in_section(".maps"))?;
        Ok(maps)
    }

    /// Adds the structs of functions, which come last.
    pub(crate) fn add_struct_ops(
        &mut self,
        image: &Image<'_>,
        btf: Option<&Btf<'_>>,
        functions: &Functions<'_>,
    ) -> Result<(), ElfError> {
        for section in image.sections() {
            let found = struct_ops::find(image, &section, btf, functions);
            for found in found.map_err(|error| error.in_section(section.name))? {
                if self.specs.iter().any(|spec| spec.name == found.spec.name) {
                    let error = ElfError::from(Problem::Twice(found.spec.name.clone()));
                    return Err(error.in_section(section.name).in_symbol(&found.spec.name));
                }
                self.defined.insert((found.section, found.offset), MapId(self.specs.len() as u32));
                self.specs.push(found.spec);
            }
        }
        Ok(())
    }

    /// The map whose definition starts at a place.
    pub(crate) fn defined_at(&self, section: SecIdx, offset: u64) -> Option<MapId> {
        self.defined.get(&(section, offset)).copied()
    }

    /// What an LDDW with a relocation to a symbol in a section means; `None` where the section holds no maps.
    pub(crate) fn target(
        &self,
        image: &Image<'_>,
        symbol: SymIdx,
        addend: u64,
    ) -> Option<Result<RelocTarget, Problem>> {
        let Home::Section(section) = image.symbol(symbol).home else { return None };
        let offset = image.symbol(symbol).value.wrapping_add(addend);
        let bad =
            |wanted| Problem::BadTarget { target: format!("{}+{addend:#x}", image.describe(symbol)), wanted };
        if let Ok(at) = self.data.binary_search_by_key(&section, |(section, _)| *section) {
            let map = self.data[at].1;
            let spec = &self.specs[map.0 as usize];
            let size = match &spec.origin {
                MapOrigin::Arena(data) => data.bytes.len() as u64,
                _ => u64::from(spec.value_size),
            };
            return Some(match offset <= size {
                true => Ok(RelocTarget::MapValue { map, offset: offset as u32 }),
                false => Err(bad("a byte inside the data section")),
            });
        }
        let name = image.section(section).name;
        if name != ".maps" && !legacy::is_section(name) {
            return None;
        }
        Some(self.defined_at(section, offset).map(RelocTarget::Map).ok_or_else(|| bad("the start of a map")))
    }
}
