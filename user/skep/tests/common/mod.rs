//! What the tests share: the committed objects, and what a process and the kernel hold.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test looks at the machine itself")]

use skep::sys::ObjectKind;
use skep::{Kernel, Object};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    pub(crate) own: Own,
    ids: BTreeMap<&'static str, BTreeSet<u32>>,
}

/// What of it is this process's own, or has a path: it goes away at once, or stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Own {
    fds: BTreeMap<String, String>,
    mappings: Vec<String>,
    pins: BTreeSet<String>,
}

/// What is mapped of a kernel: its maps and buffers, and its BTF.
const MAPPED: [&str; 2] = ["anon_inode:", "/sys/kernel/btf/"];

impl Own {
    fn now() -> Own {
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
        let mappings = maps.lines().filter(|line| MAPPED.iter().any(|what| line.contains(what)));
        let mappings = mappings.map(String::from).collect();
        let pins = fs::read_dir("/sys/fs/bpf").map_or_else(
            |_| BTreeSet::new(),
            |dir| dir.map(|entry| entry.unwrap().path().display().to_string()).collect(),
        );
        Own { fds, mappings, pins }
    }

    /// Tells what is there now and was not before.
    pub(crate) fn left_since(before: &Own) -> String {
        Own::now().beyond(before)
    }

    fn beyond(&self, before: &Own) -> String {
        let mut left = String::new();
        for (path, target) in self.fds.iter().filter(|(path, target)| before.fds.get(*path) != Some(target)) {
            left += &format!("{path} -> {target}; ");
        }
        for mapping in self.mappings.iter().filter(|mapping| !before.mappings.contains(mapping)) {
            left += &format!("mapping {mapping}; ");
        }
        for pin in self.pins.difference(&before.pins) {
            left += &format!("pin {pin}; ");
        }
        left
    }
}

impl Held {
    pub(crate) fn now() -> Held {
        let kernel = Kernel::linux();
        let kinds = [
            ("map", ObjectKind::Map),
            ("prog", ObjectKind::Prog),
            ("btf", ObjectKind::Btf),
            ("link", ObjectKind::Link),
        ];
        let ids = kinds.map(|(name, kind)| (name, ids(&kernel, kind))).into_iter().collect();
        Held { own: Own::now(), ids }
    }

    /// Tells what is held now and was not before. What the kernel frees later it gets half a minute for: a struct of
    /// functions waits until every task has been seen outside of it. Ids are of the
    /// whole system: those that other processes hold are theirs.
    pub(crate) fn left_since(before: &Held) -> String {
        let start = std::time::Instant::now();
        loop {
            let mut now = Held::now();
            let mut left = now.beyond(before);
            if !left.is_empty() && start.elapsed() > Duration::from_millis(50) {
                now.forget_foreign();
                left = now.beyond(before);
            }
            if left.is_empty() || start.elapsed() > Duration::from_secs(30) {
                return left;
            }
            std::thread::yield_now();
        }
    }

    /// Leaves out what other processes hold by a descriptor, and what those objects hold.
    fn forget_foreign(&mut self) {
        let sys = Kernel::linux();
        let sys = sys.sys();
        let foreign = foreign_ids();
        let mut theirs: BTreeMap<&str, BTreeSet<u32>> = BTreeMap::new();
        let mut closed = BTreeSet::new();
        for Foreign { kind, id, is_prog_array } in foreign {
            theirs.entry(kind).or_default().insert(id);
            if is_prog_array {
                closed.insert(id);
            }
            if kind == "prog" {
                let Ok(handle) = sys.fd_by_id(ObjectKind::Prog, id, 0) else { continue };
                let prog = skep::sys::ProgFd::from_handle(handle);
                theirs.entry("map").or_default().extend(prog.map_ids().unwrap_or_default());
                theirs.entry("btf").or_default().extend(prog.info().map(|info| info.btf_id));
            }
        }
        for id in theirs.get("map").cloned().unwrap_or_default().difference(&closed).copied() {
            let info = sys.map_by_id(id, 0).and_then(|map| map.info());
            theirs.entry("btf").or_default().extend(info.map(|info| info.btf_id));
        }
        for (kind, ids) in &mut self.ids {
            if let Some(theirs) = theirs.get(kind) {
                ids.retain(|id| !theirs.contains(id));
            }
        }
    }

    fn beyond(&self, before: &Held) -> String {
        let mut left = self.own.beyond(&before.own);
        for (kind, ids) in &self.ids {
            for id in ids.difference(&before.ids[kind]) {
                left += &format!("{kind} {id}; ");
            }
        }
        left
    }
}

/// An object that another process has a descriptor of.
struct Foreign {
    kind: &'static str,
    id: u32,
    /// It must not be opened: where its last descriptor is closed, then one that was opened meanwhile, before the kernel has
    /// got to empty it for the first time, it is never freed (`prog_array_map_clear` in kernel/bpf/arraymap.c takes a reference for a work that is
    /// queued already).
    is_prog_array: bool,
}

