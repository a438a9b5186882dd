//! Loads in a user namespace of its own, with what a BPF file system delegates to it.
#![allow(clippy::disallowed_methods, reason = "a test makes what its kernel finds")]

mod common;

use common::{linux, object};
use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen, move_mount,
};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use skep::{Errno, Error, ErrorKind, Feature, Instead, Kernel, Lack, Loaded};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::process::{Child, Command, Stdio};

const TEST: &str = "what_is_delegated_loads_and_what_is_not_is_named";

/// Set in the copy of the test that runs in a user namespace of its own: which case it is.
const CASE: &str = "SKEP_TEST_TOKEN_CASE";
/// Where the file system is mounted there.
const USUAL: &str = "/sys/fs/bpf";
/// Another place, which is there in every Linux.
const OTHER: &str = "/tmp";
const VARIABLE: &str = "LIBBPF_BPF_TOKEN_PATH";

/// The firewall has maps of four kinds, types, and a program that says how it attaches.
const OBJECT: &str = "examples/xdp-firewall/xdp_firewall";

/// One way to mount it, and what comes of it.
struct Case {
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    path: &'static str,
    /// The variable's value.
    variable: Option<&'static str>,
    check: fn(),
}

const ALL: &[(&str, &str)] = &[
    ("delegate_cmds", "any"),
    ("delegate_maps", "any"),
    ("delegate_progs", "any"),
    ("delegate_attachs", "any"),
];

static CASES: &[Case] = &[
    Case { name: "all", options: ALL, path: USUAL, variable: None, check: all },
    Case { name: "elsewhere", options: ALL, path: OTHER, variable: None, check: elsewhere },
    Case { name: "by variable", options: ALL, path: OTHER, variable: Some(OTHER), check: by_variable },
    Case { name: "prevented", options: ALL, path: USUAL, variable: Some(""), check: prevented },
    Case { name: "nothing", options: &[], path: USUAL, variable: None, check: nothing },
    Case { name: "demanded", options: &[], path: USUAL, variable: Some(USUAL), check: demanded },
    Case {
        name: "commands",
        options: &[("delegate_cmds", "btf_load"), ("delegate_maps", "any")],
        path: USUAL,
        variable: None,
        check: || delegates_no(&[("delegate_cmds", "map_create")]),
    },
    Case {
        name: "maps",
        options: &[("delegate_cmds", "any"), ("delegate_maps", "array")],
        path: USUAL,
        variable: None,
        check: || delegates_no(&[("delegate_maps", "percpu_array")]),
    },
    Case {
        name: "programs",
        options: &[("delegate_cmds", "any"), ("delegate_maps", "any"), ("delegate_progs", "socket_filter")],
        path: USUAL,
        variable: None,
        check: || delegates_no(&[("delegate_progs", "xdp"), ("delegate_attachs", "xdp")]),
    },
    Case {
        name: "attaching",
        options: &[("delegate_cmds", "any"), ("delegate_maps", "any"), ("delegate_progs", "any")],
        path: USUAL,
        variable: None,
        check: || delegates_no(&[("delegate_attachs", "xdp")]),
    },
];

fn load(kernel: &Kernel) -> Result<Loaded, Error> {
    let mut object = object(OBJECT);
    object.only_program("xdp_firewall").unwrap();
    object.load(kernel)
}

fn tokens_noted(loaded: &Loaded) -> usize {
    loaded.notes().iter().filter(|note| note.instead == Instead::Token).count()
}

fn all() {
    let kernel = Kernel::linux();
    // A question is refused as a load is, and asked again with a token.
    assert!(kernel.has(Feature::ProgName).unwrap());
    let kernel = Kernel::linux();
    let loaded = load(&kernel).unwrap();
    assert_eq!(tokens_noted(&loaded), 1, "{:?}", loaded.notes());
    assert_eq!(loaded.notes().len(), 1, "{:?}", loaded.notes());
    assert_eq!(loaded.notes()[0].to_string(), "used a BPF token: of /sys/fs/bpf");
    let types = loaded.program("xdp_firewall").unwrap().info().unwrap().btf_id;
    assert_ne!(types, 0);
    // Types are opened by their number with a token too, by kernels that take one.
    match (kernel.btf_by_id(types), common::running() >= (6, 15)) {
        (Ok(btf), true) => assert!(btf.find("xdp_firewall", skep_btf::Kind::Func).is_some()),
        (Err(error), false) => assert_eq!(error.errno(), Some(Errno::EPERM), "{error}"),
        (answer, _) => panic!("{:?}", answer.map(|btf| btf.bytes().len())),
    }
    let error = kernel.without_token().btf_by_id(types).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Permission, Some(Errno::EPERM)), "{error}");
    assert_eq!(tokens_noted(&load(&kernel).unwrap()), 0, "it is no news");
    prevented_by(&kernel.without_token());
}

