//! Which types of the kernel in this process may cross threads, and why: the compiler checks each row.

#[path = "../../../lab/threads.rs"]
#[macro_use]
mod threads;

use skep_embedded::*;

threads! {
    "plain data": yes Send, yes Sync => Mirror, Time;
    "implements `Code`, which requires both; it holds nothing itself": yes Send, yes Sync => CodePages;
    "holds an open file, which threads may share": yes Send, yes Sync => PerfMap;
    "its observer and its sink of traces are called from every thread that runs programs": yes Send, yes Sync => Config;
    "implements `Sys`, which requires both: threads take logical CPUs in turn": yes Send, yes Sync => Embedded;
}

#[test]
fn every_public_type_has_a_row() {
    threads::check_complete(include_str!("../../../docs/api/skep-embedded.txt"), ROWS);
}
