//! What a compiler's target has: a value, never a configuration of the build.

use crate::ops::Op;
use skep_isa::AluOp;

/// Is a set of registers: bit n is register n.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RegMask(pub u64);

impl RegMask {
    /// Returns the set without the registers of another.
    #[must_use]
    pub const fn without(self, other: RegMask) -> RegMask {
        RegMask(self.0 & !other.0)
    }

    /// Returns the registers of either set.
    #[must_use]
    pub const fn union(self, other: RegMask) -> RegMask {
        RegMask(self.0 | other.0)
    }

    /// Says whether a register is in the set.
    pub const fn contains(self, reg: u16) -> bool {
        reg < 64 && self.0 >> reg & 1 != 0
    }
}

/// Describes a target to the allocator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Counts the registers that values may live in, at most 64; what finds none lives in a slot of the frame.
    pub registers: u8,
    /// Holds those that a call destroys.
    pub calls: RegMask,
    /// Holds those that a division or remainder destroys.
    pub divisions: RegMask,
    /// Holds those that a shift by a value destroys.
    pub shifts: RegMask,
    /// Holds those that a compare-and-exchange, or a fetching atomic that is made of one, destroys.
    pub exchanges: RegMask,
    /// Says that an operation's result takes the place of its first operand, so that the second must not live where the
    /// result is put.
    pub two_address: bool,
    /// Says that what destroys registers (but a call) does so before it reads its second operand, or an atomic access its
    /// address and what it stores: these must live elsewhere, and not where the result is put.
    pub destroys_first: bool,
    /// Says that checks of a sum had best compare its index with the [room](crate::ops::Op::Room) that is left behind its base,
    /// where that need not be computed each time.
    pub rooms: bool,
    /// Says that whether a comparison holds is best had [as a number](crate::ops::Op::Set), not as a choice of two.
    pub sets: bool,
    /// Holds where the first registers of a call's arguments are best put; [`u8::MAX`] means no wish.
    pub arguments: [u8; 5],
    /// Says where a call's result is; [`u8::MAX`] means anywhere.
    pub result: u8,
}

impl Machine {
    /// Describes the interpreter: no registers, every value has a slot of its frame.
    pub const INTERPRETER: Machine = Machine {
        registers: 0,
        calls: RegMask(0),
        divisions: RegMask(0),
        shifts: RegMask(0),
        exchanges: RegMask(0),
        two_address: false,
        destroys_first: false,
        rooms: false,
        sets: false,
        arguments: [u8::MAX; 5],
        result: u8::MAX,
    };

    /// Returns the registers that an operation destroys besides that of its result; places with other numbers are slots.
    pub fn destroyed(&self, op: &Op) -> RegMask {
        let destroyed = match op {
            Op::Alu { op: AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, .. }
            | Op::AluImm { op: AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod, .. } => self.divisions,
            Op::Alu { op: AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, .. } => self.shifts,
            Op::Atomic { .. } | Op::Cmpxchg { .. } => self.exchanges,
            Op::Helper { .. } | Op::Call { .. } | Op::CallReg { .. } | Op::Packet { .. } => self.calls,
            _ => RegMask(0),
        };
        let slots = u64::MAX.checked_shl(u32::from(self.registers)).unwrap_or(0);
        destroyed.without(RegMask(slots))
    }
}
