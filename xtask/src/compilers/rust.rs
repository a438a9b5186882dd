//! BPF programs in Rust: nightly rustc writes bitcode, and bpf-linker makes an object of it.
//!
//! Both are on the same LLVM, or bpf-linker cannot read what rustc wrote.

use crate::vectors::Object;
use crate::{cargo, checkers, tools};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};

/// The crate of the sources; each is a program of it.
const MANIFEST: &str = "lab/vectors/rust/Cargo.toml";

const TARGET: &str = "bpfel-unknown-none";

/// The compiler and the linker.
pub(super) struct Rust {
    linker: PathBuf,
    sysroot: PathBuf,
}

impl Rust {
    /// Finds them, or says what is missing.
    pub(super) fn find() -> Result<Result<Self, String>> {
        if let Some(reason) = checkers::no_nightly() {
            return Ok(Err(reason));
        }
        let Some(linker) = tools::find("bpf-linker") else {
            return Ok(Err(
                "no bpf-linker (`cargo install bpf-linker`, for the LLVM of nightly Rust)".to_owned()
            ));
        };
        let sysroot = said(cargo::nightly_rustc().args(["--print", "sysroot"]))?;
        let sysroot = PathBuf::from(sysroot);
        Ok(match sysroot.join("lib/rustlib/src/rust/library/core").is_dir() {
            true => Ok(Self { linker, sysroot }),
            false => Err("no sources of core (`rustup +nightly component add rust-src`)".to_owned()),
        })
    }

    /// What the two call themselves.
    pub(super) fn version(&self) -> Result<String> {
        let rustc = said(cargo::nightly_rustc().arg("--version"))?;
        let linker = said(std::process::Command::new(&self.linker).arg("--version"))?;
        Ok(format!("{rustc}, {linker}"))
    }

    /// Compiles one source to one object. No path of this machine gets into it.
    pub(super) fn compile(&self, object: &Object, file: &Path) -> Result<()> {
        let program = Path::new(&object.stem).file_name().context("no name")?;
        let mut flags = vec![format!("-Clinker={}", self.linker.display())];
        let places = [(cargo::root(), "."), (self.sysroot.clone(), "/rust")];
        let crates = crate_folders()?.into_iter().map(|folder| (folder, "/crates"));
        for (from, to) in places.into_iter().chain(crates) {
            flags.push(format!("--remap-path-prefix={}={to}", from.display()));
        }
        flags.extend(object.args.iter().map(|arg| format!("-Clink-arg={arg}")));
        let target = cargo::target_dir().join("compilers/rust");
        let mut command = cargo::nightly();
        command.args(["build", "--quiet", "--release", "--ignore-rust-version", "-Zbuild-std=core"]);
        command.args(["--manifest-path", MANIFEST, "--target", TARGET, "--bin"]).arg(program);
        command.env("CARGO_TARGET_DIR", &target).env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        let output = command.output().context("cannot run cargo")?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::create_dir_all(file.parent().context("no folder")?)?;
        std::fs::copy(target.join(TARGET).join("release").join(program), file)?;
        Ok(())
    }
}

/// Where cargo keeps the sources of crates from outside, a folder for each registry.
fn crate_folders() -> Result<Vec<PathBuf>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let folder = home.context("neither CARGO_HOME nor HOME is set")?.join("registry/src");
    match std::fs::read_dir(&folder) {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        // Nothing was ever downloaded.
        Err(_) => Ok(Vec::new()),
    }
}

/// The first line of what a program says.
fn said(command: &mut std::process::Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().next().context("it said nothing")?.trim().to_owned())
}
