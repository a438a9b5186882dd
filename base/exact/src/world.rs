//! What a run needs from outside: the context, the packet, maps and helpers.

use crate::{Program, Rights};
use skep_isa::{PacketSize, Size};
use skep_mem::{Arg, Bytes, Halt, Invoke, MapIndex, Ret};
use skep_model::platform::context::Landing;

/// What a load from the context gives.
#[derive(Clone, Copy, Debug)]
pub enum CtxValue<'m> {
    /// The number in the whole field; the machine picks the part that is loaded and extends its sign where asked.
    Field(u64),
    /// The bytes that are loaded, as a number, for fields that are arrays of bytes or words.
    Part(u64),
    /// A pointer into the packet, which for the program may be a field of 32 bits.
    Packet(PacketPoint),
    /// A pointer to memory of its own.
    Memory(Bytes<'m>, Rights),
}

/// Which pointer into the packet a context field is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketPoint {
    /// `data_meta`, the first byte.
    Meta,
    /// `data`.
    Data,
    /// `data_end`, after the last byte.
    End,
}

/// The packet as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'m> {
    /// From `data_meta` to `data_end`.
    pub bytes: Bytes<'m>,
    /// Where `data` is in them.
    pub data: usize,
}

/// Why a call gave no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallEnd {
    /// The run has ended inside a callback, or the fuel was spent.
    Halt,
    /// The whole run ends now and returns this number.
    Unwind(u64),
    /// There is no such helper.
    Unknown,
}

impl From<Halt> for CallEnd {
    fn from(_: Halt) -> CallEnd {
        CallEnd::Halt
    }
}

/// What surrounds a run. `'m` is the life of the memory that the run may hold.
///
/// All methods take `&self`, because a helper may call back into the program, which may call helpers: whatever
/// changes during a run is in cells of the implementer.
pub trait World<'m> {
    /// Calls a helper, its arguments already checked.
    ///
    /// # Errors
    /// [`CallEnd`] says why there is no result; what a helper reports to the program is a result.
    fn call(&self, id: u32, args: &[Arg<'m>], invoke: &mut dyn Invoke<'m>) -> Result<Ret<'m>, CallEnd> {
        let _ = (id, args, invoke);
        Err(CallEnd::Unknown)
    }

    /// Loads from a field of the context that the program's type may load in this size; `None` where this kernel
    /// does not have the field.
    fn ctx_load(&self, landing: Landing, size: Size) -> Option<CtxValue<'m>> {
        let _ = (landing, size);
        None
    }

    /// Stores the low `size` bytes of `value` into a field of the context that the program's type may store in this
    /// size; `None` where this kernel does not have the field.
    fn ctx_store(&self, landing: Landing, size: Size, value: u64) -> Option<()> {
        let _ = (landing, size, value);
        None
    }

    /// Gives the packet's memory as it is now.
    fn packet(&self) -> Option<Packet<'m>> {
        None
    }

    /// Loads from the packet in network order, for the legacy packet loads (`bpf_skb_load_helper_*` in
    /// `net/core/filter.c`); `None` where no such bytes are, which ends the function with 0.
    ///
    /// Negative offsets are Linux's `SKF_AD_OFF`, `SKF_NET_OFF` and `SKF_LL_OFF`.
    fn packet_load(&self, offset: i32, size: PacketSize) -> Option<u64> {
        let packet = self.packet()?;
        let offset = packet.data.checked_add(usize::try_from(offset).ok()?)?;
        let mut bytes = [0; 8];
        let len = size.size().bytes() as usize;
        packet.bytes.copy_out(offset, &mut bytes[8 - len..]).ok()?;
        Some(u64::from_be_bytes(bytes))
    }

    /// Gives the bytes of the only value of an array, which wide loads of kind 2 and 6 point into.
    fn map_value(&self, map: MapIndex) -> Option<Bytes<'m>> {
        let _ = map;
        None
    }

    /// Finds the memory that holds `len` bytes from an address on, where [`Pointers::Numbers`] lets programs reach memory
    /// by its address: exactly these bytes, and what may be done with them.
    ///
    /// [`Pointers::Numbers`]: crate::Pointers::Numbers
    fn memory_at(&self, address: u64, len: usize) -> Option<(Bytes<'m>, Rights)> {
        let _ = (address, len);
        None
    }

    /// Takes note that another program is running from now on, after a tail call and after a return from one; map
    /// indices are those of the program that runs.
    fn switched(&self, program: &'m Program) {
        let _ = program;
    }

    /// Finds the program that a tail call leads to; `None` lets the caller go on.
    fn tail_call(&self, map: MapIndex, index: u32) -> Option<&'m Program> {
        let _ = (map, index);
        None
    }
}

/// How a run starts.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'m> {
    /// r1 is the context.
    Context,
    /// r1 points to the memory, r2 is its length: how user-space virtual machines start programs.
    Memory(Bytes<'m>),
    /// r1 and r2 are zero: there is no input.
    Nothing,
}
