//! Every call of every path through the loader fails, one at a time and then for good, with each of the errors that
//! matter: nothing is left behind, and the error says which call failed and where.
//!
//! `faults.txt` lists the pairs of path and call that are swept. It may only grow: a pair that is no longer made fails
//! a test, and so does one that is not listed.

mod common;
#[path = "common/module.rs"]
mod module;

use common::{Held, Own, ROOT, linux, object, packet};
use module::{Module, WithModule};
use skep::flags::BPF_F_MMAPABLE;
use skep::sys::{Call, Fault, Faulty, Hidden, Older, On, Reply, Sys, With};
use skep::{
    Attach, Autocreate, Autoload, Errno, Error, ErrorKind, Kernel, Map, MapType, NewMap, Object, PerCpu,
    PerfBuffer, PerfOptions, Pinned, ProgType, Program, Result, RingBuffer, Stream, TestRun, UserRing,
};
use std::collections::BTreeSet;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const ERRORS: [Errno; 8] = [
    Errno::EPERM,
    Errno::ENOMEM,
    Errno::EINVAL,
    Errno::EBUSY,
    Errno::EMFILE,
    Errno::ENOSPC,
    Errno::EINTR,
    Errno::EAGAIN,
];

/// A path through the loader; it checks its own results wherever nothing fails.
struct Path {
    name: &'static str,
    run: fn(&Kernel) -> Result<()>,
}

const PATHS: &[Path] = &[
    Path { name: "load_and_run", run: load_and_run },
    Path { name: "load_rejected", run: load_rejected },
    Path { name: "load_maps_of_maps", run: load_maps_of_maps },
    Path { name: "load_maps_of_programs", run: load_maps_of_programs },
    Path { name: "load_for_a_kernel_type", run: load_for_a_kernel_type },
    Path { name: "load_for_a_kernel_type_that_is_read", run: load_for_a_kernel_type_that_is_read },
    Path { name: "load_structs_of_functions", run: load_structs_of_functions },
    Path { name: "load_for_a_program", run: load_for_a_program },
    Path { name: "token", run: token },
    Path { name: "load_what_a_kernel_provides", run: load_what_a_kernel_provides },
    Path { name: "arena", run: arena },
    Path { name: "load_relocated", run: load_relocated },
    Path { name: "load_relocated_by_a_module", run: load_relocated_by_a_module },
    Path {
        name: "load_relocated_by_a_module_of_another_kernel",
        run: load_relocated_by_a_module_of_another_kernel,
    },
    Path { name: "load_for_a_type_of_a_module", run: load_for_a_type_of_a_module },
    Path { name: "load_with_tagged_contexts", run: load_with_tagged_contexts },
    Path { name: "globals", run: globals },
    Path { name: "elements", run: elements },
    Path { name: "typed", run: typed },
    Path { name: "in_place", run: in_place },
    Path { name: "user_ring", run: user_ring },
    Path { name: "pins", run: pins },
    Path { name: "replaced_pins", run: replaced_pins },
    Path { name: "raw_tracepoint", run: raw_tracepoint },
    Path { name: "tracepoint", run: tracepoint },
    Path { name: "socket", run: socket },
    Path { name: "interface", run: interface },
    Path { name: "ring_buffer", run: ring_buffer },
    Path { name: "perf_buffer", run: perf_buffer },
    Path { name: "read_back", run: read_back },
];

/// What needs a newer kernel than the oldest.
const SINCE: &[(&str, (u32, u32))] = &[
    ("arena", (6, 9)),
    ("load_for_a_type_of_a_module", (5, 11)),
    ("load_relocated_by_a_module", (5, 11)),
    ("load_structs_of_functions", (6, 4)),
    ("load_with_tagged_contexts", (5, 12)),
    ("user_ring", (6, 1)),
];

fn arena(kernel: &Kernel) -> Result<()> {
    if common::running() < (6, 9) {
        return Ok(());
    }
    let loaded = object("lab/vectors/maps/arena").load(kernel)?;
    loaded.global("total")?.set("5")?;
    assert_eq!(loaded.program("settle")?.test_run(&TestRun::new())?.retval, 0);
    loaded.map("arena")?.arena()?.write(0, &[1]).map(drop)
}

