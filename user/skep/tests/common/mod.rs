//! What the tests share: the committed objects, and what a process and the kernel hold.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test looks at the machine itself")]

use skep::sys::ObjectKind;
use skep::{Kernel, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// One test at a time uses the kernel, so that ids and descriptors can be compared before and after.
static TURN: Mutex<()> = Mutex::new(());

/// A test's turn at the running kernel.
pub(crate) struct Turn {
    pub(crate) kernel: Kernel,
    _turn: MutexGuard<'static, ()>,
}

/// Takes the running kernel; says that `test` is skipped where this process may not use `bpf(2)`.
pub(crate) fn linux(test: &str) -> Option<Turn> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let kernel = Kernel::linux();
    match object("lab/vectors/code/branches.v1").load(&kernel) {
        Ok(_) => Some(Turn { kernel, _turn: turn }),
        Err(error) if [skep::ErrorKind::Permission, skep::ErrorKind::Unsupported].contains(&error.kind()) => {
            println!("skipped: {test}: {error}");
            None
        }
        Err(error) => panic!("{error:?}"),
    }
}

pub(crate) fn object(stem: &str) -> Object {
    Object::open(format!("{ROOT}/{stem}.bpf.o")).unwrap_or_else(|error| panic!("{error}"))
}

/// A row of `lab/vectors/objects.txt`.
pub(crate) struct Row {
    pub(crate) stem: String,
    pub(crate) expect: String,
    /// The first Linux that loads it.
    pub(crate) since: Option<(u32, u32)>,
}

pub(crate) fn rows() -> Vec<Row> {
    let table = fs::read_to_string(format!("{ROOT}/lab/vectors/objects.txt")).unwrap();
    let rows = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    rows.map(|row| {
        let mut words = row.split_whitespace();
        let mut word = || words.next().unwrap().to_owned();
        let (stem, expect, since) = (word(), word(), word());
        Row { stem, expect, since: version(&since) }
    })
    .collect()
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// The version of the running kernel.
pub(crate) fn running() -> (u32, u32) {
    version(&fs::read_to_string("/proc/sys/kernel/osrelease").unwrap()).unwrap()
}

/// The packet that the programs of the vectors run on.
pub(crate) fn packet() -> Vec<u8> {
    let text = fs::read_to_string(format!("{ROOT}/lab/vectors/packet.hex")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.flat_map(str::split_whitespace).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// What a process and the kernel hold, to compare before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    fds: BTreeMap<String, String>,
    mappings: Vec<String>,
    ids: BTreeMap<&'static str, BTreeSet<u32>>,
    pins: BTreeSet<String>,
}

impl Held {
    pub(crate) fn now() -> Held {
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
        let kernel = Kernel::linux();
        let kinds = [
            ("map", ObjectKind::Map),
            ("prog", ObjectKind::Prog),
            ("btf", ObjectKind::Btf),
            ("link", ObjectKind::Link),
        ];
        let ids = kinds.map(|(name, kind)| (name, ids(&kernel, kind))).into_iter().collect();
        let pins = fs::read_dir("/sys/fs/bpf").map_or_else(
            |_| BTreeSet::new(),
            |dir| dir.map(|entry| entry.unwrap().path().display().to_string()).collect(),
        );
        Held { fds, mappings, ids, pins }
    }

    /// Tells what is held now and was not before. What the kernel frees later it gets five seconds for; ids are of the
    /// whole system, so they may also be somebody else's, and gone soon.
    pub(crate) fn left_since(before: &Held) -> String {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(5);
        loop {
            let left = Held::now().beyond(before);
            if left.is_empty() || std::time::Instant::now() > until {
                return left;
            }
            std::thread::yield_now();
        }
    }

    fn beyond(&self, before: &Held) -> String {
        let mut left = String::new();
        for (path, target) in self.fds.iter().filter(|(path, target)| before.fds.get(*path) != Some(target)) {
            left += &format!("{path} -> {target}; ");
        }
        for mapping in self.mappings.iter().filter(|mapping| !before.mappings.contains(mapping)) {
            left += &format!("mapping {mapping}; ");
        }
        for (kind, ids) in &self.ids {
            for id in ids.difference(&before.ids[kind]) {
                left += &format!("{kind} {id}; ");
            }
        }
        for pin in self.pins.difference(&before.pins) {
            left += &format!("pin {pin}; ");
        }
        left
    }
}

fn ids(kernel: &Kernel, kind: ObjectKind) -> BTreeSet<u32> {
    let mut ids = BTreeSet::new();
    let mut last = 0;
    while let Some(id) = kernel.sys().next_id(kind, last).unwrap() {
        ids.insert(id);
        last = id;
    }
    ids
}
