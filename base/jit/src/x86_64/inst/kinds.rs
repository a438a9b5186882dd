//! The kinds of instructions and of operands. Each holds its number in the encoding (Intel SDM vol. 2, appendix A).

/// Says how much of its registers an instruction works on; 32-bit results clear the upper half of the destination.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Width {
    /// 32 bits.
    W32 = 0,
    /// 64 bits.
    W64 = 8,
}

impl Width {
    /// Lists both.
    pub const ALL: [Width; 2] = [Width::W32, Width::W64];

    /// Returns REX.W in its place.
    #[inline]
    pub(super) const fn rex(self) -> u8 {
        self as u8
    }
}

/// Says how many bytes of memory, or of a register, are meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Size {
    /// One byte.
    B1,
    /// Two bytes.
    B2,
    /// Four bytes.
    B4,
    /// Eight bytes.
    B8,
}

impl Size {
    /// Lists all four.
    pub const ALL: [Size; 4] = [Size::B1, Size::B2, Size::B4, Size::B8];

    /// Returns the number of bytes.
    #[inline]
    pub const fn bytes(self) -> usize {
        1 << self as usize
    }
}

/// Says which part of an operand is sign-extended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Narrow {
    /// The low byte.
    B1,
    /// The low two bytes.
    B2,
    /// The low four bytes.
    B4,
}

/// Says how many bytes `movbe` moves.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SwapSize {
    /// Two bytes.
    B2,
    /// Four bytes.
    B4,
    /// Eight bytes.
    B8,
}

impl SwapSize {
    #[inline]
    pub(super) const fn size(self) -> Size {
        match self {
            SwapSize::B2 => Size::B2,
            SwapSize::B4 => Size::B4,
            SwapSize::B8 => Size::B8,
        }
    }
}

/// Holds an immediate with the size of the memory that it meets. Eight bytes meet four, sign-extended: there is no longer form.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SizedImm {
    /// Meets one byte.
    B1(i8),
    /// Meets two bytes.
    B2(i16),
    /// Meets four bytes.
    B4(i32),
    /// Meets eight bytes, sign-extended.
    B8(i32),
}

impl SizedImm {
    /// Returns the low part of a value as an immediate for memory of this size; nothing where eight bytes would need more
    /// than a sign-extended 32-bit one.
    #[inline]
    pub fn truncate(size: Size, value: u64) -> Option<SizedImm> {
        Some(match size {
            Size::B1 => SizedImm::B1(value as i8),
            Size::B2 => SizedImm::B2(value as i16),
            Size::B4 => SizedImm::B4(value as i32),
            Size::B8 => SizedImm::B8(i32::try_from(value as i64).ok()?),
        })
    }

    /// Returns the size of the memory.
    #[inline]
    pub const fn size(self) -> Size {
        match self {
            SizedImm::B1(_) => Size::B1,
            SizedImm::B2(_) => Size::B2,
            SizedImm::B4(_) => Size::B4,
            SizedImm::B8(_) => Size::B8,
        }
    }

    /// Returns the immediate, sign-extended.
    #[inline]
    pub const fn value(self) -> i32 {
        match self {
            SizedImm::B1(value) => value as i32,
            SizedImm::B2(value) => value as i32,
            SizedImm::B4(value) | SizedImm::B8(value) => value,
        }
    }
}

/// Says whether an instruction may be chosen that changes the flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flags {
    /// Somebody still reads the flags.
    Keep,
    /// Nobody reads the flags until they are set again.
    MayChange,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $kind:ident = $number:expr,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
            #[repr(u8)]
            pub enum $name {
                $($(#[$of])* $kind = $number,)*
            }

            impl $name {
                /// Lists every kind.
                pub const ALL: &'static [$name] = &[$($name::$kind,)*];
            }
        )*
    };
}

kinds! {
    /// Names an operation of two operands.
    Alu {
        /// Adds.
        Add = 0,
        /// Does a bitwise or.
        Or = 1,
        /// Adds with the carry.
        Adc = 2,
        /// Subtracts with the borrow.
        Sbb = 3,
        /// Does a bitwise and.
        And = 4,
        /// Subtracts.
        Sub = 5,
        /// Does a bitwise exclusive or.
        Xor = 6,
        /// Compares: subtracts, and keeps the flags only.
        Cmp = 7,
    }

    /// Names an operation of two operands that can be locked.
    LockAlu {
        /// Adds.
        Add = 0,
        /// Does a bitwise or.
        Or = 1,
        /// Does a bitwise and.
        And = 4,
        /// Subtracts.
        Sub = 5,
        /// Does a bitwise exclusive or.
        Xor = 6,
    }

    /// Names an operation of one operand, or of one operand and `rdx:rax`.
    Unary {
        /// Inverts each bit; changes no flag.
        Not = 2,
        /// Negates.
        Neg = 3,
        /// Multiplies `rax` without sign into `rdx:rax`.
        Mul = 4,
        /// Multiplies `rax` with sign into `rdx:rax`.
        Imul = 5,
        /// Divides `rdx:rax` without sign: quotient in `rax`, remainder in `rdx`. Traps on zero and overflow.
        Div = 6,
        /// Divides `rdx:rax` with sign: quotient in `rax`, remainder in `rdx`. Traps on zero and overflow.
        Idiv = 7,
    }

    /// Names a shift or rotation. A count of zero changes no flag.
    Shift {
        /// Rotates left.
        Rol = 0,
        /// Rotates right.
        Ror = 1,
        /// Shifts left.
        Shl = 4,
        /// Shifts right, zeros coming in.
        Shr = 5,
        /// Shifts right, copies of the sign coming in.
        Sar = 7,
    }

    /// Names a shift by any register that changes no flag (BMI2); it holds the VEX prefix's `pp`.
    ShiftX {
        /// Shifts left.
        Shlx = 1,
        /// Shifts right, copies of the sign coming in.
        Sarx = 2,
        /// Shifts right, zeros coming in.
        Shrx = 3,
    }

    /// Names an operation on one bit, whose old value goes to the carry flag.
    Bit {
        /// Leaves it (`bt`).
        Test = 4,
        /// Sets it (`bts`).
        Set = 5,
        /// Clears it (`btr`).
        Reset = 6,
        /// Inverts it (`btc`).
        Complement = 7,
    }

    /// Names a condition of the flags.
    Cond {
        /// Overflow.
        O = 0,
        /// No overflow.
        No = 1,
        /// Below, without sign; carry.
        B = 2,
        /// Above or equal, without sign; no carry.
        Ae = 3,
        /// Equal; zero.
        E = 4,
        /// Not equal; not zero.
        Ne = 5,
        /// Below or equal, without sign.
        Be = 6,
        /// Above, without sign.
        A = 7,
        /// Negative.
        S = 8,
        /// Not negative.
        Ns = 9,
        /// Even parity of the low byte.
        P = 10,
        /// Odd parity of the low byte.
        Np = 11,
        /// Less, with sign.
        L = 12,
        /// Greater or equal, with sign.
        Ge = 13,
        /// Less or equal, with sign.
        Le = 14,
        /// Greater, with sign.
        G = 15,
    }
}

impl Cond {
    /// Returns the condition that holds exactly when this one does not.
    #[inline]
    #[must_use]
    pub const fn inverted(self) -> Cond {
        // Opposites are neighbours in the encoding.
        Self::ALL[self as usize ^ 1]
    }
}
