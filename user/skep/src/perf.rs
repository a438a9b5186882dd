//! Reading perf buffers (`BPF_MAP_TYPE_PERF_EVENT_ARRAY`): one for each CPU.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Map, wait};
use skep_abi::flags::BPF_ANY;
use skep_abi::perf::{self, attr_bit, attr_bits};
use skep_abi::{Errno, MapType, PerfEventAttr, PerfEventHeader, PerfRecord, PerfSwId, PerfType};
use skep_sys::{Handle, Interest, MapFd, Mapping, PerfEventOpen, Protection, WaitFd};
use std::fmt;
use std::ops::{ControlFlow, Deref};
use std::sync::Arc;
use std::time::Duration;

/// How perf buffers are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerfOptions {
    /// Pages of data for each CPU, rounded up to a power of two.
    pub pages: usize,
    /// When a waiting reader is woken.
    pub wakeup: Wakeup,
}

/// When a waiting reader is woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wakeup {
    /// After so many samples of a CPU.
    Samples(u32),
    /// After so many bytes of a CPU.
    Bytes(u32),
}

impl Default for PerfOptions {
    fn default() -> PerfOptions {
        PerfOptions { pages: 64, wakeup: Wakeup::Samples(1) }
    }
}

/// Reads what programs write with `bpf_perf_event_output`: CPU by CPU, each in order.
///
/// What the memory says is not trusted: a length or a position that no kernel writes stops the reader
/// ([`PerfBuffer::wait`] says so).
pub struct PerfBuffer {
    name: String,
    kernel: Kernel,
    cpus: Vec<CpuBuffer>,
    /// The CPU that is read.
    turn: usize,
    lost: u64,
    record: Vec<u8>,
    broken: Option<&'static str>,
}

/// The buffer of a CPU; taken out of the map when it is dropped.
struct CpuBuffer {
    cpu: u32,
    map: Arc<MapFd>,
    event: Handle,
    memory: Mapping,
    /// Bytes before the data.
    start: usize,
    /// Bytes of data, a power of two.
    size: u64,
    /// Up to where records have been read.
    tail: u64,
}

/// A sample; its room is free again when this is dropped. The kernel pads it with zeros, so that 4 bytes and the
/// sample are a multiple of 8.
pub struct Sample<'r> {
    buffer: &'r mut PerfBuffer,
    cpu: usize,
    len: usize,
    next: u64,
}

enum Found {
    Nothing,
    /// Nothing that a program wrote.
    Other {
        next: u64,
    },
    Lost {
        count: u64,
        next: u64,
    },
    Sample {
        len: usize,
        next: u64,
    },
}

/// Bytes of a record's header.
const HEADER: usize = size_of::<PerfEventHeader>();
const OUTSIDE: &str = "the memory of a perf buffer is shorter than it was";

impl PerfBuffer {
    /// Opens a buffer for each CPU that is online and has a slot in the map. The map may be dropped.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is a map of another kind; [`ErrorKind::Permission`]; [`ErrorKind::Kernel`].
    pub fn new(map: &Map, options: PerfOptions) -> Result<PerfBuffer> {
        let fail = |error: Error| error.in_map(map.name());
        if map.map_type() != MapType::PERF_EVENT_ARRAY {
            let what = format!("is a map of type {}, wanted a perf-event array", map.map_type());
            return Err(fail(Error::new(ErrorKind::Setting, what).with_errno(Errno::EINVAL)));
        }
        let kernel = map.kernel().clone();
        let page = kernel.page_size().map_err(fail)?;
        let pages = options.pages.max(1).checked_next_power_of_two();
        let size = pages.and_then(|pages| pages.checked_mul(page)).filter(|size| *size <= 1 << 30);
        let size = size.ok_or_else(|| {
            let what = format!("{} pages are more than a perf buffer can have", options.pages);
            fail(Error::new(ErrorKind::Setting, what).with_errno(Errno::ENOMEM))
        })?;
        let slots = map.max_entries()?;
        let mut cpus = Vec::new();
        for cpu in online_cpus(&kernel).map_err(fail)?.into_iter().filter(|cpu| *cpu < slots) {
            let opened = CpuBuffer::open(&kernel, map, cpu, page, size, options.wakeup);
            cpus.extend(opened.map_err(|error| fail(error.at_path(&format!("CPU {cpu}"))))?);
        }
        if cpus.is_empty() {
            return Err(fail(Error::new(ErrorKind::Kernel, "no CPU is online that has a slot in it")));
        }
        let (name, record) = (map.name().to_owned(), Vec::new());
        Ok(PerfBuffer { name, kernel, cpus, turn: 0, lost: 0, record, broken: None })
    }

