//! Runs the command as a user does, and looks at what comes out.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs `skep` in the repository's root, so that paths in answers are the same everywhere.
pub(crate) fn skep(args: &[&str]) -> Ran {
    skep_with(args, b"")
}

/// Runs `skep` with bytes on standard input.
pub(crate) fn skep_with(args: &[&str], stdin: &[u8]) -> Ran {
    let mut child = Command::new(env!("CARGO_BIN_EXE_skep"))
        .args(args)
        .current_dir(root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads no input may be gone before it is written.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    Ran { status: output.status.code().expect("no signal"), stdout: output.stdout, stderr }
}

impl Ran {
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one document on stdout, which says its version first.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        let text = self.text();
        assert!(text.starts_with("{\"skep\":1,"), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        serde_json::from_str(text).unwrap()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Ran {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A file of the caller's own, with these bytes.
pub(crate) fn scratch(name: &str, bytes: &[u8]) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}-{number}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

/// An ELF file of the caller's own, that has just these sections.
pub(crate) fn elf(name: &str, sections: &[(&str, &[u8])]) -> PathBuf {
    const HEADER: usize = 64;
    let words = |words: &[u64]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let (mut names, mut body, mut table) = (b"\0.names\0".to_vec(), Vec::new(), vec![0; HEADER]);
    let mut all = sections.to_vec();
    let lists: Vec<u8> = names
        .iter()
        .copied()
        .chain(sections.iter().flat_map(|(name, _)| [name.as_bytes(), b"\0"].concat()))
        .collect();
    all.push((".names", &lists));
    for (name, bytes) in all {
        // Tables of names are of their own type.
        let (at, kind) = if name == ".names" { (1, 3u64) } else { (names.len() as u64, 1) };
        if kind == 1 {
            names.extend(name.bytes().chain([0]));
        }
        table.extend(words(&[
            kind << 32 | at,
            0,
            0,
            (HEADER + body.len()) as u64,
            bytes.len() as u64,
            0,
            1,
            0,
        ]));
        body.extend_from_slice(bytes);
    }
    let count = sections.len() as u64 + 2;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // A relocatable file for BPF; the table of sections is behind all of them, and names are the last.
    file.extend(words(&[1 << 32 | 247 << 16 | 1, 0, 0, (HEADER + body.len()) as u64, (HEADER as u64) << 32]));
    file.extend(words(&[(count - 1) << 48 | count << 32 | 64 << 16]));
    assert_eq!(file.len(), HEADER);
    scratch(name, &[file, body, table].concat())
}

/// Compares an answer with a committed one; `SKEP_BLESS=1` writes it anew.
#[track_caller]
pub(crate) fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("SKEP_BLESS").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, wanted, "{} differs; SKEP_BLESS=1 writes it anew", path.display());
}

/// The committed objects whose path, from the root, passes.
pub(crate) fn objects(pick: impl Fn(&str) -> bool) -> Vec<String> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.join("examples"), root.join("lab/vectors")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            if name.ends_with(".bpf.o") && pick(&name) {
                found.push(name);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}
