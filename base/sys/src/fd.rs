//! File descriptors: numbers with their origin, and the handles that close them.

use crate::{Call, Kernel};
use core::fmt;

/// A descriptor as the kernel behind the seam numbers it: a real one of this process, or a number that only an
/// embedded (or replayed) kernel understands. Never both, so that no one can be taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fd {
    /// A descriptor of the operating system.
    Os(i32),
    /// A number of a kernel that is not the operating system's.
    Virtual(i32),
}

impl Fd {
    /// Gives the number, as attribute structs carry it.
    pub const fn number(self) -> i32 {
        match self {
            Fd::Os(number) | Fd::Virtual(number) => number,
        }
    }

    /// Gives the number as the unsigned fields of attribute structs carry it.
    pub const fn raw(self) -> u32 {
        self.number() as u32
    }
}

impl fmt::Display for Fd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fd::Os(number) => write!(f, "fd {number}"),
            Fd::Virtual(number) => write!(f, "virtual fd {number}"),
        }
    }
}

/// An open descriptor that closes itself through the seam it came from.
pub struct Handle {
    fd: Fd,
    kernel: Kernel,
}

impl Handle {
    /// Takes ownership of `fd`, which `kernel` has just given.
    pub fn new(kernel: Kernel, fd: Fd) -> Handle {
        Handle { fd, kernel }
    }

    /// Gives the descriptor, for use while the handle lives.
    pub fn fd(&self) -> Fd {
        self.fd
    }

    /// Gives the kernel that the descriptor belongs to.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives the descriptor's number where it is one of the operating system.
    pub fn as_os_fd(&self) -> Option<i32> {
        match self.fd {
            Fd::Os(number) => Some(number),
            Fd::Virtual(_) => None,
        }
    }

    /// Makes a second, independent handle to the same object.
    ///
    /// # Errors
    /// `EMFILE` where the descriptor table is full.
    pub fn try_clone(&self) -> Result<Handle, skep_abi::Errno> {
        let fd = self.kernel.call(Call::Dup(self.fd))?.into_fd()?;
        Ok(Handle::new(self.kernel.clone(), fd))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({})", self.fd)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // As with close(2), the descriptor is gone whatever the answer is: there is nothing left to do about an error.
        let _ = self.kernel.call(Call::Close(self.fd));
    }
}
