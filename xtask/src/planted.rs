//! `cargo xtask planted [firewall | compiler [--short]]`: bugs that must be found.
//!
//! A planted bug is a file in `lab/planted`: which source, why it is a bug, the text as it is and as it is to be, which differ
//! in one token. Those of the [firewall] become objects, and a comparison of such an object with the right one has
//! to fail (`cargo xtask compare`); those of the [compiler] are put into a copy of the workspace, and a test of it
//! has to fail. What finds none of them looks at nothing.

mod compiler;
mod firewall;

use crate::cargo::root;
use crate::outcome::Outcome;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

pub(crate) use firewall::build;

/// One planted bug.
#[derive(Debug)]
struct Planted {
    name: String,
    /// The source that it is planted in, relative to the workspace.
    file: PathBuf,
    /// Stands once in the source.
    was: String,
    now: String,
    /// The whole file, for what else it says.
    text: String,
}

pub(crate) fn run(args: &[String]) -> Result<Outcome> {
    let words: Vec<_> = args.iter().map(String::as_str).collect();
    match words[..] {
        [] | ["firewall"] => firewall::run(),
        ["compiler", "--short"] => compiler::run(&compiler::Choice::Short),
        ["compiler"] => compiler::run(&compiler::Choice::All),
        ["compiler", ref names @ ..] => compiler::run(&compiler::Choice::Named(names)),
        _ => bail!("wanted `planted firewall` or `planted compiler [--short | BUG...]`"),
    }
}

/// Every planted bug of a folder, by name.
fn all(folder: &str) -> Result<Vec<Planted>> {
    let entries = std::fs::read_dir(root().join(folder)).with_context(|| format!("cannot list {folder}"))?;
    let mut planted = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {folder}"))?.path();
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        planted.push(parse(&path, text).with_context(|| path.display().to_string())?);
    }
    planted.sort_by(|first, second| first.name.cmp(&second.name));
    Ok(planted)
}

fn parse(path: &Path, text: String) -> Result<Planted> {
    field(&text, "why")?;
    let name = path.file_stem().context("no name")?.to_string_lossy().into_owned();
    let file = field(&text, "file")?.into();
    Ok(Planted { name, file, was: field(&text, "was")?, now: field(&text, "now")?, text })
}

/// What a line of the file says.
fn field(text: &str, name: &str) -> Result<String> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.map(str::to_owned).with_context(|| format!("no line `{name}: …`"))
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

    /// Splits C or Rust into words and runs of signs; good enough to count differences.
    fn tokens(text: &str) -> Vec<String> {
        let mut tokens: Vec<String> = Vec::new();
        let mut kind_before = ' ';
        for character in text.chars() {
            let kind = match character {
                '_' => 'w',
                other if other.is_alphanumeric() => 'w',
                other if other.is_whitespace() => ' ',
                '(' | ')' | ';' | ',' => character,
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

    /// Checks the bugs of a folder, and counts them.
    pub(super) fn each_is_one_token(folder: &str) -> usize {
        let planted = all(folder).unwrap();
        for bug in &planted {
            bug.plant().unwrap();
            let (was, now) = (tokens(&bug.was), tokens(&bug.now));
            assert_eq!(was.len(), now.len(), "{}", bug.name);
            assert_eq!(was.iter().zip(&now).filter(|(was, now)| was != now).count(), 1, "{}", bug.name);
        }
        planted.len()
    }
}