fn load_and_run(kernel: &Kernel) -> Result<()> {
    let loaded = object("examples/xdp-firewall/xdp_firewall").load(kernel)?;
    let packet = packet();
    let output = loaded.program("xdp_firewall")?.test_run(&TestRun::packet(&packet))?;
    assert_eq!((output.retval, output.data), (2, packet));
    Ok(())
}

fn load_rejected(kernel: &Kernel) -> Result<()> {
    match object("lab/vectors/refused/unchecked_packet").load(kernel) {
        Ok(_) => panic!("it must be rejected"),
        Err(error) if error.verifier_log().is_some() => Ok(()),
        Err(error) => Err(error),
    }
}

fn run_all(object: &Object, kernel: &Kernel) -> Result<()> {
    let loaded = object.load(kernel)?;
    for program in loaded.programs() {
        assert_eq!(program.test_run(&TestRun::packet(&packet()))?.retval, 0, "{}", program.name());
    }
    Ok(())
}

fn load_maps_of_maps(kernel: &Kernel) -> Result<()> {
    run_all(&object("lab/vectors/maps/inner"), kernel)
}

fn load_maps_of_programs(kernel: &Kernel) -> Result<()> {
    run_all(&object("lab/vectors/maps/typed_keys"), kernel)
}

/// A program that is loaded for a function of the kernel's BTF.
fn load_for_a_kernel_type(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/maps/typed_keys");
    object.only_program("second")?.program_mut("second")?.set_type(ProgType::TRACING);
    object
        .program_mut("second")?
        .set_attach_type(skep::AttachType::TRACE_RAW_TP)
        .set_target("sched_process_exit");
    let loaded = object.load(kernel)?;
    drop(loaded.program("second")?.attach(Attach::LoadedFor)?);
    Ok(())
}

/// As above, where the kernel's BTF cannot be mapped (before Linux 6.16).
fn load_for_a_kernel_type_that_is_read(kernel: &Kernel) -> Result<()> {
    load_for_a_kernel_type(&Kernel::from_sys(Unmapped(kernel.sys().clone())))
}

/// A kernel whose BTF is to be read.
struct Unmapped(skep::sys::Kernel);

impl Sys for Unmapped {
    fn call(&self, call: Call<'_>) -> std::result::Result<Reply, Errno> {
        match call {
            Call::MapBtf => Err(Errno::ENODEV),
            call => self.0.call(call),
        }
    }
}

/// One that is to be linked: a caller that fails to take the other sort back would leave it in use.
fn load_structs_of_functions(kernel: &Kernel) -> Result<()> {
    if common::running() < (6, 4) {
        return Ok(());
    }
    let mut object = object("lab/vectors/struct_ops/congestion");
    object.map_mut("straw")?.set_autocreate(Autocreate::No);
    object.load(kernel)?.map("linked")?.register()
}

/// A program that is loaded for a function of another; some kernels let nobody do that.
fn load_for_a_program(kernel: &Kernel) -> Result<()> {
    // Where it is refused for want of a right, no token would help.
    let kernel = &kernel.without_token();
    let target = object("lab/vectors/struct_ops/replaced").load(kernel)?;
    if target.program("outer")?.info()?.btf_id == 0 {
        return Ok(());
    }
    let mut object = object("lab/vectors/struct_ops/replaced");
    object.only_program("inner")?.program_mut("inner")?.set_target_program(target.program("outer")?, None)?;
    match object.load(kernel) {
        Err(error) if error.failed_call() == Some("BPF_PROG_LOAD") && error.errno() == Some(Errno::EPERM) => {
            Ok(())
        }
        answer => answer.map(|_| ()),
    }
}

/// A token, which no kernel gives outside of a user namespace (EINVAL before 6.9).
fn token(kernel: &Kernel) -> Result<()> {
    match kernel.with_token("/sys/fs/bpf") {
        Err(error) if matches!(error.errno(), Some(Errno::EOPNOTSUPP | Errno::EINVAL)) => Ok(()),
        answer => answer.map(|_| ()),
    }
}

/// Values of the kernel's configuration, and the address of a symbol.
fn load_what_a_kernel_provides(kernel: &Kernel) -> Result<()> {
    run_all(&object("lab/vectors/data/externs"), kernel)
}

