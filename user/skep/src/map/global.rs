//! Global variables of a loaded object.

use super::cell::{load, store};
use super::{Map, SharedCell, cell};
use crate::error::{Error, ErrorKind, Result};
use crate::object::read_part;
use skep_abi::Errno;
use skep_abi::flags::BPF_ANY;
use skep_btf::{Btf, Literal, Located, TypeId, Value};
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// A global variable of a loaded object, or a part of one.
///
/// Where the kernel lets the section be mapped into memory (Linux 5.5), reads and writes are of that memory: an aligned
/// variable of up to eight bytes is written as a whole, and no other variable is touched. Elsewhere the section is read
/// and written as a whole, and what a program changes in between is lost.
#[derive(Debug)]
pub struct Global<'l> {
    map: &'l Map,
    btf: &'l Btf<'static>,
    /// Of the variable in its section.
    start: usize,
    len: usize,
    type_id: TypeId,
    /// What leads to a part of the variable.
    path: String,
    /// The bytes of the variable that the path leads to.
    part: std::ops::Range<usize>,
    bitfield: bool,
}

impl<'l> Global<'l> {
    pub(crate) fn new(map: &'l Map, btf: &'l Btf<'static>, found: &Located<'_, '_>) -> Result<Global<'l>> {
        let bad = |error: skep_btf::Error| {
            Error::new(ErrorKind::NotFound, error.problem.to_string()).with_source(error)
        };
        let (start, len) = (found.variable.offset as usize, found.variable.size as usize);
        // Of variables in an arena, no map has the value.
        let size = map.value_size().max(map.variables.len);
        if start.checked_add(len).is_none_or(|end| end > size) {
            return Err(Error::not_found("lies outside its section"));
        }
        let start = map.variables.start + start;
        let type_id = found.variable.type_id;
        let field = btf.field(type_id, found.path).map_err(bad)?;
        let bits = match field.bitfield {
            Some(width) => u64::from(width.get()),
            None => u64::from(btf.size_of(field.type_id).map_err(bad)?) * 8,
        };
        let first = usize::try_from(field.bit_offset / 8).unwrap_or(usize::MAX);
        let last = usize::try_from((field.bit_offset + bits).div_ceil(8)).unwrap_or(usize::MAX);
        if last > len {
            return Err(Error::not_found("lies outside its variable"));
        }
        let path = found.path.to_owned();
        let bitfield = field.bitfield.is_some();
        Ok(Global { map, btf, start, len, type_id, path, part: first..last, bitfield })
    }

    /// Reads it by its type.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn value(&self) -> Result<Value<'l>> {
        read_part(self.btf, self.type_id, &self.path, &self.variable()?)
    }

    /// Reads its bytes; of a bitfield, those that it lies in.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        Ok(self.variable()?[self.part.clone()].to_vec())
    }

    /// Sets it from text that is read by its type, as [`crate::Object::set_global`] does.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the text does not fit; [`ErrorKind::Permission`] for `.rodata`, which is frozen
    /// when it is loaded.
    pub fn set(&self, text: &str) -> Result<()> {
        self.set_to(Literal::Text(text))
    }

    /// Sets it to a value.
    ///
    /// # Errors
    /// As [`Global::set`].
    pub fn set_to(&self, value: Literal<'_>) -> Result<()> {
        let mut bytes = self.variable()?;
        self.btf.assign(self.type_id, &self.path, value, &mut bytes).map_err(|error| {
            Error::new(ErrorKind::Setting, error.to_string()).in_variable(&self.path).with_source(error)
        })?;
        let part = &bytes[self.part.clone()];
        let at = self.start + self.part.start;
        match self.map.memory()? {
            Some(memory) => store(memory, at, part).ok_or_else(|| self.frozen("mmap")),
            None => {
                let mut whole = self.section()?;
                // `new` has checked that the part lies inside.
                whole[at..at + part.len()].copy_from_slice(part);
                let answer = self.map.fd.update(&0u32.to_ne_bytes(), &whole, BPF_ANY);
                answer.map_err(|error| match error.errno() {
                    Errno::EPERM => self.frozen("BPF_MAP_UPDATE_ELEM"),
                    _ => self.map.error("BPF_MAP_UPDATE_ELEM", error),
                })
            }
        }
    }

    /// Sets its bytes.
    ///
    /// # Errors
    /// As [`Global::set`]; the number of bytes must be the type's.
    pub fn set_bytes(&self, bytes: &[u8]) -> Result<()> {
        self.set_to(Literal::Bytes(bytes))
    }

    /// Takes it by a type of Rust, to be read and written without its name being looked up again, and with atomic
    /// operations.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it has another size, or is a bitfield.
    pub fn cell<T: IntoBytes + TryFromBytes + Immutable>(&self) -> Result<SharedCell<'l, T>> {
        let what = match self.bitfield {
            true => "is a bitfield, which only its name leads to".to_owned(),
            false if self.part.len() == size_of::<T>() => {
                return Ok(SharedCell::new(self.map, 0, self.start + self.part.start));
            }
            false => {
                let name = std::any::type_name::<T>();
                format!("has {} bytes; {name} has {}", self.part.len(), size_of::<T>())
            }
        };
        Err(Error::new(ErrorKind::Setting, what).in_map(self.map.name()))
    }

    fn frozen(&self, call: &'static str) -> Error {
        cell::frozen(self.map, call)
    }

    /// Reads the bytes of the variable.
    fn variable(&self) -> Result<Vec<u8>> {
        let Some(memory) = self.map.memory()? else {
            let whole = self.section()?;
            return Ok(whole[self.start..self.start + self.len].to_vec());
        };
        let mut bytes = vec![0; self.len];
        // A kernel that maps less than it was asked for.
        let read = load(memory, self.start, &mut bytes);
        read.map_err(|what| Error::new(ErrorKind::Corrupt, what).in_map(self.map.name()))?;
        Ok(bytes)
    }

    /// Reads the whole section.
    fn section(&self) -> Result<Vec<u8>> {
        let whole = self.map.lookup(&0u32.to_ne_bytes())?;
        whole.ok_or_else(|| self.map.error("BPF_MAP_LOOKUP_ELEM", Errno::ENOENT))
    }
}
