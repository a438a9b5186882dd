//! Attributes that carry their memory.

use core::fmt;
use skep_abi::Cmd;
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The most pointer fields that one command has (`BPF_OBJ_GET_INFO_BY_FD` of a program: the info struct, nine lists in
/// it).
const MOST_AREAS: usize = 10;

/// What a pointer field inside an area reads after a call by which the kernel took the pointer back: it does not show
/// that list to this caller (`kernel/bpf/syscall.c`, `bpf_prog_get_info_by_fd`). Otherwise the field reads 0.
pub const WITHHELD: u64 = u64::MAX;

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

    /// Lends the same memory for a shorter time.
    pub fn reborrow(&mut self) -> AreaMemory<'_> {
        match self {
            AreaMemory::In(bytes) => AreaMemory::In(bytes),
            AreaMemory::Out(bytes) => AreaMemory::Out(bytes),
            AreaMemory::InOut(bytes) => AreaMemory::InOut(bytes),
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
    /// Where the pointer field lies: in the attributes (`None`), or in the area of the attributes' pointer field at
    /// this offset.
    pub within: Option<usize>,
    /// Offset of the 64-bit pointer field there.
    pub field: usize,
    /// The memory lent.
    pub memory: AreaMemory<'a>,
}

impl<'a> Area<'a> {
    /// Lends memory to a pointer field of the attributes.
    pub fn new(field: usize, memory: AreaMemory<'a>) -> Area<'a> {
        Area { within: None, field, memory }
    }

    /// Lends memory to a pointer field inside the area of the attributes' pointer field `outer`, which the kernel both
    /// reads and writes.
    pub fn inside(outer: usize, field: usize, memory: AreaMemory<'a>) -> Area<'a> {
        Area { within: Some(outer), field, memory }
    }

    fn address(&mut self) -> u64 {
        let address = match &mut self.memory {
            AreaMemory::In(bytes) => bytes.as_ptr().expose_provenance(),
            AreaMemory::Out(bytes) | AreaMemory::InOut(bytes) => bytes.as_mut_ptr().expose_provenance(),
        };
        address as u64
    }
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
    /// A list's index is not in the list.
    NotInList {
        /// Name of the list.
        what: &'static str,
        /// The index wanted.
        wanted: usize,
        /// Entries given.
        found: usize,
    },
    /// The struct is not the one that this attach type takes.
    OtherShape {
        /// The attach type.
        attach_type: u32,
    },
    /// A pointer field does not lie in its attributes (or in an area that the kernel reads and writes), lies on
    /// another, or is one too many.
    Misplaced {
        /// Offset of the field.
        field: usize,
    },
    /// There is no memory for a copy that the call needs.
    NoMemory,
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
            AttrError::NotInList { what, wanted, found } => {
                write!(f, "{what} has {found} entries, entry {wanted} is wanted")
            }
            AttrError::OtherShape { attach_type } => {
                write!(f, "attach type {attach_type} takes another struct")
            }
            AttrError::Misplaced { field } => write!(f, "no pointer field can be at offset {field}"),
            AttrError::NoMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for AttrError {}

/// The attributes of one `bpf(2)` command: its bytes, and the memory behind each pointer field.
///
/// Pointer fields are zero in the bytes (and inside areas); an implementer that talks to a real kernel writes the
/// addresses just before the call and clears them after it ([`Attr::with_addresses`]); the embedded kernel may touch
/// nothing but the areas. After the call the bytes hold what the kernel wrote back. The typed operations of
/// [`crate::Kernel`] make these.
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
    /// `bytes` or covered by an area of at least the length that the kernel will use, and every descriptor must be
    /// one the caller may use so.
    ///
    /// # Errors
    /// [`AttrError::Misplaced`] where an area's field is not in its attributes or outer area; outer areas come first.
    pub unsafe fn raw(
        cmd: Cmd,
        bytes: &'a mut [u8],
        areas: impl IntoIterator<Item = Area<'a>>,
    ) -> Result<Attr<'a>, AttrError> {
        let mut attr = Attr { cmd, bytes, areas: [const { None }; MOST_AREAS] };
        for area in areas {
            attr.push(area)?;
        }
        Ok(attr)
    }

    /// Lends memory for the pointer field at `field`. Empty memory leaves the pointer null.
    ///
    /// Every field of a typed operation is an `offset_of!` of its struct, so it lies inside and there are no more than
    /// the struct has; each operation's test would find the pointer null otherwise.
    pub(crate) fn lend(mut self, field: usize, memory: AreaMemory<'a>) -> Attr<'a> {
        let fits = self.push(Area::new(field, memory));
        debug_assert!(fits.is_ok());
        self
    }

    /// Lends memory for the pointer field at `field` inside the memory lent for `outer`.
    pub(crate) fn lend_inside(mut self, outer: usize, field: usize, memory: AreaMemory<'a>) -> Attr<'a> {
        let fits = self.push(Area::inside(outer, field, memory));
        debug_assert!(fits.is_ok());
        self
    }

    fn push(&mut self, area: Area<'a>) -> Result<(), AttrError> {
        let misplaced = AttrError::Misplaced { field: area.field };
        let room = match area.within {
            None => self.bytes.len(),
            Some(outer) => {
                let outer = self.areas().find(|other| other.within.is_none() && other.field == outer);
                match outer.map(|outer| &outer.memory) {
                    Some(AreaMemory::InOut(bytes)) => bytes.len(),
                    _ => return Err(misplaced),
                }
            }
        };
        let overlaps = |other: &Area<'_>| other.within == area.within && other.field.abs_diff(area.field) < 8;
        if area.field.checked_add(8).is_none_or(|end| end > room) || self.areas().any(overlaps) {
            return Err(misplaced);
        }
        if area.memory.is_empty() {
            return Ok(());
        }
        let free = self.areas.iter_mut().find(|place| place.is_none()).ok_or(misplaced)?;
        *free = Some(area);
        Ok(())
    }

    /// Lends the same attributes for a shorter time, for a wrapper that looks at them after the call.
    pub fn reborrow(&mut self) -> Attr<'_> {
        let areas = self.areas.each_mut().map(|area| {
            area.as_mut().map(|area| Area {
                within: area.within,
                field: area.field,
                memory: area.memory.reborrow(),
            })
        });
        Attr { cmd: self.cmd, bytes: self.bytes, areas }
    }

    /// Gives the command.
    pub fn cmd(&self) -> Cmd {
        self.cmd
    }

    /// Tells whether the command answers with a new descriptor.
    pub fn makes_fd(&self) -> bool {
        MAKES_FD.contains(&self.cmd)
    }

    /// Gives the attribute bytes; pointer fields are zero.
    pub fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Lists the areas, those inside others after them.
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
        // From the inside out: an area's own address is taken after the last access to it through its slice.
        for index in (0..MOST_AREAS).rev() {
            let Some(area) = &mut self.areas[index] else { continue };
            let (within, field, address) = (area.within, area.field, area.address());
            self.write_pointer(within, field, address);
        }
        let size = self.bytes.len() as u32;
        let result = call(self.cmd, self.bytes.as_mut_ptr(), size);
        for index in 0..MOST_AREAS {
            let Some(area) = &self.areas[index] else { continue };
            let (within, field) = (area.within, area.field);
            let withheld = within.is_some() && self.read_pointer(within, field) == Some(0);
            self.write_pointer(within, field, if withheld { WITHHELD } else { 0 });
        }
        result
    }

    fn write_pointer(&mut self, within: Option<usize>, field: usize, address: u64) {
        let place = match within {
            None => self.bytes.get_mut(field..field + 8),
            Some(outer) => self.outer(outer).and_then(|bytes| bytes.get_mut(field..field + 8)),
        };
        if let Some(place) = place {
            place.copy_from_slice(&address.to_ne_bytes());
        }
    }

    fn read_pointer(&mut self, within: Option<usize>, field: usize) -> Option<u64> {
        let place = match within {
            None => self.bytes.get(field..field + 8),
            Some(outer) => self.outer(outer).and_then(|bytes| bytes.get(field..field + 8)),
        };
        place?.try_into().ok().map(u64::from_ne_bytes)
    }

    fn outer(&mut self, field: usize) -> Option<&mut [u8]> {
        let mut areas = self.areas.iter_mut().flatten();
        areas.find(|area| area.within.is_none() && area.field == field)?.memory.bytes_mut()
    }
}

/// The commands whose result is a new descriptor (`kernel/bpf/syscall.c`, `__sys_bpf`).
const MAKES_FD: &[Cmd] = &[
    Cmd::MAP_CREATE,
    Cmd::PROG_LOAD,
    Cmd::OBJ_GET,
    Cmd::PROG_GET_FD_BY_ID,
    Cmd::MAP_GET_FD_BY_ID,
    Cmd::RAW_TRACEPOINT_OPEN,
    Cmd::BTF_LOAD,
    Cmd::BTF_GET_FD_BY_ID,
    Cmd::LINK_CREATE,
    Cmd::LINK_GET_FD_BY_ID,
    Cmd::ENABLE_STATS,
    Cmd::ITER_CREATE,
    Cmd::TOKEN_CREATE,
];

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::{InfoByFd, MapElem, ProgInfo};

    #[test]
    fn addresses_are_written_for_the_call_and_cleared_after_it() {
        let (key, mut value) = ([1u8; 4], [0u8; 8]);
        let mut elem = MapElem { map_fd: 3, ..MapElem::default() };
        let mut attr = Attr::new(Cmd::MAP_LOOKUP_ELEM, &mut elem)
            .lend(8, AreaMemory::In(&key))
            .lend(16, AreaMemory::Out(&mut value));
        attr.with_addresses(|cmd, at, size| {
            assert_eq!((cmd, size), (Cmd::MAP_LOOKUP_ELEM, 32));
            // SAFETY: `at` points to the attributes, of `size` bytes, for the time of the call.
            let elem = unsafe { at.cast::<MapElem>().read_unaligned() };
            let key = core::ptr::with_exposed_provenance::<[u8; 4]>(elem.key as usize);
            // SAFETY: the attributes name memory that is lent for the call.
            assert_eq!(unsafe { key.read() }, [1; 4]);
            let value = core::ptr::with_exposed_provenance_mut::<[u8; 8]>(elem.value as usize);
            // SAFETY: as above; this area may be written.
            unsafe { value.write([7; 8]) };
        });
        assert_eq!((elem.key, elem.value, value), (0, 0, [7; 8]));
    }

    #[test]
    fn areas_inside_areas_have_addresses_and_may_be_withheld() {
        let mut info = ProgInfo { nr_map_ids: 1, xlated_prog_len: 8, ..ProgInfo::default() };
        let (mut ids, mut xlated) = ([0u8; 4], [0u8; 8]);
        let mut by_fd = InfoByFd::default();
        let outer = core::mem::offset_of!(InfoByFd, info);
        let map_ids = core::mem::offset_of!(ProgInfo, map_ids);
        let xlated_at = core::mem::offset_of!(ProgInfo, xlated_prog_insns);
        let mut attr = Attr::new(Cmd::OBJ_GET_INFO_BY_FD, &mut by_fd)
            .lend(outer, AreaMemory::InOut(info.as_mut_bytes()))
            .lend_inside(outer, map_ids, AreaMemory::Out(&mut ids))
            .lend_inside(outer, xlated_at, AreaMemory::Out(&mut xlated));
        let mut again = attr.reborrow();
        again.with_addresses(|_, at, _| {
            // SAFETY: `at` points to the attributes for the time of the call.
            let by_fd = unsafe { at.cast::<InfoByFd>().read_unaligned() };
            let info = core::ptr::with_exposed_provenance_mut::<ProgInfo>(by_fd.info as usize);
            // SAFETY: the attributes name an info struct that is lent for the call.
            let mut copy = unsafe { info.read_unaligned() };
            let ids = core::ptr::with_exposed_provenance_mut::<[u8; 4]>(copy.map_ids as usize);
            // SAFETY: the info struct names memory that is lent for the call.
            unsafe { ids.write([5; 4]) };
            copy.xlated_prog_insns = 0;
            // SAFETY: as for the read above.
            unsafe { info.write_unaligned(copy) };
        });
        assert_eq!((info.map_ids, info.xlated_prog_insns, ids), (0, WITHHELD, [5; 4]));
    }

    #[test]
    fn misplaced_fields_are_refused() {
        let place = |within, field| {
            let (mut bytes, mut info, mut inner) = ([0u8; 16], [0u8; 16], [0u8; 4]);
            let areas = [
                Area::new(8, AreaMemory::InOut(&mut info)),
                Area { within, field, memory: AreaMemory::Out(&mut inner) },
            ];
            // SAFETY: these attributes are handed to no kernel.
            unsafe { Attr::raw(Cmd::OBJ_GET_INFO_BY_FD, &mut bytes, areas) }.map(|attr| attr.areas().count())
        };
        assert_eq!(place(None, 0), Ok(2));
        assert_eq!(place(Some(8), 8), Ok(2));
        let refused = [(None, 4), (None, 8), (None, 9), (None, usize::MAX), (Some(8), 9), (Some(0), 0)];
        for (within, field) in refused {
            assert_eq!(place(within, field), Err(AttrError::Misplaced { field }), "{within:?} {field}");
        }
    }
}
