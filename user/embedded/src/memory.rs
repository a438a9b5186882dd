//! The caller's memory: what a call lends, at addresses that mean nothing outside of it.

use skep_abi::Errno;
use skep_mem::{Bytes, UserFault, UserMemory};
use skep_sys::{AreaMemory, Attr, WITHHELD};

/// The attributes and ten areas, the most that a command has.
const MOST: usize = 11;

/// Where the attributes are; no address is near null.
const BASE: u64 = 0x100_0000_1000;
/// How far areas are apart: further than any length, so that what runs over one's end is in none.
const STEP: u64 = 1 << 40;

/// One piece of memory.
#[derive(Clone, Copy)]
enum Piece<'a> {
    ReadOnly(&'a [u8]),
    WriteOnly(Bytes<'a>),
    ReadWrite(Bytes<'a>),
}

impl Piece<'_> {
    fn len(&self) -> usize {
        match self {
            Piece::ReadOnly(bytes) => bytes.len(),
            Piece::WriteOnly(bytes) | Piece::ReadWrite(bytes) => bytes.len(),
        }
    }
}

/// A pointer field that holds the made-up address of a piece.
#[derive(Clone, Copy)]
struct Pointer {
    /// The piece that the field is in.
    within: usize,
    offset: usize,
    /// Whether the field is in an area, where a kernel that clears it withholds what it points to.
    is_nested: bool,
}

/// All that is lent for one call.
pub(crate) struct Lent<'a> {
    pieces: [Option<Piece<'a>>; MOST],
    pointers: [Option<Pointer>; MOST],
}

impl<'a> Lent<'a> {
    /// Gives attributes and areas their addresses, and writes those into the pointer fields.
    ///
    /// # Errors
    /// `EINVAL` for more areas than any command has.
    pub(crate) fn attributes(attr: &'a mut Attr<'_>) -> Result<Lent<'a>, Errno> {
        let (bytes, areas) = attr.parts_mut();
        let mut lent = Lent::one(bytes);
        // The piece of each area of the attributes, by the offset of its pointer field.
        let mut outer = [None; MOST];
        for (index, area) in (1..).zip(areas) {
            let place = lent.pieces.get_mut(index).ok_or(Errno::EINVAL)?;
            *place = Some(match &mut area.memory {
                AreaMemory::In(bytes) => Piece::ReadOnly(bytes),
                AreaMemory::Out(bytes) => Piece::WriteOnly(Bytes::from_mut(bytes)),
                AreaMemory::InOut(bytes) => Piece::ReadWrite(Bytes::from_mut(bytes)),
            });
            let within = match area.within {
                None => {
                    outer[index] = Some(area.field);
                    0
                }
                Some(field) => outer.iter().position(|known| *known == Some(field)).ok_or(Errno::EINVAL)?,
            };
            let pointer = Pointer { within, offset: area.field, is_nested: area.within.is_some() };
            lent.write_pointer(&pointer, address(index));
            lent.pointers[index] = Some(pointer);
        }
        Ok(lent)
    }

    /// Lends one piece of memory, at [`Lent::address`].
    pub(crate) fn one(bytes: &'a mut [u8]) -> Lent<'a> {
        let mut lent = Lent { pieces: [None; MOST], pointers: [None; MOST] };
        lent.pieces[0] = Some(Piece::ReadWrite(Bytes::from_mut(bytes)));
        lent
    }

    /// Lends nothing.
    pub(crate) fn nothing() -> Lent<'a> {
        Lent { pieces: [None; MOST], pointers: [None; MOST] }
    }

    /// Gives the address of the attributes.
    pub(crate) fn address(&self) -> u64 {
        BASE
    }

    /// Clears the pointer fields, so that no made-up address is seen by anybody; those in areas that the kernel has
    /// cleared itself are [`WITHHELD`] from now on.
    pub(crate) fn finish(self) {
        for pointer in self.pointers.iter().flatten() {
            let is_withheld = pointer.is_nested && self.read_pointer(pointer) == Some(0);
            self.write_pointer(pointer, if is_withheld { WITHHELD } else { 0 });
        }
    }

    fn field_of(&self, pointer: &Pointer) -> Option<Bytes<'a>> {
        match self.pieces.get(pointer.within) {
            Some(Some(Piece::ReadWrite(bytes))) => bytes.slice(pointer.offset, 8).ok(),
            _ => None,
        }
    }

    fn write_pointer(&self, pointer: &Pointer, address: u64) {
        if let Some(field) = self.field_of(pointer) {
            // The field is eight bytes long.
            let _ = field.copy_in(0, &address.to_ne_bytes());
        }
    }

    fn read_pointer(&self, pointer: &Pointer) -> Option<u64> {
        let mut address = [0; 8];
        self.field_of(pointer)?.copy_out(0, &mut address).ok()?;
        Some(u64::from_ne_bytes(address))
    }

    /// Finds the piece at an address, and where in it the address is, if `len` bytes from there are in it.
    fn find(&self, addr: u64, len: usize) -> Result<(Piece<'a>, usize), UserFault> {
        let from = addr.checked_sub(BASE).ok_or(UserFault)?;
        let index = usize::try_from(from / STEP).map_err(|_| UserFault)?;
        let at = usize::try_from(from % STEP).map_err(|_| UserFault)?;
        let piece = self.pieces.get(index).copied().flatten().ok_or(UserFault)?;
        match at.checked_add(len) {
            Some(end) if end <= piece.len() => Ok((piece, at)),
            _ => Err(UserFault),
        }
    }
}

