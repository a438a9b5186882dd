//! Which types of the seam may cross threads, and why: the compiler checks each row.

#[path = "../../../lab/threads.rs"]
#[macro_use]
mod threads;

use skep_sys::record::{Difference, Incomplete, Mismatch, RecordingError};
use skep_sys::*;

threads! {
    "plain data": yes Send, yes Sync =>
        AttrError, BatchStep, BatchThen, CStat, CallError, Difference, DirEntry, Fault, Fd, FdOrigin, FileKind, FileStat,
        Hidden, Incomplete, Insns, Interest, KernelVersion, Limit, LinkPlaces, ArenaCall, MapCall, MapShape, Mismatch, ObjectKind, On, OpenMode, PollFd,
        Protection, Recording, RecordingError, WaitFd, With;
    "shares an implementer of the seam, and `Sys` requires both": yes Send, yes Sync => Kernel, Handle;
    "a handle with its kind": yes Send, yes Sync => BtfFd, LinkFd, MapFd, ProgFd, TaskFd;
    "implements `Sys`, which requires both; what changes is under a lock": yes Send, yes Sync =>
        Faulty, Older, Record, Replay;
    "implements `Sys`; whoever makes one promises that the functions may be called from any thread, several at once":
        yes Send, yes Sync => VTable;
    "holds the caller's context, an address of which nobody has promised anything yet": no Send, no Sync => Functions;
    "bytes that nobody writes": yes Send, yes Sync => Image, RawImage;
    "memory shared with a kernel anyway, reached through atomics only": yes Send, yes Sync => Mapping, RawMapping;
    "slices that the caller lends for one call, and numbers": yes Send, yes Sync =>
        Area<'static>, AreaMemory<'static>, Attr<'static>, FdArray<'static>, PerfEventOpen<'static>, ProgLists<'static>,
        ProgLoadMemory<'static>, ProgQueryMemory<'static>, Records<'static>, TestRunMemory<'static>,
        UprobeMultiMemory<'static>;
    "made of the above": yes Send, yes Sync => Call<'static>, FileCall<'static>, Ioctl, Reply, SocketCall;
}

#[test]
fn every_public_type_has_a_row() {
    threads::check_complete(include_str!("../../../docs/api/skep-sys.txt"), ROWS);
}
