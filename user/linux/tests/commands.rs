//! Every typed operation on the running kernel: pointers and lengths land where the kernel looks for them.
#![cfg(target_os = "linux")]

mod common;

use skep_abi::flags::{BPF_ANY, BPF_STATS_RUN_TIME};
use skep_abi::{
    AttachType, BtfLoad, Errno, LinkCreate, LinkType, MapCreate, MapType, PerfEventAttr, PerfSwId, PerfType,
    ProgLoad, ProgQuery, ProgTestRun, ProgType, perf,
};
use skep_lab_seam::samples;
use skep_sys::{
    AttrError, BatchStep, BatchThen, CallError, Fd, FdArray, Kernel, MapFd, ObjectKind, PerfEventOpen,
    ProgFd, ProgLists, ProgLoadMemory, ProgQueryMemory, Protection, Records, TestRunMemory,
};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

/// `r0 = 2; exit`.
const TWO: [[u8; 8]; 2] = samples::returning(2);

fn map(kernel: &Kernel, map_type: MapType, sizes: [u32; 3]) -> MapFd {
    let [key_size, value_size, max_entries] = sizes;
    let create = MapCreate { map_type: map_type.0, key_size, value_size, max_entries, ..Default::default() };
    kernel.map_create(&create).unwrap()
}

fn load_as(kernel: &Kernel, prog_type: ProgType, memory: ProgLoadMemory<'_>) -> Result<ProgFd, CallError> {
    let mut load = ProgLoad { prog_type: prog_type.0, ..ProgLoad::default() };
    kernel.prog_load(&mut load, ProgLoadMemory { license: "GPL", ..memory })
}

fn two(kernel: &Kernel, prog_type: ProgType) -> ProgFd {
    let memory = ProgLoadMemory { insns: TWO.as_flattened(), ..ProgLoadMemory::default() };
    load_as(kernel, prog_type, memory).unwrap()
}

#[test]
fn files() {
    common::files::exercise(&skep_linux::kernel(), "linux");
}

#[test]
fn batches_and_queues() {
    let Some(_) = common::bpf("batches_and_queues") else { return };
    let kernel = skep_linux::kernel();
    let hash = map(&kernel, MapType::HASH, [4, 8, 64]);
    let keys: Vec<u8> = (0..40u32).flat_map(u32::to_ne_bytes).collect();
    let values: Vec<u8> = (0..40u64).flat_map(u64::to_ne_bytes).collect();
    assert_eq!(hash.update_batch(&keys, &values, 40, BPF_ANY), Ok(40));
    assert!(matches!(
        hash.update_batch(&keys[..4], &values, 40, BPF_ANY),
        Err((CallError::Attr(AttrError::WrongLength { what: "keys", wanted: 160, found: 4 }), 0))
    ));
    let mut step = BatchStep::default();
    let (mut found, mut some_keys, mut some_values) = (Vec::new(), [0; 4 * 32], [0; 8 * 32]);
    while !step.is_done() {
        let count = hash
            .lookup_batch(&mut step, &mut some_keys, &mut some_values, 32, BatchThen::Keep)
            .unwrap() as usize;
        let keys = some_keys[..count * 4].chunks_exact(4);
        found.extend(keys.map(|key| u32::from_ne_bytes(key.try_into().unwrap())));
    }
    found.sort_unstable();
    assert_eq!(found, (0..40).collect::<Vec<u32>>());
    assert_eq!(hash.delete_batch(&keys[..40], 10), Ok(10));
    assert_eq!(hash.lookup(&keys[..4], &mut [0; 8], 0), Err(CallError::Errno(Errno::ENOENT)));

    let queue = map(&kernel, MapType::QUEUE, [0, 4, 2]);
    queue.update(&[], &[1; 4], BPF_ANY).unwrap();
    let mut value = [0; 4];
    queue.lookup_and_delete(&[], &mut value, 0).unwrap();
    assert_eq!(value, [1; 4]);

    if common::release() < (5, 16) {
        println!("skipped: batches_and_queues: no BLOOM_FILTER before Linux 5.16");
        return;
    }
    let bloom = map(&kernel, MapType::BLOOM_FILTER, [0, 4, 100]);
    bloom.update(&[], &[9; 4], BPF_ANY).unwrap();
    assert_eq!(bloom.lookup(&[], &mut [9; 4], 0), Ok(()));
    assert_eq!(bloom.lookup(&[], &mut [8; 4], 0), Err(CallError::Errno(Errno::ENOENT)));
}

