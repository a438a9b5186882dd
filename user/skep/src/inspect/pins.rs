//! Where what a kernel holds is pinned: every file of every BPF file system.

use super::fdinfo::object_of;
use super::found::{Found, Unseen};
use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::Errno;
use skep_abi::flags::BPF_F_RDONLY;
use skep_sys::{CallError, FileKind, Handle, ObjectKind};

/// At which paths what is pinned.
#[derive(Clone, Debug, Default)]
pub struct Pins(Found<String>);

impl Pins {
    /// Lists the paths that an object is pinned at, in order: one for each time, and for each place that their file system is
    /// mounted at.
    pub fn of(&self, kind: ObjectKind, id: u32) -> &[String] {
        self.0.of(kind, id)
    }

    /// Gives the number of files and folders that this process may not look into.
    pub fn hidden(&self) -> usize {
        self.0.hidden()
    }
}

impl Kernel {
    /// Looks through all BPF file systems that are mounted for what is pinned there. It opens every pin; what comes or goes
    /// meanwhile may be there or not.
    ///
    /// # Errors
    /// Where the mounts or a folder cannot be read; a kernel that shows no mounts has no pins.
    pub fn pins(&self) -> Result<Pins> {
        const MOUNTS: &str = "/proc/self/mounts";
        let mounts = match self.sys().file_read(MOUNTS) {
            Err(error) if error.errno() == Errno::ENOENT => return Ok(Pins::default()),
            answer => answer.map_err(|error| Error::call("read", error).at_path(MOUNTS))?,
        };
        let mut pins = Pins::default();
        let mut folders = file_systems(&String::from_utf8_lossy(&mounts));
        while let Some(folder) = folders.pop() {
            let entries = match self.sys().dir_list(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    pins.0.pass_over(error).map_err(|error| Error::call("read", error).at_path(&folder))?;
                    continue;
                }
            };
            for entry in entries {
                let path = format!("{}/{}", folder.trim_end_matches('/'), entry.name);
                match entry.kind {
                    FileKind::Directory => folders.push(path),
                    // A link leads to a pin that has a path of its own, or out of the file system.
                    FileKind::Symlink => {}
                    FileKind::Regular | FileKind::Other => self.add_pin(path, &mut pins)?,
                }
            }
        }
        // Where one file system is mounted over another, or in one, its paths are met twice.
        pins.0.sort();
        Ok(pins)
    }

    fn add_pin(&self, path: String, pins: &mut Pins) -> Result<()> {
        let handle = match self.open_pin(&path) {
            Ok(handle) => handle,
            Err(error) => {
                return pins
                    .0
                    .pass_over(error)
                    .map_err(|error| Error::call("BPF_OBJ_GET", error).at_path(&path));
            }
        };
        if let Some(object) = self.shown(handle.fd())?.as_deref().and_then(object_of) {
            pins.0.add(object, path);
        }
        Ok(())
    }

    /// Opens what is pinned; a map that nobody may write, for reading.
    fn open_pin(&self, path: &str) -> Result<Handle, CallError> {
        match self.sys().obj_get(path, 0) {
            Err(error) if Unseen::of(&error) == Some(Unseen::Hidden) => {
                self.sys().obj_get(path, BPF_F_RDONLY).map_err(|_| error)
            }
            answer => answer,
        }
    }
}

/// The places where BPF file systems are mounted (`proc_pid_mounts(5)`).
fn file_systems(mounts: &str) -> Vec<String> {
    let place = |line: &str| {
        let mut words = line.split(' ').skip(1);
        let (place, kind) = (words.next()?, words.next()?);
        (kind == "bpf").then(|| unescaped(place))
    };
    mounts.lines().filter_map(place).collect()
}

/// A path of that file, in which spaces, tabs, line feeds and backslashes are three octal digits behind a backslash
/// (`mangle`, fs/proc_namespace.c).
fn unescaped(text: &str) -> String {
    const ESCAPES: [(&str, &str); 5] =
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\043", "#"), ("\\134", "\\")];
    let mut parts = text.split('\\');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let escaped = format!("\\{part}");
        let found = ESCAPES.iter().find_map(|(code, is)| Some((is, escaped.strip_prefix(code)?)));
        match found {
            Some((is, rest)) => path.extend([is, rest]),
            None => path.push_str(&escaped),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_systems_are_found_among_the_mounts() {
        let mounts = "proc /proc proc rw 0 0\nbpf /sys/fs/bpf bpf rw,mode=700 0 0\n\
                      none /a\\040b\\134040 bpf rw 0 0\nbpf /bpf tmpfs rw 0 0\ncut\n";
        assert_eq!(file_systems(mounts), ["/sys/fs/bpf", "/a b\\040"]);
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(unescaped("/a\\x\\04"), "/a\\x\\04");
        assert_eq!(unescaped("\\"), "\\");
    }
}
