//! The committed objects are read, or refused, as `lab/vectors/objects.txt` expects.

use skep_abi::{AttachType, ProgType};
use skep_btf::VarLinkage;
use skep_elf::ObjectSpec;
use skep_isa::{ByteOrder, RawInsn};
use skep_model::ProgramSpec;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The refused objects and what the refusal has to name.
const CULPRITS: [(&str, &str); 6] = [
    ("legacy/maps_extra", "outer_array"),
    ("refused/undefined_function", "defined_nowhere"),
    ("refused/undefined_variable", "defined_nowhere"),
    ("refused/unknown_attribute", "max_entires"),
    ("refused/sizes_disagree", "contradictory"),
    ("refused/two_arenas", "second"),
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
        // One has a mistake that is about its licence, and a twin without it.
        let license = match stem.rsplit('/').next() {
            Some("gpl_helper") => "Proprietary",
            Some("gpl_helper.fixed") => "GPL",
            _ => "Dual MIT/GPL",
        };
        assert_eq!(spec.license, license, "{stem}");
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

/// The functions that a function of a program calls or takes the address of, in the order of its instructions.
fn callees(program: &ProgramSpec, function: usize) -> Vec<usize> {
    let function = &program.functions[function];
    let slots = function.start.0..function.start.0 + function.slots;
    let refers = |insn: &RawInsn| matches!((insn.code, insn.src()), (0x85, 1) | (0x18, 4));
    let from = slots.filter(|at| refers(&program.insns[*at as usize]));
    let targets = from.map(|at| i64::from(at) + 1 + i64::from(program.insns[at as usize].imm));
    let index = |target| program.functions.iter().position(|function| i64::from(function.start.0) == target);
    targets.map(|target| index(target).expect("a function starts there")).collect()
}

/// As libbpf appends them: each is followed by what it calls, and that by what it calls, before its caller's next callee.
fn depth_first(program: &ProgramSpec, function: usize, order: &mut Vec<usize>) {
    order.push(function);
    for callee in callees(program, function) {
        if !order.contains(&callee) {
            depth_first(program, callee, order);
        }
    }
}

#[test]
fn functions_follow_their_callers_depth_first() {
    let mut nested = 0;
    for (stem, _) in rows().iter().filter(|(_, expect)| expect != "refuse") {
        for program in &parse(stem).unwrap().programs {
            let mut order = Vec::new();
            depth_first(program, 0, &mut order);
            let starts_at = |at| program.functions.iter().position(|function| function.start == at);
            let callback = program.exception_callback.and_then(starts_at);
            if let Some(callback) = callback.filter(|callback| !order.contains(callback)) {
                depth_first(program, callback, &mut order);
            }
            assert_eq!(order, (0..program.functions.len()).collect::<Vec<_>>(), "{stem} {}", program.name);
            // In the other order, the entry's callees come before theirs.
            let mut first = callees(program, 0);
            first.retain(|callee| *callee != 0);
            first.sort_unstable();
            first.dedup();
            nested += usize::from(first.iter().enumerate().any(|(at, callee)| *callee != at + 1));
        }
    }
    assert!(nested > 0, "no program tells the orders apart");
}
