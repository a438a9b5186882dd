//! How much memory the kernel takes for a load: the peak of a fresh memory cgroup, of either version, around it.

use crate::Outcome;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where cgroups of either version are mounted, and what tells the peak there.
const HIERARCHIES: [(&str, &str); 3] = [
    ("/sys/fs/cgroup/memory", "memory.max_usage_in_bytes"),
    ("/sys/fs/cgroup", "memory.peak"),
    ("/sys/fs/cgroup/unified", "memory.peak"),
];

/// A cgroup that this process is in while the value lives.
struct Group {
    parent: PathBuf,
    path: PathBuf,
}

impl Group {
    fn enter(parent: &Path) -> Outcome<Group> {
        let path = parent.join(format!("skep-judge-{}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Group { parent: parent.to_owned(), path };
        fs::write(group.path.join("cgroup.procs"), "0")?;
        Ok(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Where it cannot be left, it stays until the process ends; the next one has another name.
        let _ = fs::write(self.parent.join("cgroup.procs"), "0");
        let _ = fs::remove_dir(&self.path);
    }
}

/// The bytes that are charged, at most, while something is done: what was there before stays with the cgroup it was charged to.
///
/// # Errors
/// Where no memory cgroup can be made.
pub(crate) fn peak(mut work: impl FnMut()) -> Outcome<u64> {
    for (parent, file) in HIERARCHIES {
        let group = match Group::enter(Path::new(parent)) {
            Ok(group) => group,
            Err(_) => continue,
        };
        let read = || fs::read_to_string(group.path.join(file));
        // In the second version, cgroups have memory only where their parent lends it to them.
        match read() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            before => before?,
        };
        work();
        return Ok(read()?.trim().parse()?);
    }
    Err("no memory cgroup can be made: mount one (cgroup2, or the first version's memory)".into())
}
