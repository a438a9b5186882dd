//! Text: words, UTF-8 of all lengths, strings with common beginnings.

use super::Noise;

const WORDS: [&str; 24] = [
    "bee", "comb", "honey", "straw", "hive", "queen", "meadow", "a", "of", "the", "to", "and", "swarm",
    "nectar", "smoke", "wax", "skep", "keeper", "clover", "in", "x", "drone", "pollen", "winter",
];

/// Makes words, numbers, quotations and punctuation.
pub(super) fn words(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut text = String::new();
    while text.len() < count {
        let word = WORDS[noise.below(WORDS.len())];
        match noise.below(12) {
            0 => text.push_str(&format!("{}", noise.below(100_000))),
            1 => text.push_str(&format!("\"{word} \\\" {}\"", WORDS[noise.below(WORDS.len())])),
            2 => text.push_str(&format!("{word},")),
            3 => text.push_str(&format!("{word}.\n")),
            _ => text.push_str(word),
        }
        text.push(' ');
    }
    text.truncate(count);
    text.into_bytes()
}

/// Makes characters of one to four bytes, and fills up with spaces.
pub(super) fn utf8(noise: &mut Noise, count: usize) -> Vec<u8> {
    const RANGES: [(u32, u32); 8] = [
        (0x20, 0x7f),
        (0x20, 0x7f),
        (0x20, 0x7f),
        (0x80, 0x800),
        (0x800, 0xd800),
        (0xe000, 0x1_0000),
        (0x1_0000, 0x4_0000),
        (0x10_0000, 0x11_0000),
    ];
    let mut text = String::new();
    while text.len() + 4 <= count {
        let (from, to) = RANGES[noise.below(RANGES.len())];
        let code = from + noise.below((to - from) as usize) as u32;
        text.extend(char::from_u32(code));
    }
    let mut bytes = text.into_bytes();
    bytes.resize(count, b' ');
    bytes
}

/// Makes strings in 32 bytes each: a path of a few words, so that many begin alike.
pub(super) fn strings(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..count {
        let mut string = b"/meadow/".to_vec();
        for _ in 0..3 {
            string.extend_from_slice(WORDS[noise.below(4)].as_bytes());
            string.push(b'/');
        }
        string.resize(31, 0);
        string.push(0);
        bytes.extend(string);
    }
    bytes
}
