//! What a kernel holds, read back: the running one, the embedded one, and one that answers with every kind of link.

#![allow(clippy::disallowed_methods, reason = "a test makes folders of pins")]

mod common;

use common::{Held, linux, object, packet, running};
use skep::sys::{Call, Fault, Faulty, Fd, ObjectKind, On, Reply, Sys, With};
use skep::{
    Attach, AttachType, BtfObject, Errno, ErrorKind, Kernel, Link, LinkTarget, LinkType, Map, PerfEventType,
    ProbedFunction, ProbedOffset, ProgType, Program, Stream, TestRun,
};
use skep_abi::flags::BPF_F_SLEEPABLE;
use skep_abi::{
    Cmd, LinkInfo, LinkInfoCgroup, LinkInfoIter, LinkInfoKprobeMulti, LinkInfoNetfilter, LinkInfoNetkit,
    LinkInfoNetns, LinkInfoPerfEvent, LinkInfoPerfEventEvent, LinkInfoPerfEventTracepoint,
    LinkInfoPerfEventUprobe, LinkInfoRawTracepoint, LinkInfoSockmap, LinkInfoStructOps, LinkInfoTcx,
    LinkInfoTracing, LinkInfoUprobeMulti, LinkInfoXdp, ProgLoad,
};
use skep_embedded::{Config, Embedded};
use skep_sys::{AreaMemory, ProgLoadMemory};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// Whether a kernel says where in the machine code a function and a line are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Places {
    Told,
    /// Only all of the code is shown.
    Untold,
}

/// Reads everything back that two objects have brought.
fn read_back(kernel: &Kernel, places: Places) {
    let loaded = object("lab/vectors/code/subprograms").load(kernel).unwrap();
    let firewall = object("examples/xdp-firewall/xdp_firewall").load(kernel).unwrap();
    let ids: BTreeSet<u32> =
        loaded.programs().chain(firewall.programs()).map(|program| program.info().unwrap().id).collect();
    let found: Vec<Program> = kernel.programs().collect::<Result<_, _>>().unwrap();
    let found_ids: Vec<u32> = found.iter().map(|program| program.details().unwrap().id).collect();
    assert!(found_ids.is_sorted() && ids.iter().all(|id| found_ids.contains(id)), "{found_ids:?} {ids:?}");

    let own = firewall.program("xdp_firewall").unwrap();
    let info = own.details().unwrap();
    let again = Program::from_id(kernel, info.id).unwrap();
    assert_eq!(again.details().unwrap(), info);
    assert_eq!((again.name(), again.prog_type()), ("xdp_firewall", ProgType::XDP));
    assert_eq!(again.full_name().unwrap().as_deref(), Some("xdp_firewall"));
    assert!(info.is_gpl_compatible && info.btf_id.is_some() && info.xlated_len > 8, "{info:?}");
    let map_ids: BTreeSet<u32> = firewall.maps().map(|map| map.info().unwrap().id).collect();
    assert!(!info.map_ids.is_empty() && info.map_ids.iter().all(|id| map_ids.contains(id)));
    for map in kernel.maps() {
        let map = map.unwrap();
        let Ok(mine) = firewall.map(map.name()) else { continue };
        if mine.info().unwrap().id == map.info().unwrap().id {
            assert_eq!((map.map_type(), map.key_size()), (mine.map_type(), mine.key_size()));
        }
    }
    let types: Vec<BtfObject> = kernel.btf_objects().collect::<Result<_, _>>().unwrap();
    // The kernel's own have been among them since 5.11; the embedded one has none.
    let is_vmlinux = |object: &BtfObject| object.is_kernel() && object.name() == "vmlinux";
    assert!(types.iter().any(is_vmlinux) || running() < (5, 11));
    let mine = types.iter().find(|object| Some(object.id()) == info.btf_id).unwrap();
    assert!(!mine.is_kernel() && mine.size() > 100);
    assert!(mine.read().unwrap().find("tally", skep_btf::Kind::Struct).is_some());

    // Functions cover the instructions, and lines say where they came from.
    let program = loaded.program("from_xdp").unwrap();
    let code = program.code().unwrap();
    let xlated = code.xlated.as_ref().unwrap();
    assert_eq!(xlated.len(), program.details().unwrap().xlated_len as usize);
    let mut end = 0;
    for function in &code.functions {
        let insns = function.insns.clone().unwrap();
        assert!(insns.start == end && insns.end > insns.start, "{:?}", code.functions);
        end = insns.end;
    }
    assert_eq!(end as usize * 8, xlated.len());
    let names: Vec<&str> = code.functions.iter().filter_map(|function| function.name.as_deref()).collect();
    assert!(names.starts_with(&["from_xdp"]) && names.contains(&"twice_and_one"), "{names:?}");
    assert!(code.lines.windows(2).all(|pair| pair[0].insn < pair[1].insn) && code.lines.len() > 10);
    assert!(
        code.lines.iter().all(|line| line.source.file.ends_with("subprograms.bpf.c") && line.source.line > 0)
    );
    assert!(code.lines.iter().any(|line| line.source.text.contains("number * 2")), "{:?}", code.lines);
    if places == Places::Untold {
        assert!(code.functions.iter().all(|function| function.jited.is_none()), "{:?}", code.functions);
    } else if let Some(jited) = &code.jited {
        let lens: usize = code.functions.iter().map(|function| function.jited.clone().unwrap().len()).sum();
        assert_eq!(lens, jited.len());
        let placed = code.lines.iter().filter_map(|line| line.jited);
        assert!(placed.clone().count() == code.lines.len() && placed.is_sorted(), "{:?}", code.lines);
    }

    let gone = info.id;
    drop((again, found, loaded, firewall));
    // Some kernels free programs a little later.
    let start = std::time::Instant::now();
    let error = loop {
        match Program::from_id(kernel, gone) {
            Err(error) => break error,
            Ok(_) => assert!(start.elapsed().as_secs() < 30, "program {gone} stays"),
        }
    };
    assert_eq!((error.kind(), error.errno()), (ErrorKind::NotFound, Some(Errno::ENOENT)));
    assert!(error.to_string().contains(&format!("there is no program {gone}")), "{error}");
}

