//! Counts system calls by process: `syscount [SECONDS]`. Needs root.

use skep::zerocopy::{FromBytes, Immutable, IntoBytes};
use skep::{Kernel, Object};
use std::error::Error;
use std::time::Duration;

/// What clang made of `syscount.bpf.c`.
const OBJECT: &[u8] = include_bytes!("../syscount.bpf.o");
/// Lines that are printed.
const MOST: usize = 20;

/// `struct process` of `syscount.bpf.c`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "skep::zerocopy")]
#[repr(C)]
struct Process {
    count: u64,
    comm: [u8; 16],
}
skep::fields!(Process { count, comm });

fn main() -> Result<(), Box<dyn Error>> {
    let seconds = std::env::args().nth(1).map_or(Ok(2), |text| text.parse())?;

    let mut object = Object::parse("syscount.bpf.o", OBJECT)?;
    // Only totals are shown here, so the table by system call stays empty.
    object.set_global("by_call", "false")?;
    let loaded = object.load(&Kernel::linux())?;
    // The section `raw_tracepoint/sys_enter` says where.
    let link = loaded.program("syscount")?.attach_auto()?;
    std::thread::sleep(Duration::from_secs(seconds));
    drop(link);

    // Keys and values are these types; that the fields lie where the C has them is compared once.
    let processes = loaded.map("processes")?.typed::<u32, Process>()?.check_fields()?;
    let mut counts = processes.read_all()?;
    counts.sort_unstable_by_key(|(_, process)| std::cmp::Reverse(process.count));
    println!("{:>10} {:>8}  first thread", "calls", "process");
    for (pid, Process { count, comm }) in counts.iter().take(MOST) {
        let name = comm.split(|byte| *byte == 0).next().unwrap_or_default();
        println!("{count:>10} {pid:>8}  {}", String::from_utf8_lossy(name));
    }
    // What found no room in the tables: processes, then calls.
    let [missed, _] = loaded.global("missed")?.cell::<[u64; 2]>()?.get()?;
    if missed != 0 {
        println!("{missed:>10} more calls, of processes that found no room");
    }
    Ok(())
}
