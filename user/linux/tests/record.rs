//! The exercise recorded on the running kernel, and replayed without it.
#![cfg(target_os = "linux")]

mod common;

use skep_abi::Errno;
use skep_lab_seam::{Failure, Machine};
use skep_sys::record::Difference;
use skep_sys::{Fault, Faulty, Kernel, On, Record, Recording, Replay, With};
use std::sync::Arc;

fn run(kernel: &Kernel, machine: Machine) -> Result<(), Failure> {
    skep_lab_seam::exercise(kernel, machine)?;
    skep_lab_seam::exercise_programs(kernel, machine)?;
    skep_lab_seam::exercise_verifier(kernel)
}

fn record(kernel: &Kernel, machine: Machine) -> (Result<(), Failure>, Recording) {
    let record = Arc::new(Record::new(kernel));
    let outcome = run(&Kernel::from_arc(Arc::clone(&record) as _), machine);
    (outcome, record.take().unwrap())
}

fn replay(recording: Recording, machine: Machine) -> (Result<(), Failure>, Arc<Replay>) {
    let replay = Arc::new(Replay::new(recording));
    (run(&Kernel::from_arc(Arc::clone(&replay) as _), machine), replay)
}

#[test]
fn a_recording_is_a_whole_reproduction() {
    let _alone = common::alone();
    let Some(machine) = common::bpf("a_recording_is_a_whole_reproduction") else { return };
    let before = common::Leftovers::now();
    let (outcome, recording) = record(&skep_linux::kernel(), machine);
    outcome.unwrap();
    assert_eq!(common::Leftovers::now(), before);
    assert!(recording.len() > 80);
    let bytes = recording.to_bytes().unwrap();
    println!("{} calls in {} bytes", recording.len(), bytes.len());

    let (outcome, replay) = replay(Recording::from_bytes(&bytes).unwrap(), machine);
    outcome.unwrap();
    assert_eq!((replay.mismatch(), replay.left()), (None, 0));
    assert_eq!(common::Leftovers::now(), before);
}

#[test]
fn failures_are_reproduced_too() {
    let _alone = common::alone();
    let Some(machine) = common::bpf("failures_are_reproduced_too") else { return };
    let faulty = Arc::new(Faulty::new(&skep_linux::kernel()));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    run(&kernel, machine).unwrap();
    for number in (0..faulty.names().len()).step_by(5) {
        faulty.reset();
        faulty.plan(Fault { on: On::Nth(number as u64), with: With::Errno(Errno::EXFULL) });
        let (recorded, recording) = record(&kernel, machine);
        let (replayed, replay) = replay(recording, machine);
        assert_eq!(replayed, recorded, "call {number}");
        assert_eq!((replay.mismatch(), replay.left()), (None, 0), "call {number}");
    }
}

#[test]
fn another_machine_is_noticed() {
    let _alone = common::alone();
    let Some(machine) = common::bpf("another_machine_is_noticed") else { return };
    let (_, recording) = record(&skep_linux::kernel(), machine);
    let (outcome, replay) = replay(recording, Machine { page_size: machine.page_size * 2, ..machine });
    assert_eq!(outcome.unwrap_err().errno, Some(Errno::EPROTO));
    let mismatch = replay.mismatch().unwrap();
    assert_eq!(mismatch.name, "mmap");
    assert!(matches!(mismatch.difference, Difference::Bytes { .. }), "{mismatch}");
}