#[test]
fn the_running_kernel_is_read_back() {
    let Some(turn) = linux("the_running_kernel_is_read_back") else { return };
    let before = Held::now();
    read_back(&turn.kernel, Places::Told);
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn the_embedded_kernel_is_read_back() {
    let embedded = Embedded::new(Config::new()).unwrap();
    let kernel = Kernel::from_sys(embedded.clone());
    read_back(&kernel, Places::Untold);
    assert_eq!(embedded.open_descriptors(), 0);
}

/// Runs are counted while somebody wants it.
fn count(kernel: &Kernel) {
    let loaded = object("lab/vectors/code/subprograms").load(kernel).unwrap();
    let program = loaded.program("from_xdp").unwrap();
    let packet = packet();
    let run =
        |times| assert_eq!(program.test_run(&TestRun::packet(&packet).repeat(times)).unwrap().retval, 0);
    let first = program.stats().unwrap();
    let guard = kernel.enable_stats().unwrap();
    let second = kernel.enable_stats().unwrap();
    run(7);
    drop(second);
    run(5);
    let counted = program.stats().unwrap();
    // Linux's test runs do not go through where runs are counted, but for those of raw tracepoints and the like.
    assert!([0, 12].contains(&(counted.run_cnt - first.run_cnt)), "{counted:?}");
    drop(guard);
    run(3);
    assert_eq!(program.stats().unwrap(), counted);
}

#[test]
fn runs_are_counted_on_the_embedded_kernel() {
    let kernel = Kernel::from_sys(Embedded::new(Config::new()).unwrap());
    count(&kernel);
    let loaded = object("lab/vectors/code/subprograms").load(&kernel).unwrap();
    let program = loaded.program("from_xdp").unwrap();
    let _guard = kernel.enable_stats().unwrap();
    program.test_run(&TestRun::packet(&packet()).repeat(9)).unwrap();
    let stats = program.stats().unwrap();
    assert!(stats.run_cnt == 9 && stats.run_time_ns > 0, "{stats:?}");
}

#[test]
fn runs_are_counted_where_they_are_attached() {
    let Some(turn) = linux("runs_are_counted_where_they_are_attached") else { return };
    let before = Held::now();
    match turn.kernel.enable_stats() {
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return println!("skipped: runs_are_counted_where_they_are_attached: {error}");
        }
        answer => drop(answer.unwrap()),
    }
    count(&turn.kernel);
    let mut object = object("examples/syscount/syscount");
    object.set_global("target_tgid", &std::process::id().to_string()).unwrap();
    let loaded = object.load(&turn.kernel).unwrap();
    let program = loaded.program("syscount").unwrap();
    let _link = program.attach_auto().unwrap();
    let guard = turn.kernel.enable_stats().unwrap();
    for _ in 0..50 {
        assert_ne!(std::os::unix::process::parent_id(), 0);
    }
    let stats = program.stats().unwrap();
    assert!(stats.run_cnt >= 50 && stats.run_time_ns > 0, "{stats:?}");
    drop((guard, _link, loaded));
    assert_eq!(Held::left_since(&before), "");
}

