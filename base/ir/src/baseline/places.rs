//! Where each register of the bytecode is, in all of a function.
//!
//! What operations destroy holds nothing, and what outlives calls is where none destroys it. Registers that are named most
//! come first.

use super::scan::Shape;
use crate::build::vars::Var;
use crate::machine::{Machine, RegMask};
use crate::ops::Loc;
use skep_isa::Reg;

/// Says where everything is.
#[derive(Clone, Copy)]
pub(super) struct Places {
    regs: [Loc; 11],
    /// Names the place of the first variable that is no register.
    vars: u16,
    /// Is for what must not be found where it is.
    pub(super) aside: Loc,
    /// Counts registers of the machine and slots.
    pub(super) locs: u16,
}

/// Counts the registers that variables come behind.
const FIRST_VAR: u16 = 10;

impl Places {
    /// Nothing is anywhere.
    pub(super) const NONE: Places = Places { regs: [Loc::NONE; 11], vars: 0, aside: Loc::NONE, locs: 0 };

    pub(super) fn reg(&self, reg: Reg) -> Loc {
        self.regs[reg.index()]
    }

    pub(super) fn var(&self, var: Var) -> Loc {
        Loc(self.vars + (u16::from(var.0) - FIRST_VAR))
    }

    /// Finds a place for each register that a function names.
    pub(super) fn new(machine: &Machine, shape: &Shape) -> Places {
        let mut free = Free::new(machine, shape.destroyed);
        let mut places = Places::NONE;
        let mut left = shape.named;
        if shape.calls {
            // r6 to r10 outlive calls, those that are named most in registers.
            loop {
                let most = Reg::ALL[6..].iter().filter(|reg| left >> reg.number() & 1 != 0);
                let Some(reg) = most.max_by_key(|reg| shape.counts.of(**reg)) else { break };
                left &= !(1 << reg.number());
                places.regs[reg.index()] = free.kept();
            }
        }
        // Calls are quickest where arguments and results are already where they are passed.
        for (number, wish) in (0u8..).zip([machine.result].iter().chain(&machine.arguments)) {
            if left >> number & 1 != 0 && free.take(*wish) {
                left &= !(1 << number);
                places.regs[usize::from(number)] = Loc(u16::from(*wish));
            }
        }
        for reg in Reg::ALL {
            if left >> reg.number() & 1 != 0 {
                places.regs[reg.index()] = free.any();
            }
        }
        if shape.aside {
            places.aside = free.any();
        }
        // What found no register has a slot, and so has each variable.
        let mut next = u16::from(machine.registers);
        let mut slot = |place: &mut Loc| {
            if *place == Loc::NONE {
                *place = Loc(next);
                next += 1;
            }
        };
        for reg in Reg::ALL {
            if shape.named >> reg.number() & 1 != 0 {
                slot(&mut places.regs[reg.index()]);
            }
        }
        if shape.aside {
            slot(&mut places.aside);
        }
        places.vars = next;
        places.locs = next + (shape.vars.count as u16).saturating_sub(FIRST_VAR);
        places
    }
}

/// Holds the registers that nothing has yet.
struct Free {
    free: RegMask,
    /// Holds those that calls destroy.
    calls: RegMask,
}

impl Free {
    fn new(machine: &Machine, destroyed: RegMask) -> Free {
        let all = 1u64.checked_shl(u32::from(machine.registers)).unwrap_or(0).wrapping_sub(1);
        Free { free: RegMask(all).without(destroyed), calls: machine.calls }
    }

    /// Takes a register, if it is free.
    fn take(&mut self, reg: u8) -> bool {
        let is_free = self.free.contains(u16::from(reg));
        if is_free {
            self.free = self.free.without(RegMask(1 << reg));
        }
        is_free
    }

    /// Takes one that calls do not destroy, if there is any.
    fn kept(&mut self) -> Loc {
        self.first(self.free.without(self.calls))
    }

    /// Takes one, best of those that calls destroy, for the others cost a function its saving them.
    fn any(&mut self) -> Loc {
        let cheap = RegMask(self.free.0 & self.calls.0);
        self.first(if cheap.0 != 0 { cheap } else { self.free })
    }

    fn first(&mut self, of: RegMask) -> Loc {
        if of.0 == 0 {
            return Loc::NONE;
        }
        let reg = of.0.trailing_zeros();
        self.free = self.free.without(RegMask(1 << reg));
        Loc(reg as u16)
    }
}
