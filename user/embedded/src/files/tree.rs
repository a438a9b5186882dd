//! The read-only files through which a loader learns what kernel this is.

use crate::Embedded;
use skep_abi::Errno;
use skep_sys::{DirEntry, FileKind};
use std::fmt;

/// The release that this kernel answers as.
const RELEASE: &str = "6.18.0-skep";

/// Directories that are there even when nothing is in them.
const DIRECTORIES: &[&str] = &["proc", "sys/class/net", "sys/fs/bpf", "sys/kernel/tracing/events"];

/// A directory's fixed files: path and contents.
type File = (&'static str, fn(&Embedded) -> Result<Vec<u8>, Errno>);

/// The files that every kernel has.
const FILES: &[File] = &[
    ("boot/config-6.18.0-skep", config),
    // Nothing here has an address that a program could use.
    ("proc/kallsyms", |_| Ok(Vec::new())),
    ("proc/self/auxv", |embedded| auxv(embedded.page_size())),
    ("proc/sys/kernel/osrelease", |_| text(format_args!("{RELEASE}\n")).map(String::into_bytes)),
    ("sys/devices/system/cpu/online", possible),
    ("sys/devices/system/cpu/possible", possible),
    ("sys/devices/system/cpu/present", possible),
    ("sys/kernel/btf/vmlinux", |embedded| embedded.kernel().with_btf(copy)?),
];

/// What is at a path.
#[derive(Debug)]
pub(super) enum Found {
    /// A directory.
    Directory,
    /// A file with these contents.
    File(Vec<u8>),
}

/// Copies bytes.
fn copy(bytes: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).map_err(|_| Errno::ENOMEM)?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

/// A text that grows as long as there is memory.
struct Text(String);

impl fmt::Write for Text {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        self.0.try_reserve(more.len()).map_err(|_| fmt::Error)?;
        self.0.push_str(more);
        Ok(())
    }
}

fn text(words: fmt::Arguments<'_>) -> Result<String, Errno> {
    let mut text = Text(String::new());
    fmt::write(&mut text, words).map_err(|_| Errno::ENOMEM)?;
    Ok(text.0)
}

/// CPUs as the kernel lists them.
fn possible(embedded: &Embedded) -> Result<Vec<u8>, Errno> {
    let list = match embedded.cpus() {
        1 => text(format_args!("0\n")),
        count => text(format_args!("0-{}\n", count - 1)),
    };
    list.map(String::into_bytes)
}

/// What this kernel is made of, in the words of Linux's configuration; objects read it through externs (`.kconfig`).
/// A tick is as long as `jiffies64` says.
fn config(embedded: &Embedded) -> Result<Vec<u8>, Errno> {
    const FIXED: &str = concat!(
        "CONFIG_64BIT=y\n",
        "CONFIG_LOCALVERSION=\"-skep\"\n",
        "CONFIG_HZ=250\n",
        "CONFIG_SMP=y\n",
        "CONFIG_BPF=y\n",
        "CONFIG_BPF_SYSCALL=y\n",
        "CONFIG_BPF_EVENTS=y\n",
        "CONFIG_DEBUG_INFO_BTF=y\n",
        "CONFIG_NET=y\n",
        "CONFIG_NET_XGRESS=y\n",
        "CONFIG_TRACEPOINTS=y\n",
    );
    text(format_args!("{FIXED}CONFIG_NR_CPUS={}\n", embedded.cpus())).map(String::into_bytes)
}

/// The auxiliary vector of a process here: the size of a page (`AT_PAGESZ`, include/uapi/linux/auxvec.h), and the end.
fn auxv(page_size: usize) -> Result<Vec<u8>, Errno> {
    let words = [6, page_size, 0, 0].map(usize::to_ne_bytes);
    copy(words.as_flattened())
}

/// Lists the files that come and go with what the owner registers: their paths and contents.
fn registered(embedded: &Embedded) -> Result<Vec<(String, String)>, Errno> {
    let (interfaces, tracepoints) = (embedded.kernel().interfaces()?, embedded.kernel().tracepoints()?);
    let mut files = Vec::new();
    files.try_reserve_exact(interfaces.len() + 2 * tracepoints.len()).map_err(|_| Errno::ENOMEM)?;
    for (name, index) in interfaces {
        let path = text(format_args!("sys/class/net/{name}/ifindex"))?;
        files.push((path, text(format_args!("{index}\n"))?));
    }
    for (group, name, id) in tracepoints {
        let at = |file| text(format_args!("sys/kernel/tracing/events/{group}/{name}/{file}"));
        files.push((at("format")?, format_of(&name, id)?));
        files.push((at("id")?, text(format_args!("{id}\n"))?));
    }
    Ok(files)
}

