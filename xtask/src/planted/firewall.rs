//! The bugs planted in the firewall and the dispatcher: each becomes an object beside the right one.

use super::{Planted, all};
use crate::cargo::target_dir;
use crate::outcome::Outcome;
use crate::vectors;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

const FOLDER: &str = "lab/planted/firewall";

/// A planted bug that is compiled.
#[derive(Debug)]
pub(crate) struct Built {
    /// The bug's name.
    pub(crate) name: String,
    /// The source that it is planted in, relative to the workspace.
    pub(crate) source: PathBuf,
    /// The object with the bug.
    pub(crate) object: PathBuf,
}

/// Builds them all into `target/planted/firewall` and says where they are.
pub(super) fn run() -> Result<Outcome> {
    let clang = match vectors::compiler() {
        Ok(clang) => clang,
        Err(reason) => return Ok(Outcome::Skipped(reason)),
    };
    let built = build(&clang)?;
    Ok(Outcome::Done(format!("{} objects in {}", built.len(), folder().display())))
}

/// Builds them all, in the order of their names.
pub(crate) fn build(clang: &Path) -> Result<Vec<Built>> {
    let folder = folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let compile = |bug: Planted| {
        let source = folder.join(format!("{}.bpf.c", bug.name));
        std::fs::write(&source, bug.plant()?)
            .with_context(|| format!("cannot write {}", source.display()))?;
        let object = folder.join(format!("{}.bpf.o", bug.name));
        vectors::compile(clang, &source, &object, &[])?;
        Ok(Built { name: bug.name, source: bug.file, object })
    };
    all(FOLDER)?.into_iter().map(compile).collect()
}

fn folder() -> PathBuf {
    target_dir().join("planted/firewall")
}

#[cfg(test)]
mod tests {
    use crate::planted::tests::each_is_one_token;

    #[test]
    fn each_bug_is_one_token_in_a_place_of_its_own() {
        assert!(each_is_one_token(super::FOLDER) >= 12);
    }
}
