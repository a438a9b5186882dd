//! What a program's memory holds at first: pieces made from a seed, always the same.

mod code;
mod lz4;
mod packets;
mod text;
mod trie;

use std::fmt;

/// What a program's memory holds at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input(Vec<(Kind, usize)>);

/// Some text that describes no input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadInput(String);

impl fmt::Display for BadInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no kind of bytes and a count", self.0)
    }
}

impl std::error::Error for BadInput {}

/// Makes one kind of bytes, so many of its units.
type Make = fn(&mut Noise, usize) -> Vec<u8>;

/// One kind of bytes.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    make: Make,
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

const KINDS: &[Kind] = &[
    Kind { name: "zero", make: |_, count| vec![0; count] },
    Kind { name: "random", make: |noise, count| (0..count).map(|_| noise.next() as u8).collect() },
    Kind { name: "sorted", make: sorted },
    Kind { name: "text", make: text::words },
    Kind { name: "utf8", make: text::utf8 },
    Kind { name: "strings", make: text::strings },
    Kind { name: "varints", make: varints },
    Kind { name: "packets", make: packets::slots },
    Kind { name: "trie", make: trie::with_addresses },
    Kind { name: "vm", make: code::with_data },
    Kind { name: "lz4", make: lz4::compressed_text },
];

/// The most units of a piece.
const MOST: usize = 1 << 16;

impl Input {
    /// Reads `KIND:COUNT,KIND:COUNT…`.
    ///
    /// # Errors
    /// Gives the piece that is none.
    pub fn parse(text: &str) -> Result<Input, BadInput> {
        let piece = |piece: &str| {
            let (name, count) = piece.split_once(':')?;
            let kind = KINDS.iter().find(|kind| kind.name == name)?;
            Some((*kind, count.parse().ok().filter(|&count| count <= MOST)?))
        };
        let pieces = text.split(',').map(|text| piece(text).ok_or_else(|| BadInput(text.to_owned())));
        Ok(Input(pieces.collect::<Result<_, _>>()?))
    }

    /// Makes the bytes.
    pub fn bytes(&self, seed: u64) -> Vec<u8> {
        let mut noise = Noise(seed);
        self.0.iter().flat_map(|(kind, count)| (kind.make)(&mut noise, *count)).collect()
    }
}

/// Numbers without a pattern, always the same (SplitMix64; G. Steele, D. Lea, C. Flood, 2014).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    /// Gives a number below a limit above zero.
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

fn sorted(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut numbers: Vec<u32> = (0..count).map(|_| noise.next() as u32).collect();
    numbers.sort_unstable();
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Fills bytes with LEB128 numbers, most of them short; what is left over is filled with ones.
fn varints(noise: &mut Noise, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let bits = [7, 7, 7, 14, 14, 21, 28, 63][noise.below(8)];
        let mut value = noise.next() & ((1 << bits) - 1);
        let start = bytes.len();
        while value >= 0x80 {
            bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        bytes.push(value as u8);
        if bytes.len() > count {
            bytes.truncate(start);
            bytes.resize(count, 1);
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_always_the_same_and_as_many_as_said() {
        for kind in KINDS {
            let input = Input::parse(&format!("{}:40", kind.name)).unwrap();
            assert_eq!(input.bytes(1), input.bytes(1), "{}", kind.name);
        }
        for name in ["zero", "random", "text", "utf8", "varints"] {
            let input = Input::parse(&format!("{name}:1000,zero:24")).unwrap();
            assert_eq!(input.bytes(1).len(), 1024, "{name}");
        }
        assert_eq!(Input::parse("noise:1"), Err(BadInput("noise:1".to_owned())));
        assert!(Input::parse("zero:99999999").is_err());
    }

    #[test]
    fn noise_is_splitmix() {
        // The first numbers of seed 1234567, as many implementations give them.
        let mut noise = Noise(1_234_567);
        assert_eq!([noise.next(), noise.next()], [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
    }
}
