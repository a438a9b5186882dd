//! The types that a kernel holds: its own, its modules', and those that programs brought.

use crate::error::{Error, ErrorKind, Result};
use crate::kernel::Kernel;
use skep_abi::Errno;
use skep_btf::Btf;
use skep_sys::{BtfFd, ObjectKind};
use std::sync::Arc;

/// The name of the kernel's own BTF among those that it has.
const VMLINUX: &str = "vmlinux";

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
    /// [`ErrorKind::NotFound`] if there is none with that id; [`ErrorKind::Permission`] without `CAP_SYS_ADMIN`.
    pub fn btf_by_id(&self, id: u32) -> Result<Btf<'static>> {
        let info_error = |error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error);
        let handle = self.sys().fd_by_id(ObjectKind::Btf, id, 0).map_err(|error| match error.errno() {
            Errno::ENOENT => Error::not_found(format!("there is no BTF {id}")).with_errno(Errno::ENOENT),
            _ => Error::call("BPF_BTF_GET_FD_BY_ID", error),
        })?;
        let fd = BtfFd::from_handle(handle);
        let is_split =
            fd.info().map_err(info_error)?.kernel_btf != 0 && fd.name().map_err(info_error)? != VMLINUX;
        let bytes = fd.data().map_err(info_error)?;
        let btf = match is_split {
            true => Btf::from_vec_split(bytes, self.vmlinux()?),
            false => Btf::from_vec(bytes),
        };
        btf.map_err(|error| {
            Error::new(ErrorKind::Unsupported, format!("BTF {id} cannot be read: {error}")).with_source(error)
        })
    }
}
