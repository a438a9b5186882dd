//! Every committed object does on the running kernel what `lab/vectors/objects.txt` says.

mod common;

use common::{Held, Row, linux, object, packet, rows, running};
use skep::{Autoload, ErrorKind, Kernel, Loaded, Object, ProgType, Program, TestRun};

/// What the error of a rejected object has to name.
const CULPRITS: &[(&str, &str)] = &[
    ("refused/unknown_section", "nobody_knows"),
    ("refused/call_by_register", "8d"),
    ("refused/unchecked_packet", "outside of the packet"),
];

fn loads_here(row: &Row) -> bool {
    row.since.is_some_and(|since| since <= running())
}

fn load(stem: &str, kernel: &Kernel) -> Loaded {
    let mut object = object(stem);
    for map in object.maps().map(str::to_owned).collect::<Vec<_>>() {
        object.map_mut(&map).unwrap().do_not_pin();
    }
    object.load(kernel).unwrap_or_else(|error| panic!("{error:?}"))
}

fn run(program: &Program, packet: &[u8]) -> u32 {
    let arguments = [0; 96];
    let run = match program.prog_type() {
        ProgType::RAW_TRACEPOINT => TestRun::new().with_ctx(&arguments),
        _ => TestRun::packet(packet),
    };
    program.test_run(&run).unwrap_or_else(|error| panic!("{error:?}")).retval
}

/// Tells of what came after the running kernel; before 5.12, no empty section is the type of a map's value either.
fn is_older(note: &skep::Note) -> bool {
    note.feature.map_or(note.map.is_some() && running() < (5, 12), |feature| {
        feature.since().is_some_and(|since| (since.major.into(), since.minor.into()) > running())
    })
}

#[test]
fn what_is_to_load_loads_and_leaves_nothing() {
    let Some(turn) = linux("what_is_to_load_loads_and_leaves_nothing") else { return };
    let before = Held::now();
    let mut loaded = 0;
    for row in rows().iter().filter(|row| ["load", "run"].contains(&row.expect.as_str()) && loads_here(row)) {
        let found = load(&row.stem, &turn.kernel);
        let surprises: Vec<_> = found.notes().iter().filter(|note| !is_older(note)).collect();
        assert!(surprises.is_empty(), "{}: {surprises:?}", row.stem);
        assert_ne!(found.programs().len(), 0, "{}", row.stem);
        loaded += 1;
    }
    assert!(loaded > 30, "{loaded} were loaded");
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn what_is_to_run_finds_nothing_wrong() {
    let Some(turn) = linux("what_is_to_run_finds_nothing_wrong") else { return };
    let (packet, mut programs) = (packet(), 0);
    for row in rows().iter().filter(|row| row.expect == "run" && loads_here(row)) {
        let loaded = load(&row.stem, &turn.kernel);
        for program in loaded.programs() {
            for _ in 0..2 {
                let line = run(program, &packet);
                assert_eq!(line, 0, "{}.bpf.c, line {line}, program {}", row.stem, program.name());
            }
            programs += 1;
        }
    }
    assert!(programs > 60, "{programs} were run");
}

#[test]
fn what_is_to_be_rejected_is_and_the_error_names_the_culprit() {
    let Some(turn) = linux("what_is_to_be_rejected_is_and_the_error_names_the_culprit") else { return };
    let before = Held::now();
    let rejected: Vec<_> = rows().into_iter().filter(|row| row.expect == "reject").collect();
    assert_eq!(rejected.len(), CULPRITS.len());
    for row in rejected {
        let (_, culprit) = CULPRITS.iter().find(|(name, _)| row.stem.ends_with(name)).expect(&row.stem);
        let mut object = object(&row.stem);
        // A program that nobody has said the type of is left out unless it is asked for.
        for name in object.programs().map(str::to_owned).collect::<Vec<_>>() {
            object.program_mut(&name).unwrap().set_autoload(Autoload::Yes);
        }
        let error = object.load(&turn.kernel).expect_err(&row.stem);
        // 5.10 looks at the types of functions before it looks at what calls them.
        let is_early = row.stem.ends_with("call_by_register") && running() < (6, 1);
        let culprit = if is_early { "func_info" } else { culprit };
        assert!(error.to_string().contains(culprit), "{error}");
        assert!(error.to_string().contains(&row.stem), "{error}");
        assert!(error.place().program.is_some(), "{error}");
        if row.stem.ends_with("unchecked_packet") {
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert!(error.verifier_log().unwrap().contains("processed"), "{error:?}");
        }
    }
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn objects_for_other_machines_are_refused() {
    let Some(turn) = linux("objects_for_other_machines_are_refused") else { return };
    let error = object("lab/vectors/code/memory.be").load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Object);
    assert!(error.to_string().contains("byte order"), "{error}");
}

#[test]
fn a_relocation_that_the_kernel_cannot_answer_is_named() {
    let Some(turn) = linux("a_relocation_that_the_kernel_cannot_answer_is_named") else { return };
    let error = object("lab/vectors/btf/core").load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("CO-RE") && error.place().insn.is_some(), "{error}");
}

#[test]
fn what_cannot_be_opened_says_so() {
    let error = Object::open("/nowhere/at/all.bpf.o").unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(skep::Errno::ENOENT)));
    let error = Object::parse("text", b"not an object").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Object);
    assert!(error.to_string().starts_with("text: "), "{error}");
}
