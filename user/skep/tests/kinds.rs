//! Kinds of maps that only Linux has: rings that user space writes, stacks, storage that belongs to something, sockets, devices,
//! control groups.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test looks at the machine itself")]

mod common;

use common::{Held, Turn, linux, object, packet, running};
use skep::flags::BPF_F_NO_PREALLOC;
use skep::{
    Autoload, ByFd, CgroupStorageKey, Errno, ErrorKind, Frame, Kernel, Loaded, MapType, NewMap, Redirect,
    StackTrace, TestRun, UserRing,
};
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Makes a map, or says that the kernel has no such kind.
fn made(test: &str, turn: &Turn, map: &NewMap) -> Option<skep::Map> {
    match map.create(&turn.kernel) {
        Ok(map) => Some(map),
        Err(error) => {
            println!("skipped: {test}: {error}");
            None
        }
    }
}

fn drain(loaded: &Loaded) -> i64 {
    assert_eq!(loaded.program("drain").unwrap().test_run(&TestRun::packet(&packet())).unwrap().retval, 0);
    loaded.global("taken").unwrap().cell::<i64>().unwrap().get().unwrap()
}

fn counter(loaded: &Loaded, name: &str) -> u64 {
    loaded.global(name).unwrap().cell::<u64>().unwrap().get().unwrap()
}

