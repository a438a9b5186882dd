//! A block of LZ4 (lz4_Block_format.md), as a greedy compressor makes it.

use super::{Noise, text};

/// Room for the compressed bytes, behind their number in 4 bytes.
const ROOM: usize = 1020;
/// No match ends in the last bytes of a block, and none starts in more of them.
const LAST_LITERALS: usize = 5;
const LAST_START: usize = 12;
const SHORTEST: usize = 4;

/// Compresses text of so many bytes, or of as many as fit.
pub(super) fn compressed_text(noise: &mut Noise, count: usize) -> Vec<u8> {
    // Words come back, and a long run overlaps itself.
    let mut plain = text::words(noise, count.saturating_sub(count / 4).min(640));
    while plain.len() < count {
        let from = noise.below(plain.len().max(1));
        let size = 8 + noise.below(120);
        let again: Vec<u8> = plain.iter().copied().skip(from).take(size).collect();
        plain.extend(again);
        plain.extend(vec![b'-'; noise.below(40)]);
    }
    plain.truncate(count);
    let mut block = compress(&plain);
    while block.len() > ROOM {
        plain.truncate(plain.len() * 7 / 8);
        block = compress(&plain);
    }
    let mut bytes = (block.len() as u32).to_le_bytes().to_vec();
    bytes.extend(block);
    bytes.resize(4 + ROOM, 0);
    bytes
}

fn compress(plain: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut at, mut done) = (0, 0);
    while at + LAST_START < plain.len() {
        match longest(plain, at) {
            Some((back, size)) => {
                sequence(&mut out, &plain[done..at], Some((back, size)));
                at += size;
                done = at;
            }
            None => at += 1,
        }
    }
    sequence(&mut out, &plain[done..], None);
    out
}

/// Finds the longest match for what stands at a place: how far back, and how long.
fn longest(plain: &[u8], at: usize) -> Option<(usize, usize)> {
    let limit = plain.len() - LAST_LITERALS - at;
    let length = |from: usize| (0..limit).take_while(|k| plain[from + k] == plain[at + k]).count();
    let best = (at.saturating_sub(0xffff)..at).map(|from| (length(from), from)).max()?;
    (best.0 >= SHORTEST).then_some((at - best.1, best.0))
}

fn sequence(out: &mut Vec<u8>, literals: &[u8], found: Option<(usize, usize)>) {
    let more = found.map_or(0, |(_, size)| size - SHORTEST);
    out.push((literals.len().min(15) << 4 | more.min(15)) as u8);
    rest(out, literals.len());
    out.extend_from_slice(literals);
    if let Some((back, _)) = found {
        out.extend((back as u16).to_le_bytes());
        rest(out, more);
    }
}

/// Writes what of a length does not fit in the token's four bits.
fn rest(out: &mut Vec<u8>, length: usize) {
    let Some(mut left) = length.checked_sub(15) else { return };
    while left >= 255 {
        out.push(255);
        left -= 255;
    }
    out.push(left as u8);
}
