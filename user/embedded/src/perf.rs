//! Names of machine code for `perf`, in the file in which it looks for them.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;

/// Is the file in which `perf report` looks for the names of code that this process has made
/// (`tools/perf/Documentation/jit-interface.txt`): a line for each piece with its address, length and name.
///
/// Nothing leaves the file again: where code goes and other code comes to its place, later lines count.
#[derive(Debug)]
pub struct PerfMap {
    file: File,
}

impl PerfMap {
    /// Opens the file of this process, `/tmp/perf-PID.map`, to add to what is there.
    ///
    /// # Errors
    ///
    /// Those of the file system, or that somebody else owns the file.
    pub fn open() -> io::Result<PerfMap> {
        let mut options = OpenOptions::new();
        // A link that somebody has put there leads nowhere.
        std::os::unix::fs::OpenOptionsExt::custom_flags(
            &mut options,
            rustix::fs::OFlags::NOFOLLOW.bits() as i32,
        );
        let file = options.create(true).append(true).open(PerfMap::path())?;
        Ok(PerfMap { file })
    }

    /// Returns where the file is.
    pub fn path() -> PathBuf {
        PathBuf::from(format!("/tmp/perf-{}.map", std::process::id()))
    }

    /// Adds a piece of code, by one write, so that lines of several threads do not mix.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// use skep_embedded::PerfMap;
    ///
    /// let mut map = PerfMap::open()?;
    /// map.add(0x7f00_0000_1000, 64, "bpf_prog_0_main")?;
    /// assert!(std::fs::read_to_string(PerfMap::path())?.contains("7f0000001000 40 bpf_prog_0_main\n"));
    /// # std::fs::remove_file(PerfMap::path())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn add(&mut self, address: usize, len: usize, name: impl Display) -> io::Result<()> {
        let line = format!("{address:x} {len:x} {name}\n");
        self.file.write_all(line.as_bytes())
    }
}
