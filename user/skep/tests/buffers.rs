//! Ring and perf buffers, filled by programs that run.

mod common;

use common::{Held, linux, object, packet};
use skep::{ErrorKind, Loaded, PerfBuffer, PerfOptions, RingBuffer, TestRun, Wakeup};
use std::ops::ControlFlow;
use std::time::Duration;

fn run(loaded: &Loaded, program: &str) {
    let output = loaded.program(program).unwrap().test_run(&TestRun::packet(&packet())).unwrap();
    assert_eq!(output.retval, 0, "{program}");
}

#[test]
fn records_come_in_order_and_discarded_ones_not_at_all() {
    let Some(turn) = linux("records_come_in_order_and_discarded_ones_not_at_all") else { return };
    let before = Held::now();
    let mut loaded = object("lab/vectors/helpers/ringbuf").load(&turn.kernel).unwrap();
    let mut ring = RingBuffer::new(&loaded.take_map("ring").unwrap()).unwrap();
    assert!(ring.next().is_none());
    assert!(!ring.wait(Some(Duration::ZERO)).unwrap());
    // The ring goes round many times: 72 bytes of records a turn, 4,096 in the ring.
    for turns in 0..200 {
        run(&loaded, "reserve");
        run(&loaded, "output");
        assert!(ring.wait(Some(Duration::from_secs(60))).unwrap());
        let record = ring.next().unwrap();
        assert_eq!(record.len(), 16, "{turns}");
        assert_eq!((record[0], record[8]), (1, 2));
        drop(record);
        assert_eq!(&*ring.next().unwrap(), b"thirteen byte", "{turns}");
        assert!(ring.next().is_none());
    }
    assert!(!ring.wait(Some(Duration::from_millis(1))).unwrap());
    drop((loaded, ring));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_reader_goes_on_where_the_last_one_stopped() {
    let Some(turn) = linux("a_reader_goes_on_where_the_last_one_stopped") else { return };
    let loaded = object("lab/vectors/helpers/ringbuf").load(&turn.kernel).unwrap();
    let map = loaded.map("ring").unwrap();
    run(&loaded, "reserve");
    run(&loaded, "output");
    assert_eq!(RingBuffer::new(map).unwrap().next().unwrap().len(), 16);
    let mut second = RingBuffer::new(map).unwrap();
    let stopped = second.for_each(|record| ControlFlow::Break(record.to_vec()));
    assert_eq!(stopped, ControlFlow::Break(b"thirteen byte".to_vec()));
    assert_eq!(second.for_each(|_| ControlFlow::Break(())), ControlFlow::Continue(()));
    assert_eq!(RingBuffer::new(loaded.map("small").unwrap()).unwrap().name(), "small");
    assert!(second.as_fd().is_some());
}

#[test]
fn a_full_ring_is_read_whole() {
    let Some(turn) = linux("a_full_ring_is_read_whole") else { return };
    let loaded = object("lab/vectors/helpers/ringbuf").load(&turn.kernel).unwrap();
    run(&loaded, "full");
    let mut ring = RingBuffer::new(loaded.map("small").unwrap()).unwrap();
    let mut lens = Vec::new();
    let _ = ring.for_each(|record| {
        lens.push(record.len());
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(lens[..3], [1016, 1016, 1016]);
    run(&loaded, "full");
    assert_eq!(ring.next().unwrap().len(), 1016, "over the end of the ring, in one piece");
}

#[test]
fn other_maps_are_no_rings() {
    let Some(turn) = linux("other_maps_are_no_rings") else { return };
    let loaded = object("lab/vectors/maps/kinds").load(&turn.kernel).unwrap();
    let error = RingBuffer::new(loaded.map("hash").unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
    let error = PerfBuffer::new(loaded.map("ring").unwrap(), PerfOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Setting, "{error}");
}

#[test]
fn samples_come_with_the_packet_behind_them() {
    let Some(turn) = linux("samples_come_with_the_packet_behind_them") else { return };
    let before = Held::now();
    let mut loaded = object("lab/vectors/helpers/perf_event").load(&turn.kernel).unwrap();
    let map = loaded.take_map("events").unwrap();
    let options = PerfOptions { pages: 1, wakeup: Wakeup::Samples(1) };
    let mut events = PerfBuffer::new(&map, options).unwrap();
    drop(map);
    assert!(events.next().is_none());
    // Samples of 16 and 32 bytes with their headers: they go over the end of a page at every place there is.
    for turns in 0..500 {
        run(&loaded, "output");
        run(&loaded, "output_with_packet");
        assert!(events.wait(Some(Duration::from_secs(60))).unwrap());
        let mut seen = Vec::new();
        let _ = events.for_each(|_, sample| {
            seen.push(sample.to_vec());
            ControlFlow::<()>::Continue(())
        });
        seen.sort();
        assert_eq!(seen.len(), 2, "{turns}");
        let len = packet().len() as u32;
        assert_eq!(seen[0][..8], [1u32.to_ne_bytes(), len.to_ne_bytes()].concat());
        assert_eq!(seen[1][..4], 2u32.to_ne_bytes());
        assert_eq!(seen[1][8..22], packet()[..14]);
    }
    assert_eq!(events.lost(), 0);
    assert!(!events.wait(Some(Duration::ZERO)).unwrap());
    drop((loaded, events));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn what_finds_no_room_is_counted() {
    let Some(turn) = linux("what_finds_no_room_is_counted") else { return };
    let loaded = object("lab/vectors/helpers/perf_event").load(&turn.kernel).unwrap();
    let options = PerfOptions { pages: 1, wakeup: Wakeup::Bytes(1) };
    let mut events = PerfBuffer::new(loaded.map("events").unwrap(), options).unwrap();
    let program = loaded.program("output").unwrap();
    let packet = packet();
    // Each CPU's page holds fewer than 200 samples of 24 bytes; those behind find no room.
    let result = program.test_run(&TestRun::packet(&packet).repeat(1000)).unwrap();
    assert!(result.retval != 0 || events.lost() == 0, "a program is told of a full buffer");
    let mut read = 0;
    while events.next().is_some() {
        read += 1;
    }
    assert!(read > 100, "{read}");
    // The kernel tells how many were lost with the next sample of the same CPU, which a new thread need not be on.
    let mut sent = 1000;
    while read + events.lost() != sent && sent < 3000 {
        std::thread::scope(|scope| {
            let runs =
                [(); 4].map(|()| scope.spawn(|| program.test_run(&TestRun::packet(&packet)).map(|_| ())));
            runs.into_iter().for_each(|run| run.join().unwrap().unwrap());
        });
        sent += 4;
        while events.next().is_some() {
            read += 1;
        }
    }
    assert!(events.lost() > 0, "{read} read of {sent}");
    assert_eq!(read + events.lost(), sent, "{read} read, {} lost", events.lost());
}
