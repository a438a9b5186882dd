//! Attributes that carry their memory.

use core::fmt;
use skep_abi::Cmd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The most pointer fields that one command has (`BPF_PROG_LOAD`: eight).
const MOST_AREAS: usize = 10;

/// Memory lent to the kernel for one call.
#[derive(Debug)]
pub enum AreaMemory<'a> {
    /// Read by the kernel.
    In(&'a [u8]),
    /// Written by the kernel.
    Out(&'a mut [u8]),
    /// Read, then written.
    InOut(&'a mut [u8]),
}

impl AreaMemory<'_> {
    /// Gives the length in bytes.
    pub fn len(&self) -> usize {
        match self {
            AreaMemory::In(bytes) => bytes.len(),
            AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => bytes.len(),
        }
    }

    /// Tells whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives the bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            AreaMemory::In(bytes) => bytes,
            AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => bytes,
        }
    }

    /// Gives the bytes where the kernel may write them.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match self {
            AreaMemory::In(_) => None,
            AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => Some(bytes),
        }
    }
}

/// One pointer field and what it points to.
#[derive(Debug)]
pub struct Area<'a> {
    /// Offset of the 64-bit pointer field in the attributes.
    pub field: usize,
    /// The memory lent.
    pub memory: AreaMemory<'a>,
}

/// Why attributes could not be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrError {
    /// A buffer's length is not what the kernel will read or write.
    WrongLength {
        /// Name of the buffer.
        what: &'static str,
        /// Bytes wanted.
        wanted: usize,
        /// Bytes given.
        found: usize,
    },
    /// A length does not fit its 32-bit field.
    TooLong {
        /// Name of the buffer.
        what: &'static str,
        /// Bytes given.
        found: usize,
    },
    /// A name or path has a NUL inside.
    NulInside {
        /// Name of the string.
        what: &'static str,
    },
}

impl fmt::Display for AttrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AttrError::WrongLength { what, wanted, found } => {
                write!(f, "{what} must have {wanted} bytes, found {found}")
            }
            AttrError::TooLong { what, found } => {
                write!(f, "{what} of {found} bytes does not fit a 32-bit length")
            }
            AttrError::NulInside { what } => write!(f, "{what} has a NUL inside"),
        }
    }
}

impl core::error::Error for AttrError {}

/// The attributes of one `bpf(2)` command: its bytes, and the memory behind each pointer field.
///
/// Pointer fields in the bytes are zero; an implementer that talks to a real kernel writes the addresses just before
/// the call and clears them after it ([`Attr::with_addresses`]); the embedded kernel may touch nothing but the areas.
/// After the call the bytes hold what the kernel wrote back. The typed operations of [`crate::Kernel`] make these.
#[derive(Debug)]
pub struct Attr<'a> {
    cmd: Cmd,
    bytes: &'a mut [u8],
    areas: [Option<Area<'a>>; MOST_AREAS],
}

impl<'a> Attr<'a> {
    /// Starts the attributes of a command from its struct, with no memory lent.
    pub(crate) fn new<T: FromBytes + IntoBytes + Immutable>(cmd: Cmd, attr: &'a mut T) -> Attr<'a> {
        Attr { cmd, bytes: attr.as_mut_bytes(), areas: [const { None }; MOST_AREAS] }
    }

    /// Makes attributes from bytes, for commands that have no typed operation.
    ///
    /// # Safety
    /// The kernel does what `cmd` and `bytes` say: every pointer field that `cmd` reads or writes must be zero in
    /// `bytes` and covered by an area of at least the length that the kernel will use, and every descriptor must be
    /// one the caller may use so.
    pub unsafe fn raw(cmd: Cmd, bytes: &'a mut [u8], areas: impl IntoIterator<Item = Area<'a>>) -> Attr<'a> {
        let mut attr = Attr { cmd, bytes, areas: [const { None }; MOST_AREAS] };
        for area in areas {
            attr = attr.lend(area.field, area.memory);
        }
        attr
    }

    /// Lends memory for the pointer field at `field`. Empty memory leaves the pointer null.
    pub(crate) fn lend(mut self, field: usize, memory: AreaMemory<'a>) -> Attr<'a> {
        debug_assert!(field % 8 == 0 && field + 8 <= self.bytes.len());
        debug_assert!(self.areas().all(|area| area.field != field));
        if !memory.is_empty() {
            if let Some(free) = self.areas.iter_mut().find(|area| area.is_none()) {
                *free = Some(Area { field, memory });
            }
        }
        self
    }

    /// Gives the command.
    pub fn cmd(&self) -> Cmd {
        self.cmd
    }

    /// Gives the attribute bytes; pointer fields are zero.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Lists the areas.
    pub fn areas(&self) -> impl Iterator<Item = &Area<'a>> {
        self.areas.iter().flatten()
    }

    /// Lends bytes and areas together, for an implementer that runs the command itself.
    pub fn parts_mut(&mut self) -> (&mut [u8], impl Iterator<Item = &mut Area<'a>>) {
        (self.bytes, self.areas.iter_mut().flatten())
    }

    /// Writes the areas' addresses into the pointer fields, runs `call`, and clears them again.
    ///
    /// `call` gets the command, the attributes' address and their size, and is expected to hand them to a kernel.
    pub fn with_addresses<R>(&mut self, call: impl FnOnce(Cmd, *mut u8, u32) -> R) -> R {
        for area in self.areas.iter_mut().flatten() {
            let address = match &mut area.memory {
                AreaMemory::In(bytes) => bytes.as_ptr().expose_provenance(),
                AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => bytes.as_mut_ptr().expose_provenance(),
            };
            self.bytes[area.field..area.field + 8].copy_from_slice(&(address as u64).to_ne_bytes());
        }
        let size = self.bytes.len() as u32;
        let result = call(self.cmd, self.bytes.as_mut_ptr(), size);
        for area in self.areas.iter().flatten() {
            self.bytes[area.field..area.field + 8].fill(0);
        }
        result
    }
}
