//! What an instruction does, as enums without operands. The numbers behind them are in the [table](crate::table).

/// Says how wide an operation is; 32-bit results are zero-extended into the register.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Width {
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl Width {
    /// Counts the bits.
    pub const fn bits(self) -> u32 {
        match self {
            Width::W32 => 32,
            Width::W64 => 64,
        }
    }

    /// Returns the access size of an atomic operation of this width.
    pub const fn size(self) -> Size {
        match self {
            Width::W32 => Size::W,
            Width::W64 => Size::Dw,
        }
    }
}

/// Says how many bytes an access touches.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Size {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
    /// Eight bytes.
    Dw,
}

impl Size {
    /// Counts the bytes.
    pub const fn bytes(self) -> u32 {
        1 << self as u8
    }

    /// Counts the bits.
    pub const fn bits(self) -> u32 {
        8 << self as u8
    }

    /// Returns the size of that many bytes, if there is one.
    pub const fn from_bytes(bytes: u64) -> Option<Size> {
        match bytes {
            1 => Some(Size::B),
            2 => Some(Size::H),
            4 => Some(Size::W),
            8 => Some(Size::Dw),
            _ => None,
        }
    }
}

/// Names a two-operand arithmetic operation (RFC 9669 §4.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum AluOp {
    /// Adds.
    Add,
    /// Subtracts.
    Sub,
    /// Multiplies.
    Mul,
    /// Divides, unsigned; by zero gives zero.
    Div,
    /// Divides, signed, towards zero; by zero gives zero, MIN / -1 gives MIN.
    Sdiv,
    /// Ors.
    Or,
    /// Ands.
    And,
    /// Shifts left; the amount is masked by the width.
    Lsh,
    /// Shifts right, filling with zeros; the amount is masked.
    Rsh,
    /// Takes the unsigned remainder; by zero leaves the dividend.
    Mod,
    /// Takes the signed remainder, with the dividend's sign; by zero leaves the dividend, MIN % -1 gives 0.
    Smod,
    /// Xors.
    Xor,
    /// Copies; the old destination is not read.
    Mov,
    /// Shifts right, filling with the sign; the amount is masked.
    Arsh,
}

/// Says how a register is sign-extended while it is copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Movsx {
    /// The low 8 bits to 32; the upper half becomes zero.
    S8To32,
    /// The low 16 bits to 32; the upper half becomes zero.
    S16To32,
    /// The low 8 bits to 64.
    S8To64,
    /// The low 16 bits to 64.
    S16To64,
    /// The low 32 bits to 64.
    S32To64,
}

impl Movsx {
    /// Returns the width of the result.
    pub const fn width(self) -> Width {
        match self {
            Movsx::S8To32 | Movsx::S16To32 => Width::W32,
            Movsx::S8To64 | Movsx::S16To64 | Movsx::S32To64 => Width::W64,
        }
    }

    /// Returns the size of what is read.
    pub const fn from(self) -> Size {
        match self {
            Movsx::S8To32 | Movsx::S8To64 => Size::B,
            Movsx::S16To32 | Movsx::S16To64 => Size::H,
            Movsx::S32To64 => Size::W,
        }
    }
}

/// Says what a byte-swap instruction does (RFC 9669 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Endian {
    /// Converts between the machine's order and little-endian; truncates on a little-endian machine.
    ToLe,
    /// Converts between the machine's order and big-endian; truncates on a big-endian machine.
    ToBe,
    /// Swaps whatever the machine.
    Swap,
}

/// Says how many low bits a byte-swap instruction keeps; the rest becomes zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum SwapWidth {
    /// 16 bits.
    W16,
    /// 32 bits.
    W32,
    /// 64 bits.
    W64,
}

impl SwapWidth {
    /// Counts the bits.
    pub const fn bits(self) -> u32 {
        16 << self as u8
    }
}

/// Names a comparison (RFC 9669 §4.3). `S…` are signed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum Cond {
    /// Equal.
    Eq,
    /// Above, unsigned.
    Gt,
    /// Above or equal, unsigned.
    Ge,
    /// Some bit is set in both.
    Set,
    /// Not equal.
    Ne,
    /// Greater, signed.
    Sgt,
    /// Greater or equal, signed.
    Sge,
    /// Below, unsigned.
    Lt,
    /// Below or equal, unsigned.
    Le,
    /// Less, signed.
    Slt,
    /// Less or equal, signed.
    Sle,
}

/// Says what a load reads and how it is extended to 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum LoadKind {
    U8,
    U16,
    U32,
    U64,
    S8,
    S16,
    S32,
}

impl LoadKind {
    /// Returns how much is read.
    pub const fn size(self) -> Size {
        match self {
            LoadKind::U8 | LoadKind::S8 => Size::B,
            LoadKind::U16 | LoadKind::S16 => Size::H,
            LoadKind::U32 | LoadKind::S32 => Size::W,
            LoadKind::U64 => Size::Dw,
        }
    }

    /// Says whether the sign is extended.
    pub const fn is_signed(self) -> bool {
        matches!(self, LoadKind::S8 | LoadKind::S16 | LoadKind::S32)
    }
}

/// Says how much a legacy packet load reads, in network byte order (RFC 9669 §5.5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum PacketSize {
    /// One byte.
    B,
    /// Two bytes.
    H,
    /// Four bytes.
    W,
}

impl PacketSize {
    /// Returns the access size.
    pub const fn size(self) -> Size {
        match self {
            PacketSize::B => Size::B,
            PacketSize::H => Size::H,
            PacketSize::W => Size::W,
        }
    }
}

/// Names an atomic read-modify-write (RFC 9669 §5.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum AtomicOp {
    /// Adds the source to memory.
    Add,
    /// Ors the source into memory.
    Or,
    /// Ands the source into memory.
    And,
    /// Xors the source into memory.
    Xor,
    /// Adds; the source register gets the old value.
    FetchAdd,
    /// Ors; the source register gets the old value.
    FetchOr,
    /// Ands; the source register gets the old value.
    FetchAnd,
    /// Xors; the source register gets the old value.
    FetchXor,
    /// Stores the source; the source register gets the old value.
    Xchg,
    /// Stores the source if memory equals r0; r0 gets the old value either way.
    Cmpxchg,
}

impl AtomicOp {
    /// Says whether a register gets the old value.
    pub const fn fetches(self) -> bool {
        !matches!(self, AtomicOp::Add | AtomicOp::Or | AtomicOp::And | AtomicOp::Xor)
    }
}

/// Says where a second operand comes from: the K and X of the opcode.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum OperandKind {
    /// From the immediate, sign-extended.
    Imm,
    /// From a register.
    Reg,
}

/// Says what a wide load that is no number refers to (RFC 9669 §5.4; the source field of the opcode 0x18).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum AddrKind {
    /// A map by file descriptor.
    MapFd,
    /// A map's first value by file descriptor.
    MapValueFd,
    /// A variable of the platform by BTF id.
    Variable,
    /// An instruction of the program.
    Code,
    /// A map by index into the load command's array.
    MapIndex,
    /// A map's first value by index.
    MapValueIndex,
}
