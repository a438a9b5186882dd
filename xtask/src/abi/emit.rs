//! Rust text from flat structs and enumerations, in the form that rustfmt leaves alone.

use super::KERNEL;
use super::flatten::{Flat, Part, flatten, part};
use super::plan::{self, File, Numbers, Shown, Struct};
use anyhow::{Context, Result, bail};
use skep_btf::{Btf, Def, Kind};
use std::collections::BTreeSet;
use std::fmt::Write;

/// A struct with its fields, ready to be written.
struct Laid {
    fields: Vec<Flat>,
    /// Its bytes.
    size: u32,
    /// How C reaches the part, `union bpf_attr` and so on.
    c_root: String,
    /// Where the part starts in the outermost C struct.
    c_offset: u32,
}

fn head(doc: &str) -> String {
    format!(
        "// Made from base/abi/btf/{KERNEL}.btf by `cargo xtask abi`: change xtask/src/abi/plan.rs and run it again.\n\n//! {doc}\n\n"
    )
}

/// Writes a file of structs.
pub(super) fn structs(btf: &Btf<'_>, file: &File) -> Result<String> {
    let mut text = head(file.doc);
    text.push_str("use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};\n");
    for wanted in file.structs {
        one(&mut text, btf, wanted).with_context(|| wanted.name.to_owned())?;
    }
    Ok(text)
}

fn lay(btf: &Btf<'_>, wanted: &Struct) -> Result<Laid> {
    let (&root_name, steps) = wanted.path.split_first().context("no path")?;
    let (root, keyword) = match btf.find(root_name, Kind::Struct) {
        Some(id) => (id, "struct"),
        None => (btf.find(root_name, Kind::Union).with_context(|| format!("no {root_name}"))?, "union"),
    };
    let found: Part = part(btf, root, steps)?;
    let whole = btf.size_of(found.id)?;
    let mut fields = flatten(btf, &found, wanted.chosen)?;
    let mut size = whole;
    if let Some(last) = wanted.until {
        let at =
            fields.iter().position(|field| field.name == last).with_context(|| format!("no `{last}`"))?;
        fields.truncate(at + 1);
        size = aligned_end(&fields);
    }
    if let Some((bytes, rest)) = wanted.head {
        fields.retain(|field| field.offset < bytes);
        size = bytes;
        if let Some(name) = rest {
            fields.push(Flat {
                name: name.to_owned(),
                c_path: String::new(),
                offset: bytes,
                size: whole - bytes,
                rust: format!("[u64; {}]", (whole - bytes) / 8),
                bits: Vec::new(),
            });
            size = whole;
        }
    }
    let mut c_offset = found.offset;
    if let Some((_, bytes)) = wanted.base {
        for field in &mut fields {
            field.offset += bytes;
        }
        size = (whole + bytes).next_multiple_of(8).max(aligned_end(&fields));
        // A tail without 64-bit fields keeps the alignment of the head.
        if fields.iter().all(|field| align(field) < 8) {
            size = aligned_end(&fields);
        }
        c_offset -= bytes;
    } else if wanted.path.len() > 1 {
        size = aligned_end(&fields).max(if wanted.head.is_some() { size } else { 0 });
    }
    Ok(Laid { fields, size, c_root: format!("{keyword} {root_name}"), c_offset })
}

fn align(field: &Flat) -> u32 {
    let element = field.rust.trim_start_matches('[').split(';').next().unwrap_or_default();
    element.trim_start_matches(['u', 'i']).parse::<u32>().map_or(1, |bits| bits / 8)
}

fn aligned_end(fields: &[Flat]) -> u32 {
    let end = fields.last().map_or(0, |last| last.offset + last.size);
    end.next_multiple_of(fields.iter().map(align).max().unwrap_or(1))
}

fn rust_name(field: &Flat, used: &mut BTreeSet<String>) -> String {
    let mut name = field.name.to_lowercase();
    // Rust's lint wants single underscores, except in front.
    let front = name.len() - name.trim_start_matches('_').len();
    let rest = name.split_off(front).replace("__", "_");
    name.push_str(&rest);
    if name == "type" {
        name.push('_');
    }
    if !used.insert(name.clone()) {
        name = format!("event_{}", field.name);
        used.insert(name.clone());
    }
    name
}

fn one(text: &mut String, btf: &Btf<'_>, wanted: &Struct) -> Result<()> {
    let laid = lay(btf, wanted)?;
    writeln!(text, "\n/// {}", wanted.doc)?;
    text.push_str(
        "#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]\n",
    );
    writeln!(text, "#[repr(C)]\npub struct {} {{", wanted.name)?;
    let (mut end, mut pads, mut used) = (0, 0, BTreeSet::new());
    if let Some((base, bytes)) = wanted.base {
        writeln!(text, "    /// The part that every link type shares.\n    pub base: {base},")?;
        end = bytes;
    }
    let mut pad = |text: &mut String, bytes: u32| {
        pads += 1;
        writeln!(text, "    /// Padding; zero.\n    pub _pad{}: [u8; {bytes}],", pads - 1)
    };
    for field in &laid.fields {
        if field.offset > end {
            pad(text, field.offset - end)?;
        }
        if field.offset < end {
            bail!("`{}` at {} lies before {end}", field.name, field.offset);
        }
        writeln!(text, "    /// {}", field_doc(field))?;
        writeln!(text, "    pub {}: {},", rust_name(field, &mut used), field.rust)?;
        end = field.offset + field.size;
    }
    if laid.size > end {
        pad(text, laid.size - end)?;
    }
    writeln!(text, "}}\n\nconst _: () = assert!(size_of::<{}>() == {});", wanted.name, laid.size)?;
    Ok(())
}

