//! The types of a kernel's modules, made small and fitted to another kernel, by skep and by libbpf.

use crate::boot;
use crate::cargo;
use crate::outcome::Outcome;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whose modules, unless somebody says.
const KERNEL: &str = "6.1";

/// How many modules stand for the others where there is little time.
const SHORT: usize = 24;

/// Where the running kernel shows its types.
const RUNNING: &str = "/sys/kernel/btf/vmlinux";

/// Compares what becomes of the types of modules: of all, or of some.
pub(super) fn run(program: &Path, version: Option<&str>, is_short: bool) -> Result<Outcome> {
    let kernel = boot::kernel(version.unwrap_or(KERNEL))?;
    let types = boot::types_of(kernel)?;
    let files = kernel.fetch()?.modules()?;
    // Every so many, so that they are of all sorts.
    let step = if is_short { files.len().div_ceil(SHORT).max(1) } else { 1 };
    let folder = cargo::target_dir().join("corpus").join(format!("modules-{}", kernel.version));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut modules = Vec::new();
    for file in files.iter().step_by(step) {
        let module = folder.join(format!("{}.ko", boot::module_name(file)));
        fs::write(&module, boot::module_bytes(file)?).with_context(|| module.display().to_string())?;
        modules.push(module);
    }
    ensure!(!modules.is_empty(), "Linux {} has no modules", kernel.version);
    let mut kernels = vec![types.clone()];
    kernels.extend(Some(PathBuf::from(RUNNING)).filter(|running| running.exists()));
    for to in kernels {
        println!("to the types of {}:", to.display());
        let mut command = Command::new(program);
        command.arg("rebase").arg("--of").arg(&types).arg("--to").arg(to).args(&modules);
        let status = command.stdin(Stdio::null()).status().context("cannot run the comparison")?;
        ensure!(status.success(), "the comparison ended with {status}");
    }
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(Outcome::Done(format!("{} modules of {}", modules.len(), kernel.version)))
}
