//! Internet checksums (RFC 1071), in the machine's byte order as Linux computes them.

use crate::args::{Answer, Args, int, status};
use crate::{Env, Invoker};
use skep_abi::Errno;
use skep_mem::Bytes;

/// Adds with the carry brought round (`csum_add`).
pub(crate) fn add(a: u32, b: u32) -> u32 {
    let (sum, carry) = a.overflowing_add(b);
    sum.wrapping_add(u32::from(carry))
}

/// `csum_sub`.
pub(crate) fn sub(a: u32, b: u32) -> u32 {
    add(a, !b)
}

/// Folds to 16 bits and complements (`csum_fold`).
pub(crate) fn fold(sum: u32) -> u16 {
    !from32to16(sum)
}

fn from32to16(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

/// The sum of 32-bit words; the length is a multiple of four.
fn partial(bytes: Bytes<'_>, seed: u32) -> u32 {
    (0..bytes.len() / 4).fold(seed, |sum, i| add(sum, bytes.load_u32(i * 4).unwrap_or(0)))
}

/// `bpf_csum_diff`: the checksum of `to` less that of `from`, on top of a seed.
pub(crate) fn csum_diff<'m>(_: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (from, to, seed) = (args.bytes(0)?, args.bytes(2)?, args.int32(4)?);
    if (from.len() | to.len()) % 4 != 0 {
        return status(Err(Errno::EINVAL));
    }
    let sum = match (from.is_empty(), to.is_empty()) {
        (false, false) => sub(partial(to, seed), partial(from, 0)),
        (true, false) => partial(to, seed),
        (false, true) => !partial(from, !seed),
        (true, true) => seed,
    };
    // Folded since Linux 6.13, so that every architecture answers alike (net/core/filter.c, bpf_csum_diff).
    int(u64::from(from32to16(sum)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_1071() {
        // RFC 1071 §3: 00 01 f2 03 f4 f5 f6 f7 sums to ddf2 in network order.
        let mut data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        let sum = from32to16(partial(Bytes::from_mut(&mut data), 0));
        assert_eq!(u16::from_be_bytes(sum.to_ne_bytes()), 0xddf2);
        assert_eq!(u16::from_be_bytes(fold(u32::from(sum)).to_ne_bytes()), !0xddf2);
    }

    #[test]
    fn sums_carry_round() {
        assert_eq!(add(u32::MAX, 1), 1);
        assert_eq!(sub(5, 5), u32::MAX);
        assert_eq!(from32to16(u32::MAX), 0xffff);
    }
}
