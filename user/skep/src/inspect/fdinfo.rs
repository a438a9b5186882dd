//! What the kernel shows of an open descriptor (`/proc/PID/fdinfo/FD`: `bpf_map_show_fdinfo`, `bpf_prog_show_fdinfo`,
//! `bpf_link_show_fdinfo`, kernel/bpf/syscall.c; `bpf_btf_show_fdinfo`, kernel/bpf/btf.c).

use crate::Kernel;
use crate::error::{Error, Result};
use skep_abi::Errno;
use skep_sys::{Fd, MapFd, ObjectKind};

/// What a map takes, and whether it is frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapUsage {
    /// Bytes of the kernel's memory, as the kind of map counts them; before Linux 6.4 an estimate
    /// (`bpf_map_memory_usage`, kernel/bpf/syscall.c).
    pub memlock_bytes: u64,
    /// Whether user space may no longer change it (`BPF_MAP_FREEZE`).
    pub is_frozen: bool,
}

impl Kernel {
    /// Reads what a map takes, and whether it is frozen; `None` on a kernel that does not show its descriptors.
    ///
    /// # Errors
    /// Where the descriptor's file in `/proc` cannot be read.
    pub fn map_usage(&self, map: &MapFd) -> Result<Option<MapUsage>> {
        Ok(self.shown(map.handle().fd())?.and_then(|text| usage_of(&text)))
    }

    /// What is shown of one of this process's descriptors; `None` where there are no such files.
    pub(super) fn shown(&self, fd: Fd) -> Result<Option<String>> {
        let path = format!("/proc/self/fdinfo/{}", fd.number());
        match self.sys().file_read(&path) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
            Err(error) if error.errno() == Errno::ENOENT => Ok(None),
            Err(error) => Err(Error::call("read", error).at_path(&path)),
        }
    }
}

fn usage_of(text: &str) -> Option<MapUsage> {
    let frozen: u32 = value(text, "frozen")?;
    Some(MapUsage { memlock_bytes: value(text, "memlock")?, is_frozen: frozen != 0 })
}

/// Reads what a descriptor is. A link names its program too, and some name their map.
pub(super) fn object_of(text: &str) -> Option<(ObjectKind, u32)> {
    const KEYS: [(&str, ObjectKind); 4] = [
        ("link_id", ObjectKind::Link),
        ("map_id", ObjectKind::Map),
        ("prog_id", ObjectKind::Prog),
        ("btf_id", ObjectKind::Btf),
    ];
    KEYS.into_iter().find_map(|(key, kind)| value(text, key).map(|id| (kind, id)))
}

/// The number behind a key.
fn value<T: std::str::FromStr>(text: &str, key: &str) -> Option<T> {
    let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(name, _)| *name == key).and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_tell_what_they_are() {
        let link = "pos:\t0\nflags:\t02000000\nlink_type:\txdp\nlink_id:\t7\nprog_tag:\tab\nprog_id:\t3\n";
        assert_eq!(object_of(link), Some((ObjectKind::Link, 7)));
        assert_eq!(object_of("link_type:\titer\nmap_id:\t2\nlink_id:\t9\n"), Some((ObjectKind::Link, 9)));
        assert_eq!(object_of("map_type:\t1\nmap_id:\t12\nfrozen:\t0\n"), Some((ObjectKind::Map, 12)));
        assert_eq!(object_of("prog_type:\t6\nprog_id:\t4\n"), Some((ObjectKind::Prog, 4)));
        assert_eq!(object_of("btf_id:\t1\n"), Some((ObjectKind::Btf, 1)));
        for other in ["", "pos:\t0\nino:\t5\n", "map_id:\tx\n", "map_id 5\n", "xmap_id:\t5\n"] {
            assert_eq!(object_of(other), None, "{other}");
        }
    }

    #[test]
    fn maps_tell_what_they_take() {
        let usage = |memlock_bytes, is_frozen| Some(MapUsage { memlock_bytes, is_frozen });
        assert_eq!(usage_of("map_type:\t2\nmemlock:\t4096\nmap_id:\t3\nfrozen:\t1\n"), usage(4096, true));
        assert_eq!(usage_of("memlock:\t18446744073709551615\nfrozen:\t0\n"), usage(u64::MAX, false));
        for other in ["", "memlock:\t4096\n", "memlock:\t-1\nfrozen:\t0\n"] {
            assert_eq!(usage_of(other), None, "{other}");
        }
    }
}
