//! The BPF file system: directories, and objects pinned in them.

use crate::host::relock;
use skep_abi::Errno;
use skep_mem::FileObject;
use skep_sys::{DirEntry, FileKind};
use std::sync::Mutex;

/// The file system of one kernel. Names are kept in order; all memory is asked for before anything changes.
#[derive(Debug, Default)]
pub(super) struct Pins {
    root: Mutex<Root>,
}

#[derive(Debug, Default)]
struct Root {
    directory: Directory,
    last_inode: u64,
}

#[derive(Debug, Default)]
struct Directory {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    inode: u64,
    node: Node,
}

#[derive(Debug)]
enum Node {
    Directory(Directory),
    Pin(FileObject),
}

/// What is at a path.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// A directory with this inode.
    Directory(u64),
    /// An object with this inode.
    Pin(u64, FileObject),
}

/// The inode of the root.
const ROOT_INODE: u64 = 1;

/// What to put in a directory.
pub(super) enum New {
    /// An empty directory.
    Directory,
    /// An object.
    Pin(FileObject),
}

/// Refuses names with a dot, which are kept for special files (`bpf_lookup`, `kernel/bpf/inode.c`).
fn usable(name: &str) -> Result<(), Errno> {
    if name.contains('.') { Err(Errno::EPERM) } else { Ok(()) }
}

impl Directory {
    fn position(&self, name: &str) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| (*entry.name).cmp(name))
    }

    fn find(&self, name: &str) -> Result<&Entry, Errno> {
        usable(name)?;
        self.position(name).map(|at| &self.entries[at]).map_err(|_| Errno::ENOENT)
    }

    fn walk(&self, parts: &[&str]) -> Result<&Directory, Errno> {
        parts.iter().try_fold(self, |directory, name| match &directory.find(name)?.node {
            Node::Directory(inner) => Ok(inner),
            Node::Pin(_) => Err(Errno::ENOTDIR),
        })
    }

    fn walk_mut(&mut self, parts: &[&str]) -> Result<&mut Directory, Errno> {
        parts.iter().try_fold(self, |directory, name| {
            usable(name)?;
            let at = directory.position(name).map_err(|_| Errno::ENOENT)?;
            match &mut directory.entries[at].node {
                Node::Directory(inner) => Ok(inner),
                Node::Pin(_) => Err(Errno::ENOTDIR),
            }
        })
    }
}

impl Pins {
    /// Finds what is at a path.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`; `EPERM` for a name with a dot.
    pub(super) fn find(&self, parts: &[&str]) -> Result<Found, Errno> {
        let root = relock(&self.root);
        let Some((name, parent)) = parts.split_last() else { return Ok(Found::Directory(ROOT_INODE)) };
        let entry = root.directory.walk(parent)?.find(name)?;
        Ok(match &entry.node {
            Node::Directory(_) => Found::Directory(entry.inode),
            Node::Pin(object) => Found::Pin(entry.inode, object.clone()),
        })
    }

    /// Lists a directory.
    ///
    /// # Errors
    /// As [`Pins::find`]; `ENOMEM`.
    pub(super) fn list(&self, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
        let root = relock(&self.root);
        let directory = root.directory.walk(parts)?;
        let mut list = Vec::new();
        list.try_reserve_exact(directory.entries.len()).map_err(|_| Errno::ENOMEM)?;
        for entry in &directory.entries {
            let kind = match entry.node {
                Node::Directory(_) => FileKind::Directory,
                Node::Pin(_) => FileKind::Regular,
            };
            list.push(DirEntry { name: owned(&entry.name)?, kind });
        }
        Ok(list)
    }

    /// Puts something at a path where nothing is.
    ///
    /// # Errors
    /// `EEXIST`; as [`Pins::find`] of the directory; `ENOMEM`.
    pub(super) fn add(&self, parts: &[&str], new: New) -> Result<(), Errno> {
        let (name, parent) = parts.split_last().ok_or(Errno::EEXIST)?;
        let mut root = relock(&self.root);
        let inode = root.last_inode.max(ROOT_INODE) + 1;
        let directory = root.directory.walk_mut(parent)?;
        usable(name)?;
        let Err(at) = directory.position(name) else { return Err(Errno::EEXIST) };
        let name = owned(name)?;
        directory.entries.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        let node = match new {
            New::Directory => Node::Directory(Directory::default()),
            New::Pin(object) => Node::Pin(object),
        };
        directory.entries.insert(at, Entry { name, inode, node });
        root.last_inode = inode;
        Ok(())
    }

