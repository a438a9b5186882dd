//! The cases, for the tests that run them.

use skep_lab_filetests::{Case, parse};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Gives the cases of all files, which are read once.
pub(crate) fn cases() -> &'static [Case] {
    static CASES: OnceLock<Vec<Case>> = OnceLock::new();
    CASES.get_or_init(read)
}

fn read() -> Vec<Case> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        parse(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    files.iter().flat_map(read).collect()
}
