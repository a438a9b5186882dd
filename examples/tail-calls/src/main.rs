//! A dispatcher of tail calls, in the embedded kernel: `tail-calls` sends it a few frames and prints where each ended.
//! Needs no root and no kernel support.

use skep::embedded::Config;
use skep::{Kernel, Object, TestRun};
use std::error::Error;

/// What clang made of `tail_calls.bpf.c`.
const OBJECT: &[u8] = include_bytes!("../tail_calls.bpf.o");

fn main() -> Result<(), Box<dyn Error>> {
    let kernel = Kernel::embedded(Config::default())?;
    let object = Object::parse("tail_calls.bpf.o", OBJECT)?;
    // The programs that `stages` names in the C are in it once all are loaded.
    let loaded = object.load(&kernel)?;
    let dispatch = loaded.program("dispatch")?;

    for (name, ether_type) in [("ARP", 0x0806_u16), ("IPv4", 0x0800), ("IPv6", 0x86dd), ("unknown", 0x88b5)] {
        let mut frame = [0; 60];
        frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
        let run = dispatch.test_run(&TestRun::packet(&frame))?;
        println!("{name:>8}: verdict {}", run.retval);
    }
    println!("stages reached, by CPU:");
    for entry in loaded.map("reached")?.entries() {
        let entry = entry?;
        println!("  {}: {}", entry.key, entry.value);
    }
    Ok(())
}
