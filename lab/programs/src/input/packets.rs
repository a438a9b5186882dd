//! Packets in slots of 128 bytes: the frame's length in 16 bits, then the frame.

use super::Noise;

const SLOT: usize = 128;

/// Makes frames with and without tags, of both versions of IP, some of which have no flow.
pub(super) fn slots(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut frame = frame(noise);
        // One in eight is cut off.
        if noise.below(8) == 0 {
            frame.truncate(noise.below(frame.len()));
        }
        bytes.extend((frame.len() as u16).to_le_bytes());
        bytes.extend(&frame);
        bytes.resize(bytes.len() + SLOT - 2 - frame.len(), 0);
    }
    bytes
}

fn random(noise: &mut Noise, count: usize) -> Vec<u8> {
    (0..count).map(|_| noise.next() as u8).collect()
}

fn frame(noise: &mut Noise) -> Vec<u8> {
    let mut frame = random(noise, 12);
    for _ in 0..[0, 0, 0, 1, 1, 2][noise.below(6)] {
        frame.extend([0x81, 0x00]);
        frame.extend(random(noise, 2));
    }
    let protocol = [6, 6, 6, 17, 17, 1][noise.below(6)];
    match noise.below(9) {
        0 => frame.extend([0x08, 0x06]),
        1..=5 => ipv4(noise, protocol, &mut frame),
        _ => ipv6(noise, protocol, &mut frame),
    }
    // Ports, and the beginning of what follows them.
    frame.extend(random(noise, 20));
    frame
}

fn ipv4(noise: &mut Noise, protocol: u8, frame: &mut Vec<u8>) {
    let options = [0, 0, 0, 1, 3][noise.below(5)];
    let fragment = [0, 0, 0, 0, 0, 0, 0, 0x1234][noise.below(8)];
    frame.extend([0x08, 0x00, 0x45 + options as u8, 0, 0, 60]);
    frame.extend(random(noise, 2));
    frame.extend(u16::to_be_bytes(fragment));
    frame.extend([64, protocol, 0, 0]);
    frame.extend(random(noise, 8 + 4 * options));
}

fn ipv6(noise: &mut Noise, protocol: u8, frame: &mut Vec<u8>) {
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol, 64]);
    frame.extend(random(noise, 32));
}
