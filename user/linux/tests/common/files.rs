//! An exercise of files, directories, limits and duplicates.

use skep_abi::Errno;
use skep_sys::{
    Call, CallError, DirEntry, FileCall, FileKind, Interest, Kernel, Limit, OpenMode, Reply, WaitFd,
};
use std::fs;

/// Runs on a directory of its own, which `name` tells from others'.
pub(crate) fn exercise(kernel: &Kernel, name: &str) {
    let dir = std::env::temp_dir().join(format!("skep-{name}-{}", std::process::id()));
    let dir = dir.to_str().unwrap();
    kernel.dir_make(dir).unwrap();
    assert_eq!(kernel.dir_make(dir), Err(CallError::Errno(Errno::EEXIST)));
    assert_eq!(kernel.file_stat(dir).unwrap().kind, FileKind::Directory);
    assert_eq!(kernel.dir_list(dir).unwrap(), []);

    let file = format!("{dir}/file");
    assert_eq!(kernel.file_open(&file, OpenMode::Write).err(), Some(CallError::Errno(Errno::ENOENT)));
    fs::write(&file, b"").unwrap();
    kernel.file_write(&file, OpenMode::Write, b"one").unwrap();
    kernel.file_write(&file, OpenMode::Append, b" two").unwrap();
    assert_eq!(kernel.file_read(&file).unwrap(), b"one two");
    let stat = kernel.file_stat(&file).unwrap();
    assert_eq!((stat.kind, stat.len), (FileKind::Regular, 7));
    assert_eq!(stat.device, kernel.file_stat(dir).unwrap().device);
    assert_eq!(kernel.dir_list(dir).unwrap(), [DirEntry { name: "file".into(), kind: FileKind::Regular }]);

    let open = kernel.file_open(&file, OpenMode::Read).unwrap();
    let clone = open.try_clone().unwrap();
    assert!(clone.as_os_fd().unwrap() > 2);
    drop(open);
    let mut middle = [0; 3];
    let count = kernel.call(Call::File(FileCall::ReadAt(clone.fd(), 2, &mut middle))).unwrap();
    assert_eq!((count.into_count(), &middle), (Ok(3), b"e t"));
    let mut fds = [WaitFd { fd: clone.fd(), interest: Interest::Readable, ready: false }];
    assert_eq!(kernel.wait(&mut fds, None), Ok(1));
    assert!(fds[0].ready);
    drop(clone);

    assert_eq!(kernel.fs_magic("/proc"), Ok(0x9fa0));
    assert_eq!(kernel.dir_remove(dir), Err(CallError::Errno(Errno::ENOTEMPTY)));
    kernel.file_remove(&file).unwrap();
    kernel.dir_remove(dir).unwrap();
    assert_eq!(kernel.file_stat(dir), Err(CallError::Errno(Errno::ENOENT)));
    assert_eq!(kernel.file_read("/proc/self\0/maps").unwrap_err().errno(), Errno::EINVAL);

    // More entries than one call gives.
    let listed = kernel.dir_list("/proc").unwrap();
    assert!(listed.iter().any(|entry| entry.name == "self" && entry.kind == FileKind::Symlink));
    assert!(listed.iter().all(|entry| entry.name != "." && entry.name != ".."));
    let Ok(Reply::Limits(soft, hard)) = kernel.call(Call::Limit(Limit::Memlock)) else {
        panic!("no limits");
    };
    assert!(soft <= hard);
    assert!(kernel.possible_cpus().unwrap() >= 1);
}
