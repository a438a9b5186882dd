//! The exercise on the embedded kernel behind each wrapper, without any right or system call.

use skep_abi::Errno;
use skep_embedded::{Config, Embedded};
use skep_lab_seam::{Failure, Machine, exercise, exercise_programs};
use skep_sys::{Fault, Faulty, Kernel, KernelVersion, Older, On, Record, Recording, Replay, With};
use std::sync::Arc;

fn embedded() -> (Embedded, Machine) {
    let embedded = Embedded::new(Config::new().seed(1)).unwrap();
    let machine = Machine { page_size: embedded.page_size(), release: (6, 18) };
    (embedded, machine)
}

fn run(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    exercise(kernel, machine)?;
    exercise_programs(kernel, machine)
}

#[test]
fn programs() {
    let (embedded, machine) = embedded();
    run(&Kernel::from_sys(embedded.clone()), machine).unwrap();
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "something is left");
}

#[test]
fn a_recording_needs_no_kernel() {
    let (embedded, machine) = embedded();
    let record = Arc::new(Record::new(&Kernel::from_sys(embedded)));
    run(&Kernel::from_arc(Arc::clone(&record) as _), machine).unwrap();
    let bytes = record.take().unwrap().to_bytes().unwrap();
    let replay = Arc::new(Replay::new(Recording::from_bytes(&bytes).unwrap()));
    run(&Kernel::from_arc(Arc::clone(&replay) as _), machine).unwrap();
    assert_eq!((replay.mismatch(), replay.left()), (None, 0));
}

#[test]
fn every_call_that_fails_leaves_nothing_behind() {
    let (embedded, machine) = embedded();
    let faulty = Arc::new(Faulty::new(&Kernel::from_sys(embedded.clone())));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    run(&kernel, machine).unwrap();
    let names = faulty.names();
    for (number, name) in names.iter().enumerate() {
        faulty.reset();
        faulty.plan(Fault { on: On::Nth(number as u64), with: With::Errno(Errno::EXFULL) });
        let outcome = run(&kernel, machine);
        let left = (embedded.open_descriptors(), embedded.page_bytes());
        assert_eq!(left, (0, 0), "call {number} ({name})");
        match outcome {
            Err(failure) => {
                assert_eq!(failure.errno, Some(Errno::EXFULL), "call {number} ({name}): {failure}");
            }
            Ok(()) => assert!(["close", "munmap"].contains(name), "call {number} ({name})"),
        }
    }
}

#[test]
fn an_older_kernel_is_played() {
    let (embedded, machine) = embedded();
    let kernel = Kernel::from_sys(embedded);
    let older = |major, minor| Kernel::from_sys(Older::new(&kernel, KernelVersion::new(major, minor)));
    run(&older(5, 8), machine).unwrap();
    let failure = run(&older(5, 7), machine).unwrap_err();
    assert_eq!((failure.step, failure.errno), ("create a ring", Some(Errno::EINVAL)));
}
