//! Who holds what a kernel holds: it shows of each open descriptor of a process what it is.

use super::fdinfo::object_of;
use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::Errno;
use skep_sys::{CallError, ObjectKind};
use std::collections::HashMap;

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name, up to 15 bytes.
    pub comm: String,
}

/// Which processes have a descriptor of what.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    by_object: HashMap<(ObjectKind, u32), Vec<Process>>,
    hidden: usize,
}

impl Holders {
    /// Lists the processes that have a descriptor of an object, by ascending number. What only other objects, pins or the
    /// kernel itself hold has none.
    pub fn of(&self, kind: ObjectKind, id: u32) -> &[Process] {
        self.by_object.get(&(kind, id)).map_or(&[], Vec::as_slice)
    }

    /// Gives the number of processes whose descriptors this process may not look at.
    pub fn hidden(&self) -> usize {
        self.hidden
    }
}

/// What became of looking into a process.
enum Looked {
    At(Vec<(ObjectKind, u32)>),
    Gone,
    Hidden,
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
            let mut held = match self.held_by(pid)? {
                Looked::At(held) => held,
                Looked::Hidden => {
                    holders.hidden += 1;
                    continue;
                }
                Looked::Gone => continue,
            };
            if held.is_empty() {
                continue;
            }
            let path = format!("/proc/{pid}/comm");
            let comm = match self.sys().file_read(&path) {
                Ok(comm) => String::from_utf8_lossy(&comm).trim_end_matches('\n').to_owned(),
                Err(error) if looked(error).is_some() => continue,
                Err(error) => return Err(Error::call("read", error).at_path(&path)),
            };
            held.sort_unstable_by_key(|&(kind, id)| (kind as u32, id));
            held.dedup();
            for object in held {
                holders.by_object.entry(object).or_default().push(Process { pid, comm: comm.clone() });
            }
        }
        Ok(holders)
    }

    fn held_by(&self, pid: u32) -> Result<Looked> {
        let path = format!("/proc/{pid}/fdinfo");
        let fds = match self.sys().dir_list(&path) {
            Ok(fds) => fds,
            Err(error) => return looked(error).ok_or_else(|| Error::call("read", error).at_path(&path)),
        };
        let mut held = Vec::new();
        for fd in fds {
            let path = format!("{path}/{}", fd.name);
            match self.sys().file_read(&path) {
                Ok(text) => held.extend(object_of(&String::from_utf8_lossy(&text))),
                Err(error) => match looked(error) {
                    // A descriptor may be closed while the others stay.
                    Some(Looked::Gone) => {}
                    Some(other) => return Ok(other),
                    None => return Err(Error::call("read", error).at_path(&path)),
                },
            }
        }
        Ok(Looked::At(held))
    }
}

/// Tells apart what looking into somebody else's process runs into anyway.
fn looked(error: CallError) -> Option<Looked> {
    match error.errno() {
        Errno::ENOENT | Errno::ESRCH => Some(Looked::Gone),
        Errno::EACCES | Errno::EPERM => Some(Looked::Hidden),
        _ => None,
    }
}
