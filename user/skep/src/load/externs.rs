//! What the object expects of the kernel: symbols, functions, and settings of its configuration.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Object};
use skep_abi::Errno;
use skep_btf::{Btf, Def, IntEncoding, Kind, Literal, TypeId};
use skep_elf::{ExternKind, ExternSpec};
use skep_model::platform::version::Version;
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
    object: &'o Object,
    kernel: &'o Kernel,
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

    /// Gives the contents of the map of configuration values.
    pub(super) fn kconfig(&mut self, len: usize) -> Result<Vec<u8>> {
        let Some(btf) = self.object.btf.as_deref() else { return Ok(Vec::new()) };
        let mut bytes = vec![0; len];
        let mut config = None;
        for spec in &self.object.spec.externs {
            let ExternKind::Kconfig { offset, size } = spec.kind else { continue };
            let fail = |error: Error| error.in_variable(&spec.name);
            let text = match spec.name.strip_prefix("LINUX_") {
                Some(name) => self.own_value(name).map_err(fail)?,
                None => {
                    if config.is_none() {
                        config = Some(self.read_config().map_err(fail)?);
                    }
                    config.as_ref().and_then(|config| config.get(&spec.name).cloned())
                }
            };
            let Some(text) = text else {
                if spec.weak {
                    continue;
                }
                let what = "this kernel's configuration does not have it; declare it __weak to do without";
                return Err(fail(Error::new(ErrorKind::Unsupported, what)));
            };
            let place = bytes.get_mut(offset as usize..offset.saturating_add(size) as usize);
            let place =
                place.ok_or_else(|| fail(Error::new(ErrorKind::Object, "lies outside its section")))?;
            let type_id = TypeId(spec.type_id.0);
            btf.assign(type_id, "", literal(btf, type_id, &text), place).map_err(|error| {
                fail(Error::new(ErrorKind::Unsupported, error.to_string()).with_source(error))
            })?;
        }
        Ok(bytes)
    }

    /// Values that libbpf makes up (`bpf_object__resolve_externs`).
    fn own_value(&self, name: &str) -> Result<Option<String>> {
        Ok(match name {
            "KERNEL_VERSION" => {
                let release = self.kernel.read_text("/proc/sys/kernel/osrelease")?;
                kernel_version(&release).map(|version| version.to_string())
            }
            // Since Linux 5.15 (7adfc6c9b315).
            "HAS_BPF_COOKIE" => {
                Some(if self.kernel.version()? >= Version::new(5, 15) { "y" } else { "n" }.to_owned())
            }
            _ => None,
        })
    }

    fn read_config(&self) -> Result<HashMap<String, String>> {
        let release = self.kernel.read_text("/proc/sys/kernel/osrelease")?;
        let text = self.kernel.read_text(&format!("/boot/config-{}", release.trim()))?;
        let lines = text.lines().filter(|line| line.starts_with("CONFIG_"));
        let pairs = lines.filter_map(|line| line.split_once('='));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// Makes the number of `KERNEL_VERSION(a, b, c)` of a release such as `6.12.9-amd64`.
fn kernel_version(release: &str) -> Option<u32> {
    let numbers = release.split(|c: char| !c.is_ascii_digit()).take(3);
    let mut parts = numbers.map(|number| number.parse::<u32>().ok());
    let (major, minor) = (parts.next()??, parts.next()??);
    let patch = parts.next().flatten().unwrap_or(0);
    // The patch level has eight bits and stays at the top of them (`LINUX_VERSION_CODE`, since Linux 5.10.9).
    Some(major << 16 | minor.min(255) << 8 | patch.min(255))
}

/// Reads a value of the configuration for a type: `y`, `m`, `n` are a tristate, a boolean or a character.
fn literal<'t>(btf: &Btf<'_>, type_id: TypeId, text: &'t str) -> Literal<'t> {
    let letter = match text {
        "n" => 0,
        "y" => 1,
        "m" => 2,
        _ => return Literal::Text(text),
    };
    match btf.resolve(type_id).map(|ty| ty.def()) {
        Ok(Def::Int(int)) if int.size == 1 && int.encoding != IntEncoding::BOOL => {
            Literal::Int(text.as_bytes()[0].into())
        }
        _ => Literal::Int(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::kernel_version;

    #[test]
    fn versions_are_packed() {
        assert_eq!(kernel_version("6.12.9-amd64\n"), Some(0x06_0c_09));
        assert_eq!(kernel_version("5.10.300"), Some(0x05_0a_ff));
        assert_eq!(kernel_version("6.18-rc1"), Some(0x06_12_00));
        assert_eq!(kernel_version("x"), None);
    }
}
