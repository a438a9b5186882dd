//! A firewall on an interface: `xdp-firewall INTERFACE [ADDRESS…]` blocks the IPv4 addresses, limits every source, and
//! prints what it drops until it is stopped. Needs root.

use skep::{Attach, Kernel, Object, RingBuffer};
use std::error::Error;
use std::net::Ipv4Addr;

/// What clang made of `xdp_firewall.bpf.c`; nothing else is needed where this runs.
const OBJECT: &[u8] = include_bytes!("../xdp_firewall.bpf.o");

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let interface = args.next().ok_or("usage: xdp-firewall INTERFACE [ADDRESS…]")?;
    let blocked: Vec<Ipv4Addr> = args.map(|text| text.parse()).collect::<Result<_, _>>()?;

    let mut object = Object::parse("xdp_firewall.bpf.o", OBJECT)?;
    // A capture brings its own clock; an interface has the kernel's.
    object.set_global("use_ktime", "true")?;
    let loaded = object.load(&Kernel::linux())?;

    let list = loaded.map("blocked")?;
    for address in blocked {
        // Keys are addresses as numbers; the value counts what was stopped.
        list.insert(&u32::from(address).to_ne_bytes(), &vec![0; list.value_size()])?;
    }

    let _link = loaded.program("xdp_firewall")?.attach(Attach::xdp(interface.as_str()))?;
    println!("on {interface}; stop with Ctrl-C");

    let mut events = RingBuffer::new(loaded.map("events")?)?;
    loop {
        events.wait(None)?;
        while let Some(record) = events.next() {
            if let Some(event) = Event::read(record.bytes()) {
                println!(
                    "{:>12}: dropped {} bytes, reason {}, port {}",
                    event.source, event.length, event.reason, event.port
                );
            }
        }
    }
}

/// The part of `struct event` that is printed.
struct Event {
    source: Ipv4Addr,
    reason: u32,
    length: u32,
    port: u16,
}

impl Event {
    fn read(bytes: &[u8]) -> Option<Event> {
        let word = |at: usize| Some(u32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let port = u16::from_ne_bytes(*bytes.get(26..)?.first_chunk()?);
        Some(Event { source: Ipv4Addr::from(word(8)?), reason: word(12)?, length: word(16)?, port })
    }
}
