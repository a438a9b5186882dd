//! RINGBUF, read as Linux's readers do.

mod support;

use skep_abi::ring::{BUSY_BIT, DISCARD_BIT, FORCE_WAKEUP, NO_WAKEUP};
use skep_abi::{Errno, MapType};
use skep_maps::{Commit, Mmap, RecordToken, RingBuf, RingQuery};
use skep_mem::testing::TestHostOptions;
use skep_mem::{Bytes, Level};
use support::{Fixture, def, lend, u32_bytes as k};

const SIZE: u32 = 4096;

/// A ring on a host with or without mirror, and its reader.
struct Reader {
    fixture: Fixture,
    at: u64,
}

fn each_host(test: impl Fn(Reader)) {
    for mirror in [false, true] {
        let options = TestHostOptions { mirror, ..TestHostOptions::default() };
        test(Reader { fixture: Fixture::on(options, def(MapType::RINGBUF, 0, 0, SIZE)), at: 0 });
    }
}

impl Reader {
    fn ring(&self) -> &RingBuf {
        self.fixture.map.ring().unwrap()
    }

    fn reserve(&self, size: u64) -> Option<(RecordToken, Bytes<'_>)> {
        self.ring().reserve(&self.fixture.cpu(), size)
    }

    fn output(&self, data: &[u8]) -> Result<(), Errno> {
        lend(data, |data| self.ring().output(&self.fixture.cpu(), data, 0))
    }

    fn set_consumer(&self, at: u64) {
        let page = self.fixture.map.mmap(0, 4096, Mmap::ReadWrite).unwrap();
        page.pages.bytes().store_u64(0, at).unwrap();
    }

    fn header(&self, at: u64) -> u32 {
        let pages = self.fixture.map.mmap(0, 4096, Mmap::Read).unwrap().pages;
        pages.bytes().load_u32(8192 + (at % u64::from(SIZE)) as usize).unwrap()
    }

    /// Reads what is committed.
    fn read(&mut self) -> Vec<Vec<u8>> {
        let region = self.fixture.map.mmap(0, 8192 + 2 * SIZE as usize, Mmap::Read).unwrap();
        let bytes = region.pages.bytes();
        let mut records = Vec::new();
        while self.at < bytes.load_u64(4096).unwrap() {
            let header = self.header(self.at);
            if header & BUSY_BIT != 0 {
                break;
            }
            let len = (header & !DISCARD_BIT) as usize;
            if header & DISCARD_BIT == 0 {
                let mut record = vec![0; len];
                bytes.copy_out(8192 + (self.at % u64::from(SIZE)) as usize + 8, &mut record).unwrap();
                records.push(record);
            }
            self.at += (len as u64 + 8).next_multiple_of(8);
            self.set_consumer(self.at);
        }
        records
    }
}

#[test]
fn records_come_in_order_of_reservation() {
    each_host(|mut reader| {
        let (first, bytes) = reader.reserve(5).unwrap();
        assert_eq!(bytes.len(), 5);
        bytes.copy_in(0, b"first").unwrap();
        reader.output(b"second").unwrap();
        let dropped = reader.reserve(100).unwrap().0;
        reader.ring().commit(dropped, Commit::Discard, 0).unwrap();
        assert_eq!(reader.ring().query(RingQuery::Available), 16 + 16 + 112);
        let reader_at = reader.at;
        assert_eq!(reader.read(), Vec::<Vec<u8>>::new());
        assert_eq!(reader_at, reader.at);
        reader.ring().commit(first, Commit::Submit, 0).unwrap();
        assert_eq!(reader.read(), [b"first".to_vec(), b"second".to_vec()]);
        assert_eq!(reader.ring().query(RingQuery::Available), 0);
    });
}

#[test]
fn headers_are_those_of_linux() {
    each_host(|reader| {
        let (token, _) = reader.reserve(3).unwrap();
        assert_eq!(reader.header(0), 3 | BUSY_BIT);
        reader.ring().commit(token, Commit::Discard, 0).unwrap();
        assert_eq!(reader.header(0), 3 | DISCARD_BIT);
        assert_eq!(reader.ring().query(RingQuery::Producer), 16);
        reader.output(&[]).unwrap();
        assert_eq!((reader.header(16), reader.ring().query(RingQuery::Producer)), (0, 24));
    });
}

