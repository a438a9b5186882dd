//! An object may lie anywhere in memory: embedded in an executable, in the middle of a file.

use skep_elf::ObjectSpec;

const OBJECT: &[u8] = include_bytes!("../../../examples/xdp-firewall/xdp_firewall.bpf.o");

#[test]
fn an_object_is_read_at_any_address() {
    let whole = ObjectSpec::parse("firewall", OBJECT).unwrap();
    for shift in 0..8 {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(OBJECT);
        let shifted = ObjectSpec::parse("firewall", &bytes[shift..]).unwrap();
        assert_eq!((&shifted.programs, &shifted.maps), (&whole.programs, &whole.maps), "shifted by {shift}");
    }
}
