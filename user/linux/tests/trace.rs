//! Each call is one system call, and there are no others.
#![cfg(target_os = "linux")]

mod common;

use skep_sys::{Faulty, Kernel};
use std::sync::Arc;

#[test]
fn each_call_is_one_system_call() {
    let Some(machine) = common::bpf("each_call_is_one_system_call") else { return };
    skep_lab_trace::check("each_call_is_one_system_call", || {
        let counted = Arc::new(Faulty::new(&skep_linux::kernel()));
        let kernel = Kernel::from_arc(Arc::clone(&counted) as _);
        skep_lab_seam::exercise(&kernel, machine).unwrap();
        skep_lab_seam::exercise_programs(&kernel, machine).unwrap();
        skep_lab_seam::exercise_verifier(&kernel).unwrap();
        kernel.possible_cpus().unwrap();
        kernel.dir_list("/proc/self").unwrap();
        kernel.file_stat("/proc/self").unwrap();
        kernel.fs_magic("/proc").unwrap();
        kernel.file_remove("/skep/no/such/file").unwrap_err();
        kernel.dir_make("/skep/no/such/dir").unwrap_err();
        kernel.dir_remove("/skep/no/such/dir").unwrap_err();
        counted.names()
    });
}
