//! The BTF of the kernel's modules: read when something is in none but theirs, one after the other.

use crate::Kernel;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::Errno;
use skep_btf::{Btf, Kind, TypeId};
use skep_sys::{BtfFd, CallError, Fd, ObjectKind};
use std::sync::Arc;

/// Position of a module in the list of those that have types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ModuleIdx(usize);

/// The modules that have types, as far as they have been asked for.
#[derive(Default)]
pub(super) struct Modules {
    list: Vec<Module>,
    /// The last BTF of the kernel's that was looked at.
    last: u32,
    rest: Rest,
    /// Why those that follow are not looked at.
    refusal: Option<Refusal>,
    /// Those that programs call functions of, as they are given with a program: what stands in a call is the place behind
    /// this one, as 0 means the kernel itself.
    called: Vec<ModuleIdx>,
}

/// Whether there may be more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Rest {
    #[default]
    Unread,
    None,
}

/// A call that was refused, and how.
type Refusal = (&'static str, CallError);

/// What comes next.
enum Next {
    Module(Module),
    Nothing,
    Hidden(Refusal),
}

/// A module.
pub(super) struct Module {
    pub(super) name: String,
    /// Held open for the programs and maps that refer to it.
    fd: BtfFd,
    pub(super) btf: Arc<Btf<'static>>,
}

impl Modules {
    /// Gives the module at a place of the list; `None` behind the last.
    pub(super) fn at(
        &mut self,
        kernel: &Kernel,
        vmlinux: &Arc<Btf<'static>>,
        place: usize,
    ) -> Result<Option<&Module>> {
        while self.list.len() <= place && self.rest == Rest::Unread {
            match next(kernel, vmlinux, &mut self.last)? {
                Next::Module(module) => self.list.push(module),
                Next::Nothing => self.rest = Rest::None,
                Next::Hidden(refusal) => {
                    self.rest = Rest::None;
                    self.refusal = Some(refusal);
                }
            }
        }
        Ok(self.list.get(place))
    }

    /// Finds a type that a module has itself, perhaps in the module of that name only.
    pub(super) fn find(
        &mut self,
        kernel: &Kernel,
        vmlinux: &Arc<Btf<'static>>,
        name_of_module: Option<&str>,
        name: &str,
        kind: Kind,
    ) -> Result<Option<(ModuleIdx, Arc<Btf<'static>>, TypeId)>> {
        let mut place = 0;
        while let Some(module) = self.at(kernel, vmlinux, place)? {
            if name_of_module.is_none_or(|wanted| wanted == module.name) {
                if let Some(id) = module.btf.find_own(name, kind) {
                    return Ok(Some((ModuleIdx(place), Arc::clone(&module.btf), id)));
                }
            }
            place += 1;
        }
        Ok(None)
    }

    /// Says why modules were not looked at, if so, to an error about what was not found.
    pub(super) fn explain(&self, error: Error) -> Error {
        match &self.refusal {
            Some((call, refusal)) => {
                error.hint(&format!("its modules were not looked through ({call}: {refusal})"))
            }
            None => error,
        }
    }

    /// Gives the descriptor of a module's BTF.
    pub(super) fn fd(&self, module: ModuleIdx) -> Option<Fd> {
        Some(self.list.get(module.0)?.fd.fd())
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

/// Reads the BTF of the next module behind `last`. Whoever may not list BTF does without, as libbpf does, and so do kernels
/// whose BTF cannot be listed (before Linux 5.4) or whose modules have none (before 5.11).
fn next(kernel: &Kernel, vmlinux: &Arc<Btf<'static>>, last: &mut u32) -> Result<Next> {
    let sys = kernel.sys();
    let failed =
        |call: &'static str| move |error: CallError| Error::call(call, error).at_path("the kernel's modules");
    loop {
        let next = match sys.next_id(ObjectKind::Btf, *last) {
            Ok(next) => next,
            Err(error) if [Errno::EPERM, Errno::EINVAL].contains(&error.errno()) => {
                return Ok(Next::Hidden(("BPF_BTF_GET_NEXT_ID", error)));
            }
            Err(error) => return Err(failed("BPF_BTF_GET_NEXT_ID")(error)),
        };
        let Some(id) = next else { return Ok(Next::Nothing) };
        *last = id;
        let fd = match sys.fd_by_id(ObjectKind::Btf, id, 0) {
            Ok(handle) => BtfFd::from_handle(handle),
            // It has gone since.
            Err(error) if error.errno() == Errno::ENOENT => continue,
            Err(error) if error.errno() == Errno::EPERM => {
                return Ok(Next::Hidden(("BPF_BTF_GET_FD_BY_ID", error)));
            }
            Err(error) => return Err(failed("BPF_BTF_GET_FD_BY_ID")(error)),
        };
        let (info, name) = match fd.info_and_name() {
            Ok(known) => known,
            // BTF had no names before modules had BTF.
            Err(error) if error.errno() == Errno::E2BIG => return Ok(Next::Nothing),
            Err(error) => return Err(failed("BPF_OBJ_GET_INFO_BY_FD")(error)),
        };
        if info.kernel_btf == 0 || name == "vmlinux" {
            continue;
        }
        let bytes = fd.data().map_err(failed("BPF_OBJ_GET_INFO_BY_FD"))?;
        let btf = Btf::skim_split(bytes, Arc::clone(vmlinux)).map_err(|error| {
            let what = format!("the BTF of module {name} cannot be read: {error}");
            Error::new(ErrorKind::Unsupported, what).with_source(error)
        })?;
        return Ok(Next::Module(Module { name, fd, btf: Arc::new(btf) }));
    }
}
