//! A section without bytes in the file may claim any size: what is held in memory does not follow the claim.

use skep_elf::ObjectSpec;
use skep_model::{MapOrigin, MapSpec};

const OBJECT: &[u8] = include_bytes!("../../../examples/xdp-firewall/xdp_firewall.bpf.o");

/// The section type of sections without bytes (`SHT_NOBITS`).
const NOBITS: u32 = 8;

/// Gives each section without bytes a size, and says how many there are.
fn claim(object: &mut [u8], size: u64) -> usize {
    let word = |object: &[u8], at: usize, len: usize| {
        object[at..at + len].iter().rev().fold(0u64, |number, byte| number << 8 | u64::from(*byte)) as usize
    };
    // e_shoff, e_shentsize and e_shnum of a 64-bit header.
    let (start, stride, count) = (word(object, 0x28, 8), word(object, 0x3a, 2), word(object, 0x3c, 2));
    let headers = (0..count).map(|index| start + index * stride);
    let empty: Vec<usize> = headers.filter(|at| word(object, at + 4, 4) == NOBITS as usize).collect();
    for at in &empty {
        object[at + 0x20..at + 0x28].copy_from_slice(&size.to_le_bytes());
    }
    empty.len()
}

fn zero_section(object: &ObjectSpec) -> (&MapSpec, usize) {
    let found = object.maps.iter().find_map(|map| match &map.origin {
        MapOrigin::Data(data) if data.section == ".bss" => Some((map, data.bytes.len())),
        _ => None,
    });
    found.expect("the object has a .bss")
}

#[test]
fn a_claim_is_known_but_not_held() {
    let mut object = OBJECT.to_vec();
    assert_eq!(claim(&mut object, 1 << 30), 1, "the firewall has one section without bytes");
    let spec = ObjectSpec::parse("firewall", &object).unwrap();
    let (map, held) = zero_section(&spec);
    assert_eq!((map.value_size, held), (1 << 30, 0));
}

#[test]
fn a_modest_claim_is_held() {
    let mut object = OBJECT.to_vec();
    claim(&mut object, 1 << 20);
    let spec = ObjectSpec::parse("firewall", &object).unwrap();
    let (map, held) = zero_section(&spec);
    assert_eq!((map.value_size, held), (1 << 20, 1 << 20));
}

#[test]
fn a_claim_beyond_what_a_map_holds_is_refused() {
    let mut object = OBJECT.to_vec();
    claim(&mut object, 1 << 31);
    let error = ObjectSpec::parse("firewall", &object).unwrap_err();
    assert!(error.to_string().contains(".bss"), "{error}");
}
