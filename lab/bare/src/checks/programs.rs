//! Programs on this machine: on packets that a caller brings, on frames of an interface, in the timer's interrupt.

use super::Check;
use super::seam::nothing_is_left;
use super::text::insns;
use crate::host::Mirror;
use crate::system::System;
use crate::timer::{self, OnTick};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::error::Error;
use core::sync::atomic::{AtomicU64, Ordering};
use skep_abi::{AttachType, LinkCreate, MapCreate, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_kernel::Tracepoint;
use skep_lab_seam::{Machine, Ring};
use skep_sys::{CallError, Fd, FdArray, Kernel, MapFd, ProgFd, ProgLoadMemory, TestRunMemory};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "a firewall decides over packets", run: || firewall(Mirror::Twice) },
    Check {
        name: "a firewall decides over packets, with a ring that is there once",
        run: || firewall(Mirror::Never),
    },
    Check { name: "an interface's frames go through its link", run: interface },
    Check {
        name: "batches of elements, and a tail call through a map of programs",
        run: batches_and_tail_calls,
    },
    Check { name: "a program sees the clock, the task, the log and guarded memory", run: surroundings },
    Check { name: "programs in an interrupt and in the task count exactly", run: counted },
    Check { name: "whoever waits for a record is woken by an interrupt", run: woken },
];

type Outcome = Result<(), Box<dyn Error>>;

/// Runs `body` on a new system, of which nothing is left afterwards.
fn on(mirror: Mirror, body: impl FnOnce(&Arc<System>, &Kernel) -> Outcome) {
    let system = Arc::new(System::new(mirror));
    if let Err(error) = body(&system, &system.seam()) {
        panic!("{error}");
    }
    nothing_is_left(&system);
}

fn ring(kernel: &Kernel) -> Result<Ring, Box<dyn Error>> {
    Ok(Ring::new(kernel, Machine { page_size: 4096, release: (6, 18) })?)
}

fn map(kernel: &Kernel, map_type: MapType, key_size: u32, max_entries: u32) -> Result<MapFd, Box<dyn Error>> {
    let create =
        MapCreate { map_type: map_type.0, key_size, value_size: 8, max_entries, ..MapCreate::default() };
    Ok(kernel.map_create(&create)?)
}

fn load(kernel: &Kernel, prog_type: ProgType, text: &str, maps: &[Fd]) -> Result<ProgFd, Box<dyn Error>> {
    let insns = insns(text);
    let mut load = ProgLoad { prog_type: prog_type.0, log_level: 1, ..ProgLoad::default() };
    let mut log = vec![0; 16 << 10];
    let memory = ProgLoadMemory {
        insns: insns.as_flattened(),
        license: "GPL",
        log: &mut log,
        fd_array: FdArray::ByIndex(maps),
        ..ProgLoadMemory::default()
    };
    kernel.prog_load(&mut load, memory).map_err(|error| {
        let text = log.split(|byte| *byte == 0).next().unwrap_or_default();
        alloc::format!("{error}: {}", String::from_utf8_lossy(text)).into()
    })
}

fn run(prog: &ProgFd, packet: &[u8], repeat: u32) -> Result<u32, Box<dyn Error>> {
    let mut out = vec![0; packet.len()];
    let mut run = ProgTestRun { repeat, ..ProgTestRun::default() };
    let memory = TestRunMemory { data_in: packet, data_out: &mut out, ..TestRunMemory::default() };
    prog.test_run(&mut run, memory)?;
    Ok(run.retval)
}

fn value(map: &MapFd, key: &[u8]) -> Result<u64, Box<dyn Error>> {
    let mut value = [0; 8];
    map.lookup(key, &mut value, 0)?;
    Ok(u64::from_ne_bytes(value))
}

