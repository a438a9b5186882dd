//! Loaded programs.

use crate::error::{Error, ErrorKind, Result};
use crate::inspect::name_of;
use crate::{Kernel, TestOutput, TestRun, test_run};
use skep_abi::{AttachType, Errno, ProgInfo, ProgType};
use skep_model::ProgramSpec;
use skep_sys::ProgFd;

/// A loaded program. It runs where it is attached ([`Program::attach`]), and on input of the caller's
/// ([`Program::test_run`]).
#[derive(Debug)]
pub struct Program {
    name: String,
    /// Empty where it was not loaded from an object.
    section: String,
    kernel: Kernel,
    prog_type: ProgType,
    attach_type: AttachType,
    fd: ProgFd,
}

impl Program {
    pub(crate) fn loaded(
        kernel: &Kernel,
        spec: &ProgramSpec,
        prog_type: ProgType,
        attach_type: AttachType,
        fd: ProgFd,
    ) -> Program {
        let (name, section) = (spec.name.clone(), spec.section.clone());
        Program { name, section, kernel: kernel.clone(), prog_type, attach_type, fd }
    }

    /// Opens a program that is pinned. What it was loaded to be attached to is not known then.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing is pinned there; [`ErrorKind::Permission`].
    pub fn open_pinned(kernel: &Kernel, path: &str) -> Result<Program> {
        let handle = kernel.sys().obj_get(path, 0).map_err(|error| {
            let made = Error::call("BPF_OBJ_GET", error).at_path(path);
            match made.errno() {
                Some(Errno::ENOENT) => made.kind_is(ErrorKind::NotFound),
                _ => made,
            }
        })?;
        let fd = ProgFd::from_handle(handle);
        let info = fd.info().map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error).at_path(path))?;
        Ok(Program::opened(kernel, fd, &info))
    }

    /// Takes a program that was found in the kernel.
    pub(crate) fn opened(kernel: &Kernel, fd: ProgFd, info: &ProgInfo) -> Program {
        Program {
            name: name_of(&info.name),
            section: String::new(),
            kernel: kernel.clone(),
            prog_type: ProgType(info.type_),
            attach_type: AttachType::default(),
            fd,
        }
    }

    /// Gives its function's name; of one that was opened otherwise, the kernel's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the section that it was in; empty where it was opened otherwise.
    pub fn section(&self) -> &str {
        &self.section
    }

    /// Gives the kernel that it is in.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Gives its type.
    pub fn prog_type(&self) -> ProgType {
        self.prog_type
    }

    /// Gives the attach type that it was loaded with.
    pub fn attach_type(&self) -> AttachType {
        self.attach_type
    }

    /// Gives the seam's own program, for what this type has no word for.
    pub fn fd(&self) -> &ProgFd {
        &self.fd
    }

    /// Reads what the kernel says of the program.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn info(&self) -> Result<ProgInfo> {
        self.fd.info().map_err(|error| self.error("BPF_OBJ_GET_INFO_BY_FD", error))
    }

    /// Runs it on input of the caller's.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where programs of its type cannot be run so; [`ErrorKind::Kernel`] where the input
    /// does not suit it.
    pub fn test_run(&self, run: &TestRun<'_>) -> Result<TestOutput> {
        test_run::run(self, run)
    }

    /// Pins it at a path in a BPF file system.
    ///
    /// # Errors
    /// `EEXIST` where something is there; `EPERM` where it is no BPF file system.
    pub fn pin(&self, path: &str) -> Result<()> {
        let answer = self.kernel.sys().obj_pin(self.fd.handle(), path);
        answer.map_err(|error| self.error("BPF_OBJ_PIN", error).at_path(path))
    }

    pub(crate) fn error(&self, call: &'static str, error: impl Into<skep_sys::CallError>) -> Error {
        Error::call(call, error).in_program(&self.name)
    }
}
