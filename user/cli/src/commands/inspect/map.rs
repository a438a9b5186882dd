//! `skep map`: maps in the running kernel.

use super::{By, Keepers, Selector, fields, pick};
use crate::args::MapCommand;
use crate::commands::run::dump::{Shown, elements, holds_values, value_of};
use crate::commands::run::settings;
use crate::failure::{Failure, Place, Status};
use crate::output::Report;
use crate::render::table::{Table, plain};
use crate::{json, kernel, vocabulary};
use serde_json::{Value, json};
use skep::sys::{MapFd, ObjectKind};
use skep::{ErrorKind, Kernel, Map, MapType, MapUsage};
use skep_abi::MapInfo;
use std::io::{self, Write};

const PICKED_BY: &[By] = &[By::Id, By::Name, By::Pinned];

/// Does what is to be done with maps.
///
/// # Errors
/// Says which map is not there, or what the kernel refuses.
pub(crate) fn run(command: &MapCommand) -> Result<Box<dyn Report>, Failure> {
    let kernel = kernel::linux()?;
    match command {
        MapCommand::List(_) => list(&kernel),
        MapCommand::Show(args) => {
            let maps = infos(&kernel, &Selector::parse(&args.which, PICKED_BY)?)?;
            Ok(Box::new(Maps { maps, keepers: Keepers::read(&kernel)?, form: Form::Each }))
        }
        MapCommand::Dump(args) => {
            let mut dumped = Vec::new();
            for map in maps(&kernel, &Selector::parse(&args.which, PICKED_BY)?)? {
                dumped.push(Dumped::read(map)?);
            }
            Ok(Box::new(Dump(dumped)))
        }
        MapCommand::Lookup(args) => {
            let maps = maps(&kernel, &Selector::parse(&args.which, PICKED_BY)?)?;
            let [map] = <[Map; 1]>::try_from(maps).map_err(|maps| {
                Failure::usage(format_args!("{} maps are called so; pick one by its id", maps.len()))
            })?;
            lookup(map, &args.key)
        }
    }
}

/// The name of a map; `None` where it is not to be had.
pub(super) fn name(kernel: &Kernel, id: u32) -> Option<String> {
    let info = kernel.sys().map_by_id(id, 0).ok()?.info().ok()?;
    Some(name_of(&info))
}

fn name_of(info: &MapInfo) -> String {
    let end = info.name.iter().position(|byte| *byte == 0).unwrap_or(info.name.len());
    String::from_utf8_lossy(&info.name[..end]).into_owned()
}

/// What the kernel says of a map.
struct One {
    info: MapInfo,
    usage: Option<MapUsage>,
}

impl One {
    fn read(map: &Map) -> skep::Result<One> {
        Ok(One { info: map.info()?, usage: map.usage()? })
    }

    /// What it takes and whether it is frozen, in words.
    fn memory(&self) -> String {
        self.usage.map_or_else(String::new, |usage| {
            let frozen = if usage.is_frozen { ", frozen" } else { "" };
            format!("{} B{frozen}", usage.memlock_bytes)
        })
    }
}

/// What the kernel says of maps, without reading their types.
fn infos(kernel: &Kernel, selector: &Selector) -> Result<Vec<One>, Failure> {
    let by_id = |id| One::read(&Map::from_id(kernel, id)?);
    let by_pin = |path: &str| One::read(&Map::open_pinned(kernel, path)?);
    let passes = |map: &One| match selector {
        Selector::Name(name) => name_of(&map.info) == *name,
        _ => true,
    };
    pick(selector, "map", by_id, by_pin, kernel.ids(ObjectKind::Map), passes)
}

fn list(kernel: &Kernel) -> Result<Box<dyn Report>, Failure> {
    let mut maps = Vec::new();
    for id in kernel.ids(ObjectKind::Map) {
        let id = id?;
        // Types are not needed, and may be large.
        match kernel.sys().map_by_id(id, 0).and_then(|map: MapFd| Ok((map.info()?, map))) {
            Ok((info, map)) => maps.push(One { info, usage: kernel.map_usage(&map)? }),
            Err(error) if error.errno() == skep::Errno::ENOENT => {}
            Err(_) => maps.push(One::read(&Map::from_id(kernel, id)?)?),
        }
    }
    Ok(Box::new(Maps { maps, keepers: Keepers::read(kernel)?, form: Form::List }))
}

