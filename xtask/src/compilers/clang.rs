//! A clang out of Debian's packages, which runs without being installed, on its own release's libraries.

use crate::debian::Archive;
use crate::files;
use crate::vectors;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The dynamic loader, by the start of its name.
const LOADER: &str = "ld-linux-x86-64.so";

/// A compiler and what it runs on.
pub(super) struct Clang {
    program: PathBuf,
    loader: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Clang {
    /// Takes it from the cache, or from the archive.
    pub(super) fn fetch(release: &str, version: u32) -> Result<Self> {
        let package = format!("clang-{version}");
        let folders = Archive::of_release(release)?.unpacked_with_libraries(&package)?;
        let program = folders[0].join(format!("usr/lib/llvm-{version}/bin/clang"));
        let mut libraries: Vec<PathBuf> = Vec::new();
        let mut loader = None;
        for file in
            folders[1..].iter().map(|folder| files::below(folder)).collect::<Result<Vec<_>>>()?.concat()
        {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(LOADER) {
                loader = Some(file.clone());
            }
            let folder = file.parent().unwrap_or(Path::new("/")).to_path_buf();
            if name.contains(".so") && !libraries.contains(&folder) {
                libraries.push(folder);
            }
        }
        let loader = loader.with_context(|| format!("no {LOADER} among the libraries of {package}"))?;
        Ok(Self { program, loader, libraries })
    }

    /// A command that is this compiler. It compiles within its own process, so it needs to find no program.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.loader);
        let libraries: Vec<_> = self.libraries.iter().map(|folder| folder.to_string_lossy()).collect();
        command.arg("--library-path").arg(libraries.join(":")).arg(&self.program);
        command
    }

    /// What it calls itself.
    pub(super) fn version(&self) -> Result<String> {
        vectors::version_by(self.command())
    }
}