    /// Gives the name of the map.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts the samples that found no room, as far as the kernel has told.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes the next sample; `None` where there is none now.
    #[allow(clippy::should_implement_trait, reason = "a sample borrows the buffer, which no iterator allows")]
    pub fn next(&mut self) -> Option<Sample<'_>> {
        let mut empty = 0;
        while empty < self.cpus.len() && self.broken.is_none() {
            let cpu = self.turn;
            match self.cpus[cpu].look(&mut self.record) {
                Ok(Found::Sample { len, next }) => return Some(Sample { buffer: self, cpu, len, next }),
                Ok(Found::Other { next }) => self.consume(cpu, next),
                Ok(Found::Lost { count, next }) => {
                    self.lost = self.lost.saturating_add(count);
                    self.consume(cpu, next);
                }
                Ok(Found::Nothing) => {
                    self.turn = (cpu + 1) % self.cpus.len();
                    empty += 1;
                    continue;
                }
                Err(what) => self.broken = Some(what),
            }
            empty = 0;
        }
        None
    }

    /// Hands all samples that are there now to `read`, with their CPU, until it breaks.
    pub fn for_each<B>(&mut self, mut read: impl FnMut(u32, &[u8]) -> ControlFlow<B>) -> ControlFlow<B> {
        while let Some(sample) = self.next() {
            read(sample.cpu(), &sample)?;
        }
        ControlFlow::Continue(())
    }

    /// Waits until a CPU has samples, as [`PerfOptions::wakeup`] says, or the time is over; tells which. A signal ends
    /// the wait like the time does.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] where the memory holds what no kernel writes; [`ErrorKind::Kernel`].
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool> {
        if let Some(what) = self.broken {
            return Err(Error::new(ErrorKind::Corrupt, what).in_map(&self.name));
        }
        let readable =
            |buffer: &CpuBuffer| WaitFd { fd: buffer.event.fd(), interest: Interest::Readable, ready: false };
        let mut fds: Vec<_> = self.cpus.iter().map(readable).collect();
        wait::any(&self.kernel, &mut fds, timeout).map_err(|error| error.in_map(&self.name))
    }

    fn consume(&mut self, cpu: usize, next: u64) {
        let buffer = &mut self.cpus[cpu];
        buffer.tail = next;
        if buffer.memory.store_release_u64(perf::MMAP_DATA_TAIL, next).is_err() {
            self.broken = Some(OUTSIDE);
        }
    }
}

