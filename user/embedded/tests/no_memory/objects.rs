//! Pins, numbers, and what objects say of themselves.

use super::World;
use skep_abi::{BtfLoad, Cmd, Errno, MapType, ProgLoad, ProgType};
use skep_lab_seam::samples;
use skep_mem::testing::live_bytes;
use skep_sys::{
    BtfFd, FdArray, Handle, LinkFd, MapFd, ObjectKind, ProgFd, ProgLists, ProgLoadMemory, Records,
};

/// One object of each kind.
struct Objects {
    map: MapFd,
    btf: BtfFd,
    prog: ProgFd,
    link: LinkFd,
}

impl Objects {
    fn new(world: &World) -> Objects {
        let kernel = &world.kernel;
        let map = world.map(MapType::ARRAY, [4, 8, 1], 0).unwrap();
        let btf = kernel.btf_load(&mut BtfLoad::default(), &samples::btf(), &mut []).unwrap();
        let mut load = ProgLoad {
            prog_type: ProgType::RAW_TRACEPOINT.0,
            prog_btf_fd: btf.fd().raw(),
            ..ProgLoad::default()
        };
        let (insns, func_info, line_info) =
            (samples::with_first_map(0), samples::func_info(), samples::line_info());
        let fds = [map.fd()];
        let memory = ProgLoadMemory {
            insns: insns.as_flattened(),
            license: "GPL",
            fd_array: FdArray::ByIndex(&fds),
            func_info: Records { size: 8, bytes: &func_info },
            line_info: Records { size: 16, bytes: &line_info },
            ..ProgLoadMemory::default()
        };
        let prog = kernel.prog_load(&mut load, memory).unwrap();
        let link = kernel.raw_tracepoint_open(Some("enter"), prog.fd(), 0).unwrap();
        Objects { map, btf, prog, link }
    }

    fn handles(&self) -> [&Handle; 4] {
        [self.map.handle(), self.btf.handle(), self.prog.handle(), self.link.handle()]
    }
}

const PATH: &str = "/sys/fs/bpf/object";

pub(crate) fn pin(world: &World) {
    let objects = Objects::new(world);
    let list = || world.kernel.dir_list("/sys/fs/bpf").unwrap();
    for handle in objects.handles() {
        let pin = || world.kernel.obj_pin(handle, PATH);
        let unpin = || world.kernel.file_remove(PATH).unwrap();
        world.starve("pin", pin, unpin, list);
        if pin().is_ok() {
            world.starve("pin where something is", pin, || (), list);
            unpin();
        }
        world.starve("pin nowhere", || world.kernel.obj_pin(handle, "/sys/fs/bpf/no/where"), || (), list);
    }
}

pub(crate) fn get(world: &World) {
    let objects = Objects::new(world);
    for handle in [objects.map.handle(), objects.prog.handle(), objects.link.handle()] {
        world.kernel.obj_pin(handle, PATH).unwrap();
        world.starve_good("open what is pinned", || world.kernel.obj_get(PATH, 0));
        world
            .starve_made("open it for reading", || world.kernel.obj_get(PATH, skep_abi::flags::BPF_F_RDONLY));
        world.kernel.file_remove(PATH).unwrap();
    }
    world.starve_made("open what is not pinned", || world.kernel.obj_get(PATH, 0));
    world.starve_made("open a file", || world.kernel.obj_get("/proc/sys/kernel/osrelease", 0));
}

/// The kind of object that the world's command is about, and the number of one.
fn kind(world: &World, objects: &Objects) -> (ObjectKind, u32) {
    match world.cmd {
        Some(Cmd::MAP_GET_NEXT_ID | Cmd::MAP_GET_FD_BY_ID) => {
            (ObjectKind::Map, objects.map.info().unwrap().id)
        }
        Some(Cmd::BTF_GET_NEXT_ID | Cmd::BTF_GET_FD_BY_ID) => {
            (ObjectKind::Btf, objects.btf.info().unwrap().id)
        }
        Some(Cmd::PROG_GET_NEXT_ID | Cmd::PROG_GET_FD_BY_ID) => {
            (ObjectKind::Prog, objects.prog.info().unwrap().id)
        }
        _ => (ObjectKind::Link, objects.link.info().unwrap().id),
    }
}

