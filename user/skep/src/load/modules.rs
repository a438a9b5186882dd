//! The BTF of the kernel's modules: read when something is in none but theirs.

use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::Errno;
use skep_btf::{Btf, Kind, TypeId};
use skep_sys::{BtfFd, Fd, ObjectKind};
use std::sync::Arc;

/// Position of a module in the list of those that have types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModuleIdx(usize);

/// The modules that have types, as they are when the first is asked for.
#[derive(Default)]
pub(super) struct Modules {
    list: Option<Vec<Module>>,
    /// Those that programs call functions of, as they are given with a program: what stands in a call is the place behind
    /// this one, as 0 means the kernel itself.
    called: Vec<ModuleIdx>,
}

struct Module {
    name: String,
    /// Held open for the programs and maps that refer to it.
    fd: BtfFd,
    btf: Arc<Btf<'static>>,
}

impl Modules {
    /// Finds a type that a module has itself, perhaps in the module of that name only.
    pub(super) fn find(
        &mut self,
        kernel: &Kernel,
        vmlinux: &Arc<Btf<'static>>,
        module: Option<&str>,
        name: &str,
        kind: Kind,
    ) -> Result<Option<(ModuleIdx, Arc<Btf<'static>>, TypeId)>> {
        if self.list.is_none() {
            self.list = Some(read(kernel, vmlinux)?);
        }
        let list = self.list.iter().flatten().enumerate();
        for (index, candidate) in list.filter(|(_, found)| module.is_none_or(|module| module == found.name)) {
            let found = candidate.btf.own_types().find(|ty| ty.kind() == Some(kind) && ty.name() == name);
            if let Some(found) = found {
                return Ok(Some((ModuleIdx(index), Arc::clone(&candidate.btf), found.id())));
            }
        }
        Ok(None)
    }

    /// Gives the descriptor of a module's BTF.
    pub(super) fn fd(&self, module: ModuleIdx) -> Option<Fd> {
        Some(self.list.as_ref()?.get(module.0)?.fd.fd())
    }

    /// Gives what a call of a function of the module has in its offset; `None` where no more fit.
    pub(super) fn call_index(&mut self, module: ModuleIdx) -> Option<i16> {
        let found = self.called.iter().position(|called| *called == module);
        let index = found.unwrap_or_else(|| {
            self.called.push(module);
            self.called.len() - 1
        });
        i16::try_from(index + 1).ok()
    }

    /// Gives the descriptors that such offsets count.
    pub(super) fn fd_array(&self) -> Vec<Fd> {
        let fds = self.called.iter().filter_map(|module| self.fd(*module));
        // Nobody refers to the first.
        fds.clone().take(1).chain(fds).collect()
    }
}

/// Reads the BTF of each module. Whoever may not list BTF does without, as do kernels whose modules have none: before 5.11.
fn read(kernel: &Kernel, vmlinux: &Arc<Btf<'static>>) -> Result<Vec<Module>> {
    let sys = kernel.sys();
    let (mut list, mut last) = (Vec::new(), 0);
    loop {
        let next = match sys.next_id(ObjectKind::Btf, last) {
            Ok(next) => next,
            Err(error) if [Errno::EPERM, Errno::EINVAL].contains(&error.errno()) => return Ok(list),
            Err(error) => {
                return Err(Error::call("BPF_BTF_GET_NEXT_ID", error).at_path("the kernel's modules"));
            }
        };
        let Some(id) = next else { return Ok(list) };
        last = id;
        let fd = match sys.fd_by_id(ObjectKind::Btf, id, 0) {
            Ok(handle) => BtfFd::from_handle(handle),
            // It has gone since.
            Err(error) if error.errno() == Errno::ENOENT => continue,
            Err(error) if error.errno() == Errno::EPERM => return Ok(list),
            Err(error) => {
                return Err(Error::call("BPF_BTF_GET_FD_BY_ID", error).at_path("the kernel's modules"));
            }
        };
        let failed = |error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error).at_path("the kernel's modules");
        if fd.info().map_err(failed)?.kernel_btf == 0 {
            continue;
        }
        let name = fd.name().map_err(failed)?;
        if name == "vmlinux" {
            continue;
        }
        let bytes = fd.data().map_err(failed)?;
        let btf = Btf::from_vec_split(bytes, Arc::clone(vmlinux)).map_err(|error| {
            let what = format!("the BTF of module {name} cannot be read: {error}");
            Error::new(ErrorKind::Unsupported, what).with_source(error)
        })?;
        list.push(Module { name, fd, btf: Arc::new(btf) });
    }
}
