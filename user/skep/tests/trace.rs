//! Under a trace of system calls, loading, attaching, reading and detaching make none that did not cross the seam.

mod common;

use common::{linux, object, packet};
use skep::sys::Faulty;
use skep::{Kernel, PerfBuffer, PerfOptions, RingBuffer, TestRun};
use std::sync::Arc;
use std::time::Duration;

/// Checks what `calls` does with a kernel whose calls are counted.
fn check(test: &str, calls: impl FnOnce(&Kernel)) {
    let Some(turn) = linux(test) else { return };
    skep_lab_trace::check(test, || {
        let counted = Arc::new(Faulty::new(turn.kernel.sys()));
        calls(&Kernel::from(skep::sys::Kernel::from_arc(Arc::clone(&counted) as _)));
        counted.names()
    });
}

#[test]
fn a_ring_is_loaded_run_and_read() {
    let (object, packet) = (object("lab/vectors/helpers/ringbuf"), packet());
    check("a_ring_is_loaded_run_and_read", |kernel| {
        let loaded = object.load(kernel).unwrap();
        let mut ring = RingBuffer::new(loaded.map("ring").unwrap()).unwrap();
        loaded.program("output").unwrap().test_run(&TestRun::packet(&packet)).unwrap();
        assert!(ring.wait(Some(Duration::from_secs(60))).unwrap());
        assert_eq!(&*ring.next().unwrap(), b"thirteen byte");
    });
}

#[test]
fn the_firewall_is_loaded_and_its_maps_read() {
    let (object, packet) = (object("examples/xdp-firewall/xdp_firewall"), packet());
    check("the_firewall_is_loaded_and_its_maps_read", |kernel| {
        let loaded = object.load(kernel).unwrap();
        for program in loaded.programs() {
            program.test_run(&TestRun::packet(&packet)).unwrap();
        }
        for map in loaded.maps() {
            // Rings have no entries.
            let _ = map.entries().count();
        }
    });
}

#[test]
fn a_raw_tracepoint_is_attached_and_detached() {
    let object = object("examples/syscount/syscount");
    check("a_raw_tracepoint_is_attached_and_detached", |kernel| {
        let loaded = object.load(kernel).unwrap();
        let links = loaded.attach_auto().unwrap();
        assert_eq!(links.len(), 1);
    });
}

#[test]
fn a_perf_buffer_is_opened_and_read() {
    let (object, packet) = (object("lab/vectors/helpers/perf_event"), packet());
    check("a_perf_buffer_is_opened_and_read", |kernel| {
        let loaded = object.load(kernel).unwrap();
        let mut events = PerfBuffer::new(loaded.map("events").unwrap(), PerfOptions::default()).unwrap();
        loaded.program("output").unwrap().test_run(&TestRun::packet(&packet)).unwrap();
        assert!(events.wait(Some(Duration::from_secs(60))).unwrap());
        assert!(events.next().is_some());
    });
}
