//! The workspace as cargo sees it.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder that holds the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// The folder of build products: `CARGO_TARGET_DIR`, or `target` in the workspace.
pub(crate) fn target_dir() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// A `cargo` command that runs in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// A `cargo` command of nightly Rust that runs in the workspace.
pub(crate) fn nightly() -> Command {
    let mut command = Command::new("cargo");
    on_nightly(&mut command);
    command.current_dir(root());
    command
}

/// A `rustc` command of nightly Rust.
pub(crate) fn nightly_rustc() -> Command {
    let mut command = Command::new("rustc");
    on_nightly(&mut command);
    command
}

/// Makes a command use nightly Rust: `cargo xtask` names its own cargo and toolchain to its children.
pub(crate) fn on_nightly(command: &mut Command) {
    command.env_remove("CARGO").env_remove("RUSTC").env("RUSTUP_TOOLCHAIN", "nightly");
}

/// Builds the `skep` command, and returns where it is.
pub(crate) fn skep() -> Result<PathBuf> {
    let mut command = cargo();
    command.args(["build", "--quiet", "--message-format=json", "--package=skep-cli", "--bin=skep"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo build")?;
    if !output.status.success() {
        bail!("cannot build skep ({})", output.status);
    }
    executables(&String::from_utf8_lossy(&output.stdout)).pop().context("cargo names no program")
}

/// The programs that cargo's messages name.
pub(crate) fn executables(messages: &str) -> Vec<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).collect()
}

/// One crate of the workspace.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    /// Its name, as dependants write it.
    pub(crate) name: String,
    /// Its folder, relative to the workspace.
    pub(crate) dir: PathBuf,
    /// What it declares to depend on, in every section.
    pub(crate) deps: Vec<Dep>,
}

/// One declared dependency.
#[derive(Debug, Clone)]
pub(crate) struct Dep {
    /// The package's own name, whatever it is renamed to.
    pub(crate) name: String,
    /// Which section it stands in.
    pub(crate) kind: DepKind,
    /// How it is asked for.
    pub(crate) need: Need,
    /// The `cfg(…)` or target triple it is limited to.
    pub(crate) target: Option<String>,
}

/// The section of a manifest that a dependency stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DepKind {
    /// `[dependencies]`: part of what is shipped.
    Normal,
    /// `[build-dependencies]`.
    Build,
    /// `[dev-dependencies]`: tests and examples only.
    Dev,
}

/// Whether a dependency is always there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Always.
    Always,
    /// Only with a feature.
    ByFeature,
}

/// Reads the workspace's crates from `cargo metadata`.
pub(crate) fn packages() -> Result<Vec<Package>> {
    let output = cargo()
        .args(["metadata", "--format-version=1", "--no-deps"])
        .output()
        .context("cannot run cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let json: Value = serde_json::from_slice(&output.stdout).context("cargo metadata printed no JSON")?;
    parse_packages(&json)
}

fn parse_packages(json: &Value) -> Result<Vec<Package>> {
    let root = Path::new(json["workspace_root"].as_str().context("metadata without workspace_root")?);
    let packages = json["packages"].as_array().context("metadata without packages")?;
    packages.iter().map(|package| parse_package(root, package)).collect()
}

fn parse_package(root: &Path, json: &Value) -> Result<Package> {
    let name = json["name"].as_str().context("package without a name")?.to_owned();
    let manifest = Path::new(json["manifest_path"].as_str().context("package without a manifest")?);
    let dir = manifest.parent().unwrap_or(root);
    let dir = dir.strip_prefix(root).unwrap_or(dir).to_path_buf();
    let deps = json["dependencies"].as_array().context("package without dependencies")?;
    let deps = deps.iter().map(parse_dep).collect::<Result<Vec<_>>>()?;
    Ok(Package { name, dir, deps })
}

fn parse_dep(json: &Value) -> Result<Dep> {
    Ok(Dep {
        name: json["name"].as_str().context("dependency without a name")?.to_owned(),
        kind: match json["kind"].as_str() {
            None => DepKind::Normal,
            Some("build") => DepKind::Build,
            Some("dev") => DepKind::Dev,
            Some(other) => bail!("dependency of unknown kind `{other}`"),
        },
        need: if json["optional"].as_bool() == Some(true) { Need::ByFeature } else { Need::Always },
        target: json["target"].as_str().map(str::to_owned),
    })
}