#[test]
fn a_record_ends_once() {
    each_host(|reader| {
        let (token, _) = reader.reserve(8).unwrap();
        for forged in
            [RecordToken(token.0 + 8), RecordToken(token.0 + 1), RecordToken(u64::MAX), RecordToken(1 << 31)]
        {
            assert_eq!(reader.ring().commit(forged, Commit::Submit, 0), Err(Errno::EINVAL));
        }
        assert_eq!(reader.ring().commit(token, Commit::Submit, 0), Ok(()));
        assert_eq!(reader.ring().commit(token, Commit::Discard, 0), Err(Errno::EINVAL));
        assert_eq!(reader.header(0), 8);
    });
}

#[test]
fn a_full_ring_refuses_until_it_is_read() {
    each_host(|mut reader| {
        let fits = (0..).take_while(|i| reader.output(&k(*i)).is_ok()).count();
        // One unit stays free, so that full and empty differ (ringbuf.c: less than the size ahead).
        assert_eq!(fits, SIZE as usize / 16 - 1);
        assert_eq!(reader.output(b"more"), Err(Errno::EAGAIN));
        assert!(reader.reserve(1).is_none());
        assert_eq!(reader.read().len(), fits);
        reader.output(b"more").unwrap();
        assert_eq!(reader.read(), [b"more"]);
    });
}

#[test]
fn no_size_is_too_long_or_too_odd() {
    each_host(|mut reader| {
        for size in [
            SIZE as u64 - 7,
            SIZE as u64,
            u64::from(u32::MAX / 4) + 1,
            u64::from(u32::MAX),
            u64::MAX - 6,
            u64::MAX,
        ] {
            assert!(reader.reserve(size).is_none(), "{size}");
        }
        assert!(reader.reserve(u64::from(SIZE) - 8).is_none());
        reader.output(&vec![7; SIZE as usize - 16]).unwrap();
        assert_eq!(reader.read(), [vec![7; SIZE as usize - 16]]);
    });
}

#[test]
fn records_wrap_or_padding_fills_the_end() {
    each_host(|mut reader| {
        for round in 0..400usize {
            let record: Vec<u8> = (0..round * 13 % 900).map(|i| (i + round) as u8).collect();
            if reader.output(&record).is_err() {
                // The longest may need the padding read first.
                reader.read();
                reader.output(&record).unwrap();
            }
            assert_eq!(reader.read(), [record]);
        }
    });
}

#[test]
fn a_record_that_never_fits_before_the_end_gets_its_turn_after_it() {
    each_host(|mut reader| {
        reader.output(&[0; 2000]).unwrap();
        reader.read();
        let wakes = reader.fixture.host.wakes();
        let long = vec![1; 3000];
        if reader.output(&long).is_err() {
            // No mirror: what was committed instead is padding, and the reader was told.
            assert_eq!(reader.fixture.host.wakes(), wakes + 1);
            assert_eq!(reader.read(), Vec::<Vec<u8>>::new());
            reader.output(&long).unwrap();
        }
        assert_eq!(reader.read(), [long]);
    });
}

#[test]
fn the_reader_is_woken_when_it_may_wait() {
    each_host(|mut reader| {
        let wakes = |reader: &Reader| reader.fixture.host.wakes();
        assert!(!reader.fixture.map.is_readable());
        reader.output(b"1").unwrap();
        assert_eq!(wakes(&reader), 1);
        assert!(reader.fixture.map.is_readable());
        // It has the first to read yet.
        reader.output(b"2").unwrap();
        assert_eq!(wakes(&reader), 1);
        lend(b"3", |data| reader.ring().output(&reader.fixture.cpu(), data, FORCE_WAKEUP)).unwrap();
        assert_eq!(wakes(&reader), 2);
        reader.read();
        assert!(!reader.fixture.map.is_readable());
        lend(b"4", |data| reader.ring().output(&reader.fixture.cpu(), data, NO_WAKEUP)).unwrap();
        assert_eq!(wakes(&reader), 2);
        assert_eq!(
            lend(b"5", |data| reader.ring().output(&reader.fixture.cpu(), data, 4)),
            Err(Errno::EINVAL)
        );
        assert_eq!(reader.fixture.map.waiters().unwrap().sequence(), 2);
    });
}

