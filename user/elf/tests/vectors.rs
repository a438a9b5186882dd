//! The committed objects are read, or refused, as `lab/vectors/objects.txt` expects.

use skep_abi::{AttachType, ProgType};
use skep_btf::VarLinkage;
use skep_elf::ObjectSpec;
use skep_isa::ByteOrder;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The refused objects and what the refusal has to name.
const CULPRITS: [(&str, &str); 5] = [
    ("legacy/maps_extra", "outer_array"),
    ("refused/undefined_function", "defined_nowhere"),
    ("refused/undefined_variable", "defined_nowhere"),
    ("refused/unknown_attribute", "max_entires"),
    ("refused/sizes_disagree", "contradictory"),
];

/// A row of the table of objects: the object's path without its suffix, and what is expected of it.
fn rows() -> Vec<(String, String)> {
    let table = std::fs::read_to_string(format!("{ROOT}/lab/vectors/objects.txt")).unwrap();
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let mut words = row.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    })
    .collect()
}

fn parse(stem: &str) -> Result<ObjectSpec, String> {
    let bytes = std::fs::read(format!("{ROOT}/{stem}.bpf.o")).unwrap();
    ObjectSpec::parse(stem, &bytes).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_to_be_refused_is_read() {
    let mut read = 0;
    for (stem, _) in rows().iter().filter(|(_, expect)| expect != "refuse") {
        let spec = parse(stem).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(spec.license, "Dual MIT/GPL", "{stem}");
        assert_eq!(spec.programs.is_empty(), stem.ends_with("no_programs"), "{stem}");
        assert_eq!(spec.order == ByteOrder::Big, stem.ends_with(".be"), "{stem}");
        read += 1;
    }
    assert!(read > 60, "{read} were read");
}

#[test]
fn refusals_name_the_culprit() {
    let refused: Vec<_> = rows().into_iter().filter(|(_, expect)| expect == "refuse").collect();
    assert_eq!(refused.len(), CULPRITS.len());
    for (stem, _) in refused {
        let error = parse(&stem).expect_err(&stem);
        let (_, culprit) = CULPRITS.iter().find(|(name, _)| stem.ends_with(name)).expect(&stem);
        assert!(error.contains(culprit), "{error}");
    }
}

#[test]
fn both_byte_orders_of_a_source_are_one_spec() {
    let stems: Vec<_> = rows().into_iter().map(|(stem, _)| stem).collect();
    let twins: Vec<_> = stems.iter().filter_map(|stem| Some((stem, stem.strip_suffix(".be")?))).collect();
    assert!(!twins.is_empty());
    for (stem, plain) in twins {
        let version_3 = format!("{plain}.v3");
        let twin = stems.iter().find(|stem| **stem == plain || **stem == version_3).expect(plain);
        let (little, big) = (parse(twin).expect(twin), parse(stem).expect(stem));
        let names = |spec: &ObjectSpec| {
            let maps = spec.maps.iter().map(|map| map.name.clone());
            maps.chain(spec.programs.iter().map(|program| program.name.clone())).collect::<Vec<_>>()
        };
        assert_eq!(names(&little), names(&big), "{stem}");
    }
}

#[test]
fn section_names_say_what_programs_are() {
    let spec = parse("lab/vectors/contexts/tracing").unwrap();
    let attach = |name: &str| spec.program(name).unwrap().attach.as_ref().unwrap();
    assert_eq!(attach("by_record").target.as_deref(), Some("syscalls/sys_enter_getppid"));
    assert_eq!(attach("by_record").prog_type, ProgType::TRACEPOINT);
    assert_eq!(attach("by_record").attach_type, None);
    assert_eq!(attach("raw").target.as_deref(), Some("sys_enter"));
    let firewall = parse("examples/xdp-firewall/xdp_firewall").unwrap();
    let xdp = firewall.program("xdp_firewall").unwrap().attach.as_ref().unwrap();
    assert_eq!((xdp.prog_type, xdp.attach_type), (ProgType::XDP, Some(AttachType::XDP)));
    assert!(xdp.autoload);
    let unknown = parse("lab/vectors/refused/unknown_section").unwrap();
    assert_eq!(unknown.program("nobody_knows").unwrap().attach, None);
}

#[test]
fn variables_have_their_places() {
    let spec = parse("lab/vectors/data/globals").unwrap();
    let btf = spec.btf.as_ref().unwrap();
    let (_, data) = btf.datasec(".data").unwrap();
    assert_eq!(Some(data.size), spec.map(".data").map(|(_, map)| map.value_size));
    let hidden = btf.variable(".data", "hidden_data").unwrap();
    assert_eq!(hidden.linkage, VarLinkage::Static);
    let mut places: Vec<_> = btf.variables(data).map(|variable| variable.offset).collect();
    places.dedup();
    assert_eq!(places.len(), data.vars.len(), "each variable has a place of its own");
}
