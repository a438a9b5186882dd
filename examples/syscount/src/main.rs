//! Counts system calls by process: `syscount [SECONDS]`. Needs root.

use skep::{Kernel, Object};
use std::error::Error;
use std::time::Duration;

/// What clang made of `syscount.bpf.c`.
const OBJECT: &[u8] = include_bytes!("../syscount.bpf.o");
/// Lines that are printed.
const MOST: usize = 20;

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

    let processes = loaded.map("processes")?;
    let mut counts = Vec::new();
    for entry in processes.iter() {
        let (key, value) = entry?;
        let pid = u32::from_ne_bytes(key.as_slice().try_into()?);
        let count = u64::from_ne_bytes(*value.first_chunk().ok_or("a count has eight bytes")?);
        let name = processes.decode_value(&value).map_or_else(String::new, |value| value.to_string());
        counts.push((count, pid, name));
    }
    counts.sort_unstable_by(|a, b| b.cmp(a));
    println!("{:>10} {:>8}  value", "calls", "process");
    for (count, pid, name) in counts.iter().take(MOST) {
        println!("{count:>10} {pid:>8}  {name}");
    }
    Ok(())
}