#[test]
fn per_cpu_values_have_room_for_every_cpu() {
    let Some(_) = common::bpf("per_cpu_values_have_room_for_every_cpu") else { return };
    let kernel = skep_linux::kernel();
    let array = map(&kernel, MapType::PERCPU_ARRAY, [4, 5, 1]);
    let cpus = kernel.possible_cpus().unwrap();
    assert_eq!((array.shape().value_stride(), array.shape().cpus()), (8 * cpus as usize, cpus));
    let mut all = vec![0xff; array.shape().value_stride()];
    array.lookup(&[0; 4], &mut all, 0).unwrap();
    assert!(all.iter().all(|byte| *byte == 0));
    let short = array.lookup(&[0; 4], &mut [0; 5], 0);
    assert!(matches!(short, Err(CallError::Attr(AttrError::WrongLength { what: "value", .. }))), "{short:?}");
}

#[test]
fn programs_with_everything() {
    let Some(_) = common::bpf("programs_with_everything") else { return };
    let kernel = skep_linux::kernel();
    let btf = samples::btf();
    let mut log = [0; 4096];
    let mut btf_load = BtfLoad { btf_log_level: 1, ..BtfLoad::default() };
    let types = kernel.btf_load(&mut btf_load, &btf, &mut log).unwrap();
    assert_ne!(log[0], 0);
    let info = types.info().unwrap();
    assert_eq!((info.btf_size as usize, info.kernel_btf), (btf.len(), 0));
    assert_eq!(types.data().unwrap(), btf);
    // The name came with Linux 5.11; before, the longer info is too long.
    match types.name() {
        Ok(name) => assert_eq!(name, ""),
        Err(error) => {
            assert!(error.errno() == Errno::E2BIG && common::release() < (5, 11), "{error}");
        }
    }
    let refused = kernel.btf_load(&mut btf_load, &btf[..23], &mut log);
    assert_eq!(refused.err(), Some(CallError::Errno(Errno::EINVAL)));

    // A line for the first instruction, a map by index.
    let array = map(&kernel, MapType::ARRAY, [4, 8, 1]);
    let insns = samples::with_first_map(2);
    let (func_info, line_info) = (samples::func_info(), samples::line_info());
    let mut log = [0; 4096];
    let mut load = ProgLoad {
        prog_type: ProgType::XDP.0,
        prog_btf_fd: types.fd().raw(),
        log_level: 1,
        ..ProgLoad::default()
    };
    let fds = [array.fd()];
    let memory = ProgLoadMemory {
        insns: insns.as_flattened(),
        license: "GPL",
        log: &mut log,
        fd_array: FdArray::ByIndex(&fds),
        func_info: Records { size: 8, bytes: &func_info },
        line_info: Records { size: 16, bytes: &line_info },
        ..ProgLoadMemory::default()
    };
    let loaded = kernel.prog_load(&mut load, memory);
    if common::release() < (5, 14) {
        assert_eq!(loaded.err(), Some(CallError::Errno(Errno::E2BIG)), "fd_array came with Linux 5.14");
        println!("skipped: programs_with_everything: no fd_array before Linux 5.14");
        return;
    }
    let prog = loaded.unwrap();
    assert_ne!((log[0], load.log_true_size), (0, 0));

    let info = prog.info().unwrap();
    assert_eq!((info.nr_func_info, info.nr_line_info, info.nr_map_ids), (1, 1, 1));
    assert_eq!(prog.map_ids().unwrap(), [array.info().unwrap().id]);
    let (mut functions, mut lines, mut tags) = ([0; 8], [0; 16], [[0; 8]]);
    let lists = ProgLists {
        func_info: &mut functions,
        line_info: &mut lines,
        prog_tags: &mut tags,
        ..ProgLists::default()
    };
    let info = prog.info_with(lists).unwrap();
    assert_eq!((functions.as_slice(), lines.as_slice()), (func_info.as_slice(), line_info.as_slice()));
    assert_eq!(tags[0], info.tag);
    let xlated = prog.xlated_insns().unwrap().expect("root sees the instructions");
    assert_eq!(xlated.len(), 32);
    assert_eq!(xlated[16..], *TWO.as_flattened());

    // Running it.
    let packet = [7; 64];
    let mut out = [0; 80];
    let mut run = ProgTestRun { repeat: 1, ..ProgTestRun::default() };
    let memory = TestRunMemory { data_in: &packet, data_out: &mut out, ..TestRunMemory::default() };
    prog.test_run(&mut run, memory).unwrap();
    assert_eq!((run.retval, run.data_size_out, &out[..64]), (2, 64, packet.as_slice()));
    let mut short = [0; 20];
    let memory = TestRunMemory { data_in: &packet, data_out: &mut short, ..TestRunMemory::default() };
    let full = prog.test_run(&mut run, memory);
    assert_eq!((full, run.data_size_out, short), (Err(CallError::Errno(Errno::ENOSPC)), 64, [7; 20]));

    let other = map(&kernel, MapType::ARRAY, [4, 8, 1]);
    prog.bind_map(&other).unwrap();
    assert_eq!(prog.map_ids().unwrap().len(), 2);
    let fds = [array.fd(), other.fd()];
    let bound = FdArray::Bound(&fds);
    let memory = ProgLoadMemory { insns: TWO.as_flattened(), fd_array: bound, ..ProgLoadMemory::default() };
    match load_as(&kernel, ProgType::XDP, memory) {
        Ok(prog) => assert_eq!(prog.map_ids().unwrap().len(), 2),
        // 6.12 knows the bytes after the last attribute, but no attribute there.
        Err(error) => {
            let refused = [Errno::E2BIG, Errno::EINVAL].contains(&error.errno());
            assert!(refused && common::release() < (6, 14), "{error}");
        }
    }
}

