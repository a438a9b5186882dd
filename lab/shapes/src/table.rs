//! The shapes: what they are, what is in their maps, and what they come to.

/// One shape.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its name, which its files and its first program have.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// The object for kernels.
    pub object: &'static [u8],
    /// The object for machines: r1 is the packet, r2 its length.
    pub machine: &'static [u8],
    /// What its maps hold at first: map, key, value.
    pub filled: &'static [(&'static str, &'static [u8], &'static [u8])],
    /// What a run on the [`packet`] returns.
    pub result: u32,
    /// Where it counts its runs, if it does.
    pub counter: Option<Counter>,
}

/// Where a shape counts its runs: a number of 64 bits at the start of a value, over all CPUs where each has its own.
#[derive(Clone, Copy, Debug)]
pub struct Counter {
    /// The map.
    pub map: &'static str,
    /// The key.
    pub key: &'static [u8],
}

macro_rules! shape {
    ($name:literal, $about:literal, $filled:expr, $result:expr, $counter:expr) => {
        Shape {
            name: $name,
            about: $about,
            object: include_bytes!(concat!("../c/", $name, ".bpf.o")),
            machine: include_bytes!(concat!("../c/", $name, ".machine.bpf.o")),
            filled: $filled,
            result: $result,
            counter: $counter,
        }
    };
}

/// `struct flow` of the packet.
const FLOW: &[u8] = &[10, 1, 2, 3, 192, 0, 2, 7, 0x9c, 0x40, 0x01, 0xbb, 6, 0, 0, 0];
/// `struct member` of its sender, with the tenant of the settings.
const MEMBER: &[u8] = &[10, 1, 2, 3, 9, 0, 0, 0];
const ZERO: &[u8] = &[0; 4];

/// `struct tally` with nothing counted.
const fn tally(mark: u8) -> [u8; 24] {
    let mut value = [0; 24];
    value[16] = mark;
    value
}

const fn counter(map: &'static str, key: &'static [u8]) -> Option<Counter> {
    Some(Counter { map, key })
}

/// All of them; `pass` does nothing, so its time is that of a run.
pub const SHAPES: &[Shape] = &[
    shape!("pass", "nothing: what a run costs", &[], 2, None),
    shape!("hash", "stack key and hash look-up", &[("flows", FLOW, &tally(7))], 7, counter("flows", FLOW)),
    shape!(
        "array",
        "array look-up",
        &[("hosts", &[7, 0, 0, 0], &tally(11))],
        11,
        counter("hosts", &[7, 0, 0, 0])
    ),
    shape!("percpu", "per-CPU array look-up", &[], 6, counter("protocols", &[6, 0, 0, 0])),
    shape!("bounds", "headers parsed behind checks of the packet's end", &[], 443 << 8 | 0x18, None),
    shape!("ring", "a record of 24 bytes to a ring", &[], 3, None),
    shape!(
        "two",
        "two maps at once: settings from an array, then a hash table",
        &[("setting", ZERO, &[9, 0, 0, 0, 30, 0, 0, 0]), ("members", MEMBER, &tally(4))],
        34,
        counter("members", MEMBER)
    ),
    shape!("lru", "update of a full LRU hash table, another key each time", &[], 5, counter("next", ZERO)),
    shape!("counter", "two atomic additions in an array", &[], 9, counter("counters", &[2, 0, 0, 0])),
    shape!("dispatch", "a tail call by the packet's protocol", &[], 0x618, None),
    shape!("loop", "a bounded loop over the packet: its checksum", &[], checksum(), None),
];

/// Bytes of the packet.
const LEN: usize = 128;

/// Gives the packet: TCP from 10.1.2.3, port 40000, to 192.0.2.7, port 443 (RFC 791, RFC 9293), with data that are no pattern.
pub const fn packet() -> [u8; LEN] {
    const HEADERS: [u8; 54] = [
        2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, // Ethernet
        0x45, 0, 0, 114, 0x12, 0x34, 0x40, 0, 64, 6, 0, 0, 10, 1, 2, 3, 192, 0, 2, 7, // IPv4
        0x9c, 0x40, 0x01, 0xbb, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x18, 0x20, 0, 0, 0, 0, 0, // TCP
    ];
    let mut packet = [0; LEN];
    let mut at = 0;
    while at < LEN {
        packet[at] = if at < HEADERS.len() { HEADERS[at] } else { (at * at * 7 + 13) as u8 };
        at += 1;
    }
    packet
}

/// What RFC 1071 makes of the packet.
const fn checksum() -> u32 {
    let (packet, mut at, mut sum) = (packet(), 0, 0);
    while at < LEN {
        sum += (packet[at] as u32) << 8 | packet[at + 1] as u32;
        at += 2;
    }
    sum % 0xffff
}
