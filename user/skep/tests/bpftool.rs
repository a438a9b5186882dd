//! What maps hold, read by their types, beside what bpftool makes of the same maps.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test looks at the machine itself")]

mod common;

use common::{linux, object};
use skep::{Autoload, EntryValue, Map, PerCpu, Value};
use std::process::Command;

/// Runs `bpftool -j map dump` on a map; `None` where there is no bpftool.
fn dump(map: &Map) -> Option<String> {
    let id = map.info().unwrap().id.to_string();
    let output = Command::new("bpftool").args(["-j", "map", "dump", "id", &id]).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Writes a value as bpftool does.
fn json(value: &Value<'_>) -> String {
    let list = |parts: Vec<String>| parts.join(",");
    match value {
        Value::Signed(number) => number.to_string(),
        // What is wider than JSON's numbers is written in hexadecimal digits.
        Value::Unsigned(number) if *number > u64::MAX.into() => format!("\"{number:#x}\""),
        Value::Unsigned(number) => number.to_string(),
        Value::Bool(yes) => yes.to_string(),
        Value::Char(char) => char.to_string(),
        Value::Enum { name: Some(name), .. } => format!("\"{name}\""),
        Value::Text(text) => format!("\"{text}\""),
        Value::Array(values) => format!("[{}]", list(values.iter().map(json).collect())),
        Value::Struct(fields) | Value::Union(fields) => {
            let fields = fields.iter().map(|field| format!("\"{}\":{}", field.name, json(&field.value)));
            format!("{{{}}}", list(fields.collect()))
        }
        other => panic!("{other:?} is written in another way"),
    }
}

#[test]
fn elements_are_what_bpftool_shows() {
    let test = "elements_are_what_bpftool_shows";
    let Some(turn) = linux(test) else { return };
    let mut kinds = object("lab/vectors/maps/kinds");
    for program in kinds.programs().map(str::to_owned).collect::<Vec<_>>() {
        kinds.program_mut(&program).unwrap().set_autoload(Autoload::No);
    }
    let loaded = kinds.load(&turn.kernel).unwrap();
    let key = |number: u8| [number, 0, 0, 1, 0xff, 0xff, 7, 0];
    let value = |number: u8| [[number; 8], [0xfe; 8], [number, 1, 2, 3, 0, 0, 0, 0]].concat();
    for name in ["hash", "lru_hash"] {
        let map = loaded.map(name).unwrap().typed::<[u8; 8], [u8; 24]>().unwrap();
        for number in 0..8 {
            map.insert(&key(number), &value(number).try_into().unwrap()).unwrap();
        }
    }
    let each = loaded.map("percpu_hash").unwrap().typed::<[u8; 8], PerCpu<[u8; 24]>>().unwrap();
    let cpus = turn.kernel.possible_cpus().unwrap();
    let values = (0..cpus).map(|cpu| value(cpu as u8 + 1).try_into().unwrap()).collect();
    each.insert(&key(1), &PerCpu::new(values)).unwrap();

    for name in ["hash", "lru_hash", "percpu_hash", "array", "percpu_array"] {
        let map = loaded.map(name).unwrap();
        let Some(theirs) = dump(map) else { return println!("skipped: {test}: no bpftool") };
        let mut count = 0;
        for entry in map.entries() {
            let entry = entry.unwrap();
            let key = json(&entry.key);
            let ours = match &entry.value {
                EntryValue::One(value) => {
                    format!("\"formatted\":{{\"key\":{key},\"value\":{}}}", json(value))
                }
                EntryValue::PerCpu(values) => {
                    let of_cpu = |(cpu, value)| format!("{{\"cpu\":{cpu},\"value\":{}}}", json(value));
                    let values: Vec<_> = values.iter().enumerate().map(of_cpu).collect();
                    format!("\"formatted\":{{\"key\":{key},\"values\":[{}]}}", values.join(","))
                }
            };
            assert!(theirs.contains(&ours), "{name}: {ours}\nis not in {theirs}");
            count += 1;
        }
        assert_eq!(theirs.matches("\"formatted\"").count(), count, "{name}");
    }
}

#[test]
fn variables_are_what_bpftool_shows() {
    let test = "variables_are_what_bpftool_shows";
    let Some(turn) = linux(test) else { return };
    let load = |stem: &str| {
        let loaded = object(stem).load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
        let maps = loaded.maps().filter(|map| map.section().is_some());
        let theirs: Option<String> = maps.map(dump).collect();
        (theirs, loaded)
    };
    let (theirs, globals) = load("lab/vectors/data/globals");
    let Some(theirs) = theirs else { return println!("skipped: {test}: no bpftool") };
    for name in
        ["in_data", "hidden_data", "points", "in_bss", "in_rodata", "custom_data", "custom_bss", "origin"]
    {
        let ours = format!("{{\"{name}\":{}}}", json(&globals.global(name).unwrap().value().unwrap()));
        assert!(theirs.contains(&ours), "{ours}\nis not in {theirs}");
    }
    // bpftool stops at the first floating-point number.
    let (theirs, values) = load("lab/vectors/btf/values");
    let theirs = theirs.unwrap();
    let everything = values.global("everything").unwrap().value().unwrap();
    let Value::Struct(fields) = &everything else { panic!("{everything:?}") };
    for field in fields.iter().take_while(|field| field.name != "single") {
        // Signed numbers of more than 64 bits are written like unsigned ones.
        let ours = match &field.value {
            Value::Signed(number) if *number > i64::MAX.into() => {
                format!("\"{}\":\"{number:#x}\"", field.name)
            }
            value => format!("\"{}\":{}", field.name, json(value)),
        };
        assert!(theirs.contains(&ours), "{ours}\nis not in {theirs}");
    }
    assert!(theirs.contains("\"huge\""), "{theirs}");
}
