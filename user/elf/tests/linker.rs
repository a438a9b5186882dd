//! Objects become one, as bpftool's `gen object` makes them one.

use skep_btf::{Btf, Kind};
use skep_elf::{ElfError, ExternKind, Input, ObjectSpec, Problem, link};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/link");

/// What an object comes to, without the numbers of types, which linking changes.
#[derive(Debug, PartialEq)]
struct Summary {
    license: String,
    programs: BTreeMap<String, String>,
    maps: BTreeMap<String, String>,
    externs: BTreeMap<String, String>,
}

fn summary(spec: &ObjectSpec) -> Summary {
    let name = |id: u32| {
        let ty = spec.btf.as_ref().and_then(|btf| btf.get(skep_btf::TypeId(id)));
        ty.map(|ty| format!("{:?} {}", ty.kind(), ty.name()))
    };
    let programs = spec.programs.iter().map(|program| {
        let text = |off| spec.btf.as_ref().and_then(|btf| btf.text(skep_btf::StrOff(off)));
        let lines: Vec<_> = (program.line_info.iter())
            .map(|line| (line.insn_off, text(line.file_name_off), text(line.line_off), line.line_col))
            .collect();
        let functions: Vec<_> = program.functions.iter().map(|f| (&f.name, f.start, f.slots)).collect();
        let types: Vec<_> = program.func_info.iter().map(|f| (f.insn, name(f.type_id.0))).collect();
        let relocations: Vec<_> = program.relocations.iter().map(|r| (r.insn, target(spec, r))).collect();
        let whole = format!(
            "{} {:?} {:?} {functions:?} {types:?} {lines:?} {relocations:?}",
            program.section, program.attach, program.insns
        );
        (program.name.clone(), whole)
    });
    let maps = spec.maps.iter().map(|map| {
        let types = [map.key_type, map.value_type].map(|id| id.and_then(|id| name(id.0)));
        let mut plain = map.clone();
        (plain.key_type, plain.value_type) = (None, None);
        plain.inner = None;
        plain.initial.clear();
        let inner = map.inner.as_ref().map(|inner| (&inner.name, inner.map_type, inner.value_size));
        (map.name.clone(), format!("{plain:?} {types:?} {inner:?} {}", map.initial.len()))
    });
    let externs = spec.externs.iter().map(|found| {
        let kind = match found.kind {
            ExternKind::Kconfig { size, .. } => format!("kconfig of {size}"),
            other => format!("{other:?}"),
        };
        (found.name.clone(), format!("{kind} weak: {}", found.weak))
    });
    Summary {
        license: spec.license.clone(),
        programs: programs.collect(),
        maps: maps.collect(),
        externs: externs.collect(),
    }
}

/// What a relocation refers to, by name.
fn target(spec: &ObjectSpec, relocation: &skep_model::Relocation) -> String {
    use skep_model::RelocTarget as T;
    match &relocation.target {
        T::Map(id) => spec.maps[id.0 as usize].name.clone(),
        T::MapValue { map, offset } => format!("{} + {offset}", spec.maps[map.0 as usize].name),
        // Types have other numbers, and what is asked of them is behind it.
        T::Core(core) => format!("CO-RE {} {}", core.access, core.kind),
        other => format!("{other:?}"),
    }
}

fn census(btf: &Btf<'_>) -> BTreeMap<Kind, usize> {
    let mut census = BTreeMap::new();
    btf.types().for_each(|ty| *census.entry(ty.kind().unwrap()).or_default() += 1);
    census
}

