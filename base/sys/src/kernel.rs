//! The one trait, and the shared value that everything above it holds.

use crate::{ArenaCall, Call, Handle, Image, MapCall, Mapping, Protection, Reply, mapping::Writable};
use alloc::sync::Arc;
use core::fmt;
use core::num::NonZeroUsize;
use core::sync::atomic::AtomicU32;
use skep_abi::Errno;

/// A kernel that answers [`Call`]s.
pub trait Sys: Send + Sync {
    /// Answers one call. A failed call has had no effect, except that `Close` and `Unmap` always take place.
    ///
    /// # Errors
    /// What Linux 6.18 answers to the same mistake.
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno>;
}

/// A shared kernel behind the seam: cheap to clone, and kept alive by every handle and mapping that it gave.
#[derive(Clone)]
pub struct Kernel {
    sys: Arc<dyn Sys>,
    /// The number of possible CPUs once it was asked for; 0 before.
    cpus: Arc<AtomicU32>,
}

impl Kernel {
    /// Puts an implementer behind the seam.
    pub fn from_sys(sys: impl Sys + 'static) -> Kernel {
        Kernel::from_arc(Arc::new(sys))
    }

    /// Puts a shared implementer behind the seam; its owner may keep the other `Arc`.
    pub fn from_arc(sys: Arc<dyn Sys>) -> Kernel {
        Kernel { sys, cpus: Arc::default() }
    }

    /// Gives the implementer, for a wrapper to stand in front of it.
    pub fn sys(&self) -> &Arc<dyn Sys> {
        &self.sys
    }

    /// Answers one call; the typed operations are built on it.
    ///
    /// # Errors
    /// As [`Sys::call`].
    pub fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        self.sys.call(call)
    }

    /// Tells whether two values are the same kernel, so that one's descriptors mean something to the other.
    pub fn is_same(&self, other: &Kernel) -> bool {
        Arc::ptr_eq(&self.sys, &other.sys)
    }

    pub(crate) fn cpus(&self) -> &AtomicU32 {
        &self.cpus
    }

    /// Makes a call that answers with a descriptor, and owns it.
    ///
    /// # Errors
    /// As [`Sys::call`].
    pub fn open(&self, call: Call<'_>) -> Result<Handle, Errno> {
        let fd = self.call(call)?.into_fd()?;
        Ok(Handle::new(self.clone(), fd))
    }

    /// Maps part of a map or a perf event.
    ///
    /// # Errors
    /// As `mmap(2)` of that object.
    pub fn map(
        &self,
        handle: &Handle,
        offset: u64,
        len: usize,
        protection: Protection,
    ) -> Result<Mapping, Errno> {
        let writable = match protection {
            Protection::Read => Writable::No,
            Protection::ReadWrite => Writable::Yes,
        };
        match self.call(Call::Map(MapCall { fd: handle.fd(), offset, len, protection }))? {
            Reply::Mapping(raw) => Ok(Mapping::new(self.clone(), raw, writable)),
            _ => Err(Errno::EPROTO),
        }
    }

    /// Maps the BTF of the kernel itself.
    ///
    /// # Errors
    /// Where it is to be read instead, whatever the error is (see [`Call::MapBtf`]).
    pub fn map_btf(&self) -> Result<Image, Errno> {
        match self.call(Call::MapBtf)? {
            Reply::Image(raw) => Ok(Image::new(self.clone(), raw)),
            _ => Err(Errno::EPROTO),
        }
    }

    /// Maps an arena as a whole, at an address that programs and this process then share for its pointers.
    ///
    /// Pages are there when someone touches them. Where the arena was made with `BPF_F_SEGV_ON_FAULT`, touching one that no
    /// program has allocated ends this process; so does any where the kernel has no memory left for it.
    ///
    /// # Errors
    /// `EEXIST` where something else is at that address; `EBUSY` where the arena is mapped at another; `EINVAL` where `len`
    /// is not its size; `EOPNOTSUPP` where the kernel is wrapped so that it cannot be followed.
    pub fn map_arena(&self, handle: &Handle, len: usize, at: Option<NonZeroUsize>) -> Result<Mapping, Errno> {
        match self.call(Call::Arena(ArenaCall { fd: handle.fd(), len, at }))? {
            Reply::Mapping(raw) => Ok(Mapping::new(self.clone(), raw, Writable::Yes)),
            _ => Err(Errno::EPROTO),
        }
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel")
    }
}
