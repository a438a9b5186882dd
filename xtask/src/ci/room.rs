//! Room on the disk: where it gets scarce, what a finished step has built and no other uses is removed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Steps that build in a folder of their own, below the folder of build products.
const FOLDERS: &[(&str, &str)] = &[
    ("api", "api"),
    ("msrv", "msrv"),
    ("planted-compiler", "planted/compiler/target"),
    ("rbpf", "rbpf/target"),
    ("asan", "asan"),
    ("miri", "miri"),
    ("loom", "loom"),
    ("coverage", "coverage"),
    ("fuzz", "fuzz/build"),
    ("bare", "bare"),
];

/// With less than this free, finished steps give up their folders. It is more than any step builds.
const SCARCE: u64 = 8 << 30;

/// The folder of build products, and what of it could be removed.
pub(super) struct Room {
    products: PathBuf,
    removable: Mutex<Vec<&'static str>>,
}

impl Room {
    pub(super) fn new(products: PathBuf) -> Self {
        Self { products, removable: Mutex::default() }
    }

    /// Notes that a step is done. Removes what such steps have built if the disk gets full, and names it.
    pub(super) fn is_done(&self, step: &str) -> Option<String> {
        self.is_done_with(step, free_bytes(&self.products)?)
    }

    fn is_done_with(&self, step: &str, free: u64) -> Option<String> {
        let mut removable = self.removable.lock().ok()?;
        removable.extend(FOLDERS.iter().filter(|(owner, _)| *owner == step).map(|(_, folder)| *folder));
        if free >= SCARCE {
            return None;
        }
        let gone = |folder: &&str| std::fs::remove_dir_all(self.products.join(folder)).is_ok();
        let gone: Vec<_> = removable.drain(..).filter(gone).collect();
        (!gone.is_empty()).then(|| format!("{}: {} MiB were free", gone.join(", "), free >> 20))
    }
}

/// How much may be written below a folder, if `df` of POSIX says so.
fn free_bytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let kibibytes: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ci::STEPS;

    #[test]
    fn folders_are_of_steps() {
        for (owner, _) in FOLDERS {
            assert!(STEPS.iter().any(|step| step.name == *owner), "{owner}");
        }
    }

    #[test]
    fn what_finished_steps_built_goes_when_room_is_scarce() {
        let products = std::env::temp_dir().join(format!("xtask-room-{}", std::process::id()));
        for folder in ["asan/debug", "loom/debug", "debug"] {
            std::fs::create_dir_all(products.join(folder)).expect("a folder");
        }
        let room = Room::new(products.clone());
        assert_eq!(room.is_done_with("asan", SCARCE), None);
        assert_eq!(room.is_done_with("test", SCARCE - 1).as_deref(), Some("asan: 8191 MiB were free"));
        assert!(!products.join("asan").exists() && products.join("loom").exists());
        assert_eq!(room.is_done_with("test", 0), None);
        assert_eq!(room.is_done_with("loom", 0).as_deref(), Some("loom: 0 MiB were free"));
        assert!(products.join("debug").exists());
        std::fs::remove_dir_all(products).expect("the folder");
    }

    #[test]
    fn df_says_how_much_is_free() {
        assert!(free_bytes(Path::new("/")).is_some_and(|free| free > 0));
    }
}