/// CO-RE from the BTF in a file: the object's own, so that all is there that one program needs.
fn load_relocated(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/btf/core");
    object.only_program("direct")?;
    object.set_target_btf(&format!("{ROOT}/lab/vectors/btf/core.bpf.o"));
    object.load(kernel).map(|_| ())
}

/// The object, all of whose types are its own.
const CORE: &str = "lab/vectors/btf/core";

/// A kernel with a module that has them, where the kernel names types (since Linux 5.11).
fn with_module(kernel: &Kernel) -> Option<Kernel> {
    static MODULE: OnceLock<Arc<Module>> = OnceLock::new();
    if common::running() < (5, 11) {
        return None;
    }
    let module = MODULE.get_or_init(|| Arc::new(Module::new(&object(CORE))));
    Some(Kernel::from_sys(WithModule::new(kernel, module)))
}

/// CO-RE from the types of one of the kernel's modules, as the kernel itself has none of those.
fn load_relocated_by_a_module(kernel: &Kernel) -> Result<()> {
    let Some(kernel) = with_module(kernel) else { return Ok(()) };
    let mut object = object(CORE);
    object.only_program("direct")?.load(&kernel).map(|_| ())
}

/// CO-RE from the types of a module in a file, which are fitted to the kernel's by the small base beside them.
fn load_relocated_by_a_module_of_another_kernel(kernel: &Kernel) -> Result<()> {
    let mut object = object(CORE);
    let file = std::env::temp_dir().join(format!("skep-faults-{}.ko", std::process::id()));
    let made = module::distilled(&object);
    common::elf(&file, &[(".BTF.base", &made.base), (".BTF", &made.split)]);
    object.only_program("direct")?.set_target_btf(file.to_str().unwrap_or_default());
    let result = object.load(kernel);
    let _ = Kernel::linux().sys().file_remove(file.to_str().unwrap_or_default());
    result.map(|_| ())
}

/// A program that is loaded for a tracepoint of a module.
fn load_for_a_type_of_a_module(kernel: &Kernel) -> Result<()> {
    let Some(kernel) = with_module(kernel) else { return Ok(()) };
    let mut object = object("lab/vectors/maps/typed_keys");
    object.only_program("second")?.program_mut("second")?.set_type(ProgType::TRACING);
    let target = format!("{}:{}", module::NAME, module::TRACEPOINT);
    object.program_mut("second")?.set_attach_type(skep::AttachType::TRACE_RAW_TP).set_target(&target);
    object.load(&kernel).map(|_| ())
}

/// Arguments that are the context by a tag, on a kernel that does not know it.
fn load_with_tagged_contexts(kernel: &Kernel) -> Result<()> {
    // Functions that are verified by themselves take pointers to numbers since then.
    if common::running() < (5, 12) {
        return Ok(());
    }
    let kernel = &Kernel::from_sys(Older::without(kernel.sys(), &[Hidden::BtfKind(DECL_TAG)]));
    let mut object = object("lab/vectors/code/context_arguments");
    let loaded = object.only_program("packet")?.load(kernel)?;
    assert_eq!(loaded.program("packet")?.test_run(&TestRun::packet(&packet()))?.retval, 0);
    Ok(())
}

/// `BTF_KIND_DECL_TAG`.
const DECL_TAG: u32 = 17;

fn globals(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/data/globals");
    object.only_program("writes")?;
    let loaded = object.load(kernel)?;
    let variable = loaded.global("points[1].y")?;
    assert_eq!(variable.value()?.as_int(), Some(4));
    variable.set("40")?;
    assert_eq!(variable.value()?.as_int(), Some(40));
    assert_eq!(loaded.global("in_rodata")?.value()?.as_int(), Some(4));
    Ok(())
}

