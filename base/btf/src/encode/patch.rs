//! Changes to records that are there; none changes a record's length.

use super::Builder;
use crate::btf::{RECORD, StrOff, TypeId, kind_number, vlen};
use crate::error::{Error, Problem};
use crate::kind::Kind;
use crate::types::{Func, SecInfo, Var};

impl Builder {
    /// Sets the size of a section of variables, which compilers leave zero.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none.
    pub fn set_datasec_size(&mut self, id: TypeId, size: u32) -> Result<(), Error> {
        let at = self.of_kind(id, Kind::Datasec, "datasec")?;
        self.put(at + 8, size);
        Ok(())
    }

    /// Sets the place of a variable in its section.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is no section, [`Problem::NoElement`] if it has no such variable.
    pub fn set_datasec_var(&mut self, id: TypeId, index: u32, var: SecInfo) -> Result<(), Error> {
        let at = self.of_kind(id, Kind::Datasec, "datasec")?;
        let len = vlen(self.word(at + 4));
        if index >= len {
            return Err(Error::of(id, at, Problem::NoElement { index: index.into(), len }));
        }
        let elem = at + RECORD + index as usize * Kind::Datasec.elem_size();
        for (offset, word) in [(0, var.type_id.0), (4, var.offset), (8, var.size)] {
            self.put(elem + offset, word);
        }
        Ok(())
    }

    /// Sets the type and the linkage of a variable.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none.
    pub fn set_var(&mut self, id: TypeId, var: Var) -> Result<(), Error> {
        let at = self.of_kind(id, Kind::Var, "var")?;
        self.put(at + 8, var.type_id.0);
        self.put(at + RECORD, var.linkage.number());
        Ok(())
    }

    /// Sets the prototype and the linkage of a function.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none.
    pub fn set_func(&mut self, id: TypeId, func: Func) -> Result<(), Error> {
        let at = self.of_kind(id, Kind::Func, "func")?;
        self.put(at + 4, u32::from(Kind::Func.number()) << 24 | vlen(func.linkage.number()));
        self.put(at + 8, func.proto.0);
        Ok(())
    }

    /// Sets the type of a parameter of a prototype.
    ///
    /// # Errors
    ///
    /// [`Problem::WrongKind`] if it is none, [`Problem::NoElement`] if it has no such parameter.
    pub fn set_param_type(&mut self, id: TypeId, index: u32, type_id: TypeId) -> Result<(), Error> {
        let at = self.of_kind(id, Kind::FuncProto, "func_proto")?;
        let len = vlen(self.word(at + 4));
        if index >= len {
            return Err(Error::of(id, at, Problem::NoElement { index: index.into(), len }));
        }
        self.put(at + RECORD + index as usize * Kind::FuncProto.elem_size() + 4, type_id.0);
        Ok(())
    }

    /// Sets the name of a type.
    ///
    /// # Errors
    ///
    /// [`Problem::UnknownType`] if there is none; a bad name is reported by [`Builder::finish`].
    pub fn set_name(&mut self, id: TypeId, name: &str) -> Result<(), Error> {
        let at = self.record_at(id)?;
        let name = self.name(name);
        self.put(at, name);
        Ok(())
    }

    /// Where the record of an own type starts.
    pub(super) fn record_at(&self, id: TypeId) -> Result<usize, Error> {
        let own = id.0.checked_sub(self.first).and_then(|own| self.offsets.get(own as usize));
        own.map(|&at| at as usize).ok_or(Error::of(id, 0, Problem::UnknownType(id)))
    }

    /// The kind of the record at byte `at`.
    pub(super) fn kind_at(&self, at: usize) -> Option<Kind> {
        Kind::from_number(kind_number(self.word(at + 4)))
    }

    pub(super) fn word(&self, at: usize) -> u32 {
        self.endian.word(&self.types, at)
    }

    /// Writes a word of a record that is there.
    pub(super) fn put(&mut self, at: usize, word: u32) {
        self.endian.put(&mut self.types, at, word);
    }

    /// Where the name of the record or element at byte `at` is stored.
    pub(super) fn name_at(&self, at: usize) -> StrOff {
        StrOff(self.word(at))
    }

    fn of_kind(&self, id: TypeId, kind: Kind, wanted: &'static str) -> Result<usize, Error> {
        let at = self.record_at(id)?;
        match self.kind_at(at) {
            Some(found) if found == kind => Ok(at),
            found => Err(Error::of(id, at, Problem::WrongKind { wanted, found })),
        }
    }
}
