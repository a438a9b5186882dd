//! Descriptors and paths: everything about files that is not the kernel's.

mod open;
mod path;
mod pins;
mod table;
mod tree;

use crate::Embedded;
use open::{OpenDirectory, OpenFile};
use path::{Mount, Path};
use pins::{New, Pins};
use skep_abi::Errno;
use skep_mem::{FileObject, Shared};
use skep_sys::{FileCall, FileKind, FileStat, OpenMode, Reply};
use std::hash::{DefaultHasher, Hash, Hasher};
use table::Table;

/// The descriptors and pins of one kernel.
#[derive(Debug)]
pub(crate) struct FileTable {
    table: Table,
    pins: Pins,
}

/// What a path leads to.
enum Node {
    Directory { mount: Mount, inode: u64 },
    File { mount: Mount, inode: u64, contents: Vec<u8> },
    Pin { inode: u64, object: FileObject },
}

impl FileTable {
    pub(crate) fn new(most: usize) -> FileTable {
        FileTable { table: Table::new(most), pins: Pins::default() }
    }

    /// Gives the number of open descriptors.
    pub(crate) fn open_count(&self) -> usize {
        self.table.count()
    }

    /// Finds what a descriptor means.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn lookup(&self, fd: i32) -> Result<FileObject, Errno> {
        self.table.lookup(fd)
    }

    /// Makes a descriptor.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub(crate) fn install(&self, object: FileObject) -> Result<i32, Errno> {
        self.table.install(object)
    }

    /// Takes a descriptor back; the caller drops what it meant.
    ///
    /// # Errors
    /// `EBADF`.
    pub(crate) fn remove(&self, fd: i32) -> Result<FileObject, Errno> {
        self.table.remove(fd)
    }
}

/// Reads a path, and follows it up where it says so.
fn resolve<'p>(embedded: &Embedded, path: &'p str) -> Result<Path<'p>, Errno> {
    let mut path = Path::parse(path)?;
    path.resolve(|parts| match look(embedded, parts)? {
        Node::Directory { .. } => Ok(()),
        Node::File { .. } | Node::Pin { .. } => Err(Errno::ENOTDIR),
    })?;
    Ok(path)
}

/// Finds what is at a resolved path.
fn look(embedded: &Embedded, parts: &[&str]) -> Result<Node, Errno> {
    let (mount, rest) = Mount::of(parts);
    if mount == Mount::Bpf {
        return Ok(match embedded.files().pins.find(rest)? {
            pins::Found::Directory(inode) => Node::Directory { mount, inode },
            pins::Found::Pin(inode, object) => Node::Pin { inode, object },
        });
    }
    // The tree has no numbers of its own; its paths never change their meaning.
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    let inode = hasher.finish() | 1;
    Ok(match tree::find(embedded, parts)? {
        tree::Found::Directory => Node::Directory { mount, inode },
        tree::Found::File(contents) => Node::File { mount, inode, contents },
    })
}

/// Finds what is at a path.
fn find(embedded: &Embedded, path: &str) -> Result<Node, Errno> {
    let path = resolve(embedded, path)?;
    match look(embedded, path.parts())? {
        Node::File { .. } | Node::Pin { .. } if path.is_directory => Err(Errno::ENOTDIR),
        node => Ok(node),
    }
}

/// Puts something new at a path in the BPF file system; in others nothing can be made.
fn add(embedded: &Embedded, path: &str, new: New) -> Result<(), Errno> {
    let path = resolve(embedded, path)?;
    let (_, parent) = path.split_last().ok_or(Errno::EEXIST)?;
    match look(embedded, parent)? {
        Node::Directory { .. } => {}
        Node::File { .. } | Node::Pin { .. } => return Err(Errno::ENOTDIR),
    }
    match look(embedded, path.parts()) {
        Ok(_) => return Err(Errno::EEXIST),
        Err(Errno::ENOENT) => {}
        Err(errno) => return Err(errno),
    }
    // Only a directory can be made with a slash behind its name (`filename_create`, fs/namei.c).
    if path.is_directory && !matches!(new, New::Directory) {
        return Err(Errno::ENOENT);
    }
    match Mount::of(path.parts()) {
        (Mount::Bpf, rest) => embedded.files().pins.add(rest, new),
        (mount, _) => Err(mount.refusal()),
    }
}

/// What is to be removed.
enum Removal {
    /// A name of an object.
    Name,
    /// An empty directory.
    Directory,
}

fn remove(embedded: &Embedded, path: &str, what: Removal) -> Result<(), Errno> {
    let path = resolve(embedded, path)?;
    let node = look(embedded, path.parts())?;
    let (mount, rest) = Mount::of(path.parts());
    match (what, node) {
        (Removal::Name, Node::Directory { .. }) => Err(Errno::EISDIR),
        (Removal::Name, _) if path.is_directory => Err(Errno::ENOTDIR),
        (Removal::Directory, Node::File { .. } | Node::Pin { .. }) => Err(Errno::ENOTDIR),
        (Removal::Name, Node::Pin { .. }) => {
            let object = embedded.files().pins.remove(rest)?;
            drop(object);
            Ok(())
        }
        (Removal::Directory, _) if rest.is_empty() => Err(Errno::EBUSY),
        (Removal::Directory, _) if mount == Mount::Bpf => embedded.files().pins.remove_directory(rest),
        _ => Err(if mount == Mount::Proc { Errno::EPERM } else { mount.refusal() }),
    }
}

