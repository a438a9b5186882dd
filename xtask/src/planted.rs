//! `cargo xtask planted`: builds the planted bugs of the firewall and the dispatcher.
//!
//! A planted bug is a file in `lab/planted/firewall`: which source, why it is a bug, the text as it is and as it is to
//! be, which differ in one token. Each changes at least one verdict on the capture, so a comparison of the changed
//! program with the right one has to fail; a comparison that does not is no comparison.

use crate::cargo::{root, target_dir};
use crate::outcome::Outcome;
use crate::vectors;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

const FOLDER: &str = "lab/planted/firewall";

/// One planted bug.
#[derive(Debug)]
struct Planted {
    name: String,
    /// The source that it is planted in, relative to the workspace.
    file: PathBuf,
    /// Stands once in the source.
    was: String,
    now: String,
}

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
pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    if let Some(word) = args.first() {
        bail!("`planted` takes no `{word}`");
    }
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
    all()?.into_iter().map(compile).collect()
}

fn folder() -> PathBuf {
    target_dir().join("planted/firewall")
}

/// Every planted bug, by name.
fn all() -> Result<Vec<Planted>> {
    let entries = std::fs::read_dir(root().join(FOLDER)).with_context(|| format!("cannot list {FOLDER}"))?;
    let mut planted = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {FOLDER}"))?.path();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        planted.push(parse(&path, &text).with_context(|| path.display().to_string())?);
    }
    planted.sort_by(|first, second| first.name.cmp(&second.name));
    Ok(planted)
}

fn parse(path: &Path, text: &str) -> Result<Planted> {
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.map(str::to_owned).with_context(|| format!("no line `{name}: …`"))
    };
    field("why")?;
    let name = path.file_stem().context("no name")?.to_string_lossy().into_owned();
    Ok(Planted { name, file: field("file")?.into(), was: field("was")?, now: field("now")? })
}

impl Planted {
    /// The source with the bug in it.
    fn plant(&self) -> Result<String> {
        let path = root().join(&self.file);
        let source =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let count = source.matches(&self.was).count();
        ensure!(count == 1, "{}: `{}` stands {count} times in {}", self.name, self.was, self.file.display());
        Ok(source.replace(&self.was, &self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits C into words and runs of signs; good enough to count differences.
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        let mut kind_before = ' ';
        for character in text.chars() {
            let kind = match character {
                '_' => 'w',
                other if other.is_alphanumeric() => 'w',
                other if other.is_whitespace() => ' ',
                '(' | ')' | ';' | ',' | '!' => character,
                _ => 's',
            };
            match tokens.last_mut() {
                Some(token) if kind == kind_before && matches!(kind, 'w' | 's') => token.push(character),
                _ if kind != ' ' => tokens.push(character.into()),
                _ => {}
            }
            kind_before = kind;
        }
        tokens
    }

    #[test]
    fn each_bug_is_one_token_in_a_place_of_its_own() {
        let planted = all().unwrap();
        assert!(planted.len() >= 12, "{} are planted", planted.len());
        for bug in &planted {
            bug.plant().unwrap();
            let (was, now) = (tokens(&bug.was), tokens(&bug.now));
            assert_eq!(was.len(), now.len(), "{}", bug.name);
            assert_eq!(was.iter().zip(&now).filter(|(was, now)| was != now).count(), 1, "{}", bug.name);
        }
    }
}
