//! Going through all that a kernel holds.

use super::{BtfObject, not_opened, words};
use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Link, Map, Program};
use skep_sys::{Handle, ObjectKind};

impl Kernel {
    /// Lists the ids of all objects of a kind, ascending. Those that come or go in the meantime may be there or not.
    ///
    /// # Errors
    /// [`ErrorKind::Permission`] without `CAP_SYS_ADMIN`; nothing follows an error.
    pub fn ids(&self, kind: ObjectKind) -> impl Iterator<Item = Result<u32>> {
        let mut last = Some(0);
        std::iter::from_fn(move || {
            let after = last.take()?;
            match self.sys().next_id(kind, after) {
                Ok(next) => {
                    last = next;
                    next.map(Ok)
                }
                Err(error) => {
                    let words = words(kind);
                    let object = format!("{} after {after}", words.noun);
                    Some(Err(Error::call(words.next_id, error).of_object(object)))
                }
            }
        })
    }

    /// Opens all programs, by ascending id; those that are gone by then are left out.
    ///
    /// # Errors
    /// As [`Kernel::ids`] and [`Program::from_id`].
    pub fn programs(&self) -> impl Iterator<Item = Result<Program>> {
        self.each(ObjectKind::Prog, Program::from_id)
    }

    /// Opens all maps, by ascending id; those that are gone by then are left out.
    ///
    /// # Errors
    /// As [`Kernel::ids`] and [`Map::from_id`].
    pub fn maps(&self) -> impl Iterator<Item = Result<Map>> {
        self.each(ObjectKind::Map, Map::from_id)
    }

    /// Opens all links, by ascending id; those that are gone by then are left out. What an open link has attached stays
    /// attached for as long as it is open, even if its owner closes it.
    ///
    /// # Errors
    /// As [`Kernel::ids`] and [`Link::from_id`].
    pub fn links(&self) -> impl Iterator<Item = Result<Link>> {
        self.each(ObjectKind::Link, Link::from_id)
    }

    /// Opens all types, by ascending id: the kernel's own, those of its modules, and those that programs brought. Those
    /// that are gone by then are left out.
    ///
    /// # Errors
    /// As [`Kernel::ids`] and [`BtfObject::from_id`].
    pub fn btf_objects(&self) -> impl Iterator<Item = Result<BtfObject>> {
        self.each(ObjectKind::Btf, BtfObject::from_id)
    }

    fn each<T>(
        &self,
        kind: ObjectKind,
        open: impl Fn(&Kernel, u32) -> Result<T>,
    ) -> impl Iterator<Item = Result<T>> {
        self.ids(kind).filter_map(move |id| match id.and_then(|id| open(self, id)) {
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            answer => Some(answer),
        })
    }

    /// Opens an object by its id.
    pub(crate) fn open_id(&self, kind: ObjectKind, id: u32) -> Result<Handle> {
        self.sys().fd_by_id(kind, id, 0).map_err(|error| not_opened(kind, id, error))
    }
}
