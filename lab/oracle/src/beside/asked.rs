//! Which program Linux is being asked of, kept where the end of the process leaves it: a kernel that fails on a program ends who asks.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The number of a program, as a file of eight bytes beside what is kept.
pub(super) struct Asked {
    file: File,
    path: PathBuf,
}

impl Asked {
    /// Opens the file, and reads which program the last process was at when it ended.
    ///
    /// # Errors
    /// Where it cannot be opened or read.
    pub(super) fn open(kept: &Path) -> io::Result<(Asked, Option<u64>)> {
        let path = kept.with_extension("asked");
        let file = File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut number = [0; 8];
        let last = match file.read_exact_at(&mut number, 0) {
            Ok(()) => Some(u64::from_le_bytes(number)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => None,
            Err(error) => return Err(error),
        };
        Ok((Asked { file, path }, last))
    }

    /// Linux is asked of this program now.
    pub(super) fn of(&self, number: u64) -> io::Result<()> {
        self.file.write_all_at(&number.to_le_bytes(), 0)
    }

    /// Nothing more is asked.
    pub(super) fn close(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_program_is_known_after_the_process() {
        let dir = std::env::temp_dir().join(format!("skep-asked-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let kept = dir.join("seed-1.json");
        let (asked, last) = Asked::open(&kept).unwrap();
        assert_eq!(last, None);
        asked.of(7).unwrap();
        asked.of(1 << 40).unwrap();
        drop(asked);
        let (asked, last) = Asked::open(&kept).unwrap();
        assert_eq!(last, Some(1 << 40));
        asked.close().unwrap();
        assert_eq!(Asked::open(&kept).unwrap().1, None);
        fs::remove_dir_all(dir).unwrap();
    }
}
