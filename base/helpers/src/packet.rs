//! The packet of a run, and the helpers that move its ends and copy its bytes.

use crate::args::{Answer, Args, signed, status};
use crate::{Env, Invoker, csum};
use core::cell::Cell;
use skep_abi::Errno;
use skep_mem::Bytes;

/// Bytes before the packet that belong to the frame's own header when an XDP program gives it away
/// (`struct xdp_frame` on 64 bits).
const XDP_FRAME: usize = 40;
/// The shortest packet that an adjustment may leave (`ETH_HLEN`).
const LEAST: usize = 14;
/// The most bytes of metadata before a packet (`skb_shared_info.meta_len` is eight bits).
const MOST_META: usize = 255;

/// Which driver model a packet belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// `struct xdp_md`: a frame with room around it.
    Xdp,
    /// `struct __sk_buff`: a socket buffer.
    Skb,
}

/// A packet inside its memory: room, metadata, data, room. Offsets count from the start of the memory.
#[derive(Debug)]
pub struct Packet<'m> {
    memory: Bytes<'m>,
    kind: PacketKind,
    meta: Cell<usize>,
    data: Cell<usize>,
    end: Cell<usize>,
    /// The link-layer header that lies before `data` and is hidden from helpers (a socket filter's view).
    hidden: usize,
}

impl<'m> Packet<'m> {
    /// Places a packet of `len` bytes at `data` of its memory, without metadata.
    ///
    /// # Errors
    /// `EINVAL` where it does not fit.
    pub fn new(kind: PacketKind, memory: Bytes<'m>, data: usize, len: usize) -> Result<Packet<'m>, Errno> {
        memory.slice(data, len).map_err(|_| Errno::EINVAL)?;
        let (meta, end) = (Cell::new(data), Cell::new(data + len));
        Ok(Packet { memory, kind, meta, data: Cell::new(data), end, hidden: 0 })
    }

    /// Hides the first `len` bytes from the program: offset 0 is after them, the end stays.
    ///
    /// # Errors
    /// `EINVAL` where there are not as many.
    pub fn hide(mut self, len: usize) -> Result<Packet<'m>, Errno> {
        if self.data().len() < len {
            return Err(Errno::EINVAL);
        }
        self.hidden = len;
        self.data.set(self.data.get() + len);
        self.meta.set(self.data.get());
        Ok(self)
    }

    /// Declares the `len` bytes before the data to be metadata.
    ///
    /// # Errors
    /// `EINVAL` where there is no such room.
    pub fn with_meta(self, len: usize) -> Result<Packet<'m>, Errno> {
        self.meta.set(self.data.get().checked_sub(len).ok_or(Errno::EINVAL)?);
        Ok(self)
    }

    /// Tells the driver model.
    pub fn kind(&self) -> PacketKind {
        self.kind
    }

    /// Gives the packet's memory, and where in it the metadata, the data and the end are.
    pub fn places(&self) -> (Bytes<'m>, [usize; 3]) {
        (self.memory, [self.meta.get(), self.data.get(), self.end.get()])
    }

    /// Gives the bytes from the metadata to the end.
    pub fn with_metadata(&self) -> Bytes<'m> {
        self.part(self.meta.get(), self.end.get())
    }

    /// Gives the length of the metadata.
    pub fn meta_len(&self) -> usize {
        self.data.get() - self.meta.get()
    }

    /// Gives the bytes from the data to the end.
    pub fn data(&self) -> Bytes<'m> {
        self.part(self.data.get(), self.end.get())
    }

    /// Gives the bytes from the data to the end, a hidden header included.
    pub fn frame(&self) -> Bytes<'m> {
        self.part(self.data.get() - self.hidden, self.end.get())
    }

    fn part(&self, from: usize, to: usize) -> Bytes<'m> {
        // Every change of the offsets keeps meta <= data <= end <= memory.len().
        self.memory.slice(from, to.saturating_sub(from)).unwrap_or(Bytes::empty())
    }

    /// Moves the start by `delta` bytes, the metadata with it (`bpf_xdp_adjust_head`).
    fn adjust_head(&self, delta: i32) -> Result<(), Errno> {
        let meta = self.meta_len();
        let data = shifted(self.data.get(), delta)?;
        if data < XDP_FRAME + meta || data + LEAST > self.end.get() {
            return Err(Errno::EINVAL);
        }
        let moved = self.memory.move_within(self.meta.get(), data - meta, meta);
        moved.map_err(|_| Errno::EINVAL)?;
        self.meta.set(data - meta);
        self.data.set(data);
        Ok(())
    }

    /// Moves the end by `delta` bytes, new ones being zero (`bpf_xdp_adjust_tail`).
    fn adjust_tail(&self, delta: i32) -> Result<(), Errno> {
        let end = shifted(self.end.get(), delta)?;
        if end > self.memory.len() || end < self.data.get() + LEAST {
            return Err(Errno::EINVAL);
        }
        if let Ok(new) = self.memory.slice(self.end.get(), end.saturating_sub(self.end.get())) {
            new.fill(0);
        }
        self.end.set(end);
        Ok(())
    }

    /// Moves the start of the metadata by `delta` bytes (`bpf_xdp_adjust_meta`).
    fn adjust_meta(&self, delta: i32) -> Result<(), Errno> {
        let meta = shifted(self.meta.get(), delta)?;
        if meta < XDP_FRAME || meta > self.data.get() {
            return Err(Errno::EINVAL);
        }
        let len = self.data.get() - meta;
        if len % 4 != 0 || len > MOST_META {
            return Err(Errno::EACCES);
        }
        self.meta.set(meta);
        Ok(())
    }
}

