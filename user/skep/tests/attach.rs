//! Attaching, on the running kernel.
#![allow(clippy::disallowed_types, reason = "the test sends the packets that it tests with")]

mod common;

use common::{Held, linux, object};
use skep::{Attach, EntryValue, Errno, ErrorKind, Kernel, Link, ProgType};
use std::io::ErrorKind as IoError;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// The kernel's counter of this process's calls.
fn tracing(stem: &str) -> skep::Object {
    let mut object = object(stem);
    object.set_global("target_tgid", &std::process::id().to_string()).unwrap();
    object
}

fn getppid(times: u32) {
    for _ in 0..times {
        assert_ne!(std::os::unix::process::parent_id(), 0);
    }
}

#[test]
fn a_tracepoint_counts_until_its_link_is_dropped() {
    let Some(turn) = linux("a_tracepoint_counts_until_its_link_is_dropped") else { return };
    let before = Held::now();
    let mut object = tracing("lab/vectors/contexts/tracing");
    object.only_program("by_record").unwrap();
    let loaded = object.load(&turn.kernel).unwrap();
    let entered = || loaded.global("entered").unwrap().value().unwrap().as_int().unwrap();
    let program = loaded.program("by_record").unwrap();
    let link = match program.attach_auto() {
        Ok(link) => link,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: a_tracepoint_counts_until_its_link_is_dropped: {error}");
            return;
        }
        Err(error) => panic!("{error:?}"),
    };
    getppid(7);
    assert_eq!(entered(), 7);
    drop(link);
    getppid(3);
    assert_eq!(entered(), 7);
    let error = program.attach(Attach::tracepoint("syscalls", "sys_enter_nothing")).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(Errno::ENOENT)), "{error}");
    assert!(program.attach(Attach::tracepoint("..", "x")).is_err());
    let error = program.attach(Attach::xdp(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn system_calls_are_counted_exactly() {
    let Some(turn) = linux("system_calls_are_counted_exactly") else { return };
    let before = Held::now();
    let loaded = tracing("examples/syscount/syscount").load(&turn.kernel).unwrap();
    let calls = loaded.map("calls").unwrap();
    let mut key = std::process::id().to_ne_bytes().to_vec();
    // The number of getppid on machines with the generic table; x86-64 has its own.
    let number: u32 = if cfg!(target_arch = "x86_64") { 110 } else { 173 };
    key.extend(number.to_ne_bytes());
    let links = loaded.attach_auto().unwrap();
    assert_eq!(links.len(), 1);
    getppid(1000);
    drop(links);
    getppid(1000);
    assert_eq!(calls.lookup(&key).unwrap(), Some(1000u64.to_ne_bytes().to_vec()));
    let processes = loaded.map("processes").unwrap();
    let me: Vec<_> = processes.entries().collect::<Result<_, _>>().unwrap();
    assert_eq!(me.len(), 1);
    let EntryValue::One(process) = &me[0].value else { panic!("{me:?}") };
    assert!(process.member("count").unwrap().as_int().unwrap() >= 1000);
    assert_eq!(loaded.global("missed.calls").unwrap().value().unwrap().as_int(), Some(0));
    let error = loaded.program("syscount").unwrap().attach(Attach::raw_tracepoint("no_such")).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::ENOENT), "{error}");
    drop(loaded);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_kept_link_outlives_its_value() {
    let Some(turn) = linux("a_kept_link_outlives_its_value") else { return };
    let mut object = tracing("lab/vectors/contexts/tracing");
    object.only_program("raw").unwrap();
    let loaded = object.load(&turn.kernel).unwrap();
    let entered = || loaded.global("raw_entered").unwrap().value().unwrap().as_int().unwrap();
    let link = loaded.program("raw").unwrap().attach_auto().unwrap();
    let fd = link.fd().unwrap().fd();
    link.keep();
    let first = entered();
    getppid(5);
    assert!(entered() >= first + 5);
    // What is kept is the descriptor, so closing that detaches.
    turn.kernel.sys().call(skep::sys::Call::Close(fd)).unwrap();
    getppid(1);
    let last = entered();
    getppid(5);
    assert_eq!(entered(), last);
}

#[test]
fn a_socket_filter_drops_until_its_link_is_dropped() {
    let Some(turn) = linux("a_socket_filter_drops_until_its_link_is_dropped") else { return };
    let before = Held::now();
    // A program that returns 0 and looks at nothing: none of a packet is kept.
    let mut object = object("lab/vectors/maps/typed_keys");
    object.only_program("second").unwrap().program_mut("second").unwrap().set_type(ProgType::SOCKET_FILTER);
    let loaded = object.load(&turn.kernel).unwrap();
    let program = loaded.program("second").unwrap();
    let (sender, receiver) = UnixDatagram::pair().unwrap();
    receiver.set_nonblocking(true).unwrap();
    let link = program.attach(Attach::socket(&receiver)).unwrap();
    sender.send(b"dropped").unwrap();
    assert_eq!(receiver.recv(&mut [0; 16]).unwrap_err().kind(), IoError::WouldBlock);
    assert_eq!(link.pin("/sys/fs/bpf/never").unwrap_err().kind(), ErrorKind::Unsupported);
    drop(link);
    sender.send(b"kept").unwrap();
    assert_eq!(receiver.recv(&mut [0; 16]).unwrap(), 4);
    drop((loaded, sender, receiver));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn the_firewall_guards_an_interface() {
    let name = "the_firewall_guards_an_interface";
    let Some(turn) = linux(name) else { return };
    let kernel = turn.kernel.clone();
    if common::in_own_network(name, turn) {
        guard_an_interface(&kernel);
    }
}

fn guard_an_interface(kernel: &Kernel) {
    let before = Held::now();
    let mut object = object("examples/xdp-firewall/xdp_firewall");
    object.set_global("use_ktime", "true").unwrap();
    object.set_global("limit_packets", "3").unwrap();
    object.set_global("window_ns", "60000000000").unwrap();
    let loaded = object.load(kernel).unwrap();
    let program = loaded.program("xdp_firewall").unwrap();
    let link = program.attach(Attach::xdp("skep1")).unwrap();
    let taken = program.attach(Attach::xdp("skep1")).unwrap_err();
    assert_eq!(taken.errno(), Some(Errno::EBUSY), "{taken}");
    let error = program.attach(Attach::xdp("no_such")).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(Errno::ENODEV)), "{error}");

    let map = loaded.map("events").unwrap();
    let mut events = skep::RingBuffer::new(map).unwrap();
    let socket = UdpSocket::bind("192.0.2.1:4660").unwrap();
    socket.set_broadcast(true).unwrap();
    let send = |times: u32| {
        for _ in 0..times {
            socket.send_to(b"straw", "192.0.2.255:4661").unwrap();
        }
    };
    send(5);
    // Two of five are over the limit.
    for seen in [4, 5] {
        let (saddr, found) = loop {
            // The interfaces also talk of themselves, in IPv6.
            assert!(events.wait(Some(Duration::from_secs(60))).unwrap());
            let Some(record) = events.next() else { continue };
            let event = map.decode_record(&record).expect("the object says what its records are");
            let number = |name| event.member(name).unwrap().as_int().unwrap();
            if number("family") == 4 {
                break (number("saddr"), number("seen"));
            }
        };
        assert_eq!((saddr, found), (0xc000_0201, seen));
    }
    let address: Vec<u8> =
        [0u32, 0, 0xffff, 0xc000_0201].iter().flat_map(|word| word.to_ne_bytes()).collect();
    let sources = loaded.map("sources").unwrap();
    let count = || {
        let value = sources.lookup(&address).unwrap().unwrap();
        let read = sources.decode_value(&value).unwrap();
        ["packets", "refused"].map(|name| read.member(name).unwrap().as_int().unwrap())
    };
    assert_eq!(count(), [5, 2]);

    // Another program in its place, with nothing missed in between, and then none.
    let second = object_again(kernel);
    link.update(second.program("xdp_firewall").unwrap()).unwrap();
    send(2);
    // The other end's queue is run when the machine comes to it.
    let (counted, begin) = (second.map("sources").unwrap(), std::time::Instant::now());
    while counted.lookup(&address).unwrap().is_none() {
        assert!(begin.elapsed() < Duration::from_secs(60));
        std::thread::yield_now();
    }
    assert_eq!(count(), [5, 2]);
    let id = link.info().unwrap().id;
    drop(link);
    let gone = kernel.sys().fd_by_id(skep::sys::ObjectKind::Link, id, 0);
    assert_eq!(gone.unwrap_err().errno(), Errno::ENOENT);
    send(1);
    drop((loaded, second, events, socket));
    assert_eq!(Held::left_since(&before), "");
}

fn object_again(kernel: &Kernel) -> skep::Loaded {
    let mut object = object("examples/xdp-firewall/xdp_firewall");
    object.set_global("use_ktime", "true").unwrap();
    object.load(kernel).unwrap()
}

#[test]
fn sections_that_say_no_place_are_refused_by_name() {
    let Some(turn) = linux("sections_that_say_no_place_are_refused_by_name") else { return };
    let loaded = object("examples/xdp-firewall/xdp_firewall").load(&turn.kernel).unwrap();
    let refused: Result<Vec<Link>, _> = loaded.attach_auto();
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting);
    assert!(error.to_string().contains("program xdp_firewall"), "{error}");
}
