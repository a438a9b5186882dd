//! CO-RE objects, compiled here, loaded into the running kernel; and each relocation as libbpf answers it.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a test runs programs of the machine"
)]

mod common;

use common::{elf, linux};
use skep::{CoreOutcome, CoreRelocKind, CoreRelocation, ErrorKind, Kernel, Object, TestRun};
use skep_btf::{Btf, Builder, Distilled, Endian, Int, IntEncoding, Member};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

const COMPILER: &str = "clang-19";

/// What the programs share: types of the kernel's as a program declares them, with what is asked of them only.
const HEADER: &str = r#"
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64; typedef int pid_t;
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))
#define exists(field) __builtin_preserve_field_info(field, 2)
#define bytes(field) __builtin_preserve_field_info(field, 1)
#define is_signed(field) __builtin_preserve_field_info(field, 3)
#define lshift(field) __builtin_preserve_field_info(field, 4)
#define rshift(field) __builtin_preserve_field_info(field, 5)
#define type_exists(type) __builtin_preserve_type_info(*(typeof(type) *)0, 0)
#define type_size(type) __builtin_preserve_type_info(*(typeof(type) *)0, 1)
#define type_matches(type) __builtin_preserve_type_info(*(typeof(type) *)0, 2)
#define local_id(type) __builtin_btf_type_id(*(typeof(type) *)0, 0)
#define target_id(type) __builtin_btf_type_id(*(typeof(type) *)0, 1)
#define enum_exists(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define enum_value(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)
char LICENSE[] SEC("license") = "GPL";
static long (*get_current_task)(void) = (void *)35;
static u64 (*get_current_pid_tgid)(void) = (void *)14;
static long (*probe_read_kernel)(void *to, u32 size, const void *from) = (void *)113;
struct list_head { struct list_head *next, *prev; } CORE;
struct task_struct { pid_t tgid; char comm[16]; struct list_head tasks; struct task_struct *group_leader; } CORE;
"#;