fn elements(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/maps/kinds");
    for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
        object.program_mut(&program)?.set_autoload(Autoload::No);
    }
    let loaded = object.load(kernel)?;
    let (hash, queue) = (loaded.map("hash")?, loaded.map("queue")?);
    let elements: Vec<_> = (0..5u8).map(|n| ([n; 8], vec![n; hash.value_stride()])).collect();
    hash.insert_all(&elements)?;
    hash.insert(&[9; 8], &vec![9; hash.value_stride()])?;
    assert_eq!(hash.lookup(&[3; 8])?.map(|value| value[0]), Some(3));
    assert_eq!(hash.keys().collect::<Result<Vec<_>>>()?.len(), 6);
    assert_eq!(hash.entries().collect::<Result<Vec<_>>>()?.len(), 6);
    assert_eq!(hash.read_all()?.len(), 6);
    assert!(hash.delete(&[3; 8])?);
    hash.delete_all(&[[1; 8], [2; 8]])?;
    assert_eq!(hash.drain()?.len(), 3);
    queue.push(&[1; 8])?;
    assert_eq!(queue.pop()?, Some(vec![1; 8]));
    hash.freeze()
}

/// Maps made by hand, in maps of maps, and programs by handle.
fn typed(kernel: &Kernel) -> Result<()> {
    let inner = NewMap::of::<u32, u64>(MapType::HASH, 4).name("inner").create(kernel)?;
    let outer =
        NewMap::of::<u32, u32>(MapType::HASH_OF_MAPS, 4).name("outer").inner(&inner).create(kernel)?;
    let outer = outer.into_typed::<u32, Map>()?;
    outer.insert(&1, &inner)?;
    inner.typed::<u32, u64>()?.insert_all([(&1, &2), (&2, &3)])?;
    let Some(found) = outer.get(&1)? else { panic!("it is there") };
    let mut all = found.typed::<u32, u64>()?.read_all()?;
    all.sort_unstable();
    assert_eq!(all, [(1, 2), (2, 3)]);
    let each = NewMap::of::<u32, u64>(MapType::PERCPU_HASH, 4).name("each").create(kernel)?;
    let each = each.into_typed::<u32, PerCpu<u64>>()?;
    each.insert(&1, &PerCpu::all(kernel, 7)?)?;
    assert!(each.get(&1)?.is_some_and(|values| values.iter().all(|value| *value == 7)));
    let loaded = object("lab/vectors/maps/typed_keys").load(kernel)?;
    let programs = loaded.map("programs")?.typed::<u32, Program>()?;
    let Some(program) = programs.get(&1)? else { panic!("the object has put it there") };
    programs.insert(&0, &program)
}

/// An array in memory, and one that is not.
fn in_place(kernel: &Kernel) -> Result<()> {
    for flags in [0, BPF_F_MMAPABLE] {
        let map = NewMap::of::<u32, u64>(MapType::ARRAY, 4).name("array").flags(flags).create(kernel)?;
        let map = Map::from_id(kernel, map.info()?.id)?;
        let cells = map.cells::<u64>()?;
        cells.set(3, &5)?;
        assert_eq!(cells.get(3)?, 5);
    }
    Ok(())
}

/// Only where the kernel has such rings.
fn user_ring(kernel: &Kernel) -> Result<()> {
    if common::running() < (6, 1) {
        return Ok(());
    }
    let map = NewMap::new(MapType::USER_RINGBUF, 4096).name("ring").create(kernel)?;
    let mut ring = UserRing::new(&map)?;
    assert!(ring.send(b"for nobody")?);
    ring.wait(Some(Duration::from_secs(1)))?;
    Ok(())
}

/// One map takes another's place, and is found there again.
fn replaced_pins(kernel: &Kernel) -> Result<()> {
    let path = format!("/sys/fs/bpf/skep_faults_{}_replaced", std::process::id());
    let other = NewMap::of::<u32, u64>(MapType::HASH, 4).create(&Kernel::linux())?;
    other.pin(&path)?;
    let run = || {
        let mut object = object("lab/vectors/maps/shared.v1");
        for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
            object.program_mut(&program)?.set_autoload(Autoload::No);
        }
        object.map_mut("shared")?.pin_at(&path).set_pinned(Pinned::Replaced);
        drop(object.load(kernel)?);
        object.load(kernel)
    };
    let result = run();
    let _ = Kernel::linux().sys().file_remove(&path);
    result.map(|_| ())
}

