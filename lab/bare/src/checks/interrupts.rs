//! The timer's interrupt, and the clock.

use super::Check;
use crate::host::{BareHost, Mirror};
use crate::timer::{self, OnTick};
use alloc::sync::Arc;
use skep_mem::Host;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "an interrupt leaves what it interrupts as it was", run: interrupts_restore },
    Check { name: "the clock goes on as the timer does", run: clock_goes_on },
];

/// How many ticks to wait for: a fifth of a second.
const SOME_TICKS: u64 = 50;

/// Uses, in the interrupt, the registers that its stub has to save.
struct Disturber;

impl OnTick for Disturber {
    fn tick(&self, ticks: u64) {
        let mut numbers = [1.5f64; 16];
        for number in &mut numbers {
            *number = core::hint::black_box(*number) * ticks as f64;
        }
        core::hint::black_box(numbers);
    }
}

fn interrupts_restore() {
    drop(timer::listen(Some(Arc::new(Disturber))));
    // Integers and floating-point numbers in registers and below the stack pointer, the same every time.
    let work = |seed: u64| {
        let (mut whole, mut broken) = (seed, 1.0f64);
        for step in 1..2_000u64 {
            whole = (whole ^ whole >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9).rotate_left((step % 64) as u32);
            broken = broken * 1.000_1 + (whole & 0xff) as f64;
        }
        (whole, broken.to_bits())
    };
    let wanted = work(core::hint::black_box(7));
    let end = timer::ticks() + SOME_TICKS;
    while timer::ticks() < end {
        assert_eq!(work(core::hint::black_box(7)), wanted);
    }
    drop(timer::listen(None));
}

fn clock_goes_on() {
    let host = BareHost::new(Mirror::Never);
    let Some(clock) = host.clock() else { panic!("no clock") };
    let (start_ns, start) = (clock.monotonic_ns(), timer::ticks());
    let mut before = start_ns;
    while timer::ticks() < start + SOME_TICKS {
        let now = clock.monotonic_ns();
        assert!(now >= before, "the clock goes back from {before} to {now}");
        assert!(clock.coarse_ns() <= clock.monotonic_ns(), "the last tick is in the future");
        before = now;
    }
    // An emulator that was held up itself brings late ticks faster, or measures too many cycles; so this is not exact.
    let passed_ms = (clock.monotonic_ns() - start_ns) / 1_000_000;
    assert!((50..20_000).contains(&passed_ms), "{passed_ms} ms passed in 200");
    assert!(clock.jiffies() >= start + SOME_TICKS);
}