fn address(index: usize) -> u64 {
    BASE + index as u64 * STEP
}

impl UserMemory for Lent<'_> {
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), UserFault> {
        if into.is_empty() {
            return Ok(());
        }
        match self.find(addr, into.len())? {
            (Piece::ReadOnly(bytes), at) => into.copy_from_slice(&bytes[at..at + into.len()]),
            (Piece::ReadWrite(bytes), at) => bytes.copy_out(at, into).map_err(|_| UserFault)?,
            (Piece::WriteOnly(_), _) => return Err(UserFault),
        }
        Ok(())
    }

    fn write(&self, addr: u64, from: &[u8]) -> Result<(), UserFault> {
        if from.is_empty() {
            return Ok(());
        }
        match self.find(addr, from.len())? {
            (Piece::ReadOnly(_), _) => Err(UserFault),
            (Piece::WriteOnly(bytes) | Piece::ReadWrite(bytes), at) => {
                bytes.copy_in(at, from).map_err(|_| UserFault)
            }
        }
    }

    fn read_str(&self, addr: u64, into: &mut [u8]) -> Result<Option<usize>, UserFault> {
        for (i, byte) in into.iter_mut().enumerate() {
            let at = addr.checked_add(i as u64).ok_or(UserFault)?;
            self.read(at, std::slice::from_mut(byte))?;
            if *byte == 0 {
                return Ok(Some(i));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Cmd;
    use skep_sys::Area;

    fn pointer(lent: &Lent<'_>, addr: u64) -> u64 {
        let mut bytes = [0; 8];
        lent.read(addr, &mut bytes).unwrap();
        u64::from_ne_bytes(bytes)
    }

    /// Attributes with an area to read, one to write, and one for both that has a pointer to one more.
    fn with_lent(work: impl FnOnce(&Lent<'_>)) -> ([u8; 24], [u8; 4], [u8; 16], [u8; 4]) {
        let (mut attr, input, mut output, mut both, mut inner) =
            ([0u8; 24], *b"abc\0", [0; 4], [0u8; 16], [0; 4]);
        both[8] = 9;
        let areas = [
            Area::new(0, AreaMemory::In(&input)),
            Area::new(8, AreaMemory::Out(&mut output)),
            Area::new(16, AreaMemory::InOut(&mut both)),
            Area::inside(16, 0, AreaMemory::Out(&mut inner)),
        ];
        // SAFETY: these attributes are handed to no kernel.
        let mut attributes = unsafe { Attr::raw(Cmd::OBJ_GET_INFO_BY_FD, &mut attr, areas) }.unwrap();
        let lent = Lent::attributes(&mut attributes).unwrap();
        work(&lent);
        lent.finish();
        (attr, output, both, inner)
    }

    #[test]
    fn areas_are_found_at_their_pointers_and_pointers_are_cleared() {
        let (attr, output, both, inner) = with_lent(|lent| {
            let at = |field| pointer(lent, lent.address() + field);
            let mut text = [0; 4];
            assert_eq!(lent.read_str(at(0), &mut text), Ok(Some(3)));
            assert_eq!(lent.write(at(8), &[5; 4]), Ok(()));
            let inner = pointer(lent, at(16));
            assert_eq!(lent.write(inner + 1, &[6; 3]), Ok(()));
            assert_eq!(pointer(lent, at(16) + 8), 9);
        });
        assert_eq!((attr, output, inner), ([0; 24], [5; 4], [0, 6, 6, 6]));
        assert_eq!(both[..8], [0; 8]);
    }

    #[test]
    fn nothing_else_is_reached() {
        with_lent(|lent| {
            let at = |field| pointer(lent, lent.address() + field);
            assert_eq!(lent.write(at(0), &[1]), Err(UserFault), "written what is read only");
            assert_eq!(lent.read(at(8), &mut [0]), Err(UserFault), "read what is written only");
            assert_eq!(lent.read(at(0), &mut [0; 5]), Err(UserFault), "read over the end");
            assert_eq!(lent.read(at(0) - 1, &mut [0]), Err(UserFault), "read before the start");
            assert_eq!(lent.read_str(at(0) + 4, &mut [0; 2]), Err(UserFault));
            assert_eq!(lent.read_str(at(0), &mut [0; 3]), Ok(None));
            for addr in [0, 1, BASE - 1, address(MOST), u64::MAX] {
                assert_eq!(lent.read(addr, &mut [0]), Err(UserFault), "{addr:#x}");
            }
            assert_eq!(lent.read(0, &mut []), Ok(()));
        });
    }

    #[test]
    fn what_the_kernel_withholds_is_told() {
        let (.., both, _) = with_lent(|lent| {
            let info = pointer(lent, lent.address() + 16);
            lent.write(info, &[0; 8]).unwrap();
        });
        assert_eq!(both[..8], WITHHELD.to_ne_bytes());
    }
}
