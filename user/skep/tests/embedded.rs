//! Every committed object does on the embedded kernel what `lab/vectors/objects.txt` says.

mod common;

use common::{Row, object, packet, rows};
use skep::embedded::{Config, Embedded};
use skep::sys::{KernelVersion, Older};
use skep::{
    AttachType, Autoload, ErrorKind, Feature, FuncId, Instead, Kernel, Loaded, Object, ProgType, Program,
    TestRun,
};

fn kernel() -> (Embedded, Kernel) {
    let embedded = Embedded::new(Config::new()).unwrap();
    (embedded.clone(), Kernel::from_sys(embedded))
}

fn unpinned(stem: &str) -> Object {
    let mut object = object(stem);
    for map in object.maps().map(str::to_owned).collect::<Vec<_>>() {
        object.map_mut(&map).unwrap().do_not_pin();
    }
    object
}

fn load(stem: &str, kernel: &Kernel) -> Result<Loaded, skep::Error> {
    unpinned(stem).load(kernel)
}

fn load_once(stem: &str, kernel: &Kernel) -> Result<Loaded, skep::Error> {
    unpinned(stem).load_once(kernel)
}

fn run(program: &Program, packet: &[u8]) -> Result<u32, skep::Error> {
    let arguments = [0; 96];
    let run = match program.prog_type() {
        ProgType::RAW_TRACEPOINT => TestRun::new().with_ctx(&arguments),
        _ => TestRun::packet(packet),
    };
    program.test_run(&run).map(|run| run.retval)
}

/// Objects that want what this kernel does not have yet, and what its refusal names.
const LACKING: &[(&str, &str)] = &[
    ("maps/inner", "map outer_array: BPF_MAP_CREATE: EINVAL"),
    ("maps/stacks", "map addresses: BPF_MAP_CREATE: EINVAL"),
    ("maps/storage", "map storage: BPF_MAP_CREATE: EINVAL"),
    ("maps/user_ring", "map commands: BPF_MAP_CREATE: EINVAL"),
    ("code/exceptions", "this kernel has no symbol bpf_throw"),
    ("maps/arena", "map arena: BPF_MAP_CREATE: EINVAL"),
    ("wrong/lock_kept.fixed", "helper 93 (spin_lock) is not supported here"),
    ("maps/arena.at", "map arena: BPF_MAP_CREATE: EINVAL"),
];

fn lacking(row: &Row) -> Option<&'static str> {
    LACKING.iter().find(|(stem, _)| row.stem.ends_with(stem)).map(|(_, names)| *names)
}

#[test]
fn what_is_to_run_finds_nothing_wrong() {
    let packet = packet();
    let (mut wrong, mut programs) = (Vec::new(), 0);
    let rows = rows();
    let rows = rows.iter().filter(|row| row.expect == "run" && lacking(row).is_none());
    for (row, load) in rows.flat_map(|row| [(row, load as fn(&_, &_) -> _), (row, load_once)]) {
        let (embedded, kernel) = kernel();
        let loaded = match load(&row.stem, &kernel) {
            Ok(loaded) => loaded,
            Err(error) => {
                wrong.push(format!("{}: {error:?}", row.stem));
                continue;
            }
        };
        for program in loaded.programs() {
            for _ in 0..2 {
                match run(program, &packet) {
                    Ok(0) => programs += 1,
                    Ok(line) => {
                        wrong.push(format!("{}.bpf.c, line {line}, program {}", row.stem, program.name()));
                    }
                    Err(error) => wrong.push(format!("{}, program {}: {error}", row.stem, program.name())),
                }
            }
        }
        if let Some(fault) = embedded.faults().first() {
            wrong.push(format!("{}: {fault:?}", row.stem));
        }
        drop(loaded);
        drop(kernel);
        if (embedded.open_descriptors(), embedded.page_bytes()) != (0, 0) {
            wrong.push(format!("{}: something is left", row.stem));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(programs > 120, "{programs} were run");
}

#[test]
fn what_is_to_load_loads() {
    let mut loaded = 0;
    for row in rows().iter().filter(|row| ["load", "run"].contains(&row.expect.as_str())) {
        let (embedded, kernel) = kernel();
        let answer = load(&row.stem, &kernel);
        match (lacking(row), &answer) {
            (None, Ok(found)) => {
                assert_ne!(found.programs().len(), 0, "{}", row.stem);
                loaded += 1;
            }
            (Some(names), Err(error)) => assert!(format!("{error:?}").contains(names), "{error:?}"),
            (None, Err(error)) => panic!("{}: {error:?}", row.stem),
            (Some(_), Ok(_)) => panic!("{}: loads, and is still listed as lacking", row.stem),
        }
        drop((answer, kernel));
        assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0), "{}", row.stem);
    }
    assert!(loaded > 30, "{loaded} were loaded");
}

