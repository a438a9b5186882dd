//! What a program is started with.

/// Is what a program is started with: where r1 and r2 come from, and what memory the run may touch besides its stack.
///
/// The shape of the input is a value; there is one machine for all of them. Each field of metadata holds an address, eight
/// bytes in the machine's byte order.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Input<'a> {
    /// Nothing: r1 and r2 are zero.
    #[default]
    None,
    /// Memory: r1 is its address, r2 its length.
    Memory(&'a mut [u8]),
    /// A buffer that the caller has filled, perhaps with addresses in the memory: r1 is its address, r2 its length.
    Metadata {
        /// What r1 points to.
        buffer: &'a mut [u8],
        /// What may be touched too.
        memory: &'a mut [u8],
    },
    /// A buffer in which the machine writes where the memory starts and ends: r1 is its address, r2 its length.
    FixedMetadata {
        /// What r1 points to.
        buffer: &'a mut [u8],
        /// Offset in the buffer of the address of the memory's first byte.
        data: usize,
        /// Offset in the buffer of the address after the memory's last byte.
        data_end: usize,
        /// The memory.
        memory: &'a mut [u8],
    },
}
