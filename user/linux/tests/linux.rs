//! The exercise on the running kernel.
#![cfg(target_os = "linux")]

mod common;

#[test]
fn the_running_kernel_passes() {
    let Some(machine) = common::bpf("the_running_kernel_passes") else { return };
    let before = common::Leftovers::now();
    let kernel = skep_linux::kernel();
    skep_lab_seam::exercise(&kernel, machine).unwrap();
    skep_lab_seam::exercise_programs(&kernel, machine).unwrap();
    skep_lab_seam::exercise_verifier(&kernel).unwrap();
    drop(kernel);
    assert_eq!(common::Leftovers::now(), before);
}
