//! Definitions in `.maps`: variables whose struct type says, in BTF, what the map is.
//!
//! A number is written as the length of an array behind a pointer (`int (*max_entries)[1024]`) or as the one value of
//! an enumeration; a type is a pointer to it; `values` is an array of pointers to an inner definition or to functions
//! (the convention of libbpf's `bpf_helpers.h` macros `__uint`, `__ulong`, `__type`, `__array`).

use super::{Found, Maps};
use crate::error::{ElfError, Problem};
use crate::functions::Functions;
use crate::image::{Home, Image, R_BPF_64_ABS64, SecIdx, Section};
use skep_abi::MapType;
use skep_btf::{Btf, Def, Type, TypeId};
use skep_model::{BtfId, InitialSlot, MapOrigin, MapSpec, Pinning, SlotTarget};
use std::collections::BTreeMap;

/// Where a map's `values` are, to fill its slots from the relocations there.
pub(super) struct Slots {
    section: SecIdx,
    map_offset: u64,
    /// Of the first slot in the section.
    first: u64,
    /// Where the variable ends.
    end: u64,
    name: String,
}

/// A pointer's size in an object for the BPF target.
const POINTER: u64 = 8;

pub(super) fn find(
    image: &Image<'_>,
    section: &Section<'_>,
    btf: Option<&Btf<'_>>,
    slots: &mut Vec<Slots>,
) -> Result<Vec<Found>, ElfError> {
    if section.data.is_empty() && section.size == 0 {
        return Ok(Vec::new());
    }
    let btf = btf.ok_or(Problem::NoBtf)?;
    let (_, datasec) = btf.datasec(".maps").ok_or(Problem::NoBtf)?;
    let symbols: BTreeMap<_, _> =
        image.symbols_in(section.index).map(|symbol| (symbol.name, symbol)).collect();
    let mut found = Vec::new();
    for variable in btf.variables(datasec) {
        let fail = |problem: Problem| ElfError::from(problem).in_symbol(variable.name);
        let Some(symbol) = symbols.get(variable.name) else {
            return Err(fail(Problem::BadTarget {
                target: variable.name.to_owned(),
                wanted: "a symbol in .maps",
            }));
        };
        let mut definition = Definition { btf, values: None };
        let spec = definition
            .read(variable.name, variable.type_id, Depth::Outer)
            .map_err(|error| error.in_symbol(variable.name))?;
        if let Some(values) = definition.values {
            slots.push(Slots {
                section: section.index,
                map_offset: symbol.value,
                first: symbol.value.saturating_add(values),
                end: symbol.value.saturating_add(symbol.size),
                name: variable.name.to_owned(),
            });
        }
        found.push(Found { section: section.index, offset: symbol.value, spec });
    }
    Ok(found)
}

/// Reads the definition that a variable of that type is.
pub(crate) fn definition(btf: &Btf<'_>, name: &str, type_id: TypeId) -> Result<MapSpec, ElfError> {
    Definition { btf, values: None }.read(name, type_id, Depth::Outer)
}