impl CpuBuffer {
    /// Opens, maps and starts the event of a CPU, and puts it into the map; `None` where the CPU is gone.
    fn open(
        kernel: &Kernel,
        map: &Map,
        cpu: u32,
        page: usize,
        size: usize,
        wakeup: Wakeup,
    ) -> Result<Option<CpuBuffer>> {
        let (wakeup_events, watermark) = match wakeup {
            Wakeup::Samples(samples) => (samples.max(1), 0),
            Wakeup::Bytes(bytes) => (bytes.max(1), attr_bit(attr_bits::WATERMARK)),
        };
        let attr = PerfEventAttr {
            type_: PerfType::SOFTWARE.0,
            size: size_of::<PerfEventAttr>() as u32,
            config: PerfSwId::BPF_OUTPUT.0.into(),
            sample_period: 1,
            sample_type: perf::PERF_SAMPLE_RAW,
            wakeup_events,
            flags: watermark,
            ..PerfEventAttr::default()
        };
        let sys = kernel.sys();
        let number = i32::try_from(cpu).map_err(|_| Error::call("perf_event_open", Errno::EINVAL))?;
        let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: number, group: None };
        let event = match sys.perf_event_open(open) {
            Ok(event) => event,
            // It went offline since.
            Err(error) if error.errno() == Errno::ENODEV => return Ok(None),
            Err(error) => return Err(Error::call("perf_event_open", error)),
        };
        let memory = sys.map(&event, 0, page + size, Protection::ReadWrite);
        let memory = memory.map_err(|error| Error::call("mmap", error))?;
        let tail = memory.load_acquire_u64(perf::MMAP_DATA_TAIL);
        let (Ok(tail), true) = (tail, memory.len() >= page + size) else {
            return Err(Error::new(ErrorKind::Corrupt, OUTSIDE));
        };
        sys.perf_enable(&event).map_err(|error| Error::call("PERF_EVENT_IOC_ENABLE", error))?;
        let answer = map.fd().update(&cpu.to_ne_bytes(), &event.fd().raw().to_ne_bytes(), BPF_ANY);
        answer.map_err(|error| Error::call("BPF_MAP_UPDATE_ELEM", error))?;
        let map = Arc::clone(&map.fd);
        Ok(Some(CpuBuffer { cpu, map, event, memory, start: page, size: size as u64, tail }))
    }

    /// Looks at the reader's position; copies a sample into `record`.
    fn look(&self, record: &mut Vec<u8>) -> Result<Found, &'static str> {
        let head = self.memory.load_acquire_u64(perf::MMAP_DATA_HEAD).map_err(|_| OUTSIDE)?;
        let there = head.wrapping_sub(self.tail);
        if there == 0 {
            return Ok(Found::Nothing);
        }
        if there > self.size {
            return Err("the positions in a perf buffer are further apart than it is long");
        }
        let mut header = [0; HEADER];
        if there < HEADER as u64 {
            return Err("a record in a perf buffer is longer than what was written");
        }
        self.copy(self.tail, &mut header)?;
        let kind = PerfRecord(u32::from_ne_bytes([header[0], header[1], header[2], header[3]]));
        let size = usize::from(u16::from_ne_bytes([header[6], header[7]]));
        if size < HEADER || size as u64 > there {
            return Err("a record in a perf buffer is longer than what was written");
        }
        let next = self.tail.wrapping_add(size as u64);
        let body = self.tail.wrapping_add(HEADER as u64);
        match kind {
            PerfRecord::SAMPLE => {
                let mut word = [0; 4];
                if size < HEADER + 4 {
                    return Err("a sample in a perf buffer has no length");
                }
                self.copy(body, &mut word)?;
                let len = u32::from_ne_bytes(word) as usize;
                if len > size - HEADER - 4 {
                    return Err("a sample in a perf buffer is longer than its record");
                }
                // No more than 64 KiB, which a record's size can say.
                record.resize(len, 0);
                self.copy(body.wrapping_add(4), record)?;
                Ok(Found::Sample { len, next })
            }
            // An id, then the number.
            PerfRecord::LOST if size >= HEADER + 16 => {
                let mut count = [0; 8];
                self.copy(body.wrapping_add(8), &mut count)?;
                Ok(Found::Lost { count: u64::from_ne_bytes(count), next })
            }
            _ => Ok(Found::Other { next }),
        }
    }

    /// Copies bytes out, around the end of the buffer if they go over it.
    fn copy(&self, from: u64, into: &mut [u8]) -> Result<(), &'static str> {
        let offset = (from & (self.size - 1)) as usize;
        let first = into.len().min(self.size as usize - offset);
        let (head, rest) = into.split_at_mut(first);
        self.memory.copy_out(self.start + offset, head).map_err(|_| OUTSIDE)?;
        self.memory.copy_out(self.start, rest).map_err(|_| OUTSIDE)
    }
}

impl Drop for CpuBuffer {
    fn drop(&mut self) {
        // The map's slot would keep the event alive. Whatever the answers are, the event is closed after this.
        let _ = self.map.delete(&self.cpu.to_ne_bytes());
        let _ = self.event.kernel().perf_disable(&self.event);
    }
}

/// Reads which CPUs are online.
fn online_cpus(kernel: &Kernel) -> Result<Vec<u32>> {
    const PATH: &str = "/sys/devices/system/cpu/online";
    let text = kernel.read_text(PATH)?;
    parse_cpus(text.trim())
        .ok_or_else(|| Error::call("read", Errno::EINVAL).at_path(PATH).hint("it holds no list of CPUs"))
}

/// Reads a list such as `0-3,8`; no machine has more than 8,192 CPUs (`NR_CPUS`).
fn parse_cpus(text: &str) -> Option<Vec<u32>> {
    const MOST: u32 = 1 << 16;
    let mut cpus = Vec::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        if first > last || last >= MOST {
            return None;
        }
        cpus.extend(first..=last);
    }
    Some(cpus)
}

impl Sample<'_> {
    /// Gives the CPU that it was written on.
    pub fn cpu(&self) -> u32 {
        self.buffer.cpus[self.cpu].cpu
    }

    /// Gives the bytes, and the kernel's padding.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer.record[..self.len]
    }
}

impl Deref for Sample<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Sample<'_> {
    fn drop(&mut self) {
        self.buffer.consume(self.cpu, self.next);
    }
}

impl fmt::Debug for Sample<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sample(CPU {}, {:?})", self.cpu(), self.bytes())
    }
}

impl fmt::Debug for PerfBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerfBuffer({}, {} CPUs)", self.name, self.cpus.len())
    }
}

#[cfg(test)]
mod tests {
    use super::parse_cpus;

    #[test]
    fn lists_of_cpus() {
        assert_eq!(parse_cpus("0-2,5"), Some(vec![0, 1, 2, 5]));
        assert_eq!(parse_cpus("0"), Some(vec![0]));
        for bad in ["", "a", "2-1", "0-4294967295", "1,"] {
            assert_eq!(parse_cpus(bad), None, "{bad}");
        }
    }
}
