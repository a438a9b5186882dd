//! What the tests of every implementer share.
#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod files;

use rustix::process::{Resource, Rlimit};
use skep_abi::{Errno, MapCreate, MapType};
use skep_lab_seam::Machine;
use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tells whether this process may use `bpf(2)`; says that `test` is skipped where it may not.
pub(crate) fn bpf(test: &str) -> Option<Machine> {
    // Before 5.11 maps count as locked memory, of which a process may have 64 KiB; root may lift that.
    let unlimited = Rlimit { current: None, maximum: None };
    let _ = rustix::process::setrlimit(Resource::Memlock, unlimited);
    let create = MapCreate { map_type: MapType::RINGBUF.0, max_entries: 64 << 10, ..MapCreate::default() };
    match skep_linux::kernel().map_create(&create) {
        Ok(_) => Some(machine()),
        Err(error) if [Errno::EPERM, Errno::ENOSYS, Errno::EINVAL].contains(&error.errno()) => {
            println!("skipped: {test}: this process may not create a ring: {error}");
            None
        }
        Err(error) => panic!("creating a ring: {error}"),
    }
}

/// Tells what the exercise has to know of this machine.
pub(crate) fn machine() -> Machine {
    Machine { page_size: rustix::param::page_size(), release: release() }
}

/// The version of the running kernel: 6 and 18, say.
pub(crate) fn release() -> (u32, u32) {
    let uname = rustix::system::uname();
    let text = uname.release().to_str().expect("a release is ASCII");
    let mut numbers = text.split(['.', '-']).map_while(|number| number.parse().ok());
    let (major, minor) = (numbers.next(), numbers.next());
    major.zip(minor).expect("a release begins with two numbers")
}

/// Gives this test's thread interfaces of its own: a loopback with index 1 that nobody else attaches to.
pub(crate) fn own_network() {
    // SAFETY: the call changes what this thread sees of the network and touches no memory.
    let result = unsafe { libc::unshare(libc::CLONE_NEWNET) };
    assert_eq!(result, 0, "a network namespace for this thread");
}

static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other test of this process is at work, for those that look at all of its descriptors.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The descriptors and BPF mappings that a process has, to compare before and after.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leftovers {
    fds: BTreeMap<String, String>,
    mappings: Vec<String>,
}

impl Leftovers {
    pub(crate) fn now() -> Leftovers {
        let mut fds = BTreeMap::new();
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let path = entry.unwrap().path();
            // The directory's own descriptor is gone by the time that its link is read.
            if let Ok(target) = fs::read_link(&path) {
                fds.insert(path.display().to_string(), target.display().to_string());
            }
        }
        fds.retain(|_, target| !target.ends_with("/fd"));
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mappings = maps.lines().filter(|line| line.contains("anon_inode:")).map(String::from).collect();
        Leftovers { fds, mappings }
    }
}
