//! Reading what the engine marshalled. The engine has checked every argument against the prototype; where it hands
//! over something else all the same, the run ends rather than go on with a wrong value.

use skep_abi::Errno;
use skep_mem::{Arg, Bytes, FuncIndex, Halt, MapIndex, RecordToken, Ret};

/// What a helper gives back.
pub(crate) type Answer<'m> = Result<Ret<'m>, Halt>;

/// The arguments of one call.
#[derive(Clone, Copy)]
pub(crate) struct Args<'a, 'm>(pub(crate) &'a [Arg<'m>]);

impl<'m> Args<'_, 'm> {
    fn at(&self, index: usize) -> Arg<'m> {
        self.0.get(index).copied().unwrap_or(Arg::Null)
    }

    /// A number; a null pointer is zero, and where anything goes a pointer to memory is its address.
    pub(crate) fn int(&self, index: usize) -> Result<u64, Halt> {
        match self.at(index) {
            Arg::Int(value) => Ok(value),
            Arg::Null => Ok(0),
            Arg::Bytes(bytes) => Ok(bytes.addr() as u64),
            other => mismatch(index, other),
        }
    }

    /// The low half of a number, as C helpers take `u32` and `int`.
    pub(crate) fn int32(&self, index: usize) -> Result<u32, Halt> {
        Ok(self.int(index)? as u32)
    }

    /// Memory; null is no bytes.
    pub(crate) fn bytes(&self, index: usize) -> Result<Bytes<'m>, Halt> {
        match self.at(index) {
            Arg::Bytes(bytes) => Ok(bytes),
            Arg::Null => Ok(Bytes::empty()),
            other => mismatch(index, other),
        }
    }

    /// A map.
    pub(crate) fn map(&self, index: usize) -> Result<MapIndex, Halt> {
        match self.at(index) {
            Arg::Map(map) => Ok(map),
            other => mismatch(index, other),
        }
    }

    /// An open ring record.
    pub(crate) fn record(&self, index: usize) -> Result<(MapIndex, RecordToken), Halt> {
        match self.at(index) {
            Arg::Record(map, token, _) => Ok((map, token)),
            other => mismatch(index, other),
        }
    }

    /// A function of the program.
    pub(crate) fn func(&self, index: usize) -> Result<FuncIndex, Halt> {
        match self.at(index) {
            Arg::Func(func) => Ok(func),
            other => mismatch(index, other),
        }
    }
}

fn mismatch<T>(index: usize, found: Arg<'_>) -> Result<T, Halt> {
    debug_assert!(false, "argument {} is {found:?}, which the prototype does not allow", index + 1);
    Err(Halt)
}

/// A number.
pub(crate) fn int<'m>(value: u64) -> Answer<'m> {
    Ok(Ret::Int(value))
}

/// Zero for done, a negative errno for failed.
pub(crate) fn status<'m>(outcome: Result<(), Errno>) -> Answer<'m> {
    signed(outcome.map(|()| 0))
}

/// A number, or a negative errno.
pub(crate) fn signed<'m>(outcome: Result<i64, Errno>) -> Answer<'m> {
    int(match outcome {
        Ok(value) => value as u64,
        Err(errno) => negative(errno) as u64,
    })
}

/// An errno as helpers report it.
pub(crate) fn negative(errno: Errno) -> i64 {
    -i64::from(errno.raw())
}
