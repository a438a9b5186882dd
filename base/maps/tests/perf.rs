//! Perf events, read as Linux's readers do.

mod support;

use skep_abi::perf::{MMAP_DATA_HEAD, MMAP_DATA_OFFSET, MMAP_DATA_SIZE, MMAP_DATA_TAIL, attr_bit, attr_bits};
use skep_abi::{Errno, MapType, PerfEventAttr};
use skep_maps::{Entry, Mmap, PerfEvent, Region, perf_output};
use skep_mem::testing::TestHost;
use skep_mem::{Host, OnCpu, Shared};
use std::sync::Arc;
use support::{Fixture, def, lend, u32_bytes as k};

const SAMPLE: u32 = 9;
const LOST: u32 = 2;
const PAGE: usize = 4096;

fn attr() -> PerfEventAttr {
    PerfEventAttr { type_: 1, config: 10, sample_type: 1 << 10, wakeup_events: 1, ..PerfEventAttr::default() }
}

/// An event of CPU 0 and its reader.
struct Reader {
    host: Arc<TestHost>,
    event: PerfEvent,
    region: Region,
    at: u64,
}

impl Reader {
    fn new(attr: &PerfEventAttr, how: Mmap) -> Reader {
        let host = TestHost::new();
        let event = PerfEvent::new(&host.as_dyn(), attr, 0, 77).unwrap();
        let region = event.mmap(0, 2 * PAGE, how).unwrap();
        Reader { host, event, region, at: 0 }
    }

    fn output(&self, data: &[u8]) -> Result<(), Errno> {
        // In two parts, as a packet comes after the data of the program.
        let (first, rest) = data.split_at(data.len() / 3);
        let cpu = OnCpu::enter(self.host.cpus());
        lend(first, |first| lend(rest, |rest| self.event.output(&cpu, &[first, rest])))
    }

    fn word(&self, at: usize) -> u64 {
        self.region.pages.bytes().load_u64(at).unwrap()
    }

    fn bytes(&self, from: u64, len: usize) -> Vec<u8> {
        let data = |i: usize| self.region.pages.bytes().load_u8(PAGE + (from as usize + i) % PAGE).unwrap();
        (0..len).map(data).collect()
    }

    /// Reads all records: kind and body.
    fn read(&mut self) -> Vec<(u32, Vec<u8>)> {
        let mut records = Vec::new();
        while self.at < self.word(MMAP_DATA_HEAD) {
            let header = self.bytes(self.at, 8);
            let size = u16::from_ne_bytes([header[6], header[7]]) as usize;
            assert_eq!(size % 8, 0);
            let kind = u32::from_ne_bytes(header[..4].try_into().unwrap());
            records.push((kind, self.bytes(self.at + 8, size - 8)));
            self.at += size as u64;
        }
        self.region.pages.bytes().store_u64(MMAP_DATA_TAIL, self.at).unwrap();
        records
    }
}

/// The body of a sample with raw data only.
fn raw(data: &[u8]) -> Vec<u8> {
    let size = (data.len() + 4).next_multiple_of(8) - 4;
    let mut body = k(size as u32).to_vec();
    body.extend(data);
    body.resize(4 + size, 0);
    body
}

#[test]
fn samples_arrive_padded_and_around_the_end() {
    let mut reader = Reader::new(&attr(), Mmap::ReadWrite);
    assert!(!reader.event.is_readable());
    assert_eq!((reader.word(MMAP_DATA_OFFSET), reader.word(MMAP_DATA_SIZE)), (PAGE as u64, PAGE as u64));
    for round in 0..300usize {
        let data: Vec<u8> = (0..round).map(|i| (i * 7 + round) as u8).collect();
        reader.output(&data).unwrap();
        assert!(reader.event.is_readable());
        assert_eq!(reader.read(), [(SAMPLE, raw(&data))]);
        assert!(!reader.event.is_readable());
    }
}

#[test]
fn lost_samples_are_counted_and_told() {
    let mut reader = Reader::new(&attr(), Mmap::ReadWrite);
    let written = (0..).take_while(|_| reader.output(&[1; 500]).is_ok()).count();
    assert_eq!(written, PAGE / 512 - 1);
    // 512 bytes each; the last would have filled the buffer, which then would look empty.
    assert_eq!(reader.output(&[1; 500]), Err(Errno::ENOSPC));
    assert_eq!(reader.event.lost(), 2);
    assert_eq!(reader.read().len(), written);
    reader.output(b"after").unwrap();
    let lost = [77u64.to_ne_bytes(), 2u64.to_ne_bytes()].concat();
    assert_eq!(reader.read(), [(LOST, lost), (SAMPLE, raw(b"after"))]);
}