/// Every struct and union that has a name, with its size and its members.
fn layouts(btf: &Btf<'_>) -> BTreeMap<String, Vec<String>> {
    let mut layouts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for ty in btf.types().filter(|ty| !ty.name().is_empty()) {
        let Ok(composite) = ty.as_composite() else { continue };
        let members = composite.members.iter().map(|m| (m.name, m.bit_offset, m.bitfield));
        let text = format!("{} {:?}", composite.size, members.collect::<Vec<_>>());
        layouts.entry(ty.name().to_owned()).or_default().push(text);
    }
    layouts.values_mut().for_each(|found| found.sort());
    layouts
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A folder of this test's own.
fn folder(test: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("link-{test}"));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// Compiles cases; `None` where there is no clang.
fn compile(test: &str, target: &str, cases: &[&str]) -> Option<Vec<(String, Vec<u8>)>> {
    let Some(clang) = ["clang-19", "clang"].into_iter().find(|name| runs(name)) else {
        println!("skipped: {test}: no clang");
        return None;
    };
    let each = cases.iter().map(|case| {
        let (name, flags) = case.split_once(' ').unwrap_or((case, "-DPLAIN"));
        let output = folder(test).join(format!("{}.{target}.o", case.replace([' ', '='], "_")));
        let status = Command::new(clang)
            .args(["-g", "-O2", "-mcpu=v3", "-Wall", "-target", target, "-c", "-o"])
            .arg(&output)
            .args(flags.split(' '))
            .arg(format!("{CASES}/{name}.bpf.c"))
            .status();
        assert!(status.unwrap().success(), "clang refuses {case}");
        (output.to_str().unwrap().to_owned(), std::fs::read(&output).unwrap())
    });
    Some(each.collect())
}

fn link_all(objects: &[(String, Vec<u8>)]) -> Result<Vec<u8>, ElfError> {
    let inputs: Vec<_> = objects.iter().map(|(file, bytes)| Input { file, bytes }).collect();
    link(&inputs)
}

/// What bpftool makes of the same objects.
fn by_bpftool(test: &str, objects: &[(String, Vec<u8>)]) -> Option<Result<Vec<u8>, String>> {
    if !runs("bpftool") {
        println!("skipped: {test}: no bpftool");
        return None;
    }
    let output = folder(test).join("bpftool.o");
    let files = objects.iter().map(|(file, _)| file);
    let done = Command::new("bpftool").args(["gen", "object"]).arg(&output).args(files).output().unwrap();
    Some(match done.status.success() {
        true => Ok(std::fs::read(output).unwrap()),
        false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
    })
}

/// Links cases, and compares with what bpftool makes of them.
fn compare(test: &str, target: &str, cases: &[&str]) -> Option<ObjectSpec> {
    let objects = compile(test, target, cases)?;
    let linked = link_all(&objects).unwrap_or_else(|error| panic!("{error}"));
    let ours = ObjectSpec::parse("ours", &linked).unwrap_or_else(|error| panic!("{error}"));
    // bpftool before 7.6 knows the byte order of its own machine only.
    if target == "bpfeb" {
        return Some(ours);
    }
    if let Some(theirs) = by_bpftool(test, &objects) {
        let theirs = ObjectSpec::parse("bpftool's", &theirs.unwrap()).unwrap();
        assert_eq!(summary(&ours), summary(&theirs));
        let (ours, theirs) = (ours.btf.as_ref().unwrap(), theirs.btf.as_ref().unwrap());
        let (mut left, mut right) = (census(ours), census(theirs));
        // bpftool keeps the nameless parameters of a declaration whose definition came before.
        assert!(left.remove(&Kind::FuncProto) <= right.remove(&Kind::FuncProto));
        assert_eq!(left, right);
        assert_eq!(layouts(ours), layouts(theirs));
    }
    Some(ours)
}

#[test]
fn an_object_alone_stays_what_it_is() {
    let table = std::fs::read_to_string(format!("{ROOT}/lab/vectors/objects.txt")).unwrap();
    let mut linked = 0;
    for row in table.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let stem = row.split_whitespace().next().unwrap();
        let bytes = std::fs::read(format!("{ROOT}/{stem}.bpf.o")).unwrap();
        let Ok(before) = ObjectSpec::parse(stem, &bytes) else { continue };
        let result = link(&[Input { file: stem, bytes: &bytes }]).unwrap_or_else(|error| panic!("{error}"));
        let after = ObjectSpec::parse(stem, &result).unwrap_or_else(|error| panic!("linked {error}"));
        assert_eq!(summary(&before), summary(&after), "{stem}");
        // And once more changes nothing at all.
        let again = link(&[Input { file: stem, bytes: &result }]).unwrap();
        assert_eq!(result, again, "{stem}");
        if let (Some(before), Some(after)) = (&before.btf, &after.btf) {
            assert!(after.len() <= before.len(), "{stem}");
        }
        linked += 1;
    }
    assert!(linked > 60, "{linked} were linked");
}

#[test]
fn two_files_are_one_program() {
    for target in ["bpfel", "bpfeb"] {
        let Some(spec) = compare("two_files_are_one_program", target, &["main", "library"]) else { return };
        assert_eq!(spec.license, "Dual MIT/GPL");
        let entry = spec.program("entry").unwrap();
        // What `entry` calls is in the other file, which calls a function of its own.
        let names: Vec<_> = entry.functions.iter().map(|function| function.name.as_str()).collect();
        assert!(names.contains(&"add") && names.contains(&"scale"), "{names:?}");
        let btf = spec.btf.as_ref().unwrap();
        // A variable of each file, each in its place, and one of both.
        let places: Vec<_> = ["main_calls", "library_calls"]
            .iter()
            .map(|name| btf.variable(".bss", name).unwrap().offset)
            .collect();
        assert_ne!(places[0], places[1]);
        assert!(btf.variable(".data", "limit").is_some());
        // One file declares the struct that the other defines.
        assert!(btf.find("item", Kind::Struct).is_some() && btf.find("item", Kind::Fwd).is_none());
        assert_eq!(spec.maps.iter().filter(|map| map.name == "counts").count(), 1);
        assert_eq!(spec.externs.iter().filter(|found| found.name == "LINUX_KERNEL_VERSION").count(), 1);
    }
}

#[test]
fn the_other_order_is_the_same() {
    let test = "the_other_order_is_the_same";
    compare(test, "bpfel", &["library", "main"]);
}