fn maps(kernel: &Kernel, selector: &Selector) -> Result<Vec<Map>, Failure> {
    let passes = |map: &Map| match selector {
        Selector::Name(name) => map.name() == name,
        _ => true,
    };
    let by_pin = |path: &str| Map::open_pinned(kernel, path);
    pick(selector, "map", |id| Map::from_id(kernel, id), by_pin, kernel.ids(ObjectKind::Map), passes)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    List,
    Each,
}

struct Maps {
    maps: Vec<One>,
    keepers: Keepers,
    form: Form,
}

impl Report for Maps {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.form == Form::List {
            let heads = &[
                "id", "type", "name", "key", "value", "entries", "flags", "types", "memory", "pinned",
                "held by",
            ];
            let mut table = Table::new(heads);
            for map in &self.maps {
                let info = &map.info;
                table.row([
                    info.id.to_string(),
                    vocabulary::map_type_name(MapType(info.type_)),
                    name_of(info),
                    format!("{} B", info.key_size),
                    format!("{} B", info.value_size),
                    info.max_entries.to_string(),
                    if info.map_flags == 0 { String::new() } else { format!("{:#x}", info.map_flags) },
                    if info.btf_id == 0 { String::new() } else { format!("BTF {}", info.btf_id) },
                    map.memory(),
                    self.keepers.pinned(ObjectKind::Map, info.id),
                    self.keepers.held_by(ObjectKind::Map, info.id),
                ]);
            }
            return match self.maps.is_empty() {
                true => writeln!(out, "no maps"),
                false => table.write("maps", out),
            };
        }
        for (index, map) in self.maps.iter().enumerate() {
            let info = &map.info;
            if index > 0 {
                writeln!(out)?;
            }
            writeln!(out, "map {}: {}", info.id, plain(&name_of(info)))?;
            let types = match info.btf_id {
                0 => String::new(),
                id => format!("BTF {id}, key {}, value {}", info.btf_key_type_id, info.btf_value_type_id),
            };
            let or_nothing = |number: u64| if number == 0 { String::new() } else { format!("{number:#x}") };
            fields(
                out,
                &[
                    ("type", vocabulary::map_type_name(MapType(info.type_))),
                    ("sizes", format!("key {} bytes, value {} bytes", info.key_size, info.value_size)),
                    ("entries", format!("at most {}", info.max_entries)),
                    ("flags", or_nothing(info.map_flags.into())),
                    ("extra", or_nothing(info.map_extra)),
                    ("types", types),
                    (
                        "device",
                        if info.ifindex == 0 { String::new() } else { format!("interface {}", info.ifindex) },
                    ),
                    ("memory", map.memory()),
                    ("pinned", self.keepers.pinned(ObjectKind::Map, info.id)),
                    ("held by", self.keepers.held_by(ObjectKind::Map, info.id)),
                ],
            )?;
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let each = self.maps.iter().map(|map| {
            let info = &map.info;
            let mut members = json!({
                "id": info.id,
                "type": vocabulary::map_type_name(MapType(info.type_)),
                "name": name_of(info),
                "key_bytes": info.key_size,
                "value_bytes": info.value_size,
                "max_entries": info.max_entries,
                "flags": format!("{:#x}", info.map_flags),
                "btf_id": (info.btf_id != 0).then_some(info.btf_id),
                "btf_key_type_id": info.btf_key_type_id,
                "btf_value_type_id": info.btf_value_type_id,
                "memlock_bytes": map.usage.map(|usage| json::integer(usage.memlock_bytes.into())),
                "frozen": map.usage.map(|usage| usage.is_frozen),
            });
            self.keepers.add_to(&mut members, ObjectKind::Map, info.id);
            if info.map_extra != 0 {
                members["extra"] = json!(format!("{:#x}", info.map_extra));
            }
            if info.btf_vmlinux_value_type_id != 0 {
                members["btf_vmlinux_value_type_id"] = json!(info.btf_vmlinux_value_type_id);
            }
            if info.ifindex != 0 {
                members["ifindex"] = json!(info.ifindex);
            }
            members
        });
        json!({ "maps": each.collect::<Vec<_>>() })
    }
}

/// A map with its elements, or why it cannot be read out.
struct Dumped {
    map: Map,
    id: u32,
    elements: Result<Vec<Shown>, String>,
}

