//! The timer: 250 interrupts a second, and who wants to hear of them; and how fast the cycle counter is.
//!
//! The timer is the 8254, whose counter 0 interrupts through the 8259, and whose counter 2 can be watched.

use crate::machine::{cycles, interrupts_off, read_port, restore_interrupts, write_port};
use crate::quiet::Quiet;
use crate::trap::TIMER_GATE;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Oscillations of the 8254 in a second.
const OSCILLATIONS: u64 = 1_193_182;
/// Interrupts in a second.
const TICKS_PER_SECOND: u64 = 250;

const COUNTER_0: u16 = 0x40;
const COUNTER_2: u16 = 0x42;
const COUNTER_MODE: u16 = 0x43;
/// Bit 0 lets counter 2 count, bit 1 lets it be heard, bit 5 is its output.
const COUNTER_2_GATE: u16 = 0x61;

const FIRST_8259: u16 = 0x20;
const SECOND_8259: u16 = 0xa0;
const END_OF_INTERRUPT: u8 = 0x20;

/// Hears of each tick, in the interrupt.
pub(crate) trait OnTick: Send + Sync {
    /// A tick: the number of those so far.
    fn tick(&self, ticks: u64);
}

static TICKS: AtomicU64 = AtomicU64::new(0);
/// The cycle counter at the last tick.
static LAST_TICK: AtomicU64 = AtomicU64::new(0);
static IS_IN_INTERRUPT: AtomicBool = AtomicBool::new(false);
static LISTENER: Quiet<Option<Arc<dyn OnTick>>> = Quiet::new(None);

/// Starts the timer and lets interrupts in.
pub(crate) fn start() {
    // Both controllers start anew, put their interrupts behind the exceptions, know each other, and want to be told
    // when an interrupt is over (the 8259's four initialisation words).
    for (port, gate, cascade) in [(FIRST_8259, TIMER_GATE, 4), (SECOND_8259, TIMER_GATE + 8, 2)] {
        for (port, word) in [(port, 0x11), (port + 1, gate), (port + 1, cascade), (port + 1, 1)] {
            write_port(port, word);
        }
    }
    // Of all interrupts only the timer's is let through.
    write_port(FIRST_8259 + 1, !1);
    write_port(SECOND_8259 + 1, !0);
    // Counter 0 counts down again and again (mode 2).
    load_counter(COUNTER_0, 0x34, (OSCILLATIONS / TICKS_PER_SECOND) as u16);
    restore_interrupts(crate::machine::Interrupts::On);
}

/// Sets who hears of ticks from now on; gives who did before.
pub(crate) fn listen(listener: Option<Arc<dyn OnTick>>) -> Option<Arc<dyn OnTick>> {
    LISTENER.with(|current| core::mem::replace(current, listener))
}

/// Gives the number of ticks so far.
pub(crate) fn ticks() -> u64 {
    TICKS.load(Ordering::Relaxed)
}

/// Gives what the cycle counter was at the last tick.
pub(crate) fn last_tick() -> u64 {
    LAST_TICK.load(Ordering::Relaxed)
}

/// Tells whether this is an interrupt.
pub(crate) fn is_in_interrupt() -> bool {
    IS_IN_INTERRUPT.load(Ordering::Relaxed)
}

/// The interrupt; interrupts are off, so ticks do not nest.
pub(crate) fn tick() {
    IS_IN_INTERRUPT.store(true, Ordering::Relaxed);
    LAST_TICK.store(cycles(), Ordering::Relaxed);
    let ticks = TICKS.fetch_add(1, Ordering::Relaxed) + 1;
    let listener = LISTENER.with(|listener| listener.clone());
    if let Some(listener) = listener {
        listener.tick(ticks);
    }
    IS_IN_INTERRUPT.store(false, Ordering::Relaxed);
    write_port(FIRST_8259, END_OF_INTERRUPT);
}

/// Counts cycles per second: during ten milliseconds of counter 2, the shortest of three tries, because what comes
/// between only makes them longer.
pub(crate) fn cycles_per_second() -> u64 {
    const TRIES: u64 = 100;
    let interrupts = interrupts_off();
    let shortest = (0..3).map(|_| cycles_of((OSCILLATIONS / TRIES) as u16)).min().unwrap_or(1);
    restore_interrupts(interrupts);
    shortest * TRIES
}

/// Counts the cycles of so many oscillations.
fn cycles_of(oscillations: u16) -> u64 {
    write_port(COUNTER_2_GATE, read_port(COUNTER_2_GATE) & !3 | 1);
    // Counter 2 counts down once, and its output rises at the end (mode 0).
    load_counter(COUNTER_2, 0xb0, oscillations);
    let start = cycles();
    while read_port(COUNTER_2_GATE) & 1 << 5 == 0 {
        core::hint::spin_loop();
    }
    cycles() - start
}

fn load_counter(counter: u16, mode: u8, value: u16) {
    write_port(COUNTER_MODE, mode);
    let [low, high] = value.to_le_bytes();
    write_port(counter, low);
    write_port(counter, high);
}
