//! What the object expects of the kernel: its symbols and functions.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Object};
use skep_abi::Errno;
use skep_btf::{Btf, Def, Kind, TypeId};
use skep_elf::{ExternKind, ExternSpec};
use std::collections::HashMap;
use std::sync::Arc;

/// A symbol that the kernel has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A function or variable of its BTF.
    Type(u32),
    /// An address.
    Address(u64),
}

/// The externs of an object, looked up when the first of a kind is needed.
pub(super) struct Externs<'o> {
    pub(super) object: &'o Object,
    pub(super) kernel: &'o Kernel,
    vmlinux: Option<Arc<Btf<'static>>>,
    addresses: Option<HashMap<&'o str, u64>>,
}

impl<'o> Externs<'o> {
    pub(super) fn new(object: &'o Object, kernel: &'o Kernel) -> Externs<'o> {
        Externs { object, kernel, vmlinux: None, addresses: None }
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

    /// Finds a symbol; `None` where this kernel has none of that name.
    pub(super) fn symbol(&mut self, name: &str) -> Result<Option<Symbol>> {
        let Some(spec) = self.spec(name) else { return Ok(None) };
        let kind = match spec.kind {
            ExternKind::Kfunc => Kind::Func,
            ExternKind::Variable if self.is_typed(spec) => Kind::Var,
            ExternKind::Variable => return Ok(self.address(&spec.name)?.map(Symbol::Address)),
            ExternKind::Kconfig { .. } => return Ok(None),
        };
        Ok(self.vmlinux()?.find(name, kind).map(|id| Symbol::Type(id.0)))
    }

    /// Finds a type of the kernel's BTF.
    pub(super) fn kernel_type(&mut self, name: &str, kind: Kind) -> Result<Option<TypeId>> {
        Ok(self.vmlinux()?.find(name, kind))
    }

    fn vmlinux(&mut self) -> Result<&Btf<'static>> {
        if self.vmlinux.is_none() {
            self.vmlinux = Some(self.kernel.vmlinux()?);
        }
        self.vmlinux.as_deref().ok_or_else(|| Error::new(ErrorKind::Unsupported, "there is no kernel BTF"))
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