fn shifted(offset: usize, delta: i32) -> Result<usize, Errno> {
    offset.checked_add_signed(delta as isize).ok_or(Errno::EINVAL)
}

fn adjust<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    adjust: impl FnOnce(&Packet<'m>, i32) -> Result<(), Errno>,
) -> Answer<'m> {
    let delta = args.int32(1)? as i32;
    status(env.packet().ok_or(Errno::EINVAL).and_then(|packet| adjust(packet, delta)))
}

/// `bpf_xdp_adjust_head`.
pub(crate) fn xdp_adjust_head<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    adjust(env, args, Packet::adjust_head)
}

/// `bpf_xdp_adjust_tail`.
pub(crate) fn xdp_adjust_tail<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    adjust(env, args, Packet::adjust_tail)
}

/// `bpf_xdp_adjust_meta`.
pub(crate) fn xdp_adjust_meta<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    adjust(env, args, Packet::adjust_meta)
}

/// `bpf_xdp_get_buff_len`.
pub(crate) fn xdp_get_buff_len<'m>(env: &dyn Env<'m>, _: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    signed(env.packet().map(|packet| packet.data().len() as i64).ok_or(Errno::EINVAL))
}

/// The bytes of an XDP packet at an offset (`bpf_xdp_pointer`).
fn xdp_part<'m>(env: &dyn Env<'m>, offset: u32, len: usize) -> Result<Bytes<'m>, Errno> {
    if offset > 0xffff || len > 0xffff {
        return Err(Errno::EFAULT);
    }
    let packet = env.packet().ok_or(Errno::EINVAL)?;
    packet.data().slice(offset as usize, len).map_err(|_| Errno::EINVAL)
}

/// `bpf_xdp_load_bytes`.
pub(crate) fn xdp_load_bytes<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, into) = (args.int32(1)?, args.bytes(2)?);
    let part = xdp_part(env, offset, into.len());
    status(part.and_then(|part| into.copy_from(0, part).map_err(|_| Errno::EFAULT)))
}

/// `bpf_xdp_store_bytes`.
pub(crate) fn xdp_store_bytes<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, from) = (args.int32(1)?, args.bytes(2)?);
    let part = xdp_part(env, offset, from.len());
    status(part.and_then(|part| part.copy_from(0, from).map_err(|_| Errno::EFAULT)))
}

/// The bytes of a socket buffer at an offset; a hidden header cannot be reached.
fn skb_part<'m>(env: &dyn Env<'m>, offset: u32, len: usize) -> Result<Bytes<'m>, Errno> {
    if offset > i32::MAX as u32 {
        return Err(Errno::EFAULT);
    }
    let packet = env.packet().ok_or(Errno::EFAULT)?;
    packet.data().slice(offset as usize, len).map_err(|_| Errno::EFAULT)
}

/// `bpf_skb_load_bytes`: on failure the memory is zeroed.
pub(crate) fn skb_load_bytes<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, into) = (args.int32(1)?, args.bytes(2)?);
    let part = skb_part(env, offset, into.len());
    let done = part.and_then(|part| into.copy_from(0, part).map_err(|_| Errno::EFAULT));
    if done.is_err() {
        into.fill(0);
    }
    status(done)
}

