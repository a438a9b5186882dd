//! Byte order as a value: BTF and the data it describes carry their own.

/// Names a byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Endian {
    /// The byte order of the machine this code runs on.
    pub const NATIVE: Endian = if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little };

    /// Reads a `u16`.
    #[inline]
    pub const fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Endian::Little => u16::from_le_bytes(bytes),
            Endian::Big => u16::from_be_bytes(bytes),
        }
    }

    /// Reads a `u32`.
    #[inline]
    pub const fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Endian::Little => u32::from_le_bytes(bytes),
            Endian::Big => u32::from_be_bytes(bytes),
        }
    }

    /// Writes a `u16`.
    #[inline]
    pub const fn bytes16(self, value: u16) -> [u8; 2] {
        match self {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// Writes a `u32`.
    #[inline]
    pub const fn bytes32(self, value: u32) -> [u8; 4] {
        match self {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// Reads the `u32` at byte `at`, if it lies within `bytes`.
    #[inline]
    pub(crate) fn u32_at(self, bytes: &[u8], at: usize) -> Option<u32> {
        Some(self.u32(*bytes.get(at..)?.first_chunk::<4>()?))
    }

    /// Reads the `u32` at byte `at` of a record whose length has been checked; bytes that are absent read as zero.
    #[inline]
    pub(crate) fn word(self, bytes: &[u8], at: usize) -> u32 {
        self.u32_at(bytes, at).unwrap_or(0)
    }

    /// Writes the `u32` at byte `at`, if it lies within `bytes`.
    #[inline]
    pub(crate) fn put(self, bytes: &mut [u8], at: usize, word: u32) {
        if let Some(bytes) = bytes.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) {
            *bytes = self.bytes32(word);
        }
    }
}
