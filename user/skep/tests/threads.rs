//! Which types of the loader may cross threads, and why: the compiler checks each row.

#[path = "../../../lab/threads.rs"]
#[macro_use]
mod threads;

use skep::*;

threads! {
    "plain data": yes Send, yes Sync =>
        Attach, Autocreate, Autoload, CgroupStorageKey, CoreOutcome, CoreRelocation, ErrorKind, Feature, FieldAt, Frame, Holders,
        Instead, Interface, Known, Lack, LinkTarget, LpmKey<4>, MapUsage, Note, PerCpu<u64>, PerfOptions, Pinned, Pins, Place, ProbedFunction,
        ProbedOffset, Process, ProgramCode, ProgramFunction, ProgramInfo, ProgramLine, Rejection, RunStats, SourceLine,
        StackTrace, Stream, TestOutput, VerifierStats, Wakeup, When, XdpMode;
    "crosses threads in every program that reports errors": yes Send, yes Sync => Error;
    "the public contract: a kernel is shared by cloning": yes Send, yes Sync => Kernel;
    "inert until it is loaded, or made": yes Send, yes Sync => Object, NewMap;
    "owned, and keeps its kernel; each method is calls of the kernel, which orders them": yes Send, yes Sync =>
        BtfObject, Loaded, Map, Program, Link, StatsGuard, TypedMap<u32, u64>;
    "a reader is one: reading takes it by `&mut`, so sharing it gives nothing away": yes Send, yes Sync =>
        RingBuffer, PerfBuffer, UserRing;
    "borrows its reader, and gives shared bytes": yes Send, yes Sync => Record<'static>, Sample<'static>;
    "borrows its writer": yes Send, yes Sync => Reserved<'static>;
    "reaches shared memory by atomics only": yes Send, yes Sync => Cells<'static, u64>, SharedCell<'static, u64>;
    "borrows a program": yes Send, yes Sync => Redirect<'static>;
    "borrows a descriptor": yes Send, yes Sync => ByFd<'static>;
    "borrows a map": yes Send, yes Sync => Arena<'static>, Entries<'static>, Entry<'static>, EntryValue<'static>, Keys<'static>;
    "borrows what is loaded": yes Send, yes Sync => Global<'static>;
    "borrows an object that is not loaded": yes Send, yes Sync => MapMut<'static>, ProgramMut<'static>;
    "borrows the input": yes Send, yes Sync => TestRun<'static>;
}

#[test]
fn every_public_type_has_a_row() {
    threads::check_complete(include_str!("../../../docs/api/skep.txt"), ROWS);
}
