//! Attaching programs, and making what they are attached to happen.

use super::input::Input;
use super::world::{Way, What, World, lend};
use skep_abi::flags::{BPF_F_AFTER, BPF_F_BEFORE, BPF_F_REPLACE};
use skep_abi::{
    AttachType, Cmd, LinkCreate, LinkCreatePerfEvent, LinkCreateTcx, LinkDetach, LinkUpdate, ProgAttach,
    ProgQuery, ProgType, RawTracepointOpen,
};
use std::mem::offset_of;

/// The interface's number, or another.
fn interface(world: &World, input: &mut Input<'_>) -> u32 {
    let index = world.interface.as_ref().map_or(1, |interface| interface.index());
    input.usually(index.into()) as u32
}

const TCX: [AttachType; 2] = [AttachType::TCX_INGRESS, AttachType::TCX_EGRESS];
const POSITIONS: [u32; 4] = [0, BPF_F_BEFORE, BPF_F_AFTER, 64];

pub(super) fn link(world: &mut World, input: &mut Input<'_>) {
    match input.byte() % 4 {
        0 => {
            let prog_fd = world.prog(input, ProgType::XDP) as u32;
            let base = LinkCreate {
                prog_fd,
                target_fd: interface(world, input),
                attach_type: input.usually(AttachType::XDP.0.into()) as u32,
                flags: input.usually(0) as u32,
            };
            let _ = world.command(input, Cmd::LINK_CREATE, &base, Vec::new());
        }
        1 => {
            let prog_fd = world.prog(input, ProgType::SCHED_CLS) as u32;
            let base = LinkCreate {
                prog_fd,
                target_fd: interface(world, input),
                attach_type: input.pick(&TCX).0,
                flags: input.pick(&POSITIONS),
            };
            let attr = LinkCreateTcx {
                base,
                relative_fd: input.usually(0) as u32,
                expected_revision: input.usually(0),
                ..LinkCreateTcx::default()
            };
            let _ = world.command(input, Cmd::LINK_CREATE, &attr, Vec::new());
        }
        2 => {
            let prog_fd = world.prog(input, ProgType::TRACEPOINT) as u32;
            let base = LinkCreate {
                prog_fd,
                target_fd: world.fd(input, What::Event) as u32,
                attach_type: AttachType::PERF_EVENT.0,
                flags: input.usually(0) as u32,
            };
            let attr = LinkCreatePerfEvent { base, bpf_cookie: input.number() };
            let _ = world.command(input, Cmd::LINK_CREATE, &attr, Vec::new());
        }
        _ => {
            let prog_fd = world.prog(input, ProgType::RAW_TRACEPOINT) as u32;
            let cookie = input.number();
            let attr = RawTracepointOpen { prog_fd, cookie, ..RawTracepointOpen::default() };
            let name = input.pick(&[&b"enter\0"[..], b"enter\0", b"enter\0", b"none\0", b"\0", &[b'x'; 130]]);
            let lends = vec![lend(offset_of!(RawTracepointOpen, name), Way::In, name.to_vec())];
            let _ = world.command(input, Cmd::RAW_TRACEPOINT_OPEN, &attr, lends);
        }
    }
}

pub(super) fn update(world: &mut World, input: &mut Input<'_>) {
    let link_fd = world.fd(input, What::Link) as u32;
    if input.byte() % 4 == 3 {
        let _ = world.command(input, Cmd::LINK_DETACH, &LinkDetach { link_fd }, Vec::new());
        return;
    }
    let flags = input.pick(&[0, 0, BPF_F_REPLACE, 1]);
    let attr = LinkUpdate {
        link_fd,
        new_prog_fd: world.fd(input, What::Prog) as u32,
        flags,
        old_prog_fd: if flags == 0 { 0 } else { world.fd(input, What::Prog) as u32 },
    };
    let _ = world.command(input, Cmd::LINK_UPDATE, &attr, Vec::new());
}

/// Programs without links.
pub(super) fn multi(world: &mut World, input: &mut Input<'_>) {
    let cmd = input.pick(&[Cmd::PROG_ATTACH, Cmd::PROG_DETACH, Cmd::PROG_QUERY, Cmd::PROG_ATTACH]);
    let (target_fd, attach_type) = (interface(world, input), input.pick(&TCX).0);
    if cmd == Cmd::PROG_QUERY {
        let room = input.byte() % 8;
        let attr = ProgQuery {
            target_fd,
            attach_type,
            query_flags: input.usually(0) as u32,
            prog_cnt: room.into(),
            ..ProgQuery::default()
        };
        let list = |field| lend(field, Way::Out, vec![0; usize::from(room) * 4]);
        let lends = vec![
            list(offset_of!(ProgQuery, prog_ids)),
            list(offset_of!(ProgQuery, link_ids)),
            list(offset_of!(ProgQuery, prog_attach_flags)),
        ];
        let _ = world.command(input, cmd, &attr, lends);
        return;
    }
    let attr = ProgAttach {
        target_fd,
        attach_bpf_fd: world.prog(input, ProgType::SCHED_CLS) as u32,
        attach_type,
        attach_flags: if cmd == Cmd::PROG_ATTACH { input.pick(&POSITIONS) } else { 0 },
        replace_bpf_fd: input.usually(0) as u32,
        relative_fd: input.usually(0) as u32,
        expected_revision: input.usually(0),
    };
    let _ = world.command(input, cmd, &attr, Vec::new());
}

/// Packets come and go, and the tracepoint is passed.
pub(super) fn fire(world: &mut World, input: &mut Input<'_>) {
    let which = input.byte() % 4;
    if let (Some(tracepoint), 3) = (&world.tracepoint, which) {
        let args: Vec<_> = (0..input.byte() % 14).map(|_| input.number()).collect();
        let record = input.chunk();
        let _ = (tracepoint.is_empty(), tracepoint.fire(&args, &record));
    } else if let Some(interface) = &world.interface {
        let len = usize::from(input.byte());
        let mut frame = input.datum(len);
        let _ = match which {
            0 => interface.receive(&mut frame),
            1 => interface.ingress(&mut frame),
            _ => interface.egress(&mut frame),
        };
    }
}

/// The places to attach to come and go.
pub(super) fn places(world: &mut World, input: &mut Input<'_>) {
    match input.byte() % 4 {
        0 => world.interface = None,
        1 => world.tracepoint = None,
        _ => world.add_places(),
    }
}
