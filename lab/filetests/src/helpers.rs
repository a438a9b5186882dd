//! The helpers that cases may call, said once for all engines: they take numbers, memory and functions, end runs, and give out
//! records that are memory only until they are given back.

use skep_mem::{Block, Bytes, Lend};
use skep_model::platform::FuncId;
use std::cell::Cell;

/// The number of a helper that makes one number of its five arguments.
pub const MIX: u32 = 0x4000_0001;
/// The number of a helper that adds up as many bytes at r1 as r2 says, if the program may read them.
pub const SUM: u32 = 0x4000_0002;
/// The number of a helper that writes r3 to as many bytes at r1 as r2 says, if the program may.
pub const FILL: u32 = 0x4000_0003;
/// The number of a helper that calls the function in r2 as often as r1 says at most, until it returns a multiple of eight: with
/// what it got as r3, the round and three numbers.
pub const EACH: u32 = 0x4000_0004;
/// The number of a helper that ends the run if r1 is a multiple of eight.
pub const UNWIND: u32 = 0x4000_0005;

/// The descriptor of the ring whose records Linux's helpers reserve, submit and discard.
pub const RING: i32 = 3;

/// How many of those are functions of our own.
pub(crate) const OWN: [u32; 5] = [MIX, SUM, FILL, EACH, UNWIND];

/// What the run lends a helper.
pub(crate) trait Lent {
    /// Takes fuel; nothing where it has ended the run.
    fn charge(&mut self, units: u64) -> Option<()>;

    /// Lends memory, if the program may use it so.
    fn memory(&mut self, address: u64, len: usize, how: Lend) -> Option<Bytes<'_>>;

    /// Calls the function that a number names with what the helper got as r3 and three more; nothing where that has ended the
    /// run.
    fn call(&mut self, function: u32, round: u64) -> Option<u64>;

    /// Counts the functions.
    fn functions(&self) -> u32;
}

/// How a call ended.
pub(crate) enum End {
    /// The run has ended inside.
    Inside,
    /// The run ends with this number.
    Unwind(u64),
    /// There is no such helper.
    Unknown,
}

/// What is passed to functions that are called back, after the first argument and the round.
pub(crate) const MORE: [u64; 3] = [7, 8, 9];

pub(crate) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |mixed: u64, number| mixed.rotate_left(7).wrapping_mul(31).wrapping_add(*number))
}

/// Calls one of our own.
pub(crate) fn call(id: u32, args: [u64; 5], lent: &mut dyn Lent) -> Result<u64, End> {
    let [r1, r2, r3, ..] = args;
    match id {
        MIX => Ok(mix(&args)),
        SUM => {
            lent.charge(1 + r2 / 8).ok_or(End::Inside)?;
            let Some(bytes) = lent.memory(r1, r2 as usize, Lend::Read) else { return Ok(u64::MAX) };
            Ok((0..bytes.len()).filter_map(|at| bytes.load_u8(at).ok()).map(u64::from).sum())
        }
        FILL => {
            lent.charge(1 + r2 / 8).ok_or(End::Inside)?;
            let Some(bytes) = lent.memory(r1, r2 as usize, Lend::Write) else { return Ok(u64::MAX) };
            bytes.fill(r3 as u8);
            Ok(1)
        }
        EACH => {
            let named = skep_model::handle::function_of(r2).filter(|position| *position < lent.functions());
            let Some(function) = named else { return Ok(u64::MAX) };
            let mut mixed = r1;
            for round in 0..r1 % 16 {
                let returned = lent.call(function, round).ok_or(End::Inside)?;
                mixed = mix(&[mixed, returned]);
                if returned % 8 == 0 {
                    break;
                }
            }
            Ok(mixed)
        }
        UNWIND if r1 % 8 == 0 => Err(End::Unwind(r1)),
        UNWIND => Ok(r1 / 8),
        _ => Err(End::Unknown),
    }
}

/// Counts the records that may be open at once.
const RECORDS: usize = 4;
/// Counts the bytes of one, behind which nothing is that may be touched.
const RECORD: usize = 32;
/// Counts the bytes from one to the next.
const STRIDE: usize = 64;

/// The memory of a ring's records, at the same addresses in every run.
#[derive(Debug)]
pub(crate) struct Ring(Block);

impl Ring {
    pub(crate) fn new() -> Result<Ring, String> {
        Block::zeroed(RECORDS * STRIDE).map(Ring).map_err(|error| error.to_string())
    }

    /// Gives the records of one run, none of which is open.
    pub(crate) fn records(&self) -> Records<'_> {
        Records { memory: self.0.bytes(), open: Cell::new([None; RECORDS]) }
    }
}

/// Which records are open.
#[derive(Debug)]
pub(crate) struct Records<'m> {
    memory: Bytes<'m>,
    /// The length of each.
    open: Cell<[Option<usize>; RECORDS]>,
}

impl<'m> Records<'m> {
    /// Reserves a record of zeroes, and says which it is.
    pub(crate) fn reserve(&self, size: u64) -> Option<(u64, Bytes<'m>)> {
        let size = usize::try_from(size).ok().filter(|size| *size <= RECORD)?;
        let mut open = self.open.get();
        let slot = open.iter().position(Option::is_none)?;
        open[slot] = Some(size);
        self.open.set(open);
        let bytes = self.memory.slice(slot * STRIDE, size).ok()?;
        bytes.fill(0);
        Some((slot as u64, bytes))
    }

    /// Finds the open record that starts at an address.
    pub(crate) fn find(&self, address: u64) -> Option<(u64, Bytes<'m>)> {
        let is_meant = |(slot, size): (usize, &Option<usize>)| {
            let bytes = self.memory.slice(slot * STRIDE, (*size)?).ok()?;
            (bytes.addr() as u64 == address).then_some((slot as u64, bytes))
        };
        self.open.get().iter().enumerate().find_map(is_meant)
    }

    /// Ends a record.
    pub(crate) fn commit(&self, slot: u64) {
        let mut open = self.open.get();
        if let Some(slot) = open.get_mut(slot as usize) {
            *slot = None;
        }
        self.open.set(open);
    }
}

/// Says whether a number is one of Linux's helpers on records that are here.
pub(crate) fn is_of_ring(id: u32) -> bool {
    matches!(FuncId(id), FuncId::RINGBUF_RESERVE | FuncId::RINGBUF_SUBMIT | FuncId::RINGBUF_DISCARD)
}
