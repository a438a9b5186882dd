//! What a register, or a spilled stack slot, holds.

use core::fmt;
use skep_mem::{FuncIndex, MapIndex};
use skep_model::handle;

/// Names one object of a run: a frame, the packet, a map's value, a ring record, plain memory.
///
/// A number names one object for as long as any value refers to it, dead or alive; only then is it given out again,
/// so a dangling pointer never becomes a pointer to something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(crate) u32);

/// A value with its provenance.
///
/// Null is the number zero, as it is for programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing was written here, or a call has left nothing here.
    #[default]
    Uninit,
    /// A number.
    Scalar(u64),
    /// A pointer to memory.
    Pointer {
        /// The object.
        object: ObjectId,
        /// Bytes from the object's first byte; they may lead outside until the pointer is used.
        offset: i64,
    },
    /// The context, moved by some bytes. It is a handle: loads and stores go through the context's table.
    Context(i64),
    /// A map.
    Map(MapIndex),
    /// A function of the program.
    Func(FuncIndex),
}

/// What each kind of handle has as its region in synthetic addresses, functions ([`handle`]) 2; objects come after.
const CONTEXT: u64 = 1;
const MAPS: u64 = 0x0100_0000;
const OBJECTS: u64 = 0x1000_0000;
/// The lower half at offset zero.
const FIRST_OFFSET: u64 = 0x1000_0000;

impl Value {
    /// The null pointer.
    pub const NULL: Value = Value::Scalar(0);

    /// Gives the number that a program sees where Linux lets root look at a pointer as a number.
    ///
    /// A pointer's number is made of its object's number (upper half) and its offset (lower half, from 0x1000_0000),
    /// so it is the same in every run of the same program, never zero in either half at the object's start, and
    /// ordered by offset within one object. It is not an address: nothing can be reached through it.
    #[inline]
    pub fn bits(self) -> Option<u64> {
        let at = |region: u64, offset: i64| {
            Some((region << 32).wrapping_add(FIRST_OFFSET).wrapping_add(offset as u64))
        };
        match self {
            Value::Uninit => None,
            Value::Scalar(number) => Some(number),
            Value::Pointer { object, offset } => at(OBJECTS + u64::from(object.0), offset),
            Value::Context(offset) => at(CONTEXT, offset),
            Value::Map(MapIndex(index)) => at(MAPS.wrapping_add(u64::from(index)), 0),
            Value::Func(FuncIndex(position)) => Some(handle::function(position)),
        }
    }

    /// Finds the object and offset that a number of [`Value::bits`] was made of, if it was made of a pointer to one.
    pub(crate) fn object_of_bits(bits: u64) -> Option<(ObjectId, usize)> {
        let object = u32::try_from((bits >> 32).checked_sub(OBJECTS)?).ok()?;
        let offset = (bits as u32).checked_sub(FIRST_OFFSET as u32)?;
        Some((ObjectId(object), offset as usize))
    }

    /// Tells whether it is a pointer or a handle, which loses its provenance as a number.
    pub fn has_provenance(self) -> bool {
        !matches!(self, Value::Uninit | Value::Scalar(_))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Scalar(number)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Uninit => f.write_str("uninitialised"),
            Value::Scalar(number) => write!(f, "{number:#x}"),
            Value::Pointer { object, offset } => write!(f, "object {}{offset:+}", object.0),
            Value::Context(0) => f.write_str("context"),
            Value::Context(offset) => write!(f, "context{offset:+}"),
            Value::Map(MapIndex(index)) => write!(f, "map {index}"),
            Value::Func(FuncIndex(position)) => write!(f, "function {position}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_takes_two_words() {
        assert_eq!(size_of::<Value>(), 16);
    }

    #[test]
    fn numbers_of_pointers_are_distinct_and_not_null() {
        let pointer = |object, offset| Value::Pointer { object: ObjectId(object), offset };
        let all = [
            Value::Context(0),
            Value::Context(8),
            Value::Map(MapIndex(0)),
            Value::Map(MapIndex(1)),
            Value::Func(FuncIndex(0)),
            Value::Func(FuncIndex(2)),
            pointer(0, 0),
            pointer(0, 1),
            pointer(1, 0),
            pointer(u32::MAX, 0),
        ];
        for (i, a) in all.iter().enumerate() {
            let bits = a.bits().unwrap();
            assert!(bits != 0 && bits as u32 != 0 && bits % 8 == [0, 1][usize::from(*a == pointer(0, 1))]);
            assert!(all[i + 1..].iter().all(|b| b.bits() != a.bits()), "{a}");
        }
        assert!(pointer(0, -8).bits() < pointer(0, 0).bits());
        let back = |value: Value| Value::object_of_bits(value.bits().unwrap());
        assert_eq!(back(pointer(7, 9)), Some((ObjectId(7), 9)));
        assert_eq!(back(pointer(7, -1)), None);
        assert_eq!((back(Value::Context(0)), Value::object_of_bits(0)), (None, None));
        assert_eq!(Value::Uninit.bits(), None);
    }
}