/// Fills the slots of maps of maps and of programs from the relocations of `.maps`.
pub(super) fn fill_slots(
    image: &Image<'_>,
    functions: &Functions<'_>,
    maps: &mut Maps,
    slots: &[Slots],
) -> Result<(), ElfError> {
    let Some(section) = image.named(".maps") else { return Ok(()) };
    for reloc in image.relocs(section.index) {
        let fail = |problem: Problem| ElfError::from(problem).at_byte(reloc.offset);
        if reloc.r_type != R_BPF_64_ABS64 {
            return Err(fail(Problem::UnknownRelocation(reloc.r_type)));
        }
        let slots =
            slots.iter().find(|s| s.section == section.index && (s.first..s.end).contains(&reloc.offset));
        let Some(slots) = slots else {
            return Err(fail(Problem::MisplacedRelocation("slot of a map's values")));
        };
        let fail = |problem: Problem| fail(problem).in_symbol(&slots.name);
        let index = (reloc.offset - slots.first) / POINTER;
        if (reloc.offset - slots.first) % POINTER != 0 {
            return Err(fail(Problem::MisplacedRelocation("slot of a map's values")));
        }
        let symbol = image.symbol(reloc.symbol);
        // The addend is what stands in the place: the offset within a section that the symbol names as a whole.
        let place = section.data.get(reloc.offset as usize..).and_then(|rest| rest.first_chunk());
        let place = place.ok_or_else(|| fail(Problem::MisplacedRelocation("room for a pointer")))?;
        let addend = match image.order {
            skep_isa::ByteOrder::Little => u64::from_le_bytes(*place),
            skep_isa::ByteOrder::Big => u64::from_be_bytes(*place),
        };
        let bad =
            || Problem::BadTarget { target: image.describe(reloc.symbol), wanted: "a map or a program" };
        let Home::Section(home) = symbol.home else { return Err(fail(bad())) };
        let offset = symbol.value.wrapping_add(addend);
        let target = match (maps.defined_at(home, offset), functions.at(home, (offset / 8) as usize)) {
            (Some(map), _) => SlotTarget::Map(map),
            (None, Some(function)) => SlotTarget::Program(functions.get(function).name.to_owned()),
            (None, None) => return Err(fail(bad())),
        };
        let map = maps.defined_at(slots.section, slots.map_offset).ok_or_else(|| fail(bad()))?;
        let spec = &mut maps.specs[map.0 as usize];
        let takes_programs = spec.map_type == MapType::PROG_ARRAY;
        if takes_programs != matches!(target, SlotTarget::Program(_)) {
            let wanted = if takes_programs { "a program" } else { "a map" };
            return Err(fail(Problem::BadTarget { target: image.describe(reloc.symbol), wanted }));
        }
        spec.initial.push(InitialSlot { index: index as u32, target });
    }
    Ok(())
}

/// Whether a definition may hold another.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Outer,
    Inner,
}

/// Reads one definition.
struct Definition<'b> {
    btf: &'b Btf<'b>,
    /// Offset of `values` in the struct in bytes.
    values: Option<u64>,
}

impl<'b> Definition<'b> {
    fn read(&mut self, name: &str, type_id: TypeId, depth: Depth) -> Result<MapSpec, ElfError> {
        let ty = self.btf.resolve(type_id)?;
        let Def::Struct(definition) = ty.def() else {
            return Err(Problem::BadMember {
                member: name.to_owned(),
                wanted: "a struct that defines a map",
            }
            .into());
        };
        let mut spec = MapSpec {
            name: name.to_owned(),
            map_type: MapType(0),
            key_size: 0,
            value_size: 0,
            max_entries: 0,
            flags: 0,
            extra: 0,
            numa_node: None,
            pinning: Pinning::None,
            key_type: None,
            value_type: None,
            inner: None,
            initial: Vec::new(),
            origin: MapOrigin::Btf,
        };
        let (mut has_type, mut key_size, mut value_size) = (false, None, None);
        for member in definition.members {
            let id = member.type_id;
            match member.name {
                "type" => {
                    spec.map_type = MapType(self.number(member.name, id)?);
                    has_type = true;
                }
                "max_entries" => spec.max_entries = self.number(member.name, id)?,
                "map_flags" => spec.flags = self.number(member.name, id)?,
                "numa_node" => spec.numa_node = Some(self.number(member.name, id)?),
                "map_extra" => spec.extra = self.wide_number(member.name, id)?,
                "key_size" => set_size(member.name, &mut key_size, self.number(member.name, id)?)?,
                "value_size" => set_size(member.name, &mut value_size, self.number(member.name, id)?)?,
                "key" => {
                    let (ty, size) = self.pointee(member.name, id)?;
                    spec.key_type = Some(BtfId(ty.id().0));
                    set_size(member.name, &mut key_size, size)?;
                }
                "value" => {
                    let (ty, size) = self.pointee(member.name, id)?;
                    spec.value_type = Some(BtfId(ty.id().0));
                    set_size(member.name, &mut value_size, size)?;
                }
                "pinning" => {
                    spec.pinning = match self.number(member.name, id)? {
                        0 => Pinning::None,
                        1 => Pinning::ByName,
                        other => return Err(Problem::BadPinning(other).into()),
                    };
                }
                "values" => {
                    if depth == Depth::Inner {
                        return Err(Problem::Unsupported("maps of maps of maps").into());
                    }
                    self.values = Some(u64::from(member.bit_offset / 8));
                    spec.inner = self.inner(name, id)?;
                    set_size(member.name, &mut value_size, 4)?;
                    key_size.get_or_insert(4);
                }
                other => return Err(Problem::UnknownMember(other.to_owned()).into()),
            }
        }
        if !has_type {
            return Err(Problem::Missing("type").into());
        }
        spec.key_size = key_size.unwrap_or(0);
        spec.value_size = value_size.unwrap_or(0);
        Ok(spec)
    }