#[test]
fn a_program_is_held_by_whom_has_a_descriptor() {
    let Some(turn) = linux("a_program_is_held_by_whom_has_a_descriptor") else { return };
    let loaded = object("examples/syscount/syscount").load(&turn.kernel).unwrap();
    let program = loaded.program("syscount").unwrap();
    let link = program.attach_auto().unwrap();
    let holders = turn.kernel.holders().unwrap();
    let mut held =
        vec![(ObjectKind::Prog, program.info().unwrap().id), (ObjectKind::Link, link.info().unwrap().id)];
    held.extend(loaded.maps().map(|map| (ObjectKind::Map, map.info().unwrap().id)));
    for (kind, id) in held {
        let of = holders.of(kind, id);
        assert!(of.iter().any(|process| process.pid == std::process::id()), "{kind:?} {id}: {of:?}");
        assert!(of.iter().all(|process| !process.comm.is_empty() && !process.comm.contains('\n')));
    }
    assert!(holders.of(ObjectKind::Prog, u32::MAX).is_empty());
    // A kernel without processes has no holders.
    let embedded = Kernel::from_sys(Embedded::new(Config::new()).unwrap());
    assert_eq!(embedded.holders().unwrap().hidden(), 0);
}

/// What a failed call of looking for pins comes to.
enum Becomes {
    Hidden,
    Error,
}

const PIN_FAULTS: [(&str, Errno, Becomes); 6] = [
    ("BPF_OBJ_GET", Errno::EPERM, Becomes::Hidden),
    ("BPF_OBJ_GET", Errno::EMFILE, Becomes::Error),
    ("getdents", Errno::EACCES, Becomes::Hidden),
    ("getdents", Errno::ENOMEM, Becomes::Error),
    ("read", Errno::EACCES, Becomes::Error),
    ("read", Errno::ENOMEM, Becomes::Error),
];

