//! `skep show`: every object that is read is shown, whole, in both forms.

use crate::common::{golden, objects, scratch, skep};

const FIREWALL: &str = "examples/xdp-firewall/xdp_firewall.bpf.o";

#[test]
fn every_object_is_shown_or_refused_by_place() {
    for object in objects(|_| true) {
        let human = skep(&["show", &object]);
        let json = skep(&["show", &object, "--json"]);
        assert_eq!(human.status, json.status, "{object}");
        let document = json.json();
        match human.status {
            0 => assert_eq!(document["path"], object.as_str()),
            1 => {
                assert_eq!(document["error"]["place"]["file"], object.as_str());
                assert!(document["error"]["place"]["section"].is_string(), "{document}");
                assert!(human.stdout.is_empty() && human.stderr.starts_with("skep: "), "{object}");
            }
            other => panic!("{object}: {other}"),
        }
    }
}

#[test]
fn text_is_as_committed() {
    golden("show_globals.txt", skep(&["show", "lab/vectors/data/globals.bpf.o"]).expect(0).text());
    golden("show_core.txt", skep(&["show", "lab/vectors/btf/core.bpf.o"]).expect(0).text());
    golden("show_inner.txt", skep(&["show", "lab/vectors/maps/inner.bpf.o"]).expect(0).text());
}

#[test]
fn the_document_tells_maps_programs_and_globals() {
    let shown = skep(&["show", FIREWALL, "--json"]).expect(0).json();
    assert_eq!(shown["license"], "Dual MIT/GPL");
    assert_eq!(shown["byte_order"], "little");
    let program = &shown["programs"][0];
    assert_eq!((&program["name"], &program["type"]), (&"xdp_firewall".into(), &"xdp".into()));
    assert_eq!(program["functions"][1]["name"], "count_source");
    assert_eq!(program["functions"][1]["linkage"], "static");
    let map = |name: &str| {
        let maps = shown["maps"].as_array().unwrap();
        maps.iter().find(|map| map["name"] == name).unwrap().clone()
    };
    assert_eq!(map("blocked")["type"], "hash");
    assert_eq!(map("blocked")["value_type"], "struct tally");
    assert_eq!(map("sources")["max_entries"], 4096);
    let globals = shown["globals"].as_array().unwrap();
    let limit = globals.iter().find(|global| global["name"] == "limit_packets").unwrap();
    assert_eq!((&limit["value"], &limit["section"]), (&16.into(), &".rodata".into()));
    assert_eq!(limit["type"], "const volatile __u32");
}

#[test]
fn both_byte_orders_hold_the_same_values() {
    let globals = |object| skep(&["show", object, "--json"]).expect(0).json()["globals"].clone();
    let little = globals("lab/vectors/data/globals.bpf.o");
    assert_eq!(little, globals("lab/vectors/data/globals.be.bpf.o"));
    assert!(little.as_array().unwrap().len() > 3);
}

#[test]
fn truncation_anywhere_is_an_error_with_a_place() {
    let whole = std::fs::read(crate::common::root().join("lab/vectors/maps/typed_keys.bpf.o")).unwrap();
    for length in (0..whole.len()).step_by(97) {
        let path = scratch("cut.o", &whole[..length]);
        let ran = skep(&["show", path.to_str().unwrap(), "--json"]).expect(1);
        let document = ran.json();
        let error = &document["error"];
        assert_eq!(error["place"]["file"], path.to_str().unwrap());
        assert_eq!(error["kind"], "object");
        assert!(ran.stderr.contains(path.to_str().unwrap()), "{}", ran.stderr);
    }
}

#[test]
fn what_is_no_object_is_said_so() {
    let ran = skep(&["show", "no/such/file.o", "--json"]).expect(1);
    assert_eq!(ran.json()["error"]["kind"], "file");
    let ran = skep(&["show", "Cargo.toml"]).expect(1);
    assert!(ran.stderr.starts_with("skep: Cargo.toml: "), "{}", ran.stderr);
    let ran = skep(&["show", "examples"]).expect(1);
    assert!(ran.stderr.starts_with("skep: examples: "), "{}", ran.stderr);
}