pub(crate) fn next_id(world: &World) {
    let objects = Objects::new(world);
    let (kind, id) = kind(world, &objects);
    world.starve_good("the first", || world.kernel.next_id(kind, 0));
    world.starve_good("after the last", || world.kernel.next_id(kind, id));
}

pub(crate) fn fd_by_id(world: &World) {
    let objects = Objects::new(world);
    let (kind, id) = kind(world, &objects);
    world.starve_good("open by number", || world.kernel.fd_by_id(kind, id, 0));
    world.starve_made("open what there is not", || world.kernel.fd_by_id(kind, id + 1, 0));
}

pub(crate) fn enable_stats(world: &World) {
    world.starve_good("runs and their time", || {
        world.kernel.enable_stats(skep_abi::flags::BPF_STATS_RUN_TIME)
    });
}

pub(crate) fn info(world: &World) {
    let objects = Objects::new(world);
    world.starve_good("of a map", || objects.map.info());
    world.starve_good("of types", || objects.btf.info());
    world.starve_good("of types, with the bytes", || objects.btf.data());
    world.starve_good("of types, with the name", || objects.btf.name());
    world.starve_good("of a program", || objects.prog.info());
    world.starve_good("of a program, with its maps", || objects.prog.map_ids());
    world.starve_good("of a program, with its instructions", || objects.prog.xlated_insns());
    world.starve_good("of a program, with all", || {
        let (mut lines, mut functions, mut tags, mut xlated) = ([0; 16], [0; 8], [[0; 8]], [0; 32]);
        objects.prog.info_with(ProgLists {
            func_info: &mut functions,
            line_info: &mut lines,
            prog_tags: &mut tags,
            xlated_insns: &mut xlated,
            ..ProgLists::default()
        })
    });
    world.starve_good("of a link", || objects.link.info());
    world.starve_good("of a link, with the name", || objects.link.info_name());
}

#[test]
fn the_kernels_own_types_are_made_whole_or_not_at_all() {
    let mut left = Vec::with_capacity(1000);
    for nth in 0..100_000 {
        // They are made once for each kernel.
        let world = World::beside();
        let _tracepoint = world.embedded.add_tracepoint("sched", "sched_switch").unwrap();
        drop(world.map(MapType::ARRAY, [4, 8, 1], 0).unwrap());
        let before = (world.ids(), world.embedded.open_descriptors());
        let live = live_bytes();
        let (result, is_reached) = world.fail_nth(nth, || world.kernel.fd_by_id(ObjectKind::Btf, 1, 0));
        match result {
            Err(error) => {
                assert_eq!(error.errno(), Errno::ENOMEM, "allocation {nth}");
                assert!(is_reached, "allocation {nth}: it was not refused");
            }
            Ok(made) => {
                drop(made);
                assert!(!is_reached, "allocation {nth}: nobody noticed that it was refused");
                assert_eq!((world.ids(), world.embedded.open_descriptors()), before);
                let kept = live_bytes() - live;
                assert!(nth > 50, "{nth} allocations are less than there can be");
                // Where it is the descriptor that there was no memory for, the types are there already.
                assert!(left.iter().all(|bytes| [0, kept].contains(bytes)), "{left:?}, wanted 0 or {kept}");
                return;
            }
        }
        left.push(live_bytes() - live);
        assert_eq!((world.ids(), world.embedded.open_descriptors()), before, "allocation {nth}");
        drop(world.kernel.fd_by_id(ObjectKind::Btf, 1, 0).unwrap());
    }
    panic!("allocates without end");
}
