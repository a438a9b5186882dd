//! Which types of the machine may cross threads, and why: the compiler checks each row.

#[path = "../../../lab/threads.rs"]
#[macro_use]
mod threads;

use skep_machine::*;

threads! {
    "plain data": yes Send, yes Sync =>
        AtMost, Engine, EveryPath, Function, HelperEnd, MachineCode, NoLoops, Param, Program, ProgramError, Refusal, SetupError, SetupErrorKind, Stop, StopKind;
    "never changes; helpers, maps and hosts are required to be both": yes Send, yes Sync =>
        Machine<'static, *mut ()>, Helper<'static, *mut ()>;
    "one thread's at a time, and as free as its helpers' state": yes Send, yes Sync => Cpu<u8>;
    "memory that programs share anyway, reached through atomics only": yes Send, yes Sync => Args<'static>;
    "slices that the caller lends for one run": yes Send, yes Sync => Input<'static>;
    "a run that waits for a helper, where it is": no Send, no Sync => Caller<'static, ()>;
    "verifiers are asked where they are": no Send, no Sync => Setup<'static, ()>;
}

#[test]
fn every_public_type_has_a_row() {
    threads::check_complete(include_str!("../../../docs/api/skep-machine.txt"), ROWS);
}
