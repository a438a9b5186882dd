//! What happens in the capture, scene by scene. A scene is a function that plays to a [`Stage`]; scenes overlap in
//! time as traffic does.

mod headers;
mod senders;

use super::Timed;
use super::frame::{self, Bytes, IP, IPV6, TCP, UDP, V4};

/// The firewall's window and limit, as its settings have them.
const WINDOW_NS: u64 = 100_000_000;
const LIMIT: usize = 16;

/// The sources that the firewall blocks from the start.
const BLOCKED: [[u8; 4]; 2] = [[10, 77, 0, 1], [10, 77, 0, 2]];

const MILLISECOND: u64 = 1_000_000;

/// All scenes, one after the other; frames are in no order yet.
pub(super) fn all() -> Vec<Timed> {
    let mut frames = Vec::new();
    for scene in SCENES.into_iter().flatten() {
        let mut stage = Stage { now_ns: 0, frames: &mut frames };
        scene(&mut stage);
    }
    frames
}

const SCENES: [&[fn(&mut Stage<'_>)]; 2] = [senders::SCENES, headers::SCENES];

/// Where a scene puts its frames, with a clock of its own.
struct Stage<'a> {
    now_ns: u64,
    frames: &'a mut Vec<Timed>,
}

impl Stage<'_> {
    fn at(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    fn wait(&mut self, ns: u64) {
        self.now_ns += ns;
    }

    fn send(&mut self, bytes: Bytes) {
        self.frames.push(Timed { at_ns: self.now_ns, bytes });
    }

    /// Sends at most ten frames of one source in a window, so that the limit stays out of the scene.
    fn send_slowly(&mut self, bytes: Bytes) {
        self.send(bytes);
        self.wait(WINDOW_NS / 10 + 1);
    }
}

/// An ordinary client.
fn client(host: u8) -> [u8; 4] {
    [198, 51, 100, host]
}

fn segment(source: [u8; 4], ports: (u16, u16), flags: u8, length: usize) -> Bytes {
    frame::tcp(ports, flags, &[], &frame::data(length), |bytes| frame::pseudo(source, TCP, bytes))
}

fn datagram(source: [u8; 4], ports: (u16, u16), length: usize) -> Bytes {
    frame::udp(ports, &frame::data(length), |bytes| frame::pseudo(source, UDP, bytes))
}

fn tcp_packet(source: [u8; 4], port: u16, flags: u8, length: usize) -> Bytes {
    V4::new(source, TCP).packet(&segment(source, (40_000, port), flags, length))
}

fn udp_packet(source: [u8; 4], port: u16, length: usize) -> Bytes {
    V4::new(source, UDP).packet(&datagram(source, (50_000, port), length))
}

fn tcp_frame(source: [u8; 4], port: u16, flags: u8, length: usize) -> Bytes {
    frame::ethernet(source[3], IP, &tcp_packet(source, port, flags, length))
}

fn udp_frame(source: [u8; 4], port: u16, length: usize) -> Bytes {
    frame::ethernet(source[3], IP, &udp_packet(source, port, length))
}

fn segment6(source: [u8; 16], port: u16, flags: u8, length: usize) -> Bytes {
    frame::tcp((40_000, port), flags, &[], &frame::data(length), |bytes| frame::pseudo6(source, TCP, bytes))
}

fn datagram6(source: [u8; 16], port: u16, length: usize) -> Bytes {
    frame::udp((50_000, port), &frame::data(length), |bytes| frame::pseudo6(source, UDP, bytes))
}

fn frame6(host: u8, packet: &[u8]) -> Bytes {
    frame::ethernet(host, IPV6, packet)
}
