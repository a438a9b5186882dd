//! The committed objects are read, or refused, as `lab/vectors/objects.txt` expects.

use skep_elf::ObjectSpec;
use skep_isa::ByteOrder;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The refused objects and what the refusal has to name.
const CULPRITS: [(&str, &str); 5] = [
    ("legacy/maps_extra", "inner_array"),
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
