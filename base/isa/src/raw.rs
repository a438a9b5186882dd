//! Bytes and view: one slot of eight bytes, in either byte order.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, transmute};

/// Says in which byte order a program is stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ByteOrder {
    /// Little-endian: `off` and `imm` least significant byte first, `dst` in the low half of `regs`.
    Little,
    /// Big-endian: `off` and `imm` most significant byte first, `dst` in the high half of `regs`.
    Big,
}

impl ByteOrder {
    /// Names the byte order of the machine this is compiled for.
    pub const NATIVE: ByteOrder =
        if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
}

/// Holds one slot as numbers, whatever the byte order it was stored in (RFC 9669 §3.1).
///
/// In memory on a little-endian machine it is laid out as `struct bpf_insn`. Anything fits in it; what it means, if
/// anything, [`decode`](crate::decode) says.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct RawInsn {
    /// Holds the opcode.
    pub code: u8,
    /// Holds both register fields: the destination in the low four bits, the source in the high four.
    pub regs: u8,
    /// Holds the offset.
    pub off: i16,
    /// Holds the immediate.
    pub imm: i32,
}

impl RawInsn {
    /// Counts the bytes of a slot.
    pub const BYTES: usize = 8;

    /// Makes a slot of its five fields; register numbers above 15 lose their upper bits.
    #[inline]
    pub const fn new(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> RawInsn {
        RawInsn { code, regs: (dst & 0xf) | src << 4, off, imm }
    }

    /// Returns the destination field, 0–15.
    #[inline]
    pub const fn dst(self) -> u8 {
        self.regs & 0xf
    }

    /// Returns the source field, 0–15.
    #[inline]
    pub const fn src(self) -> u8 {
        self.regs >> 4
    }

    /// Reads a slot from its stored bytes.
    #[inline]
    pub const fn from_bytes(bytes: [u8; 8], order: ByteOrder) -> RawInsn {
        let [code, regs, o0, o1, i0, i1, i2, i3] = bytes;
        match order {
            ByteOrder::Little => RawInsn {
                code,
                regs,
                off: i16::from_le_bytes([o0, o1]),
                imm: i32::from_le_bytes([i0, i1, i2, i3]),
            },
            ByteOrder::Big => RawInsn {
                code,
                regs: regs.rotate_left(4),
                off: i16::from_be_bytes([o0, o1]),
                imm: i32::from_be_bytes([i0, i1, i2, i3]),
            },
        }
    }

    /// Returns the bytes that store the slot.
    #[inline]
    pub const fn to_bytes(self, order: ByteOrder) -> [u8; 8] {
        let (regs, off, imm) = match order {
            ByteOrder::Little => (self.regs, self.off.to_le_bytes(), self.imm.to_le_bytes()),
            ByteOrder::Big => (self.regs.rotate_left(4), self.off.to_be_bytes(), self.imm.to_be_bytes()),
        };
        [self.code, regs, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }

    /// Lets `fill` write stored bytes over slots, and reads these in their place.
    pub fn fill<T>(slots: &mut [RawInsn], order: ByteOrder, fill: impl FnOnce(&mut [u8]) -> T) -> T {
        let told = fill(slots.as_mut_bytes());
        for slot in slots {
            *slot = RawInsn::from_bytes(transmute!(*slot), order);
        }
        told
    }

    /// Returns the bytes that store slots on this machine: on a little-endian one those that they have in memory.
    pub fn stored(slots: &[RawInsn]) -> Cow<'_, [u8]> {
        match ByteOrder::NATIVE {
            ByteOrder::Little => Cow::Borrowed(slots.as_bytes()),
            order @ ByteOrder::Big => slots.iter().flat_map(|slot| slot.to_bytes(order)).collect(),
        }
    }

    /// Returns the slot as one number: code, regs, off, imm from the low bits up.
    #[inline]
    pub(crate) const fn word(self) -> u64 {
        self.code as u64
            | (self.regs as u64) << 8
            | (self.off as u16 as u64) << 16
            | (self.imm as u32 as u64) << 32
    }
}

impl fmt::Debug for RawInsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "RawInsn {{ code: {:#04x}, dst: {}, src: {}, off: {}, imm: {:#x} }}",
            self.code,
            self.dst(),
            self.src(),
            self.off,
            self.imm
        )
    }
}

/// Says why bytes are no slots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BytesError {
    /// The length is no multiple of eight.
    Ragged {
        /// Counts the bytes given.
        len: usize,
    },
    /// Memory for the slots could not be had.
    OutOfMemory,
}

impl fmt::Display for BytesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BytesError::Ragged { len } => {
                write!(f, "instructions take a multiple of 8 bytes, found {len} bytes")
            }
            BytesError::OutOfMemory => f.write_str("no memory for the instructions"),
        }
    }
}

impl core::error::Error for BytesError {}

/// Yields the slots that bytes store, without allocating.
///
/// # Errors
///
/// [`BytesError::Ragged`] if the length is no multiple of eight.
pub fn slots(
    bytes: &[u8],
    order: ByteOrder,
) -> Result<impl ExactSizeIterator<Item = RawInsn> + Clone + '_, BytesError> {
    if bytes.len() % RawInsn::BYTES != 0 {
        return Err(BytesError::Ragged { len: bytes.len() });
    }
    Ok(bytes.chunks_exact(RawInsn::BYTES).map(move |chunk| {
        let mut slot = [0; RawInsn::BYTES];
        slot.copy_from_slice(chunk);
        RawInsn::from_bytes(slot, order)
    }))
}

/// Reads all slots that bytes store.
///
/// # Errors
///
/// [`BytesError`] if the length is no multiple of eight or memory cannot be had.
pub fn from_bytes(bytes: &[u8], order: ByteOrder) -> Result<Vec<RawInsn>, BytesError> {
    let slots = slots(bytes, order)?;
    let mut out = Vec::new();
    out.try_reserve_exact(slots.len()).map_err(|_| BytesError::OutOfMemory)?;
    out.extend(slots);
    Ok(out)
}

/// Returns the bytes that store slots.
///
/// # Errors
///
/// [`BytesError::OutOfMemory`].
pub fn to_bytes(slots: &[RawInsn], order: ByteOrder) -> Result<Vec<u8>, BytesError> {
    let mut out = Vec::new();
    let len = slots.len().checked_mul(RawInsn::BYTES).ok_or(BytesError::OutOfMemory)?;
    out.try_reserve_exact(len).map_err(|_| BytesError::OutOfMemory)?;
    for slot in slots {
        out.extend_from_slice(&slot.to_bytes(order));
    }
    Ok(out)
}
