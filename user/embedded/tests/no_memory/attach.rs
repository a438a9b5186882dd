//! Attaching: links, and programs without them.

use super::World;
use skep_abi::{
    AttachType, Errno, LinkCreate, LinkCreatePerfEvent, PerfEventAttr, PerfType, ProgAttach, ProgQuery,
    ProgType,
};
use skep_sys::{CallError, Handle, LinkFd, PerfEventOpen, ProgFd, ProgQueryMemory};

/// What the programs that are attached answer: XDP, and tc for what comes in.
type Verdicts = (Option<u32>, Option<u32>);

/// Nothing is attached.
const IDLE: Verdicts = (Some(2), Some(0));

fn verdicts(world: &World) -> Verdicts {
    let frame = || vec![0; 64];
    (world.interface.receive(&mut frame()).ok(), world.interface.ingress(&mut frame()).ok())
}

/// Opens an event of the tracepoint.
fn event(world: &World) -> Handle {
    let id = world.kernel.file_read("/sys/kernel/tracing/events/lab/enter/id").unwrap();
    let config = String::from_utf8(id).unwrap().trim().parse().unwrap();
    let attr = PerfEventAttr { type_: PerfType::TRACEPOINT.0, config, ..PerfEventAttr::default() };
    let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
    world.kernel.perf_event_open(open).unwrap()
}

/// Links a program.
type Make = Box<dyn Fn(&ProgFd) -> Result<LinkFd, CallError>>;

/// A link of one kind, and what else its program could be.
struct Form {
    prog: ProgFd,
    other: ProgFd,
    make: Make,
}

impl Form {
    fn all(world: &World) -> Vec<(&'static str, Form)> {
        let target_fd = world.interface.index();
        let of = |prog_type, make| {
            let prog = || world.prog(prog_type).unwrap();
            Form { prog: prog(), other: prog(), make }
        };
        let on_interface = |attach_type: AttachType| -> Make {
            let kernel = world.kernel.clone();
            Box::new(move |prog| {
                let prog_fd = prog.fd().raw();
                kernel.link_create(&LinkCreate { prog_fd, target_fd, attach_type: attach_type.0, flags: 0 })
            })
        };
        let (kernel, event) = (world.kernel.clone(), event(world));
        let through_event: Make = Box::new(move |prog| {
            let base = LinkCreate {
                prog_fd: prog.fd().raw(),
                target_fd: event.fd().raw(),
                attach_type: AttachType::PERF_EVENT.0,
                flags: 0,
            };
            kernel.link_create(&LinkCreatePerfEvent { base, bpf_cookie: 7 })
        });
        vec![
            ("XDP", of(ProgType::XDP, on_interface(AttachType::XDP))),
            ("tcx", of(ProgType::SCHED_CLS, on_interface(AttachType::TCX_INGRESS))),
            ("tcx out", of(ProgType::SCHED_CLS, on_interface(AttachType::TCX_EGRESS))),
            ("an event", of(ProgType::TRACEPOINT, through_event)),
        ]
    }

    fn create(&self) -> Result<LinkFd, CallError> {
        (self.make)(&self.prog)
    }
}

pub(crate) fn link_create(world: &World) {
    for (what, form) in Form::all(world) {
        world.starve(what, || form.create(), || (), || verdicts(world));
        drop(form.create().unwrap());
        // A program of another type.
        let raw = world.prog(ProgType::RAW_TRACEPOINT).unwrap();
        world.starve_made(&format!("{what}, refused"), || (form.make)(&raw));
        let link = form.create().unwrap();
        // XDP has one program.
        world.starve(&format!("{what}, again"), || form.create(), || (), || verdicts(world));
        drop(link);
        assert_eq!(verdicts(world), IDLE, "{what}");
    }
}

pub(crate) fn link_update(world: &World) {
    for (what, form) in Form::all(world) {
        let link = form.create().unwrap();
        let look = || (link.info().unwrap().prog_id, verdicts(world));
        let back = || link.update(form.prog.fd(), None).unwrap();
        world.starve(what, || link.update(form.other.fd(), None), back, look);
        let with_old = || link.update(form.other.fd(), Some(form.prog.fd()));
        world.starve(&format!("{what}, from one"), with_old, back, look);
        let wrong = || link.update(form.other.fd(), Some(form.other.fd()));
        world.starve(&format!("{what}, from another"), wrong, || (), look);
    }
}

