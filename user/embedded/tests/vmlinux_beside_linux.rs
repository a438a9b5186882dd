//! The embedded kernel's own BTF beside Linux's: Linux takes it, its types are Linux's, and so are the answers to those
//! who misuse it.
#![cfg(target_os = "linux")]

mod common;

use common::{PATH, embedded, open, small};
use skep_abi::{AttachType, BtfLoad, Errno, MapCreate, MapType, ProgLoad, ProgType};
use skep_btf::{Btf, Composite, Def, Kind, Type, TypeId};
use skep_model::platform::tracepoints::TRACEPOINTS;
use skep_sys::{BtfFd, CallError, Kernel, ObjectKind, ProgLoadMemory};

/// What is answered to those who take the kernel's BTF for their own, or name types where there can be none.
fn misuses(kernel: &Kernel) -> Vec<(String, Result<(), Errno>)> {
    let ids = std::iter::successors(Some(1), |id| kernel.next_id(ObjectKind::Btf, *id).unwrap());
    let is_own = |fd: &BtfFd| fd.info().unwrap().kernel_btf == 1;
    let own = ids.filter_map(|id| open(kernel, id).ok()).find(is_own).expect("the kernel has BTF");
    let loaded = kernel.btf_load(&mut BtfLoad::default(), &small(), &mut []).unwrap();
    let int = Btf::from_vec(own.data().unwrap()).unwrap().find("int", Kind::Int).unwrap().0;
    let mut answers = Vec::new();
    let mut say = |what: String, answer: Result<(), CallError>| {
        answers.push((what, answer.map_err(|error| error.errno())));
    };
    for (name, fd, id) in [("the kernel's", &own, int), ("one's own", &loaded, 1)] {
        let create = MapCreate {
            map_type: MapType::ARRAY.0,
            key_size: 4,
            value_size: 4,
            max_entries: 1,
            btf_fd: fd.fd().raw(),
            btf_key_type_id: id,
            btf_value_type_id: id,
            ..MapCreate::default()
        };
        say(format!("a map with types of {name}"), kernel.map_create(&create).map(drop));
        let mut load = |what: &str, attr: ProgLoad| {
            let (exit, types) = (if cfg!(target_endian = "big") { 0 } else { 1 }, [0; 8]);
            let insns = [0xb7, 0, 0, 0, exit, 0, 0, 1 - exit, 0x95, 0, 0, 0, 0, 0, 0, 0];
            let func_info =
                skep_sys::Records { size: 8, bytes: if attr.prog_btf_fd == 0 { &[] } else { &types } };
            let memory =
                ProgLoadMemory { insns: &insns, license: "GPL", func_info, ..ProgLoadMemory::default() };
            let mut attr = ProgLoad { prog_type: ProgType::XDP.0, ..attr };
            say(format!("a program {what} {name}"), kernel.prog_load(&mut attr, memory).map(drop));
        };
        let fd = fd.fd().raw();
        load("with functions of", ProgLoad { prog_btf_fd: fd, ..ProgLoad::default() });
        load("for types of", ProgLoad { attach_prog_fd: fd, ..ProgLoad::default() });
        load("for a type of", ProgLoad { attach_prog_fd: fd, attach_btf_id: id, ..ProgLoad::default() });
        load("for a type, not of", ProgLoad { attach_btf_id: id, ..ProgLoad::default() });
        load("for no descriptor, not of", ProgLoad { attach_prog_fd: 1 << 20, ..ProgLoad::default() });
    }
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: 4,
        max_entries: 1,
        btf_vmlinux_value_type_id: int,
        ..MapCreate::default()
    };
    say("an array with a value of the kernel's".to_owned(), kernel.map_create(&create).map(drop));
    let tracing = ProgLoad { prog_type: ProgType::TRACING.0, attach_btf_id: u32::MAX, ..ProgLoad::default() };
    let mut attr = ProgLoad { expected_attach_type: AttachType::TRACE_RAW_TP.0, ..tracing };
    let memory = ProgLoadMemory { insns: &[0; 8], license: "GPL", ..ProgLoadMemory::default() };
    say("a type beyond all".to_owned(), kernel.prog_load(&mut attr, memory).map(drop));
    answers
}

