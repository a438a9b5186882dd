//! Whether what two files say of one symbol can be said of one thing.
//!
//! The rules are those of libbpf's `glob_syms_match`: typedefs and qualifiers do not count, nor do parameters' names, the
//! length of arrays, the encoding of integers, the values of enumerations; behind a pointer only kind and name do, and
//! a forward declaration stands for what it declares. Definitions of maps are compared as what they define.

use super::input::{Described, File, FileIdx};
use crate::error::{ElfError, Problem};
use crate::maps::definition;
use skep_btf::{Btf, Def, FuncLinkage, FwdKind, MAX_DEPTH, Problem as BtfProblem, Type, TypeId, VarLinkage};
use skep_model::MapSpec;

/// A type of a file.
#[derive(Clone, Copy)]
struct Side<'b> {
    btf: &'b Btf<'b>,
    id: TypeId,
}

/// How much of a struct is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    Members,
    NameOnly,
}

/// Types that one comparison may look at; a struct by value is looked at once for each member that has it.
const MAX_STEPS: u32 = 1 << 17;

/// Compares what two files say of the symbol of that name.
pub(super) fn check(
    files: &[File<'_>],
    there: (FileIdx, Option<Described>),
    new: (FileIdx, Option<Described>),
    name: &str,
) -> Result<(), ElfError> {
    let (a, b) = (&files[there.0.0], &files[new.0.0]);
    let (Some(a_btf), Some(b_btf)) = (&a.btf, &b.btf) else {
        return match (&a.btf, &b.btf) {
            (None, None) => Ok(()),
            _ => Err(Problem::NoBtf.into()),
        };
    };
    let (Some(a_found), Some(b_found)) = (there.1, new.1) else {
        return Err(Problem::NotDescribed(name.to_owned()).into());
    };
    let section = |file: &File<'_>, found: Described| {
        // Externs without a section of their own may be defined anywhere.
        let name = found.datasec.and_then(|id| file.datasec_name(id).map(str::to_owned));
        name.filter(|name| name != ".extern")
    };
    let (a_section, b_section) = (section(a, a_found), section(b, b_found));
    let differ = |what: String| Problem::TypesDiffer { other: a.name.to_owned(), what };
    if let (Some(a_section), Some(b_section)) = (&a_section, &b_section) {
        if a_section != b_section {
            return Err(differ(format!("section {a_section} there, {b_section} here")).into());
        }
    }
    let sides = (Side { btf: a_btf, id: a_found.id }, Side { btf: b_btf, id: b_found.id });
    let what = if a_section.as_deref() == Some(".maps") {
        maps(name, sides.0, sides.1)?
    } else {
        compare(sides.0, sides.1, Depth::Members, 0, &mut MAX_STEPS.clone())?
    };
    what.map_or(Ok(()), |what| Err(differ(what).into()))
}

/// The first difference between two definitions of maps.
fn maps(name: &str, a: Side<'_>, b: Side<'_>) -> Result<Option<String>, ElfError> {
    let read = |side: Side<'_>| match side.btf.ty(side.id)?.def() {
        Def::Var(var) => definition(side.btf, name, var.type_id),
        _ => Err(Problem::BadTarget { target: name.to_owned(), wanted: "a variable" }.into()),
    };
    map_specs(&read(a)?, a.btf, &read(b)?, b.btf)
}

fn map_specs(a: &MapSpec, a_btf: &Btf<'_>, b: &MapSpec, b_btf: &Btf<'_>) -> Result<Option<String>, ElfError> {
    let numbers = [
        ("type", u64::from(a.map_type.0), u64::from(b.map_type.0)),
        ("key_size", a.key_size.into(), b.key_size.into()),
        ("value_size", a.value_size.into(), b.value_size.into()),
        ("max_entries", a.max_entries.into(), b.max_entries.into()),
        ("map_flags", a.flags.into(), b.flags.into()),
        ("map_extra", a.extra, b.extra),
        ("numa_node", a.numa_node.map_or(u64::MAX, u64::from), b.numa_node.map_or(u64::MAX, u64::from)),
        ("pinning", a.pinning as u64, b.pinning as u64),
    ];
    if let Some((member, a, b)) = numbers.into_iter().find(|(_, a, b)| a != b) {
        return Ok(Some(match (a, b) {
            (u64::MAX, b) => format!("{member} only here: {b}"),
            (a, u64::MAX) => format!("{member} only there: {a}"),
            _ => format!("{member} {a} there, {b} here"),
        }));
    }
    for (member, a_type, b_type) in [("key", a.key_type, b.key_type), ("value", a.value_type, b.value_type)] {
        let difference = match (a_type, b_type) {
            (None, None) => None,
            (Some(a), Some(b)) => {
                let (a, b) = (Side { btf: a_btf, id: TypeId(a.0) }, Side { btf: b_btf, id: TypeId(b.0) });
                compare(a, b, Depth::Members, 0, &mut MAX_STEPS.clone())?
            }
            (Some(_), None) => Some("a type there, a size here".to_owned()),
            (None, Some(_)) => Some("a size there, a type here".to_owned()),
        };
        if let Some(difference) = difference {
            return Ok(Some(format!("{member}: {difference}")));
        }
    }
    match (&a.inner, &b.inner) {
        (None, None) => Ok(None),
        (Some(a), Some(b)) => Ok(map_specs(a, a_btf, b, b_btf)?.map(|what| format!("inner map: {what}"))),
        _ => Ok(Some("only one has an inner map".to_owned())),
    }
}

