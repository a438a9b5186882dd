//! `cargo xtask abi [--check | --extract BTF]`: makes the structs and numbers of `base/abi` from one kernel's BTF.
//!
//! The kernel is named in [`KERNEL`], and the part of its BTF that is needed is committed, so that everybody makes the
//! same files without that kernel. `--extract` makes the part from the whole, which that kernel shows at
//! `/sys/kernel/btf/vmlinux`. `--check` compares instead of writing, and where a kernel of the same series runs it
//! compares with that one's BTF, too.

mod emit;
mod extract;
mod flatten;
mod plan;

use crate::cargo::root;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail};
use skep_btf::Btf;
use std::path::{Path, PathBuf};

/// The kernel that everything is made from.
const KERNEL: &str = "linux-6.18.44-x86_64";

/// The releases whose BTF must give the same files.
const SERIES: &str = "6.18.";

/// The BTF of the kernel that runs.
const RUNNING: &str = "/sys/kernel/btf/vmlinux";

/// One file to be made.
struct Output {
    /// Where it goes, relative to the workspace.
    path: PathBuf,
    /// All of it.
    text: String,
}

/// Writes the files, compares them, or makes the extract.
pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    match args {
        [] => write(),
        [word] if word == "--check" => check(),
        [word, whole] if word == "--extract" => extract(Path::new(whole)),
        _ => bail!("usage: cargo xtask abi [--check | --extract BTF]"),
    }
}

fn write() -> Result<Outcome> {
    let outputs = outputs(&committed()?)?;
    for output in &outputs {
        let path = root().join(&output.path);
        std::fs::write(&path, &output.text).with_context(|| path.display().to_string())?;
    }
    Ok(Outcome::Done(format!("wrote {} files", outputs.len())))
}

fn check() -> Result<Outcome> {
    let outputs = outputs(&committed()?)?;
    let mut stale = Vec::new();
    for output in &outputs {
        let found = std::fs::read_to_string(root().join(&output.path)).unwrap_or_default();
        if found != output.text {
            stale.push(output.path.display().to_string());
        }
    }
    if !stale.is_empty() {
        bail!("not what `cargo xtask abi` makes: {}", stale.join(", "));
    }
    let note = match compare_with_running(&outputs)? {
        Ok(release) => format!("{} files as made, also from the running Linux {release}", outputs.len()),
        Err(why) => {
            println!("skipped: abi-running-kernel: {why}");
            format!("{} files as made", outputs.len())
        }
    };
    Ok(Outcome::Done(note))
}

/// Makes the files from the running kernel's BTF; the inner error says why that kernel is none to compare with.
fn compare_with_running(outputs: &[Output]) -> Result<Result<String, String>> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let release = release.trim();
    if !release.starts_with(SERIES) {
        return Ok(Err(format!("runs `{release}`, wanted {SERIES}x")));
    }
    if !cfg!(target_arch = "x86_64") {
        return Ok(Err("the extract is of an x86-64 kernel".to_owned()));
    }
    let Ok(bytes) = std::fs::read(RUNNING) else { return Ok(Err(format!("{RUNNING} cannot be read"))) };
    let running = self::outputs(&extract::extract(&Btf::parse(&bytes)?, plan::ROOTS)?)?;
    for (output, other) in outputs.iter().zip(&running) {
        if output.text != other.text {
            bail!("{} differs when made from the running Linux {release}", output.path.display());
        }
    }
    Ok(Ok(release.to_owned()))
}

fn extract(whole: &Path) -> Result<Outcome> {
    let bytes = std::fs::read(whole).with_context(|| whole.display().to_string())?;
    let part = extract::extract(&Btf::parse(&bytes)?, plan::ROOTS)?;
    let path = extract_path();
    std::fs::write(&path, &part).with_context(|| path.display().to_string())?;
    Ok(Outcome::Done(format!("{} of {} bytes", part.len(), bytes.len())))
}

fn extract_path() -> PathBuf {
    root().join("base/abi/btf").join(format!("{KERNEL}.btf"))
}

fn committed() -> Result<Vec<u8>> {
    let path = extract_path();
    std::fs::read(&path).with_context(|| path.display().to_string())
}

fn outputs(extract: &[u8]) -> Result<Vec<Output>> {
    let btf = Btf::parse(extract)?;
    let mut outputs = Vec::new();
    for file in plan::FILES {
        outputs.push(Output {
            path: Path::new("base/abi/src/generated").join(file.name),
            text: emit::structs(&btf, file)?,
        });
    }
    for (name, doc, numbers) in plan::NUMBER_FILES {
        outputs.push(Output {
            path: Path::new("base/abi/src/generated").join(name),
            text: emit::numbers(&btf, doc, numbers)?,
        });
    }
    outputs.push(Output { path: "base/abi/tests/layouts/mod.rs".into(), text: emit::layouts(&btf)? });
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn committed_files_are_as_made() {
        for output in outputs(&committed().unwrap()).unwrap() {
            let found = std::fs::read_to_string(root().join(&output.path)).unwrap_or_default();
            assert!(found == output.text, "{} is stale: run `cargo xtask abi`", output.path.display());
        }
    }

    #[test]
    fn an_extract_of_the_extract_is_the_same() {
        let once = committed().unwrap();
        let twice = extract::extract(&Btf::parse(&once).unwrap(), plan::ROOTS).unwrap();
        assert!(once == twice);
    }
}
