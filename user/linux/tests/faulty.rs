//! The exercise while calls fail: nothing is left behind, and the error says what failed.
#![cfg(target_os = "linux")]

mod common;

use skep_abi::Errno;
use skep_lab_seam::Failure;
use skep_sys::{Fault, Faulty, Kernel, On, With};
use std::sync::Arc;

/// Those that a kernel gives to well-made calls, and one that it never gives.
const ERRNOS: &[Errno] = &[
    Errno::EPERM,
    Errno::ENOMEM,
    Errno::EINVAL,
    Errno::EBUSY,
    Errno::EMFILE,
    Errno::ENOSPC,
    Errno::EINTR,
    Errno::EAGAIN,
    Errno::EXFULL,
];

/// The calls that take place even where they fail, about which nobody can do anything.
const WITHOUT_CONSEQUENCE: &[&str] = &["close", "munmap"];

#[test]
fn every_call_that_fails_leaves_nothing_behind() {
    let _alone = common::alone();
    let Some(machine) = common::bpf("every_call_that_fails_leaves_nothing_behind") else { return };
    let faulty = Arc::new(Faulty::new(&skep_linux::kernel()));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    let run = || -> Result<(), Failure> {
        skep_lab_seam::exercise(&kernel, machine)?;
        skep_lab_seam::exercise_programs(&kernel, machine)?;
        skep_lab_seam::exercise_verifier(&kernel)
    };
    run().unwrap();
    let names = faulty.names();
    assert!(names.len() > 80, "{} calls", names.len());
    for (number, name) in names.iter().enumerate() {
        for &errno in ERRNOS {
            let before = common::Leftovers::now();
            faulty.reset();
            faulty.plan(Fault { on: On::Nth(number as u64), with: With::Errno(errno) });
            let outcome = run();
            assert_eq!(faulty.struck(), 1, "call {number} ({name})");
            assert_eq!(common::Leftovers::now(), before, "call {number} ({name}) with {errno}");
            match outcome {
                Err(failure) => assert_eq!(failure.errno, Some(errno), "call {number} ({name}): {failure}"),
                // The exercise expects some errnos, at some calls.
                Ok(()) => assert!(
                    WITHOUT_CONSEQUENCE.contains(name) || errno != Errno::EXFULL,
                    "call {number} ({name}) failed with {errno} and nobody noticed"
                ),
            }
        }
    }
    println!("{} calls, {} errnos each", names.len(), ERRNOS.len());
}

#[test]
fn short_reads_and_interrupted_ones_change_nothing() {
    let _alone = common::alone();
    let faulty = Arc::new(Faulty::new(&skep_linux::kernel()));
    let kernel = Kernel::from_arc(Arc::clone(&faulty) as _);
    let path = "/proc/self/auxv";
    let whole = kernel.file_read(path).unwrap();
    assert!(whole.len() > 16);
    let calls = faulty.names().len();

    faulty.reset();
    faulty.plan(Fault { on: On::Named("read"), with: With::Short(7) });
    assert_eq!(kernel.file_read(path).unwrap(), whole);
    assert!(faulty.names().len() > calls, "{:?}", faulty.names());
    assert!(faulty.struck() > 1);

    faulty.reset();
    faulty.plan(Fault { on: On::NthNamed("read", 0), with: With::Errno(Errno::EINTR) });
    faulty.plan(Fault { on: On::NthNamed("open", 0), with: With::Errno(Errno::EINTR) });
    assert_eq!(kernel.file_read(path).unwrap(), whole);
    assert_eq!(faulty.struck(), 2);
}
