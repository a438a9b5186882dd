//! Where downloads are kept: outside the repository, and free to be deleted at any time.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder `name` of the cache, which exists after this: in `SKEP_CACHE`, else in the user's cache folder.
pub(crate) fn dir(name: &str) -> Result<PathBuf> {
    let dir =
        base().context("no cache folder: neither SKEP_CACHE, XDG_CACHE_HOME nor HOME is set")?.join(name);
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    Ok(dir)
}

fn base() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SKEP_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("skep")))
        .or_else(|| Some(set("HOME")?.join(".cache/skep")))
}

/// Fills the folder `dir` once: `fill` works in a folder beside it, which is renamed when it succeeds, so that neither an
/// interruption nor a second process leaves half a folder under the name.
pub(crate) fn fill_once(dir: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if dir.exists() {
        return Ok(());
    }
    let fresh = dir.with_extension(format!("{}.part", std::process::id()));
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir_all(&fresh).with_context(|| fresh.display().to_string())?;
    let filled = fill(&fresh).and_then(|()| match fs::rename(&fresh, dir) {
        Err(_) if dir.exists() => Ok(()),
        renamed => renamed.with_context(|| dir.display().to_string()),
    });
    let _ = fs::remove_dir_all(&fresh);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_filled_once_and_wholly_or_not_at_all() {
        let base = std::env::temp_dir().join(format!("xtask-cache-{}", std::process::id()));
        let dir = base.join("it.1");
        let failed = fill_once(&dir, |part| {
            fs::write(part.join("half"), "")?;
            anyhow::bail!("no more")
        });
        assert!(failed.is_err() && !dir.exists());
        fill_once(&dir, |part| Ok(fs::write(part.join("file"), "1")?)).expect("filled");
        fill_once(&dir, |_| panic!("filled before")).expect("there");
        assert_eq!(fs::read_to_string(dir.join("file")).expect("the file"), "1");
        assert_eq!(fs::read_dir(&base).expect("the folder").count(), 1, "no part is left");
        fs::remove_dir_all(&base).expect("removed");
    }
}