/// Drops what comes from a source that is listed: counts it there, tells of it in a ring, and counts on each CPU.
const FIREWALL: &str = "
        r6 = *(u32 *)(r1 + 0)
        r7 = *(u32 *)(r1 + 4)
        r2 = r6
        r2 += 34
        if r2 > r7 goto pass            // no room for Ethernet and IPv4
        r2 = *(u16 *)(r6 + 12)
        r2 = be16 r2
        if r2 != 0x800 goto pass        // no IPv4
        r2 = *(u32 *)(r6 + 26)
        *(u32 *)(r10 - 4) = r2
        r1 = map[idx:0] ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem
        if r0 == 0 goto pass            // the source is not listed
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
        r1 = map[idx:1] ll
        r2 = r10
        r2 += -4
        r3 = 4
        r4 = 0
        call bpf_ringbuf_output
        *(u32 *)(r10 - 8) = 0
        r1 = map[idx:2] ll
        r2 = r10
        r2 += -8
        call bpf_map_lookup_elem
        if r0 == 0 goto drop
        r1 = *(u64 *)(r0 + 0)
        r1 += 1
        *(u64 *)(r0 + 0) = r1
drop:   r0 = 1
        exit
pass:   r0 = 2
        exit
";

const XDP_DROP: u32 = 1;
const XDP_PASS: u32 = 2;

const LISTED: [u8; 4] = [192, 0, 2, 1];
const OTHER: [u8; 4] = [198, 51, 100, 7];

/// An Ethernet frame of 60 bytes with an IPv4 packet.
fn frame(ether_type: u16, source: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[12..14].copy_from_slice(&ether_type.to_be_bytes());
    frame[14] = 0x45;
    frame[26..30].copy_from_slice(&source);
    frame
}

struct Firewall {
    sources: MapFd,
    events: Ring,
    drops: MapFd,
    prog: ProgFd,
}

fn load_firewall(kernel: &Kernel) -> Result<Firewall, Box<dyn Error>> {
    let sources = map(kernel, MapType::HASH, 4, 16)?;
    sources.update(&LISTED, &[0; 8], 0)?;
    let (events, drops) = (ring(kernel)?, map(kernel, MapType::PERCPU_ARRAY, 4, 1)?);
    let maps = [sources.fd(), events.map().fd(), drops.fd()];
    let prog = load(kernel, ProgType::XDP, FIREWALL, &maps)?;
    Ok(Firewall { sources, events, drops, prog })
}

impl Firewall {
    /// Checks that so many packets were dropped, and takes the events of them.
    fn dropped(&self, count: u64) -> Outcome {
        assert_eq!(value(&self.sources, &LISTED)?, count);
        assert_eq!(value(&self.drops, &[0; 4])?, count);
        for _ in 0..count {
            assert_eq!(self.events.take()?, Some(LISTED.to_vec()));
        }
        assert_eq!(self.events.take()?, None);
        Ok(())
    }
}

fn firewall(mirror: Mirror) {
    on(mirror, |_, kernel| {
        let firewall = load_firewall(kernel)?;
        for (packet, verdict) in [
            (frame(0x800, LISTED), XDP_DROP),
            (frame(0x800, OTHER), XDP_PASS),
            (frame(0x806, LISTED), XDP_PASS),
            (frame(0x800, LISTED)[..33].to_vec(), XDP_PASS),
        ] {
            assert_eq!(run(&firewall.prog, &packet, 1)?, verdict, "{packet:x?}");
        }
        assert_eq!(run(&firewall.prog, &frame(0x800, LISTED), 999)?, XDP_DROP);
        firewall.dropped(1000)
    });
}

fn interface() {
    on(Mirror::Twice, |system, kernel| {
        let interface = system.kernel().add_interface("bare0").map_err(CallError::from)?;
        let receive = |source| interface.receive(&mut frame(0x800, source)).map_err(CallError::from);
        assert_eq!(receive(LISTED)?, XDP_PASS);
        let firewall = load_firewall(kernel)?;
        let link = kernel.link_create(&LinkCreate {
            prog_fd: firewall.prog.fd().number() as u32,
            target_fd: interface.index(),
            attach_type: AttachType::XDP.0,
            flags: 0,
        })?;
        assert_eq!((receive(LISTED)?, receive(OTHER)?, receive(LISTED)?), (XDP_DROP, XDP_PASS, XDP_DROP));
        drop(link);
        assert_eq!(receive(LISTED)?, XDP_PASS);
        firewall.dropped(2)
    });
}

