//! The helpers that programs may call: what each does is said once, for machine code and for the reference.

use crate::layout::{AREAS, Area, LATE};
use skep_mem::Bytes;
use skep_model::handle;
use skep_vm::{CallEnd, Calls, Reach, StopKind};
use std::cell::Cell;

/// Makes one number of five; generated programs call it by this number.
pub const MIX: u32 = skep_lab_filetests::MIX;
/// Gives an address in, or near, the area that r1 counts.
pub const AREA: u32 = 2;
/// Writes as many bytes at r1 as r2 says, and says whether it may.
pub const FILL: u32 = 3;
/// Gives the address of the second area, which the compiler is told, or nothing.
pub const LOW: u32 = 4;
/// Ends the run if r1 is a multiple of four.
pub const UNWIND: u32 = 5;
/// Adds up as many bytes at r1 as r2 says, or stops the run.
pub const SUM: u32 = 6;

/// Gives the address of the memory that may be read, which the compiler is told.
pub const FROZEN: u32 = 7;

/// Lends the memory that is not lent from the start, once more, and gives its address.
pub const OPEN: u32 = 8;
/// Takes it away, once.
pub const CLOSE: u32 = 9;

/// Calls the function whose number is in r1, up to three times, with r2 in r1 and the round in r2, until it returns one; gives
/// the sum of what it returned.
pub const EACH: u32 = 10;

/// Goes on in the program whose position is in r3, where programs are joined: the engine does so. Else it gives -1.
pub const FOLLOW: u32 = 11;

/// Lists all of them.
pub const ALL: [u32; 11] = [MIX, AREA, FILL, LOW, UNWIND, SUM, FROZEN, OPEN, CLOSE, EACH, FOLLOW];

/// Bounds how many programs may follow one another in a run.
pub const MOST_FOLLOW: u32 = 5;

/// Says to which area a helper promises its result to point.
pub const fn promised(id: u32) -> Option<u16> {
    match id {
        LOW => Some(1),
        FROZEN => Some(2),
        _ => None,
    }
}

/// Is what a call gives that goes on in no other program.
pub const NO_PROGRAM: u64 = u64::MAX;
/// Is what a call of no function gives.
const NO_FUNCTION: u64 = -22i64 as u64;
/// The most bytes that a helper looks at.
const MOST: u64 = 64;
/// The most fuel that a helper charges.
pub const MOST_CHARGED: u64 = 1 + MOST / 8;

/// Is what a helper may use of a run.
pub trait World {
    /// Takes fuel.
    ///
    /// # Errors
    /// The end of the run, as there is not enough.
    fn charge(&mut self, units: u64) -> Result<(), CallEnd>;

    /// Writes the same to some bytes, if the program may.
    fn fill(&mut self, address: u64, len: u64, byte: u8) -> bool;

    /// Lends the memory that is not lent from the start.
    ///
    /// # Errors
    /// The end of the run, as there is no memory to note it.
    fn open(&mut self) -> Result<(), CallEnd>;

    /// Takes it away.
    fn close(&mut self);

    /// Calls a function of the program.
    ///
    /// # Errors
    /// How the run has ended inside it, or that there is no such function.
    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd>;

    /// Adds up some bytes, if the program may read them.
    fn sum(&mut self, address: u64, len: u64) -> Option<u64>;
}

/// Remembers the calls of a run, as one number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Counts them.
    pub count: u64,
    /// Is made of their numbers and arguments.
    pub digest: u64,
    /// Counts the functions that they have called.
    pub back: u64,
}

fn mix(args: [u64; 5]) -> u64 {
    args.iter().fold(0, |mixed: u64, arg| mixed.rotate_left(7).wrapping_mul(31).wrapping_add(*arg))
}

/// Calls a helper.
///
/// # Errors
/// How it has ended the run.
pub fn call(
    id: u32,
    args: [u64; 5],
    areas: &[Area; AREAS.len()],
    seen: &Cell<Seen>,
    world: &mut dyn World,
) -> Result<u64, CallEnd> {
    let Seen { count, digest, back } = seen.get();
    let count = count + 1;
    seen.set(Seen { count, digest: mix([digest, id.into(), mix(args), count, back]), back });
    let [r1, r2, r3, r4, _] = args;
    let len = 1 + r2 % MOST;
    match id {
        MIX => Ok(mix(args)),
        AREA => {
            let area = areas[(r1 % areas.len() as u64) as usize];
            Ok((area.base + area.len / 2).wrapping_add(r2 & 0x1ff).wrapping_sub(0x100))
        }
        FILL => {
            world.charge(1 + len / 8)?;
            Ok(u64::from(world.fill(r1, len, r3 as u8)))
        }
        LOW if r1 == 7 => Ok(0),
        LOW => Ok(areas[1].base),
        FROZEN => Ok(areas[2].base),
        OPEN => {
            world.open()?;
            Ok(areas[LATE].base)
        }
        CLOSE => {
            world.close();
            Ok(0)
        }
        EACH => {
            let Some(function) = handle::function_of(r1) else { return Ok(NO_FUNCTION) };
            let mut sum = 0u64;
            for round in 0..1 + r3 % 3 {
                let before = seen.get();
                seen.set(Seen { back: before.back + 1, ..before });
                let returned = world.call_back(function, [r2, round, r3, r4, id.into()])?;
                sum = sum.wrapping_add(returned);
                if returned == 1 {
                    break;
                }
            }
            Ok(sum)
        }
        FOLLOW => Ok(NO_PROGRAM),
        UNWIND if r1 % 4 == 0 => Err(CallEnd::Unwind(r1)),
        UNWIND => Ok(r1),
        SUM => {
            world.charge(1 + len / 8)?;
            world.sum(r1, len).ok_or(CallEnd::Stop(StopKind::BadArgument { id, arg: 1 }))
        }
        id => Err(CallEnd::Stop(StopKind::UnknownHelper { id })),
    }
}

/// Has the helpers for an engine.
#[derive(Debug)]
pub struct Helpers<'a> {
    /// Holds the areas.
    pub areas: &'a [Area; AREAS.len()],
    /// Is what is not lent from the start.
    pub late: Bytes<'a>,
    /// Remembers the calls.
    pub seen: Cell<Seen>,
}

impl<'m> Calls<'m> for Helpers<'m> {
    fn helper(&self, id: u32, args: [u64; 5], reach: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        call(id, args, self.areas, &self.seen, &mut Lent(reach, self.late))
    }
}

/// What an engine lends.
struct Lent<'l, 'r, 'm>(&'l Reach<'r, 'm>, Bytes<'m>);

impl World for Lent<'_, '_, '_> {
    fn charge(&mut self, units: u64) -> Result<(), CallEnd> {
        self.0.charge(units)
    }

    fn fill(&mut self, address: u64, len: u64, byte: u8) -> bool {
        self.0.writable(address, len as usize).map(|bytes| bytes.fill(byte)).is_some()
    }

    fn open(&mut self) -> Result<(), CallEnd> {
        self.0.open(self.1)
    }

    fn close(&mut self) {
        self.0.close(self.1);
    }

    fn call_back(&mut self, function: u32, args: [u64; 5]) -> Result<u64, CallEnd> {
        self.0.call_back(function, args, None)
    }

    fn sum(&mut self, address: u64, len: u64) -> Option<u64> {
        let bytes = self.0.readable(address, len as usize)?;
        Some((0..bytes.len()).filter_map(|at| bytes.load_u8(at).ok()).map(u64::from).sum())
    }
}