fn pins(kernel: &Kernel) -> Result<()> {
    let path = |what| format!("/sys/fs/bpf/skep_faults_{}_{what}", std::process::id());
    let run = || {
        let mut object = object("lab/vectors/maps/pinning");
        object.map_mut("vector_pinned")?.pin_at(&path("map"));
        let loaded = object.load(kernel)?;
        loaded.program("count_runs")?.pin(&path("program"))?;
        drop(loaded);
        let loaded = object.load(kernel)?;
        let opened = Map::open_pinned(kernel, &path("map"))?;
        assert_eq!(opened.info()?.id, loaded.map("vector_pinned")?.info()?.id);
        Program::open_pinned(kernel, &path("program"))?.info()?;
        Ok(())
    };
    let result = run();
    // What a caller has pinned stays until the caller takes it away.
    for what in ["map", "program"] {
        let _ = Kernel::linux().sys().file_remove(&path(what));
    }
    result
}

fn raw_tracepoint(kernel: &Kernel) -> Result<()> {
    let loaded = object("examples/syscount/syscount").load(kernel)?;
    let link = loaded.program("syscount")?.attach_auto()?;
    link.info()?;
    drop(link);
    Ok(())
}

fn tracepoint(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/contexts/tracing");
    object.only_program("short_name")?;
    drop(object.load(kernel)?.program("short_name")?.attach_auto()?);
    Ok(())
}

fn socket(kernel: &Kernel) -> Result<()> {
    let mut object = object("lab/vectors/maps/typed_keys");
    object.only_program("second")?.program_mut("second")?.set_type(ProgType::SOCKET_FILTER);
    let loaded = object.load(kernel)?;
    let (_sender, receiver) = UnixDatagram::pair().unwrap();
    drop(loaded.program("second")?.attach(Attach::socket(&receiver))?);
    Ok(())
}

/// Only where the network is this test's own.
fn interface(kernel: &Kernel) -> Result<()> {
    if std::env::var_os(common::IN_OWN_NETWORK).is_none() {
        return Ok(());
    }
    let loaded = object("examples/xdp-firewall/xdp_firewall").load(kernel)?;
    let program = loaded.program("xdp_firewall")?;
    let link = program.attach(Attach::xdp("skep1"))?;
    link.update(program)?;
    Ok(())
}

fn ring_buffer(kernel: &Kernel) -> Result<()> {
    let loaded = object("lab/vectors/helpers/ringbuf").load(kernel)?;
    let mut ring = RingBuffer::new(loaded.map("ring")?)?;
    loaded.program("output")?.test_run(&TestRun::packet(&packet()))?;
    // An interrupted wait ends like one whose time is over.
    let ready = ring.wait(Some(Duration::from_secs(1)))?;
    assert_eq!(ring.next().map(|record| record.len()), Some(13), "{ready}");
    Ok(())
}

fn perf_buffer(kernel: &Kernel) -> Result<()> {
    let loaded = object("lab/vectors/helpers/perf_event").load(kernel)?;
    let mut events =
        PerfBuffer::new(loaded.map("events")?, PerfOptions { pages: 1, ..PerfOptions::default() })?;
    loaded.program("output")?.test_run(&TestRun::packet(&packet()))?;
    events.wait(Some(Duration::from_secs(1)))?;
    assert!(events.next().is_some());
    Ok(())
}

/// What a kernel says of what it holds. Lists of all that there is are as long as others make them, and links take the
/// kernel long to undo: tests/inspect.rs has the faults of those.
fn read_back(kernel: &Kernel) -> Result<()> {
    let loaded = object("examples/syscount/syscount").load(kernel)?;
    let program = loaded.program("syscount")?;
    let found = Program::from_id(kernel, program.info()?.id)?;
    let details = found.details()?;
    // A load does without types where they are refused.
    let has_types = details.btf_id.is_some();
    assert_eq!(found.full_name()?.as_deref(), has_types.then_some("syscount"));
    assert_eq!(found.code()?.lines.len() > 3, has_types);
    let first = details.map_ids.first().copied().unwrap_or_default();
    assert_eq!(Map::from_id(kernel, first)?.info()?.id, first);
    drop(kernel.enable_stats()?);
    if common::running() >= (6, 17) {
        assert!(found.read_stream(Stream::Stdout)?.is_empty());
    }
    Ok(())
}