/// Pins an object.
///
/// # Errors
/// As [`skep_mem::Files::pin`].
pub(crate) fn pin(embedded: &Embedded, path: &str, object: FileObject) -> Result<(), Errno> {
    match add(embedded, path, New::Pin(object)) {
        // Elsewhere than in a BPF file system nothing can be pinned (`bpf_obj_do_pin`, kernel/bpf/inode.c).
        Err(Errno::EROFS) => Err(Errno::EPERM),
        answer => answer,
    }
}

/// Finds what is pinned.
///
/// # Errors
/// `ENOENT`, `ENOTDIR`; `EACCES` for what is no pinned object (`bpf_inode_type`, kernel/bpf/inode.c).
pub(crate) fn pinned(embedded: &Embedded, path: &str) -> Result<FileObject, Errno> {
    match find(embedded, path)? {
        Node::Pin { object, .. } => Ok(object),
        Node::Directory { .. } | Node::File { .. } => Err(Errno::EACCES),
    }
}

/// Answers a call about files.
pub(crate) fn call(embedded: &Embedded, call: FileCall<'_>) -> Result<Reply, Errno> {
    let done = |result: Result<(), Errno>| result.map(|()| Reply::None);
    match call {
        FileCall::Open(path, mode) => open(embedded, path, mode),
        FileCall::Read(fd, into) => Ok(Reply::Count(readable(embedded, fd)?.read(into))),
        FileCall::ReadAt(fd, at, into) => {
            if i64::try_from(at).is_err() {
                return Err(Errno::EINVAL);
            }
            Ok(Reply::Count(readable(embedded, fd)?.read_at(at, into)))
        }
        FileCall::Write(fd, _) => {
            let object = embedded.open_object(fd)?;
            let is_ours =
                object.clone().downcast::<OpenFile>().is_ok() || object.downcast::<OpenDirectory>().is_ok();
            // Ours are open for reading; the kernel's cannot be written at all (`bpf_dummy_write`).
            Err(if is_ours { Errno::EBADF } else { Errno::EINVAL })
        }
        FileCall::Stat(path) => find(embedded, path).map(|node| Reply::Stat(stat(&node))),
        FileCall::FsMagic(path) => {
            let magic = match find(embedded, path)? {
                Node::Directory { mount, .. } | Node::File { mount, .. } => mount.magic(),
                Node::Pin { .. } => Mount::Bpf.magic(),
            };
            Ok(Reply::Count(magic))
        }
        FileCall::List(fd, into) => {
            let directory = embedded.open_object(fd)?.downcast::<OpenDirectory>();
            directory.map_err(|_| Errno::ENOTDIR)?.list(into).map(Reply::Count)
        }
        FileCall::MakeDir(path) => done(add(embedded, path, New::Directory)),
        FileCall::Remove(path) => done(remove(embedded, path, Removal::Name)),
        FileCall::RemoveDir(path) => done(remove(embedded, path, Removal::Directory)),
        _ => Err(Errno::EOPNOTSUPP),
    }
}

fn readable(embedded: &Embedded, fd: skep_sys::Fd) -> Result<Shared<OpenFile>, Errno> {
    let object = embedded.open_object(fd)?;
    object.downcast::<OpenFile>().map_err(|object| match object.downcast::<OpenDirectory>() {
        Ok(_) => Errno::EISDIR,
        // Objects of the kernel cannot be read so (`bpf_dummy_read`).
        Err(_) => Errno::EINVAL,
    })
}

fn stat(node: &Node) -> FileStat {
    match node {
        Node::Directory { mount, inode } => {
            FileStat { kind: FileKind::Directory, len: 0, device: mount.device(), inode: *inode }
        }
        Node::File { mount, inode, contents } => FileStat {
            kind: FileKind::Regular,
            len: contents.len() as u64,
            device: mount.device(),
            inode: *inode,
        },
        Node::Pin { inode, .. } => {
            FileStat { kind: FileKind::Regular, len: 0, device: Mount::Bpf.device(), inode: *inode }
        }
    }
}

fn open(embedded: &Embedded, path: &str, mode: OpenMode) -> Result<Reply, Errno> {
    let object = match (find(embedded, path)?, mode) {
        (Node::Directory { .. }, OpenMode::Write | OpenMode::Append) => return Err(Errno::EISDIR),
        (Node::Directory { .. }, OpenMode::Read | OpenMode::Directory) => {
            let path = resolve(embedded, path)?;
            let entries = match Mount::of(path.parts()) {
                (Mount::Bpf, rest) => embedded.files().pins.list(rest)?,
                _ => tree::list(embedded, path.parts())?,
            };
            Shared::try_new(OpenDirectory::new(entries))?.into_any()
        }
        (_, OpenMode::Directory) => return Err(Errno::ENOTDIR),
        (Node::File { contents, .. }, OpenMode::Read) => Shared::try_new(OpenFile::new(contents))?.into_any(),
        (Node::File { .. }, OpenMode::Write | OpenMode::Append) => return Err(Errno::EACCES),
        // `bpffs_obj_open`, kernel/bpf/inode.c.
        (Node::Pin { .. }, _) => return Err(Errno::EIO),
    };
    embedded.install(object)
}
