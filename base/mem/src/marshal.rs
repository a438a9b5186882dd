//! What crosses between an engine and a helper: arguments already checked against the prototype, and results.
//!
//! A helper never sees an address as a number and never a register: the engine that runs the program has looked at
//! the prototype, checked each argument and turned it into one of these. `'m` is the life of the memory that the
//! run holds (its maps, its context, its frames).

use crate::Bytes;

/// Position of a map in the list of maps that a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MapIndex(pub u32);

/// A function of the running program: its position among the functions, in the order of their first slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FuncIndex(pub u32);

/// What a ring map gave out with a reservation, to know it again: the record's offset in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordToken(pub u64);

/// One helper argument.
#[derive(Clone, Copy, Debug)]
pub enum Arg<'m> {
    /// A number.
    Int(u64),
    /// The null pointer, where the prototype allows it.
    Null,
    /// The program's context.
    Ctx,
    /// A map.
    Map(MapIndex),
    /// Memory of exactly the size that the prototype or the size argument says.
    Bytes(Bytes<'m>),
    /// An open ring record: of which map, which reservation, and its bytes.
    Record(MapIndex, RecordToken, Bytes<'m>),
    /// A function of this program, for helpers that call back.
    Func(FuncIndex),
    /// A value that the helper only hands on to a callback; see [`CallbackArg::Pass`].
    Opaque,
}

/// What a helper answers.
#[derive(Clone, Copy, Debug)]
pub enum Ret<'m> {
    /// A number; negative errnos are two's complement.
    Int(u64),
    /// The null pointer.
    Null,
    /// A value in a map; stays memory of that map for as long as the map lives.
    MapValue(MapIndex, Bytes<'m>),
    /// An open ring record, which the program must submit or discard.
    Record(MapIndex, RecordToken, Bytes<'m>),
}

/// One argument of a callback.
#[derive(Clone, Copy, Debug)]
pub enum CallbackArg<'m> {
    /// A number.
    Int(u64),
    /// A map.
    Map(MapIndex),
    /// A map's key, readable during this one call.
    Key(Bytes<'m>),
    /// A map's value.
    Value(MapIndex, Bytes<'m>),
    /// The value that the program passed as the helper's argument of this position (0 to 4), unchanged.
    Pass(usize),
}

/// What is to be done with memory that is lent by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lend {
    /// It is read.
    Read,
    /// It is written, all of it.
    Write,
    /// It is read and written.
    ReadWrite,
}

impl Lend {
    /// Tells whether the memory is read.
    pub const fn reads(self) -> bool {
        !matches!(self, Lend::Write)
    }

    /// Tells whether the memory is written.
    pub const fn writes(self) -> bool {
        !matches!(self, Lend::Read)
    }
}

/// The run has ended inside a callback (a fault, or no fuel left): the helper returns it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt;

/// Calls back into the program that called the helper.
pub trait Invoke<'m> {
    /// Runs `func` with up to five arguments and gives its r0.
    ///
    /// # Errors
    /// [`Halt`] where the run ended inside; the helper must return it without further effect.
    fn invoke(&mut self, func: FuncIndex, args: &[CallbackArg<'m>]) -> Result<u64, Halt>;

    /// Takes `units` of work from the fuel (one unit is about one instruction), for helpers whose work grows
    /// with their arguments.
    ///
    /// # Errors
    /// [`Halt`] where the fuel is spent.
    fn charge(&mut self, units: u64) -> Result<(), Halt>;

    /// Finds the memory from where a pointer pointed up to its end, given the number that the engine made of the
    /// pointer, for helpers to which programs hand pointers as numbers in memory; nothing where numbers are addresses,
    /// or there is no such memory any more.
    fn pointee(&self, number: u64) -> Option<Bytes<'m>> {
        let _ = number;
        None
    }

    /// Lends `len` bytes that the program may itself use so, from where a pointer points that it passed as a number; for
    /// helpers without a prototype, whose embedder knows which arguments are pointers. What is written counts as
    /// initialised afterwards.
    fn lend(&mut self, number: u64, len: usize, how: Lend) -> Option<Bytes<'m>> {
        let _ = (number, len, how);
        None
    }
}