#[test]
fn ids_and_pins() {
    let Some(_) = common::bpf("ids_and_pins") else { return };
    let kernel = skep_linux::kernel();
    let prog = two(&kernel, ProgType::XDP);
    let id = prog.info().unwrap().id;
    let mut after = 0;
    let mut found = false;
    while let Some(next) = kernel.next_id(ObjectKind::Prog, after).unwrap() {
        found |= next == id;
        after = next;
    }
    assert!(found);
    let again = ProgFd::from_handle(kernel.fd_by_id(ObjectKind::Prog, id, 0).unwrap());
    assert_eq!(again.info().unwrap().tag, prog.info().unwrap().tag);
    let gone = kernel.fd_by_id(ObjectKind::Prog, u32::MAX - 1, 0);
    assert_eq!(gone.err(), Some(CallError::Errno(Errno::ENOENT)));

    if kernel.fs_magic("/sys/fs/bpf") != Ok(0xcafe_4a11) {
        println!("skipped: ids_and_pins: no BPF file system at /sys/fs/bpf");
        return;
    }
    let path = format!("/sys/fs/bpf/skep-pin-{}", std::process::id());
    kernel.obj_pin(prog.handle(), &path).unwrap();
    assert_eq!(kernel.obj_pin(prog.handle(), &path), Err(CallError::Errno(Errno::EEXIST)));
    let pinned = kernel.obj_get(&path, 0);
    kernel.file_remove(&path).unwrap();
    assert_eq!(ProgFd::from_handle(pinned.unwrap()).info().unwrap().id, id);
    assert_eq!(kernel.obj_get(&path, 0).err(), Some(CallError::Errno(Errno::ENOENT)));
    let nul = kernel.obj_get("/sys/fs\0", 0).err();
    assert_eq!(nul, Some(CallError::Attr(AttrError::NulInside { what: "path" })));
}

#[test]
fn links() {
    let Some(_) = common::bpf("links") else { return };
    common::own_network();
    let kernel = skep_linux::kernel();
    let prog = two(&kernel, ProgType::RAW_TRACEPOINT);
    let link = kernel.raw_tracepoint_open(Some("sys_enter"), prog.fd(), 0).unwrap();
    let info = link.info().unwrap();
    assert_eq!(LinkType(info.type_), LinkType::RAW_TRACEPOINT);
    assert_eq!(link.info_name().unwrap().as_deref(), Some("sys_enter"));
    let query = kernel.task_fd_query(std::process::id(), link.fd()).unwrap();
    assert_eq!((query.name.as_str(), query.prog_id), ("sys_enter", info.prog_id));
    let absent = kernel.raw_tracepoint_open(Some("no_such_tracepoint"), prog.fd(), 0);
    assert_eq!(absent.err(), Some(CallError::Errno(Errno::ENOENT)));
    assert_eq!(link.detach(), Err(CallError::Errno(Errno::EOPNOTSUPP)));

    // XDP on the loopback interface, index 1.
    let (xdp, other) = (two(&kernel, ProgType::XDP), two(&kernel, ProgType::XDP));
    let attr = LinkCreate { prog_fd: xdp.fd().raw(), target_fd: 1, attach_type: AttachType::XDP.0, flags: 0 };
    let link = kernel.link_create(&attr).unwrap();
    assert_eq!(link.info_name().unwrap(), None);
    link.update(other.fd(), Some(xdp.fd())).unwrap();
    assert_eq!(link.info().unwrap().prog_id, other.info().unwrap().id);
    assert_eq!(link.update(xdp.fd(), Some(xdp.fd())), Err(CallError::Errno(Errno::EPERM)));
    link.detach().unwrap();

    let iter = LinkCreate { attach_type: AttachType::TRACE_ITER.0, ..attr };
    let refused = Some(CallError::Attr(AttrError::OtherShape { attach_type: AttachType::TRACE_ITER.0 }));
    assert_eq!(kernel.link_create(&iter).err(), refused);
    let wrong = kernel.link_create_iter(&iter, &[]).err();
    assert_eq!(wrong, Some(CallError::Errno(Errno::EINVAL)));
}

