//! Packet captures: pcap and pcapng in, pcap out.
//!
//! Both formats are written in the byte order of whoever captured; both lie about lengths where files are cut short or made by
//! hand. A packet is taken if its bytes are there, whatever the file claims of its snapshot length.

mod pcap;
mod pcapng;
mod reader;

pub(crate) use pcap::Writer;

use std::fmt;
use std::ops::Range;

/// The link type of Ethernet (<https://www.tcpdump.org/linktypes.html>).
pub(crate) const ETHERNET: u16 = 1;

/// A capture: the packets of a file.
#[derive(Debug)]
pub(crate) struct Capture {
    bytes: Vec<u8>,
    records: Vec<Record>,
}

/// Where a packet lies in the file, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    time_ns: u64,
    link_type: u16,
    bytes: Range<usize>,
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'c> {
    /// When it was captured, in nanoseconds since 1970; 0 where the file does not say.
    pub(crate) time_ns: u64,
    /// What its first bytes are.
    pub(crate) link_type: u16,
    /// Its bytes, as far as they were captured.
    pub(crate) data: &'c [u8],
}

/// Why a file is no capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaptureError {
    /// The byte of the file.
    pub(crate) offset: u64,
    /// What is wrong there.
    pub(crate) problem: Problem,
}

/// What is wrong with a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// It starts like neither format.
    NoCapture,
    /// It is of a version or variant that nobody writes any more.
    Version(&'static str, u32),
    /// It ends in the middle of something.
    Truncated { what: &'static str, wanted: u64, found: u64 },
    /// A block says a length that cannot be.
    BlockLength(u32),
    /// The length at a block's end differs from the one at its start.
    BlockEnd { start: u32, end: u32 },
    /// A packet is of an interface that no block described.
    Interface(u32),
    /// A packet's bytes do not fit in its block.
    PacketLength { wanted: u32, found: u64 },
    /// An interface's clock ticks in a unit that nobody can have meant.
    Resolution(u8),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::NoCapture => f.write_str("wanted a pcap or pcapng file, found neither"),
            Problem::Version(format, version) => write!(f, "{format} version {version} is not supported"),
            Problem::Truncated { what, wanted, found } => {
                write!(f, "the file ends within {what}: wanted {wanted} bytes, found {found}")
            }
            Problem::BlockLength(length) => {
                write!(f, "wanted a block length of at least 12 that is a multiple of 4, found {length}")
            }
            Problem::BlockEnd { start, end } => {
                write!(f, "the block says a length of {start} at its start and of {end} at its end")
            }
            Problem::Interface(id) => write!(f, "packet of interface {id}, which no block describes"),
            Problem::PacketLength { wanted, found } => {
                write!(f, "packet of {wanted} bytes in a block that has room for {found}")
            }
            Problem::Resolution(value) => {
                write!(f, "interface with a time resolution of {value:#04x}, which no clock has")
            }
        }
    }
}

impl Capture {
    /// Finds the packets of a file; memory is taken for packets that are there.
    ///
    /// # Errors
    /// Names the byte at which it stops being a capture.
    pub(crate) fn parse(bytes: Vec<u8>) -> Result<Capture, CaptureError> {
        let records = match bytes.get(..4) {
            Some(&[0x0a, 0x0d, 0x0d, 0x0a]) => pcapng::records(&bytes)?,
            _ => pcap::records(&bytes)?,
        };
        Ok(Capture { bytes, records })
    }

    /// Yields the packets in the order of the file.
    pub(crate) fn packets(&self) -> impl Iterator<Item = Packet<'_>> {
        self.records.iter().map(|record| Packet {
            time_ns: record.time_ns,
            link_type: record.link_type,
            data: &self.bytes[record.bytes.clone()],
        })
    }
}
