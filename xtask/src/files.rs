//! Files on disk.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Every regular file below a folder, sorted. Links are not followed.
pub(crate) fn below(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_path_buf()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.path());
            } else if kind.is_file() {
                found.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_levels_are_listed_in_order() {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let files = below(&own).expect("files");
        assert!(
            files.is_sorted()
                && files.contains(&own.join("files.rs"))
                && files.contains(&own.join("ci/step.rs"))
        );
    }
}
