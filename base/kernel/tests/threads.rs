//! Which types of the embedded kernel may cross threads, and why: the compiler checks each row.

#[path = "../../../lab/threads.rs"]
#[macro_use]
mod threads;

use skep_kernel::*;

threads! {
    "plain data": yes Send, yes Sync => Admit, Deaf, Engine, FaultReport, LoadReport, PerfIoctl, Runs, Settings;
    "any CPU of the host may call it at any time: maps and programs are behind the host's locks and grace periods":
        yes Send, yes Sync => Kernel;
    "shares the kernel and a list of programs that is read in a grace period": yes Send, yes Sync => Interface, Tracepoint;
    "keeps pages that user space shares; they are reached through atomics only": yes Send, yes Sync => Mapped;
}

#[test]
fn every_public_type_has_a_row() {
    threads::check_complete(include_str!("../../../docs/api/skep-kernel.txt"), ROWS);
}