/// Looks for pins where each call of a name fails.
fn with_fault(
    kernel: &Kernel,
    (call, errno, _): &(&'static str, Errno, Becomes),
) -> skep::Result<skep::Pins> {
    let faulty = Arc::new(Faulty::new(kernel.sys()));
    faulty.plan(Fault { on: On::Named(call), with: With::Errno(*errno) });
    Kernel::from(skep::sys::Kernel::from_arc(faulty)).pins()
}

#[test]
fn pins_are_found_wherever_they_are() {
    let Some(turn) = linux("pins_are_found_wherever_they_are") else { return };
    let before = Held::now();
    let loaded = object("examples/syscount/syscount").load(&turn.kernel).unwrap();
    let program = loaded.program("syscount").unwrap();
    let link = program.attach_auto().unwrap();
    let map = loaded.maps().find(|map| map.section().is_none()).unwrap();
    let folder = format!("/sys/fs/bpf/skep inspect {}", std::process::id());
    let path = |name: &str| format!("{folder}/{name}");
    std::fs::create_dir(&folder).unwrap();
    std::fs::create_dir(path("below")).unwrap();
    std::os::unix::fs::symlink(path("map"), path("leads to the map")).unwrap();
    program.pin(&path("program")).unwrap();
    map.pin(&path("map")).unwrap();
    map.pin(&path("below/map")).unwrap();
    link.pin(&path("below/link")).unwrap();
    let pins = turn.kernel.pins();
    let faulty: Vec<_> = PIN_FAULTS.iter().map(|fault| (fault, with_fault(&turn.kernel, fault))).collect();
    std::fs::remove_dir_all(&folder).unwrap();
    let pins = pins.unwrap();
    for ((call, errno, becomes), answer) in faulty {
        match (becomes, answer) {
            (Becomes::Hidden, Ok(pins)) => assert!(pins.hidden() > 0, "{call} {errno}"),
            (Becomes::Error, Err(error)) => {
                assert_eq!(error.errno(), Some(*errno), "{call}: {error}");
                assert!(error.place().path.is_some(), "{call}: {error}");
            }
            (_, answer) => panic!("{call} {errno}: {answer:?}"),
        }
    }
    let of = |kind, id| pins.of(kind, id).to_vec();
    assert_eq!(of(ObjectKind::Prog, program.info().unwrap().id), [path("program")]);
    assert_eq!(of(ObjectKind::Map, map.info().unwrap().id), [path("below/map"), path("map")]);
    assert_eq!(of(ObjectKind::Link, link.info().unwrap().id), [path("below/link")]);
    assert!(of(ObjectKind::Prog, u32::MAX).is_empty());
    let after = turn.kernel.pins().unwrap();
    assert!(after.of(ObjectKind::Map, map.info().unwrap().id).is_empty());
    drop((link, loaded));
    assert_eq!(Held::left_since(&before), "");
    // A kernel without mounts has no pins.
    let embedded = Kernel::from_sys(Embedded::new(Config::new()).unwrap());
    assert_eq!(embedded.pins().unwrap().hidden(), 0);
}

#[test]
fn maps_tell_whether_they_are_frozen_and_what_they_take() {
    let Some(turn) = linux("maps_tell_whether_they_are_frozen_and_what_they_take") else { return };
    let loaded = object("lab/vectors/data/globals").load(&turn.kernel).unwrap();
    let mut frozen = 0;
    for map in loaded.maps() {
        let usage = map.usage().unwrap().unwrap();
        let is_constant = map.section().is_some_and(|section| section.starts_with(".rodata"));
        assert_eq!(usage.is_frozen, is_constant, "{}", map.name());
        assert!(usage.memlock_bytes >= u64::from(map.info().unwrap().value_size), "{usage:?}");
        frozen += usize::from(usage.is_frozen);
    }
    assert!(frozen > 0 && loaded.maps().count() > frozen);
    let embedded = Kernel::from_sys(Embedded::new(Config::new()).unwrap());
    let loaded = object("lab/vectors/data/globals").load(&embedded).unwrap();
    assert_eq!(loaded.maps().next().unwrap().usage().unwrap(), None);
}

#[test]
fn what_a_program_prints_is_read_once() {
    let name = "what_a_program_prints_is_read_once";
    let Some(turn) = linux(name) else { return };
    if running() < (6, 17) {
        let loaded = object("lab/vectors/code/branches.v1").load(&turn.kernel).unwrap();
        let error = loaded.programs().next().unwrap().read_stream(Stream::Stdout).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        return println!("skipped: {name}: Linux has had streams since 6.17");
    }
    let loaded = match object("lab/vectors/helpers/stream").load(&turn.kernel) {
        Ok(loaded) => loaded,
        Err(error) if error.to_string().contains("bpf_stream_vprintk_impl") => {
            return println!("skipped: {name}: {error}");
        }
        Err(error) => panic!("{error:?}"),
    };
    let program = loaded.program("prints").unwrap();
    let read = |stream| String::from_utf8(program.read_stream(stream).unwrap()).unwrap();
    assert_eq!((read(Stream::Stdout), read(Stream::Stderr)), (String::new(), String::new()));
    if program.test_run(&TestRun::packet(&packet()).repeat(2)).unwrap().retval != 0 {
        // Pages for streams come from an allocator that takes no locks, which some machines' kernels do not have
        // (`alloc_pages_nolock`, mm/page_alloc.c).
        assert_eq!((read(Stream::Stdout), read(Stream::Stderr)), (String::new(), String::new()));
        return println!("skipped: {name}: this kernel has no memory for what programs print");
    }
    assert_eq!(read(Stream::Stdout), "3 straws\n3 straws\n");
    assert_eq!(read(Stream::Stderr), "a hive of 3 straws is small\n".repeat(2));
    assert_eq!((read(Stream::Stdout), read(Stream::Stderr)), (String::new(), String::new()));
    loaded.global("straws").unwrap().set("5").unwrap();
    // More than is read at once.
    program.test_run(&TestRun::packet(&packet()).repeat(1000)).unwrap();
    assert_eq!(read(Stream::Stdout), "5 straws\n".repeat(1000));
}

#[test]
fn frames_are_sent_on_their_way() {
    let name = "frames_are_sent_on_their_way";
    let Some(turn) = linux(name) else { return };
    if running() < (5, 18) {
        return println!("skipped: {name}: Linux has had live frames since 5.18");
    }
    // Each program returns 0, which drops the frame.
    let loaded = object("lab/vectors/code/subprograms").load(&turn.kernel).unwrap();
    let program = loaded.program("from_xdp").unwrap();
    let packet = packet();
    let run = TestRun::packet(&packet).live_frames().repeat(10);
    let output = program.test_run(&run.batch_size(4)).unwrap();
    assert!(output.data.is_empty() && output.ctx.is_empty(), "{output:?}");
    let error = program.test_run(&run.batch_size(257)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::E2BIG), "{error}");
    let error = program.test_run(&TestRun::packet(&packet).batch_size(4)).unwrap_err();
    assert_eq!(error.errno(), Some(Errno::EINVAL), "{error}");
}

