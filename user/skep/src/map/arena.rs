//! The memory of an arena.

use super::cell::{load, store};
use super::{Map, SharedCell};
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::BPF_F_SEGV_ON_FAULT;
use skep_abi::{Errno, MapInfo, MapType};
use skep_sys::{MapFd, Mapping};
use std::num::NonZeroUsize;
use zerocopy::{Immutable, IntoBytes, TryFromBytes};

/// The memory of an arena, which programs and this process share: whoever touches a page first makes it, and pointers that
/// programs store there are addresses of this process ([`Arena::offset_of`]).
///
/// Programs write it at any time. What is read or written here is bytes; where they are an aligned integer of up to eight
/// bytes, in one piece.
#[derive(Clone, Copy, Debug)]
pub struct Arena<'m> {
    map: &'m Map,
    memory: &'m Mapping,
}

/// What an object has in an arena.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variables {
    /// Where they begin.
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl<'m> Arena<'m> {
    /// Gives the bytes of the arena.
    #[allow(clippy::len_without_is_empty, reason = "no arena is empty")]
    pub fn len(&self) -> usize {
        self.memory.len()
    }

    /// Gives the address of its first byte in this process, which is what a pointer to it is.
    pub fn address(&self) -> usize {
        self.memory.address()
    }

    /// Tells where in the arena a pointer leads that a program has stored; `None` where it leads elsewhere, as null does.
    pub fn offset_of(&self, pointer: u64) -> Option<usize> {
        let offset = usize::try_from(pointer).ok()?.checked_sub(self.address())?;
        (offset < self.len()).then_some(offset)
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where they lie outside.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result<()> {
        load(self.memory, at, into).map_err(|error| self.outside(&error))
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where they lie outside.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result<()> {
        let stored = store(self.memory, at, bytes);
        stored.ok_or_else(|| self.outside(&format!("{} bytes at {at} of {}", bytes.len(), self.len())))
    }

    /// Takes what lies at a place by a type of Rust, with atomic operations for integers.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it lies outside.
    pub fn cell<T: IntoBytes + TryFromBytes + Immutable>(&self, at: usize) -> Result<SharedCell<'m, T>> {
        match at.checked_add(size_of::<T>()) {
            Some(end) if end <= self.len() => Ok(SharedCell::new(self.map, 0, at)),
            _ => Err(self.outside(&format!("{} bytes at {at} of {}", size_of::<T>(), self.len()))),
        }
    }

    fn outside(&self, what: &dyn std::fmt::Display) -> Error {
        Error::new(ErrorKind::Setting, format!("reaches outside of the arena: {what}"))
            .in_map(self.map.name())
    }
}

impl Map {
    /// Gives the memory of an arena. One that was opened by its id or pin is mapped when it is first asked for, where its
    /// `map_extra` says; without that it can be mapped by nobody but who loaded it.
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where it is no arena, or one that ends whoever touches a page that no program has allocated
    /// (`BPF_F_SEGV_ON_FAULT`); [`ErrorKind::Kernel`] where it cannot be mapped, as where something else is at its address.
    pub fn arena(&self) -> Result<Arena<'_>> {
        if self.map_type() != MapType::ARENA {
            return Err(Error::new(ErrorKind::Setting, "is no arena").in_map(&self.name));
        }
        if self.flags()? & BPF_F_SEGV_ON_FAULT != 0 {
            let what = "is an arena whose pages only programs make, and touching one that is not made ends this process";
            return Err(Error::new(ErrorKind::Setting, what).in_map(&self.name));
        }
        let memory = self.memory()?.ok_or_else(|| self.error("mmap arena", Errno::EOPNOTSUPP))?;
        Ok(Arena { map: self, memory })
    }

    /// Says what of an arena was mapped when it was made, and where the object's variables are in it.
    pub(crate) fn with_arena(mut self, variables: Variables, memory: Option<Mapping>) -> Map {
        self.variables = variables;
        if let Some(memory) = memory {
            self.memory = Some(memory).into();
        }
        self
    }

    /// Maps an arena that was made before.
    pub(super) fn map_arena(&self) -> Result<Mapping> {
        let info = self.info()?;
        map(&self.kernel, &self.fd, &info).map_err(|error| error.in_map(&self.name))
    }
}

/// Maps an arena where its `map_extra` says, or anywhere.
pub(crate) fn map(kernel: &crate::Kernel, fd: &MapFd, info: &MapInfo) -> Result<Mapping> {
    let unfit = || Error::call("mmap arena", Errno::EINVAL);
    let len = kernel.page_size()?.checked_mul(info.max_entries as usize).ok_or_else(unfit)?;
    let at = usize::try_from(info.map_extra).map_err(|_| unfit())?;
    let answer = kernel.sys().map_arena(fd.handle(), len, NonZeroUsize::new(at));
    answer.map_err(|errno| {
        let error = Error::call("mmap arena", errno);
        match errno {
            Errno::EEXIST => {
                error.hint(&format!("its map_extra asks for the address {at:#x}, where something else is"))
            }
            Errno::EBUSY => error.hint("it is mapped at another address, which only its maker knows"),
            _ => error,
        }
    })
}
