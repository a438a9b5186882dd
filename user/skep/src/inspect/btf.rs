//! The types that a kernel holds: its own, its modules', and those that programs brought.

use super::{INFO, not_opened};
use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Kernel;
use skep_abi::{BtfInfo, Errno};
use skep_btf::Btf;
use skep_sys::{BtfFd, ObjectKind};
use std::sync::Arc;

/// The name of the kernel's own BTF among those that it has.
const VMLINUX: &str = "vmlinux";

/// Types that a kernel holds.
#[derive(Debug)]
pub struct BtfObject {
    kernel: Kernel,
    fd: BtfFd,
    info: BtfInfo,
    name: String,
}

impl BtfObject {
    /// Opens types by their id.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if there are none with that id; [`ErrorKind::Permission`] without `CAP_SYS_ADMIN`, or a token
    /// that delegates `btf_get_fd_by_id` (Linux 6.15).
    pub fn from_id(kernel: &Kernel, id: u32) -> Result<BtfObject> {
        let fd = kernel.open_btf(id).map_err(|error| not_opened(ObjectKind::Btf, id, error))?;
        let fail = |error| Error::call(INFO, error).of_object(format_args!("BTF {id}"));
        let (info, name) = match fd.info_and_name() {
            // Names came with Linux 5.11, which has the kernel's own types among the others since then.
            Err(error) if error.errno() == Errno::E2BIG => (fd.info().map_err(fail)?, String::new()),
            answer => answer.map_err(fail)?,
        };
        Ok(BtfObject { kernel: kernel.clone(), fd, info, name })
    }

    /// Gives the id.
    pub fn id(&self) -> u32 {
        self.info.id
    }

    /// Gives the name: `vmlinux`, a module's, or whatever who loaded it has called it; mostly nothing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells whether it is the kernel's own or a module's.
    pub fn is_kernel(&self) -> bool {
        self.info.kernel_btf != 0
    }

    /// Gives its size in bytes.
    pub fn size(&self) -> u32 {
        self.info.btf_size
    }

    /// Gives the seam's own value, for what this type has no word for.
    pub fn fd(&self) -> &BtfFd {
        &self.fd
    }

    /// Reads the types; a module's continue the kernel's own.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if they cannot be read as BTF.
    pub fn read(&self) -> Result<Btf<'static>> {
        let object = || format!("BTF {}", self.info.id);
        let bytes = self.fd.data().map_err(|error| Error::call(INFO, error).of_object(object()))?;
        let btf = match self.is_kernel() && self.name != VMLINUX {
            true => Btf::from_vec_split(bytes, self.kernel.vmlinux()?),
            false => Btf::from_vec(bytes),
        };
        btf.map_err(|error| {
            let what = format!("cannot be read: {error}");
            Error::new(ErrorKind::Unsupported, what).of_object(object()).with_source(error)
        })
    }
}

impl Kernel {
    /// Reads the kernel's own BTF. It is shared: several megabytes, kept for as long as somebody uses it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if it cannot be read as BTF; `ENOENT` where the kernel was built without.
    pub fn vmlinux_btf(&self) -> Result<Arc<Btf<'static>>> {
        self.vmlinux()
    }

    /// Reads the BTF of a module, which continues the kernel's own.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if no such module is loaded, or it has no BTF; as [`Kernel::vmlinux_btf`].
    pub fn module_btf(&self, name: &str) -> Result<Btf<'static>> {
        if name.is_empty() || name.contains(['/', '\0']) || name.starts_with('.') || name == VMLINUX {
            return Err(Error::new(ErrorKind::Setting, format!("`{name}` is no name of a module")));
        }
        let path = format!("/sys/kernel/btf/{name}");
        let bytes = self.sys().file_read(&path).map_err(|error| match error.errno() {
            Errno::ENOENT => Error::not_found(format!("there is no module {name} with BTF"))
                .with_errno(Errno::ENOENT)
                .at_path(&path),
            _ => Error::call("read", error).at_path(&path),
        })?;
        Btf::from_vec_split(bytes, self.vmlinux()?).map_err(|error| {
            Error::new(ErrorKind::Unsupported, error.to_string()).at_path(&path).with_source(error)
        })
    }

    /// Reads BTF by its id: a program's, the kernel's own, or a module's, which continues that.
    ///
    /// # Errors
    /// As [`BtfObject::from_id`] and [`BtfObject::read`].
    pub fn btf_by_id(&self, id: u32) -> Result<Btf<'static>> {
        BtfObject::from_id(self, id)?.read()
    }
}
