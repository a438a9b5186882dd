//! `cargo xtask traffic [--check]`: makes the capture of `examples/xdp-firewall`, byte for byte the same each time.
//!
//! A thousand frames of 14 to 1514 bytes in a nanosecond pcap file: what a small network sends, each boundary of each
//! header that the examples read, floods that reach the firewall's limit, and noise. The clock of the capture drives
//! the firewall, so times are part of the test: windows are hit one nanosecond before, at and after their end.

mod frame;
mod noise;
mod scenes;

use crate::cargo::root;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use std::path::Path;

/// Where the capture lies, relative to the workspace.
pub(crate) const CAPTURE: &str = "examples/xdp-firewall/traffic.pcap";

/// How many frames the capture holds.
const FRAMES: usize = 1000;

/// The time of the capture's start, in nanoseconds since 1970.
const START_NS: u64 = 1_700_000_000_000_000_000;

/// A frame and when it came.
pub(super) struct Timed {
    /// Nanoseconds since the capture's start.
    pub(super) at_ns: u64,
    /// The bytes, from the destination's address on.
    pub(super) bytes: Vec<u8>,
}

/// Writes the capture, or with `--check` compares it with the committed one.
pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let path = root().join(CAPTURE);
    match args {
        [] => write(&path),
        [word] if word == "--check" => check(&path),
        _ => bail!("usage: cargo xtask traffic [--check]"),
    }
}

fn write(path: &Path) -> Result<Outcome> {
    let bytes = capture();
    std::fs::write(path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Outcome::Done(format!("{FRAMES} frames, {} bytes", bytes.len())))
}

fn check(path: &Path) -> Result<Outcome> {
    let found = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    if found != capture() {
        bail!("{CAPTURE} differs from what `cargo xtask traffic` makes");
    }
    Ok(Outcome::Done(format!("{CAPTURE} is as generated")))
}

/// The whole capture as a pcap file.
fn capture() -> Vec<u8> {
    pcap(&frames())
}

/// The frames in order of time; noise fills up what the scenes leave.
fn frames() -> Vec<Timed> {
    let mut frames = scenes::all();
    let missing = FRAMES.saturating_sub(frames.len());
    frames.extend(noise::frames(&frames, missing));
    frames.sort_by_key(|frame| frame.at_ns);
    frames
}

/// Lays frames out as a pcap file with nanosecond times, little-endian, link type Ethernet (1).
fn pcap(frames: &[Timed]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(0xa1b2_3c4d_u32.to_le_bytes());
    file.extend(2_u16.to_le_bytes());
    file.extend(4_u16.to_le_bytes());
    for word in [0_u32, 0, 65_535, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        let at_ns = START_NS + frame.at_ns;
        let length = u32::try_from(frame.bytes.len()).unwrap_or(u32::MAX);
        let seconds = u32::try_from(at_ns / 1_000_000_000).unwrap_or(u32::MAX);
        // A remainder below 10^9 fits.
        let nanoseconds = (at_ns % 1_000_000_000) as u32;
        for word in [seconds, nanoseconds, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(&frame.bytes);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// An eighth of the firewall's table of sources: its LRU never forgets one of them.
    const SOURCES_AT_MOST: usize = 4096 / 8;

    #[test]
    fn capture_holds_what_it_promises() {
        let frames = frames();
        assert_eq!(frames.len(), FRAMES);
        let lengths: BTreeSet<usize> = frames.iter().map(|frame| frame.bytes.len()).collect();
        assert_eq!((lengths.first(), lengths.last()), (Some(&14), Some(&1514)));
        assert!(capture().len() < 400_000, "the repository stays small");
    }

    #[test]
    fn sources_fit_an_eighth_of_the_table() {
        // Any twelve bytes that can be read as an IPv4 or IPv6 source count, wherever tags move them.
        let mut sources = BTreeSet::new();
        for frame in frames() {
            for offset in [26, 30, 34] {
                if let Some(source) = frame.bytes.get(offset..offset + 4) {
                    sources.insert((offset, source.to_vec()));
                }
            }
        }
        assert!(sources.len() / 3 < SOURCES_AT_MOST, "{} sources", sources.len());
    }

    #[test]
    fn committed_capture_is_the_generated_one() {
        let committed = std::fs::read(root().join(CAPTURE)).unwrap_or_default();
        assert!(committed == capture(), "run `cargo xtask traffic`");
    }
}
