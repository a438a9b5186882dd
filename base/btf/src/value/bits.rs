//! Numbers at any bit of some bytes, in either byte order.
//!
//! A bit offset counts in memory order: on a little-endian machine from the least significant bit of the first
//! byte, on a big-endian one from its most significant bit (kernel/bpf/btf.c, `btf_struct_show` and
//! `btf_bitfield_show`).

use crate::endian::Endian;

/// The widest number.
pub(super) const MAX: u32 = 128;

/// Reads `width` bits; `None` if they lie outside `bytes` or are more than 128.
pub(super) fn read(bytes: &[u8], offset: u64, width: u32, endian: Endian) -> Option<u128> {
    let (first, bytes) = window(bytes, offset, width)?;
    let mut value: u128 = 0;
    match endian {
        Endian::Little => {
            let mut filled = 0;
            for (index, &byte) in bytes.iter().enumerate() {
                let skip = if index == 0 { first } else { 0 };
                // The ninth byte of an unaligned number may reach past the top; what lies there is cut off below.
                value |= u128::from(byte >> skip).checked_shl(filled).unwrap_or(0);
                filled += 8 - skip;
            }
        }
        Endian::Big => {
            for (index, &byte) in bytes.iter().enumerate() {
                let (start, end) = span(index, bytes.len(), first, width);
                let part = (byte << start) >> start >> (8 - end);
                value = value.checked_shl(end - start).unwrap_or(0) | u128::from(part);
            }
        }
    }
    Some(value & mask(width))
}

/// Writes the low `width` bits of `value`; `None` if they lie outside `bytes` or are more than 128.
pub(super) fn write(bytes: &mut [u8], offset: u64, width: u32, value: u128, endian: Endian) -> Option<()> {
    let (first, range) = window_range(bytes.len(), offset, width)?;
    let bytes = bytes.get_mut(range)?;
    for bit in 0..width {
        let at = first + bit;
        let (mask, set) = match endian {
            Endian::Little => (1u8 << (at % 8), value >> bit & 1),
            Endian::Big => (0x80u8 >> (at % 8), value >> (width - 1 - bit) & 1),
        };
        let byte = bytes.get_mut(at as usize / 8)?;
        *byte = if set == 0 { *byte & !mask } else { *byte | mask };
    }
    Some(())
}

/// Extends the sign of a number of `width` bits.
pub(super) fn sign_extend(value: u128, width: u32) -> i128 {
    let shift = MAX - width.clamp(1, MAX);
    (value << shift) as i128 >> shift
}

/// All bits below `width`.
pub(super) fn mask(width: u32) -> u128 {
    u128::MAX.checked_shr(MAX.saturating_sub(width)).unwrap_or(0)
}

/// The first bit within the first byte, and the bytes that hold the bits.
fn window(bytes: &[u8], offset: u64, width: u32) -> Option<(u32, &[u8])> {
    let (first, range) = window_range(bytes.len(), offset, width)?;
    Some((first, bytes.get(range)?))
}

fn window_range(len: usize, offset: u64, width: u32) -> Option<(u32, core::ops::Range<usize>)> {
    if width > MAX {
        return None;
    }
    let end = offset.checked_add(u64::from(width))?.div_ceil(8);
    let start = offset / 8;
    (end <= len as u64).then_some(((offset % 8) as u32, start as usize..end.max(start) as usize))
}

/// Which bits of byte `index` count, from its most significant one.
fn span(index: usize, len: usize, first: u32, width: u32) -> (u32, u32) {
    let start = if index == 0 { first } else { 0 };
    let end = if index + 1 == len { (first + width - 1) % 8 + 1 } else { 8 };
    (start, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same, one bit at a time.
    fn slowly(bytes: &[u8], offset: u64, width: u32, endian: Endian) -> u128 {
        (0..width).fold(0, |value, bit| {
            let at = offset as usize + bit as usize;
            match endian {
                Endian::Little => value | u128::from(bytes[at / 8] >> (at % 8) & 1) << bit,
                Endian::Big => value << 1 | u128::from(bytes[at / 8] >> (7 - at % 8) & 1),
            }
        })
    }

    #[test]
    fn reads_and_writes_agree_at_every_offset_and_width() {
        let bytes: [u8; 24] = core::array::from_fn(|index| (index as u8).wrapping_mul(73) ^ 0xa5);
        for endian in [Endian::Little, Endian::Big] {
            for offset in 0..40 {
                for width in 0..=128 {
                    let value = slowly(&bytes, offset, width, endian);
                    assert_eq!(
                        read(&bytes, offset, width, endian),
                        Some(value),
                        "{endian:?} {offset} {width}"
                    );
                    let mut copy = bytes;
                    write(&mut copy, offset, width, !value, endian).unwrap();
                    assert_eq!(read(&copy, offset, width, endian), Some(!value & mask(width)));
                    write(&mut copy, offset, width, value, endian).unwrap();
                    assert_eq!(copy, bytes, "nothing beside it may change");
                }
            }
            assert_eq!(read(&bytes, 192, 0, endian), Some(0));
            assert_eq!(read(&bytes, 192, 1, endian), None);
            assert_eq!(read(&bytes, 0, 129, endian), None);
            assert_eq!(read(&bytes, u64::MAX, 8, endian), None);
            assert_eq!(read(&bytes[..3], 0, 32, endian), None);
        }
        assert_eq!(read(&[0x34, 0x12], 0, 16, Endian::Little), Some(0x1234));
        assert_eq!(read(&[0x12, 0x34], 0, 16, Endian::Big), Some(0x1234));
        assert_eq!((sign_extend(7, 3), sign_extend(3, 3), sign_extend(u128::MAX, 128)), (-1, 3, -1));
    }
}