/// Goes on in the second program of a map, if there is one.
const DISPATCH: &str = "
        r2 = map[idx:0] ll
        r3 = 1
        call bpf_tail_call
        r0 = 7
        exit
";

fn batches_and_tail_calls() {
    on(Mirror::Twice, |_, kernel| {
        let numbers = map(kernel, MapType::HASH, 4, 8)?;
        let keys: Vec<u8> = (0..5u32).flat_map(u32::to_ne_bytes).collect();
        let values: Vec<u8> = (100..105u64).flat_map(u64::to_ne_bytes).collect();
        let failed = |(error, count): (CallError, u32)| alloc::format!("{error} after {count} elements");
        assert_eq!(numbers.update_batch(&keys, &values, 5, 0).map_err(failed)?, 5);
        assert_eq!(value(&numbers, &keys[12..16])?, 103);
        assert_eq!(numbers.delete_batch(&keys[4..], 4).map_err(failed)?, 4);
        assert_eq!(value(&numbers, &keys[..4])?, 100);

        let create = MapCreate {
            map_type: MapType::PROG_ARRAY.0,
            key_size: 4,
            value_size: 4,
            max_entries: 2,
            ..MapCreate::default()
        };
        let programs = kernel.map_create(&create)?;
        let next = load(kernel, ProgType::XDP, "r0 = 3\nexit\n", &[])?;
        let first = load(kernel, ProgType::XDP, DISPATCH, &[programs.fd()])?;
        assert_eq!(run(&first, &[0; 64], 1)?, 7);
        programs.update(&1u32.to_ne_bytes(), &next.fd().number().to_ne_bytes(), 0)?;
        drop(next);
        assert_eq!(run(&first, &[0; 64], 1)?, 3);
        programs.delete(&1u32.to_ne_bytes())?;
        assert_eq!(run(&first, &[0; 64], 1)?, 7);
        Ok(())
    });
}

/// Asks for everything that a host may lend, and answers with the line where something was wrong, or 0.
const SURROUNDINGS: &str = "
        call bpf_ktime_get_ns
        r6 = r0
        call bpf_ktime_get_ns
        r7 = 1
        if r6 > r0 goto wrong
        r7 = 2
        call bpf_ktime_get_boot_ns
        if r6 > r0 goto wrong
        r7 = 3
        call bpf_jiffies64
        if r0 == 0 goto wrong
        r7 = 4
        call bpf_get_prandom_u32
        r6 = r0
        call bpf_get_prandom_u32
        if r0 == r6 goto wrong
        r7 = 5
        call bpf_get_current_pid_tgid
        r1 = 0x100000001 ll
        if r0 != r1 goto wrong
        r7 = 6
        r1 = r10
        r1 += -16
        r2 = 16
        call bpf_get_current_comm
        r1 = *(u32 *)(r10 - 16)
        if r1 != 0x65726162 goto wrong  // 'bare'
        r7 = 7
        r1 = r10
        r1 += -24
        r2 = 8
        r3 = 16
        call bpf_probe_read_kernel      // where null pointers lead
        if r0 == 0 goto wrong
        r7 = 8
        *(u64 *)(r10 - 32) = 0x0a6968   // 'hi' and a new line
        r1 = r10
        r1 += -32
        r2 = 4
        call bpf_trace_printk
        if r0 != 3 goto wrong
        r7 = 0
wrong:  r0 = r7
        exit
";

fn surroundings() {
    on(Mirror::Twice, |system, kernel| {
        let prog = load(kernel, ProgType::RAW_TRACEPOINT, SURROUNDINGS, &[])?;
        let mut run = ProgTestRun::default();
        prog.test_run(&mut run, TestRunMemory::default())?;
        assert_eq!((run.retval, system.host().log().take().as_slice()), (0, b"hi\n".as_slice()));
        Ok(())
    });
}

/// Fires a tracepoint in the timer's interrupt.
struct Ticker {
    tracepoint: Tracepoint,
    fired: AtomicU64,
    failed: AtomicU64,
}

