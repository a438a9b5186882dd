//! What system calls answer to callers that are wrong, poor or without rights; and kernels to hosts that lend little.

use super::Check;
use super::seam::{nothing_is_left, on};
use super::text::insns;
use crate::host::{BareCaller, BareHost, BareMinimum, FileTable, Granted, Mirror};
use crate::paging::USER_SPACE;
use crate::system::System;
use crate::{heap, timer};
use alloc::sync::Arc;
use skep_abi::flags::{BPF_ANY, BPF_F_MMAPABLE};
use skep_abi::{Cmd, Errno, MapCreate, MapElem, MapType, ProgLoad, ProgType};
use skep_kernel::{Deaf, Kernel};
use skep_lab_seam::{Machine, Ring};
use skep_mem::Host;
use skep_sys::Protection;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "addresses that lead nowhere answer EFAULT", run: nowhere },
    Check { name: "a page mapped for reading is not written by a system call", run: read_only },
    Check { name: "a caller without a right is refused", run: refused },
    Check { name: "waiting takes the time that it is told", run: waits },
    Check { name: "pins outlive descriptors", run: pins },
    Check { name: "two kernels beside each other share nothing", run: two_kernels },
    Check { name: "a system call without memory answers ENOMEM and leaves nothing", run: no_memory },
    Check { name: "a host that lends only what is needed has what needs no more", run: bare_minimum },
];

/// Where attributes are, as the kernel is told: while they are there.
fn address<T>(attr: &T) -> (u64, u32) {
    (core::ptr::from_ref(attr).expose_provenance() as u64, size_of::<T>() as u32)
}

fn a_map(map_type: MapType, key_size: u32, value_size: u32, max_entries: u32) -> MapCreate {
    MapCreate { map_type: map_type.0, key_size, value_size, max_entries, ..MapCreate::default() }
}

fn nowhere() {
    let system = System::new(Mirror::Twice);
    let wild = [1, 4096, 1 << 30, 1 << 47, u64::MAX - 100, 0x0000_0080_0000_0000];
    for addr in wild {
        // SAFETY: nothing is mapped there.
        assert_eq!(unsafe { system.bpf(Cmd::MAP_CREATE, addr, 72) }, Err(Errno::EFAULT), "{addr:#x}");
    }
    let (create, size) = (a_map(MapType::ARRAY, 4, 4, 1), size_of::<MapCreate>() as u32);
    // SAFETY: the attributes name no memory.
    let Ok(fd) = (unsafe { system.bpf(Cmd::MAP_CREATE, address(&create).0, size) }) else { panic!("no map") };
    let key = [0u8; 4];
    for addr in wild {
        let store = MapElem { map_fd: fd as u32, key: address(&key).0, value: addr, ..MapElem::default() };
        for cmd in [Cmd::MAP_UPDATE_ELEM, Cmd::MAP_LOOKUP_ELEM] {
            let (at, size) = address(&store);
            // SAFETY: the key is only read, and nothing is mapped at the value.
            assert_eq!(unsafe { system.bpf(cmd, at, size) }, Err(Errno::EFAULT), "{addr:#x}");
        }
    }
    assert_eq!(system.leftovers(), (1, 0, 0));
    assert!(system.close(fd as i32).is_ok());
}

fn read_only() {
    let system = Arc::new(System::new(Mirror::Twice));
    let kernel = system.seam();
    let create = MapCreate { map_flags: BPF_F_MMAPABLE, ..a_map(MapType::ARRAY, 4, 8, 2) };
    let Ok(map) = kernel.map_create(&create) else { panic!("no map") };
    let key = [0u8; 4];
    for (protection, wanted) in [(Protection::Read, Err(Errno::EFAULT)), (Protection::ReadWrite, Ok(0))] {
        let Ok(mapping) = kernel.map(map.handle(), 0, 4096, protection) else { panic!("no mapping") };
        assert_eq!(USER_SPACE.in_use(), 1);
        // What is mapped first lies first in the window.
        let value = 0x0000_0080_0000_0000u64 + 8;
        let map_fd = map.fd().number() as u32;
        let elem = MapElem { map_fd, key: address(&key).0, value, ..MapElem::default() };
        let (at, size) = address(&elem);
        // SAFETY: the value is in the mapping, which is written by anybody at any time.
        assert_eq!(unsafe { system.bpf(Cmd::MAP_LOOKUP_ELEM, at, size) }, wanted, "{protection:?}");
        drop(mapping);
    }
    drop(map);
    nothing_is_left(&system);
}