#[test]
fn errors_are_those_of_linux() {
    let reader = Reader::new(&attr(), Mmap::ReadWrite);
    assert_eq!(reader.output(b"x"), Ok(()));
    assert_eq!(reader.output(&[0; 70_000]), Err(Errno::E2BIG));
    reader.host.prefer_cpu(2);
    assert_eq!(reader.output(b"x"), Err(Errno::EOPNOTSUPP));
    reader.host.prefer_cpu(0);
    reader.event.disable();
    assert_eq!(reader.output(b"x"), Err(Errno::EOPNOTSUPP));
    reader.event.enable();
    assert_eq!(reader.output(b"x"), Ok(()));

    let host = reader.host.as_dyn();
    let refused = |attr: PerfEventAttr, cpu| PerfEvent::new(&host, &attr, cpu, 1).err();
    assert_eq!(refused(PerfEventAttr { config: 9, ..attr() }, 0), Some(Errno::ENOENT));
    assert_eq!(refused(attr(), -1), Some(Errno::EINVAL));
    assert_eq!(refused(attr(), 4), Some(Errno::EINVAL));
    assert_eq!(refused(PerfEventAttr { sample_type: 1 << 5, ..attr() }, 0), Some(Errno::EOPNOTSUPP));
    let fresh = PerfEvent::new(&host, &attr(), 0, 1).unwrap();
    assert_eq!(fresh.output(&OnCpu::enter(host.cpus()), &[]), Err(Errno::ENOSPC));
    for (offset, len) in [(0, PAGE), (0, 4 * PAGE), (PAGE, 2 * PAGE), (0, 0), (0, usize::MAX)] {
        assert_eq!(fresh.mmap(offset, len, Mmap::ReadWrite).err(), Some(Errno::EINVAL), "{offset} {len}");
    }
    assert_eq!(reader.event.mmap(0, 3 * PAGE, Mmap::Read).err(), Some(Errno::EINVAL));
    assert!(reader.event.mmap(0, 2 * PAGE, Mmap::Read).is_ok());
}

#[test]
fn an_array_leads_to_the_event_of_this_cpu_or_of_an_index() {
    let array = Fixture::new(def(MapType::PERF_EVENT_ARRAY, 4, 4, 4));
    let objects = array.map.objects().unwrap();
    let event = Shared::try_new(PerfEvent::new(&array.host.as_dyn(), &attr(), 1, 5).unwrap()).unwrap();
    let _region = event.mmap(0, 2 * PAGE, Mmap::ReadWrite).unwrap();
    for (index, object) in [(1, event.into_any()), (2, Shared::try_new(7u8).unwrap().into_any())] {
        let entry = Entry { object, id: 0, owner: 0 };
        lend(k(index), |key| objects.store(key, 0, || Ok(entry))).unwrap();
    }
    array.host.prefer_cpu(1);
    let cpu = array.cpu();
    let current = 0xffff_ffff;
    for (flags, expect) in [
        (current, Ok(())),
        (1, Ok(())),
        (0, Err(Errno::ENOENT)),
        (2, Err(Errno::EINVAL)),
        (4, Err(Errno::E2BIG)),
        (1 << 32, Err(Errno::EINVAL)),
    ] {
        let written = lend(b"x", |data| perf_output(objects, &cpu, flags, &[data]));
        assert_eq!(written, expect, "flags {flags:#x}");
    }
    drop(cpu);
    array.host.prefer_cpu(3);
    let elsewhere = lend(b"x", |data| perf_output(objects, &array.cpu(), 1, &[data]));
    assert_eq!(elsewhere, Err(Errno::EOPNOTSUPP));
    let empty = lend(b"x", |data| perf_output(objects, &array.cpu(), current, &[data]));
    assert_eq!(empty, Err(Errno::ENOENT));
}

#[test]
fn the_reader_is_woken_as_it_asked() {
    let watermark = PerfEventAttr { flags: attr_bit(attr_bits::WATERMARK), wakeup_events: 100, ..attr() };
    for (attr, expect) in [
        (attr(), [1, 2, 3, 4]),
        (PerfEventAttr { wakeup_events: 3, ..attr() }, [0, 0, 1, 1]),
        (watermark, [0, 1, 1, 2]),
    ] {
        let reader = Reader::new(&attr, Mmap::ReadWrite);
        for wakes in expect {
            reader.output(&[0; 52]).unwrap();
            assert_eq!(reader.event.waiters().sequence(), wakes);
        }
    }
}

#[test]
fn fields_come_before_the_raw_data() {
    let all = (1 << 10) | (1 << 16) | (1 << 1) | (1 << 2) | (1 << 7) | (1 << 8);
    let mut reader = Reader::new(&PerfEventAttr { sample_type: all, ..attr() }, Mmap::ReadWrite);
    reader.host.set_now_ns(5);
    reader.output(b"data").unwrap();
    let mut body = 77u64.to_ne_bytes().to_vec();
    body.extend([k(1000), k(1001)].concat());
    body.extend([5u64, 0, 1].map(u64::to_ne_bytes).concat());
    body.extend(raw(b"data"));
    assert_eq!(reader.read(), [(SAMPLE, body)]);
}

#[test]
fn a_lying_reader_harms_itself_only() {
    let reader = Reader::new(&attr(), Mmap::ReadWrite);
    for lie in [1, 7, PAGE as u64, u64::MAX, 1 << 63] {
        reader.region.pages.bytes().store_u64(MMAP_DATA_TAIL, lie).unwrap();
        reader.region.pages.bytes().store_u64(MMAP_DATA_HEAD, lie).unwrap();
        reader.region.pages.bytes().store_u64(MMAP_DATA_SIZE, lie).unwrap();
        for _ in 0..20 {
            let _ = reader.output(&[9; 300]);
        }
    }
}

#[test]
fn one_mapped_for_reading_is_overwritten() {
    let reader = Reader::new(&attr(), Mmap::Read);
    (0..100).for_each(|_| reader.output(&[9; 300]).unwrap());
    assert_eq!(reader.event.lost(), 0);
    assert_eq!(reader.output(&[9; PAGE]), Err(Errno::ENOSPC));
}
