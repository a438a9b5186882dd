//! The newer format: blocks, in sections that each have a byte order and interfaces (draft-ietf-opsawg-pcapng).

use super::reader::Reader;
use super::{CaptureError, Problem, Record};
use skep_isa::ByteOrder;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OLD_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const PACKET: u32 = 6;
const ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPTION_END: u16 = 0;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;

/// Bytes of a block around its body: type, length, and length again.
const AROUND: u32 = 12;

/// What a block said of an interface.
struct Interface {
    link_type: u16,
    /// The most bytes of a packet; 0 is no limit.
    snapshot: u32,
    ticks_per_second: u128,
    /// Seconds to add to each time.
    offset: i64,
}

/// Finds the packets.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record>, CaptureError> {
    let mut reader = Reader::new(bytes, 0, ByteOrder::Little);
    let mut interfaces: Vec<Interface> = Vec::new();
    let mut records = Vec::new();
    while reader.left() > 0 {
        let what = "a block's header";
        let block = reader;
        let kind = reader.u32(what)?;
        if kind == SECTION {
            // Its type reads the same in either order; what follows its length tells which it is.
            let mut ahead = reader;
            ahead.order = ByteOrder::Little;
            ahead.take(4, what)?;
            let place = ahead;
            reader.order = match ahead.u32(what)? {
                ORDER_MAGIC => ByteOrder::Little,
                magic if magic.swap_bytes() == ORDER_MAGIC => ByteOrder::Big,
                _ => return Err(place.error(Problem::NoCapture)),
            };
            interfaces.clear();
        }
        let length = reader.u32(what)?;
        if length < AROUND || length % 4 != 0 {
            return Err(block.error(Problem::BlockLength(length)));
        }
        let start = reader.at;
        let body_size = length - AROUND;
        reader.take(body_size.into(), "a block")?;
        let mut body = Reader::new(&bytes[..reader.at], start, reader.order);
        let end = reader.u32("a block")?;
        if end != length {
            return Err(block.error(Problem::BlockEnd { start: length, end }));
        }
        match kind {
            SECTION => section(&mut body)?,
            INTERFACE => interfaces.push(interface(&mut body)?),
            PACKET | OLD_PACKET | SIMPLE_PACKET => records.push(packet(kind, &mut body, &interfaces)?),
            _ => {}
        }
    }
    Ok(records)
}

fn section(body: &mut Reader<'_>) -> Result<(), CaptureError> {
    let what = "a section's header";
    body.take(4, what)?;
    let version_at = *body;
    match body.u16(what)? {
        1 => Ok(()),
        major => Err(version_at.error(Problem::Version("pcapng", major.into()))),
    }
}

fn interface(body: &mut Reader<'_>) -> Result<Interface, CaptureError> {
    let what = "an interface's description";
    let link_type = body.u16(what)?;
    body.take(2, what)?;
    let snapshot = body.u32(what)?;
    let mut interface = Interface { link_type, snapshot, ticks_per_second: 1_000_000, offset: 0 };
    while body.left() >= 4 {
        let place = *body;
        let (option, size) = (body.u16(what)?, body.u16(what)?);
        if option == OPTION_END {
            break;
        }
        let value_at = *body;
        body.take(u64::from(size).next_multiple_of(4), "an option")?;
        let mut value = value_at;
        match (option, size) {
            (OPTION_RESOLUTION, 1) => {
                let resolution = value.take(1, what)?[0];
                interface.ticks_per_second =
                    ticks(resolution).ok_or_else(|| place.error(Problem::Resolution(resolution)))?;
            }
            (OPTION_OFFSET, 8) => interface.offset = value.u64(what)? as i64,
            _ => {}
        }
    }
    Ok(interface)
}

/// A negative power of ten, or of two if the highest bit is set.
fn ticks(resolution: u8) -> Option<u128> {
    let (base, power) = if resolution & 0x80 == 0 { (10u128, resolution) } else { (2, resolution & 0x7f) };
    // Times have 64 bits: a finer clock would have started within the last second.
    base.checked_pow(power.into()).filter(|&ticks| ticks <= 1 << 64)
}