#[test]
fn records_go_from_user_space_to_a_program() {
    let test = "records_go_from_user_space_to_a_program";
    let Some(turn) = linux(test) else { return };
    if running() < (6, 1) {
        return println!("skipped: {test}: rings that user space writes came with Linux 6.1");
    }
    let before = Held::now();
    let loaded =
        object("lab/vectors/maps/user_ring").load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let map = loaded.map("commands").unwrap();
    let mut ring = UserRing::new(map).unwrap();
    assert_eq!((ring.name(), ring.longest()), ("commands", 4088));
    assert_eq!(drain(&loaded), 0);

    // One by one, and one that is given back: nobody sees it.
    assert!(ring.send_value(&[3u32, 5]).unwrap());
    assert_eq!(ring.reserve(8).unwrap().map(|record| record.len()), Some(8));
    let mut record = ring.reserve(8).unwrap().unwrap();
    assert_eq!((record.len(), record.is_empty()), (8, false));
    record.write(4, &10u32.to_ne_bytes()).unwrap();
    record.write(0, &7u32.to_ne_bytes()).unwrap();
    let outside = record.write(6, &[0; 4]).unwrap_err();
    assert_eq!(outside.kind(), ErrorKind::Setting, "{outside}");
    record.send().unwrap();
    assert_eq!(drain(&loaded), 2);
    assert_eq!((counter(&loaded, "records"), counter(&loaded, "sum")), (2, 85));

    // Until it is full, round and round, with lengths that are no multiple of eight.
    let (mut sent, mut sum) = (2, 85);
    for round in 0..40u32 {
        let mut count = 0u32;
        loop {
            let len = 8 + (round as usize * 7 + count as usize) % 61;
            let mut record = vec![0xff; len];
            record[..8].copy_from_slice(&[round.to_ne_bytes(), 2u32.to_ne_bytes()].concat());
            if !ring.send(&record).unwrap() {
                break;
            }
            count += 1;
        }
        assert!(count > 4096 / 80, "{count}");
        assert_eq!(drain(&loaded), i64::from(count));
        sent += u64::from(count);
        sum += u64::from(count) * u64::from(round) * 2;
    }
    assert_eq!((counter(&loaded, "records"), counter(&loaded, "sum")), (sent, sum));

    // The longest, and one more.
    assert!(ring.send(&[0; 4088]).unwrap());
    assert!(!ring.send(&[]).unwrap());
    assert!(!ring.wait(Some(Duration::ZERO)).unwrap(), "it is full");
    assert_eq!(drain(&loaded), 1);
    assert!(ring.wait(Some(Duration::from_secs(1))).unwrap(), "it is empty");
    assert_eq!(ring.send(&[0; 4089]).unwrap_err().errno(), Some(Errno::E2BIG));
    // The next writer goes on where this one stopped.
    drop(ring);
    let mut ring = UserRing::new(map).unwrap();
    assert!(ring.send_value(&[1u32, 1]).unwrap());
    drop(ring);
    assert_eq!(drain(&loaded), 1);
    assert_eq!(UserRing::new(loaded.maps().last().unwrap()).unwrap_err().kind(), ErrorKind::Setting);
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn stacks_are_read_by_address_and_by_file() {
    let test = "stacks_are_read_by_address_and_by_file";
    let Some(turn) = linux(test) else { return };
    let mut stacks = object("lab/vectors/maps/stacks");
    stacks.set_global_bytes("wanted", &std::process::id().to_ne_bytes()).unwrap();
    let loaded = stacks.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let link = match loaded.program("stacks").unwrap().attach_auto() {
        Ok(link) => link,
        Err(error) => return println!("skipped: {test}: {error}"),
    };
    std::thread::yield_now();
    drop(link);
    let id = |name: &str| loaded.global(name).unwrap().cell::<i64>().unwrap().get().unwrap();
    let stack = |map: &str, id: i64| {
        let map = loaded.map(map).unwrap().typed::<u32, StackTrace>().unwrap();
        assert_eq!(map.keys().count(), 1);
        map.get(&u32::try_from(id).unwrap()).unwrap().unwrap().frames
    };
    let kernel = stack("addresses", id("in_kernel"));
    let addresses_of_the_kernel =
        kernel.iter().all(|frame| matches!(frame, Frame::Address(address) if *address > 1 << 63));
    assert!(!kernel.is_empty() && addresses_of_the_kernel, "{kernel:x?}");
    let files = stack("files", id("in_files"));
    assert!(!files.is_empty() && files.len() <= 16, "{files:x?}");
    // Where it was is a file that has a build id, or only an address where the kernel could not look.
    assert!(
        files.iter().all(|frame| match frame {
            Frame::File { build_id, .. } => *build_id != [0; 20],
            Frame::Address(address) => *address != 0,
        }),
        "{files:x?}"
    );
    let error = loaded.map("files").unwrap().typed::<u32, u64>().unwrap_err();
    assert!(error.to_string().contains("its values have 512 bytes"), "{error}");
}

/// Storage needs types: a hash that has them lends them.
fn storage(kernel: &Kernel, kind: MapType) -> Result<skep::Map, skep::Error> {
    let mut kinds = object("lab/vectors/maps/storage");
    for program in kinds.programs().map(str::to_owned).collect::<Vec<_>>() {
        kinds.program_mut(&program)?.set_autoload(Autoload::No);
    }
    kinds.map_mut("storage")?.set_type(kind)?;
    kinds.load(kernel)?.take_map("storage")
}

#[test]
fn storage_belongs_to_what_a_descriptor_names() {
    let test = "storage_belongs_to_what_a_descriptor_names";
    let Some(turn) = linux(test) else { return };
    let (socket, other) = std::os::unix::net::UnixDatagram::pair().unwrap();
    let file = common::open("/proc/self/exe");
    let group = common::open("/sys/fs/cgroup");
    let before = Held::now();
    let mut found = 0;
    for (kind, owner, stranger) in [
        (MapType::SK_STORAGE, ByFd::of(&socket), Some(ByFd::of(&other))),
        (MapType::INODE_STORAGE, ByFd::of(&file), None),
        (MapType::CGRP_STORAGE, ByFd::of(&group), None),
    ] {
        let map = match storage(&turn.kernel, kind) {
            Ok(map) => map,
            Err(error) => {
                println!("skipped: {test}: {kind}: {error}");
                continue;
            }
        };
        let map = map.into_typed::<ByFd<'_>, u64>().unwrap();
        match map.insert(&owner, &5) {
            Ok(()) => {}
            // The file system that is there has no control groups of version 2, or no LSM is asked.
            Err(error) => {
                println!("skipped: {test}: {kind}: {error}");
                continue;
            }
        }
        assert_eq!(map.get(&owner).unwrap(), Some(5), "{kind}");
        if let Some(stranger) = stranger {
            assert_eq!(map.get(&stranger).unwrap(), None, "{kind}");
        }
        assert!(map.delete(&owner).unwrap(), "{kind}");
        assert_eq!(map.get(&owner).unwrap(), None, "{kind}");
        found += 1;
    }
    assert!(found > 0, "sockets have storage since Linux 5.2");
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn sockets_are_stored_by_descriptor_and_read_by_cookie() {
    let test = "sockets_are_stored_by_descriptor_and_read_by_cookie";
    let Some(turn) = linux(test) else { return };
    let Some(map) = made(test, &turn, &NewMap::of::<u32, u64>(MapType::SOCKMAP, 4)) else { return };
    let listener = match std::net::TcpListener::bind("127.0.0.1:0") {
        Ok(listener) => listener,
        Err(error) => return println!("skipped: {test}: no loopback: {error}"),
    };
    let stream = match std::net::TcpStream::connect(listener.local_addr().unwrap()) {
        Ok(stream) => stream,
        Err(error) => return println!("skipped: {test}: no loopback: {error}"),
    };
    let _accepted = listener.accept().unwrap();
    let sockets = map.typed::<u32, ByFd<'_>>().unwrap();
    let cookies = map.typed::<u32, u64>().unwrap();
    assert_eq!(cookies.get(&1).unwrap(), None);
    sockets.insert(&1, &ByFd::of(&stream)).unwrap();
    assert_ne!(cookies.get(&1).unwrap(), None);
    let error = sockets.get(&1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
    assert_eq!(format!("{:?}", ByFd::of(&stream)), format!("ByFd({})", stream.as_raw_fd()));
    assert!(sockets.delete(&1).unwrap());
    // A closed connection leaves the map by itself; a file that is no socket never comes in.
    let file = common::open("/proc/self/exe");
    assert_eq!(sockets.insert(&1, &ByFd::of(&file)).unwrap_err().errno(), Some(Errno::ENOTSOCK));
    let queue = NewMap::of::<(), u64>(MapType::QUEUE, 4).create(&turn.kernel).unwrap();
    assert!(queue.typed::<(), ByFd<'_>>().is_err());
}

#[test]
fn packets_are_sent_to_devices_and_cpus() {
    let test = "packets_are_sent_to_devices_and_cpus";
    let Some(turn) = linux(test) else { return };
    let loopback = 1;
    for size in [4, 8] {
        for kind in [MapType::DEVMAP, MapType::DEVMAP_HASH] {
            let map = NewMap::new(kind, 4).sizes(4, size);
            let Some(map) = made(test, &turn, &map) else { continue };
            let devices = map.typed::<u32, Redirect<'_>>().unwrap();
            devices.insert(&2, &Redirect::interface(loopback)).unwrap();
            let found = devices.get(&2).unwrap().unwrap();
            assert_eq!((found.target(), found.program_id()), (loopback, None), "{kind}, {size} bytes");
            assert_eq!(devices.get(&3).unwrap().map(|found| found.target()), None);
            let pass = object("examples/xdp-firewall/xdp_firewall").load(&turn.kernel).unwrap();
            let program = pass.program("xdp_firewall").unwrap();
            let error = devices.insert(&2, &Redirect::interface(loopback).run(program)).unwrap_err();
            // Without room it is not even asked; with room the kernel wants a program that was loaded for devices.
            let wanted = if size == 4 { ErrorKind::Setting } else { ErrorKind::Kernel };
            assert_eq!(error.kind(), wanted, "{error}");
        }
    }
    let Some(map) = made(test, &turn, &NewMap::of::<u32, u32>(MapType::CPUMAP, 1)) else { return };
    let queues = map.typed::<u32, Redirect<'_>>().unwrap();
    queues.insert(&0, &Redirect::queue(192)).unwrap();
    assert_eq!(queues.get(&0).unwrap().unwrap().target(), 192);
}

#[test]
fn storage_of_control_groups_has_a_key_of_its_own() {
    let test = "storage_of_control_groups_has_a_key_of_its_own";
    let Some(turn) = linux(test) else { return };
    let map = NewMap::of::<CgroupStorageKey, u64>(MapType::CGROUP_STORAGE, 0);
    let Some(map) = made(test, &turn, &map) else { return };
    let storage = map.into_typed::<CgroupStorageKey, u64>().unwrap();
    let key = CgroupStorageKey::new(1, skep::AttachType::CGROUP_INET_EGRESS);
    // No program uses it, so no control group has any.
    assert_eq!(storage.get(&key).unwrap(), None);
    assert_eq!(storage.insert(&key, &1).unwrap_err().errno(), Some(Errno::ENOENT));
}

#[test]
fn control_groups_and_events_are_stored_by_descriptor() {
    let test = "control_groups_and_events_are_stored_by_descriptor";
    let Some(turn) = linux(test) else { return };
    let groups = NewMap::of::<u32, u32>(MapType::CGROUP_ARRAY, 4).create(&turn.kernel).unwrap();
    let groups = groups.into_typed::<u32, ByFd<'_>>().unwrap();
    let file = common::open("/proc/self/exe");
    assert_eq!(groups.insert(&0, &ByFd::of(&file)).unwrap_err().errno(), Some(Errno::EBADF));
    let events = NewMap::of::<u32, u32>(MapType::PERF_EVENT_ARRAY, 4).create(&turn.kernel).unwrap();
    let events = events.into_typed::<u32, ByFd<'_>>().unwrap();
    assert_eq!(events.insert(&0, &ByFd::of(&file)).unwrap_err().errno(), Some(Errno::EBADF));
    assert!(!events.delete(&0).unwrap());
    let group = common::open("/sys/fs/cgroup");
    match groups.insert(&3, &ByFd::of(&group)) {
        Ok(()) => assert!(groups.delete(&3).unwrap()),
        Err(error) => println!("skipped: {test}: /sys/fs/cgroup: {error}"),
    }
    // Flags that the kind has none of.
    let error =
        NewMap::of::<u32, u32>(MapType::CGROUP_ARRAY, 4).flags(BPF_F_NO_PREALLOC).create(&turn.kernel);
    assert_eq!(error.unwrap_err().errno(), Some(Errno::EINVAL));
}