#[test]
fn a_reader_before_the_padding_is_woken_by_what_follows_it() {
    each_host(|mut reader| {
        reader.output(&[0; 4000]).unwrap();
        reader.read();
        let wakes = reader.fixture.host.wakes();
        // 88 bytes are left before the end.
        reader.output(&[1; 200]).unwrap();
        assert_eq!(reader.fixture.host.wakes(), wakes + 1);
        assert_eq!(reader.read(), [[1; 200]]);
    });
}

#[test]
fn a_lying_reader_harms_no_open_record() {
    each_host(|reader| {
        let (token, bytes) = reader.reserve(1000).unwrap();
        bytes.fill(0x11);
        for lie in [0, 8, 1008, 5000, 1 << 40, u64::MAX, u64::MAX - 4096] {
            reader.set_consumer(lie);
            while let Some((other, more)) = reader.reserve(500) {
                more.fill(0xee);
                reader.ring().commit(other, Commit::Submit, 0).unwrap();
                // Following the producer is the worst that a reader can say.
                reader.set_consumer(reader.ring().query(RingQuery::Producer));
            }
        }
        assert!(bytes.eq_slice(&[0x11; 1000]));
        // What the reader wrote over the header is not believed either.
        let pages = reader.fixture.map.mmap(0, 4096, Mmap::Read).unwrap().pages;
        pages.bytes().store_u32(8192, 0).unwrap();
        pages.bytes().store_u32(8196, u32::MAX).unwrap();
        assert!(reader.reserve(3500).is_none());
        reader.ring().commit(token, Commit::Submit, 0).unwrap();
        assert_eq!(reader.header(0), 1000);
    });
}

#[test]
fn only_the_consumer_page_is_mapped_for_writing() {
    each_host(|reader| {
        let map = &reader.fixture.map;
        assert!(map.mmap(0, 4096, Mmap::ReadWrite).is_ok());
        for (offset, len) in [(0, 8192), (4096, 4096), (8192, 4096)] {
            assert_eq!(map.mmap(offset, len, Mmap::ReadWrite).err(), Some(Errno::EPERM));
            assert!(map.mmap(offset, len, Mmap::Read).is_ok());
        }
        assert!(map.mmap(4096, 4096 + 2 * SIZE as usize, Mmap::Read).is_ok());
        for (offset, len) in
            [(4096, 8192 + 2 * SIZE as usize), (100, 4096), (0, 0), (usize::MAX & !4095, 4096)]
        {
            assert_eq!(map.mmap(offset, len, Mmap::Read).err(), Some(Errno::EINVAL));
        }
        // Whoever maps frames sees the one page of data twice, whether the host can mirror it or not.
        let region = map.mmap(4096, 4096 + 2 * SIZE as usize, Mmap::Read).unwrap();
        assert!(region.frame(0) != region.frame(1) && region.frame(1).is_some());
        assert_eq!((region.frame(2), region.frame(3)), (region.frame(1), None));
    });
}

#[test]
fn it_is_no_map_of_keys() {
    each_host(|reader| {
        let map = &reader.fixture;
        assert_eq!(map.sys_lookup([], 0), Err(Errno::ENOTSUPP));
        assert_eq!(map.sys_update([], [], 0), Err(Errno::ENOTSUPP));
        assert_eq!(map.sys_delete([]), Err(Errno::ENOTSUPP));
        assert_eq!(map.next_key(None), Err(Errno::ENOTSUPP));
        assert_eq!(map.sys_take([], 0), Err(Errno::ENOTSUPP));
        assert_eq!(map.lookup([]), None);
    });
}

#[test]
fn nmis_and_threads_write_beside_each_other() {
    each_host(|mut reader| {
        let mut records = std::thread::scope(|scope| {
            let ring = &reader;
            let writers: Vec<_> = (0..3u32)
                .map(|id| {
                    scope.spawn(move || {
                        let write =
                            |i: u32| while ring.output(&[k(id), k(i)].concat()) == Err(Errno::EAGAIN) {};
                        for i in (0..80).step_by(2) {
                            write(i);
                            ring.fixture.host.interrupted(Level::Nmi, || write(i + 1));
                        }
                    })
                })
                .collect();
            writers.into_iter().for_each(|writer| writer.join().unwrap());
            Vec::new()
        });
        records.extend(reader.read());
        for id in 0..3 {
            let own: Vec<u8> = records.iter().filter(|r| r[..4] == k(id)).map(|r| r[4]).collect();
            assert_eq!(own, (0..80).collect::<Vec<u8>>());
        }
    });
}
