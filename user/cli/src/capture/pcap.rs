//! The classic format: a header of 24 bytes, then packets, each after a header of 16 (draft-ietf-opsawg-pcap).

use super::reader::Reader;
use super::{CaptureError, Problem, Record};
use skep_isa::ByteOrder;
use std::io::{self, Write};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Of a variant with longer packet headers, which no tool has written since the 1990s.
const KUZNETZOV: u32 = 0xa1b2_cd34;

/// Finds the packets.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record>, CaptureError> {
    let mut reader = Reader::new(bytes, 0, ByteOrder::Little);
    let no_capture = CaptureError { offset: 0, problem: Problem::NoCapture };
    let magic = reader.u32("the file header").map_err(|_| no_capture.clone())?;
    let unit_ns = match magic {
        MICROSECONDS => 1000,
        NANOSECONDS => 1,
        _ => {
            reader.order = ByteOrder::Big;
            match magic.swap_bytes() {
                MICROSECONDS => 1000,
                NANOSECONDS => 1,
                other if other == KUZNETZOV || magic == KUZNETZOV => {
                    return Err(CaptureError { offset: 0, problem: Problem::Version("modified pcap", 2) });
                }
                _ => return Err(no_capture),
            }
        }
    };
    let what = "the file header";
    let version_at = reader;
    let major = reader.u16(what)?;
    if major != 2 {
        return Err(version_at.error(Problem::Version("pcap", major.into())));
    }
    // The minor version, two unused words, and the snapshot length, which says nothing that the packets do not.
    reader.take(2 + 4 + 4 + 4, what)?;
    // The upper bits say how long frame check sequences are.
    let link_type = reader.u32(what)? as u16;
    let mut records = Vec::new();
    while reader.left() > 0 {
        let what = "a packet's header";
        let (seconds, part) = (reader.u32(what)?, reader.u32(what)?);
        let (captured, _on_the_wire) = (reader.u32(what)?, reader.u32(what)?);
        let start = reader.at;
        reader.take(captured.into(), "a packet")?;
        let time_ns = u64::from(seconds) * 1_000_000_000 + u64::from(part) * unit_ns;
        records.push(Record { time_ns, link_type, bytes: start..reader.at });
    }
    Ok(records)
}

/// Writes a capture of Ethernet frames with nanoseconds.
pub(crate) struct Writer<W: Write> {
    out: W,
}

/// The snapshot length that tools take to mean "whole packets".
const WHOLE: u32 = 262_144;

impl<W: Write> Writer<W> {
    /// Starts a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn new(mut out: W) -> io::Result<Writer<W>> {
        out.write_all(&NANOSECONDS.to_le_bytes())?;
        out.write_all(&2u16.to_le_bytes())?;
        out.write_all(&4u16.to_le_bytes())?;
        for word in [0, 0, WHOLE, u32::from(super::ETHERNET)] {
            out.write_all(&word.to_le_bytes())?;
        }
        Ok(Writer { out })
    }

    /// Adds a packet; `length` is how long it was before it was cut, if it was.
    ///
    /// # Errors
    /// Those of `out`; a packet of 4 GiB fits no file.
    pub(crate) fn packet(&mut self, time_ns: u64, data: &[u8], length: usize) -> io::Result<()> {
        let number = |value: usize| u32::try_from(value).map_err(io::Error::other);
        let seconds = u32::try_from(time_ns / 1_000_000_000).unwrap_or(u32::MAX);
        let part = (time_ns % 1_000_000_000) as u32;
        for word in [seconds, part, number(data.len())?, number(length)?] {
            self.out.write_all(&word.to_le_bytes())?;
        }
        self.out.write_all(data)
    }

    /// Ends the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Capture, ETHERNET, Packet};
    use super::*;

    fn file(magic: u32, order: ByteOrder, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let word = |value: u32| match order {
            ByteOrder::Little => value.to_le_bytes(),
            ByteOrder::Big => value.to_be_bytes(),
        };
        let version = match order {
            ByteOrder::Little => [2, 0, 4, 0],
            ByteOrder::Big => [0, 2, 0, 4],
        };
        // A snapshot length of 1 is a lie.
        let mut bytes = [word(magic), version, word(0), word(0), word(1), word(0xf000_0001)].concat();
        for (seconds, part, data) in packets {
            let length = data.len() as u32;
            bytes.extend([word(*seconds), word(*part), word(length), word(length)].concat());
            bytes.extend_from_slice(data);
        }
        bytes
    }

    #[test]
    fn both_orders_and_units_are_read() {
        for order in [ByteOrder::Little, ByteOrder::Big] {
            for (magic, unit) in [(MICROSECONDS, 1000), (NANOSECONDS, 1)] {
                let capture = Capture::parse(file(magic, order, &[(5, 7, b"abc"), (6, 0, b"")])).unwrap();
                let packets: Vec<Packet<'_>> = capture.packets().collect();
                assert_eq!(packets.len(), 2);
                assert_eq!(packets[0].time_ns, 5_000_000_000 + 7 * unit);
                assert_eq!((packets[0].data, packets[0].link_type), (&b"abc"[..], ETHERNET));
                assert_eq!((packets[1].time_ns, packets[1].data), (6_000_000_000, &b""[..]));
            }
        }
    }

    #[test]
    fn truncation_is_named_by_offset() {
        let whole = file(NANOSECONDS, ByteOrder::Little, &[(1, 2, b"abcd")]);
        for length in 0..whole.len() {
            let error = match Capture::parse(whole[..length].to_vec()) {
                Ok(capture) => {
                    assert_eq!((length, capture.packets().count()), (24, 0));
                    continue;
                }
                Err(error) => error,
            };
            match length {
                0..4 => assert_eq!(error.problem, Problem::NoCapture),
                4..24 => assert!(error.offset >= 4, "{error:?}"),
                24..40 => assert!((24..40).contains(&error.offset), "{error:?}"),
                _ => assert_eq!(error.offset, 40),
            }
        }
    }

    #[test]
    fn lengths_that_lie_take_no_memory() {
        let mut bytes = file(NANOSECONDS, ByteOrder::Little, &[(1, 2, b"abcd")]);
        bytes[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
        let error = Capture::parse(bytes).unwrap_err();
        let problem = Problem::Truncated { what: "a packet", wanted: u32::MAX.into(), found: 4 };
        assert_eq!(error, CaptureError { offset: 40, problem });
    }

    #[test]
    fn other_files_and_versions_are_refused() {
        let problem = |bytes: Vec<u8>| Capture::parse(bytes).unwrap_err().problem;
        assert_eq!(problem(b"\x7fELF and more that is no capture".to_vec()), Problem::NoCapture);
        assert_eq!(problem(file(KUZNETZOV, ByteOrder::Big, &[])), Problem::Version("modified pcap", 2));
        assert_eq!(problem(file(KUZNETZOV, ByteOrder::Little, &[])), Problem::Version("modified pcap", 2));
        let mut old = file(MICROSECONDS, ByteOrder::Little, &[]);
        old[4] = 1;
        assert_eq!(problem(old), Problem::Version("pcap", 1));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes).unwrap();
        writer.packet(1_700_000_000_000_000_123, b"frame", 9).unwrap();
        writer.finish().unwrap();
        let capture = Capture::parse(bytes).unwrap();
        let wanted = Packet { time_ns: 1_700_000_000_000_000_123, link_type: ETHERNET, data: b"frame" };
        assert_eq!(capture.packets().collect::<Vec<_>>(), [wanted]);
    }
}
