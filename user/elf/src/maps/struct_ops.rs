//! Structs of functions in `.struct_ops` and `.struct_ops.link`, each of which becomes a map of one value.
//!
//! `?` in front of the section's name says that they are not made unless somebody asks (libbpf's `init_struct_ops_maps`).

use super::Found;
use crate::error::{ElfError, Problem};
use crate::functions::Functions;
use crate::image::{Home, Image, R_BPF_64_ABS64, Section};
use skep_abi::MapType;
use skep_abi::flags::BPF_F_LINK;
use skep_btf::{Btf, Composite, Def, Type, TypeId};
use skep_model::{BtfId, MapOrigin, MapSpec, OpsFunction, Pinning, StructOps};

/// What a section of such structs says of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    flags: u32,
    autocreate: bool,
}

fn kind(section: &str) -> Option<Kind> {
    let (name, autocreate) = match section.strip_prefix('?') {
        Some(name) => (name, false),
        None => (section, true),
    };
    let flags = match name {
        ".struct_ops" => 0,
        ".struct_ops.link" => BPF_F_LINK,
        _ => return None,
    };
    Some(Kind { flags, autocreate })
}

/// Finds the structs of a section; none where it is a section of something else.
pub(super) fn find(
    image: &Image<'_>,
    section: &Section<'_>,
    btf: Option<&Btf<'_>>,
    functions: &Functions<'_>,
) -> Result<Vec<Found>, ElfError> {
    let Some(kind) = kind(section.name) else { return Ok(Vec::new()) };
    let btf = btf.ok_or(Problem::NoBtf)?;
    let (_, datasec) = btf.datasec(section.name).ok_or(Problem::NoBtf)?;
    let mut found = Vec::new();
    for variable in btf.variables(datasec) {
        let fail = |error: ElfError| error.in_symbol(variable.name);
        let ty = btf.resolve(variable.type_id).map_err(|error| fail(error.into()))?;
        let wanted = "a struct with a name";
        let bad = || ElfError::from(Problem::BadMember { member: variable.name.to_owned(), wanted });
        let (Def::Struct(layout), false) = (ty.def(), ty.name().is_empty()) else { return Err(fail(bad())) };
        let (start, size) = (u64::from(variable.offset), u64::from(layout.size));
        let bytes = section.data.get(start as usize..).and_then(|rest| rest.get(..size as usize));
        let outside = || Problem::OutsideSection { start, size, section: section.data.len() as u64 };
        let mut ops = StructOps {
            bytes: bytes.ok_or_else(|| fail(outside().into()))?.to_vec(),
            functions: Vec::new(),
            autocreate: kind.autocreate,
        };
        for reloc in image.relocs_within(section.index, start..start + size) {
            let fail = |problem: Problem| fail(ElfError::from(problem)).at_byte(reloc.offset);
            if reloc.r_type != R_BPF_64_ABS64 {
                return Err(fail(Problem::UnknownRelocation(reloc.r_type)));
            }
            let at = reloc.offset - start;
            let member = function_at(btf, layout, at);
            let member = member.ok_or_else(|| fail(Problem::MisplacedRelocation("pointer to a function")))?;
            let symbol = image.symbol(reloc.symbol);
            let bad = || Problem::BadTarget {
                target: image.describe(reloc.symbol),
                wanted: "a program of struct_ops",
            };
            let Home::Section(home) = symbol.home else { return Err(fail(bad())) };
            // The addend is what stands in the place: the offset within a section that the symbol names as a whole.
            let place = ops.bytes.get_mut(at as usize..).and_then(|rest| rest.first_chunk_mut());
            let place: &mut [u8; 8] = place.ok_or_else(|| fail(bad()))?;
            let addend = match image.order {
                skep_isa::ByteOrder::Little => u64::from_le_bytes(*place),
                skep_isa::ByteOrder::Big => u64::from_be_bytes(*place),
            };
            *place = [0; 8];
            let offset = symbol.value.wrapping_add(addend);
            let function = if offset % 8 == 0 { functions.at(home, (offset / 8) as usize) } else { None };
            let function = functions.get(function.ok_or_else(|| fail(bad()))?);
            ops.functions.push(OpsFunction { member, program: function.name.to_owned() });
        }
        ops.functions.sort_by_key(|function| function.member);
        found.push(Found {
            section: section.index,
            offset: start,
            spec: MapSpec {
                name: variable.name.to_owned(),
                map_type: MapType::STRUCT_OPS,
                key_size: 4,
                value_size: layout.size,
                max_entries: 1,
                flags: kind.flags,
                extra: 0,
                numa_node: None,
                pinning: Pinning::None,
                key_type: None,
                value_type: Some(BtfId(ty.id().0)),
                inner: None,
                initial: Vec::new(),
                origin: MapOrigin::StructOps(Box::new(ops)),
            },
        });
    }
    Ok(found)
}

/// The position of the member at an offset, if it is a pointer to a function.
fn function_at(btf: &Btf<'_>, layout: Composite<'_>, offset: u64) -> Option<u32> {
    let position = layout.members.iter().position(|member| u64::from(member.bit_offset) == offset * 8)?;
    let pointer = pointee(btf, layout.members.get(position)?.type_id)?;
    matches!(pointer.def(), Def::FuncProto(_)).then_some(position as u32)
}

fn pointee<'b>(btf: &'b Btf<'_>, id: TypeId) -> Option<Type<'b>> {
    let Def::Ptr(target) = btf.resolve(id).ok()?.def() else { return None };
    btf.resolve(target).ok()
}