#[test]
fn arguments_of_system_call_programs_come_back() {
    let name = "arguments_of_system_call_programs_come_back";
    let Some(turn) = linux(name) else { return };
    if running() < (5, 14) {
        return println!("skipped: {name}: Linux has had such programs since 5.14");
    }
    // r2 = 7; *(u64 *)(r1 + 8) = r2; r0 = 0; exit
    let insns: [u64; 4] = [0x0000_0007_0000_02b7, 0x0008_217b, 0xb7, 0x95];
    let insns: Vec<u8> = insns.iter().flat_map(|slot| slot.to_le_bytes()).collect();
    if cfg!(target_endian = "big") {
        return println!("skipped: {name}: its instructions are of the other byte order");
    }
    let mut load =
        ProgLoad { prog_type: ProgType::SYSCALL.0, prog_flags: BPF_F_SLEEPABLE, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns: &insns, license: "GPL", ..ProgLoadMemory::default() };
    let fd = turn.kernel.sys().prog_load(&mut load, memory).unwrap();
    let program = Program::from_id(&turn.kernel, fd.info().unwrap().id).unwrap();
    let arguments = [1; 24];
    let output = program.test_run(&TestRun::new().with_ctx(&arguments)).unwrap();
    let mut expected = [1; 24];
    expected[8..16].copy_from_slice(&7u64.to_ne_bytes());
    assert_eq!((output.ctx, arguments), (expected.to_vec(), [1; 24]));
}

