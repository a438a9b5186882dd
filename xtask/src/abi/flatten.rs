//! A C struct as a flat list of fields: anonymous parts opened, one member chosen of each union.

use anyhow::{Context, Result, bail};
use skep_btf::{Btf, Composite, Def, TypeId};

/// One field of the flat list.
pub(super) struct Flat {
    /// The name in the list.
    pub(super) name: String,
    /// How C reaches it from the outermost struct; empty for bit fields, whose address C does not give.
    pub(super) c_path: String,
    /// Bytes from the start of the part that was flattened.
    pub(super) offset: u32,
    /// Its bytes.
    pub(super) size: u32,
    /// Its type in Rust.
    pub(super) rust: String,
    /// What to say about its bits.
    pub(super) bits: Vec<(String, u8)>,
}

/// Where a part of a struct was found.
pub(super) struct Part {
    /// Its type.
    pub(super) id: TypeId,
    /// How C reaches it from the outermost struct, with a dot at the end unless empty.
    pub(super) c_path: String,
    /// Bytes from the start of the outermost struct.
    pub(super) offset: u32,
}

/// Walks into a struct by the names of its members. Where no member has the name but an anonymous struct has a
/// member of that name, it is that anonymous struct.
pub(super) fn part(btf: &Btf<'_>, root: TypeId, steps: &[&str]) -> Result<Part> {
    let mut part = Part { id: root, c_path: String::new(), offset: 0 };
    for step in steps {
        let (id, offset, named) =
            find(btf, part.id, step)?.with_context(|| format!("no member `{step}`, on the way {steps:?}"))?;
        part.id = id;
        part.offset += offset;
        if named {
            part.c_path.push_str(step);
            part.c_path.push('.');
        }
    }
    Ok(part)
}

fn find(btf: &Btf<'_>, id: TypeId, name: &str) -> Result<Option<(TypeId, u32, bool)>> {
    let composite = composite(btf, id)?;
    for member in composite.members.iter() {
        if member.name == name {
            return Ok(Some((member.type_id, member.bit_offset / 8, true)));
        }
    }
    for member in composite.members.iter().filter(|member| member.name.is_empty()) {
        let offset = member.bit_offset / 8;
        match btf.resolve(member.type_id)?.def() {
            Def::Struct(inner) if inner.members.iter().any(|inner| inner.name == name) => {
                return Ok(Some((member.type_id, offset, false)));
            }
            // An anonymous struct whose member is itself in an anonymous union.
            Def::Struct(inner) => {
                for inner in inner.members.iter().filter(|inner| inner.name.is_empty()) {
                    if find(btf, inner.type_id, name).is_ok_and(|found| found.is_some())
                        || composite_has(btf, inner.type_id, name)?
                    {
                        return Ok(Some((member.type_id, offset, false)));
                    }
                }
            }
            Def::Union(_) => {
                if let Some((id, inner, named)) = find(btf, member.type_id, name)? {
                    return Ok(Some((id, offset + inner, named)));
                }
            }
            _ => {}
        }
    }
    Ok(None)
}

fn composite_has(btf: &Btf<'_>, id: TypeId, name: &str) -> Result<bool> {
    Ok(composite(btf, id)?.members.iter().any(|member| member.name == name))
}

fn composite<'b>(btf: &'b Btf<'b>, id: TypeId) -> Result<Composite<'b>> {
    match btf.resolve(id)?.def() {
        Def::Struct(composite) | Def::Union(composite) => Ok(composite),
        _ => bail!("type {} has no members", id.0),
    }
}

/// Flattens a struct; of each union the member that is or holds one of `chosen`, else the first.
pub(super) fn flatten(btf: &Btf<'_>, part: &Part, chosen: &[&str]) -> Result<Vec<Flat>> {
    let mut fields = Vec::new();
    open(btf, part.id, 0, &part.c_path, chosen, &mut fields)?;
    Ok(fields)
}

fn open(
    btf: &Btf<'_>,
    id: TypeId,
    base: u32,
    c_path: &str,
    chosen: &[&str],
    fields: &mut Vec<Flat>,
) -> Result<()> {
    let ty = btf.resolve(id)?;
    let composite = composite(btf, id)?;
    let mut members: Vec<_> = composite.members.iter().collect();
    if matches!(ty.def(), Def::Union(_)) {
        members = vec![choose(btf, &members, chosen)?];
    }
    for member in members {
        let size = btf.size_of(member.type_id)?;
        if let Some(width) = btf.bitfield_width(member.type_id, member.bitfield)? {
            // All bit fields of one storage unit are one field.
            let unit = member.bit_offset / (8 * size) * size;
            let bits = (member.name.to_owned(), width.get());
            match fields.last_mut().filter(|last| !last.bits.is_empty() && last.offset == base + unit) {
                Some(last) => last.bits.push(bits),
                None => fields.push(Flat {
                    name: "flags".to_owned(),
                    c_path: String::new(),
                    offset: base + unit,
                    size,
                    rust: format!("u{}", 8 * size),
                    bits: vec![bits],
                }),
            }
            continue;
        }
        let offset = base + member.bit_offset / 8;
        let inner = btf.resolve(member.type_id)?;
        let anonymous_type = matches!(inner.def(), Def::Struct(_) | Def::Union(_)) && inner.name().is_empty();
        if anonymous_type {
            let path =
                if member.name.is_empty() { c_path.to_owned() } else { format!("{c_path}{}.", member.name) };
            open(btf, member.type_id, offset, &path, chosen, fields)?;
            continue;
        }
        fields.push(Flat {
            name: member.name.to_owned(),
            c_path: format!("{c_path}{}", member.name),
            offset,
            size,
            rust: rust_type(btf, member.type_id)?,
            bits: Vec::new(),
        });
    }
    Ok(())
}

fn choose<'b>(
    btf: &Btf<'_>,
    members: &[skep_btf::Member<'b>],
    chosen: &[&str],
) -> Result<skep_btf::Member<'b>> {
    for member in members {
        let inside = match btf.resolve(member.type_id)?.def() {
            Def::Struct(inner) | Def::Union(inner) if member.name.is_empty() => {
                inner.members.iter().any(|inner| chosen.contains(&inner.name))
            }
            _ => false,
        };
        if inside || chosen.contains(&member.name) {
            return Ok(*member);
        }
    }
    members.first().copied().context("a union without members")
}

fn rust_type(btf: &Btf<'_>, id: TypeId) -> Result<String> {
    let ty = btf.resolve(id)?;
    Ok(match ty.def() {
        Def::Int(int) if int.size == 1 => "u8".to_owned(),
        Def::Int(int) => format!("{}{}", if int.encoding.is_signed() { 'i' } else { 'u' }, 8 * int.size),
        Def::Ptr(_) => "u64".to_owned(),
        Def::Enum(en) => format!("u{}", 8 * en.size),
        Def::Array(array) => format!("[{}; {}]", rust_type(btf, array.elem)?, array.len),
        _ => bail!("`{}` has no type in Rust", ty.name()),
    })
}
