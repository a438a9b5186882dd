//! Lines of a trace, and which call of the seam each can be.

use std::collections::BTreeSet;

/// One system call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SystemCall {
    name: String,
    first: String,
    pub(crate) line: String,
}

/// By call of the seam, the system calls that it may be on one machine or another.
const SAME: &[(&str, &[&str])] = &[
    ("perf_event_open", &["perf_event_open"]),
    ("PERF_EVENT_IOC_", &["ioctl"]),
    ("mmap", &["mmap", "mmap2"]),
    ("munmap", &["munmap"]),
    ("poll", &["poll", "ppoll", "ppoll_time64"]),
    ("open", &["open", "openat"]),
    ("read", &["read"]),
    ("pread", &["pread64"]),
    ("write", &["write"]),
    ("statfs", &["statfs", "statfs64"]),
    ("stat", &["stat", "newfstatat", "fstatat64", "statx"]),
    ("getdents", &["getdents64"]),
    ("mkdir", &["mkdir", "mkdirat"]),
    ("unlink", &["unlink", "unlinkat"]),
    ("rmdir", &["rmdir", "unlinkat"]),
    ("setsockopt SO_", &["setsockopt"]),
    ("getrlimit RLIMIT_MEMLOCK", &["getrlimit", "prlimit64"]),
    ("setrlimit RLIMIT_MEMLOCK", &["setrlimit", "prlimit64"]),
    ("dup", &["fcntl", "fcntl64"]),
    ("close", &["close"]),
];

impl SystemCall {
    /// Tells whether this can be the seam's call of that name.
    pub(crate) fn is(&self, call: &str) -> bool {
        if call == "bpf" || call.starts_with("BPF_") {
            // A command that this strace has no name for is a number to it.
            let named = !self.first.contains("???");
            return self.name == "bpf" && (!named || self.first == call || call == "bpf");
        }
        let row =
            SAME.iter().find(|(name, _)| *name == call || (name.ends_with('_') && call.starts_with(name)));
        row.is_some_and(|(_, names)| names.contains(&self.name.as_str()))
    }
}

/// Reads lines, leaving out what an allocator and a thread do for themselves.
pub(crate) fn parse(lines: &[&str]) -> Vec<SystemCall> {
    let mut shared = BTreeSet::new();
    let mut calls = Vec::new();
    for line in lines {
        let Some((name, rest)) = line.split_once('(') else { continue };
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let first = rest.split([',', ')']).next().unwrap_or_default().trim();
        let own = match name {
            "brk" | "mremap" | "madvise" | "mprotect" | "futex" | "sched_yield" => true,
            "mmap" | "mmap2" => {
                let anonymous = rest.contains("MAP_ANONYMOUS");
                if let (false, Some((_, address))) = (anonymous, line.rsplit_once(" = ")) {
                    shared.insert(address.trim().to_owned());
                }
                anonymous
            }
            // One that was not mapped between the marks is the allocator's.
            "munmap" => !shared.remove(first),
            _ => false,
        };
        if !own {
            let line = line.chars().take(200).collect();
            calls.push(SystemCall { name: name.to_owned(), first: first.to_owned(), line });
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[&str] = &[
        "brk(0x5581) = 0x5581",
        "bpf(BPF_MAP_CREATE, {map_type=BPF_MAP_TYPE_ARRAY, key_size=4}, 96) = 3",
        "mmap(NULL, 4096, PROT_READ, MAP_SHARED, 3, 0) = 0x7f01",
        "mmap(NULL, 4096, PROT_READ, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7f02",
        "munmap(0x7f02, 4096) = 0",
        "munmap(0x7f01, 4096) = 0",
        "close(3) = 0",
        "+++ exited with 0 +++",
    ];

    #[test]
    fn the_allocators_calls_are_left_out() {
        let calls = parse(LINES);
        let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
        assert_eq!(names, ["bpf", "mmap", "munmap", "close"]);
        for (call, name) in calls.iter().zip(["BPF_MAP_CREATE", "mmap", "munmap", "close"]) {
            assert!(call.is(name), "{call:?}");
        }
        assert!(!calls[0].is("BPF_MAP_FREEZE") && !calls[1].is("munmap") && !calls[3].is("BPF_MAP_CREATE"));
        let unknown = parse(&["bpf(0x30 /* BPF_??? */, 0x7ff0, 8) = 0"]);
        assert!(unknown[0].is("BPF_MAP_CREATE") && !unknown[0].is("close"));
    }

    #[test]
    #[should_panic(expected = "call 1: the seam says Some(\"close\")")]
    fn a_call_too_many_is_told() {
        crate::compare(&["BPF_MAP_CREATE", "close"], &parse(LINES));
    }
}
