//! Who makes a system call: the memory that the call lends, the kernel's one table of files, the rights it was given.

use crate::memory::Lent;
use crate::{Embedded, files};
use skep_abi::Errno;
use skep_mem::{Caller, Capability, FileObject, Files, Rights, UserMemory};

/// A call's caller.
pub(crate) struct EmbeddedCaller<'a> {
    pub(crate) embedded: &'a Embedded,
    pub(crate) memory: Lent<'a>,
}

impl Caller for EmbeddedCaller<'_> {
    fn memory(&self) -> &dyn UserMemory {
        &self.memory
    }
    fn files(&self) -> &dyn Files {
        self
    }
    fn rights(&self) -> &dyn Rights {
        self
    }
}

impl Rights for EmbeddedCaller<'_> {
    fn has(&self, capability: Capability) -> bool {
        !self.embedded.denied().contains(&capability)
    }
}

impl Files for EmbeddedCaller<'_> {
    fn install(&self, object: FileObject) -> Result<i32, Errno> {
        self.embedded.files().install(object)
    }

    fn lookup(&self, fd: i32) -> Result<FileObject, Errno> {
        self.embedded.files().lookup(fd)
    }

    fn pin(&self, path: &[u8], object: FileObject) -> Result<(), Errno> {
        files::pin(self.embedded, text(path)?, object)
    }

    fn pinned(&self, path: &[u8]) -> Result<FileObject, Errno> {
        files::pinned(self.embedded, text(path)?)
    }
}

/// Reads a path as text: the seam knows no others, so none can be in the file system.
fn text(path: &[u8]) -> Result<&str, Errno> {
    std::str::from_utf8(path).map_err(|_| Errno::EINVAL)
}