impl Dumped {
    fn read(map: Map) -> Result<Dumped, Failure> {
        let id = map.info()?.id;
        let elements = match map.map_type() {
            _ if holds_values(&map) => Ok(elements(&map)?),
            kind if HOLDS_IDS.contains(&kind) => Ok(ids(&map)?),
            kind => {
                let kind = vocabulary::map_type_name(kind);
                Err(format!("the elements of a map of the type {kind} cannot be looked at from outside"))
            }
        };
        Ok(Dumped { map, id, elements })
    }
}

/// The kinds of which a look-up gives the id of a program or map (`bpf_fd_array_map_lookup_elem`,
/// `bpf_fd_htab_map_lookup_elem`).
const HOLDS_IDS: [MapType; 3] = [MapType::PROG_ARRAY, MapType::ARRAY_OF_MAPS, MapType::HASH_OF_MAPS];

/// The elements that are programs or maps, by their ids.
fn ids(map: &Map) -> Result<Vec<Shown>, Failure> {
    let noun = if map.map_type() == MapType::PROG_ARRAY { "program" } else { "map" };
    let mut found = Vec::new();
    for key in map.keys() {
        let key = key?;
        let Some(value) = map.lookup(&key)? else { continue };
        let id = value.first_chunk().map_or(0, |bytes| u32::from_ne_bytes(*bytes));
        let (key_json, key_text) = key_of(map, &key);
        let document = json!({ "key": key_json, "value": { "id": id } });
        found.push((document, (key_text, format!("{noun} {id}"))));
    }
    Ok(found)
}

fn key_of(map: &Map, key: &[u8]) -> (Value, String) {
    let is_index = map.map_type() != MapType::HASH_OF_MAPS;
    match (map.decode_key(key), key.try_into().map(u32::from_ne_bytes)) {
        (Some(typed), _) => (json::value(&typed), typed.to_string()),
        (None, Ok(index)) if is_index => (json!(index), index.to_string()),
        _ => (json!(json::hex(key)), json::hex(key)),
    }
}

struct Dump(Vec<Dumped>);

impl Report for Dump {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for (index, Dumped { map, id, elements }) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(out)?;
            }
            match elements {
                Ok(elements) => {
                    let count = elements.len();
                    let noun = if count == 1 { "element" } else { "elements" };
                    writeln!(out, "map {id}: {}, {count} {noun}", plain(map.name()))?;
                    let width = elements.iter().map(|(_, (key, _))| key.chars().count()).max().unwrap_or(0);
                    for (_, (key, value)) in elements {
                        writeln!(out, "  {:width$}  {}", plain(key), plain(value), width = width.min(40))?;
                    }
                }
                Err(why) => writeln!(out, "map {id}: {}: {why}", plain(map.name()))?,
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let each = self.0.iter().map(|Dumped { map, id, elements }| {
            let kind = vocabulary::map_type_name(map.map_type());
            let mut members = json!({ "id": id, "name": map.name(), "type": kind });
            match elements {
                Ok(elements) => {
                    members["elements"] = elements.iter().map(|(document, _)| document.clone()).collect();
                }
                Err(why) => members["unreadable"] = json!(why),
            }
            members
        });
        json!({ "maps": each.collect::<Vec<_>>() })
    }

    fn status(&self) -> Status {
        match self.0.iter().all(|dumped| dumped.elements.is_ok()) {
            true => Status::Done,
            false => Status::Unable,
        }
    }
}

fn lookup(map: Map, text: &str) -> Result<Box<dyn Report>, Failure> {
    let place = || Place { symbol: Some(map.name().to_owned()), ..Place::default() };
    let key = settings::bytes(map.btf(), map.key_type(), text, map.key_size())
        .map_err(|message| Failure::usage(format_args!("`{}`: {message}", plain(text))).at(place()))?;
    let value = map.lookup(&key).map_err(|error| match error.kind() {
        ErrorKind::Kernel if !holds_values(&map) => Failure::unable("unsupported", error).at(place()),
        _ => error.into(),
    })?;
    let value = value.ok_or_else(|| {
        Failure::bad("no_element", format_args!("there is no element {}", plain(text))).at(place())
    })?;
    let (members, words) = value_of(&map, &value);
    let id = map.info()?.id;
    let mut document = json!({ "id": id, "name": map.name(), "key": json::hex(&key) });
    if let Some(typed) = map.decode_key(&key) {
        document["key"] = json::value(&typed);
    }
    for (name, member) in members {
        document[name] = member;
    }
    Ok(Box::new(Element { document, words }))
}

struct Element {
    document: Value,
    words: String,
}

impl Report for Element {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", plain(&self.words))
    }

    fn json(&self) -> Value {
        self.document.clone()
    }
}
