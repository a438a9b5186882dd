//! What the object expects of the kernel: its symbols and functions.

use super::modules::ModuleIdx;
use super::types::{KernelType, KernelTypes};
use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Object};
use skep_abi::Errno;
use skep_btf::core::{essential_name, types_are_compatible};
use skep_btf::{Def, Kind, TypeId};
use skep_elf::{ExternKind, ExternSpec};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

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
    /// Each by its name, with what was found for it.
    known: BTreeMap<&'o str, Extern<'o>>,
    addresses: Option<BTreeMap<&'o str, u64>>,
}

struct Extern<'o> {
    spec: &'o ExternSpec,
    found: Option<Option<Symbol>>,
}

impl<'o> Externs<'o> {
    pub(super) fn new(object: &'o Object, kernel: &'o Kernel) -> Externs<'o> {
        let mut known = BTreeMap::new();
        for spec in &object.spec.externs {
            known.entry(spec.name.as_str()).or_insert(Extern { spec, found: None });
        }
        Externs { object, kernel, known, addresses: None }
    }

    /// Gives the place of a symbol among the externs as libbpf sorts them: configuration values first, then symbols by name
    /// (`cmp_externs`).
    pub(super) fn number(&self, name: &str) -> i32 {
        let is_before =
            |spec: &&ExternSpec| matches!(spec.kind, ExternKind::Kconfig { .. }) || spec.name.as_str() < name;
        self.object.spec.externs.iter().filter(is_before).count() as i32
    }

    /// Finds a symbol; `None` where this kernel has none of that name and form.
    pub(super) fn symbol(&mut self, types: &mut KernelTypes<'_>, name: &str) -> Result<Option<Symbol>> {
        let spec = match self.known.get(name) {
            Some(Extern { found: Some(found), .. }) => return Ok(*found),
            Some(Extern { spec, .. }) => *spec,
            None => return Ok(None),
        };
        let found = self.look_up(types, spec)?;
        self.known.insert(spec.name.as_str(), Extern { spec, found: Some(found) });
        Ok(found)
    }

    fn look_up(&mut self, types: &mut KernelTypes<'_>, spec: &'o ExternSpec) -> Result<Option<Symbol>> {
        let found = match spec.kind {
            // Flavours of one function, which differ behind `___`, are declarations of one name.
            ExternKind::Kfunc => types.find(None, essential_name(&spec.name), Kind::Func)?,
            ExternKind::Variable if self.is_typed(spec) => types.find(None, &spec.name, Kind::Var)?,
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
        let what = format!("this kernel's {} has another type than the object declares", spec.name);
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

    /// Reads `/proc/kallsyms`, as far as something is wanted of it: an address, a letter, a name, perhaps a module. It is
    /// more than ten megabytes, so it is read line by line.
    fn read_addresses(&self) -> Result<BTreeMap<&'o str, u64>> {
        const PATH: &str = "/proc/kallsyms";
        let is_variable = |known: &&Extern<'o>| known.spec.kind == ExternKind::Variable;
        let wanted = self.known.values().filter(is_variable).filter(|known| !self.is_typed(known.spec));
        let wanted = wanted.map(|known| (known.spec.name.as_bytes(), known.spec.name.as_str())).collect();
        let mut addresses = Addresses { wanted, found: BTreeMap::new(), is_shown: false };
        self.kernel.read_lines(PATH, |line| Ok(addresses.take(line)))?;
        addresses.shown().ok_or_else(|| {
            let error = Error::call("read", Errno::EPERM).at_path(PATH);
            error.hint("addresses are hidden from this process (kernel.kptr_restrict)")
        })
    }
}

/// Addresses of symbols, out of lines of `/proc/kallsyms`.
struct Addresses<'o> {
    wanted: BTreeMap<&'o [u8], &'o str>,
    found: BTreeMap<&'o str, u64>,
    /// Whether any address was not zero.
    is_shown: bool,
}

impl<'o> Addresses<'o> {
    /// Takes a line, and says whether more are wanted.
    fn take(&mut self, line: &[u8]) -> ControlFlow<()> {
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(address), Some(name)) = (words.next(), words.nth(1)) else {
            return ControlFlow::Continue(());
        };
        self.is_shown = self.is_shown || address.iter().any(|digit| *digit != b'0');
        if let Some(name) = self.wanted.remove(name) {
            let address = std::str::from_utf8(address).ok();
            let address = address.and_then(|text| u64::from_str_radix(text, 16).ok());
            self.found.extend(address.map(|address| (name, address)));
        }
        match self.wanted.is_empty() && self.is_shown {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// Gives what was found. Where addresses are hidden, all are zero, and this is none; one may be zero anyway, as those of
    /// the variables that each processor has count from there (`__per_cpu_start`, on x86-64 before Linux 6.15).
    fn shown(self) -> Option<BTreeMap<&'o str, u64>> {
        (self.is_shown || self.found.is_empty()).then_some(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'o>(wanted: &[&'o str], lines: &[&str]) -> (usize, Option<BTreeMap<&'o str, u64>>) {
        let wanted = wanted.iter().map(|name| (name.as_bytes(), *name)).collect();
        let mut addresses = Addresses { wanted, found: BTreeMap::new(), is_shown: false };
        let end = lines.iter().position(|line| addresses.take(line.as_bytes()).is_break());
        (end.map_or(lines.len(), |last| last + 1), addresses.shown())
    }

    #[test]
    fn an_address_may_be_zero_where_others_are_not() {
        let lines =
            ["0000000000000000 A first", "0000000000001000 A second", "ffff000000000000 T third [of]"];
        assert_eq!(read(&["first"], &lines), (2, Some(BTreeMap::from([("first", 0)]))));
        let both = BTreeMap::from([("first", 0), ("third", 0xffff_0000_0000_0000)]);
        assert_eq!(read(&["third", "first", "none"], &lines), (3, Some(both)));
        assert_eq!(read(&["none"], &lines), (3, Some(BTreeMap::new())));
    }

    #[test]
    fn hidden_addresses_are_all_zero() {
        let lines = ["0000000000000000 A first", "0000000000000000 T second"];
        assert_eq!(read(&["second"], &lines), (2, None));
        assert_eq!(read(&["none"], &lines), (2, Some(BTreeMap::new())));
        assert_eq!(read(&["second"], &["odd", "", "zz t second"]), (3, Some(BTreeMap::new())));
    }
}
