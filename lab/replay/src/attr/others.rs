//! The calls beside `bpf(2)`.

use super::input::Input;
use super::objects::PATHS;
use super::world::{MOST_BYTES, Open, What, World};
use skep_abi::{PerfEventAttr, PerfSwId, PerfType, ProgType, perf};
use skep_sys::{
    Call, Fd, FileCall, Interest, Ioctl, Limit, MapCall, OpenMode, PerfEventOpen, Protection, Reply,
    SocketCall, WaitFd,
};
use std::task::Waker;

pub(super) fn event(world: &mut World, input: &mut Input<'_>) {
    let choice = input.byte() % 8;
    if choice >= 4 {
        let fd = Fd::Virtual(world.fd(input, What::Event));
        let ioctl = match choice {
            4 => Ioctl::PerfEnable,
            5 => Ioctl::PerfDisable,
            _ => Ioctl::PerfSetBpf(Fd::Virtual(world.prog(input, ProgType::TRACEPOINT))),
        };
        let _ = world.call(Call::Ioctl(fd, ioctl));
        return;
    }
    let mut attr = PerfEventAttr {
        type_: PerfType::SOFTWARE.0,
        config: u64::from(PerfSwId::BPF_OUTPUT.0),
        sample_type: perf::PERF_SAMPLE_RAW,
        sample_period: 1,
        wakeup_events: 1,
        ..PerfEventAttr::default()
    };
    match choice {
        0 => {}
        // The tracepoints' numbers start low.
        1 => (attr.type_, attr.config) = (PerfType::TRACEPOINT.0, input.number()),
        2 => {
            attr.sample_type = input.number();
            attr.flags = input.number();
        }
        _ => {
            attr.type_ = input.number32();
            attr.config = input.number();
        }
    }
    let cpu = input.pick(&[0, 1, 0, 1, -1, 7, i32::MIN, i32::MAX]);
    let pid = input.pick(&[-1, -1, -1, 0]);
    let group = (input.byte() >= 0xf0).then(|| Fd::Virtual(world.fd(input, What::Event)));
    let reply = world.call(Call::PerfEvent(PerfEventOpen { attr: &attr, target: None, pid, cpu, group }));
    if let Ok(Reply::Fd(fd)) = reply {
        world.keep(Open { fd, what: What::Event, prog_type: ProgType::UNSPEC });
    }
}

pub(super) fn mapping(world: &mut World, input: &mut Input<'_>) {
    let choice = input.byte() % 4;
    if let (3, false) = (choice, world.mappings.is_empty()) {
        let mapping = world.mappings.swap_remove(usize::from(input.byte()) % world.mappings.len());
        assert!(world.call(Call::Unmap(mapping)).is_ok(), "a mapping goes away");
        return;
    }
    let page = world.embedded.page_size() as u64;
    let what = input.pick(&[What::Map, What::Event, What::Prog]);
    let pages = input.byte() % 8;
    let len = input.usually(u64::from(pages) * page);
    let map = MapCall {
        fd: Fd::Virtual(world.fd(input, what)),
        offset: input.usually(u64::from(choice % 2) * page),
        // More than that is for no map here, and pages of a perf buffer are made for whoever maps it.
        len: if len > 4 * MOST_BYTES { (len | 1 << 62) as usize } else { len as usize },
        protection: input.pick(&[Protection::Read, Protection::ReadWrite]),
    };
    if let Ok(Reply::Mapping(mapping)) = world.call(Call::Map(map)) {
        world.mappings.push(mapping);
    }
}

pub(super) fn files(world: &mut World, input: &mut Input<'_>) {
    let which = input.byte();
    let path = input.pick(PATHS);
    let fd = Fd::Virtual(world.fd(input, What::File));
    let len = usize::from(input.byte());
    let mut buffer = vec![0; len];
    let mut entries = Vec::new();
    let call = match which % 10 {
        0 => {
            let modes = [OpenMode::Read, OpenMode::Directory, OpenMode::Write, OpenMode::Append];
            FileCall::Open(path, input.pick(&modes))
        }
        1 => FileCall::Read(fd, &mut buffer),
        2 => FileCall::ReadAt(fd, input.number(), &mut buffer),
        3 => FileCall::Write(fd, &buffer),
        4 => FileCall::Stat(path),
        5 => FileCall::FsMagic(path),
        6 => FileCall::List(fd, &mut entries),
        7 => FileCall::MakeDir(path),
        8 => FileCall::Remove(path),
        _ => FileCall::RemoveDir(path),
    };
    if let Ok(Reply::Fd(fd)) = world.call(Call::File(call)) {
        world.keep(Open { fd, what: What::File, prog_type: ProgType::UNSPEC });
    }
}

pub(super) fn descriptors(world: &mut World, input: &mut Input<'_>) {
    let which = input.byte() % 8;
    let what = input.pick(&[What::Map, What::Prog, What::Link, What::Event, What::Btf, What::File]);
    let fd = Fd::Virtual(world.fd(input, what));
    let known = world.open.iter().position(|open| open.fd == fd);
    match which {
        0 | 1 => {
            let closed = world.call(Call::Close(fd));
            assert_eq!(closed.is_ok(), known.is_some(), "what is open can be closed, and nothing else");
            if let Some(at) = known {
                world.open.remove(at);
            }
        }
        2 => {
            if let Ok(Reply::Fd(fd)) = world.call(Call::Dup(fd)) {
                let Some(at) = known else { panic!("what is not open cannot be duplicated") };
                world.keep(Open { fd, ..world.open[at] });
            }
        }
        3 => {
            let other = Fd::Virtual(world.fd(input, What::Event));
            let interest = input.pick(&[Interest::Readable, Interest::Writable]);
            let mut fds = [fd, other].map(|fd| WaitFd { fd, interest, ready: false });
            let _ = world.call(Call::Wait(&mut fds, Some(0)));
        }
        4 => {
            let _ = world.call(Call::Watch(fd, Waker::noop()));
        }
        5 => {
            let (soft, hard) = (input.number(), input.number());
            let _ = world.call(Call::Limit(Limit::SetMemlock { soft, hard }));
            let _ = world.call(Call::Limit(Limit::Memlock));
        }
        6 => {
            let socket = fd;
            let prog = Fd::Virtual(world.fd(input, What::Prog));
            let _ = world.call(Call::Socket(SocketCall::AttachBpf { socket, prog }));
            let _ = world.call(Call::Socket(SocketCall::DetachBpf { socket }));
        }
        _ => {
            let _ = world.call(Call::Refresh);
            world.starved = Some(input.byte() % 64);
        }
    }
}
