//! The archive format that a kernel unpacks as its first file system: `newc` cpio
//! (the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`).
//!
//! Written here because it needs no root for device nodes and no program on the host.

use std::collections::BTreeSet;

const DIRECTORY: u32 = 0o040_755;
const EXECUTABLE: u32 = 0o100_755;
const CHARACTER_DEVICE: u32 = 0o020_600;
const TRAILER: &str = "TRAILER!!!";

/// An archive being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    names: BTreeSet<String>,
}

impl Archive {
    /// Adds a folder and those above it.
    pub(super) fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        for end in ends {
            self.entry(&path[..end], DIRECTORY, (0, 0), &[]);
        }
    }

    /// Adds an executable file, and the folders above it. The first file of a name stays.
    pub(super) fn file(&mut self, path: &str, content: &[u8]) {
        let path = path.trim_matches('/');
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.folder(folder);
        }
        self.entry(path, EXECUTABLE, (0, 0), content);
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, path: &str, major: u32, minor: u32) {
        self.entry(path.trim_matches('/'), CHARACTER_DEVICE, (major, minor), &[]);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        if name.is_empty() || !self.names.insert(name.to_owned()) {
            return;
        }
        let inode = self.names.len();
        let (size, name_size) = (content.len(), name.len() + 1);
        // Owner, group and time are zero; so are the checksum and the device the archive was made on.
        let header = format!(
            "070701{inode:08x}{mode:08x}{0:08x}{0:08x}{1:08x}{0:08x}{size:08x}{0:08x}{0:08x}{major:08x}{minor:08x}{name_size:08x}{0:08x}",
            0, 1
        );
        self.bytes.extend_from_slice(header.as_bytes());
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names and contents of an archive, read back by the format's own rules.
    fn entries(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut at = 0;
        let mut found = Vec::new();
        while at < bytes.len() {
            assert_eq!(&bytes[at..at + 6], b"070701");
            let field = |index: usize| {
                let from = at + 6 + index * 8;
                let text = std::str::from_utf8(&bytes[from..from + 8]).expect("hex");
                usize::from_str_radix(text, 16).expect("hex")
            };
            let (size, name_size) = (field(6), field(11));
            let name = &bytes[at + 110..at + 110 + name_size - 1];
            let content = (at + 110 + name_size).next_multiple_of(4);
            found.push((
                String::from_utf8(name.to_vec()).expect("a name"),
                bytes[content..content + size].to_vec(),
            ));
            at = (content + size).next_multiple_of(4);
        }
        found
    }

    #[test]
    fn folders_come_before_what_is_in_them_and_once() {
        let mut archive = Archive::default();
        archive.file("/a/b/c", b"12345");
        archive.file("/a/b/d", b"");
        archive.file("/a/b/d", b"second");
        let read = entries(&archive.finish());
        let names: Vec<_> = read.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a/b", "a/b/c", "a/b/d", TRAILER]);
        assert_eq!((read[2].1.as_slice(), read[3].1.as_slice()), (b"12345".as_slice(), b"".as_slice()));
    }
}