fn field_doc(field: &Flat) -> String {
    if field.bits.is_empty() {
        return format!("`{}` at offset {}.", field.name, field.offset);
    }
    let names: Vec<String> = field
        .bits
        .iter()
        .filter(|(name, _)| !name.starts_with("__res"))
        .map(
            |(name, width)| if *width > 1 { format!("`{name}` ({width} bits)") } else { format!("`{name}`") },
        )
        .collect();
    format!("Bit fields, from bit 0: {}.", names.join(", "))
}

/// Writes a file of enumerations.
pub(super) fn numbers(btf: &Btf<'_>, doc: &str, all: &[Numbers]) -> Result<String> {
    let mut text = head(doc);
    text.push_str("use crate::open::open_enum;\n");
    for wanted in all {
        let id = btf.find(wanted.source, Kind::Enum).with_context(|| format!("no enum {}", wanted.source))?;
        let Def::Enum(values) = btf.ty(id)?.def() else { bail!("{} is no enumeration", wanted.source) };
        write!(
            text,
            "\nopen_enum! {{\n    /// {}: `enum {}`.\n    pub struct {}: \"{}\" {{\n",
            wanted.doc, wanted.source, wanted.name, wanted.what
        )?;
        let mut seen = BTreeSet::new();
        for value in values.values() {
            // The end of an enumeration and second names are no values of their own.
            let is_end = value.name.contains("_MAX");
            if is_end || value.name.ends_with("_DEPRECATED") || !seen.insert(value.value) {
                continue;
            }
            number(&mut text, wanted, value.name, value.value)?;
        }
        for &(name, value) in wanted.later {
            writeln!(
                text,
                "        // Later than Linux 6.18: include/uapi/linux/bpf.h, enum {}.",
                wanted.source
            )?;
            number(&mut text, wanted, name, value.into())?;
        }
        text.push_str("    }\n}\n");
    }
    Ok(text)
}

fn number(text: &mut String, wanted: &Numbers, name: &str, value: i128) -> Result<()> {
    let short =
        name.strip_prefix(wanted.prefix).with_context(|| format!("{name} without {}", wanted.prefix))?;
    let shown = match wanted.shown {
        Shown::Whole => name,
        Shown::WithoutPrefix => short,
    };
    writeln!(text, "        {} = {value}, \"{shown}\";", short.to_uppercase())?;
    Ok(())
}

/// Writes the table that the comparison with C's headers reads.
pub(super) fn layouts(btf: &Btf<'_>) -> Result<String> {
    let mut text = head("Where C has each field, and where the structs of this crate have it.");
    text.push_str(concat!(
        "use std::mem::offset_of;\n\n",
        "use skep_abi::*;\n\n",
        "/// A field: what C calls the outermost struct, how C reaches the field, and offset and size from there.\n",
        "pub(crate) type Field = (&'static str, &'static str, usize, usize);\n\n",
        "/// The size of a field.\n",
        "const fn size<S, F>(_: fn(&S) -> &F) -> usize {\n    size_of::<F>()\n}\n\n",
        "/// Every field that C has a path to.\n",
        "#[rustfmt::skip]\n",
        "pub(crate) const FIELDS: &[Field] = &[\n",
    ));
    let mut sizes = String::new();
    for wanted in plan::FILES.iter().flat_map(|file| file.structs) {
        let laid = lay(btf, wanted)?;
        let mut used = BTreeSet::new();
        for field in &laid.fields {
            let name = rust_name(field, &mut used);
            if field.c_path.is_empty() {
                continue;
            }
            let at = match laid.c_offset {
                0 => String::new(),
                bytes => format!("{bytes} + "),
            };
            writeln!(
                text,
                "    (\"{}\", \"{}\", {at}offset_of!({s}, {name}), size(|s: &{s}| &s.{name})),",
                laid.c_root,
                field.c_path,
                s = wanted.name
            )?;
        }
        if wanted.path.len() == 1 {
            writeln!(sizes, "    (\"{}\", size_of::<{}>()),", laid.c_root, wanted.name)?;
        }
    }
    text.push_str("];\n\n/// The size of every struct that is one in C, too.\n#[rustfmt::skip]\npub(crate) const SIZES: &[(&str, usize)] = &[\n");
    text.push_str(&sizes);
    text.push_str("];\n");
    Ok(text)
}
