//! What is checked on this machine. A check that fails panics, which ends the machine badly.

use crate::{heap, println};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// One check and its name.
pub(crate) struct Check {
    name: &'static str,
    run: fn(),
}

/// All checks, in order.
pub(crate) const ALL: &[Check] = &[
    Check { name: "memory moves as in C", run: memory_moves },
    Check { name: "the heap aligns, refuses and reuses", run: heap_works },
];

/// Runs every check; each gives back all that it allocated.
pub(crate) fn run() {
    for check in ALL {
        let before = heap::in_use();
        (check.run)();
        assert_eq!(heap::in_use(), before, "{}: memory is still allocated", check.name);
        println!("ok: {}", check.name);
    }
}

fn memory_moves() {
    let mut bytes: Vec<u8> = (0..200).collect();
    bytes.copy_within(0..100, 50);
    assert!(bytes[50..150].iter().copied().eq(0..100), "upwards over itself");
    bytes.copy_within(50..150, 0);
    assert!(bytes[..100].iter().copied().eq(0..100), "downwards over itself");
    bytes[..60].fill(7);
    assert_eq!(bytes[..61], [[7; 60].as_slice(), &[60]].concat());
    assert!(bytes[..60] < bytes[1..61], "the last byte decides");
}

fn heap_works() {
    let map: BTreeMap<u32, Box<u64>> = (0..1000).map(|key| (key, Box::new(u64::from(key) << 32))).collect();
    assert!(map.iter().all(|(key, value)| u64::from(*key) << 32 == **value));
    let first = core::ptr::from_ref(&*map[&0]).addr();
    drop(map);
    #[repr(align(4096))]
    struct Page([u8; 4096]);
    let page = Box::new(Page([1; 4096]));
    assert!(core::ptr::from_ref(&*page).addr() % 4096 == 0 && page.0[4095] == 1);
    let blocks: Vec<Box<u64>> = (0..2000).map(Box::new).collect();
    assert!(
        blocks.iter().any(|block| core::ptr::from_ref(&**block).addr() == first),
        "freed blocks are used again"
    );
    let mut huge: Vec<u8> = Vec::new();
    assert!(huge.try_reserve_exact(1 << 40).is_err(), "more than there is");
    assert!(huge.try_reserve_exact(1 << 20).is_ok(), "as much as there is");
}
