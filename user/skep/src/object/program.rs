//! What may be set of a program before it is loaded.

use crate::Program;
use crate::error::{Error, Result};
use skep_abi::{AttachType, ProgType};
use skep_model::ProgramSpec;
use skep_sys::ProgFd;
use std::sync::Arc;

/// How a program is loaded.
#[derive(Clone, Debug)]
pub(crate) struct ProgramSetting {
    /// `None` where the caller has not said; then it is as the section says.
    pub(crate) autoload: Option<Autoload>,
    /// What the section's name says of it.
    by_section: Autoload,
    /// `None` where nobody has said what it is.
    pub(crate) prog_type: Option<ProgType>,
    pub(crate) attach_type: Option<AttachType>,
    /// What it attaches to, where its load must know.
    pub(crate) target: Option<String>,
    /// The program that has the function it attaches to.
    pub(crate) of_program: Option<Arc<ProgFd>>,
    pub(crate) flags: u32,
}

impl ProgramSetting {
    pub(crate) fn of(spec: &ProgramSpec) -> ProgramSetting {
        let attach = spec.attach.as_ref();
        ProgramSetting {
            autoload: None,
            by_section: match attach.map_or(!spec.section.starts_with('?'), |attach| attach.autoload) {
                true => Autoload::Yes,
                false => Autoload::No,
            },
            prog_type: attach.map(|attach| attach.prog_type),
            attach_type: attach.and_then(|attach| attach.attach_type),
            target: attach.and_then(|attach| attach.target.clone()),
            of_program: None,
            flags: attach.map_or(0, |attach| attach.prog_flags),
        }
    }

    /// Tells whether it is to be loaded. One that the kernel calls through a struct is where the struct is made, which
    /// `in_struct` says, whatever its section says.
    pub(crate) fn is_loaded(&self, in_struct: impl FnOnce() -> bool) -> bool {
        match (self.autoload, self.prog_type) {
            (Some(autoload), _) => autoload == Autoload::Yes,
            (None, Some(ProgType::STRUCT_OPS)) => in_struct(),
            (None, prog_type) => self.by_section == Autoload::Yes && prog_type.is_some(),
        }
    }

    /// Tells whether it is left out for no other reason than that nobody has said what it is.
    pub(crate) fn lacks_a_type(&self) -> bool {
        self.autoload.is_none() && self.by_section == Autoload::Yes && self.prog_type.is_none()
    }
}

/// Whether a program is loaded with its object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Autoload {
    /// It is.
    Yes,
    /// It is left out.
    No,
}

/// A program of an object, to be changed before it is loaded.
#[derive(Debug)]
pub struct ProgramMut<'o> {
    pub(super) spec: &'o ProgramSpec,
    pub(super) setting: &'o mut ProgramSetting,
}

impl ProgramMut<'_> {
    /// Gives what the object says.
    pub fn spec(&self) -> &ProgramSpec {
        self.spec
    }

    /// Says whether it is loaded. Unless this says so, two sorts of programs are not: those in a section whose name
    /// starts with `?`, and those whose section has a name that says no type, for as long as none is set. To ask for one of
    /// the latter without setting its type makes the load fail. Programs of `struct_ops` go with the structs that they are
    /// in ([`MapMut::set_autocreate`](crate::MapMut::set_autocreate)).
    pub fn set_autoload(&mut self, autoload: Autoload) -> &mut Self {
        self.setting.autoload = Some(autoload);
        self
    }

    /// Says what kind of program it is, whatever its section is called; one that was left out because the name says no
    /// type is loaded then.
    pub fn set_type(&mut self, prog_type: ProgType) -> &mut Self {
        if self.setting.prog_type != Some(prog_type) {
            self.setting.attach_type = None;
        }
        self.setting.prog_type = Some(prog_type);
        self
    }

    /// Says what it is loaded to be attached to (`expected_attach_type`).
    pub fn set_attach_type(&mut self, attach_type: AttachType) -> &mut Self {
        self.setting.attach_type = Some(attach_type);
        self
    }

    /// Says which kernel function, tracepoint or iterator it is loaded for, where its load must know (`fentry`,
    /// `tp_btf`, `lsm`, `iter`).
    pub fn set_target(&mut self, target: &str) -> &mut Self {
        self.setting.target = Some(target.to_owned());
        self
    }

    /// Says that it is loaded for a function of another program: to replace it (`freplace`), or to run at its start or end
    /// (`fentry`, `fexit`). Without a function, the one that the section names is meant. The object keeps the program open.
    ///
    /// # Errors
    /// Where the program's descriptor cannot be duplicated.
    pub fn set_target_program(&mut self, program: &Program, function: Option<&str>) -> Result<&mut Self> {
        let handle = program
            .fd()
            .handle()
            .try_clone()
            .map_err(|errno| Error::call("dup", errno).in_program(program.name()))?;
        self.setting.of_program = Some(Arc::new(ProgFd::from_handle(handle)));
        if let Some(function) = function {
            self.setting.target = Some(function.to_owned());
        }
        Ok(self)
    }

    /// Adds `BPF_F_*` load flags to those that its section asks for.
    pub fn add_flags(&mut self, flags: u32) -> &mut Self {
        self.setting.flags |= flags;
        self
    }
}
