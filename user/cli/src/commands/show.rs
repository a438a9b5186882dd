//! `skep show`: what an object holds.

use crate::args::ShowArgs;
use crate::failure::Failure;
use crate::output::Report;
use crate::render::table::{Table, plain};
use crate::{ctype, json, names, object, vocabulary};
use serde_json::{Map, Value, json};
use skep_btf::{Btf, TypeId};
use skep_elf::{ExternKind, ExternSpec, ObjectSpec};
use skep_isa::ByteOrder;
use skep_model::{
    BtfId, DataKind, Linkage, MapData, MapOrigin, MapSpec, Pinning, ProgramSpec, RelocTarget, SlotTarget,
};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// An object to be shown.
pub(crate) struct Show {
    object: ObjectSpec,
}

/// A variable with a place in a data section.
struct Global<'o> {
    section: &'o str,
    name: &'o str,
    type_id: TypeId,
    offset: u32,
    size: u32,
    bytes: &'o [u8],
}

/// Reads the object.
///
/// # Errors
/// Says where it is malformed.
pub(crate) fn run(args: &ShowArgs) -> Result<Show, Failure> {
    Ok(Show { object: object::open(&args.object)? })
}

impl Report for Show {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let object = &self.object;
        let licence = if object.license.is_empty() { "none".to_owned() } else { plain(&object.license) };
        writeln!(out, "{}: {} byte order, licence {licence}", object.file, order_name(object.order))?;
        if let Some(version) = object.kernel_version {
            writeln!(out, "made for kernel version {version:#x}")?;
        }
        sections(object).write("sections", out)?;
        programs(object).write("programs", out)?;
        maps(object).write("maps", out)?;
        globals(object).write("globals", out)?;
        externs(object).write("symbols of the kernel", out)?;
        core_relocations(object).write("CO-RE relocations", out)?;
        if let Some(btf) = &object.btf {
            let kinds: Vec<String> =
                kinds(btf).iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            writeln!(out, "\nBTF: {} types ({})", btf.len() - 1, kinds.join(", "))?;
        }
        for note in &object.notes {
            writeln!(out, "note: section {}: {}", note.section, note.text)?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let object = &self.object;
        let sections: Vec<Value> = (object.sections.iter())
            .map(|section| json!({ "name": section.name, "size": section.size, "code": section.code }))
            .collect();
        let notes: Vec<Value> =
            object.notes.iter().map(|note| json!({ "section": note.section, "text": note.text })).collect();
        json!({
            "path": object.file,
            "byte_order": order_name(object.order),
            "license": object.license,
            "kernel_version": object.kernel_version,
            "sections": sections,
            "programs": object.programs.iter().map(program_json).collect::<Vec<_>>(),
            "maps": object.maps.iter().map(|map| map_json(object, map)).collect::<Vec<_>>(),
            "globals": all_globals(object).map(|global| global_json(object, &global)).collect::<Vec<_>>(),
            "externs": object.externs.iter().map(|symbol| extern_json(object, symbol)).collect::<Vec<_>>(),
            "core_relocations": core_json(object),
            "btf": object.btf.as_ref().map(|btf| json!({ "types": btf.len() - 1, "kinds": kinds(btf) })),
            "notes": notes,
        })
    }
}

fn order_name(order: ByteOrder) -> &'static str {
    match order {
        ByteOrder::Little => "little",
        ByteOrder::Big => "big",
    }
}

/// Beginnings of the names of sections that hold nothing of the program: symbols, relocations, DWARF.
const SIDE_SECTIONS: [&str; 5] = [".strtab", ".symtab", ".rel", ".debug", ".llvm"];

fn sections(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["name", "bytes", "code"]);
    let is_side = |name: &str| SIDE_SECTIONS.iter().any(|side| name.starts_with(side));
    for section in object.sections.iter().filter(|section| !is_side(section.name)) {
        let code = if section.code { "code" } else { "" };
        table.row([section.name.to_owned(), section.size.to_string(), code.to_owned()]);
    }
    table
}

fn programs(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["name", "section", "type", "attach", "slots", "functions"]);
    for program in &object.programs {
        let (kind, attach) = (vocabulary::prog_type(program), attach_words(program));
        let functions: Vec<&str> = program.functions.iter().skip(1).map(|f| f.name.as_str()).collect();
        table.row([
            program.name.clone(),
            program.section.clone(),
            kind.unwrap_or_else(|| "unknown".to_owned()),
            attach,
            program.insns.len().to_string(),
            functions.join(" "),
        ]);
    }
    table
}

/// What the section's name says besides the type: attach type, target, and that it does not load by itself.
fn attach_words(program: &ProgramSpec) -> String {
    let Some(attach) = &program.attach else { return String::new() };
    let kind = attach.attach_type.map(vocabulary::attach_type_name);
    let optional = (!attach.autoload).then(|| "optional".to_owned());
    let words: Vec<String> = [kind, attach.target.clone(), optional].into_iter().flatten().collect();
    words.join(" ")
}