/// The weak definition comes first or last, and the strong one takes its place.
#[test]
fn strong_takes_the_place_of_weak() {
    for cases in [["main", "library", "weak"], ["weak", "main", "library"]] {
        let Some(objects) = compile("strong_takes_the_place_of_weak", "bpfel", &cases) else { return };
        let spec = ObjectSpec::parse("ours", &link_all(&objects).unwrap()).unwrap();
        let alone = ObjectSpec::parse("alone", &link_all(&objects_of(&objects, "weak")).unwrap()).unwrap();
        let code = |name: &str| {
            let entry = spec.program(name).unwrap();
            let add = entry.functions.iter().find(|function| function.name == "add").unwrap();
            entry.insns[add.start.index()..][..add.slots as usize].to_vec()
        };
        let strong = alone.program("entry").unwrap();
        let add = strong.functions.iter().find(|function| function.name == "add").unwrap();
        let wanted = &strong.insns[add.start.index()..][..add.slots as usize];
        // Calls are resolved by distance, so that only what does not call is compared.
        let plain = |insns: &[skep_isa::RawInsn]| {
            insns.iter().filter(|insn| insn.code != 0x85).copied().collect::<Vec<_>>()
        };
        assert_eq!(plain(&code("entry")), plain(wanted));
        assert_eq!(plain(&code("weak_entry")), plain(wanted));
        // The variable too: its value is that of the strong definition, and BTF says where it is.
        let btf = spec.btf.as_ref().unwrap();
        let place = btf.variable(".data", "limit").unwrap();
        let (_, data) = spec.map(".data").unwrap();
        let skep_model::MapOrigin::Data(data) = &data.origin else { panic!() };
        assert_eq!(data.bytes[place.offset as usize..][..4], 100u32.to_le_bytes());
    }
}

/// All but the file whose name has that word.
fn objects_of(objects: &[(String, Vec<u8>)], without: &str) -> Vec<(String, Vec<u8>)> {
    objects.iter().filter(|(name, _)| !name.contains(&format!("/{without}."))).cloned().collect()
}

#[test]
fn what_does_not_go_together_is_refused_by_both_names() {
    let test = "what_does_not_go_together_is_refused_by_both_names";
    // What is linked, what the message has to have, and whether bpftool refuses it too.
    let cases: [(&[&str], &str); 6] = [
        (&["library", "library -DSECOND"], "scale: "),
        (&["main", "library -DLICENSE=GPL"], "section license"),
        (&["main -DWIDE", "library"], "limit: "),
        (&["main -DPARAMS=3", "library"], "parameters there"),
        (&["main -DENTRIES=8", "library"], "max_entries"),
        (&["main -DVALUE=1", "library"], "value"),
    ];
    for (names, wanted) in cases {
        let Some(objects) = compile(test, "bpfel", names) else { return };
        let error = link_all(&objects).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
        for (file, _) in &objects {
            assert!(error.contains(file.as_str()), "{error}");
        }
        if let Some(theirs) = by_bpftool(test, &objects) {
            assert!(theirs.is_err(), "bpftool links {names:?}");
        }
    }
    let Some(mut objects) = compile(test, "bpfel", &["main"]) else { return };
    objects.extend(compile(test, "bpfeb", &["library"]).unwrap());
    assert!(matches!(link_all(&objects).unwrap_err().problem(), Problem::ByteOrders { .. }));
}

#[test]
fn nothing_is_refused() {
    assert_eq!(*link(&[]).unwrap_err().problem(), Problem::NothingToLink);
}

/// Many real objects at once: what they have in common is kept once. Their programs and maps have the same names here and
/// there, so that each is linked with the file of the other names only.
#[test]
fn vectors_are_merged_as_by_bpftool() {
    let test = "vectors_are_merged_as_by_bpftool";
    let groups = [
        ["lab/vectors/helpers/checksum", "lab/vectors/helpers/ringbuf", "lab/vectors/btf/core"],
        ["lab/vectors/data/globals", "lab/vectors/maps/kinds", "lab/vectors/code/subprograms"],
        ["lab/vectors/helpers/text", "lab/vectors/maps/iteration", "examples/xdp-firewall/xdp_firewall"],
    ];
    let mut compared = 0;
    for group in groups {
        let objects: Vec<_> = group
            .iter()
            .map(|stem| format!("{ROOT}/{stem}.bpf.o"))
            .map(|file| {
                let bytes = std::fs::read(&file).unwrap();
                (file, bytes)
            })
            .collect();
        let Some(theirs) = by_bpftool(test, &objects) else { return };
        let ours = link_all(&objects);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{group:?}: {ours:?}, bpftool: {:?}", theirs.as_ref().err());
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { continue };
        let (ours, theirs) =
            (ObjectSpec::parse("ours", &ours).unwrap(), ObjectSpec::parse("theirs", &theirs).unwrap());
        assert_eq!(summary(&ours), summary(&theirs));
        let (ours, theirs) = (ours.btf.unwrap(), theirs.btf.unwrap());
        assert_eq!(census(&ours), census(&theirs), "{group:?}");
        assert_eq!(layouts(&ours), layouts(&theirs), "{group:?}");
        compared += 1;
    }
    assert!(compared > 1, "{compared} groups were compared");
}
