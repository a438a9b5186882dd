//! Registers, and sets of them.

use core::fmt;

/// Names one of the eleven registers (RFC 9669 §3.1: fields hold 0–10).
///
/// `r10` is the read-only frame pointer; that it is never written is a rule of the verifier, not of the encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Reg {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    R10,
}

impl Reg {
    /// Lists every register in order.
    pub const ALL: [Reg; 11] =
        [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R4, Reg::R5, Reg::R6, Reg::R7, Reg::R8, Reg::R9, Reg::R10];

    /// Names the frame pointer.
    pub const FP: Reg = Reg::R10;

    /// Returns the register with this number, or nothing from 11 on.
    #[inline]
    pub fn new(number: u8) -> Option<Reg> {
        // As a match, this is a comparison and no look into a table.
        Some(match number {
            0 => Reg::R0,
            1 => Reg::R1,
            2 => Reg::R2,
            3 => Reg::R3,
            4 => Reg::R4,
            5 => Reg::R5,
            6 => Reg::R6,
            7 => Reg::R7,
            8 => Reg::R8,
            9 => Reg::R9,
            10 => Reg::R10,
            _ => return None,
        })
    }

    /// Returns the register's number, 0–10.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the register's number as an index into an array of eleven.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Reg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.number())
    }
}

/// Holds a set of registers.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct RegSet(u16);

impl RegSet {
    /// Holds no register.
    pub const EMPTY: RegSet = RegSet(0);
    /// Holds r0–r5, which a call does not preserve (`Documentation/bpf/standardization/abi.rst`).
    pub const CALLER_SAVED: RegSet = RegSet(0x3f);
    /// Holds r1–r5, a call's arguments.
    pub const ARGUMENTS: RegSet = RegSet(0x3e);
    /// Holds every register.
    pub const ALL: RegSet = RegSet(0x7ff);

    /// Returns the set of just one register.
    #[inline]
    pub const fn of(reg: Reg) -> RegSet {
        RegSet(1 << reg.number())
    }

    /// Returns the set with one register more.
    #[inline]
    #[must_use]
    pub const fn with(self, reg: Reg) -> RegSet {
        RegSet(self.0 | 1 << reg.number())
    }

    /// Returns the registers of either set.
    #[inline]
    #[must_use]
    pub const fn union(self, other: RegSet) -> RegSet {
        RegSet(self.0 | other.0)
    }

    /// Returns the registers of this set that are not in the other.
    #[inline]
    #[must_use]
    pub const fn without(self, other: RegSet) -> RegSet {
        RegSet(self.0 & !other.0)
    }

    /// Says whether a register is in the set.
    #[inline]
    pub const fn contains(self, reg: Reg) -> bool {
        self.0 & (1 << reg.number()) != 0
    }

    /// Says whether no register is in the set.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Returns the set whose bit mask this is.
    #[inline(always)]
    pub(crate) const fn from_bits(bits: u16) -> RegSet {
        RegSet(bits)
    }

    /// Returns the set as a bit mask: bit n is rn.
    #[inline]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Yields the registers in order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Reg> {
        let mut left = self.0;
        core::iter::from_fn(move || {
            // Of no bits, all 16 are trailing zeros, and no register has that number.
            let first = Reg::new(left.trailing_zeros() as u8)?;
            left &= left - 1;
            Some(first)
        })
    }
}

impl FromIterator<Reg> for RegSet {
    fn from_iter<I: IntoIterator<Item = Reg>>(regs: I) -> RegSet {
        regs.into_iter().fold(RegSet::EMPTY, RegSet::with)
    }
}

impl fmt::Debug for RegSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
