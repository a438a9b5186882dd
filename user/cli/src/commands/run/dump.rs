//! What maps and globals hold after the runs, by their types.

use crate::failure::Failure;
use crate::shapes::run::{MapText, RunReport};
use crate::{json, tree};
use serde_json::{Map as JsonMap, Value as Json, json};
use skep::{EntryValue, Loaded, Map, Object, Value};
use skep_btf::Def;
use skep_model::platform::Platform;
use skep_model::platform::maps::Access;
use std::cmp::Ordering;

/// Arrays of more elements than this are shown without those that are all zero.
const WHOLE: u32 = 256;

/// What happens to values that are only read by taking them out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Queues {
    /// Nobody else wants them.
    Emptied,
    /// They stay.
    Untouched,
}

/// Puts every map and every variable that can change into the answer.
///
/// # Errors
/// Names the map that the kernel does not read out.
pub(super) fn dump(
    object: &Object,
    loaded: &Loaded,
    queues: Queues,
    report: &mut RunReport,
) -> Result<(), Failure> {
    let mut maps = JsonMap::new();
    for map in loaded.maps().filter(|map| map.section().is_none()) {
        let access = Platform::LINUX_6_18.map(map.map_type()).map(|row| row.access);
        let entries = match access {
            Some(Access::Index | Access::Key) if holds_values(map) => elements(map)?,
            _ if is_queue(map) && queues == Queues::Emptied => queued(map)?,
            _ => continue,
        };
        let (documents, texts) = entries.into_iter().unzip();
        maps.insert(map.name().to_owned(), Json::Array(documents));
        report.text.maps.push(MapText { name: map.name().to_owned(), entries: texts });
    }
    report.maps = Some(maps);
    globals(object, loaded, report)
}

/// An element as JSON, and its key and value in words.
pub(crate) type Shown = (Json, (String, String));

/// Whether elements are values, and not programs, maps or sockets.
pub(crate) fn holds_values(map: &Map) -> bool {
    use skep::MapType as T;
    const VALUES: [T; 7] =
        [T::ARRAY, T::PERCPU_ARRAY, T::HASH, T::PERCPU_HASH, T::LRU_HASH, T::LRU_PERCPU_HASH, T::LPM_TRIE];
    VALUES.contains(&map.map_type())
}

fn is_queue(map: &Map) -> bool {
    matches!(map.map_type(), skep::MapType::QUEUE | skep::MapType::STACK)
}

fn is_array(map: &Map) -> bool {
    matches!(map.map_type(), skep::MapType::ARRAY | skep::MapType::PERCPU_ARRAY)
}

/// The elements, sorted by key.
pub(crate) fn elements(map: &Map) -> Result<Vec<Shown>, Failure> {
    let sparse = is_array(map) && map.max_entries()? > WHOLE;
    let mut found = Vec::new();
    for element in map.iter() {
        let (key, value) = element?;
        if !(sparse && value.iter().all(|&byte| byte == 0)) {
            found.push((key, value));
        }
    }
    found.sort_by(|(a, _), (b, _)| by_key(map, a, b));
    let shown = |(key, value): &(Vec<u8>, Vec<u8>)| {
        let (key_json, key_text) = match map.decode_key(key) {
            // Plain integers are identifiers or addresses, not amounts.
            Some(typed @ Value::Unsigned(_)) if !is_array(map) => {
                (hex_key(&typed, key.len()), typed.to_string())
            }
            Some(typed) => (json::value(&typed), typed.to_string()),
            None => (Json::String(json::hex(key)), json::hex(key)),
        };
        let (members, value_text) = value_of(map, value);
        let document = std::iter::once(("key".to_owned(), key_json)).chain(members).collect();
        (Json::Object(document), (key_text, value_text))
    };
    Ok(found.iter().map(shown).collect())
}

/// By the typed value where there is a type, else by the bytes.
fn by_key(map: &Map, a: &[u8], b: &[u8]) -> Ordering {
    match (map.decode_key(a), map.decode_key(b)) {
        (Some(x), Some(y)) => tree::compare(&x, &y).then_with(|| a.cmp(b)),
        _ if is_array(map) => {
            let index = |key: &[u8]| <[u8; 4]>::try_from(key).map(u32::from_ne_bytes).unwrap_or(u32::MAX);
            index(a).cmp(&index(b))
        }
        _ => a.cmp(b),
    }
}

/// A whole number with all its digits, so that keys line up and none is rounded.
fn hex_key(value: &Value<'_>, size: usize) -> Json {
    match value {
        Value::Unsigned(number) => Json::String(format!("{number:#0width$x}", width = 2 + size * 2)),
        other => json::value(other),
    }
}

/// Members of an element that tell its value, and the value in words.
pub(crate) fn value_of(map: &Map, value: &[u8]) -> (JsonMap<String, Json>, String) {
    let mut members = JsonMap::new();
    if map.decode_value(value).is_none() {
        let each: Vec<String> = map.split_cpus(value).map(json::hex).collect();
        let document = if map.is_per_cpu() { json!(each) } else { json!(each.concat()) };
        members.insert("value".to_owned(), document);
        return (members, each.join(" "));
    }
    let values = match map.entry_value(value) {
        EntryValue::One(value) => {
            members.insert("value".to_owned(), json::value(&value));
            return (members, value.to_string());
        }
        EntryValue::PerCpu(values) => values,
    };
    members.insert("value".to_owned(), values.iter().map(json::value).collect());
    let idle = map.split_cpus(value).map(|bytes| bytes.iter().all(|&byte| byte == 0));
    let busy = values.iter().enumerate().zip(idle).filter(|(_, idle)| !idle);
    let mut texts: Vec<String> = busy.map(|((cpu, value), _)| format!("CPU {cpu}: {value}")).collect();
    if let Some(sum) = tree::sum(&values) {
        members.insert("sum".to_owned(), json::value(&sum));
        if texts.len() > 1 {
            texts.insert(0, format!("all: {sum}"));
        }
    }
    let text = if texts.is_empty() { "zero on every CPU".to_owned() } else { texts.join(" ") };
    (members, text)
}

/// Takes the values of a queue or stack out, in its order.
fn queued(map: &Map) -> Result<Vec<Shown>, Failure> {
    let mut found = Vec::new();
    while let Some(value) = map.pop()? {
        let (members, value_text) = value_of(map, &value);
        found.push((Json::Object(members), (String::new(), value_text)));
    }
    Ok(found)
}

/// The variables that a program can have changed.
fn globals(object: &Object, loaded: &Loaded, report: &mut RunReport) -> Result<(), Failure> {
    let Some(btf) = object.btf() else { return Ok(()) };
    let writable = loaded.maps().filter_map(|map| map.section());
    for section in writable.filter(|section| section.starts_with(".bss") || section.starts_with(".data")) {
        let Some((_, datasec)) = btf.datasec(section) else { continue };
        for variable in btf.variables(datasec) {
            // What only tells a type has no value.
            if matches!(btf.resolve(variable.type_id).map(|ty| ty.def()), Ok(Def::Ptr(_))) {
                continue;
            }
            // Of two static variables with one name, the first is found.
            let Ok(global) = loaded.global(variable.name) else { continue };
            let value = global.value()?;
            report.globals.insert(variable.name.to_owned(), json::value(&value));
            report.text.globals.push((variable.name.to_owned(), value.to_string()));
        }
    }
    Ok(())
}