#[test]
fn lists_say_which_call_failed_and_of_what() {
    let Some(turn) = linux("lists_say_which_call_failed_and_of_what") else { return };
    let loaded = object("examples/syscount/syscount").load(&turn.kernel).unwrap();
    let _link = loaded.program("syscount").unwrap().attach_auto().unwrap();
    type List = fn(&Kernel) -> skep::Result<()>;
    let lists: [(&str, List); 5] = [
        ("PROG", |kernel| kernel.programs().try_for_each(|one| one.map(drop))),
        ("MAP", |kernel| kernel.maps().try_for_each(|one| one.map(drop))),
        ("LINK", |kernel| kernel.links().try_for_each(|one| one.map(drop))),
        ("BTF", |kernel| kernel.btf_objects().try_for_each(|one| one.map(drop))),
        ("", |kernel| kernel.holders().map(drop)),
    ];
    let before = Held::now();
    for (noun, list) in lists {
        let calls = match noun {
            "" => vec!["getdents".to_owned(), "read".to_owned()],
            _ => vec![
                format!("BPF_{noun}_GET_NEXT_ID"),
                format!("BPF_{noun}_GET_FD_BY_ID"),
                "BPF_OBJ_GET_INFO_BY_FD".to_owned(),
            ],
        };
        for call in calls.iter().filter(|call| noun != "LINK" || *call != "BPF_OBJ_GET_INFO_BY_FD") {
            for errno in [Errno::EPERM, Errno::ENOMEM, Errno::EMFILE] {
                let faulty = Arc::new(Faulty::new(turn.kernel.sys()));
                let named = ["BPF_", "getdents", "read"].iter().find(|start| call.starts_with(*start));
                assert!(named.is_some());
                let call: &'static str = String::leak(call.clone());
                faulty.plan(Fault { on: On::Named(call), with: With::Errno(errno) });
                let kernel = Kernel::from(skep::sys::Kernel::from_arc(faulty));
                let answer = list(&kernel);
                if noun.is_empty() && errno == Errno::EPERM && call == "read" {
                    // Others' descriptors may not be looked at: that is no error.
                    answer.unwrap();
                    continue;
                }
                let error = answer.expect_err(&format!("{call} {errno}"));
                assert_eq!(error.errno(), Some(errno), "{call}: {error}");
                let place = error.place();
                assert!(place.object.is_some() || place.path.is_some(), "{call}: {error}");
            }
        }
    }
    assert_eq!(Held::left_since(&before), "");
}

/// A kernel with one program, and what that has printed.
struct Printed(Mutex<Vec<u8>>);

impl Sys for Printed {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Close(_) => Ok(Reply::None),
            Call::Bpf(attr) if attr.cmd() == Cmd::PROG_GET_FD_BY_ID => Ok(Reply::Fd(Fd::Virtual(100))),
            Call::Bpf(attr) if attr.cmd() == Cmd::OBJ_GET_INFO_BY_FD => Ok(Reply::Count(0)),
            Call::Bpf(mut attr) if attr.cmd() == Cmd::PROG_STREAM_READ_BY_FD => {
                let stream = u32::from_ne_bytes(*attr.bytes()[12..].first_chunk().unwrap());
                assert_eq!(stream, skep_abi::flags::BPF_STREAM_STDERR);
                let mut printed = self.0.lock().unwrap();
                let (_, mut areas) = attr.parts_mut();
                let into = areas.next().unwrap().memory.bytes_mut().unwrap();
                // As many as fit, but for a byte that is left for the next time.
                let count = printed.len().min(into.len() - 1);
                into[..count].copy_from_slice(&printed[..count]);
                printed.drain(..count);
                Ok(Reply::Count(count as u64))
            }
            _ => Err(Errno::ENOSYS),
        }
    }
}

#[test]
fn a_stream_is_read_to_its_end() {
    let printed: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
    let kernel = Kernel::from_sys(Printed(Mutex::new(printed.clone())));
    let program = Program::from_id(&kernel, 1).unwrap();
    assert_eq!(program.read_stream(Stream::Stderr).unwrap(), printed);
    assert_eq!(program.read_stream(Stream::Stderr).unwrap(), []);
}

/// A kernel with one link, of the kind that is wanted.
struct OneLink {
    info: LinkInfo,
    name: &'static str,
    lists: Vec<(usize, Vec<u64>)>,
}

