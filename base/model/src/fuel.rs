//! The rule by which fuel is charged, the same in every engine.
//!
//! Between two charges control only moves forward, so what was executed is bounded by what was charged:
//!
//! - entering a function costs its length in slots, at most [`WINDOW`];
//! - a jump back from slot `i` to slot `t` of the function costs `i + 1 - t`;
//! - going forward past a multiple of [`WINDOW`] in a function costs the slots from there to the next multiple.
//!
//! A charge that is not covered by what is left stops the run at the instruction that leads over the edge. Nothing is
//! charged for an instruction by itself, so a loop costs one subtraction each time round. Helpers charge by work, on top.

use skep_isa::InsnIdx;
use skep_isa::structure::Subprogram;

/// Counts the slots that may be executed on one charge.
pub const WINDOW: u32 = 4096;

/// Says what entering a function costs.
#[inline]
pub fn entry(function: Subprogram) -> u32 {
    (function.end.0 - function.start.0).min(WINDOW)
}

/// Says what going from one instruction of a function to another costs, be it by a jump or because it is the next.
#[inline]
pub fn edge(function: Subprogram, from: InsnIdx, to: InsnIdx) -> u32 {
    if to <= from {
        return from.0 + 1 - to.0;
    }
    let window = |at: InsnIdx| (at.0 - function.start.0) / WINDOW;
    if window(from) == window(to) {
        return 0;
    }
    let rest = WINDOW - (to.0 - function.start.0) % WINDOW;
    rest.min(function.end.0 - to.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(start: u32, end: u32) -> Subprogram {
        Subprogram { start: InsnIdx(start), end: InsnIdx(end) }
    }

    #[test]
    fn short_functions_pay_at_entry_and_for_going_back() {
        let f = function(10, 30);
        assert_eq!(entry(f), 20);
        assert_eq!(edge(f, InsnIdx(12), InsnIdx(29)), 0);
        assert_eq!(edge(f, InsnIdx(20), InsnIdx(12)), 9);
        assert_eq!(edge(f, InsnIdx(20), InsnIdx(20)), 1);
    }

    #[test]
    fn long_functions_pay_by_the_window() {
        let f = function(100, 100 + 10_000);
        assert_eq!(entry(f), WINDOW);
        assert_eq!(edge(f, InsnIdx(100 + 4095), InsnIdx(100 + 4096)), WINDOW);
        assert_eq!(edge(f, InsnIdx(100), InsnIdx(100 + 8191)), 1);
        assert_eq!(edge(f, InsnIdx(100), InsnIdx(100 + 9000)), 1000);
        // What is executed in all is never more than what was charged.
        let straight: u32 = (0..9_999).map(|i| edge(f, InsnIdx(100 + i), InsnIdx(101 + i))).sum();
        assert_eq!(entry(f) + straight, 10_000);
    }
}