fn refused() {
    let system = Arc::new(System::new(Mirror::Twice).with_rights(Granted::Nothing));
    let answer = system.seam().map_create(&a_map(MapType::HASH, 4, 4, 1));
    assert_eq!(answer.err().map(|error| error.errno()), Some(Errno::EPERM));
    nothing_is_left(&system);
}

fn waits() {
    on(Mirror::Twice, |kernel| {
        let ring = Ring::new(kernel, Machine { page_size: 4096, release: (6, 18) })?;
        let host = BareHost::new(Mirror::Never);
        let now_ms = || host.clock().map_or(0, |clock| clock.monotonic_ns() / 1_000_000);
        let (start_ms, start) = (now_ms(), timer::ticks());
        assert_eq!(kernel.wait_readable(ring.map().fd(), Some(40)).ok(), Some(false));
        // Two clocks that were measured apart agree roughly.
        assert!(now_ms() - start_ms >= 10, "{} ms", now_ms() - start_ms);
        assert!(timer::ticks() > start, "it did not sleep");
        // What is not open is ready, with an error.
        assert_eq!(kernel.wait_readable(skep_sys::Fd::Os(60), None).ok(), Some(true));
        Ok(())
    });
}

fn pins() {
    on(Mirror::Twice, |kernel| {
        let path = "/sys/fs/bpf/kept";
        let Ok(map) = kernel.map_create(&a_map(MapType::HASH, 4, 4, 1)) else { panic!("no map") };
        assert!(map.update(&[1; 4], &[2; 4], BPF_ANY).is_ok());
        assert!(kernel.obj_pin(map.handle(), path).is_ok());
        let taken = kernel.obj_pin(map.handle(), path).err();
        assert_eq!(taken.map(|error| error.errno()), Some(Errno::EEXIST));
        let elsewhere = kernel.obj_pin(map.handle(), "/tmp/map").err();
        assert_eq!(elsewhere.map(|error| error.errno()), Some(Errno::EPERM));
        drop(map);
        let Ok(handle) = kernel.obj_get(path, 0) else { panic!("no pin") };
        let Ok(map) = kernel.map_from_handle(handle) else { panic!("no map") };
        let mut value = [0; 4];
        assert!(map.lookup(&[1; 4], &mut value, 0).is_ok());
        assert_eq!(value, [2; 4]);
        assert!(kernel.file_remove(path).is_ok());
        assert_eq!(kernel.obj_get(path, 0).err().map(|error| error.errno()), Some(Errno::ENOENT));
        Ok(())
    });
}

fn two_kernels() {
    let systems = [Mirror::Twice, Mirror::Never].map(|mirror| Arc::new(System::new(mirror)));
    let kernels = systems.each_ref().map(System::seam);
    let path = "/sys/fs/bpf/same";
    let maps = kernels.each_ref().map(|kernel| kernel.map_create(&a_map(MapType::HASH, 4, 4, 1)));
    let [Ok(first), Ok(second)] = maps else { panic!("no maps") };
    // The same numbers and names in both, and different things behind them.
    assert_eq!(first.fd().number(), second.fd().number());
    assert_eq!(first.info().map(|info| info.id).ok(), second.info().map(|info| info.id).ok());
    assert!(kernels[0].obj_pin(first.handle(), path).is_ok());
    assert!(kernels[1].obj_get(path, 0).is_err() && kernels[1].obj_pin(second.handle(), path).is_ok());
    assert!(first.update(&[1; 4], &[2; 4], BPF_ANY).is_ok());
    assert!(second.lookup(&[1; 4], &mut [0; 4], 0).is_err());
    assert!(kernels.iter().all(|kernel| kernel.file_remove(path).is_ok()));
    drop((first, second));
    systems.iter().for_each(|system| nothing_is_left(system));
}