    /// Removes a pinned object, and gives it for the caller to drop while nothing is locked.
    ///
    /// # Errors
    /// `EISDIR`; as [`Pins::find`].
    pub(super) fn remove(&self, parts: &[&str]) -> Result<FileObject, Errno> {
        let (name, parent) = parts.split_last().ok_or(Errno::EISDIR)?;
        let mut root = relock(&self.root);
        let directory = root.directory.walk_mut(parent)?;
        usable(name)?;
        let at = directory.position(name).map_err(|_| Errno::ENOENT)?;
        match &directory.entries[at].node {
            Node::Directory(_) => Err(Errno::EISDIR),
            Node::Pin(object) => {
                let object = object.clone();
                directory.entries.remove(at);
                Ok(object)
            }
        }
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOTEMPTY`, `EBUSY` for the root; as [`Pins::find`].
    pub(super) fn remove_directory(&self, parts: &[&str]) -> Result<(), Errno> {
        let (name, parent) = parts.split_last().ok_or(Errno::EBUSY)?;
        let mut root = relock(&self.root);
        let directory = root.directory.walk_mut(parent)?;
        usable(name)?;
        let at = directory.position(name).map_err(|_| Errno::ENOENT)?;
        match &directory.entries[at].node {
            Node::Pin(_) => Err(Errno::ENOTDIR),
            Node::Directory(inner) if !inner.entries.is_empty() => Err(Errno::ENOTEMPTY),
            Node::Directory(_) => {
                directory.entries.remove(at);
                Ok(())
            }
        }
    }
}

/// Copies a name.
fn owned(name: &str) -> Result<String, Errno> {
    let mut copy = String::new();
    copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
    copy.push_str(name);
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_mem::Shared;

    fn object() -> FileObject {
        Shared::try_new(7u32).unwrap().into_any()
    }

    #[test]
    fn directories_and_pins() {
        let pins = Pins::default();
        assert_eq!(pins.add(&["a", "b"], New::Directory), Err(Errno::ENOENT));
        assert_eq!(pins.add(&["a"], New::Directory), Ok(()));
        assert_eq!(pins.add(&["a"], New::Pin(object())), Err(Errno::EEXIST));
        assert_eq!(pins.add(&[], New::Directory), Err(Errno::EEXIST));
        assert_eq!(pins.add(&["a", "p"], New::Pin(object())), Ok(()));
        assert_eq!(pins.add(&["a", "p", "x"], New::Directory), Err(Errno::ENOTDIR));
        assert_eq!(pins.add(&["a.b"], New::Directory), Err(Errno::EPERM));
        assert!(matches!(pins.find(&["a", "p"]), Ok(Found::Pin(3, _))));
        assert!(matches!(pins.find(&["a"]), Ok(Found::Directory(2))));
        assert_eq!(pins.find(&["x"]).err(), Some(Errno::ENOENT));
        let list = pins.list(&["a"]).unwrap();
        assert_eq!(list, [DirEntry { name: "p".into(), kind: FileKind::Regular }]);
        assert_eq!(pins.list(&["a", "p"]).err(), Some(Errno::ENOTDIR));
        assert_eq!(pins.remove_directory(&["a"]), Err(Errno::ENOTEMPTY));
        assert_eq!(pins.remove_directory(&["a", "p"]), Err(Errno::ENOTDIR));
        assert_eq!(pins.remove(&["a"]).err(), Some(Errno::EISDIR));
        assert!(pins.remove(&["a", "p"]).is_ok());
        assert_eq!(pins.remove(&["a", "p"]).err(), Some(Errno::ENOENT));
        assert_eq!(pins.remove_directory(&["a"]), Ok(()));
        assert_eq!(pins.remove_directory(&[]), Err(Errno::EBUSY));
    }
}
