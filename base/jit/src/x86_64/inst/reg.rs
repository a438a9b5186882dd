//! General registers.

use core::fmt;

/// Names a general register; how much of it an instruction touches is the instruction's width.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Gpr {
    /// Lists every register in the order of their numbers.
    pub const ALL: [Gpr; 16] = [
        Gpr::Rax,
        Gpr::Rcx,
        Gpr::Rdx,
        Gpr::Rbx,
        Gpr::Rsp,
        Gpr::Rbp,
        Gpr::Rsi,
        Gpr::Rdi,
        Gpr::R8,
        Gpr::R9,
        Gpr::R10,
        Gpr::R11,
        Gpr::R12,
        Gpr::R13,
        Gpr::R14,
        Gpr::R15,
    ];

    /// Returns the register with this number, or nothing from 16 on.
    #[inline]
    pub fn new(number: u8) -> Option<Gpr> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// Returns the register's number in encodings, 0–15.
    #[inline]
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Returns the register's number as an index into an array of sixteen.
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the three bits that a ModRM or SIB byte holds.
    #[inline]
    pub(super) const fn low(self) -> u8 {
        self as u8 & 7
    }

    /// Returns the bit that a REX or VEX prefix holds.
    #[inline]
    pub(super) const fn high(self) -> u8 {
        self as u8 >> 3
    }

    /// Returns the register's 64-bit name.
    pub const fn name(self) -> &'static str {
        const NAMES: [&str; 16] = [
            "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
            "r14", "r15",
        ];
        NAMES[self as usize]
    }
}

impl fmt::Display for Gpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names a register that can be an index of an address: any but `rsp`, whose number means "no index" in a SIB byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Index(Gpr);

impl Index {
    /// Returns the register as an index, or nothing for `rsp`.
    #[inline]
    pub const fn new(reg: Gpr) -> Option<Index> {
        match reg {
            Gpr::Rsp => None,
            other => Some(Index(other)),
        }
    }

    /// Returns the register.
    #[inline]
    pub const fn reg(self) -> Gpr {
        self.0
    }
}