fn packet(kind: u32, body: &mut Reader<'_>, interfaces: &[Interface]) -> Result<Record, CaptureError> {
    let what = "a packet's header";
    let place = *body;
    let id = match kind {
        PACKET => body.u32(what)?,
        OLD_PACKET => {
            let id = body.u16(what)?;
            body.take(2, what)?;
            id.into()
        }
        _ => 0,
    };
    let interface = interfaces.get(id as usize).ok_or_else(|| place.error(Problem::Interface(id)))?;
    let (time_ns, captured) = if kind == SIMPLE_PACKET {
        let on_the_wire = body.u32(what)?;
        let limit = if interface.snapshot == 0 { u32::MAX } else { interface.snapshot };
        (0, on_the_wire.min(limit))
    } else {
        let (high, low) = (body.u32(what)?, body.u32(what)?);
        let captured = body.u32(what)?;
        body.take(4, what)?;
        (interface.time_ns(u64::from(high) << 32 | u64::from(low)), captured)
    };
    let (start, found) = (body.at, body.left() as u64);
    if u64::from(captured) > found {
        return Err(body.error(Problem::PacketLength { wanted: captured, found }));
    }
    let bytes = start..start + captured as usize;
    Ok(Record { time_ns, link_type: interface.link_type, bytes })
}

