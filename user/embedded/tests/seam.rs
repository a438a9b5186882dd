//! The exercise that every kernel behind the seam does: here on the embedded one, and on wrappers around it.

use skep_abi::Errno;
use skep_embedded::{Config, Embedded, Mirror};
use skep_lab_seam::{Failure, Machine, exercise, exercise_programs, exercise_verifier};
use skep_sys::{Fault, Faulty, Kernel, On, Record, Recording, Replay, With};
use std::sync::Arc;

fn embedded(mirror: Mirror) -> Embedded {
    Embedded::new(Config::new().mirror(mirror).seed(1)).unwrap()
}

fn machine(embedded: &Embedded) -> Machine {
    Machine { page_size: embedded.page_size(), release: (6, 18) }
}

fn run(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    exercise(kernel, machine)?;
    exercise_programs(kernel, machine)?;
    exercise_verifier(kernel)
}

#[track_caller]
fn nothing_is_left(embedded: &Embedded) {
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "something is left");
    assert_eq!(embedded.faults(), []);
}

#[test]
fn it_answers_as_linux_does() {
    for mirror in [Mirror::WherePossible, Mirror::Nowhere] {
        let embedded = embedded(mirror);
        run(&Kernel::from_sys(embedded.clone()), machine(&embedded)).unwrap();
        nothing_is_left(&embedded);
    }
}

#[test]
fn a_recording_is_a_whole_reproduction() {
    let embedded = embedded(Mirror::WherePossible);
    let record = Arc::new(Record::new(&Kernel::from_sys(embedded.clone())));
    run(&Kernel::from_arc(Arc::clone(&record) as _), machine(&embedded)).unwrap();
    nothing_is_left(&embedded);
    let bytes = record.take().unwrap().to_bytes().unwrap();
    let replay = Arc::new(Replay::new(Recording::from_bytes(&bytes).unwrap()));
    run(&Kernel::from_arc(Arc::clone(&replay) as _), machine(&embedded)).unwrap();
    assert_eq!((replay.mismatch(), replay.left()), (None, 0));
}

#[test]
fn every_call_that_fails_leaves_nothing_behind() {
    let embedded = embedded(Mirror::WherePossible);
    let faulty = Arc::new(Faulty::new(&Kernel::from_sys(embedded.clone())));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    run(&kernel, machine(&embedded)).unwrap();
    let names = faulty.names();
    assert!(names.len() > 80, "{} calls", names.len());
    for (number, name) in names.iter().enumerate() {
        faulty.reset();
        faulty.plan(Fault { on: On::Nth(number as u64), with: With::Errno(Errno::EXFULL) });
        let outcome = run(&kernel, machine(&embedded));
        assert_eq!(faulty.struck(), 1, "call {number} ({name})");
        nothing_is_left(&embedded);
        match outcome {
            Err(failure) => assert_eq!(failure.errno, Some(Errno::EXFULL), "call {number} ({name})"),
            // They take place even where they fail, and nobody can do anything about it.
            Ok(()) => assert!(["close", "munmap"].contains(name), "call {number} ({name}): nobody noticed"),
        }
    }
}
