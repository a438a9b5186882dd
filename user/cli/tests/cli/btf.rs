//! `skep btf` and `skep gen`: types in every form, of every source.

use crate::common::{elf, root, scratch, skep};
use skep_btf::{Btf, Builder, Endian, Int, IntEncoding, Member};
use std::sync::Arc;

const CORE: &str = "lab/vectors/btf/core.bpf.o";
const RUNNING: &str = "/sys/kernel/btf/vmlinux";

#[test]
fn an_object_is_shown_in_every_form() {
    let raw = skep(&["btf", "dump", CORE]).expect(0);
    assert!(raw.text().starts_with("[1] "), "{}", raw.text());
    let document = skep(&["btf", "dump", CORE, "--json"]).expect(0).json();
    let types = document["types"].as_array().unwrap();
    let lines = raw.text().lines().filter(|line| line.starts_with('[')).count();
    assert_eq!(types.len(), lines);
    assert_eq!(types[0]["id"], 1);
    assert_eq!(skep(&["btf", "dump", CORE, "--format", "json"]).expect(0).json(), document);
    let header = skep(&["btf", "dump", CORE, "--format", "c"]).expect(0);
    assert!(header.text().starts_with("#ifndef __VMLINUX_H__\n"), "{}", header.text());
    let structs = |ty: &&serde_json::Value| ty["kind"] == "STRUCT" && ty["name"] != "(anon)";
    for ty in types.iter().filter(structs) {
        let definition = format!("struct {} {{\n", ty["name"].as_str().unwrap());
        assert!(header.text().contains(&definition), "{definition}");
    }
    let rust = skep(&["btf", "dump", CORE, "--format", "rust"]).expect(0);
    for ty in types.iter().filter(structs) {
        assert!(rust.text().contains(&format!("pub struct {}", ty["name"].as_str().unwrap())), "{ty}");
    }
}

#[test]
fn roots_bring_what_they_need_and_nothing_else() {
    let document = skep(&["btf", "dump", CORE, "--json"]).expect(0).json();
    let types = document["types"].as_array().unwrap();
    let found = types.iter().find(|ty| ty["kind"] == "STRUCT" && ty["name"] != "(anon)").unwrap();
    let name = found["name"].as_str().unwrap();
    let id = found["id"].to_string();
    for wanted in [name, &id, &format!("struct {name}")] {
        let header = skep(&["btf", "dump", CORE, "--format", "c", "--root", wanted]).expect(0);
        assert!(header.text().contains(&format!("struct {name} {{\n")), "{}", header.text());
        let raw = skep(&["btf", "dump", CORE, "--root", wanted]).expect(0);
        assert!(raw.text().starts_with(&format!("[{id}] STRUCT '{name}' ")), "{}", raw.text());
    }
    let ran = skep(&["btf", "dump", CORE, "--root", "no such type", "--json"]).expect(2);
    assert_eq!(ran.json()["error"]["kind"], "usage");
}

#[test]
fn what_has_no_types_is_refused() {
    for (name, bytes) in [("text", &b"text"[..]), ("nothing", b""), ("elf", b"\x7fELF\x02\x01")] {
        let path = scratch(name, bytes);
        let ran = skep(&["btf", "dump", path.to_str().unwrap(), "--json"]).expect(1);
        assert_eq!(ran.json()["error"]["place"]["file"], path.to_str().unwrap());
    }
    let object = std::fs::read(root().join(CORE)).unwrap();
    for length in (0..object.len()).step_by(211) {
        let path = scratch("cut.o", &object[..length]);
        skep(&["btf", "dump", path.to_str().unwrap(), "--format", "c"]).expect(1);
    }
    skep(&["btf", "dump"]).expect(2);
    skep(&["btf", "dump", CORE, "--kernel"]).expect(2);
    skep(&["btf", "dump", CORE, "--format", "c", "--json"]).expect(2);
}

