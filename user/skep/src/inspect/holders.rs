//! Who holds what a kernel holds: it shows of each open descriptor of a process what it is.

use super::fdinfo::object_of;
use super::found::{Found, Unseen};
use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::Errno;
use skep_sys::{CallError, ObjectKind};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, up to 15 bytes.
    pub comm: String,
}

/// What a descriptor is: its kind and its number.
type Object = (ObjectKind, u32);

/// Which processes have a descriptor of what.
#[derive(Clone, Debug, Default)]
pub struct Holders(Found<Process>);

impl Holders {
    /// Lists the processes that have a descriptor of an object, by ascending number. What only other objects, pins or the
    /// kernel itself hold has none.
    pub fn of(&self, kind: ObjectKind, id: u32) -> &[Process] {
        self.0.of(kind, id)
    }

    /// Gives the number of processes whose descriptors this process may not look at.
    pub fn hidden(&self) -> usize {
        self.0.hidden()
    }
}

impl Kernel {
    /// Looks through all processes for those that have descriptors of programs, maps, links and types. It reads a file
    /// for every descriptor there is, and processes come and go meanwhile.
    ///
    /// # Errors
    /// Where `/proc` cannot be read; a kernel without `/proc` has no processes.
    pub fn holders(&self) -> Result<Holders> {
        const PROC: &str = "/proc";
        let entries = match self.sys().dir_list(PROC) {
            Err(error) if error.errno() == Errno::ENOENT => return Ok(Holders::default()),
            answer => answer.map_err(|error| Error::call("read", error).at_path(PROC))?,
        };
        let mut pids: Vec<u32> = entries.iter().filter_map(|entry| entry.name.parse().ok()).collect();
        pids.sort_unstable();
        let mut holders = Holders::default();
        for pid in pids {
            match self.held_by(pid) {
                Ok((comm, held)) => {
                    for object in held {
                        holders.0.add(object, Process { pid, comm: comm.clone() });
                    }
                }
                // It may be gone by now, or somebody else's.
                Err((path, error)) => {
                    holders.0.pass_over(error).map_err(|error| Error::call("read", error).at_path(&path))?;
                }
            }
        }
        Ok(holders)
    }

    /// Gives the name of a process and what it has descriptors of; else which file could not be read.
    fn held_by(&self, pid: u32) -> Result<(String, Vec<Object>), (String, CallError)> {
        let folder = format!("/proc/{pid}/fdinfo");
        let mut held = Vec::new();
        for fd in self.sys().dir_list(&folder).map_err(|error| (folder.clone(), error))? {
            let path = format!("{folder}/{}", fd.name);
            match self.sys().file_read(&path) {
                Ok(text) => held.extend(object_of(&String::from_utf8_lossy(&text))),
                // A descriptor may be closed while the others stay.
                Err(error) if Unseen::of(&error) == Some(Unseen::Gone) => {}
                Err(error) => return Err((path, error)),
            }
        }
        if held.is_empty() {
            return Ok((String::new(), held));
        }
        held.sort_unstable_by_key(|&(kind, id)| (kind as u32, id));
        held.dedup();
        let path = format!("/proc/{pid}/comm");
        let comm = self.sys().file_read(&path).map_err(|error| (path, error))?;
        Ok((String::from_utf8_lossy(&comm).trim_end_matches('\n').to_owned(), held))
    }
}
