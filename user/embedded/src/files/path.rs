//! Paths: what they say, and which file system they are in.

use skep_abi::Errno;

/// A path, split up.
#[derive(Debug)]
pub(super) struct Path<'p> {
    parts: Vec<&'p str>,
    /// Whether it ends in a slash or a dot, so that it must be a directory.
    pub(super) is_directory: bool,
}

/// The file systems there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mount {
    /// `/`.
    Root,
    /// `/proc`.
    Proc,
    /// `/sys`.
    Sys,
    /// `/sys/fs/bpf`.
    Bpf,
    /// `/sys/kernel/tracing`.
    Tracing,
}

/// One row per mount: where, the magic of `statfs(2)` (include/uapi/linux/magic.h), the device's number, and what
/// making or removing something there answers. Longer places come first.
const MOUNTS: &[(Mount, &[&str], u64, u64, Errno)] = &[
    (Mount::Bpf, &["sys", "fs", "bpf"], 0xcafe_4a11, 5, Errno::EPERM),
    (Mount::Tracing, &["sys", "kernel", "tracing"], 0x7472_6163, 4, Errno::EPERM),
    (Mount::Sys, &["sys"], 0x6265_6572, 3, Errno::EPERM),
    (Mount::Proc, &["proc"], 0x9fa0, 2, Errno::ENOENT),
    (Mount::Root, &[], 0x0102_1994, 1, Errno::EROFS),
];

impl<'p> Path<'p> {
    /// Reads a path; who calls from nowhere is at the root.
    ///
    /// # Errors
    /// `ENOENT` for an empty one, `EINVAL` for a NUL inside, `ENAMETOOLONG`, `ENOMEM`.
    pub(super) fn parse(path: &'p str) -> Result<Path<'p>, Errno> {
        if path.contains('\0') {
            return Err(Errno::EINVAL);
        }
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        // PATH_MAX counts the NUL; NAME_MAX does not (include/uapi/linux/limits.h).
        if path.len() > 4095 || path.split('/').any(|part| part.len() > 255) {
            return Err(Errno::ENAMETOOLONG);
        }
        let named = || path.split('/').filter(|part| !part.is_empty() && *part != ".");
        let mut parts = Vec::new();
        parts.try_reserve_exact(named().count()).map_err(|_| Errno::ENOMEM)?;
        parts.extend(named());
        let is_directory = matches!(path.rsplit('/').next(), Some("" | "." | ".."));
        Ok(Path { parts, is_directory })
    }

    /// Takes `..` and what is before it out, if that is a directory.
    ///
    /// # Errors
    /// What `check` says of the directories that are left again.
    pub(super) fn resolve(&mut self, check: impl Fn(&[&str]) -> Result<(), Errno>) -> Result<(), Errno> {
        while let Some(at) = self.parts.iter().position(|part| *part == "..") {
            check(&self.parts[..at])?;
            self.parts.drain(at.saturating_sub(1)..=at);
        }
        Ok(())
    }

    /// Gives the names from the root on.
    pub(super) fn parts(&self) -> &[&'p str] {
        &self.parts
    }

    /// Splits the last name off.
    pub(super) fn split_last(&self) -> Option<(&'p str, &[&'p str])> {
        self.parts.split_last().map(|(name, parent)| (*name, parent))
    }
}

impl Mount {
    fn row(self) -> &'static (Mount, &'static [&'static str], u64, u64, Errno) {
        // Every mount has a row, which a test makes sure of.
        MOUNTS.iter().find(|row| row.0 == self).unwrap_or(&MOUNTS[MOUNTS.len() - 1])
    }

    /// Finds the file system that a path is in, and the rest of the path there.
    pub(super) fn of<'a, 'p>(parts: &'a [&'p str]) -> (Mount, &'a [&'p str]) {
        let mut found = MOUNTS.iter().filter_map(|row| Some((row.0, parts.strip_prefix(row.1)?)));
        found.next().unwrap_or((Mount::Root, parts))
    }

    /// Gives the number that `statfs(2)` tells it by.
    pub(super) fn magic(self) -> u64 {
        self.row().2
    }

    /// Gives the number of its device.
    pub(super) fn device(self) -> u64 {
        self.row().3
    }

    /// Gives what making or removing something there answers, where that is not done.
    pub(super) fn refusal(self) -> Errno {
        self.row().4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mount_has_a_row() {
        use Mount::{Bpf, Proc, Root, Sys, Tracing};
        assert!([Root, Proc, Sys, Bpf, Tracing].iter().all(|mount| mount.row().0 == *mount));
    }

    #[test]
    fn paths_are_split_and_resolved() {
        let parts = |path| {
            let mut path = Path::parse(path).unwrap();
            let root_only = |parts: &[&str]| match parts {
                [] | ["sys", ..] => Ok(()),
                _ => Err(Errno::ENOENT),
            };
            path.resolve(root_only).map(|()| (path.parts().join("/"), path.is_directory))
        };
        assert_eq!(parts("/sys//fs/./bpf"), Ok(("sys/fs/bpf".into(), false)));
        assert_eq!(parts("/sys/fs/../kernel/"), Ok(("sys/kernel".into(), true)));
        assert_eq!(parts("/../sys/.."), Ok((String::new(), true)));
        assert_eq!(parts("/none/../sys"), Err(Errno::ENOENT));
        assert_eq!(Path::parse("").err(), Some(Errno::ENOENT));
        assert_eq!(Path::parse("/a\0b").err(), Some(Errno::EINVAL));
        assert_eq!(Path::parse(&"x".repeat(256)).err(), Some(Errno::ENAMETOOLONG));
        assert_eq!(Path::parse(&"x/".repeat(2048)).err(), Some(Errno::ENAMETOOLONG));
    }

    #[test]
    fn the_longest_mount_is_found() {
        assert_eq!(Mount::of(&["sys", "fs", "bpf", "x"]), (Mount::Bpf, &["x"][..]));
        assert_eq!(Mount::of(&["sys", "fs"]), (Mount::Sys, &["fs"][..]));
        assert_eq!(Mount::of(&["etc"]), (Mount::Root, &["etc"][..]));
    }
}