/// The first difference between two types.
fn compare(
    a: Side<'_>,
    b: Side<'_>,
    depth: Depth,
    nesting: usize,
    steps: &mut u32,
) -> Result<Option<String>, ElfError> {
    let (a_type, b_type) = (a.btf.resolve(a.id)?, b.btf.resolve(b.id)?);
    if nesting >= MAX_DEPTH || *steps == 0 {
        let problem = if *steps == 0 { BtfProblem::TooComplex } else { BtfProblem::TooDeep };
        let place = skep_btf::Place { section: skep_btf::Section::Types, offset: 0, type_id: Some(b.id) };
        return Err(skep_btf::Error { place, problem }.into());
    }
    *steps -= 1;
    let mut next = |a_id, b_id, depth| {
        compare(Side { id: a_id, ..a }, Side { id: b_id, ..b }, depth, nesting + 1, steps)
    };
    let names = (a_type.name() != b_type.name()).then(|| differ(&a_type, &b_type));
    let found = match (a_type.def(), b_type.def()) {
        (Def::Void, Def::Void) => None,
        // A declaration, where both need not be known in full.
        (Def::Fwd(FwdKind::Struct), Def::Struct(_)) | (Def::Struct(_), Def::Fwd(FwdKind::Struct))
            if depth == Depth::NameOnly =>
        {
            names
        }
        (Def::Fwd(FwdKind::Union), Def::Union(_)) | (Def::Union(_), Def::Fwd(FwdKind::Union))
            if depth == Depth::NameOnly =>
        {
            names
        }
        (Def::Fwd(a), Def::Fwd(b)) if a == b => names,
        (Def::Int(a), Def::Int(b)) => sizes(a.size, b.size, &b_type),
        (Def::Float(a), Def::Float(b)) => sizes(a, b, &b_type),
        (Def::Enum(a), Def::Enum(b)) if a.width == b.width => {
            names.or_else(|| sizes(a.size, b.size, &b_type))
        }
        (Def::Ptr(a), Def::Ptr(b)) => next(a, b, Depth::NameOnly)?,
        (Def::Array(a), Def::Array(b)) => next(a.elem, b.elem, depth)?,
        (Def::Func(a), Def::Func(b)) => {
            let is_static = |linkage| linkage == FuncLinkage::Static;
            match is_static(a.linkage) == is_static(b.linkage) {
                true => next(a.proto, b.proto, depth)?,
                false => Some("one is static".to_owned()),
            }
        }
        (Def::Var(a), Def::Var(b)) => {
            let is_static = |linkage| linkage == VarLinkage::Static;
            match is_static(a.linkage) == is_static(b.linkage) {
                true => next(a.type_id, b.type_id, depth)?,
                false => Some("one is static".to_owned()),
            }
        }
        (Def::Struct(a), Def::Struct(b)) | (Def::Union(a), Def::Union(b)) => {
            if names.is_some() || depth == Depth::NameOnly {
                return Ok(names);
            }
            if a.members.len() != b.members.len() {
                return Ok(Some(format!(
                    "{} has {} members there, {} here",
                    describe(&b_type),
                    a.members.len(),
                    b.members.len()
                )));
            }
            for (a, b) in a.members.iter().zip(b.members) {
                if (a.name, a.bit_offset, a.bitfield) != (b.name, b.bit_offset, b.bitfield) {
                    let place = |member: skep_btf::Member<'_>| {
                        format!("{} at bit {}", member.name, member.bit_offset)
                    };
                    return Ok(Some(format!(
                        "{} has {} there, {} here",
                        describe(&b_type),
                        place(a),
                        place(b)
                    )));
                }
                if let Some(what) = next(a.type_id, b.type_id, depth)? {
                    return Ok(Some(format!("member {}: {what}", b.name)));
                }
            }
            None
        }
        (Def::FuncProto(a), Def::FuncProto(b)) => {
            if a.params.len() != b.params.len() {
                return Ok(Some(format!("{} parameters there, {} here", a.params.len(), b.params.len())));
            }
            for (index, (a, b)) in a.params.iter().zip(b.params).enumerate() {
                if let Some(what) = next(a.type_id, b.type_id, depth)? {
                    return Ok(Some(format!("parameter {}: {what}", index + 1)));
                }
            }
            next(a.ret, b.ret, depth)?.map(|what| format!("return value: {what}"))
        }
        _ => Some(differ(&a_type, &b_type)),
    };
    Ok(found)
}

fn sizes(a: u32, b: u32, ty: &Type<'_>) -> Option<String> {
    (a != b).then(|| format!("{} has {a} bytes there, {b} here", describe(ty)))
}

fn differ(a: &Type<'_>, b: &Type<'_>) -> String {
    format!("{} there, {} here", describe(a), describe(b))
}

fn describe(ty: &Type<'_>) -> String {
    let kind = ty.kind().map_or("void", skep_btf::Kind::name);
    match ty.name() {
        "" => kind.to_owned(),
        name => format!("{kind} {name}"),
    }
}