#[test]
fn the_running_kernel_gives_a_header() {
    if !std::path::Path::new(RUNNING).exists() {
        println!("skipped: the_running_kernel_gives_a_header: no {RUNNING}");
        return;
    }
    let header = skep(&["gen", "vmlinux"]).expect(0);
    assert!(header.text().contains("\nstruct task_struct {\n"));
    assert_eq!(header.stdout, skep(&["btf", "dump", "--kernel", "--format", "c"]).expect(0).stdout);
    let path = scratch("vmlinux.h", b"");
    let arguments = ["gen", "vmlinux", "--btf", RUNNING, "-o", path.to_str().unwrap(), "--json"];
    let document = skep(&arguments).expect(0).json();
    assert!(document["types"].as_u64().unwrap() > 1000);
    assert_eq!(std::fs::read(&path).unwrap(), header.stdout);
    std::fs::remove_file(&path).unwrap();
    // A module's types continue the kernel's; there is none of that name.
    let ran = skep(&["btf", "dump", "--module", "no_such_module", "--json"]);
    assert_eq!(ran.expect(2).json()["error"]["kind"], "usage");
}

/// A kernel's types: a list behind so many others.
fn kernel(others: u32) -> Vec<u8> {
    let mut types = Builder::new(Endian::Little);
    for number in 0..others {
        types.structure(&format!("other{number}"), 4, &[]);
    }
    types.int("int", Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED });
    types.structure("list", 16, &[]);
    types.finish().unwrap()
}

/// A module's types that continue a kernel's: a struct with a list in it.
fn module(kernel: &[u8]) -> Btf<'static> {
    let kernel = Arc::new(Btf::from_vec(kernel.to_vec()).unwrap());
    let list = kernel.find("list", skep_btf::Kind::Struct).unwrap();
    let mut types = Builder::split(&kernel);
    types.structure("driver", 16, &[Member { name: "links", type_id: list, bit_offset: 0, bitfield: None }]);
    Btf::from_vec_split(types.finish().unwrap(), kernel).unwrap()
}

#[test]
fn a_modules_types_are_shown_on_those_that_they_continue() {
    let (own, other) = (kernel(5), kernel(40));
    let module = module(&own);
    let (base, split) = (scratch("vmlinux", &own), scratch("module", module.bytes()));
    let (base, split) = (base.to_str().unwrap(), split.to_str().unwrap());
    let shown = |arguments: &[&str]| {
        let ran = skep(&[&["btf", "dump"], arguments].concat()).expect(0);
        ran.text().to_owned()
    };
    // Of its own kernel's 7 types the list is the last.
    let wanted = |id: u32, list: u32| {
        format!("[{id}] STRUCT 'driver' size=16 vlen=1\n\t'links' type_id={list} bits_offset=0\n")
    };
    assert_eq!(shown(&[split, "--base", base]), wanted(8, 7));
    let header = shown(&[split, "--base", base, "--format", "c"]);
    assert!(header.contains("struct driver {\n\tstruct list links;\n};\n"), "{header}");
    let ran = skep(&["btf", "dump", split]).expect(1);
    assert!(ran.stderr.contains("--base"), "{}", ran.stderr);

    // With the small base beside them they stand alone, and fit to another kernel.
    let made = module.distill().unwrap();
    let file = elf("driver.ko", &[(".BTF", &made.split), (".BTF.base", &made.base)]);
    let file = file.to_str().unwrap();
    assert_eq!(shown(&[file]), wanted(2, 1));
    let theirs = scratch("other", &other);
    assert_eq!(shown(&[file, "--base", theirs.to_str().unwrap()]), wanted(43, 42));
    // What that has no list for does not fit.
    let without = Builder::new(Endian::Little).finish().unwrap();
    let without = scratch("without", &without);
    let ran = skep(&["btf", "dump", file, "--base", without.to_str().unwrap(), "--json"]).expect(1);
    assert_eq!(ran.json()["error"]["place"]["file"], file);
}