/// The most that a header-relative offset may be.
const MOST_RELATIVE: u32 = 0xffff;
/// `BPF_HDR_START_MAC` and `BPF_HDR_START_NET`.
const START_MAC: u32 = 0;
const START_NET: u32 = 1;

/// `bpf_skb_load_bytes_relative`: counted from a header, hidden or not; on failure the memory is zeroed.
pub(crate) fn skb_load_bytes_relative<'m>(
    env: &dyn Env<'m>,
    args: Args<'_, 'm>,
    _: Invoker<'_, 'm>,
) -> Answer<'m> {
    let (offset, into, start) = (args.int32(1)?, args.bytes(2)?, args.int32(4)?);
    // A socket buffer here always begins with its link-layer header, which the network header follows.
    let skipped = match start {
        START_MAC => Some(0),
        START_NET => Some(LEAST),
        _ => None,
    };
    let from = skipped.filter(|_| offset <= MOST_RELATIVE).map(|skipped| skipped + offset as usize);
    let part = from.zip(env.packet()).and_then(|(from, packet)| packet.frame().slice(from, into.len()).ok());
    let done = part.and_then(|part| into.copy_from(0, part).ok()).ok_or(Errno::EFAULT);
    if done.is_err() {
        into.fill(0);
    }
    status(done)
}

/// `BPF_F_RECOMPUTE_CSUM | BPF_F_INVALIDATE_HASH`.
const STORE_FLAGS: u64 = 3;

/// `bpf_skb_store_bytes`; a buffer here has no checksum or hash of its own to keep.
pub(crate) fn skb_store_bytes<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, from, flags) = (args.int32(1)?, args.bytes(2)?, args.int(4)?);
    if flags & !STORE_FLAGS != 0 {
        return status(Err(Errno::EINVAL));
    }
    let part = skb_part(env, offset, from.len());
    status(part.and_then(|part| part.copy_from(0, from).map_err(|_| Errno::EFAULT)))
}

/// `bpf_skb_pull_data`: all of a buffer is linear here, so only its length can be asked for in vain.
pub(crate) fn skb_pull_data<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let len = args.int32(1)?;
    let packet = env.packet().map_or(0, |packet| packet.data().len());
    status(if len as usize > packet { Err(Errno::ENOMEM) } else { Ok(()) })
}

/// The size of the field that changed, in bytes.
const FIELD: u64 = 0xf;
/// `BPF_F_PSEUDO_HDR`: the field is part of the pseudo header.
const PSEUDO: u64 = 1 << 4;
/// `BPF_F_MARK_MANGLED_0`: a checksum of zero means none, so it is written as 0xffff and left where it is zero.
const MARK_ZERO: u64 = 1 << 5;
/// `BPF_F_MARK_ENFORCE`: a zero checksum is updated all the same.
const ENFORCE: u64 = 1 << 6;

/// Updates the checksum at an offset for a field that went from one value to another.
fn replace(sum: u16, from: u64, to: u64, size: u64) -> Result<u16, Errno> {
    let undone = !u32::from(sum);
    match size {
        // The whole difference is given.
        0 if from != 0 => Err(Errno::EINVAL),
        0 => Ok(csum::fold(csum::add(to as u32, undone))),
        2 => Ok(csum::fold((undone & 0xffff) + (!from as u32 & 0xffff) + (to as u32 & 0xffff))),
        4 => Ok(csum::fold(csum::add(csum::sub(undone, from as u32), to as u32))),
        _ => Err(Errno::EINVAL),
    }
}

/// The two bytes of a checksum field; offsets are even.
fn field<'m>(env: &dyn Env<'m>, offset: u32) -> Result<Bytes<'m>, Errno> {
    if offset > 0xffff || offset % 2 != 0 {
        return Err(Errno::EFAULT);
    }
    skb_part(env, offset, 2)
}

/// `bpf_l3_csum_replace`.
pub(crate) fn l3_csum_replace<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, from, to, flags) = (args.int32(1)?, args.int(2)?, args.int(3)?, args.int(4)?);
    let done = (|| {
        if flags & !FIELD != 0 {
            return Err(Errno::EINVAL);
        }
        let field = field(env, offset)?;
        let sum = field.load_u16(0).map_err(|_| Errno::EFAULT)?;
        let sum = replace(sum, from, to, flags & FIELD)?;
        field.store_u16(0, sum).map_err(|_| Errno::EFAULT)
    })();
    status(done)
}

