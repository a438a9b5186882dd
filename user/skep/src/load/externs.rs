//! What the object expects of the kernel: its symbols and functions.

use super::modules::{ModuleIdx, Modules};
use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Object};
use skep_abi::Errno;
use skep_btf::core::{essential_name, types_are_compatible};
use skep_btf::{Btf, Def, Kind, TypeId};
use skep_elf::{ExternKind, ExternSpec};
use std::collections::HashMap;
use std::sync::Arc;

/// A symbol that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A function or variable of its BTF, or of a module's.
    Type(TypeId, Option<ModuleIdx>),
    /// An address.
    Address(u64),
}

/// The externs of an object, looked up when the first of a kind is needed.
pub(super) struct Externs<'o> {
    pub(super) object: &'o Object,
    pub(super) kernel: &'o Kernel,
    vmlinux: Option<Arc<Btf<'static>>>,
    pub(super) modules: Modules,
    addresses: Option<HashMap<&'o str, u64>>,
}

/// A type of the kernel's or of one of its modules.
#[derive(Debug)]
pub(super) struct KernelType {
    pub(super) btf: Arc<Btf<'static>>,
    pub(super) id: TypeId,
    pub(super) module: Option<ModuleIdx>,
}

impl<'o> Externs<'o> {
    pub(super) fn new(object: &'o Object, kernel: &'o Kernel) -> Externs<'o> {
        Externs { object, kernel, vmlinux: None, modules: Modules::default(), addresses: None }
    }

    fn spec(&self, name: &str) -> Option<&'o ExternSpec> {
        self.object.spec.externs.iter().find(|spec| spec.name == name)
    }

    /// Gives the place of a symbol among the externs as libbpf sorts them: configuration values first, then symbols by name
    /// (`cmp_externs`).
    pub(super) fn number(&self, name: &str) -> i32 {
        let is_before =
            |spec: &&ExternSpec| matches!(spec.kind, ExternKind::Kconfig { .. }) || spec.name.as_str() < name;
        self.object.spec.externs.iter().filter(is_before).count() as i32
    }

    /// Finds a symbol; `None` where this kernel has none of that name and form.
    pub(super) fn symbol(&mut self, name: &str) -> Result<Option<Symbol>> {
        let Some(spec) = self.spec(name) else { return Ok(None) };
        let found = match spec.kind {
            // Flavours of one function, which differ behind `___`, are declarations of one name.
            ExternKind::Kfunc => self.find(None, essential_name(&spec.name), Kind::Func)?,
            ExternKind::Variable if self.is_typed(spec) => self.find(None, &spec.name, Kind::Var)?,
            ExternKind::Variable => return Ok(self.address(&spec.name)?.map(Symbol::Address)),
            ExternKind::Kconfig { .. } => return Ok(None),
        };
        let Some(found) = found else { return Ok(None) };
        if self.is_compatible(spec, &found)? {
            return Ok(Some(Symbol::Type(found.id, found.module)));
        }
        // Another prototype is another function, and one that may be absent is.
        if spec.kind == ExternKind::Kfunc && spec.weak {
            return Ok(None);
        }
        let what = format!("this kernel's {name} has another type than the object declares");
        Err(Error::new(ErrorKind::Unsupported, what))
    }

    fn is_compatible(&self, spec: &ExternSpec, found: &KernelType) -> Result<bool> {
        let bad = |error: skep_btf::Error| {
            Error::new(ErrorKind::Object, error.to_string()).in_variable(&spec.name).with_source(error)
        };
        let Some(local) = self.object.btf.as_deref() else { return Ok(false) };
        let declared = local.resolve(TypeId(spec.type_id.0)).map_err(bad)?.id();
        let theirs = match found.btf.ty(found.id).map_err(bad)?.def() {
            Def::Func(func) => func.proto,
            Def::Var(var) => found.btf.resolve(var.type_id).map_err(bad)?.id(),
            _ => return Ok(false),
        };
        types_are_compatible(local, declared, &found.btf, theirs).map_err(bad)
    }

    /// Finds a type in the kernel's BTF, else in that of its modules; where a module is named, only there.
    pub(super) fn find(
        &mut self,
        module: Option<&str>,
        name: &str,
        kind: Kind,
    ) -> Result<Option<KernelType>> {
        let vmlinux = Arc::clone(self.vmlinux()?);
        if module.is_none_or(|module| module == "vmlinux") {
            if let Some(id) = vmlinux.find(name, kind) {
                return Ok(Some(KernelType { btf: vmlinux, id, module: None }));
            }
        }
        let found = self.modules.find(self.kernel, &vmlinux, module, name, kind)?;
        Ok(found.map(|(module, btf, id)| KernelType { btf, id, module: Some(module) }))
    }

    fn vmlinux(&mut self) -> Result<&Arc<Btf<'static>>> {
        if self.vmlinux.is_none() {
            self.vmlinux = Some(self.kernel.vmlinux()?);
        }
        self.vmlinux.as_ref().ok_or_else(|| Error::new(ErrorKind::Unsupported, "there is no kernel BTF"))
    }

    /// A variable declared `void` is known by its address only.
    fn is_typed(&self, spec: &ExternSpec) -> bool {
        let ty = self.object.btf.as_deref().and_then(|btf| btf.resolve(TypeId(spec.type_id.0)).ok());
        ty.is_some_and(|ty| !matches!(ty.def(), Def::Void))
    }

    fn address(&mut self, name: &str) -> Result<Option<u64>> {
        if self.addresses.is_none() {
            self.addresses = Some(self.read_addresses()?);
        }
        Ok(self.addresses.as_ref().and_then(|known| known.get(name).copied()))
    }

    /// Reads `/proc/kallsyms`: an address, a letter, a name, perhaps a module.
    fn read_addresses(&self) -> Result<HashMap<&'o str, u64>> {
        const PATH: &str = "/proc/kallsyms";
        let wanted: HashMap<&str, &'o str> =
            self.object.spec.externs.iter().map(|spec| (spec.name.as_str(), spec.name.as_str())).collect();
        let text = self.kernel.read_text(PATH)?;
        let mut found = HashMap::new();
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let (Some(address), Some(name)) = (words.next(), words.nth(1)) else { continue };
            let Some(name) = wanted.get(name) else { continue };
            let address = u64::from_str_radix(address, 16).unwrap_or(0);
            if address == 0 {
                let error = Error::call("read", Errno::EPERM).at_path(PATH);
                return Err(error.hint("addresses are hidden from this process (kernel.kptr_restrict)"));
            }
            found.entry(*name).or_insert(address);
        }
        Ok(found)
    }
}
