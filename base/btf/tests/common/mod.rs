//! BTF made by hand, word by word, in either byte order: the tests' own writer, which shares nothing with the crate's.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]

use skep_btf::Endian;

pub const BOTH: [Endian; 2] = [Endian::Little, Endian::Big];

/// Kind numbers, spelt out so that a wrong table in the crate is seen.
pub mod k {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

pub const KIND_FLAG: u32 = 1 << 31;

/// Types and strings, to be laid out behind a header.
pub struct Blob {
    pub endian: Endian,
    pub types: Vec<u8>,
    pub strings: Vec<u8>,
    pub next: u32,
}

impl Blob {
    pub fn new(endian: Endian) -> Blob {
        Blob { endian, types: Vec::new(), strings: vec![0], next: 1 }
    }

    pub fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let off = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        off
    }

    /// Appends a record: name, kind (with `KIND_FLAG` or'ed in), element count, third word, the words after.
    pub fn add(&mut self, name: &str, kind: u32, vlen: u32, third: u32, tail: &[u32]) -> u32 {
        let name = self.string(name);
        let info = ((kind & !KIND_FLAG) << 24) | (kind & KIND_FLAG) | vlen;
        for word in [name, info, third].iter().chain(tail) {
            self.types.extend(self.endian.bytes32(*word));
        }
        self.next += 1;
        self.next - 1
    }

    pub fn int(&mut self, name: &str, size: u32, encoding: u32) -> u32 {
        self.add(name, k::INT, 0, size, &[(encoding << 24) | (size * 8)])
    }

    /// A struct of members (name, type, offset word).
    pub fn composite(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let mut tail = Vec::new();
        for &(name, ty, offset) in members {
            tail.extend([self.string(name), ty, offset]);
        }
        self.add(name, kind, members.len() as u32, size, &tail)
    }

    pub fn header(&self, words: &[u32]) -> Vec<u8> {
        let mut bytes = self.endian.bytes16(0xeb9f).to_vec();
        bytes.extend([1, 0]);
        bytes.extend(self.endian.bytes32(8 + 4 * words.len() as u32));
        bytes.extend(words.iter().flat_map(|word| self.endian.bytes32(*word)));
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut bytes = self.header(&[0, types, types, strings]);
        bytes.extend(&self.types);
        bytes.extend(&self.strings);
        bytes
    }
}

/// Every kind once and more, as clang would write them.
pub fn every_kind(endian: Endian) -> Blob {
    let mut b = Blob::new(endian);
    let int = b.int("int", 4, 1); // 1
    b.int("char", 1, 1); // 2
    b.int("_Bool", 1, 4); // 3
    b.int("u64", 8, 0); // 4
    b.add("", k::PTR, 0, int, &[]); // 5
    b.add("", k::ARRAY, 0, 0, &[2, int, 16]); // 6
    let (mode, x, y) = (b.string("mode"), b.string("OFF"), b.string("ON"));
    let _ = mode;
    b.add("mode", k::ENUM | KIND_FLAG, 2, 4, &[x, -1i32 as u32, y, 7]); // 7
    b.composite(k::UNION, "", 4, &[("v4", 1, 0), ("bytes", 3, 0)]); // 8
    // struct event { u64 when; char comm[16]; int a:3; int b:5; union {v4, bytes}; int *ptr; }
    b.composite(
        k::STRUCT | KIND_FLAG,
        "event",
        48,
        &[
            ("when", 4, 0),
            ("comm", 6, 64),
            ("a", 1, 3 << 24 | 192),
            ("b", 1, 5 << 24 | 195),
            ("", 8, 224),
            ("ptr", 5, 256),
            ("mode", 7, 320),
        ],
    ); // 9
    b.add("opaque", k::FWD, 0, 0, &[]); // 10
    b.add("opaque_u", k::FWD | KIND_FLAG, 0, 0, &[]); // 11
    b.add("event_t", k::TYPEDEF, 0, 9, &[]); // 12
    b.add("", k::VOLATILE, 0, 12, &[]); // 13
    b.add("", k::CONST, 0, 13, &[]); // 14
    b.add("", k::RESTRICT, 0, 5, &[]); // 15
    let (ctx, n) = (b.string("ctx"), b.string("n"));
    b.add("", k::FUNC_PROTO, 3, int, &[ctx, 5, n, 4, 0, 0]); // 16
    b.add("prog", k::FUNC, 1, 16, &[]); // 17
    b.add("limit", k::VAR, 0, 14, &[1]); // 18
    b.add("count", k::VAR, 0, 4, &[0]); // 19
    b.add(".rodata", k::DATASEC, 2, 56, &[18, 0, 48, 19, 48, 8]); // 20
    b.add("double", k::FLOAT, 0, 8, &[]); // 21
    b.add("note", k::DECL_TAG, 0, 9, &[1]); // 22
    b.add("whole", k::DECL_TAG, 0, 9, &[u32::MAX]); // 23
    b.add("user", k::TYPE_TAG, 0, int, &[]); // 24
    let (small, big) = (b.string("SMALL"), b.string("BIG"));
    b.add("wide", k::ENUM64, 2, 8, &[small, 1, 0, big, 5, 0x8000_0000]); // 25
    b.add("wide_s", k::ENUM64 | KIND_FLAG, 1, 8, &[small, u32::MAX - 1, u32::MAX]); // 26
    b
}