impl OnTick for Ticker {
    fn tick(&self, ticks: u64) {
        match self.tracepoint.fire(&[ticks], &[]) {
            Ok(()) => self.fired.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.failed.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// Attaches a program to the timer's interrupt while `body` runs; gives how often it ran.
fn at_each_tick(
    system: &System,
    kernel: &Kernel,
    prog: &ProgFd,
    body: impl FnOnce() -> Outcome,
) -> Result<u64, Box<dyn Error>> {
    let tracepoint = system.kernel().add_tracepoint("bare", "tick").map_err(CallError::from)?;
    let link = kernel.raw_tracepoint_open(Some("tick"), prog.fd(), 0)?;
    let ticker = Arc::new(Ticker { tracepoint, fired: AtomicU64::new(0), failed: AtomicU64::new(0) });
    drop(timer::listen(Some(Arc::clone(&ticker) as _)));
    let outcome = body();
    drop(timer::listen(None));
    drop(link);
    assert_eq!(ticker.failed.load(Ordering::Relaxed), 0, "a run in the interrupt failed");
    outcome.map(|()| ticker.fired.load(Ordering::Relaxed))
}

/// Adds one to the first value of a map.
const COUNT: &str = "
        *(u32 *)(r10 - 4) = 0
        r1 = map[idx:0] ll
        r2 = r10
        r2 += -4
        call bpf_map_lookup_elem
        if r0 == 0 goto out
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
out:    r0 = 0
        exit
";

fn counted() {
    on(Mirror::Twice, |system, kernel| {
        let map = map(kernel, MapType::HASH, 4, 4)?;
        map.update(&[0; 4], &[0; 8], 0)?;
        let in_task = load(kernel, ProgType::XDP, COUNT, &[map.fd()])?;
        let in_interrupt = load(kernel, ProgType::RAW_TRACEPOINT, COUNT, &[map.fd()])?;
        let mut runs = 0;
        let fired = at_each_tick(system, kernel, &in_interrupt, || {
            let end = timer::ticks() + 50;
            while timer::ticks() < end {
                run(&in_task, &[0; 64], 20)?;
                // Elements come and go beside the one that is counted, under the locks of the same map.
                map.update(&[1; 4], &[7; 8], 0)?;
                map.delete(&[1; 4])?;
                runs += 20;
            }
            Ok(())
        })?;
        assert!(fired >= 40, "{fired} interrupts");
        assert_eq!(value(&map, &[0; 4])?, runs + fired);
        assert!(system.host().one_cpu().was_entered_from_interrupt());
        Ok(())
    });
}

/// Writes the tick's number to a ring.
const TELL: &str = "
        r2 = *(u64 *)(r1 + 0)
        *(u64 *)(r10 - 8) = r2
        r1 = map[idx:0] ll
        r2 = r10
        r2 += -8
        r3 = 8
        r4 = 0
        call bpf_ringbuf_output
        exit
";

fn woken() {
    on(Mirror::Twice, |system, kernel| {
        let ring = ring(kernel)?;
        let prog = load(kernel, ProgType::RAW_TRACEPOINT, TELL, &[ring.map().fd()])?;
        let mut last = 0;
        at_each_tick(system, kernel, &prog, || {
            for _ in 0..10 {
                // Without an interrupt that wakes it, this waits for ever.
                assert!(kernel.wait_readable(ring.map().fd(), None)?);
                while let Some(record) = ring.take()? {
                    let tick = record.try_into().map_or(0, u64::from_ne_bytes);
                    assert!(tick > last, "tick {tick} after {last}");
                    last = tick;
                }
            }
            Ok(())
        })?;
        // At least the first record in each wait came while nobody had anything to read.
        assert!(system.host().wake_ups().count() >= 10, "{} wake-ups", system.host().wake_ups().count());
        while ring.take()?.is_some() {}
        assert!(!kernel.wait_readable(ring.map().fd(), Some(20))?, "a program runs after its link is gone");
        Ok(())
    });
}
