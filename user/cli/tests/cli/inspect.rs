//! `skep prog`, `skep map`, `skep link`, `skep btf list`: what the running kernel holds, beside what bpftool says of it.

use crate::common::{Ran, root, scratch, skep};
use serde_json::Value;
use skep::{ErrorKind, Kernel, Link, Loaded, Object};
use std::process::Command;

/// Objects in the running kernel; says that `test` is skipped where this process may not use `bpf(2)`.
fn load(test: &str, stem: &str) -> Option<Loaded> {
    let mut object = Object::open(root().join(format!("{stem}.bpf.o"))).unwrap();
    for map in object.maps().map(str::to_owned).collect::<Vec<_>>() {
        object.map_mut(&map).unwrap().do_not_pin();
    }
    match object.load(&Kernel::linux()) {
        Ok(loaded) => Some(loaded),
        Err(error) if [ErrorKind::Permission, ErrorKind::Unsupported].contains(&error.kind()) => {
            println!("skipped: {test}: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

/// What bpftool answers; says that `test` is skipped where it is not installed.
fn bpftool(test: &str, args: &[&str]) -> Option<Value> {
    match Command::new("bpftool").arg("-j").args(args).output() {
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {text}")))
        }
        Err(error) => {
            println!("skipped: {test}: bpftool: {error}");
            None
        }
    }
}

/// The object of a list that has this id.
#[track_caller]
fn with_id(list: &Value, id: u32) -> &Value {
    let list = list.as_array().unwrap();
    list.iter().find(|one| one["id"] == id).unwrap_or_else(|| panic!("{id} is not in {list:?}"))
}

fn bytes_of(insns: &Value) -> Vec<u8> {
    let digits: String =
        insns.as_array().unwrap().iter().map(|insn| insn["bytes"].as_str().unwrap()).collect();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

#[track_caller]
fn holds_me(one: &Value) {
    let me = std::process::id();
    assert!(one["pids"].as_array().unwrap().iter().any(|process| process["pid"] == me), "{one}");
}

const STEMS: &[&str] = &[
    "examples/xdp-firewall/xdp_firewall",
    "examples/syscount/syscount",
    "lab/vectors/code/subprograms",
    "lab/vectors/helpers/tail_call",
    "lab/vectors/helpers/loop",
    "lab/vectors/maps/kinds",
];

#[test]
fn programs_and_maps_are_those_that_bpftool_shows() {
    const TEST: &str = "programs_and_maps_are_those_that_bpftool_shows";
    if bpftool(TEST, &["version"]).is_none() {
        return;
    }
    let (mut programs, mut maps, mut frozen) = (0, 0, 0);
    for stem in STEMS {
        let Some(loaded) = load(TEST, stem) else { return };
        let theirs = bpftool(TEST, &["prog", "list"]).unwrap();
        let ours = skep(&["prog", "list", "--json"]).expect(0).json();
        for program in loaded.programs() {
            let id = program.info().unwrap().id;
            let (ours, theirs) = (with_id(&ours["programs"], id), with_id(&theirs, id));
            holds_me(ours);
            assert_eq!(ours["name"], program.name());
            let pairs = [
                ("type", "type"),
                ("tag", "tag"),
                ("gpl_compatible", "gpl_compatible"),
                ("uid", "uid"),
                ("xlated_bytes", "bytes_xlated"),
                ("btf_id", "btf_id"),
            ];
            for (our, their) in pairs {
                assert_eq!(ours[our], theirs[their], "{stem}: {our} of {ours} and {theirs}");
            }
            assert_eq!(
                ours["map_ids"].as_array().map_or(0, Vec::len),
                theirs["map_ids"].as_array().map_or(0, Vec::len)
            );
            assert!(ours["map_ids"].as_array().unwrap().is_empty() || ours["map_ids"] == theirs["map_ids"]);
            if theirs["jited"] == true {
                assert_eq!(ours["jited_bytes"], theirs["bytes_jited"], "{ours}");
            }
            same_code(stem, id, theirs["jited"] == true);
            programs += 1;
        }
        let theirs = bpftool(TEST, &["map", "list"]).unwrap();
        let ours = skep(&["map", "list", "--json"]).expect(0).json();
        for map in loaded.maps() {
            let id = map.info().unwrap().id;
            let (ours, theirs) = (with_id(&ours["maps"], id), with_id(&theirs, id));
            holds_me(ours);
            assert_eq!(theirs["name"].as_str().unwrap_or_default(), ours["name"].as_str().unwrap());
            for (our, their) in [
                ("type", "type"),
                ("key_bytes", "bytes_key"),
                ("value_bytes", "bytes_value"),
                ("max_entries", "max_entries"),
            ] {
                assert_eq!(ours[our], theirs[their], "{stem}: {our} of {ours} and {theirs}");
            }
            assert_eq!(ours["memlock_bytes"], theirs["bytes_memlock"], "{stem}: {ours} and {theirs}");
            assert_eq!(
                ours["frozen"].as_bool().map(i32::from),
                theirs["frozen"].as_i64().map(|is| is as i32)
            );
            frozen += usize::from(ours["frozen"] == true);
            let flags = ours["flags"].as_str().unwrap().trim_start_matches("0x");
            assert_eq!(u64::from_str_radix(flags, 16).unwrap(), theirs["flags"].as_u64().unwrap());
            maps += 1;
        }
    }
    assert!(programs > 15 && maps > 25 && frozen > 0, "{programs} programs, {maps} maps, {frozen} frozen");
}

/// The bytes that bpftool writes for a program, and those of our dumps.
fn same_code(stem: &str, id: u32, is_jited: bool) {
    let number = id.to_string();
    let forms = [("xlated", true), ("jited", is_jited)];
    for (form, _) in forms.iter().filter(|(_, there)| *there) {
        let path = scratch("code", b"");
        let output = Command::new("bpftool")
            .args(["prog", "dump", form, "id", &number, "file", path.to_str().unwrap()])
            .output()
            .unwrap();
        if *form == "jited" && String::from_utf8_lossy(&output.stderr).contains("support") {
            // Built without a disassembler it writes no machine code, not even as bytes.
            println!("skipped: programs_and_maps_are_those_that_bpftool_shows: machine code: {output:?}");
            continue;
        }
        assert!(output.status.success(), "{output:?}");
        let theirs = std::fs::read(&path).unwrap();
        let ours = skep(&["prog", "dump", form, "id", &number, "--json"]).expect(0).json();
        let program = &ours["programs"][0];
        assert_eq!(program["id"], id);
        let bytes = match *form {
            "xlated" => bytes_of(&program["insns"]),
            _ => {
                let functions = program["functions"].as_array().unwrap();
                functions.iter().flat_map(|function| bytes_of(&function["code"])).collect()
            }
        };
        assert!(!theirs.is_empty() && bytes == theirs, "{stem}, program {id}: {form} differs");
    }
}

#[test]
fn links_and_types_are_those_that_bpftool_shows() {
    const TEST: &str = "links_and_types_are_those_that_bpftool_shows";
    if bpftool(TEST, &["version"]).is_none() {
        return;
    }
    let Some(loaded) = load(TEST, "examples/syscount/syscount") else { return };
    let link = loaded.program("syscount").unwrap().attach_auto().unwrap();
    let info = link.info().unwrap();
    let theirs = bpftool(TEST, &["link", "list"]).unwrap();
    let ours = skep(&["link", "list", "--json"]).expect(0).json();
    let (ours, theirs) = (with_id(&ours["links"], info.id), with_id(&theirs, info.id));
    for member in ["type", "prog_id", "tp_name"] {
        assert_eq!(ours[member], theirs[member], "{ours} {theirs}");
    }
    assert_eq!((&ours["type"], &ours["tp_name"]), (&"raw_tracepoint".into(), &"sys_enter".into()));
    holds_me(ours);

    let theirs = bpftool(TEST, &["btf", "list"]).unwrap();
    let ours = skep(&["btf", "list", "--json"]).expect(0).json();
    let id = loaded.program("syscount").unwrap().info().unwrap().btf_id;
    let (own, their) = (with_id(&ours["btf"], id), with_id(&theirs, id));
    assert_eq!((&own["bytes"], &own["prog_ids"]), (&their["size"], &their["prog_ids"]));
    let sorted = |value: &Value| {
        let mut ids: Vec<u64> = value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(&own["map_ids"]), sorted(&their["map_ids"]));
    let vmlinux = skep(&["btf", "show", "name", "vmlinux", "--json"]).expect(0).json();
    assert_eq!(vmlinux["btf"][0]["kernel"], true);
    let id = vmlinux["btf"][0]["id"].as_u64().unwrap() as u32;
    assert_eq!(vmlinux["btf"][0]["bytes"], with_id(&theirs, id)["size"]);
}

#[test]
fn pins_are_those_that_bpftool_shows() {
    const TEST: &str = "pins_are_those_that_bpftool_shows";
    if bpftool(TEST, &["version"]).is_none() {
        return;
    }
    let Some(loaded) = load(TEST, "examples/syscount/syscount") else { return };
    let program = loaded.program("syscount").unwrap();
    let link = program.attach_auto().unwrap();
    let map = loaded.maps().next().unwrap();
    let folder = format!("/sys/fs/bpf/skep_cli_pins_{}", std::process::id());
    let path = |name: &str| format!("{folder}/{name}");
    if let Err(error) = std::fs::create_dir(&folder) {
        return println!("skipped: {TEST}: {folder}: {error}");
    }
    map.pin(&path("first")).unwrap();
    map.pin(&path("second")).unwrap();
    program.pin(&path("program")).unwrap();
    link.pin(&path("link")).unwrap();
    let kinds = [
        ("prog", "programs", program.info().unwrap().id, 1),
        ("map", "maps", map.info().unwrap().id, 2),
        ("link", "links", link.info().unwrap().id, 1),
    ];
    let answers = kinds.map(|(noun, ..)| {
        (bpftool(TEST, &["-f", noun, "list"]).unwrap(), skep(&[noun, "list", "--json"]).expect(0).json())
    });
    std::fs::remove_dir_all(&folder).unwrap();
    for ((noun, list, id, count), (theirs, ours)) in kinds.into_iter().zip(answers) {
        let sorted = |value: &Value| {
            let paths = value["pinned"].as_array().unwrap().iter();
            let mut paths: Vec<String> = paths.map(|path| path.as_str().unwrap().to_owned()).collect();
            paths.sort_unstable();
            paths
        };
        let (ours, mut theirs) = (sorted(with_id(&ours[list], id)), sorted(with_id(&theirs, id)));
        // bpftool names a pin once for each line of the list of mounts that leads to it.
        theirs.dedup();
        assert_eq!(ours, theirs, "{noun}");
        assert_eq!(ours.len(), count, "{noun}: {ours:?}");
    }
}

#[test]
fn a_program_is_picked_by_id_name_tag_and_pin() {
    const TEST: &str = "a_program_is_picked_by_id_name_tag_and_pin";
    let Some(loaded) = load(TEST, "examples/xdp-firewall/xdp_firewall") else { return };
    let program = loaded.program("xdp_firewall").unwrap();
    let details = program.details().unwrap();
    let id = details.id.to_string();
    let tag: String = details.tag.iter().map(|byte| format!("{byte:02x}")).collect();
    let picked = |ran: Ran| {
        let document = ran.expect(0).json();
        assert_eq!(with_id(&document["programs"], details.id)["name"], "xdp_firewall");
        document["programs"].as_array().unwrap().len()
    };
    assert_eq!(picked(skep(&["prog", "show", "id", &id, "--json"])), 1);
    assert_eq!(picked(skep(&["prog", "show", &id, "--json"])), 1);
    assert!(picked(skep(&["prog", "show", "name", "xdp_firewall", "--json"])) >= 1);
    assert!(picked(skep(&["prog", "show", "tag", &tag, "--json"])) >= 1);
    let pin = format!("/sys/fs/bpf/skep_cli_{}", std::process::id());
    match program.pin(&pin) {
        Ok(()) => {
            let ran = skep(&["prog", "show", "pinned", &pin, "--json"]);
            std::fs::remove_file(&pin).unwrap();
            assert_eq!(picked(ran), 1);
        }
        Err(error) => println!("skipped: {TEST}: {error}"),
    }
    let human = skep(&["prog", "show", &id]).expect(0);
    for wanted in
        [&format!("program {id}: xdp_firewall\n"), "type       xdp\n", &tag, "blocked", "xlated", "held by"]
    {
        assert!(human.text().contains(wanted), "{wanted}: {}", human.text());
    }
    let list = skep(&["prog", "list"]).expect(0);
    assert!(list.text().contains("xdp_firewall"), "{}", list.text());
}

#[test]
fn code_is_shown_with_functions_lines_and_names() {
    const TEST: &str = "code_is_shown_with_functions_lines_and_names";
    let Some(loaded) = load(TEST, "examples/xdp-firewall/xdp_firewall") else { return };
    let id = loaded.program("xdp_firewall").unwrap().info().unwrap().id.to_string();
    let text = skep(&["prog", "dump", "xlated", "id", &id, "--source", "--opcodes"]).expect(0);
    let text = text.text();
    for wanted in [
        "// program ",
        "xdp_firewall:",
        "xdp_firewall.bpf.c:",
        "map blocked",
        "     0: ",
        "exit",
        "95 00 00 00",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    // The verifier has put a kernel's own functions in the place of helpers.
    let symbols = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    if symbols.lines().next().is_some_and(|line| !line.starts_with("0000000000000000")) {
        assert!(
            text.contains("call ") && text.lines().any(|line| line.contains("call ") && line.contains('#')),
            "{text}"
        );
    }
    let Some(other) = load(TEST, "lab/vectors/code/subprograms") else { return };
    let id = other.program("from_xdp").unwrap().info().unwrap().id.to_string();
    let document = skep(&["prog", "dump", "xlated", "id", &id, "--json"]).expect(0).json();
    let program = &document["programs"][0];
    let names: Vec<&str> =
        program["functions"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["from_xdp"]) && names.contains(&"twice_and_one"), "{names:?}");
    let insns = program["insns"].as_array().unwrap();
    let calls =
        |name: &str| insns.iter().any(|insn| insn["text"].as_str().unwrap() == format!("call {name}"));
    assert!(calls("twice_and_one") && calls("three_times"), "{program}");
    assert!(insns.iter().any(|insn| insn["source"]["text"].as_str().is_some_and(|text| !text.is_empty())));
    let info = other.program("from_xdp").unwrap().details().unwrap();
    if info.jited_len == 0 {
        println!("skipped: {TEST}: there is no machine code");
        return;
    }
    let jited = skep(&["prog", "dump", "jited", "id", &id, "--source"]).expect(0);
    let text = jited.text();
    for name in names {
        assert!(text.contains(&format!("\n{name}:  // ")), "{name}: {text}");
    }
    assert!(text.contains("subprograms.bpf.c:"), "{text}");
    if cfg!(target_arch = "x86_64") {
        assert!(text.contains(" ret\n") || text.contains(" jmp "), "{text}");
    }
}

#[test]
fn elements_are_shown_by_their_types() {
    const TEST: &str = "elements_are_shown_by_their_types";
    let Some(loaded) = load(TEST, "examples/xdp-firewall/xdp_firewall") else { return };
    let blocked = loaded.map("blocked").unwrap();
    let mut value = [0; 16];
    value[..8].copy_from_slice(&7u64.to_ne_bytes());
    blocked.insert(&0x0a4d_0003_u32.to_ne_bytes(), &value).unwrap();
    let id = blocked.info().unwrap().id.to_string();
    let dump = skep(&["map", "dump", "id", &id, "--json"]).expect(0).json();
    let map = &dump["maps"][0];
    assert_eq!((&map["name"], map["id"].to_string()), (&"blocked".into(), id.clone()));
    assert_eq!(map["elements"][0]["key"], "0x0a4d0003", "{map}");
    assert_eq!(map["elements"][0]["value"]["packets"], 7, "{map}");
    let found = skep(&["map", "lookup", "id", &id, "--key", "0x0a4d0003", "--json"]).expect(0).json();
    assert_eq!(found["value"], map["elements"][0]["value"]);
    let human = skep(&["map", "lookup", &id, "--key", "0x0a4d0003"]).expect(0);
    assert!(human.text().contains("packets: 7"), "{}", human.text());
    let missing = skep(&["map", "lookup", "id", &id, "--key", "1", "--json"]).expect(1).json();
    assert_eq!(missing["error"]["kind"], "no_element");
    skep(&["map", "lookup", "id", &id, "--key", "x"]).expect(2);
    let shown = skep(&["map", "show", "id", &id]).expect(0);
    assert!(shown.text().starts_with(&format!("map {id}: blocked\n")), "{}", shown.text());

    // Variables by their names; a ring cannot be looked at.
    let data = loaded.maps().find(|map| map.section() == Some(".rodata")).unwrap();
    let id = data.info().unwrap().id.to_string();
    let dump = skep(&["map", "dump", "id", &id, "--json"]).expect(0).json();
    let value = &dump["maps"][0]["elements"][0]["value"];
    assert!(value["limit_packets"].is_u64(), "{dump}");
    let ring = loaded.map("events").unwrap().info().unwrap().id.to_string();
    let dump = skep(&["map", "dump", "id", &ring, "--json"]).expect(3).json();
    assert!(dump["maps"][0]["unreadable"].as_str().unwrap().contains("ringbuf"), "{dump}");

    let Some(calls) = load(TEST, "lab/vectors/helpers/tail_call") else { return };
    let table = calls.maps().find(|map| map.map_type() == skep::MapType::PROG_ARRAY).unwrap();
    let id = table.info().unwrap().id.to_string();
    let dump = skep(&["map", "dump", "id", &id, "--json"]).expect(0).json();
    let ids: Vec<u64> = calls.programs().map(|program| program.info().unwrap().id.into()).collect();
    let elements = dump["maps"][0]["elements"].as_array().unwrap();
    let first = elements.first().unwrap_or_else(|| panic!("{dump}"));
    assert!(ids.contains(&first["value"]["id"].as_u64().unwrap()), "{dump} {ids:?}");
}

#[test]
fn what_is_not_there_is_said() {
    const TEST: &str = "what_is_not_there_is_said";
    if load(TEST, "lab/vectors/code/branches.v1").is_none() {
        return;
    }
    for kind in ["prog", "map", "link", "btf"] {
        let ran = skep(&[kind, "show", "id", "2147483640", "--json"]).expect(2);
        let document = ran.json();
        assert_eq!(document["error"]["kind"], "usage", "{document}");
        assert!(document["error"]["message"].as_str().unwrap().contains("there is no"), "{document}");
    }
    let ran = skep(&["prog", "show", "name", "no_such_program"]).expect(2);
    assert!(ran.stderr.contains("there is no program called no_such_program"), "{}", ran.stderr);
    skep(&["prog", "show", "tag", "0123456789abcdef"]).expect(2);
    skep(&["map", "show", "tag", "0123456789abcdef"]).expect(2);
    skep(&["link", "show", "pinned", "/sys/fs/bpf/no_such_link"]).expect(2);
    skep(&["prog", "dump", "xlated", "id", "2147483640"]).expect(2);
    skep(&["prog", "dump", "jited"]).expect(2);
    skep(&["map", "lookup", "id", "1"]).expect(2);
}

#[test]
fn who_may_not_look_is_told_what_it_takes() {
    const TEST: &str = "who_may_not_look_is_told_what_it_takes";
    if load(TEST, "lab/vectors/code/branches.v1").is_none() {
        return;
    }
    // Without capabilities, as the same user.
    let bare = ["--bounding-set", "-all", "--inh-caps", "-all", env!("CARGO_BIN_EXE_skep")];
    let run = |args: &[&str]| Command::new("setpriv").args(bare).args(args).output();
    for kind in ["prog", "map", "link", "btf"] {
        let output = match run(&[kind, "list", "--json"]) {
            Ok(output) => output,
            Err(error) => return println!("skipped: {TEST}: setpriv: {error}"),
        };
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{text}{}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["error"]["kind"], "permission", "{document}");
        assert!(document["error"]["help"].as_str().unwrap().contains("CAP_"), "{document}");
    }
}

#[test]
fn a_link_is_shown_by_id_and_pin() {
    const TEST: &str = "a_link_is_shown_by_id_and_pin";
    let Some(loaded) = load(TEST, "examples/syscount/syscount") else { return };
    let link: Link = loaded.program("syscount").unwrap().attach_auto().unwrap();
    let id = link.info().unwrap().id.to_string();
    let human = skep(&["link", "show", &id]).expect(0);
    for wanted in [&format!("link {id}: raw_tracepoint\n"), "syscount", "sys_enter", "held by"] {
        assert!(human.text().contains(wanted), "{wanted}: {}", human.text());
    }
    assert!(skep(&["link", "list"]).expect(0).text().contains("tp name sys_enter"));
    let pin = format!("/sys/fs/bpf/skep_cli_link_{}", std::process::id());
    match link.pin(&pin) {
        Ok(()) => {
            let ran = skep(&["link", "show", "pinned", &pin, "--json"]);
            std::fs::remove_file(&pin).unwrap();
            assert_eq!(ran.expect(0).json()["links"][0]["tp_name"], "sys_enter");
        }
        Err(error) => println!("skipped: {TEST}: {error}"),
    }
}