pub(crate) fn link_detach(world: &World) {
    for (what, form) in Form::all(world) {
        let link = form.create().unwrap();
        if link.detach().is_err() {
            // A link of an event stays.
            world.starve(what, || link.detach(), || (), || link.info().unwrap().prog_id);
            continue;
        }
        // What cannot be taken out for want of memory is marked, and left out at the next change.
        let check = || assert_eq!(verdicts(world), IDLE, "{what}");
        world.cannot_fail(what, || form.create().unwrap(), |link| assert!(link.detach().is_ok()), check);
    }
}

pub(crate) fn raw_tracepoint_open(world: &World) {
    let raw = world.prog(ProgType::RAW_TRACEPOINT).unwrap();
    let xdp = world.prog(ProgType::XDP).unwrap();
    let open = |name, prog: &ProgFd| world.kernel.raw_tracepoint_open(Some(name), prog.fd(), 7);
    world.starve_good("a raw tracepoint", || open("enter", &raw));
    world.starve_made("one that there is not", || open("leave", &raw));
    world.starve_made("a program of another type", || open("enter", &xdp));
}

fn without_link(world: &World, prog: &ProgFd) -> ProgAttach {
    ProgAttach {
        target_fd: world.interface.index(),
        attach_bpf_fd: prog.fd().raw(),
        attach_type: AttachType::TCX_INGRESS.0,
        ..ProgAttach::default()
    }
}

pub(crate) fn prog_attach(world: &World) {
    let (prog, other) = (world.prog(ProgType::SCHED_CLS).unwrap(), world.prog(ProgType::SCHED_CLS).unwrap());
    let attr = without_link(world, &prog);
    let attach = || world.kernel.prog_attach(&attr);
    let detach = || world.kernel.prog_detach(&attr).unwrap();
    world.starve("the first", attach, detach, || verdicts(world));
    world.kernel.prog_attach(&without_link(world, &other)).unwrap();
    world.starve("the second", attach, detach, || verdicts(world));
    attach().unwrap();
    world.starve("one that is attached", attach, || (), || verdicts(world));
}

pub(crate) fn prog_detach(world: &World) {
    let (prog, other) = (world.prog(ProgType::SCHED_CLS).unwrap(), world.prog(ProgType::SCHED_CLS).unwrap());
    let (attr, absent) = (without_link(world, &prog), without_link(world, &other));
    world.starve("one that is not attached", || world.kernel.prog_detach(&absent), || (), || verdicts(world));
    // Once it is found, it is detached in any case: what cannot be taken out for want of memory is only marked.
    for nth in 0.. {
        world.kernel.prog_attach(&attr).unwrap();
        let (result, is_reached) = world.fail_nth(nth, || world.kernel.prog_detach(&attr));
        match result {
            Ok(()) => assert_eq!(verdicts(world), IDLE, "allocation {nth}: still attached"),
            Err(error) => {
                assert_eq!((error.errno(), is_reached), (Errno::ENOMEM, true), "allocation {nth}");
                assert_eq!(verdicts(world), (Some(2), Some(1)), "allocation {nth}: half detached");
                world.kernel.prog_detach(&attr).unwrap();
            }
        }
        if !is_reached {
            return;
        }
    }
}

pub(crate) fn prog_query(world: &World) {
    let attach_type = AttachType::TCX_INGRESS.0;
    let query = |room: usize| {
        let (mut progs, mut links) = ([0; 4], [0; 4]);
        let mut query = ProgQuery { target_fd: world.interface.index(), attach_type, ..ProgQuery::default() };
        let memory = ProgQueryMemory {
            prog_ids: &mut progs[..room],
            link_ids: &mut links[..room],
            ..ProgQueryMemory::default()
        };
        world.kernel.prog_query(&mut query, memory)
    };
    world.starve_good("nothing", || query(4));
    let progs = [world.prog(ProgType::SCHED_CLS).unwrap(), world.prog(ProgType::SCHED_CLS).unwrap()];
    for prog in &progs {
        world.kernel.prog_attach(&without_link(world, prog)).unwrap();
    }
    world.starve_good("two", || query(4));
    world.starve_made("two, in a short list", || query(1));
}