fn program_json(program: &ProgramSpec) -> Value {
    let functions: Vec<Value> = (program.functions.iter())
        .map(|function| {
            let linkage = match function.linkage {
                Linkage::Static => "static",
                Linkage::Global => "global",
            };
            json!({ "name": function.name, "start": function.start.0, "insns": function.slots, "linkage": linkage })
        })
        .collect();
    let attach = program.attach.as_ref();
    json!({
        "section": program.section,
        "name": program.name,
        "type": vocabulary::prog_type(program),
        "attach_type": attach.and_then(|attach| attach.attach_type).map(vocabulary::attach_type_name),
        "target": attach.and_then(|attach| attach.target.clone()),
        "autoload": attach.is_some_and(|attach| attach.autoload),
        "insns": program.insns.len(),
        "relocations": program.relocations.len(),
        "functions": functions,
    })
}

fn maps(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["name", "type", "key", "value", "entries", "flags", "notes"]);
    for map in &object.maps {
        let sized = |id: Option<BtfId>, size: u32| match type_name(object, id) {
            Some(name) => format!("{name} ({size})"),
            None => size.to_string(),
        };
        table.row([
            map.name.clone(),
            vocabulary::map_type_name(map.map_type),
            sized(map.key_type, map.key_size),
            sized(map.value_type.filter(|_| !is_data(map)), map.value_size),
            map.max_entries.to_string(),
            if map.flags == 0 { String::new() } else { format!("{:#x}", map.flags) },
            map_notes(map),
        ]);
    }
    table
}

fn is_data(map: &MapSpec) -> bool {
    matches!(map.origin, MapOrigin::Data(_))
}

fn map_notes(map: &MapSpec) -> String {
    let mut notes = Vec::new();
    match &map.origin {
        MapOrigin::Btf => {}
        MapOrigin::Legacy => notes.push("legacy definition".to_owned()),
        MapOrigin::StructOps(ops) => notes.push(format!("struct of {} functions", ops.functions.len())),
        MapOrigin::Data(data) => notes.push(data_kind(data.kind).to_owned()),
        MapOrigin::Arena(data) => notes.push(format!("{} bytes of variables", data.bytes.len())),
    }
    if map.pinning == Pinning::ByName {
        notes.push("pinned by name".to_owned());
    }
    if map.extra != 0 {
        notes.push(format!("extra {:#x}", map.extra));
    }
    if let Some(node) = map.numa_node {
        notes.push(format!("NUMA node {node}"));
    }
    if let Some(inner) = &map.inner {
        let kind = vocabulary::map_type_name(inner.map_type);
        notes.push(format!("of {kind} with {} entries", inner.max_entries));
    }
    match map.initial.len() {
        0 => {}
        1 => notes.push("1 slot filled".to_owned()),
        count => notes.push(format!("{count} slots filled")),
    }
    notes.join(", ")
}

fn data_kind(kind: DataKind) -> &'static str {
    match kind {
        DataKind::ReadOnly => "read-only data",
        DataKind::Initialised => "data",
        DataKind::Zero => "zeroed data",
        DataKind::Kconfig => "kernel configuration",
        DataKind::Arena => "data in an arena",
    }
}

fn type_name(object: &ObjectSpec, id: Option<BtfId>) -> Option<String> {
    Some(ctype::name(object.btf.as_ref()?, TypeId(id?.0)))
}

fn map_json(object: &ObjectSpec, map: &MapSpec) -> Value {
    let origin = match &map.origin {
        MapOrigin::Btf | MapOrigin::Arena(_) => "btf",
        MapOrigin::Legacy => "legacy",
        MapOrigin::StructOps(_) => "struct_ops",
        MapOrigin::Data(_) => "data",
    };
    let slots: Vec<Value> = (map.initial.iter())
        .map(|slot| match &slot.target {
            SlotTarget::Program(name) => json!({ "index": slot.index, "program": name }),
            SlotTarget::Map(id) => {
                let name = object.maps.get(id.0 as usize).map(|map| &map.name);
                json!({ "index": slot.index, "map": name })
            }
        })
        .collect();
    let mut members = json!({
        "name": map.name,
        "type": vocabulary::map_type_name(map.map_type),
        "key_size": map.key_size,
        "value_size": map.value_size,
        "max_entries": map.max_entries,
        "flags": map.flags,
        "key_type": type_name(object, map.key_type),
        "value_type": type_name(object, map.value_type.filter(|_| !is_data(map))),
        "origin": origin,
        "pinned_by_name": map.pinning == Pinning::ByName,
    });
    if map.extra != 0 {
        members["extra"] = json!(format!("{:#x}", map.extra));
    }
    if let Some(node) = map.numa_node {
        members["numa_node"] = json!(node);
    }
    if let Some(inner) = &map.inner {
        members["inner"] = map_json(object, inner);
    }
    if !slots.is_empty() {
        members["initial"] = Value::Array(slots);
    }
    members
}