#[test]
fn types_are_kept_where_sections_must_not_be_empty() {
    // The `.rodata` of these has literals and no variable.
    for stem in ["lab/vectors/maps/kinds", "lab/vectors/helpers/ringbuf"] {
        let (_, newer) = kernel();
        let kernel = Kernel::from_sys(Older::new(newer.sys(), KernelVersion::new(5, 11)));
        let loaded = load(stem, &kernel).unwrap_or_else(|error| panic!("{error:?}"));
        let noted = |wanted: Instead| loaded.notes().iter().filter(|note| note.instead == wanted).count();
        assert_eq!((noted(Instead::OlderTypes), noted(Instead::NoTypes)), (1, 0), "{stem}");
        for program in loaded.programs() {
            let info = program.fd().info().unwrap();
            assert!(info.btf_id != 0 && info.nr_line_info != 0, "{stem}, {}: {info:?}", program.name());
        }
    }
}

#[test]
fn settings_come_from_the_kernels_release_and_configuration() {
    let (embedded, kernel) = kernel();
    let mut externs = object("lab/vectors/data/externs");
    // It wants the address of a symbol, and this kernel has no addresses.
    let error = externs.load(&kernel).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.to_string().contains("schedule"), "{error}");
    assert_eq!((embedded.open_descriptors(), embedded.page_bytes()), (0, 0));

    externs.program_mut("externs").unwrap().set_autoload(Autoload::No);
    let loaded = externs.load(&kernel).unwrap_or_else(|error| panic!("{error:?}"));
    let map = loaded.maps().find(|map| map.section() == Some(".kconfig")).unwrap();
    let bytes = map.lookup(&[0; 4]).unwrap().unwrap();
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    // CONFIG_HZ, LINUX_KERNEL_VERSION, CONFIG_BPF_JIT: the larger come first, then by name.
    assert_eq!((word(0), word(4), bytes[8]), (250, 0x06_12_00, 0));
}

#[test]
fn targets_are_found_among_the_kernels_types() {
    // Programs of this type are not run here; that the kernel says so shows that the loader found the type.
    let (embedded, kernel) = kernel();
    let load = |name: &str| {
        let mut object = object("lab/vectors/contexts/tracing");
        let programs: Vec<_> = object.programs().map(str::to_owned).collect();
        for (index, program) in programs.iter().enumerate() {
            let mut program = object.program_mut(program).unwrap();
            match index {
                0 => program
                    .set_type(ProgType::TRACING)
                    .set_attach_type(AttachType::TRACE_RAW_TP)
                    .set_target(name),
                _ => program.set_autoload(Autoload::No),
            };
        }
        object.load(&kernel).unwrap_err()
    };
    let _tracepoint = embedded.add_tracepoint("raw_syscalls", "sys_enter").unwrap();
    let error = load("sys_enter");
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
    assert!(error.verifier_log().unwrap().contains("cannot be run here"), "{error:?}");
    let error = load("sys_exit");
    assert!(error.to_string().contains("this kernel has no sys_exit"), "{error}");
}

#[test]
fn what_the_tables_know_of_linux_and_this_kernel_has_not_got_is_not_there() {
    let (_embedded, kernel) = kernel();
    let has = |feature| kernel.has(feature).unwrap();
    assert!(has(Feature::Helper(ProgType::XDP, FuncId::KTIME_GET_NS)));
    for id in [FuncId::SK_LOOKUP_TCP, FuncId::FIB_LOOKUP, FuncId::TIMER_INIT, FuncId::GET_CURRENT_TASK_BTF] {
        assert!(!has(Feature::Helper(ProgType::XDP, id)), "{id:?}");
    }
    assert!(has(Feature::ProgType(ProgType::SOCKET_FILTER)));
    for kind in [ProgType::SK_LOOKUP, ProgType::CGROUP_DEVICE, ProgType::NETFILTER] {
        assert!(!has(Feature::ProgType(kind)), "{kind}");
    }
}

#[test]
fn a_ring_that_gives_a_type_for_its_values_has_records_of_it() {
    let (_embedded, kernel) = kernel();
    let loaded = load("lab/vectors/rust/typed", &kernel).unwrap();
    assert_eq!(run(loaded.program("stores").unwrap(), &packet()).unwrap(), 0);
    let events = loaded.map("EVENTS").unwrap();
    assert_eq!(events.value_size(), 0);
    let mut ring = skep::RingBuffer::new(events).unwrap();
    let record = ring.next().unwrap();
    let decoded = events.decode_record(&record).unwrap().to_string();
    assert_eq!(decoded, "{bytes: 1099511627776, ports: {first: 80, second: 443}, verdict: Drop}");
}
