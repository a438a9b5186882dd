//! What loom explores of the parts without locks: `RUSTFLAGS="--cfg loom" cargo test -p skep-mem --test loom`.
#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;
use skep_abi::ring::{BUSY_BIT, DISCARD_BIT};
use skep_mem::{Commit, Fuel, Meter, NotTaken, Producer, Reader, Ring, RingMemory, Slot, Slots, Wrap};

/// Explores all interleavings with up to `preemptions` switches that no thread asked for: enough for the
/// races of two or three threads, and a matter of seconds instead of minutes.
fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(run);
}

#[test]
fn a_slot_has_one_owner() {
    model(3, || {
        let slots = Arc::new(Slots::new(2).unwrap());
        let owner = Arc::new([UnsafeCell::new(0u32), UnsafeCell::new(0)]);
        let threads: Vec<_> = (1..=2)
            .map(|id| {
                let (slots, owner) = (Arc::clone(&slots), Arc::clone(&owner));
                thread::spawn(move || {
                    let slot = slots.take().expect("two slots for two threads");
                    // SAFETY: what is to be shown: loom fails where two threads touch the cell unordered.
                    owner[slot.0 as usize].with_mut(|cell| unsafe { *cell = id });
                    slots.free(slot).unwrap();
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut left: Vec<u32> = (0..2).filter_map(|_| slots.take()).map(|slot| slot.0).collect();
        left.sort_unstable();
        assert_eq!(left, [0, 1]);
        assert_eq!(slots.take(), None);
    });
}

#[test]
fn a_slot_that_is_freed_while_its_word_is_marked_full_is_found_afterwards() {
    model(3, || {
        let slots = Arc::new(Slots::new(2).unwrap());
        let first = slots.take().unwrap();
        let other = Arc::clone(&slots);
        // Takes the last slot, or finds none; either way it may mark the word full.
        let marks = thread::spawn(move || other.take());
        slots.free(first).unwrap();
        let taken = marks.join().unwrap();
        assert!(taken.is_some(), "one slot was free all the time");
        assert_eq!(slots.take().is_some(), true);
        assert_eq!(slots.take(), None);
    });
}

#[test]
fn one_of_two_frees_is_refused() {
    model(3, || {
        let slots = Arc::new(Slots::new(1).unwrap());
        let slot: Slot = slots.take().unwrap();
        let other = Arc::clone(&slots);
        let freed = thread::spawn(move || other.free(slot));
        let here = slots.free(slot);
        let there = freed.join().unwrap();
        assert!(matches!((here, there), (Ok(()), Err(NotTaken)) | (Err(NotTaken), Ok(()))));
    });
}

/// Shared memory of a tiny ring: positions, headers, and payload cells that must never be touched by two at once.
struct Memory {
    consumer: AtomicU64,
    producer: AtomicU64,
    headers: Vec<AtomicU32>,
    payload: Vec<UnsafeCell<u64>>,
}

impl Memory {
    fn new(size: usize) -> Memory {
        Memory {
            consumer: AtomicU64::new(0),
            producer: AtomicU64::new(0),
            headers: (0..size / 8).map(|_| AtomicU32::new(0)).collect(),
            payload: (0..size / 8).map(|_| UnsafeCell::new(0)).collect(),
        }
    }
}

impl RingMemory for Memory {
    fn consumer(&self) -> u64 {
        self.consumer.load(Ordering::Acquire)
    }
    fn publish(&self, producer: u64) {
        self.producer.store(producer, Ordering::Release);
    }
    fn write_header(&self, offset: usize, len: u32, _page: u32) {
        self.headers[offset / 8].store(len, Ordering::Relaxed);
    }
    fn commit_header(&self, offset: usize, len: u32) {
        self.headers[offset / 8].store(len, Ordering::Release);
    }
}

struct Model {
    ring: Ring<Memory>,
    producer: Mutex<Producer>,
    wakes: AtomicU32,
    size: usize,
}

impl Model {
    fn new(size: usize, wrap: Wrap) -> Arc<Model> {
        let ring = Ring::new(Memory::new(size), size, 4096, wrap).unwrap();
        Arc::new(Model { ring, producer: Mutex::new(Producer::default()), wakes: AtomicU32::new(0), size })
    }

    /// Writes one record of eight bytes, if there is room.
    fn write(&self, value: u64) -> bool {
        let room = self.ring.reserve(&mut self.producer.lock().unwrap(), 8);
        let Ok(room) = room else { return false };
        // SAFETY: what is to be shown: loom fails where the reader or another writer touches the cell meanwhile.
        self.ring.memory().payload[room.offset % self.size / 8].with_mut(|cell| unsafe { *cell = value });
        if self.ring.commit(room.token, Commit::Submit) == Ok(Reader::CaughtUp) {
            self.wakes.fetch_add(1, Ordering::Release);
        }
        true
    }

    /// Reads all committed records, as Linux's readers do.
    fn read(&self, seen: &mut Vec<u64>) {
        let memory = self.ring.memory();
        let mut at = memory.consumer.load(Ordering::Relaxed);
        while at < memory.producer.load(Ordering::Acquire) {
            let offset = at as usize % self.size;
            let header = memory.headers[offset / 8].load(Ordering::Acquire);
            if header & BUSY_BIT != 0 {
                return;
            }
            if header & DISCARD_BIT == 0 {
                // SAFETY: as in `write`.
                seen.push(memory.payload[(offset + 8) % self.size / 8].with(|cell| unsafe { *cell }));
            }
            at += u64::from((header & !DISCARD_BIT) + 8).next_multiple_of(8);
            memory.consumer.store(at, Ordering::Release);
        }
    }
}

#[test]
fn two_producers_and_a_reader_lose_nothing() {
    model(2, || {
        let model = Model::new(64, Wrap::Mirrored);
        let threads: Vec<_> = (1..=2)
            .map(|value| {
                let model = Arc::clone(&model);
                thread::spawn(move || assert!(model.write(value)))
            })
            .collect();
        let mut seen = Vec::new();
        model.read(&mut seen);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        model.read(&mut seen);
        seen.sort_unstable();
        assert_eq!(seen, [1, 2]);
    });
}

#[test]
fn bytes_are_reused_only_after_they_were_read() {
    for wrap in [Wrap::Mirrored, Wrap::Padded] {
        model(3, move || {
            // Room for one record at a time: the second lands where the first was, once that was read.
            let model = Model::new(32, wrap);
            assert!(model.write(1));
            let writer = Arc::clone(&model);
            let thread = thread::spawn(move || [2, 3].map(|value| writer.write(value)));
            let mut seen = Vec::new();
            model.read(&mut seen);
            let written = thread.join().unwrap();
            model.read(&mut seen);
            let expect = [(1, true), (2, written[0]), (3, written[1])];
            let expect: Vec<u64> = expect.into_iter().filter(|(_, is)| *is).map(|(value, _)| value).collect();
            assert_eq!(seen, expect);
        });
    }
}

#[test]
fn a_reader_that_sleeps_is_woken() {
    for wrap in [Wrap::Mirrored, Wrap::Padded] {
        model(3, move || {
            let model = Model::new(64, wrap);
            assert!(model.write(1));
            let writer = Arc::clone(&model);
            let thread = thread::spawn(move || assert!(writer.write(7)));
            let mut seen = Vec::new();
            // The reader: note the wake-ups, read all, ask whether there is more, sleep if not.
            let before = model.wakes.load(Ordering::Acquire);
            model.read(&mut seen);
            let sleeps = !model.ring.is_readable();
            thread.join().unwrap();
            if sleeps && seen.len() < 2 {
                assert_ne!(model.wakes.load(Ordering::Acquire), before, "asleep for ever");
            }
        });
    }
}

#[test]
fn a_stop_holds_whatever_a_run_writes_meanwhile() {
    model(3, || {
        let fuel = Arc::new(Fuel::new(10));
        let other = Arc::clone(&fuel);
        let stops = thread::spawn(move || other.stop());
        let mut meter = Meter::new(&fuel);
        // Each looks at the fuel and writes it; those that come before the stop find enough.
        let done = (0..2).take_while(|_| {
            let charged = meter.charge(3).is_ok();
            meter.settle();
            charged
        });
        let taken = 3 * done.count() as u64;
        assert!([0, 3, 6].contains(&taken));
        let left = fuel.left();
        assert!(left == 0 || left == 10 - taken);
        stops.join().unwrap();
        assert_eq!(fuel.left(), 0);
        meter.settle();
        assert_eq!((fuel.left(), meter.charge(1)), (0, Err(skep_mem::Spent)));
        fuel.fill(4);
        let mut next = Meter::new(&fuel);
        assert_eq!((next.charge(3), next.charge(2)), (Ok(()), Err(skep_mem::Spent)));
    });
}