/// Runs a path with a fault; gives the names of its calls, how many were struck, and what came of it.
fn with_fault(path: &Path, fault: Option<Fault>) -> (Vec<&'static str>, u64, Result<()>) {
    let faulty = Arc::new(Faulty::new(Kernel::linux().sys()));
    if let Some(fault) = fault {
        faulty.plan(fault);
    }
    let kernel = Kernel::from(skep::sys::Kernel::from_arc(faulty.clone()));
    let result = (path.run)(&kernel);
    drop(kernel);
    (faulty.names(), faulty.struck(), result)
}

/// Tells what is missing in an error, which is to say which call failed, how and where. A file's `open` is part of
/// reading it. Where modules may not be looked through, they have nothing, and the error is of what is missing then.
fn missing_in(error: &Error, call: &str, errno: Errno) -> Option<&'static str> {
    let told = error.failed_call().unwrap_or_default();
    let place = error.place();
    if error.to_string().contains(&format!("its modules were not looked through ({call}: {errno})")) {
        return place.program.is_none().then_some("the place");
    }
    if error.errno() != Some(errno) || !error.to_string().contains(&errno.to_string()) {
        return Some("the error number");
    }
    if told != call && !(told == "read" && call == "open") {
        return Some("the call");
    }
    let placed = [&place.map, &place.program, &place.path, &place.object, &place.feature]
        .into_iter()
        .any(Option::is_some);
    (!placed).then_some("the place")
}

/// So many runs may keep objects of the kernel before it is asked whether these are gone: that takes it milliseconds.
const TOGETHER: usize = 32;

/// Sweeps a path: gives the number of runs and of those that failed, and notes what was wrong.
fn sweep(path: &Path, wrong: &mut Vec<String>) -> (u32, u32) {
    let before = Held::now();
    let (calls, _, result) = with_fault(path, None);
    result.unwrap_or_else(|error| panic!("{}: {error:?}", path.name));
    assert_eq!(Held::left_since(&before), "", "{}", path.name);

    let (mut runs, mut failures) = (0, 0);
    // Struck since the whole system's objects were looked at, which the kernel frees when it comes to it.
    let mut unseen: Vec<String> = Vec::new();
    let mut strike = |call: &'static str, on: On, with: With| {
        let what = format!("{}: {call} {on:?} {with:?}", path.name);
        let (_, struck, result) = with_fault(path, Some(Fault { on, with }));
        runs += 1;
        let left = Own::left_since(&before.own);
        if !left.is_empty() {
            wrong.push(format!("{what}: left {left} after {result:?}"));
        }
        unseen.push(format!("{what}: {result:?}"));
        if unseen.len() == TOGETHER {
            wrong.extend(left_by(&before, &mut unseen));
        }
        match (with, result) {
            (With::Errno(errno), Err(error)) => {
                failures += 1;
                if let Some(missing) =
                    missing_in(&error, call, errno).or((struck == 0).then_some("the fault"))
                {
                    wrong.push(format!("{what}: {missing} is not in: {error}"));
                }
            }
            (With::Short(_), Err(error)) => wrong.push(format!("{what}: {error}")),
            (_, Ok(())) => {}
        }
    };
    for (nth, call) in calls.iter().enumerate() {
        // Of the reads of one large file (the kernel's BTF), the first, the second and the last.
        let is_read = |at: usize| calls.get(at) == Some(&"read");
        if nth >= 2 && (nth - 2..=nth + 1).all(is_read) {
            continue;
        }
        for errno in ERRORS {
            strike(call, On::Nth(nth as u64), With::Errno(errno));
        }
        if ["read", "pread", "write"].contains(call) || call.contains("LOOKUP_BATCH") {
            strike(call, On::Nth(nth as u64), With::Short(1));
        }
    }
    let names: BTreeSet<_> = calls.iter().copied().collect();
    for call in names {
        // A read that is interrupted is asked again, each time.
        for errno in ERRORS.into_iter().filter(|errno| *errno != Errno::EINTR) {
            strike(call, On::Named(call), With::Errno(errno));
        }
    }
    wrong.extend(left_by(&before, &mut unseen));
    (runs, failures)
}

/// Tells what some runs have left together.
fn left_by(before: &Held, runs: &mut Vec<String>) -> Option<String> {
    let left = Held::left_since(before);
    let runs = std::mem::take(runs);
    (!left.is_empty()).then(|| format!("left {left} after one of:\n  {}", runs.join("\n  ")))
}

