//! Maps in the section `maps`, seven words each; no BTF. A program returns 0, or the line that found something wrong.
#![no_std]
#![no_main]

use aya_ebpf::helpers::bpf_get_prandom_u32;
use aya_ebpf::macros::{map, raw_tracepoint, xdp};
use aya_ebpf::maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf};
use aya_ebpf::programs::{RawTracePointContext, XdpContext};
use core::ptr::{read_volatile, write_volatile};

#[map]
static COUNTS: HashMap<u32, u64> = HashMap::with_max_entries(64, 0);

#[map]
static RECENT: LruHashMap<[u8; 6], u32> = LruHashMap::with_max_entries(64, 0);

#[map(name = "totals")]
static TOTALS: PerCpuArray<[u64; 2]> = PerCpuArray::with_max_entries(1, 0);

#[map]
static SETTINGS: Array<Setting> = Array::with_max_entries(4, 0);

#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// A value with a gap inside.
#[repr(C)]
#[derive(Clone, Copy)]
struct Setting {
    kind: u8,
    limit: u32,
}

/// What the loader may change before it loads.
#[unsafe(no_mangle)]
static LIMIT: u32 = 100;

#[unsafe(no_mangle)]
static mut RUNS: u64 = 7;

#[unsafe(no_mangle)]
static mut SEEN: [u16; 5] = [0; 5];

macro_rules! expect {
    ($condition:expr) => {
        if !$condition {
            return line!();
        }
    };
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Ipv4,
    Ipv6,
    Other(u16),
}

#[inline(never)]
fn classify(ether_type: u16) -> Kind {
    match ether_type {
        0x0800 => Kind::Ipv4,
        0x86dd => Kind::Ipv6,
        other => Kind::Other(other),
    }
}

#[inline(never)]
fn mix(a: u64, b: u64, c: u32) -> u64 {
    a.rotate_left(13) ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(c.swap_bytes()) / (b | 1)
}

#[xdp]
pub fn packets(ctx: XdpContext) -> u32 {
    let (start, end) = (ctx.data(), ctx.data_end());
    if start + 14 > end {
        return 0;
    }
    // SAFETY: the packet has these bytes, as the verifier sees.
    let mac = unsafe { *((start + 6) as *const [u8; 6]) };
    // SAFETY: likewise.
    let ether_type = u16::from_be(unsafe { ((start + 12) as *const u16).read_unaligned() });
    let kind = classify(ether_type);
    expect!(kind != Kind::Other(0x0800) && kind != Kind::Other(0x86dd));
    expect!(RECENT.insert(&mac, &u32::from(ether_type), 0).is_ok());
    // SAFETY: nobody else changes the entry.
    expect!(unsafe { RECENT.get(&mac) } == Some(&u32::from(ether_type)));
    0
}

#[xdp]
pub fn stores(_ctx: XdpContext) -> u32 {
    let key = 5;
    // SAFETY: a test runs one program at a time.
    let before = unsafe { COUNTS.get(&key) }.copied().unwrap_or(0);
    expect!(COUNTS.insert(&key, &(before + 1), 0).is_ok());
    // SAFETY: likewise.
    expect!(unsafe { COUNTS.get(&key) } == Some(&(before + 1)));
    let Some(totals) = TOTALS.get_ptr_mut(0) else { return line!() };
    // SAFETY: the value is this CPU's.
    unsafe { (*totals)[1] += 3 };
    // SAFETY: likewise.
    expect!(unsafe { (*totals)[1] } % 3 == 0);
    expect!(SETTINGS.set(3, &Setting { kind: 9, limit: 8 }, 0).is_ok());
    expect!(SETTINGS.get(3).is_some_and(|it| it.kind == 9 && it.limit == 8));
    expect!(SETTINGS.get(4).is_none());
    if let Some(mut event) = EVENTS.reserve::<[u64; 3]>(0) {
        event.write([1, 2, before]);
        event.discard(0);
    }
    0
}

#[xdp]
pub fn globals(_ctx: XdpContext) -> u32 {
    // SAFETY: globals of this program only; volatile, because the loader and other CPUs see them.
    unsafe {
        expect!(read_volatile(&raw const LIMIT) == 100);
        let runs = read_volatile(&raw const RUNS);
        expect!(runs >= 7);
        write_volatile(&raw mut RUNS, runs + 1);
        expect!(read_volatile(&raw const RUNS) == runs + 1);
        let seen = read_volatile(&raw const SEEN[3]);
        write_volatile(&raw mut SEEN[3], seen.wrapping_add(1));
        expect!(read_volatile(&raw const SEEN[3]) == seen.wrapping_add(1));
    }
    // SAFETY: a helper without arguments.
    let random = unsafe { bpf_get_prandom_u32() };
    let twice = [random; 40];
    expect!(twice.iter().all(|word| *word == random));
    expect!(mix(1, 2, random) == mix(1, 2, random));
    0
}

#[raw_tracepoint(tracepoint = "sys_enter")]
pub fn entered(_ctx: RawTracePointContext) -> u32 {
    let key = 6;
    expect!(COUNTS.insert(&key, &1, 0).is_ok());
    expect!(COUNTS.remove(&key).is_ok());
    expect!(COUNTS.get_ptr(&key).is_none());
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