impl Interface {
    /// Times before 1970 and after 2554 become those limits.
    fn time_ns(&self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * 1_000_000_000 / self.ticks_per_second;
        let moved = ns as i128 + i128::from(self.offset) * 1_000_000_000;
        u64::try_from(moved.max(0)).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Capture;
    use super::*;

    /// Builds files block by block.
    struct File {
        order: ByteOrder,
        bytes: Vec<u8>,
    }

    impl File {
        fn new(order: ByteOrder) -> File {
            let mut file = File { order, bytes: Vec::new() };
            let body = [file.word(ORDER_MAGIC), file.halves(1, 0), [0xff; 4], [0xff; 4]].concat();
            file.block(SECTION, &body);
            file
        }

        fn word(&self, value: u32) -> [u8; 4] {
            match self.order {
                ByteOrder::Little => value.to_le_bytes(),
                ByteOrder::Big => value.to_be_bytes(),
            }
        }

        fn halves(&self, first: u16, second: u16) -> [u8; 4] {
            let half = |value: u16| match self.order {
                ByteOrder::Little => value.to_le_bytes(),
                ByteOrder::Big => value.to_be_bytes(),
            };
            let (first, second) = (half(first), half(second));
            [first[0], first[1], second[0], second[1]]
        }

        fn block(&mut self, kind: u32, body: &[u8]) {
            let length = self.word((body.len() as u32).next_multiple_of(4) + AROUND);
            let kind = self.word(kind);
            self.bytes.extend([kind, length].concat());
            self.bytes.extend_from_slice(body);
            self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
            self.bytes.extend(length);
        }

        fn interface(&mut self, snapshot: u32, options: &[u8]) {
            let body = [&self.halves(1, 0)[..], &self.word(snapshot), options].concat();
            self.block(INTERFACE, &body);
        }

        fn packet(&mut self, interface: u32, time: u64, captured: u32, data: &[u8]) {
            let words = [interface, (time >> 32) as u32, time as u32, captured, captured];
            let mut body: Vec<u8> = words.iter().flat_map(|&word| self.word(word)).collect();
            body.extend_from_slice(data);
            self.block(PACKET, &body);
        }

        fn times(self) -> Vec<u64> {
            Capture::parse(self.bytes).unwrap().packets().map(|packet| packet.time_ns).collect()
        }

        #[track_caller]
        fn fails(self, offset: u64, problem: Problem) {
            assert_eq!(Capture::parse(self.bytes).unwrap_err(), CaptureError { offset, problem });
        }
    }

    const BOTH: [ByteOrder; 2] = [ByteOrder::Little, ByteOrder::Big];

    #[test]
    fn packets_of_all_kinds_are_read() {
        for order in BOTH {
            let mut file = File::new(order);
            file.interface(2, &[]);
            file.packet(0, 1_700_000_000_000_001, 3, b"abc");
            file.block(99, b"unknown blocks are passed over");
            let mut simple = file.word(5).to_vec();
            simple.extend(b"xyzzy");
            file.block(SIMPLE_PACKET, &simple);
            let capture = Capture::parse(file.bytes).unwrap();
            let found: Vec<_> = capture.packets().map(|packet| (packet.time_ns, packet.data)).collect();
            assert_eq!(found, [(1_700_000_000_000_001_000, &b"abc"[..]), (0, &b"xy"[..])]);
        }
    }

    #[test]
    fn clocks_tick_in_the_units_they_say() {
        for order in BOTH {
            let mut file = File::new(order);
            let option = |file: &File, code, value: &[u8]| {
                let head = file.halves(code, value.len() as u16);
                let mut option = [&head[..], value].concat();
                option.resize(option.len().next_multiple_of(4), 0);
                option
            };
            let nanoseconds = option(&file, OPTION_RESOLUTION, &[9]);
            let binary = option(&file, OPTION_RESOLUTION, &[0x80 | 10]);
            let offset = match order {
                ByteOrder::Little => (-3i64).to_le_bytes(),
                ByteOrder::Big => (-3i64).to_be_bytes(),
            };
            let moved = [option(&file, OPTION_OFFSET, &offset), file.word(0).to_vec()].concat();
            for options in [&[][..], &nanoseconds, &binary, &moved] {
                file.interface(0, options);
            }
            for (interface, time) in [(0, 7), (1, 7), (2, 512), (3, 5_000_000), (3, 1)] {
                file.packet(interface, time, 0, b"");
            }
            assert_eq!(file.times(), [7000, 7, 500_000_000, 2_000_000_000, 0]);
        }
    }

    #[test]
    fn sections_may_differ_in_order() {
        let mut first = File::new(ByteOrder::Little);
        first.interface(0, &[]);
        first.packet(0, 1, 0, b"");
        let mut second = File::new(ByteOrder::Big);
        second.interface(0, &[]);
        second.packet(0, 2, 0, b"");
        first.bytes.extend(second.bytes);
        assert_eq!(first.times(), [1000, 2000]);
    }

    #[test]
    fn what_is_malformed_is_named_by_offset() {
        let file = || {
            let mut file = File::new(ByteOrder::Little);
            file.interface(0, &[]);
            file
        };
        let end = file().bytes.len() as u64;
        let mut unknown = file();
        unknown.packet(1, 0, 0, b"");
        unknown.fails(end + 8, Problem::Interface(1));
        let mut long = file();
        long.packet(0, 0, 9, b"abcd");
        long.fails(end + 28, Problem::PacketLength { wanted: 9, found: 4 });
        let mut odd = file();
        odd.bytes[4] = 11;
        odd.fails(0, Problem::BlockLength(11));
        let mut contradictory = file();
        contradictory.bytes[24] = 32;
        contradictory.fails(0, Problem::BlockEnd { start: 28, end: 32 });
        let mut fine = File::new(ByteOrder::Little);
        let option = [&fine.halves(OPTION_RESOLUTION, 1)[..], &[99, 0, 0, 0]].concat();
        fine.interface(0, &option);
        fine.fails(28 + 16, Problem::Resolution(99));
        let mut version = file();
        version.bytes[12] = 2;
        version.fails(12, Problem::Version("pcapng", 2));
        let mut order = file();
        order.bytes[8] = 0;
        order.fails(8, Problem::NoCapture);
    }

    #[test]
    fn truncation_anywhere_is_an_error() {
        let mut file = File::new(ByteOrder::Little);
        file.interface(0, &[]);
        let ends = [28, file.bytes.len()];
        file.packet(0, 1, 4, b"abcd");
        for length in 4..file.bytes.len() {
            let found = Capture::parse(file.bytes[..length].to_vec());
            assert_eq!(found.is_ok(), ends.contains(&length), "{length}: {found:?}");
        }
    }
}
