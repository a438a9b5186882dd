//! What is linked may claim anything of where it lies: places and alignments are numbers of the file's.

use skep_elf::{ElfError, Input, link};

const OBJECT: &[u8] = include_bytes!("../../../examples/xdp-firewall/xdp_firewall.bpf.o");

/// `SHT_REL` and `SHT_PROGBITS`.
const REL: u64 = 9;
const PROGBITS: u64 = 1;

fn word(object: &[u8], at: usize, len: usize) -> u64 {
    object[at..at + len].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Where the header of each section of that type is, in a 64-bit ELF file: `e_shoff`, `e_shentsize`, `e_shnum`.
fn headers(object: &[u8], sh_type: u64) -> Vec<usize> {
    let (start, stride) = (word(object, 0x28, 8) as usize, word(object, 0x3a, 2) as usize);
    let all = (0..word(object, 0x3c, 2) as usize).map(|index| start + index * stride);
    all.filter(|at| word(object, at + 4, 4) == sh_type).collect()
}

/// Links an object that is damaged behind one that is not: only the second has moved sections.
fn link_behind(damaged: &[u8]) -> Result<Vec<u8>, ElfError> {
    link(&[Input { file: "whole.o", bytes: OBJECT }, Input { file: "damaged.o", bytes: damaged }])
}

/// Names every symbol anew, so that two objects of one source can be linked.
fn renamed() -> Vec<u8> {
    let mut object = OBJECT.to_vec();
    for from in ["xdp_firewall", "count", "config", "rules", "events"] {
        let mut at = 0;
        while let Some(found) = object[at..].windows(from.len()).position(|bytes| bytes == from.as_bytes()) {
            object[at + found] = b'Z';
            at += found + 1;
        }
    }
    object
}

#[test]
fn a_relocation_beyond_all_sections_is_refused() {
    for claim in [u64::MAX, u64::MAX - 7, 1 << 63, 1 << 32] {
        let mut damaged = renamed();
        let header = headers(&damaged, REL)[0];
        let table = word(&damaged, header + 0x18, 8) as usize;
        damaged[table..table + 8].copy_from_slice(&claim.to_le_bytes());
        let error = link_behind(&damaged).unwrap_err().to_string();
        assert!(error.contains("damaged.o"), "{error}");
    }
}

#[test]
fn an_alignment_takes_no_memory_that_the_file_does_not_have() {
    let mut damaged = renamed();
    for header in headers(&damaged, PROGBITS) {
        damaged[header + 0x30..header + 0x38].copy_from_slice(&(1u64 << 31).to_le_bytes());
    }
    let error = link_behind(&damaged).unwrap_err().to_string();
    assert!(error.contains("damaged.o") && error.contains("16 MiB"), "{error}");
}

#[test]
fn an_alignment_that_is_none_is_refused() {
    for claim in [3, (1 << 63) + 1, u64::MAX] {
        let mut damaged = renamed();
        let header = headers(&damaged, PROGBITS)[0];
        damaged[header + 0x30..header + 0x38].copy_from_slice(&claim.to_le_bytes());
        let error = link_behind(&damaged).unwrap_err().to_string();
        assert!(error.contains("damaged.o") && error.contains(&claim.to_string()), "{error}");
    }
}