/// Compiles C into an object; says that `test` is skipped where there is no compiler.
fn compile(test: &str, source: &str) -> Option<PathBuf> {
    let folder = std::env::temp_dir().join(format!("skep-core-{}-{test}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (source_path, object) = (folder.join("core.bpf.c"), folder.join("core.bpf.o"));
    fs::write(&source_path, format!("{HEADER}{source}")).unwrap();
    let made = Command::new(COMPILER)
        .args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-Wno-missing-declarations", "-c"])
        .arg(&source_path)
        .arg("-o")
        .arg(&object)
        .output();
    match made {
        Ok(made) if made.status.success() => Some(object),
        Ok(made) => panic!("{}", String::from_utf8_lossy(&made.stderr)),
        Err(error) => {
            println!("skipped: {test}: {COMPILER}: {error}");
            None
        }
    }
}

const KINDS: &str = r#"
struct task_struct___nobody { int no_such_member; } CORE;
struct task_struct___long { char comm[32]; } CORE;
struct no_such_struct { int a; } CORE;
enum bpf_map_type { BPF_MAP_TYPE_HASH = 77, BPF_MAP_TYPE_NO_SUCH = 78 };
enum bpf_cmd___mine { BPF_PROG_LOAD___mine = 3 };
struct sk_buff { u32 len; u8 pkt_type: 3; u8 ip_summed: 2; } CORE;
union no_such_union { int a; };

static __attribute__((noinline)) int tgid_of(struct task_struct *task) {
    pid_t tgid = 0;
    probe_read_kernel(&tgid, sizeof(tgid), __builtin_preserve_access_index(&task->tgid));
    return tgid;
}

SEC("raw_tp/sys_enter") int kinds(void *ctx) {
    struct task_struct *task = (void *)get_current_task();
    struct sk_buff *skb = 0;
    if (tgid_of(task) != (int)(get_current_pid_tgid() >> 32)) return 1;
    if (!exists(task->tgid) || bytes(task->tgid) != 4 || !is_signed(task->tgid)) return 2;
    if (exists(((struct task_struct___nobody *)0)->no_such_member)) {
        int value = 0;
        probe_read_kernel(&value, sizeof(value), &((struct task_struct___nobody *)task)->no_such_member);
        return value;
    }
    if (bytes(task->comm) != 16 || exists(((struct task_struct___long *)task)->comm[20])) return 3;
    if (!type_exists(struct task_struct) || type_exists(struct no_such_struct) || type_exists(union no_such_union)) return 4;
    if (type_size(struct task_struct) < 1000 || type_size(struct no_such_struct)) return 5;
    if (!type_matches(struct list_head) || type_matches(struct no_such_struct)) return 6;
    if (!enum_exists(enum bpf_map_type, BPF_MAP_TYPE_HASH) || enum_exists(enum bpf_map_type, BPF_MAP_TYPE_NO_SUCH)) return 7;
    if (enum_value(enum bpf_map_type, BPF_MAP_TYPE_HASH) != 1) return 8;
    if (enum_value(enum bpf_cmd___mine, BPF_PROG_LOAD___mine) != 5) return 9;
    if (!local_id(struct task_struct) || !target_id(struct task_struct) || target_id(struct no_such_struct)) return 10;
    if (rshift(skb->pkt_type) != 61 || lshift(skb->pkt_type) < 40 || is_signed(skb->pkt_type)) return 11;
    if (rshift(skb->ip_summed) != 62 || !exists(skb->ip_summed)) return 12;
    struct task_struct *leader = 0;
    probe_read_kernel(&leader, sizeof(leader), &task->group_leader);
    struct list_head *next = 0;
    probe_read_kernel(&next, sizeof(next), &leader->tasks.next);
    if (!next) return 13;
    return 0;
}
"#;

fn report(object: &PathBuf, kernel: &Kernel) -> Vec<CoreRelocation> {
    Object::open(object).unwrap().core_relocations(kernel).unwrap()
}

#[test]
fn relocated_programs_run() {
    let Some(turn) = linux("relocated_programs_run") else { return };
    let Some(path) = compile("relocated_programs_run", KINDS) else { return };
    let object = Object::open(&path).unwrap();
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let arguments = [0; 96];
    let run = loaded.program("kinds").unwrap().test_run(&TestRun::new().with_ctx(&arguments)).unwrap();
    assert_eq!(run.retval, 0, "the test of that number failed");
    // One of each kind at least, and what is not there is poisoned.
    let report = object.core_relocations(&turn.kernel).unwrap();
    let kinds: BTreeSet<u32> = report.iter().map(|entry| entry.kind as u32).collect();
    assert_eq!(kinds.len(), 13, "{kinds:?}");
    let missing: Vec<_> = report.iter().filter(|entry| entry.outcome == CoreOutcome::Poisoned).collect();
    assert!(
        missing.iter().all(|entry| entry.access == "task_struct___nobody->no_such_member"),
        "{missing:?}"
    );
    assert_eq!(missing.len(), 1);
    assert!(report.iter().all(|entry| !matches!(entry.outcome, CoreOutcome::Failed(_))), "{report:?}");
}

#[test]
fn what_is_missing_and_needed_is_named() {
    let Some(turn) = linux("what_is_missing_and_needed_is_named") else { return };
    let source = r#"
    struct task_struct___nobody { struct { int inner; } no_such_member[4]; } CORE;
    SEC("raw_tp/sys_enter") int needs(void *ctx) {
        struct task_struct___nobody *task = (void *)get_current_task();
        int value = 0;
        probe_read_kernel(&value, sizeof(value), &task->no_such_member[2].inner);
        return value;
    }"#;
    let Some(path) = compile("what_is_missing_and_needed_is_named", source) else { return };
    let error = Object::open(&path).unwrap().load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    let text = error.to_string();
    for part in [
        "program needs",
        "needs task_struct___nobody->no_such_member[2].inner, which this kernel does not have",
        "] struct task_struct of vmlinux",
        "guard it with bpf_core_field_exists()",
        "invalid func unknown#195896080",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(error.place().insn.is_some() && error.verifier_log().is_some());
}

#[test]
fn another_btf_stands_for_the_kernels() {
    let Some(turn) = linux("another_btf_stands_for_the_kernels") else { return };
    let Some(path) = compile("another_btf_stands_for_the_kernels", KINDS) else { return };
    // The object's own BTF as target: everything is as it was compiled. It is in a section of an ELF file.
    let mut object = Object::open(&path).unwrap();
    object.set_target_btf(path.to_str().unwrap());
    let report = object.core_relocations(&turn.kernel).unwrap();
    let from = |report: &[CoreRelocation], source: Option<&str>| {
        // Its own identifier in the object is of no target.
        let mut targeted = report.iter().filter(|entry| entry.kind != CoreRelocKind::TypeIdLocal);
        targeted.all(|entry| entry.source.as_deref() == source)
    };
    assert!(from(&report, path.to_str()), "{report:?}");
    for entry in &report {
        let CoreOutcome::Patched { from, to, .. } = entry.outcome else { panic!("{entry:?}") };
        assert_eq!(from, to, "{entry:?}");
    }
    let bytes = object.btf().unwrap().bytes().to_vec();
    object.set_target_btf_bytes("mine", bytes).unwrap();
    let same = object.core_relocations(&turn.kernel).unwrap();
    assert!(from(&same, Some("mine")), "{same:?}");
    assert_eq!(
        same.iter().map(|entry| &entry.target).collect::<Vec<_>>(),
        report.iter().map(|entry| &entry.target).collect::<Vec<_>>()
    );
    // The bytes of a file that has it in a section are as good.
    object.set_target_btf_bytes("file", fs::read(&path).unwrap()).unwrap();
    let same = object.core_relocations(&turn.kernel).unwrap();
    assert!(from(&same, Some("file")), "{same:?}");
    assert_eq!(same.len(), report.len());
    let without = fs::read("/proc/self/exe").unwrap();
    for (bytes, what) in
        [(vec![1, 2, 3], "3 bytes"), (b"\x7fELF\x02\x01".to_vec(), "half"), (without, "none")]
    {
        let error = object.set_target_btf_bytes(what, bytes).unwrap_err();
        assert_eq!(
            (error.kind(), error.place().path.as_deref()),
            (ErrorKind::Setting, Some(what)),
            "{error}"
        );
    }
    for (file, kind) in [
        ("/no/such/file", ErrorKind::Kernel),
        ("/proc/self/exe", ErrorKind::Unsupported),
        ("/proc/cpuinfo", ErrorKind::Unsupported),
    ] {
        object.set_target_btf(file);
        assert_eq!(object.core_relocations(&turn.kernel).unwrap_err().kind(), kind, "{file}");
    }
}

/// What libbpf's log says of relocations: the local path, and the paths in candidates that have it.
fn libbpf(test: &str, object: &PathBuf, target: &str) -> Option<Vec<(String, Vec<String>)>> {
    let out = object.with_extension("min");
    // This answers every relocation by libbpf's own engine, and loads nothing.
    let made =
        Command::new("bpftool").args(["-d", "gen", "min_core_btf", target]).arg(&out).arg(object).output();
    let made = match made {
        Ok(made) => made,
        Err(error) => {
            println!("skipped: {test}: bpftool: {error}");
            return None;
        }
    };
    let log = String::from_utf8_lossy(&made.stderr);
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for line in log.lines() {
        let Some((_, rest)) = line.split_once(": relo #") else { continue };
        let Some((_, rest)) = rest.split_once(": ") else { continue };
        if rest.starts_with('<') {
            found.push((rest.trim().to_owned(), Vec::new()));
        } else if let Some(candidate) = rest.strip_prefix("matching candidate #") {
            let text = candidate.split_once(' ').map_or("", |(_, text)| text);
            found.last_mut().unwrap().1.push(text.trim().to_owned());
        }
    }
    assert!(made.status.success(), "{log}");
    Some(found)
}

#[test]
fn every_relocation_is_answered_as_libbpf_does() {
    const TEST: &str = "every_relocation_is_answered_as_libbpf_does";
    let Some(turn) = linux(TEST) else { return };
    let Some(path) = compile(TEST, KINDS) else { return };
    let Some(theirs) = libbpf(TEST, &path, "/sys/kernel/btf/vmlinux") else { return };
    let mut object = Object::open(&path).unwrap();
    object.set_target_btf("/sys/kernel/btf/vmlinux");
    let ours = object.core_relocations(&turn.kernel).unwrap();
    assert!(ours.len() > 28, "{}", ours.len());
    assert_eq!(differences(&ours, &theirs), [] as [String; 0]);
}

/// Compares two reports as sets: libbpf answers each function of the object once, and not each program.
fn differences(ours: &[CoreRelocation], theirs: &[(String, Vec<String>)]) -> Vec<String> {
    type Answer = (String, Option<String>, usize);
    let ours: BTreeSet<Answer> =
        ours.iter().map(|entry| (entry.local.clone(), entry.target.clone(), entry.matching)).collect();
    let theirs: BTreeSet<Answer> = theirs
        .iter()
        // It does not say so, but the type's own identifier is answered without a candidate.
        .map(|(local, targets)| (local.clone(), targets.first().cloned(), targets.len()))
        .collect();
    let missing = theirs.difference(&ours).map(|answer| format!("libbpf only: {answer:?}"));
    let extra = ours.difference(&theirs).map(|answer| format!("skep only: {answer:?}"));
    missing.chain(extra).collect()
}

#[test]
fn a_report_needs_no_rights_but_to_read_the_btf() {
    let Some(path) = compile("a_report_needs_no_rights_but_to_read_the_btf", KINDS) else { return };
    if fs::metadata("/sys/kernel/btf/vmlinux").is_err() {
        println!("skipped: a_report_needs_no_rights_but_to_read_the_btf: no /sys/kernel/btf/vmlinux");
        return;
    }
    assert!(report(&path, &Kernel::linux()).len() > 28);
}

/// Makes the types of a module of a kernel that has others: a driver's struct, which has a list of the kernel's in it and
/// points to tasks. Gives them with their small base.
fn module(unknown: Option<&str>) -> Distilled {
    let int = Int { size: 4, bits: 32, offset: 0, encoding: IntEncoding::SIGNED };
    let member = |name, type_id, bytes: u32| Member { name, type_id, bit_offset: bytes * 8, bitfield: None };
    let mut other = Builder::new(Endian::NATIVE);
    other.float("of another kernel", 2);
    let int = other.int("int", int);
    let list = other.structure("list_head", 16, &[]);
    // It has grown since, and is only pointed to.
    let task = other.structure("task_struct", 64, &[member("old", int, 0)]);
    let unknown = unknown.map(|name| other.structure(name, 8, &[]));
    let task = other.ptr(task);
    let other = Arc::new(Btf::from_vec(other.finish().unwrap()).unwrap());
    let mut module = Builder::split(&other);
    let mut members = vec![member("owner", task, 0), member("links", list, 8), member("state", int, 24)];
    members.extend(unknown.map(|id| member("lock", id, 32)));
    module.structure("skep_driver", 40, &members);
    let module = Btf::from_vec_split(module.finish().unwrap(), other).unwrap();
    module.distill().unwrap()
}

const DRIVER: &str = r#"
struct skep_driver { int state; struct list_head links; struct task_struct *owner; } CORE;
SEC("raw_tp/sys_enter") int driver(void *ctx) {
    if (__builtin_preserve_field_info(((struct skep_driver *)0)->state, 0) != 24) return 1;
    if (__builtin_preserve_field_info(((struct skep_driver *)0)->links.prev, 0) != 16) return 2;
    if (!exists(((struct task_struct *)0)->group_leader) || type_size(struct skep_driver) != 40) return 3;
    return target_id(struct skep_driver) == 0;
}
"#;

#[test]
fn types_of_a_module_are_fitted_to_the_running_kernel() {
    const TEST: &str = "types_of_a_module_are_fitted_to_the_running_kernel";
    let Some(turn) = linux(TEST) else { return };
    let Some(path) = compile(TEST, DRIVER) else { return };
    let file = path.with_file_name("driver.ko");
    let made = module(None);
    elf(&file, &[(".BTF.base", &made.base), (".BTF", &made.split)]);
    let mut object = Object::open(&path).unwrap();
    object.set_target_btf(file.to_str().unwrap());
    let report = object.core_relocations(&turn.kernel).unwrap();
    assert!(report.iter().all(|entry| entry.matching == 1), "{report:?}");
    let source = |access: &str| {
        let entry = report.iter().find(|entry| entry.access.contains(access)).unwrap();
        entry.source.clone().unwrap()
    };
    assert_eq!(source("group_leader"), "vmlinux");
    assert_eq!(source("links"), file.to_str().unwrap());
    let loaded = object.load(&turn.kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let run = loaded.program("driver").unwrap().test_run(&TestRun::new().with_ctx(&[0; 96])).unwrap();
    assert_eq!(run.retval, 0, "the test of that number failed");

    // From its bytes, too.
    let mut other = Object::open(&path).unwrap();
    other.set_target_btf_bytes("driver", fs::read(&file).unwrap()).unwrap();
    let same = other.core_relocations(&turn.kernel).unwrap();
    assert!(same.iter().any(|entry| entry.source.as_deref() == Some("driver")), "{same:?}");
    assert_eq!(
        same.iter().map(|entry| &entry.target).collect::<Vec<_>>(),
        report.iter().map(|entry| &entry.target).collect::<Vec<_>>()
    );

    // What the kernel does not have is named, with the file that wants it.
    let made = module(Some("skep_no_such_lock"));
    elf(&file, &[(".BTF.base", &made.base), (".BTF", &made.split)]);
    let error = object.load(&turn.kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(
        error.to_string().contains("driver.ko") && error.to_string().contains("skep_no_such_lock"),
        "{error}"
    );
    // A base alone is no types of a module.
    elf(&file, &[(".BTF.base", &made.base)]);
    assert!(object.load(&turn.kernel).unwrap_err().to_string().contains("a section .BTF, found none"));
}
