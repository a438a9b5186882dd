//! The kernel's own BTF: how it is found, what is in it, and that bpftool reads it.

mod common;

use common::{PATH, embedded, open, small};
use skep_abi::{BtfLoad, Errno};
use skep_btf::{Btf, Kind};
use skep_sys::{Kernel, KernelVersion, ObjectKind, Older};

#[test]
fn it_is_listed_and_read_as_linux_s() {
    let (kernel, _) = embedded(&[]);
    assert_eq!(kernel.next_id(ObjectKind::Btf, 0).unwrap(), Some(1));
    assert_eq!(kernel.next_id(ObjectKind::Btf, 1).unwrap(), None);
    let loaded = kernel.btf_load(&mut BtfLoad::default(), &small(), &mut []).unwrap();
    assert_eq!(kernel.next_id(ObjectKind::Btf, 1).unwrap(), Some(2));
    let own = open(&kernel, 1).unwrap();
    let (info, other) = (own.info().unwrap(), loaded.info().unwrap());
    assert_eq!((own.name().unwrap(), loaded.name().unwrap()), ("vmlinux".to_owned(), String::new()));
    assert_eq!((info.id, info.kernel_btf, info.name_len), (1, 1, 7));
    assert_eq!((other.id, other.kernel_btf, other.name_len), (2, 0, 0));
    let bytes = own.data().unwrap();
    assert_eq!(bytes.len(), info.btf_size as usize);
    assert!(bytes == kernel.file_read(PATH).unwrap());
    assert!(bytes == open(&kernel, 1).unwrap().data().unwrap(), "it is made once");
    // Its number stays taken.
    drop((own, loaded));
    assert_eq!(kernel.next_id(ObjectKind::Btf, 0).unwrap(), Some(1));
    assert_eq!(open(&kernel, 2).map(|_| ()).map_err(|error| error.errno()), Err(Errno::ENOENT));
}

#[test]
fn it_has_what_was_there_when_it_was_made() {
    let (kernel, mut tracepoints) = embedded(&["sys_enter", "made_up"]);
    let read = || Btf::from_vec(kernel.file_read(PATH).unwrap()).unwrap();
    let probe = |name: &str| read().find(&format!("btf_trace_{name}"), Kind::Typedef);
    let found = probe("sys_enter");
    assert!(found.is_some());
    assert_eq!(probe("made_up"), None);
    tracepoints.clear();
    assert_eq!(probe("sys_enter"), found, "types keep their numbers");
}

#[test]
fn kernels_before_it_have_none() {
    let (kernel, _) = embedded(&[]);
    let older = Kernel::from_sys(Older::new(&kernel, KernelVersion::new(5, 3)));
    assert_eq!(older.file_read(PATH).map_err(|error| error.errno()), Err(Errno::ENOENT));
}

#[test]
fn bpftool_reads_it() {
    let (kernel, _tracepoints) = embedded(&["sys_enter"]);
    let path = std::env::temp_dir().join(format!("skep-vmlinux-{}.btf", std::process::id()));
    std::fs::write(&path, kernel.file_read(PATH).unwrap()).unwrap();
    let dump = |format: &str| {
        std::process::Command::new("bpftool")
            .args(["btf", "dump", "file"])
            .arg(&path)
            .args(["format", format])
            .output()
    };
    let outputs = (dump("raw"), dump("c"));
    std::fs::remove_file(&path).unwrap();
    let (raw, c) = match outputs {
        (Ok(raw), Ok(c)) => (raw, c),
        (Err(error), _) | (_, Err(error)) => {
            println!("skipped: bpftool_reads_it: bpftool: {error}");
            return;
        }
    };
    for output in [&raw, &c] {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let (raw, c) = (String::from_utf8_lossy(&raw.stdout), String::from_utf8_lossy(&c.stdout));
    let types = Btf::from_vec(kernel.file_read(PATH).unwrap()).unwrap().len() - 1;
    assert_eq!(raw.lines().filter(|line| line.starts_with('[')).count(), types as usize);
    for wanted in [
        "struct xdp_md {",
        "XDP_REDIRECT = 4,",
        "typedef void (*btf_trace_sys_enter)(void *, struct pt_regs *, long",
    ] {
        assert!(c.contains(wanted), "{wanted}");
    }
}
