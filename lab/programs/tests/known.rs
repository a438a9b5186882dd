//! The programs are what they say: answers that their specifications or many implementations give.

mod run;

use skep_lab_programs::{Cpu, all, digest};

/// Runs a program on a memory of ours.
fn run(name: &str, memory: &mut [u8]) -> u64 {
    let programs = all().unwrap();
    let program = programs.iter().find(|program| program.name == name).unwrap();
    run::run(&program.bytecode(Cpu::V3).unwrap(), memory).unwrap().result
}

/// Some bytes with so many zeroes behind them.
fn padded(bytes: &[u8], zeroes: usize) -> Vec<u8> {
    [bytes, &vec![0; zeroes]].concat()
}

#[test]
fn hashes() {
    assert_eq!(run("fnv1a", &mut b"foobar".to_vec()), 0x8594_4171_f739_67e8);
    assert_eq!(digest(b"foobar"), 0x8594_4171_f739_67e8);
    assert_eq!(run("xxh64", &mut []), 0xef46_db37_51d8_e999);
    assert_eq!(run("xxh64", &mut b"abc".to_vec()), 0x44bc_2cf5_ad77_0999);
    // The first vectors of SipHash-2-4's authors with messages of 0 and 8 bytes.
    let mut message: Vec<u8> = (0..16).chain(0..8).collect();
    assert_eq!(run("siphash", &mut message[..16]), 0x726f_db47_dd0e_0e31);
    assert_eq!(run("siphash", &mut message), 0x93f5_f579_9a93_2462);
}

#[test]
fn checksums() {
    let message = b"123456789";
    assert_eq!(run("crc32bit", &mut message.to_vec()), 0xcbf4_3926);
    assert_eq!(run("crc32table", &mut padded(message, 1024)[..]), 0xcbf4_3926);
    assert_eq!(run("adler32", &mut b"Wikipedia".to_vec()), 0x11e6_0398);
    // RFC 1071 §3: these words' sum is 0xddf2, in network order.
    let mut packet = padded(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 1492);
    assert_eq!(run("inetsum", &mut packet), u64::from(!0xddf2_u16.swap_bytes()));
    assert_eq!(run("fletcher", &mut [1, 0, 2, 0]), 4 << 16 | 3);
}

#[test]
fn ciphers() {
    // RFC 8439 §2.3.2: key, counter, nonce, and the first words of the block.
    let mut memory: Vec<u8> = (0..32).chain([1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0x4a, 0, 0, 0, 0]).collect();
    memory.resize(560 + 512, 0);
    run("chacha20", &mut memory);
    assert_eq!(memory[560..568], [0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15]);
    assert_eq!(memory[560 + 60..560 + 64], [0xa2, 0x50, 0x3c, 0x4e]);
    // XTEA of zeroes under a key of zeroes.
    let mut memory = vec![0; 528];
    run("xtea", &mut memory);
    assert_eq!(memory[272..280], [0xd8, 0xd4, 0xe9, 0xde, 0xd9, 0x1e, 0x13, 0xf7]);
}

#[test]
fn keccak_of_zeroes() {
    let mut memory = vec![0; 400];
    // Computed by the formulas of FIPS 202 §3.2; the first of the four gives the well-known 0xf1258f7940e1dde7.
    assert_eq!(run("keccak", &mut memory), 0x3a7c_2a5f_40a6_eb2e);
}

#[test]
fn base64_and_decompression_come_back() {
    let plain: Vec<u8> = (0..768).map(|i| (i * 7) as u8).collect();
    let mut memory = padded(&plain, 64 + 1024 + 768);
    run("base64", &mut memory);
    assert_eq!(&memory[832..840], b"AAcOFRwj");
    assert_eq!(memory[832 + 1024..], plain);
    let programs = all().unwrap();
    let mut memory = programs.iter().find(|program| program.name == "lz4").unwrap().memory();
    run("lz4", &mut memory);
    let text = &memory[1024..1024 + 3000];
    assert!(text.iter().all(|&byte| byte == b'\n' || (b' '..=b'z').contains(&byte)));
    assert!(text[..640].windows(6).any(|bytes| bytes == b"honey "));
}

#[test]
fn scans_and_validation() {
    let mut memory = padded(b"seven words, and two of them twice: two", 9);
    let found = run("scan", &mut memory);
    assert_eq!((found >> 48, found >> 32 & 0xffff), (39, 39));
    let text = "a\u{e9}\u{20ac}\u{1f41d}".as_bytes();
    let found = run("utf8", &mut text.to_vec());
    assert_eq!(found >> 48, text.len() as u64);
    assert_eq!(found >> 32 & 0xffff, 4);
    // A surrogate, found at the second of its bytes.
    assert_eq!(run("utf8", &mut [b'a', 0xed, 0xa0, 0x80]), 1 << 32 | 1);
}