impl Sys for OneLink {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        match call {
            Call::Close(_) => Ok(Reply::None),
            Call::Bpf(attr) if attr.cmd() == Cmd::LINK_GET_FD_BY_ID => Ok(Reply::Fd(Fd::Virtual(100))),
            Call::Bpf(mut attr) if attr.cmd() == Cmd::OBJ_GET_INFO_BY_FD => {
                let (_, areas) = attr.parts_mut();
                for area in areas {
                    let (within, field) = (area.within, area.field);
                    let (AreaMemory::InOut(bytes) | AreaMemory::Out(bytes)) = &mut area.memory else {
                        return Err(Errno::EPROTO);
                    };
                    match within {
                        None => bytes.copy_from_slice(zerocopy::IntoBytes::as_bytes(&self.info)),
                        Some(_) => match self.lists.iter().find(|(at, _)| *at == field) {
                            Some((_, list)) => {
                                let list: Vec<u8> =
                                    list.iter().flat_map(|number| number.to_ne_bytes()).collect();
                                bytes.copy_from_slice(&list);
                            }
                            None => bytes[..self.name.len()].copy_from_slice(self.name.as_bytes()),
                        },
                    }
                }
                Ok(Reply::Count(0))
            }
            _ => Err(Errno::ENOSYS),
        }
    }
}

