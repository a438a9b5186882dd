//! Maps in the section `.maps` with their types, and BTF for the rest. A program returns 0, or the line that found
//! something wrong.
#![no_std]
#![no_main]

use aya_ebpf::btf_maps::{Array, HashMap, PerCpuArray, RingBuf};
use aya_ebpf::macros::{btf_map, xdp};
use aya_ebpf::programs::XdpContext;
use core::ptr::{read_volatile, write_volatile};

/// A generic type, whose name has more than C allows.
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
pub struct Pair<T> {
    first: T,
    second: T,
}

#[repr(u32)]
#[derive(Clone, Copy, PartialEq)]
pub enum Verdict {
    Pass = 1,
    Drop = 2,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
pub struct Flow {
    bytes: u64,
    ports: Pair<u16>,
    verdict: Verdict,
}

#[btf_map]
static FLOWS: HashMap<Pair<u32>, Flow, 64> = HashMap::new();

#[btf_map]
static TOTALS: PerCpuArray<Pair<u64>, 2> = PerCpuArray::new();

#[btf_map]
static SETTINGS: Array<u32, 4> = Array::new();

#[btf_map]
static EVENTS: RingBuf<Flow, 4096> = RingBuf::new();

#[unsafe(no_mangle)]
static LIMIT: Pair<u32> = Pair { first: 3, second: 4 };

#[unsafe(no_mangle)]
static mut RUNS: u64 = 0;

macro_rules! expect {
    ($condition:expr) => {
        if !$condition {
            return line!();
        }
    };
}

#[inline(never)]
fn distance(a: &Pair<u32>, b: &Pair<u32>) -> u64 {
    u64::from(a.first.abs_diff(b.first)) + u64::from(a.second.abs_diff(b.second))
}

#[xdp]
pub fn stores(_ctx: XdpContext) -> u32 {
    let key = Pair { first: 1, second: 2 };
    let flow = Flow { bytes: 1 << 40, ports: Pair { first: 80, second: 443 }, verdict: Verdict::Drop };
    expect!(FLOWS.insert(&key, &flow, 0).is_ok());
    // SAFETY: a test runs one program at a time.
    expect!(unsafe { FLOWS.get(&key) } == Some(&flow));
    let Some(totals) = TOTALS.get_ptr_mut(1) else { return line!() };
    // SAFETY: the value is this CPU's.
    unsafe { (*totals).second += 3 };
    // SAFETY: likewise.
    expect!(unsafe { (*totals).second } % 3 == 0);
    expect!(SETTINGS.set(2, &9, 0).is_ok());
    expect!(SETTINGS.get(2) == Some(&9));
    if let Some(mut event) = EVENTS.reserve(0) {
        event.write(flow);
        event.submit(0);
    }
    0
}

#[xdp]
pub fn globals(_ctx: XdpContext) -> u32 {
    // SAFETY: globals of this program only; volatile, because the loader and other CPUs see them.
    unsafe {
        let limit = Pair {
            first: read_volatile(&raw const LIMIT.first),
            second: read_volatile(&raw const LIMIT.second),
        };
        expect!(distance(&limit, &Pair { first: 5, second: 1 }) == 5);
        let runs = read_volatile(&raw const RUNS);
        write_volatile(&raw mut RUNS, runs + 1);
        expect!(read_volatile(&raw const RUNS) == runs + 1);
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
