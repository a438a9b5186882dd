//! What an error says where a kernel refuses: why a verifier did, and what a process lacks.
#![allow(clippy::disallowed_methods, reason = "a test makes the files that its kernel shows")]

mod common;

use common::{Held, linux, object};
use skep::sys::{Call, FileCall, Reply, Sys};
use skep::{Autoload, Errno, Error, ErrorKind, Kernel, Lack};
use std::path::PathBuf;
use std::sync::Arc;

#[test]
fn a_rejection_names_the_line_of_the_source() {
    let Some(turn) = linux("a_rejection_names_the_line_of_the_source") else { return };
    let before = Held::now();
    let error = object("lab/vectors/refused/unchecked_packet").load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let found = error.rejection().expect("a rejection");
    assert!(found.cause.contains("outside of the packet"), "{found:?}");
    assert_eq!(error.place().insn, found.insn);
    let source = found.source.as_ref().expect("a line");
    let path = format!("{}/lab/vectors/refused/unchecked_packet.bpf.c", common::ROOT);
    assert!(source.file.ends_with("unchecked_packet.bpf.c"), "{source:?}");
    let text = common::read(&path);
    let line = text.lines().nth(source.line as usize - 1).expect("the line");
    assert_eq!(source.text.trim(), line.trim());
    assert!(line.contains("data"), "{line}");
    assert!(found.stats.processed_insns.is_some_and(|count| count > 0), "{:?}", found.stats);
    assert_eq!(found.missing, None);
    let said = error.to_string();
    assert!(said.contains(&found.cause) && said.contains(line.trim()), "{said}");
    assert!(error.verifier_log().is_some_and(|log| log.contains(&found.cause)));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_call_that_stands_for_what_is_not_there_is_named() {
    let Some(turn) = linux("a_call_that_stands_for_what_is_not_there_is_named") else { return };
    let mut object = object("lab/vectors/maps/sizes");
    object.map_mut("chosen").unwrap().set_autocreate(skep::Autocreate::No);
    object.only_program("by_choice").unwrap().program_mut("by_choice").unwrap().set_autoload(Autoload::Yes);
    let error = object.load(&turn.kernel).unwrap_err();
    let missing = error.rejection().and_then(|found| found.missing.clone()).expect("a name");
    assert_eq!(missing, "map chosen, which was not made");
    assert!(error.to_string().contains("which stands for map chosen"), "{error}");
}

/// A kernel that permits nothing, and shows a process files of the test's own.
struct Forbidding {
    inner: Arc<dyn Sys>,
    files: Vec<(&'static str, PathBuf)>,
}

impl Sys for Forbidding {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Bpf(_) => Err(Errno::EPERM),
            Call::File(FileCall::Open(path, mode)) => {
                match self.files.iter().find(|(shown, _)| *shown == path) {
                    Some((_, instead)) => {
                        let instead = instead.to_str().expect("a path");
                        self.inner.call(Call::File(FileCall::Open(instead, mode)))
                    }
                    None => Err(Errno::ENOENT),
                }
            }
            other => self.inner.call(other),
        }
    }
}

/// Loads an object where nothing is permitted and files say this.
fn forbidden(stem: &str, shown: &[(&'static str, &str)]) -> Error {
    let folder = std::env::temp_dir().join(format!("skep_refusals_{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let files = shown.iter().enumerate().map(|(number, (path, contents))| {
        let instead = folder.join(number.to_string());
        std::fs::write(&instead, contents).unwrap();
        (*path, instead)
    });
    let linux = Kernel::linux();
    let inner = Arc::clone(linux.sys().sys());
    let kernel = Kernel::from_sys(Forbidding { inner, files: files.collect() });
    let error = object(stem).load(&kernel).unwrap_err();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Permission, Some(Errno::EPERM)), "{error:?}");
    error
}

const STATUS: &str = "/proc/self/status";
const RELEASE: (&str, &str) = ("/proc/sys/kernel/osrelease", "6.12.0\n");
const ALL: (&str, &str) = (STATUS, "CapEff:\t000001ffffffffff\n");

#[test]
fn what_is_not_permitted_says_what_is_missing() {
    // One test at a time writes the files.
    let branches = "lab/vectors/code/branches.v1";
    let pass = "lab/shapes/c/pass";

    let error = forbidden(pass, &[RELEASE, (STATUS, "CapEff:\t0000000000000000\n")]);
    assert_eq!(error.lacks(), [Lack::Capability("CAP_BPF"), Lack::Capability("CAP_NET_ADMIN")], "{error}");
    assert!(error.to_string().contains("this process lacks CAP_BPF"), "{error}");
    // CAP_BPF is bit 39.
    let error = forbidden(pass, &[RELEASE, (STATUS, "CapEff:\t0000008000000000\n")]);
    assert_eq!(error.lacks(), [Lack::Capability("CAP_NET_ADMIN")], "{error}");
    // Before Linux 5.8, one capability was for all.
    let old = ("/proc/sys/kernel/osrelease", "5.4.0\n");
    let error = forbidden(pass, &[old, (STATUS, "CapEff:\t0000008000000000\n")]);
    assert_eq!(error.lacks(), [Lack::Capability("CAP_SYS_ADMIN")], "{error}");

    // Maps of common kinds are for all, unless a setting says otherwise.
    let disabled = ("/proc/sys/kernel/unprivileged_bpf_disabled", "2\n");
    let error = forbidden(branches, &[RELEASE, disabled, (STATUS, "CapEff:\t0000000000000000\n")]);
    let sysctl = Lack::Sysctl { name: "kernel.unprivileged_bpf_disabled", value: "2".to_owned() };
    assert!(error.place().map.is_some() && error.lacks().contains(&sysctl), "{error:?} {:?}", error.lacks());

    let error = forbidden(pass, &[RELEASE, ALL, ("/proc/self/uid_map", "0 1000 1\n")]);
    let token = Lack::Token { path: "/sys/fs/bpf".to_owned(), errno: Errno::ENOENT };
    assert_eq!(error.lacks(), [Lack::InitialUserNamespace, token], "{error}");
    let lockdown = ("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
    let initial = ("/proc/self/uid_map", "         0          0 4294967295\n");
    let error = forbidden(pass, &[RELEASE, ALL, initial, lockdown]);
    assert_eq!(error.lacks(), [Lack::Lockdown("integrity".to_owned())], "{error}");
    let error = forbidden(pass, &[RELEASE, ALL, initial]);
    assert_eq!(error.lacks(), [Lack::Policy], "{error}");
    // A kernel that does not tell what a process may says nothing more.
    let error = forbidden(pass, &[RELEASE]);
    assert_eq!(error.lacks(), [] as [Lack; 0], "{error}");
}