/// A program of two instructions, and its licence.
const RETURNS: &str = "r0 = 2\nexit\n";
const LICENSE: &[u8] = b"GPL\0";

fn no_memory() {
    let system = System::new(Mirror::Twice);
    let insns = insns(RETURNS);
    let load = ProgLoad {
        prog_type: ProgType::XDP.0,
        insn_cnt: insns.len() as u32,
        insns: insns.as_ptr().expose_provenance() as u64,
        license: LICENSE.as_ptr().expose_provenance() as u64,
        ..ProgLoad::default()
    };
    let (hash, ring) = (a_map(MapType::HASH, 4, 8, 16), a_map(MapType::RINGBUF, 0, 0, 4096));
    let commands = [
        (Cmd::MAP_CREATE, address(&hash)),
        (Cmd::MAP_CREATE, address(&ring)),
        (Cmd::PROG_LOAD, address(&load)),
    ];
    for (cmd, (attr, size)) in commands {
        // Once with all memory, so that tables which grow have grown.
        // SAFETY: the attributes name memory that is only read.
        let first = unsafe { system.bpf(cmd, attr, size) };
        assert!(first.and_then(|fd| system.close(fd as i32)).is_ok(), "{cmd:?}: {first:?}");
        let mut refusals = 0;
        loop {
            let before = super::in_use();
            heap::fail_after(Some(refusals));
            // SAFETY: as above.
            let answer = unsafe { system.bpf(cmd, attr, size) };
            heap::fail_after(None);
            match answer {
                Ok(fd) => break assert!(system.close(fd as i32).is_ok()),
                Err(errno) => assert_eq!(errno, Errno::ENOMEM, "{cmd:?} after {refusals} allocations"),
            }
            system.host().settle();
            assert_eq!(super::in_use(), before, "{cmd:?} after {refusals} allocations");
            refusals += 1;
        }
        assert!(refusals > 2, "{cmd:?} allocates nothing");
    }
    nothing_is_left(&system);
}

fn bare_minimum() {
    let host = Arc::new(BareMinimum::default());
    let Ok(kernel) = Kernel::new(Arc::clone(&host) as Arc<dyn Host>, Arc::new(Deaf)) else {
        panic!("no kernel")
    };
    let files = FileTable::default();
    // SAFETY: the calls below name memory that is only read.
    let caller = unsafe { BareCaller::new(&files, Granted::default()) };
    let create = |create: &MapCreate| {
        let (attr, size) = address(create);
        kernel.bpf(&caller, Cmd::MAP_CREATE.0, attr, size)
    };
    let close = |fd: i64| drop(files.remove(fd as i32));
    for map_type in [MapType::HASH, MapType::ARRAY, MapType::LRU_HASH, MapType::PERCPU_ARRAY] {
        create(&a_map(map_type, 4, 8, 4)).map_or_else(|errno| panic!("{map_type:?}: {errno}"), close);
    }
    // Without pages there are no rings.
    assert_eq!(create(&a_map(MapType::RINGBUF, 0, 0, 4096)), Err(Errno::EINVAL));
    let load = |text: &str| {
        let insns = insns(text);
        let load = ProgLoad {
            prog_type: ProgType::XDP.0,
            insn_cnt: insns.len() as u32,
            insns: insns.as_ptr().expose_provenance() as u64,
            license: LICENSE.as_ptr().expose_provenance() as u64,
            ..ProgLoad::default()
        };
        let (attr, size) = address(&load);
        kernel.bpf(&caller, Cmd::PROG_LOAD.0, attr, size)
    };
    for text in [RETURNS, "call bpf_get_smp_processor_id\nexit\n"] {
        load(text).map_or_else(|errno| panic!("{text}: {errno}"), close);
    }
    for name in ["bpf_ktime_get_ns", "bpf_get_prandom_u32"] {
        let text = alloc::format!("call {name}\nr0 = 0\nexit\n");
        assert_eq!(load(&text), Err(Errno::EINVAL), "{name}");
    }
}