#[test]
fn it_is_nobody_s_own() {
    let (kernel, _) = embedded(&[]);
    let found = misuses(&kernel);
    assert_eq!(found[0].1, Err(Errno::EACCES));
    assert_eq!(found[1].1, Err(Errno::EACCES));
    assert_eq!(found[6], ("a map with types of one's own".to_owned(), Ok(())));
    let Some(linux) = linux("it_is_nobody_s_own") else { return };
    assert_eq!(found, misuses(&linux));
}

/// The running kernel, if it is of the series that is answered as and lets this process use `bpf(2)`.
fn linux(test: &str) -> Option<Kernel> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = skep_linux::kernel();
    if !cfg!(target_arch = "x86_64") || !release.starts_with("6.18.") {
        println!("skipped: {test}: this is Linux {}, wanted 6.18 on x86-64", release.trim());
        return None;
    }
    match open(&kernel, 1) {
        Ok(_) => Some(kernel),
        Err(error) => {
            println!("skipped: {test}: {error}");
            None
        }
    }
}

#[test]
fn linux_takes_it() {
    let names: Vec<_> = TRACEPOINTS.iter().map(|row| row.name).collect();
    let (kernel, _tracepoints) = embedded(&names);
    let Some(linux) = linux("linux_takes_it") else { return };
    let bytes = kernel.file_read(PATH).unwrap();
    let mut log = vec![0; 1 << 20];
    let answer = linux.btf_load(&mut BtfLoad { btf_log_level: 1, ..BtfLoad::default() }, &bytes, &mut log);
    let said = String::from_utf8_lossy(log.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    assert!(answer.is_ok(), "{:?}: {said}", answer.err());
}

/// Helpers whose functions Linux calls otherwise (`bpf_probe_read_compat`, `bpf_user_rnd_u32`, one `bpf_get_func_ip` for
/// each program type), or whose function no BTF describes (`bpf_tail_call`, which is never called).
const OTHERWISE_CALLED: &[&str] =
    &["bpf_probe_read", "bpf_get_prandom_u32", "bpf_tail_call", "bpf_probe_read_str", "bpf_get_func_ip"];

#[test]
fn its_types_are_linux_s() {
    let names: Vec<_> = TRACEPOINTS.iter().map(|row| row.name).collect();
    let (kernel, _tracepoints) = embedded(&names);
    let Some(linux) = linux("its_types_are_linux_s") else { return };
    let ours = Btf::from_vec(kernel.file_read(PATH).unwrap()).unwrap();
    let theirs = Btf::from_vec(linux.file_read(PATH).unwrap()).unwrap();
    let mut compared = 0;
    for ty in ours.types().filter(|ty| !ty.name().is_empty()) {
        // Functions have the types that programs give to arguments; Linux declares all of them as numbers.
        let Some(kind) = ty.kind().filter(|kind| !matches!(kind, Kind::Func | Kind::Fwd)) else { continue };
        let other = theirs.find(ty.name(), kind).unwrap_or_else(|| panic!("Linux has no {}", ty.name()));
        if let Err(what) = same(ty, theirs.ty(other).unwrap(), 0) {
            panic!("{} {} differs: {what}", kind.name(), ty.name());
        }
        compared += 1;
    }
    let functions = ours.types().filter(|ty| ty.kind() == Some(Kind::Func)).map(|ty| ty.name());
    let missing: Vec<_> = functions.filter(|name| theirs.find(name, Kind::Func).is_none()).collect();
    assert_eq!(missing, OTHERWISE_CALLED, "functions that Linux has by another name or not at all");
    for row in TRACEPOINTS {
        assert!(ours.find(&format!("btf_trace_{}", row.name), Kind::Typedef).is_some(), "{}", row.name);
    }
    println!("{compared} types are the same");
}

/// Compares two types by value: sizes, names, places. What a pointer points to is compared by name, where it has one.
fn same(ours: Type<'_>, theirs: Type<'_>, depth: u32) -> Result<(), String> {
    let same_ids = |a: Type<'_>, one: TypeId, b: Type<'_>, other: TypeId| {
        same(a.btf().ty(one).unwrap(), b.btf().ty(other).unwrap(), depth + 1)
    };
    let differ = |what: &str| Err(format!("{what}: {ours:?} and {theirs:?}"));
    if depth > 16 {
        return differ("too deep");
    }
    let (a, b) = (ours.btf().resolve(ours.id()), theirs.btf().resolve(theirs.id()));
    let (Ok(a), Ok(b)) = (a, b) else { return differ("unresolved") };
    if a.kind() != b.kind() {
        return differ("kind");
    }
    match (a.def(), b.def()) {
        (Def::Void, Def::Void) => Ok(()),
        (Def::Int(one), Def::Int(other)) if one == other => Ok(()),
        (Def::Struct(one), Def::Struct(other)) | (Def::Union(one), Def::Union(other)) => {
            same_members(a, one, b, other, &same_ids)
        }
        (Def::Enum(one), Def::Enum(other)) => {
            let values = (one.values().collect::<Vec<_>>(), other.values().collect::<Vec<_>>());
            if a.name() == b.name() && one.size == other.size && values.0 == values.1 {
                return Ok(());
            }
            differ("values")
        }
        (Def::Array(one), Def::Array(other)) if one.len == other.len => same_ids(a, one.elem, b, other.elem),
        (Def::Fwd(_), Def::Fwd(_)) => Ok(()),
        (Def::Ptr(one), Def::Ptr(other)) => same_target(a.btf(), one, b.btf(), other, depth),
        _ => differ("shape"),
    }
}

fn same_members<'a, 'b>(
    a: Type<'a>,
    one: Composite<'a>,
    b: Type<'b>,
    other: Composite<'b>,
    same_ids: &dyn Fn(Type<'a>, TypeId, Type<'b>, TypeId) -> Result<(), String>,
) -> Result<(), String> {
    if a.name() != b.name() || one.size != other.size || one.members.len() != other.members.len() {
        return Err(format!("{a:?} and {b:?}"));
    }
    for (mine, linux) in one.members.iter().zip(other.members.iter()) {
        let place = |member: &skep_btf::Member<'_>| (member.bit_offset, member.bitfield);
        if mine.name != linux.name || place(&mine) != place(&linux) {
            return Err(format!("{mine:?} and {linux:?}"));
        }
        same_ids(a, mine.type_id, b, linux.type_id).map_err(|what| format!("{}: {what}", mine.name))?;
    }
    Ok(())
}

/// A pointer to what is not among our types points to `void`, unless an argument needs the name.
fn same_target(
    ours: &Btf<'_>,
    one: TypeId,
    theirs: &Btf<'_>,
    other: TypeId,
    depth: u32,
) -> Result<(), String> {
    let (a, b) = (ours.resolve(one).unwrap(), theirs.resolve(other).unwrap());
    match (a.def(), b.def()) {
        (Def::Void, _) => Ok(()),
        (Def::Struct(_) | Def::Fwd(_), Def::Struct(_) | Def::Fwd(_)) if a.name() == b.name() => Ok(()),
        (Def::Int(one), Def::Int(other)) if one == other => Ok(()),
        (Def::FuncProto(one), Def::FuncProto(other)) => {
            if one.params.len() != other.params.len() {
                return Err(format!("{} and {} arguments", one.params.len(), other.params.len()));
            }
            for (index, (mine, linux)) in one.params.iter().zip(other.params.iter()).enumerate() {
                let (mine, linux) = (ours.ty(mine.type_id).unwrap(), theirs.ty(linux.type_id).unwrap());
                same(mine, linux, depth + 1).map_err(|what| format!("argument {index}: {what}"))?;
            }
            Ok(())
        }
        _ => Err(format!("{a:?} and {b:?}")),
    }
}