/// The fields that every record starts with (`trace_define_common_fields`, `kernel/trace/trace_events.c`); what comes
/// behind them is between whoever fires the tracepoint and the programs.
const FIELDS: &str = "\
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;
\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;
";

fn format_of(name: &str, id: u64) -> Result<String, Errno> {
    text(format_args!("name: {name}\nID: {id}\nformat:\n{FIELDS}\n"))
}

/// Tells whether a path is, or is above, `other`; gives what of `other` is below it.
fn below<'o>(parts: &[&str], other: &'o str) -> Option<&'o str> {
    let mut rest = other;
    for part in parts {
        rest = rest.strip_prefix(part)?;
        rest = match rest.strip_prefix('/') {
            Some(rest) => rest,
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(rest)
}

/// Finds what is at a path.
///
/// # Errors
/// `ENOENT`; `ENOTDIR` below a file.
pub(super) fn find(embedded: &Embedded, parts: &[&str]) -> Result<Found, Errno> {
    let file = |at: &str| (below(parts, at) == Some("")).then_some(());
    if let Some((_, contents)) = FILES.iter().find(|(at, _)| file(at).is_some()) {
        return contents(embedded).map(Found::File);
    }
    let mut registered = registered(embedded)?;
    if let Some(at) = registered.iter().position(|(at, _)| file(at).is_some()) {
        return Ok(Found::File(registered.swap_remove(at).1.into_bytes()));
    }
    let fixed = FILES.iter().map(|(at, _)| *at).chain(DIRECTORIES.iter().copied());
    let mut all = fixed.chain(registered.iter().map(|(at, _)| &**at));
    if all.any(|at| below(parts, at).is_some()) {
        return Ok(Found::Directory);
    }
    let is_file = |at: &str| (1..parts.len()).any(|len| below(&parts[..len], at) == Some(""));
    let mut files = FILES.iter().map(|(at, _)| *at).chain(registered.iter().map(|(at, _)| &**at));
    Err(if files.any(is_file) { Errno::ENOTDIR } else { Errno::ENOENT })
}

/// Lists a directory.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn list(embedded: &Embedded, parts: &[&str]) -> Result<Vec<DirEntry>, Errno> {
    let registered = registered(embedded)?;
    let files = FILES.iter().map(|(at, _)| *at).chain(registered.iter().map(|(at, _)| &**at));
    let files = files.map(|at| (at, FileKind::Regular));
    let all = files.chain(DIRECTORIES.iter().map(|at| (*at, FileKind::Directory)));
    let mut list: Vec<DirEntry> = Vec::new();
    for (at, kind) in all {
        let Some(rest) = below(parts, at).filter(|rest| !rest.is_empty()) else { continue };
        let (name, kind) = match rest.split_once('/') {
            Some((name, _)) => (name, FileKind::Directory),
            None => (rest, kind),
        };
        if !list.iter().any(|entry| entry.name == name) {
            list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
            list.push(DirEntry { name: text(format_args!("{name}"))?, kind });
        }
    }
    list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_below_whole_names_only() {
        assert_eq!(below(&["sys", "fs"], "sys/fs/bpf"), Some("bpf"));
        assert_eq!(below(&["sys"], "sys"), Some(""));
        assert_eq!(below(&[], "proc"), Some("proc"));
        assert_eq!(below(&["sys", "f"], "sys/fs/bpf"), None);
        assert_eq!(below(&["sys", "fs", "bpf", "x"], "sys/fs/bpf"), None);
    }

    #[test]
    fn the_configuration_is_that_of_the_release() {
        let embedded = Embedded::new(crate::Config::new()).unwrap();
        let at = format!("config-{RELEASE}");
        let Ok(Found::File(text)) = find(&embedded, &["boot", &at]) else { panic!("{at} is not there") };
        let text = std::str::from_utf8(&text).unwrap();
        assert!(text.contains(&format!("\nCONFIG_NR_CPUS={}\n", embedded.cpus())), "{text}");
        let tick = std::time::Duration::from_secs(1) / 250;
        let embedded = Embedded::new(crate::Config::new().time(crate::Time::Fixed(0))).unwrap();
        let jiffies = || embedded.host_for_tests().clock().unwrap().jiffies();
        let before = jiffies();
        embedded.set_time(tick.as_nanos() as u64);
        assert_eq!(jiffies(), before + 1, "CONFIG_HZ");
    }

    #[test]
    fn the_format_is_as_tracefs_writes_it() {
        let text = format_of("enter", 7).unwrap();
        assert!(
            text.starts_with("name: enter\nID: 7\nformat:\n\tfield:unsigned short common_type;\toffset:0;")
        );
    }
}
