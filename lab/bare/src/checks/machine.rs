//! The machine itself: its memory.

use super::Check;
use crate::frames::{self, PAGE_SIZE};
use crate::paging::{self, Access, KERNEL, Landing, USER_SPACE};
use crate::ram::IDENTITY_END;
use crate::start;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "memory moves as in C", run: memory_moves },
    Check { name: "the heap aligns, refuses and reuses", run: heap_works },
    Check { name: "pages lead to frames, and nothing else leads anywhere", run: pages_lead_to_frames },
];

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

fn pages_lead_to_frames() {
    let here = start::image_end() - 1;
    assert_eq!(paging::landing(here), Some(Landing { address: here, is_writable: true, is_user: false }));
    for nowhere in [0, 8, 4095, IDENTITY_END - 1, IDENTITY_END, 1 << 47, u64::MAX >> 1, u64::MAX] {
        assert_eq!(paging::landing(nowhere), None, "{nowhere:#x}");
    }
    let Some(frame) = frames::take() else { panic!("no frame") };
    for (window, access) in
        [(&KERNEL, Access::Kernel), (&USER_SPACE, Access::UserRead), (&USER_SPACE, Access::UserWrite)]
    {
        let Some(page) = window.take(3).map(|base| base + PAGE_SIZE) else { panic!("no room for a page") };
        assert_eq!(paging::landing(page as u64), None);
        // SAFETY: the page is the middle one of three that were just taken, and the frame stays until below.
        unsafe { window.map(page, frame, access) };
        let landing = Landing {
            address: frame.address() + 5,
            is_writable: access != Access::UserRead,
            is_user: access != Access::Kernel,
        };
        assert_eq!(paging::landing(page as u64 + 5), Some(landing));
        assert_eq!(paging::landing((page + PAGE_SIZE) as u64), None);
        // SAFETY: the three were taken above and nobody reaches them.
        unsafe { window.give(page - PAGE_SIZE, 3) };
        assert_eq!(paging::landing(page as u64), None);
    }
    assert_eq!((KERNEL.take(0), KERNEL.take(1 << 40)), (None, None));
    // SAFETY: it was taken above and is mapped nowhere any more.
    unsafe { frames::give(frame) };
}