/// `bpf_l4_csum_replace`.
pub(crate) fn l4_csum_replace<'m>(env: &dyn Env<'m>, args: Args<'_, 'm>, _: Invoker<'_, 'm>) -> Answer<'m> {
    let (offset, from, to, flags) = (args.int32(1)?, args.int(2)?, args.int(3)?, args.int(4)?);
    let done = (|| {
        if flags & !(FIELD | PSEUDO | MARK_ZERO | ENFORCE) != 0 {
            return Err(Errno::EINVAL);
        }
        let field = field(env, offset)?;
        let sum = field.load_u16(0).map_err(|_| Errno::EFAULT)?;
        if flags & MARK_ZERO != 0 && flags & ENFORCE == 0 && sum == 0 {
            return Ok(());
        }
        let sum = match replace(sum, from, to, flags & FIELD)? {
            0 if flags & MARK_ZERO != 0 => 0xffff,
            sum => sum,
        };
        field.store_u16(0, sum).map_err(|_| Errno::EFAULT)
    })();
    status(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_tails_and_metadata_keep_their_bounds() {
        let mut memory = [0u8; 400];
        let packet = Packet::new(PacketKind::Xdp, Bytes::from_mut(&mut memory), 256, 60).unwrap();
        packet.data().fill(7);
        assert_eq!(packet.adjust_meta(-6), Err(Errno::EACCES), "whole words only");
        assert_eq!(packet.adjust_meta(-256), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_meta(-8), Ok(()));
        packet.with_metadata().store_u8(0, 9).unwrap();
        assert_eq!((packet.meta_len(), packet.with_metadata().len()), (8, 68));
        assert_eq!(packet.adjust_head(-20), Ok(()));
        assert_eq!((packet.meta_len(), packet.data().len()), (8, 80));
        assert_eq!(packet.with_metadata().load_u8(0), Ok(9), "metadata moves with the head");
        assert_eq!(packet.adjust_head(-(256 - 20 - XDP_FRAME as i32 - 8) - 1), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_head(-(256 - 20 - XDP_FRAME as i32 - 8)), Ok(()));
        assert_eq!(packet.adjust_meta(9), Err(Errno::EINVAL));
        let len = packet.data().len() as i32;
        assert_eq!(packet.adjust_head(len - 13), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_head(len - 14), Ok(()));
        assert_eq!(packet.adjust_tail(-1), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_tail(400), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_tail(i32::MIN), Err(Errno::EINVAL));
        assert_eq!(packet.adjust_tail(84), Ok(()));
        assert_eq!(packet.data().load_u8(13), Ok(7));
        assert_eq!(packet.data().load_u8(14), Ok(0), "new bytes are zero");
        assert_eq!(packet.adjust_tail(1), Err(Errno::EINVAL), "the memory has 400 bytes");
    }

    #[test]
    fn a_hidden_header_is_out_of_reach() {
        let mut memory = [0u8; 64];
        let packet = Packet::new(PacketKind::Skb, Bytes::from_mut(&mut memory), 0, 60).unwrap();
        assert!(packet.data().len() == 60);
        let packet = packet.hide(14).unwrap();
        assert_eq!((packet.data().len(), packet.frame().len()), (46, 60));
        assert!(packet.hide(47).is_err());
    }

    #[test]
    fn checksums_follow_the_field() {
        // A header of four words whose checksum is the third; the fourth changes from one value to another.
        let words = |last: [u8; 4]| [0x45, 0, 0, 20, 0, 1, 0, 0, last[0], last[1], last[2], last[3]];
        let sum = |bytes: [u8; 12]| {
            let folded = bytes
                .chunks(2)
                .fold(0u32, |sum, pair| csum::add(sum, u32::from(u16::from_ne_bytes([pair[0], pair[1]]))));
            csum::fold(folded)
        };
        let (old, new) = ([10, 0, 0, 1], [192, 168, 7, 9]);
        let (before, after) = (sum(words(old)), sum(words(new)));
        let (from, to) = (u32::from_ne_bytes(old), u32::from_ne_bytes(new));
        assert_eq!(replace(before, u64::from(from), u64::from(to), 4), Ok(after));
        assert_eq!(replace(before, 0, u64::from(csum::sub(to, from)), 0), Ok(after));
        assert_eq!(replace(before, 1, 0, 0), Err(Errno::EINVAL));
        assert_eq!(replace(before, 1, 0, 8), Err(Errno::EINVAL));
    }
}
