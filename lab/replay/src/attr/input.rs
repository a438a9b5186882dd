//! Reading choices from bytes; at their end every choice is zero.

/// The bytes that are left.
pub(super) struct Input<'d> {
    rest: &'d [u8],
}

/// Numbers at which things tend to go wrong.
const EDGES: [u64; 16] = [
    u64::MAX,
    u32::MAX as u64,
    i32::MAX as u64,
    1 << 31,
    i64::MAX as u64,
    1 << 63,
    u16::MAX as u64,
    1 << 16,
    4096,
    4095,
    4097,
    1 << 20,
    (1 << 20) + 1,
    1 << 24,
    0xffff_fff8,
    512,
];

impl<'d> Input<'d> {
    pub(super) fn new(rest: &'d [u8]) -> Input<'d> {
        Input { rest }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.rest.split_first() else { return 0 };
        self.rest = rest;
        *first
    }

    /// Chooses one of some.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    /// Chooses `usual`, or in one of sixteen cases any number.
    pub(super) fn usually(&mut self, usual: u64) -> u64 {
        if self.byte() < 0xf0 { usual } else { self.number() }
    }

    /// Takes `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.fill_with(|| self.byte());
        bytes
    }

    /// Takes a number, mostly a small one.
    pub(super) fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..0xd0 => u64::from(small),
            0xd0..0xdc => u64::from(u16::from_le_bytes(self.array())),
            0xdc..0xe4 => u64::from(u32::from_le_bytes(self.array())),
            0xe4..0xf0 => u64::from_le_bytes(self.array()),
            edge => EDGES[usize::from(edge - 0xf0)],
        }
    }

    /// Takes a number, cut to 32 bits.
    pub(super) fn number32(&mut self) -> u32 {
        self.number() as u32
    }

    /// Makes `len` bytes: those at hand, then zeros.
    pub(super) fn fill(&mut self, len: usize) -> Vec<u8> {
        let (taken, rest) = self.rest.split_at(len.min(self.rest.len()));
        self.rest = rest;
        let mut bytes = taken.to_vec();
        bytes.resize(len, 0);
        bytes
    }

    /// Takes as many bytes as the next two say.
    pub(super) fn chunk(&mut self) -> Vec<u8> {
        let len = usize::from(u16::from_le_bytes(self.array()));
        self.fill(len.min(self.rest.len()))
    }

    /// Makes a key or value: a small number, or any bytes.
    pub(super) fn datum(&mut self, len: usize) -> Vec<u8> {
        let first = self.byte();
        if first >= 0xf0 {
            return self.fill(len);
        }
        let mut bytes = vec![0; len];
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        bytes
    }
}