#[test]
fn every_kind_of_link_says_what_it_is_on() {
    let check = |kind: LinkType, tail: &dyn Fn(&mut LinkInfo) -> Option<()>, lists, expected: LinkTarget| {
        let mut info = LinkInfo { type_: kind.0, id: 5, prog_id: 9, ..LinkInfo::default() };
        tail(&mut info).unwrap();
        let kernel = Kernel::from_sys(OneLink { info, name: "the_name", lists });
        let link = Link::from_id(&kernel, 5).unwrap();
        assert_eq!((link.info().unwrap().id, link.target().unwrap()), (5, expected));
    };
    let name = || "the_name".to_owned();
    let attach_type = AttachType(3);
    check(
        LinkType::RAW_TRACEPOINT,
        &|info| info.set_tail(&LinkInfoRawTracepoint { cookie: 4, ..Default::default() }),
        vec![],
        LinkTarget::RawTracepoint { name: name(), cookie: 4 },
    );
    check(
        LinkType::TRACING,
        &|info| {
            info.set_tail(&LinkInfoTracing {
                attach_type: 3,
                target_obj_id: 1,
                target_btf_id: 2,
                cookie: 4,
                ..Default::default()
            })
        },
        vec![],
        LinkTarget::Tracing { attach_type, target_obj_id: 1, target_btf_id: 2, cookie: 4 },
    );
    check(
        LinkType::CGROUP,
        &|info| info.set_tail(&LinkInfoCgroup { cgroup_id: 1 << 40, attach_type: 3, ..Default::default() }),
        vec![],
        LinkTarget::Cgroup { cgroup_id: 1 << 40, attach_type },
    );
    check(
        LinkType::ITER,
        &|info| info.set_tail(&LinkInfoIter { map_id: 3, cgroup_id: 7, order: 1, ..Default::default() }),
        vec![],
        LinkTarget::Iter { target: name(), map_id: 0, cgroup_id: 0, order: 0, tid: 0, pid: 0 },
    );
    check(
        LinkType::NETNS,
        &|info| info.set_tail(&LinkInfoNetns { netns_ino: 8, attach_type: 3 }),
        vec![],
        LinkTarget::Netns { netns_ino: 8, attach_type },
    );
    check(
        LinkType::XDP,
        &|info| info.set_tail(&LinkInfoXdp { ifindex: 8 }),
        vec![],
        LinkTarget::Xdp { ifindex: 8 },
    );
    check(
        LinkType::STRUCT_OPS,
        &|info| info.set_tail(&LinkInfoStructOps { map_id: 8 }),
        vec![],
        LinkTarget::StructOps { map_id: 8 },
    );
    check(
        LinkType::NETFILTER,
        &|info| info.set_tail(&LinkInfoNetfilter { pf: 2, hooknum: 1, priority: -5, flags: 1 }),
        vec![],
        LinkTarget::Netfilter { pf: 2, hooknum: 1, priority: -5, flags: 1 },
    );
    check(
        LinkType::KPROBE_MULTI,
        &|info| info.set_tail(&LinkInfoKprobeMulti { count: 2, flags: 1, missed: 6, ..Default::default() }),
        vec![(16, vec![0x10, 0x20]), (40, vec![1, 2])],
        LinkTarget::KprobeMulti {
            flags: 1,
            missed: 6,
            functions: vec![
                ProbedFunction { addr: 0x10, cookie: 1 },
                ProbedFunction { addr: 0x20, cookie: 2 },
            ],
        },
    );
    check(
        LinkType::UPROBE_MULTI,
        &|info| info.set_tail(&LinkInfoUprobeMulti { count: 1, flags: 1, pid: 6, ..Default::default() }),
        vec![(24, vec![0x10]), (32, vec![0x20]), (40, vec![3])],
        LinkTarget::UprobeMulti {
            path: name(),
            flags: 1,
            pid: 6,
            offsets: vec![ProbedOffset { offset: 0x10, ref_ctr_offset: 0x20, cookie: 3 }],
        },
    );
    let kind = PerfEventType::KRETPROBE;
    check(
        LinkType::PERF_EVENT,
        &|info| {
            info.set_tail(&LinkInfoPerfEvent {
                type_: kind.0,
                offset: 1,
                addr: 2,
                missed: 3,
                cookie: 4,
                ..Default::default()
            })
        },
        vec![],
        LinkTarget::Kprobe { kind, function: name(), offset: 1, addr: 2, missed: 3, cookie: 4 },
    );
    let kind = PerfEventType::UPROBE;
    check(
        LinkType::PERF_EVENT,
        &|info| {
            info.set_tail(&LinkInfoPerfEventUprobe {
                type_: kind.0,
                offset: 1,
                cookie: 4,
                ref_ctr_offset: 2,
                ..Default::default()
            })
        },
        vec![],
        LinkTarget::Uprobe { kind, path: name(), offset: 1, ref_ctr_offset: 2, cookie: 4 },
    );
    check(
        LinkType::PERF_EVENT,
        &|info| {
            info.set_tail(&LinkInfoPerfEventTracepoint {
                type_: PerfEventType::TRACEPOINT.0,
                cookie: 4,
                ..Default::default()
            })
        },
        vec![],
        LinkTarget::Tracepoint { name: name(), cookie: 4 },
    );
    check(
        LinkType::PERF_EVENT,
        &|info| {
            info.set_tail(&LinkInfoPerfEventEvent {
                type_: PerfEventType::EVENT.0,
                config: 1,
                event_type: 2,
                cookie: 4,
                ..Default::default()
            })
        },
        vec![],
        LinkTarget::PerfEvent { event_type: 2, config: 1, cookie: 4 },
    );
    check(
        LinkType::TCX,
        &|info| info.set_tail(&LinkInfoTcx { ifindex: 8, attach_type: 3 }),
        vec![],
        LinkTarget::Tcx { ifindex: 8, attach_type },
    );
    check(
        LinkType::NETKIT,
        &|info| info.set_tail(&LinkInfoNetkit { ifindex: 8, attach_type: 3 }),
        vec![],
        LinkTarget::Netkit { ifindex: 8, attach_type },
    );
    check(
        LinkType::SOCKMAP,
        &|info| info.set_tail(&LinkInfoSockmap { map_id: 8, attach_type: 3 }),
        vec![],
        LinkTarget::Sockmap { map_id: 8, attach_type },
    );
    check(LinkType(99), &|_| Some(()), vec![], LinkTarget::Other);
}

#[test]
fn links_of_the_running_kernel_say_what_they_are_on() {
    let name = "links_of_the_running_kernel_say_what_they_are_on";
    let Some(turn) = linux(name) else { return };
    let before = Held::now();
    let loaded = object("examples/syscount/syscount").load(&turn.kernel).unwrap();
    let link = loaded.program("syscount").unwrap().attach(Attach::raw_tracepoint("sys_enter")).unwrap();
    let id = link.info().unwrap().id;
    let again = Link::from_id(&turn.kernel, id).unwrap();
    let target = again.target().unwrap();
    assert_eq!(target, LinkTarget::RawTracepoint { name: "sys_enter".to_owned(), cookie: 0 });
    // An open link keeps what it has attached.
    drop(link);
    let listed = turn.kernel.links().map(|link| link.unwrap().info().unwrap().id);
    assert!(listed.collect::<Vec<_>>().contains(&id));
    assert!(Map::from_id(&turn.kernel, u32::MAX / 4).is_err());
    drop((again, loaded));
    assert_eq!(Held::left_since(&before), "");
}