/// What is said behind a pair that not every machine makes: where its programs are taken, it asks for no reason.
const REFUSED: &str = " (where refused)";

/// A line of the list, unless it is of newer kernels or of older ones.
fn of_this_kernel(line: &str) -> Option<&str> {
    let Some((pair, when)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" (")) else {
        return Some(line);
    };
    let version = |text: &str| {
        let (major, minor) = text.split_once('.').unwrap_or_else(|| panic!("no version: {line}"));
        (major.parse().expect(line), minor.parse().expect(line))
    };
    let is_of_this = match when.split_once(' ') {
        Some(("since", first)) => common::running() >= version(first),
        Some(("before", first)) => common::running() < version(first),
        _ => return Some(line),
    };
    is_of_this.then_some(pair)
}

#[test]
fn every_call_of_every_path_fails_and_nothing_is_left() {
    let name = "every_call_of_every_path_fails_and_nothing_is_left";
    let Some(turn) = linux(name) else { return };
    if !common::in_own_network(name, turn) {
        return;
    }
    let mut wrong = Vec::new();
    for path in PATHS {
        let (runs, failures) = sweep(path, &mut wrong);
        println!("{}: {runs} runs, {failures} failed", path.name);
        let since = SINCE.iter().find(|(name, _)| *name == path.name);
        let needs_more = since.is_some_and(|(_, since)| common::running() < *since);
        assert!(failures > 0 || path.name == "interface" || needs_more, "{}", path.name);
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_path_makes_the_calls_that_are_listed() {
    let name = "every_path_makes_the_calls_that_are_listed";
    let Some(turn) = linux(name) else { return };
    if !common::in_own_network(name, turn) {
        return;
    }
    let mut pairs = BTreeSet::new();
    for path in PATHS {
        let (calls, _, result) = with_fault(path, None);
        result.unwrap_or_else(|error| panic!("{}: {error:?}", path.name));
        pairs.extend(calls.iter().map(|call| (path.name.to_owned(), (*call).to_owned())));
    }
    let list = format!("{ROOT}/user/skep/tests/faults.txt");
    let text = common::read(&list);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (mut listed, mut wanted) = (BTreeSet::new(), BTreeSet::new());
    for line in lines.filter_map(of_this_kernel) {
        let pair = line.strip_suffix(REFUSED).unwrap_or(line);
        let (path, call) = pair.split_once(' ').unwrap_or_else(|| panic!("no call: {line}"));
        let pair = (path.to_owned(), call.to_owned());
        if !line.ends_with(REFUSED) {
            wanted.insert(pair.clone());
        }
        listed.insert(pair);
    }
    let unlisted: Vec<_> = pairs.difference(&listed).map(|(path, call)| format!("{path} {call}")).collect();
    let unmade: Vec<_> = wanted.difference(&pairs).collect();
    assert!(unlisted.is_empty(), "to be added to {list}:\n{}", unlisted.join("\n"));
    assert!(unmade.is_empty() || common::running() < (6, 9), "no longer made: {unmade:?}");
}

#[test]
fn an_error_of_a_load_is_of_one_kind_or_another() {
    let Some(turn) = linux("an_error_of_a_load_is_of_one_kind_or_another") else { return };
    drop(turn);
    let path = &PATHS[0];
    let kind = |call, errno| {
        let fault = Fault { on: On::Named(call), with: With::Errno(errno) };
        with_fault(path, Some(fault)).2.map_err(|error| error.kind())
    };
    assert_eq!(kind("BPF_MAP_CREATE", Errno::EPERM), Err(ErrorKind::Permission));
    assert_eq!(kind("BPF_MAP_CREATE", Errno::ENOMEM), Err(ErrorKind::Kernel));
    assert_eq!(kind("BPF_PROG_LOAD", Errno::EINVAL), Err(ErrorKind::Kernel));
    assert_eq!(kind("BPF_PROG_TEST_RUN", Errno::ENOTSUPP), Err(ErrorKind::Unsupported));
    assert_eq!(kind("BPF_BTF_LOAD", Errno::EINVAL), Ok(()), "types are of use, and not needed");
}