#[test]
fn perf_events() {
    let Some(machine) = common::bpf("perf_events") else { return };
    let kernel = skep_linux::kernel();
    let attr = PerfEventAttr {
        type_: PerfType::SOFTWARE.0,
        config: u64::from(PerfSwId::BPF_OUTPUT.0),
        sample_type: perf::PERF_SAMPLE_RAW,
        sample_period: 1,
        ..PerfEventAttr::default()
    };
    let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
    let event = kernel.perf_event_open(open).unwrap();
    let memory = kernel.map(&event, 0, machine.page_size * 3, Protection::ReadWrite).unwrap();
    assert_eq!(memory.load_acquire_u64(perf::MMAP_DATA_HEAD), Ok(0));
    assert_eq!(memory.load_acquire_u64(perf::MMAP_DATA_SIZE), Ok(2 * machine.page_size as u64));
    kernel.perf_enable(&event).unwrap();
    assert!(!kernel.wait_readable(event.fd(), Some(0)).unwrap());
    kernel.perf_disable(&event).unwrap();
    let xdp = two(&kernel, ProgType::XDP);
    assert_eq!(kernel.perf_set_bpf(&event, xdp.fd()), Err(CallError::Errno(Errno::EINVAL)));
    assert_eq!(kernel.perf_enable(xdp.handle()), Err(CallError::Errno(Errno::ENOTTY)));

    let stats = kernel.enable_stats(BPF_STATS_RUN_TIME).unwrap();
    assert!(stats.as_os_fd().unwrap() > 2);
}

#[test]
fn sockets() {
    let Some(_) = common::bpf("sockets") else { return };
    let kernel = skep_linux::kernel();
    let filter = two(&kernel, ProgType::SOCKET_FILTER);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let fd = Fd::Os(socket.as_raw_fd());
    assert_eq!(kernel.socket_detach(fd), Err(CallError::Errno(Errno::ENOENT)));
    kernel.socket_attach(fd, filter.fd()).unwrap();
    kernel.socket_detach(fd).unwrap();
    assert_eq!(kernel.socket_attach(filter.fd(), filter.fd()), Err(CallError::Errno(Errno::ENOTSOCK)));
}

#[test]
fn queries() {
    let Some(_) = common::bpf("queries") else { return };
    common::own_network();
    let kernel = skep_linux::kernel();
    // tcx at the loopback interface: nothing is there.
    let mut query =
        ProgQuery { target_fd: 1, attach_type: AttachType::TCX_INGRESS.0, ..ProgQuery::default() };
    let (mut progs, mut links) = ([0; 4], [0; 4]);
    let memory = ProgQueryMemory { prog_ids: &mut progs, link_ids: &mut links, ..ProgQueryMemory::default() };
    let asked = kernel.prog_query(&mut query, memory);
    if common::release() < (6, 6) {
        assert_eq!(asked, Err(CallError::Errno(Errno::EINVAL)), "tcx came with Linux 6.6");
        return;
    }
    asked.unwrap();
    assert_eq!((query.prog_cnt, progs), (0, [0; 4]));
    let memory = ProgQueryMemory { prog_ids: &mut progs, link_ids: &mut links[..2], ..Default::default() };
    assert!(matches!(
        kernel.prog_query(&mut query, memory),
        Err(CallError::Attr(AttrError::WrongLength { what: "link_ids", wanted: 16, found: 8 }))
    ));
}

#[test]
fn a_virtual_descriptor_is_none_of_the_kernels() {
    let kernel = skep_linux::kernel();
    let call = kernel.wait_readable(Fd::Virtual(0), Some(0));
    assert_eq!(call, Err(CallError::Errno(Errno::EBADF)));
}
