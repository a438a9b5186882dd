//! The scan: values in the order of their definitions, each into the best place that is free.

use super::Places;
use super::intervals::{Hint, Interval, Intervals};
use crate::error::BuildErrorKind;
use crate::machine::{Machine, RegMask};
use crate::ops::Loc;
use crate::ssa::{Function, Node, Val, filled, grow};
use alloc_crate::collections::{BinaryHeap, VecDeque};
use alloc_crate::vec::Vec;
use core::cmp::Reverse;

pub(super) fn scan(
    function: &Function,
    machine: &Machine,
    intervals: &Intervals,
    depth: Vec<u8>,
) -> Result<Places, BuildErrorKind> {
    let mut scan = Scan {
        machine,
        intervals,
        places: Places {
            of: filled(Loc::NONE, function.nodes.len())?,
            depth,
            locs: u16::from(machine.registers),
        },
        occupant: [None; 64],
        until: [0; 64],
        used: 0,
        passed: [0; 4],
        is_free: Vec::new(),
        slots: BinaryHeap::new(),
        free: VecDeque::new(),
    };
    let entry = function.blocks.first().map_or(0, |block| block.params);
    for (interval, index) in intervals.of.iter().zip(0..) {
        // A result that nobody reads, or a number that nothing but moves reads, needs no place, nor does what a function takes
        // and does not read; other parameters do.
        let idle = match function.nodes[index as usize] {
            Node::Param => index < entry && interval.end == interval.start + 1,
            _ => interval.start == interval.end,
        };
        if interval.is_needed() && !idle {
            scan.place(Val(index))?;
        }
    }
    Ok(scan.places)
}

/// Bounds the slots that are looked at for one that was free for long enough.
const LOOKED_AT: usize = 16;

struct Scan<'s> {
    machine: &'s Machine,
    intervals: &'s Intervals,
    places: Places,
    /// Holds who is in each register.
    occupant: [Option<Val>; 64],
    /// Holds the end of its life.
    until: [u32; 64],
    /// Holds the registers that anybody has been in yet: bit n is register n.
    used: u64,
    /// Counts, for each kind of what destroys registers, the positions that are in front of the value that is placed.
    passed: [usize; 4],
    /// Says which slots are free.
    is_free: Vec<bool>,
    /// Holds the slots in use, the one that is free first on top.
    slots: BinaryHeap<Reverse<(u32, u16)>>,
    /// Holds the slots that are free again, and since when; the one that has been for longest first, mostly.
    free: VecDeque<(u16, u32)>,
}

