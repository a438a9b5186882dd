//! The kernel's types, as a load asks for them: read when the first is asked for, and looked at once for all that will be.

use super::core;
use super::modules::{ModuleIdx, Modules};
use super::programs;
use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Object};
use skep_btf::core::{Candidates, essential_name};
use skep_btf::{Answer, Btf, Kind, Look, Names, TypeId};
use skep_elf::ExternKind;
use skep_model::{MapOrigin, ProgramSpec};
use std::sync::Arc;

/// What the candidates of the kernel's own BTF are counted as.
pub(super) const VMLINUX: u32 = 0;

/// The types of a kernel and its modules.
pub(super) struct KernelTypes<'o> {
    object: &'o Object,
    kernel: &'o Kernel,
    /// The programs that may be loaded: what they need is looked for at once.
    wanted: Vec<&'o ProgramSpec>,
    vmlinux: Option<Arc<Btf<'static>>>,
    names: Names,
    /// What the kernel's own BTF has for CO-RE, until that takes it.
    candidates: Option<Candidates<'o>>,
    pub(super) modules: Modules,
}

/// A type of the kernel's or of one of its modules.
#[derive(Debug)]
pub(super) struct KernelType {
    pub(super) btf: Arc<Btf<'static>>,
    pub(super) id: TypeId,
    pub(super) module: Option<ModuleIdx>,
}

impl<'o> KernelTypes<'o> {
    pub(super) fn new(
        object: &'o Object,
        kernel: &'o Kernel,
        wanted: Vec<&'o ProgramSpec>,
    ) -> KernelTypes<'o> {
        KernelTypes {
            object,
            kernel,
            wanted,
            vmlinux: None,
            names: Names::default(),
            candidates: None,
            modules: Modules::default(),
        }
    }

    pub(super) fn kernel(&self) -> &'o Kernel {
        self.kernel
    }

    pub(super) fn wanted(&self) -> &[&'o ProgramSpec] {
        &self.wanted
    }

    /// Gives the kernel's own BTF.
    pub(super) fn vmlinux(&mut self) -> Result<Arc<Btf<'static>>> {
        if let Some(vmlinux) = &self.vmlinux {
            return Ok(Arc::clone(vmlinux));
        }
        let failed = |error: skep_btf::Error| {
            Error::new(ErrorKind::Object, error.to_string()).in_section(".BTF").with_source(error)
        };
        self.names = Names::new(self.expected_names()).map_err(failed)?;
        // Where the object's own types are bad, CO-RE says so when it is asked.
        self.candidates = match &self.object.target_btf {
            None => core::candidates(self.object, &self.wanted).ok().flatten(),
            Some(_) => None,
        };
        let mut look = Look::nothing().names(&mut self.names);
        if let Some(candidates) = &mut self.candidates {
            look = look.candidates(candidates, VMLINUX);
        }
        let vmlinux = self.kernel.vmlinux_for(&mut look)?;
        self.vmlinux = Some(Arc::clone(&vmlinux));
        Ok(vmlinux)
    }

    /// Gives the candidates of all CO-RE relocations in the kernel's own BTF.
    pub(super) fn candidates(&mut self, vmlinux: &Btf<'_>) -> Result<Candidates<'o>> {
        if let Some(candidates) = self.candidates.take() {
            return Ok(candidates);
        }
        let none = || Error::new(ErrorKind::Object, "has no CO-RE relocation of a type of the kernel's");
        let mut candidates = core::candidates(self.object, &self.wanted)?.ok_or_else(none)?;
        candidates.search(VMLINUX, vmlinux).map_err(|error| core::bad_btf(error, ErrorKind::Unsupported))?;
        Ok(candidates)
    }

    /// Finds a type in the kernel's BTF, else in that of its modules; where a module is named, only there.
    pub(super) fn find(
        &mut self,
        module: Option<&str>,
        name: &str,
        kind: Kind,
    ) -> Result<Option<KernelType>> {
        let vmlinux = self.vmlinux()?;
        if module.is_none_or(|module| module == "vmlinux") {
            if let Some(id) = self.find_own(&vmlinux, name, kind) {
                return Ok(Some(KernelType { btf: vmlinux, id, module: None }));
            }
        }
        let found = self.modules.find(self.kernel, &vmlinux, module, name, kind)?;
        Ok(found.map(|(module, btf, id)| KernelType { btf, id, module: Some(module) }))
    }

    /// Finds a type in the BTF that has another.
    pub(super) fn find_beside(&self, other: &KernelType, name: &str, kind: Kind) -> Option<TypeId> {
        match other.module {
            None => self.find_own(&other.btf, name, kind),
            Some(_) => other.btf.find(name, kind),
        }
    }

    /// Finds a type in the kernel's own BTF.
    fn find_own(&self, vmlinux: &Btf<'_>, name: &str, kind: Kind) -> Option<TypeId> {
        match self.names.of(name, kind) {
            Answer::Found(id) => Some(id),
            Answer::Nobodys => None,
            Answer::NotAsked => vmlinux.find(name, kind),
        }
    }

    /// What this load will ask for by name: more or less makes no difference but for the time it takes.
    fn expected_names(&self) -> Vec<(String, Kind)> {
        let mut names = Vec::new();
        for spec in &self.object.spec.externs {
            match spec.kind {
                ExternKind::Kfunc => names.push((essential_name(&spec.name).to_owned(), Kind::Func)),
                ExternKind::Variable => names.push((spec.name.clone(), Kind::Var)),
                ExternKind::Kconfig { .. } => {}
            }
        }
        for (spec, setting) in self.object.spec.programs.iter().zip(&self.object.programs) {
            if self.wanted.iter().any(|wanted| std::ptr::eq(*wanted, spec)) {
                names.extend(programs::expected_target(setting));
            }
        }
        let btf = self.object.btf.as_deref();
        for spec in self.object.spec.maps.iter().filter(|spec| matches!(spec.origin, MapOrigin::StructOps(_)))
        {
            let ty = btf.zip(spec.value_type).and_then(|(btf, id)| btf.resolve(TypeId(id.0)).ok());
            names.extend(ty.map(|ty| super::struct_ops::expected_names(ty.name())).into_iter().flatten());
        }
        names
    }
}
