//! The exercise that every kernel behind the seam does: here through this machine's system calls.

use super::Check;
use crate::frames::PAGE_SIZE;
use crate::host::Mirror;
use crate::system::System;
use alloc::sync::Arc;
use skep_abi::Errno;
use skep_lab_seam::{Failure, Machine, exercise, exercise_programs, exercise_verifier};
use skep_sys::{Fault, Faulty, Kernel, On, Record, Recording, Replay, With};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "the seam: maps, on mirrored pages", run: || maps(Mirror::Twice) },
    Check { name: "the seam: maps, on pages that are there once", run: || maps(Mirror::Never) },
    Check { name: "the seam: programs and rings, on mirrored pages", run: || programs(Mirror::Twice) },
    Check {
        name: "the seam: programs and rings, on pages that are there once",
        run: || programs(Mirror::Never),
    },
    Check { name: "the seam: what the verifier refuses", run: || on(Mirror::Twice, exercise_verifier) },
    Check { name: "the seam: recorded and replayed", run: recorded },
    Check { name: "the seam: every call that fails leaves nothing behind", run: faulty },
];

const MACHINE: Machine = Machine { page_size: PAGE_SIZE, release: (6, 18) };

/// Runs `body` on a new system, of which nothing is left afterwards.
pub(super) fn on(mirror: Mirror, body: impl FnOnce(&Kernel) -> Result<(), Failure>) {
    let system = Arc::new(System::new(mirror));
    if let Err(failure) = body(&system.seam()) {
        panic!("{failure}");
    }
    nothing_is_left(&system);
}

#[track_caller]
pub(super) fn nothing_is_left(system: &System) {
    assert_eq!(system.leftovers(), (0, 0, 0), "descriptors or pages are left, or runs were stopped");
}

fn maps(mirror: Mirror) {
    on(mirror, |kernel| exercise(kernel, MACHINE));
}

fn programs(mirror: Mirror) {
    on(mirror, |kernel| exercise_programs(kernel, MACHINE));
}

fn all(kernel: &Kernel) -> Result<(), Failure> {
    exercise(kernel, MACHINE)?;
    exercise_programs(kernel, MACHINE)?;
    exercise_verifier(kernel)
}

fn recorded() {
    let system = Arc::new(System::new(Mirror::Twice));
    let record = Arc::new(Record::new(&system.seam()));
    assert_eq!(all(&Kernel::from_arc(Arc::clone(&record) as _)), Ok(()));
    nothing_is_left(&system);
    let Ok(recording) = record.take() else { panic!("no memory for the recording") };
    let bytes = recording.to_bytes().unwrap_or_default();
    let Ok(recording) = Recording::from_bytes(&bytes) else { panic!("the recording cannot be read") };
    let replay = Arc::new(Replay::new(recording));
    assert_eq!(all(&Kernel::from_arc(Arc::clone(&replay) as _)), Ok(()));
    assert_eq!((replay.mismatch(), replay.left()), (None, 0));
}

fn faulty() {
    let system = Arc::new(System::new(Mirror::Twice));
    let faulty = Arc::new(Faulty::new(&system.seam()));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    assert_eq!(all(&kernel), Ok(()));
    let names = faulty.names();
    for (number, name) in names.iter().enumerate() {
        faulty.reset();
        faulty.plan(Fault { on: On::Nth(number as u64), with: With::Errno(Errno::EXFULL) });
        let outcome = all(&kernel);
        assert_eq!(faulty.struck(), 1, "call {number} ({name})");
        nothing_is_left(&system);
        match outcome {
            Err(failure) => assert_eq!(failure.errno, Some(Errno::EXFULL), "call {number} ({name})"),
            // They take place even where they fail.
            Ok(()) => assert!(["close", "munmap"].contains(name), "call {number} ({name}): nobody noticed"),
        }
    }
}
