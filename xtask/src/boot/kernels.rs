//! The kernels that tests run in, and where Debian has them.

use crate::debian::Archive;
use crate::files;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// One kernel to boot.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Its version as people say it.
    pub(crate) version: &'static str,
    /// The Debian release that has it.
    release: &'static str,
    /// The package that depends on its newest build.
    package: &'static str,
}

/// The kernels, oldest first. Debian's "cloud" builds are small and have BTF, veth and all of BPF.
pub(crate) const KERNELS: &[Kernel] = &[
    Kernel { version: "5.10", release: "bullseye", package: "linux-image-cloud-amd64" },
    Kernel { version: "6.1", release: "bookworm", package: "linux-image-cloud-amd64" },
    Kernel { version: "6.12", release: "trixie", package: "linux-image-cloud-amd64" },
];

/// A kernel on this machine's disk.
#[derive(Debug)]
pub(crate) struct Image {
    /// What boots.
    pub(crate) vmlinuz: PathBuf,
    /// Its configuration, `boot/config-RELEASE`.
    pub(crate) config: PathBuf,
    /// `lib/modules/RELEASE`.
    modules: PathBuf,
}

impl Kernel {
    /// Brings the kernel into the cache, unless it is there.
    pub(crate) fn fetch(&self) -> Result<Image> {
        let archive = Archive::of_release(self.release)?;
        let depends = archive.depends(self.package)?;
        let package = depends.first().with_context(|| format!("{} depends on nothing", self.package))?;
        let dir = archive.unpacked(package)?;
        let vmlinuz = only_entry(&dir.join("boot"), "vmlinuz-")?;
        let config = only_entry(&dir.join("boot"), "config-")?;
        // From trixie on, the packages are laid out for a merged /usr.
        let modules = only_entry(&dir.join("lib/modules"), "")
            .or_else(|_| only_entry(&dir.join("usr/lib/modules"), ""))?;
        Ok(Image { vmlinuz, config, modules })
    }
}

impl Image {
    /// The files of all modules, by their paths.
    pub(crate) fn modules(&self) -> Result<Vec<PathBuf>> {
        let mut files = files::below(&self.modules.join("kernel"))?;
        files.retain(|file| file.file_name().is_some_and(|name| name.to_string_lossy().contains(".ko")));
        files.sort();
        Ok(files)
    }

    /// The files of a module and of all that it depends on, in the order to load them. None for what is built in.
    pub(crate) fn module_files(&self, name: &str) -> Result<Vec<PathBuf>> {
        let files = files::below(&self.modules.join("kernel"))?;
        let built_in = fs::read_to_string(self.modules.join("modules.builtin")).context("modules.builtin")?;
        if built_in.lines().any(|line| module_name(Path::new(line)) == name) {
            return Ok(Vec::new());
        }
        let mut order = Vec::new();
        add_module(name, &files, &mut order)?;
        Ok(order)
    }
}

/// Adds a module after what its own `.modinfo` says it depends on. (`modules.dep` is made at installation, so an unpacked
/// package has none.)
fn add_module(name: &str, files: &[PathBuf], order: &mut Vec<PathBuf>) -> Result<()> {
    let file = files.iter().find(|file| module_name(file) == name);
    let file = file.with_context(|| format!("the kernel has no module `{name}`"))?;
    if order.contains(file) {
        return Ok(());
    }
    for needed in depends_of(&module_bytes(file)?) {
        add_module(&needed, files, order)?;
    }
    order.push(file.clone());
    Ok(())
}

/// A module's ELF file, unpacked if Debian packed it.
pub(crate) fn module_bytes(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|extension| extension == "xz") {
        let output = std::process::Command::new("xz").args(["-dc", "--"]).arg(file).output();
        let output = output.context("cannot run xz (Debian package xz-utils)")?;
        anyhow::ensure!(output.status.success(), "xz cannot unpack {}", file.display());
        return Ok(output.stdout);
    }
    fs::read(file).with_context(|| file.display().to_string())
}

/// The names in the `depends=` line of a module's `.modinfo` section, found by its text: each entry of the section ends
/// with a zero byte.
fn depends_of(module: &[u8]) -> Vec<String> {
    let entries = module.split(|byte| *byte == 0);
    let depends = entries.filter_map(|entry| std::str::from_utf8(entry.strip_prefix(b"depends=")?).ok());
    let names = depends.flat_map(|list| list.split(',')).filter(|name| !name.is_empty());
    names.map(|name| name.replace('-', "_")).collect()
}

/// `veth` for `…/veth.ko.xz`; dashes and underscores are the same to the kernel.
pub(crate) fn module_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.split(".ko").next().unwrap_or(&name).replace('-', "_")
}

fn only_entry(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(dir).with_context(|| dir.display().to_string())?.collect::<Result<Vec<_>, _>>()?;
    let mut matching = entries.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let first = matching.next().with_context(|| format!("no {prefix}* in {}", dir.display()))?;
    Ok(first.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_named_without_its_endings() {
        for file in ["a/nf-tables.ko", "a/nf_tables.ko.xz", "nf-tables.ko.zst"] {
            assert_eq!(module_name(Path::new(file)), "nf_tables");
        }
    }

    #[test]
    fn what_a_module_depends_on_is_in_its_modinfo() {
        assert_eq!(
            depends_of(b"\x7fELF\0license=GPL\0depends=virtio,virtio-ring\0name=x\0"),
            ["virtio", "virtio_ring"]
        );
        assert!(depends_of(b"depends=\0").is_empty());
    }
}
