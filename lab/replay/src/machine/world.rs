//! What programs have around them: helpers with their state, maps, memory for code.

use skep_abi::MapType;
use skep_machine::{Clock, Code, Fuel, Helper, HelperEnd, Host, Map, Param, Random, Setup, Trace, helpers};
use skep_maps::MapDef;
use skep_mem::{Block, Lend, OnCpu};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Memory for machine code, where there is any.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub(super) const CODE: Option<&dyn Code> = Some(&skep_mem::testing::TestCode);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
pub(super) const CODE: Option<&dyn Code> = None;

/// What helpers share: a number that is made of everything that they have seen.
#[derive(Debug, Default)]
pub(super) struct State {
    seen: AtomicU64,
    calls: AtomicU64,
    fuel: Option<Arc<Fuel>>,
    stopped: bool,
}

impl State {
    /// Notes a number.
    fn see(&self, number: u64) -> u64 {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let seen = self.seen.load(Ordering::Relaxed).rotate_left(7).wrapping_mul(31).wrapping_add(number);
        self.seen.store(seen, Ordering::Relaxed);
        seen
    }

    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Lets a helper take all fuel away.
    pub(super) fn lend_fuel(&mut self, fuel: &Arc<Fuel>) {
        self.fuel = Some(Arc::clone(fuel));
    }

    pub(super) fn has_stopped(&self) -> bool {
        self.stopped
    }
}

impl Random for State {
    fn next_u32(&self) -> u32 {
        self.see(1) as u32
    }
}

impl Clock for State {
    fn monotonic_ns(&self) -> u64 {
        self.see(2)
    }
}

impl Trace for State {
    fn message(&self, text: &[u8]) {
        let _ = text.iter().map(|byte| self.see(u64::from(*byte))).last();
    }
}

/// Numbers of helpers whose arguments are numbers, all of them; those of the others are memory and its length.
pub(super) const OF_NUMBERS: [u32; 8] = [20, 22, 24, 26, 27, 28, 29, 32];

/// What plain helpers get beside their arguments.
pub(super) const WORD: u64 = 0x0123_4567_89ab_cdef;

extern "C" fn mix(a: u64, b: u64, c: u64, d: u64, e: u64, word: u64) -> u64 {
    [a, b, c, d, e].into_iter().fold(word, |mixed, number| mixed.rotate_left(9) ^ number)
}

/// Gives a setup the helpers.
pub(super) fn with_helpers(setup: Setup<'_, State>) -> Setup<'_, State> {
    let write = Helper::new("write", &[Param::Fixed(Lend::Write, 12)], |state: &mut State, args| {
        state.see(12);
        args.bytes(0).fill(9);
        Ok(12)
    });
    let read = Helper::new("read", &[Param::READ, Param::Len], |state: &mut State, args| {
        let bytes = args.copy(0)?;
        Ok(bytes.iter().fold(0, |_, byte| state.see(u64::from(*byte))))
    });
    let fail = Helper::numbers("fail", |state: &mut State, [how, ..]| match how % 8 {
        1 => Err(HelperEnd::Fail("asked to")),
        2 => Err(HelperEnd::Argument(2)),
        3 => Err(HelperEnd::Unwind(state.see(3))),
        how => Ok(state.see(how)),
    });
    let stop = Helper::new("stop", &[], |state: &mut State, _| {
        state.stopped = true;
        state.fuel.iter().for_each(|fuel| fuel.stop());
        Ok(0)
    });
    setup
        .helper(20, helpers::gather_bytes())
        .helper(21, helpers::memfrob())
        .helper(22, helpers::sqrti())
        .helper(23, helpers::strcmp())
        .helper(24, helpers::unwind())
        .helper(25, write)
        .helper(26, fail)
        .helper(27, stop)
        .helper(28, helpers::rand())
        .helper(29, helpers::trace_printf())
        .helper(30, helpers::time())
        .helper(31, read)
        .helper(32, Helper::plain("mix", mix))
}

/// Counts the bytes of each map's key, of its values, and those.
const SHAPES: [(MapType, u32, u32, u32); 3] =
    [(MapType::ARRAY, 4, 24, 1), (MapType::ARRAY, 4, 8, 4), (MapType::QUEUE, 0, 8, 3)];

/// Makes the maps.
pub(super) fn maps(host: &Arc<dyn Host>) -> Vec<Box<dyn Map>> {
    let make = |(map_type, key_size, value_size, max_entries)| {
        let def = MapDef { map_type, key_size, value_size, max_entries, flags: 0, extra: 0, numa_node: 0 };
        skep_maps::create(host, &def).expect("a map")
    };
    SHAPES.into_iter().map(make).collect()
}

/// Does something with the value of each element of the arrays.
fn each(maps: &[Box<dyn Map>], mut act: impl FnMut(&dyn Map, &OnCpu<'_>, &Block, usize)) {
    let host = skep_mem::testing::TestHost::new();
    let on = OnCpu::enter(host.cpus());
    for (map, (map_type, _, value, entries)) in maps.iter().zip(SHAPES) {
        if map_type == MapType::ARRAY {
            for entry in 0..entries {
                let key = Block::copy_of(&entry.to_ne_bytes()).expect("memory");
                act(&**map, &on, &key, value as usize);
            }
        }
    }
}

/// Makes them what they are when they are new.
pub(super) fn clear(maps: &[Box<dyn Map>]) {
    each(maps, |map, on, key, value| {
        let zero = Block::zeroed(value).expect("memory");
        map.sys_update(on, key.bytes(), zero.bytes(), 0).expect("an element");
    });
    let _ = drain(maps);
}

/// Empties the queue.
fn drain(maps: &[Box<dyn Map>]) -> Vec<u8> {
    let host = skep_mem::testing::TestHost::new();
    let on = OnCpu::enter(host.cpus());
    let (key, value) = (Block::zeroed(0).expect("memory"), Block::zeroed(8).expect("memory"));
    let mut all = Vec::new();
    while maps[2].sys_take(&on, key.bytes(), value.bytes(), 0).is_ok() {
        let mut bytes = [0; 8];
        value.bytes().copy_out(0, &mut bytes).expect("inside");
        all.extend(bytes);
    }
    all
}

/// Gives all that is in them, and empties the queue.
pub(super) fn contents(maps: &[Box<dyn Map>]) -> Vec<u8> {
    let mut all = Vec::new();
    each(maps, |map, on, key, value| {
        let into = Block::zeroed(value).expect("memory");
        map.sys_lookup(on, key.bytes(), into.bytes(), 0).expect("an element");
        let mut bytes = vec![0; value];
        into.bytes().copy_out(0, &mut bytes).expect("inside");
        all.extend(bytes);
    });
    all.extend(drain(maps));
    all
}