/// The variables of every data section, in the order of their places.
fn all_globals(object: &ObjectSpec) -> impl Iterator<Item = Global<'_>> {
    let data = object.maps.iter().filter_map(|map| match &map.origin {
        MapOrigin::Data(data) | MapOrigin::Arena(data) if data.kind != DataKind::Kconfig => Some(data),
        _ => None,
    });
    data.flat_map(|data| {
        let mut found = object.btf.as_ref().map_or_else(Vec::new, |btf| globals_of(btf, data));
        found.sort_by_key(|global| global.offset);
        found
    })
}

fn globals_of<'o>(btf: &'o Btf<'static>, data: &'o MapData) -> Vec<Global<'o>> {
    let Some((_, datasec)) = btf.datasec(&data.section) else { return Vec::new() };
    let place = |variable: skep_btf::Variable<'o>| Global {
        section: &data.section,
        name: variable.name,
        type_id: variable.type_id,
        offset: variable.offset,
        size: variable.size,
        bytes: data.bytes.get(variable.offset as usize..).unwrap_or(&[]),
    };
    btf.variables(datasec).map(place).collect()
}

fn globals(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["section", "name", "type", "value"]);
    let Some(btf) = &object.btf else { return table };
    for global in all_globals(object) {
        let value = btf.value(global.type_id, global.bytes).to_string();
        let name = ctype::name(btf, global.type_id);
        table.row([global.section.to_owned(), global.name.to_owned(), name, value]);
    }
    table
}

fn global_json(object: &ObjectSpec, global: &Global<'_>) -> Value {
    let (name, value) = match &object.btf {
        Some(btf) => {
            (ctype::name(btf, global.type_id), json::value(&btf.value(global.type_id, global.bytes)))
        }
        None => (String::new(), Value::Null),
    };
    json!({
        "section": global.section,
        "name": global.name,
        "type": name,
        "offset": global.offset,
        "size": global.size,
        "value": value,
    })
}

fn extern_kind(kind: ExternKind) -> &'static str {
    match kind {
        ExternKind::Kconfig { .. } => "kconfig",
        ExternKind::Variable => "variable",
        ExternKind::Kfunc => "function",
    }
}

fn externs(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["name", "kind", "type", "weak"]);
    for symbol in &object.externs {
        let weak = if symbol.weak { "weak" } else { "" };
        let ty = type_name(object, Some(symbol.type_id)).unwrap_or_default();
        table.row([symbol.name.clone(), extern_kind(symbol.kind).to_owned(), ty, weak.to_owned()]);
    }
    table
}

fn extern_json(object: &ObjectSpec, symbol: &ExternSpec) -> Value {
    json!({
        "name": symbol.name,
        "kind": extern_kind(symbol.kind),
        "type": type_name(object, Some(symbol.type_id)),
        "weak": symbol.weak,
    })
}

/// The CO-RE relocations of all programs, by program.
fn all_core(object: &ObjectSpec) -> impl Iterator<Item = (&ProgramSpec, &skep_model::Relocation)> {
    object.programs.iter().flat_map(|program| {
        let core = program.relocations.iter().filter(|r| matches!(r.target, RelocTarget::Core { .. }));
        core.map(move |relocation| (program, relocation))
    })
}

fn core_relocations(object: &ObjectSpec) -> Table {
    let mut table = Table::new(&["program", "insn", "wanted"]);
    for (program, relocation) in all_core(object) {
        let text = names::describe(object, &relocation.target);
        let wanted = text.strip_prefix("CO-RE ").unwrap_or(&text).to_owned();
        table.row([program.name.clone(), relocation.insn.to_string(), wanted]);
    }
    table
}

fn core_json(object: &ObjectSpec) -> Vec<Value> {
    let mut list = Vec::new();
    for (program, relocation) in all_core(object) {
        if let RelocTarget::Core(core) = &relocation.target {
            list.push(json!({
                "program": program.name,
                "insn": relocation.insn.0,
                "kind": json::core_kind(core.kind),
                "type": type_name(object, Some(core.type_id)),
                "access": core.access,
            }));
        }
    }
    list
}

/// Counts the types of each kind, by name.
fn kinds(btf: &Btf<'_>) -> Map<String, Value> {
    let mut counts = BTreeMap::new();
    for ty in btf.types() {
        let name = ty.kind().map_or("unknown", |kind| kind.name());
        *counts.entry(name.to_ascii_lowercase()).or_insert(0u32) += 1;
    }
    counts.into_iter().map(|(kind, count)| (kind, json!(count))).collect()
}
