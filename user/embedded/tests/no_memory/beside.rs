//! The calls beside `bpf(2)`.

use super::World;
use skep_abi::{MapType, PerfEventAttr, PerfSwId, PerfType, ProgType, perf};
use skep_sys::{PerfEventOpen, Protection};

#[test]
fn pins_and_directories() {
    let world = World::beside();
    let prog = world.prog(ProgType::XDP).unwrap();
    let list = || world.kernel.dir_list("/sys/fs/bpf").unwrap();
    let path = "/sys/fs/bpf/prog";
    world.kernel.obj_pin(prog.handle(), path).unwrap();
    world.starve(
        "remove a pin",
        || world.kernel.file_remove(path),
        || world.kernel.obj_pin(prog.handle(), path).unwrap(),
        list,
    );
    let folder = "/sys/fs/bpf/folder";
    world.starve(
        "make a directory",
        || world.kernel.dir_make(folder),
        || world.kernel.dir_remove(folder).unwrap(),
        list,
    );
}

#[test]
fn events_and_mappings() {
    let world = World::beside();
    let attr = PerfEventAttr {
        type_: PerfType::SOFTWARE.0,
        config: u64::from(PerfSwId::BPF_OUTPUT.0),
        sample_type: perf::PERF_SAMPLE_RAW,
        sample_period: 1,
        ..PerfEventAttr::default()
    };
    let open = || {
        let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
        world.kernel.perf_event_open(open)
    };
    world.starve_good("open an event", open);
    let len = 3 * world.embedded.page_size();
    world.starve_good("map an event", || {
        let event = open()?;
        Ok(world.kernel.map(&event, 0, len, Protection::ReadWrite)?)
    });
    let ring = world.map(MapType::RINGBUF, [0, 0, 64 << 10], 0).unwrap();
    let page = world.embedded.page_size();
    world
        .starve_good("map a ring", || Ok(world.kernel.map(ring.handle(), 0, page, Protection::ReadWrite)?));
    world.starve_good("wait", || world.kernel.wait_readable(ring.fd(), Some(0)));
    world.starve_good("duplicate", || Ok(ring.handle().try_clone()?));
}