impl Scan<'_> {
    fn interval(&self, val: Val) -> &Interval {
        &self.intervals.of[val.index()]
    }

    fn place(&mut self, val: Val) -> Result<(), BuildErrorKind> {
        let interval = *self.interval(val);
        let allowed = self.allowed(&interval);
        let free = RegMask(allowed.0 & self.registers() & !(self.alive(interval.start) & self.used));
        if let Some(reg) = self.choose(&interval, free) {
            self.put(val, reg);
            return Ok(());
        }
        // No register is free: whoever is worth least goes to memory, for all its life.
        let cheapest = (0..u16::from(self.machine.registers))
            .filter(|reg| allowed.contains(*reg))
            .filter_map(|reg| self.occupant[usize::from(reg)].map(|other| (self.worth(other), reg, other)))
            .min_by_key(|(worth, reg, _)| (*worth, *reg));
        if let Some((worth, reg, other)) = cheapest {
            if worth < self.worth(val) {
                let Interval { start, end, .. } = *self.interval(other);
                self.release(interval.start)?;
                // One that nobody has been in since the other's life began.
                let unused = self.free.iter().take(LOOKED_AT).position(|(_, since)| *since < start);
                let slot = match unused {
                    Some(position) => self.free.remove(position).map_or(Loc::NONE.0, |(slot, _)| slot),
                    None => self.fresh_slot()?,
                };
                self.places.of[other.index()] = Loc(slot);
                self.hold(slot, end)?;
                self.put(val, reg);
                return Ok(());
            }
        }
        self.put_in_slot(val, &interval)
    }

    /// Returns the registers in which somebody lived at a position, or later; those that nobody has been in are any.
    fn alive(&self, at: u32) -> u64 {
        // As many at a time as a processor compares at once, or a few times.
        const LANES: usize = 16;
        let lanes = self.until.chunks_exact(LANES).take(usize::from(self.machine.registers).div_ceil(LANES));
        lanes.zip(0u32..).fold(0, |all, (until, number)| {
            let set =
                until.iter().zip(0..).fold(0u32, |set, (until, lane)| set | u32::from(*until >= at) << lane);
            all | u64::from(set) << (LANES as u32 * number)
        })
    }

    /// Says how much living in a register is worth for each position that it takes there.
    fn worth(&self, val: Val) -> u64 {
        let interval = self.interval(val);
        (u64::from(interval.weight) << 20) / u64::from(interval.end - interval.start + 1)
    }

    /// Returns the registers that nothing destroys while the value lives.
    fn allowed(&mut self, interval: &Interval) -> RegMask {
        let mut allowed = RegMask(u64::MAX);
        for ((mask, positions), passed) in self.intervals.destroyed.iter().zip(&mut self.passed) {
            // Destroyed at an even position `at`, while the result is not there yet: who is read there is safe, who lives
            // on is not, and who starts there is written afterwards. Whoever is placed later starts no earlier.
            let behind = positions[*passed..].iter().take_while(|at| **at < interval.start);
            *passed += behind.count();
            let from = *passed;
            if positions.get(from).is_some_and(|at| *at < interval.end) {
                allowed = allowed.without(*mask);
            }
        }
        allowed
    }

    /// Returns all registers.
    fn registers(&self) -> u64 {
        u64::MAX.checked_shr(64 - u32::from(self.machine.registers)).unwrap_or(0)
    }

    /// Picks a register: the one that was wished for, or any.
    fn choose(&self, interval: &Interval, free: RegMask) -> Option<u16> {
        let wish = match interval.hint {
            Hint::None => None,
            Hint::Reg(reg) => Some(u16::from(reg)),
            Hint::Val(other) => Some(self.places.of[other.index()].0),
        };
        if let Some(wish) = wish.filter(|wish| free.contains(*wish)) {
            return Some(wish);
        }
        // Those that calls destroy first: the others cost a function its saving them.
        let cheap = RegMask(free.0 & self.machine.calls.0);
        let pick = if cheap.0 != 0 { cheap } else { free };
        (pick.0 != 0).then(|| pick.0.trailing_zeros() as u16)
    }

    fn put(&mut self, val: Val, reg: u16) {
        self.occupant[usize::from(reg)] = Some(val);
        self.until[usize::from(reg)] = self.interval(val).end;
        self.used |= 1 << reg;
        self.places.of[val.index()] = Loc(reg);
    }

    fn put_in_slot(&mut self, val: Val, interval: &Interval) -> Result<(), BuildErrorKind> {
        self.release(interval.start)?;
        let wish = match interval.hint {
            Hint::Val(other) => {
                let wish = self.places.of[other.index()];
                let is_free = self.is_free.get(usize::from(wish.0)).is_some_and(|is_free| *is_free);
                if is_free { self.free.iter().rposition(|(slot, _)| Loc(*slot) == wish) } else { None }
            }
            _ => None,
        };
        let slot = match wish {
            Some(position) => self.free.remove(position),
            None => self.free.pop_back(),
        };
        let slot = match slot {
            Some((slot, _)) => slot,
            None => self.fresh_slot()?,
        };
        self.places.of[val.index()] = Loc(slot);
        self.hold(slot, interval.end)
    }

    /// Gives back the slots of those that no longer live.
    fn release(&mut self, at: u32) -> Result<(), BuildErrorKind> {
        while let Some(Reverse((end, slot))) = self.slots.peek().copied() {
            if end >= at {
                break;
            }
            self.slots.pop();
            self.free.try_reserve(1).map_err(|_| BuildErrorKind::OutOfMemory)?;
            self.free.push_back((slot, end));
            self.is_free[usize::from(slot)] = true;
        }
        Ok(())
    }

    fn hold(&mut self, slot: u16, end: u32) -> Result<(), BuildErrorKind> {
        self.slots.try_reserve(1).map_err(|_| BuildErrorKind::OutOfMemory)?;
        self.slots.push(Reverse((end, slot)));
        self.is_free[usize::from(slot)] = false;
        Ok(())
    }

    fn fresh_slot(&mut self) -> Result<u16, BuildErrorKind> {
        let slot = self.places.locs;
        if slot >= Loc::LIMIT {
            return Err(BuildErrorKind::TooLarge);
        }
        self.places.locs += 1;
        while self.is_free.len() <= usize::from(slot) {
            grow(&mut self.is_free, false)?;
        }
        Ok(slot)
    }
}