    /// `values`: an array of pointers to a struct (an inner map) or to a function (programs).
    fn inner(&mut self, name: &str, id: TypeId) -> Result<Option<Box<MapSpec>>, ElfError> {
        let bad = || Problem::BadMember {
            member: "values".into(),
            wanted: "an array of pointers to a map or function",
        };
        let Def::Array(array) = self.btf.resolve(id)?.def() else { return Err(bad().into()) };
        let Def::Ptr(pointee) = self.btf.resolve(array.elem)?.def() else { return Err(bad().into()) };
        match self.btf.resolve(pointee)?.def() {
            Def::FuncProto(_) => Ok(None),
            Def::Struct(_) => {
                let mut definition = Definition { btf: self.btf, values: None };
                let spec = definition.read(&format!("{name}.inner"), pointee, Depth::Inner)?;
                if spec.pinning != Pinning::None {
                    return Err(Problem::Unsupported("pinned inner maps").into());
                }
                Ok(Some(Box::new(spec)))
            }
            _ => Err(bad().into()),
        }
    }

    /// The length of the array behind a pointer.
    fn number(&self, member: &str, id: TypeId) -> Result<u32, ElfError> {
        let bad = || Problem::BadMember { member: member.to_owned(), wanted: "a pointer to an array" };
        let Def::Ptr(pointee) = self.btf.resolve(id)?.def() else { return Err(bad().into()) };
        let Def::Array(array) = self.btf.resolve(pointee)?.def() else { return Err(bad().into()) };
        Ok(array.len)
    }

    /// A number as [`Definition::number`], or the value of an enumeration of one.
    fn wide_number(&self, member: &str, id: TypeId) -> Result<u64, ElfError> {
        if let Def::Enum(values) = self.btf.resolve(id)?.def() {
            let mut values = values.values();
            if let (Some(value), None) = (values.next(), values.next()) {
                return Ok(value.value as u64);
            }
            let problem =
                Problem::BadMember { member: member.to_owned(), wanted: "an enumeration of one value" };
            return Err(problem.into());
        }
        self.number(member, id).map(u64::from)
    }

    /// The type behind a pointer, and its size.
    fn pointee(&self, member: &str, id: TypeId) -> Result<(Type<'_>, u32), ElfError> {
        let Def::Ptr(pointee) = self.btf.resolve(id)?.def() else {
            return Err(
                Problem::BadMember { member: member.to_owned(), wanted: "a pointer to a type" }.into()
            );
        };
        Ok((self.btf.ty(pointee)?, self.btf.size_of(pointee)?))
    }
}

/// Sets a size that may be given twice, by number and by type, if both agree.
fn set_size(member: &str, size: &mut Option<u32>, found: u32) -> Result<(), ElfError> {
    match size.replace(found) {
        Some(before) if before != found => {
            Err(Problem::BadMember { member: member.to_owned(), wanted: "of the size given before" }.into())
        }
        _ => Ok(()),
    }
}