/// Lists BPF objects that other processes have descriptors of (`/proc/PID/fdinfo/FD`).
fn foreign_ids() -> Vec<Foreign> {
    let me = std::process::id().to_string();
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let name = process.file_name();
        if !name.to_string_lossy().bytes().all(|c| c.is_ascii_digit()) || name == *me {
            continue;
        }
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else { continue };
        // What a descriptor is, its link says (`bpf-map`, `bpf-prog`, `bpf_link`, `btf`), which costs less than its info.
        let is_bpf = |fd: &fs::DirEntry| {
            let target = fs::read_link(fd.path()).unwrap_or_default();
            target.to_str().is_some_and(|target| ["bpf", "btf"].iter().any(|word| target.contains(word)))
        };
        let infos = fds.flatten().filter(is_bpf).map(|fd| process.path().join("fdinfo").join(fd.file_name()));
        for text in infos.filter_map(|info| fs::read_to_string(info).ok()) {
            let map_type = text.lines().find_map(|line| line.strip_prefix("map_type:")?.trim().parse().ok());
            let is_prog_array = map_type == Some(skep::MapType::PROG_ARRAY.0);
            for line in text.lines() {
                let Some((key, id)) = line.split_once("_id:") else { continue };
                let kinds = ["map", "prog", "btf", "link"];
                if let (Some(kind), Ok(id)) = (kinds.into_iter().find(|kind| *kind == key), id.trim().parse())
                {
                    found.push(Foreign { kind, id, is_prog_array });
                }
            }
        }
    }
    found
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

/// Opens a file of the machine's.
pub(crate) fn open(path: &str) -> fs::File {
    fs::File::open(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Set in the copy of a test that runs in a network of its own.
pub(crate) const IN_OWN_NETWORK: &str = "SKEP_TEST_IN_OWN_NETWORK";

/// Makes a network with the two ends of a cable, `skep0` (192.0.2.1) and `skep1`. /sys/class/net shows the network
/// that it was mounted in, so it is mounted anew, and with it what lies in it.
const NETWORK: &str = "mount -t sysfs skep /sys && \
    (mount -t bpf skep /sys/fs/bpf; mount -t tracefs skep /sys/kernel/tracing; true) && \
    ip link add name skep0 type veth peer name skep1 && \
    ip address add 192.0.2.1/24 dev skep0 && ip link set skep0 up && ip link set skep1 up";

/// Tells whether this is the copy of a test that runs in a network of its own; elsewhere runs that copy, and says that
/// `test` is skipped where it cannot be run.
pub(crate) fn in_own_network(test: &str, turn: Turn) -> bool {
    if std::env::var_os(IN_OWN_NETWORK).is_some() {
        return true;
    }
    drop(turn);
    let this = std::env::current_exe().unwrap();
    let run = |command: &str| {
        let mut unshare = std::process::Command::new("unshare");
        unshare.args(["--net", "--mount", "sh", "-c", command, "sh"]).arg(&this);
        unshare.args(["--exact", test, "--nocapture"]).env(IN_OWN_NETWORK, "1").output()
    };
    match run(NETWORK) {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("skipped: {test}: {}", String::from_utf8_lossy(&output.stderr).trim());
            return false;
        }
        Err(error) => {
            println!("skipped: {test}: unshare: {error}");
            return false;
        }
    }
    let output = run(&format!("{NETWORK} && exec \"$@\"")).unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && text.contains("1 passed"), "{text}{errors}");
    println!("{text}");
    false
}

/// Writes an ELF file that has just these sections.
pub(crate) fn elf(path: &Path, sections: &[(&str, &[u8])]) {
    const HEADER: usize = 64;
    let mut names = b"\0.shstrtab\0".to_vec();
    let (mut body, mut table) = (Vec::new(), vec![0; HEADER]);
    let mut add = |name: usize, kind: u32, at: usize, len: usize| {
        for word in [name as u32, kind] {
            table.extend(word.to_le_bytes());
        }
        // Flags, address, offset, size; link and info; alignment, size of entries.
        for word in [0, 0, at, len, 0, 1, 0] {
            table.extend((word as u64).to_le_bytes());
        }
    };
    for (name, bytes) in sections {
        add(names.len(), 1, HEADER + body.len(), bytes.len());
        names.extend(name.bytes().chain([0]));
        body.extend_from_slice(bytes);
    }
    add(1, 3, HEADER + body.len(), names.len());
    body.extend(&names);
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    for half in [1u16, 247] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1u32.to_le_bytes());
    for word in [0, 0, HEADER + body.len()] {
        file.extend((word as u64).to_le_bytes());
    }
    file.extend(0u32.to_le_bytes());
    for half in [HEADER, 0, 0, 64, sections.len() + 2, sections.len() + 1] {
        file.extend((half as u16).to_le_bytes());
    }
    assert_eq!(file.len(), HEADER);
    fs::write(path, [file, body, table].concat()).unwrap();
}