fn elsewhere() {
    let error = load(&Kernel::linux()).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EPERM), "{error}");
    assert!(matches!(error.lacks(), [Lack::InitialUserNamespace, Lack::Token { path, .. }] if path == USUAL));
    let kernel = Kernel::linux().with_token(OTHER).unwrap();
    assert_eq!(load(&kernel).unwrap().notes(), []);
    let error = Kernel::linux().with_token("/proc").unwrap_err();
    assert_eq!((error.errno(), error.place().path.as_deref()), (Some(Errno::EINVAL), Some("/proc")));
}

fn by_variable() {
    assert_eq!(load(&Kernel::linux()).unwrap().notes(), []);
}

fn prevented() {
    prevented_by(&Kernel::linux());
}

fn prevented_by(kernel: &Kernel) {
    let error = load(kernel).unwrap_err();
    assert_eq!((error.errno(), error.lacks()), (Some(Errno::EPERM), &[Lack::InitialUserNamespace][..]));
}

fn nothing() {
    let error = load(&Kernel::linux()).unwrap_err();
    let missing = Lack::Token { path: USUAL.to_owned(), errno: Errno::ENOENT };
    assert_eq!(error.lacks(), [Lack::InitialUserNamespace, missing]);
    assert!(error.to_string().contains("so nothing is delegated there"), "{error}");
}

fn demanded() {
    let error = load(&Kernel::linux()).unwrap_err();
    assert_eq!((error.kind(), error.errno()), (ErrorKind::Kernel, Some(Errno::ENOENT)), "{error}");
    assert!(error.to_string().contains("BPF_TOKEN_CREATE") && error.to_string().contains(USUAL), "{error}");
}

fn delegates_no(wanted: &[(&'static str, &str)]) {
    let error = load(&Kernel::linux()).unwrap_err();
    let lack =
        |(option, value): &(&'static str, &str)| Lack::Delegation { option, value: (*value).to_owned() };
    let wanted: Vec<_> = wanted.iter().map(lack).collect();
    assert_eq!((error.errno(), error.lacks()), (Some(Errno::EPERM), &wanted[..]), "{error}");
    assert!(error.to_string().contains("is mounted without delegate_"), "{error}");
}

/// In the namespace: has the file system made by the one outside, mounts it and does what the case is for.
fn inside(case: &Case) {
    let context = fsopen("bpf", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    println!("\ncontext {}", context.as_raw_fd());
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    assert_eq!(line, "made\n");
    let mount = fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    move_mount(&mount, "", CWD, case.path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).unwrap();
    (case.check)();
}

/// Makes the file system for the namespace of `child`, who has opened it: only outside one may delegate.
fn delegate(child: &mut Child, case: &Case) -> Result<String, String> {
    let said = |what: &'static str| move |error: rustix::io::Errno| format!("{what}: {error}");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut seen = String::new();
    let context = loop {
        let mut line = String::new();
        if output.read_line(&mut line).unwrap() == 0 {
            return Err(format!("it ended early: {seen}"));
        }
        if let Some(number) = line.strip_prefix("context ") {
            break number.trim().parse::<i32>().unwrap();
        }
        seen += &line;
    };
    let pid = Pid::from_child(child);
    let process = pidfd_open(pid, PidfdFlags::empty()).map_err(said("pidfd_open"))?;
    let context = pidfd_getfd(process, context, PidfdGetfdFlags::empty()).map_err(said("pidfd_getfd"))?;
    for (option, value) in case.options {
        fsconfig_set_string(&context, *option, *value).map_err(said(option))?;
    }
    fsconfig_create(&context).map_err(said("fsconfig"))?;
    child.stdin.take().unwrap().write_all(b"made\n").unwrap();
    std::io::Read::read_to_string(&mut output, &mut seen).unwrap();
    Ok(seen)
}

#[test]
fn what_is_delegated_loads_and_what_is_not_is_named() {
    if let Some(name) = std::env::var_os(CASE) {
        return inside(CASES.iter().find(|case| name == case.name).unwrap());
    }
    let Some(turn) = linux(TEST) else { return };
    if common::running() < (6, 9) {
        println!("skipped: {TEST}: Linux {:?} has no tokens", common::running());
        return;
    }
    assert!(turn.kernel.has(Feature::Token).unwrap());
    // Outside of such a namespace there are none.
    let error = turn.kernel.with_token(USUAL).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EOPNOTSUPP), "{error}");
    let this = std::env::current_exe().unwrap();
    for case in CASES {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user", "--mount"]).arg(&this);
        unshare.args(["--exact", TEST, "--nocapture"]).env(CASE, case.name).env_remove(VARIABLE);
        unshare.envs(case.variable.map(|value| (VARIABLE, value)));
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match unshare.spawn() {
            Ok(child) => child,
            Err(error) => return println!("skipped: {TEST}: unshare: {error}"),
        };
        let seen = delegate(&mut child, case);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let seen = match seen {
            Ok(seen) => seen,
            // Where the first one can be made, all can.
            Err(why) if case.name == CASES[0].name => return println!("skipped: {TEST}: {why} {errors}"),
            Err(why) => panic!("{}: {why} {errors}", case.name),
        };
        assert!(output.status.success() && seen.contains("1 passed"), "{}: {seen}{errors}", case.name);
    }
}
