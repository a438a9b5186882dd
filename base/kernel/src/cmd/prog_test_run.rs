//! `BPF_PROG_TEST_RUN`: runs a program on a packet or on arguments that the caller brings (`net/bpf/test_run.c`).

use super::end_of;
use crate::context::{Context, PacketFields};
use crate::error::Result;
use crate::file;
use crate::kernel::Inner;
use crate::prog::Prog;
use crate::request::Request;
use alloc::sync::Arc;
use core::cell::Cell;
use core::mem::offset_of;
use skep_abi::flags::BPF_F_TEST_RUN_ON_CPU;
use skep_abi::{Errno, ProgTestRun, ProgType, SkBuff, XdpMd};
use skep_helpers::{Packet, PacketKind};
use skep_mem::{Block, Bytes, Capability};
use skep_model::platform::Platform;
use skep_model::platform::prog::TestRun;
use zerocopy::{FromBytes, IntoBytes};

/// Room before an XDP packet (`XDP_PACKET_HEADROOM`).
const XDP_HEADROOM: usize = 256;
/// Room before a socket buffer's packet (`NET_SKB_PAD + NET_IP_ALIGN`, x86).
const SKB_HEADROOM: usize = 64;
/// The frame that a packet lies in: a page.
const FRAME: usize = 4096;
/// Room behind a packet (`struct skb_shared_info`, x86).
const TAILROOM: usize = 320;
/// An Ethernet header.
const ETH_HLEN: usize = 14;
/// The interface that the packet came in by: the loopback.
const LOOPBACK: u32 = 1;
/// The most arguments of a raw tracepoint (`MAX_BPF_FUNC_ARGS`).
const MOST_ARGS: usize = 12;

pub(super) fn run(kernel: &Arc<Inner>, request: &Request<'_>) -> Result<i64> {
    let attr: ProgTestRun = request.attr(end_of!(ProgTestRun, batch_size))?;
    if (attr.ctx_size_in != 0) != (attr.ctx_in != 0) || (attr.ctx_size_out != 0) != (attr.ctx_out != 0) {
        return Err(Errno::EINVAL);
    }
    let prog = file::prog(kernel, request, attr.prog_fd)?;
    request.require(Capability::Bpf)?;
    let how = Platform::LINUX_6_18.prog(prog.body.prog_type).map_or(TestRun::No, |model| model.test_run);
    match how {
        TestRun::Packet if prog.body.prog_type == ProgType::XDP => xdp(kernel, request, &attr, &prog),
        TestRun::Packet => skb(kernel, request, &attr, &prog),
        TestRun::Args => args(kernel, request, &attr, &prog),
        TestRun::No | TestRun::Own => Err(Errno::ENOTSUPP),
    }
}

/// Copies the packet into a frame.
fn frame(request: &Request<'_>, attr: &ProgTestRun, headroom: usize) -> Result<Block> {
    let size = attr.data_size_in as usize;
    if size < ETH_HLEN || size > FRAME - headroom - TAILROOM {
        return Err(Errno::EINVAL);
    }
    let block = Block::zeroed(FRAME - TAILROOM)?;
    let packet = request.copy_block(attr.data_in, size)?;
    block.bytes().copy_from(headroom, packet.bytes()).map_err(|_| Errno::EINVAL)?;
    Ok(block)
}

/// Reads a context struct; what it has beyond the one known must be zero.
fn context_in<T: FromBytes + Default>(request: &Request<'_>, attr: &ProgTestRun) -> Result<Option<T>> {
    if attr.ctx_in == 0 {
        return Ok(None);
    }
    let bytes = request.copy_vec(attr.ctx_in, (attr.ctx_size_in as usize).min(FRAME))?;
    let known = bytes.len().min(size_of::<T>());
    if attr.ctx_size_in as usize > FRAME || bytes[known..].iter().any(|byte| *byte != 0) {
        return Err(Errno::E2BIG);
    }
    let mut whole = request.copy_vec(attr.ctx_in, known)?;
    whole.try_reserve(size_of::<T>() - known).map_err(|_| Errno::ENOMEM)?;
    whole.resize(size_of::<T>(), 0);
    T::read_from_bytes(&whole).map(Some).map_err(|_| Errno::EINVAL)
}

fn xdp(kernel: &Arc<Inner>, request: &Request<'_>, attr: &ProgTestRun, prog: &Prog) -> Result<i64> {
    if attr.flags != 0 || attr.batch_size != 0 {
        return Err(Errno::EINVAL);
    }
    let md: Option<XdpMd> = context_in(request, attr)?;
    let size = attr.data_size_in;
    let meta = md.map_or(0, |md| md.data) as usize;
    if let Some(md) = &md {
        let wrong = md.data_meta != 0 || md.data_end != size || md.data > md.data_end;
        if wrong || meta % 4 != 0 || meta > 255 || md.egress_ifindex != 0 {
            return Err(Errno::EINVAL);
        }
    }
    // Metadata is taken from the head of the input, and from the room before the packet.
    let block = frame(request, attr, XDP_HEADROOM - meta)?;
    let len = size as usize - meta;
    if len < ETH_HLEN {
        return Err(Errno::EINVAL);
    }
    let packet = Packet::new(PacketKind::Xdp, block.bytes(), XDP_HEADROOM, len)?.with_meta(meta)?;
    let fields = PacketFields {
        ingress_ifindex: md
            .map_or(LOOPBACK, |md| if md.ingress_ifindex == 0 { LOOPBACK } else { md.ingress_ifindex }),
        rx_queue_index: md.map_or(0, |md| md.rx_queue_index),
        ..PacketFields::default()
    };
    let context = Context::Packet(&packet, &fields);
    let (retval, duration) = repeat(kernel, attr, prog, &context)?;
    let out = md.map(|md| XdpMd {
        data: packet.meta_len() as u32,
        data_meta: 0,
        data_end: packet.with_metadata().len() as u32,
        ..md
    });
    let out = out.as_ref().map(IntoBytes::as_bytes);
    finish(request, attr, packet.with_metadata(), out, retval, duration)
}

fn skb(kernel: &Arc<Inner>, request: &Request<'_>, attr: &ProgTestRun, prog: &Prog) -> Result<i64> {
    if attr.flags != 0 || attr.cpu != 0 || attr.batch_size != 0 {
        return Err(Errno::EINVAL);
    }
    let md: Option<SkBuff> = context_in(request, attr)?;
    let block = frame(request, attr, SKB_HEADROOM)?;
    let size = attr.data_size_in as usize;
    let packet = Packet::new(PacketKind::Skb, block.bytes(), SKB_HEADROOM, size)?;
    let mut header = [0; ETH_HLEN];
    packet.data().copy_out(0, &mut header).map_err(|_| Errno::EINVAL)?;
    // Only tc sees the link-layer header; others get the packet from the network header on.
    let layer2 = matches!(prog.body.prog_type, ProgType::SCHED_CLS | ProgType::SCHED_ACT);
    let packet = if layer2 { packet } else { packet.hide(ETH_HLEN)? };
    let fields = skb_fields(&header, md.as_ref())?;
    let context = Context::Packet(&packet, &fields);
    let (retval, duration) = repeat(kernel, attr, prog, &context)?;
    if !layer2 {
        if let Ok(header) = packet.frame().slice(0, ETH_HLEN) {
            header.fill(0);
        }
    }
    let out = md.map(|md| SkBuff {
        mark: fields.mark.get(),
        priority: fields.priority.get(),
        cb: [0, 1, 2, 3, 4].map(|i: usize| fields.cb[i].get()),
        tstamp: fields.tstamp.get(),
        wire_len: fields.wire_len,
        len: packet.data().len() as u32,
        ..md
    });
    let out = out.as_ref().map(IntoBytes::as_bytes);
    finish(request, attr, packet.frame(), out, retval, duration)
}

/// The numbers of a socket buffer: from its Ethernet header (`eth_type_trans`), and what the caller's context may set
/// (`convert___skb_to_skb`).
fn skb_fields(header: &[u8; ETH_HLEN], md: Option<&SkBuff>) -> Result<PacketFields> {
    let ether_type = u16::from_be_bytes([header[12], header[13]]);
    // A length instead of a type: a frame of IEEE 802.2 (ETH_P_802_2).
    let protocol = if ether_type >= 0x600 { ether_type } else { 4 };
    let dest = &header[..6];
    let pkt_type = match dest {
        [0, 0, 0, 0, 0, 0] => 0,
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => 1,
        [first, ..] if first & 1 != 0 => 2,
        _ => 3,
    };
    let mut fields = PacketFields {
        ifindex: LOOPBACK,
        protocol: u32::from(protocol.to_be()),
        pkt_type,
        ..PacketFields::default()
    };
    let Some(md) = md else { return Ok(fields) };
    let mut rest = *md;
    fields.mark = Cell::new(core::mem::take(&mut rest.mark));
    fields.priority = Cell::new(core::mem::take(&mut rest.priority));
    fields.ingress_ifindex = core::mem::take(&mut rest.ingress_ifindex);
    if core::mem::take(&mut rest.ifindex) > 1 {
        return Err(Errno::ENODEV);
    }
    fields.cb = core::mem::take(&mut rest.cb).map(Cell::new);
    fields.tstamp = Cell::new(core::mem::take(&mut rest.tstamp));
    fields.wire_len = core::mem::take(&mut rest.wire_len);
    fields.gso_segs = core::mem::take(&mut rest.gso_segs);
    fields.gso_size = core::mem::take(&mut rest.gso_size);
    fields.hwtstamp = core::mem::take(&mut rest.hwtstamp);
    // Whatever else the caller's context has must be zero.
    match rest == SkBuff::default() {
        true => Ok(fields),
        false => Err(Errno::EINVAL),
    }
}

fn args(kernel: &Arc<Inner>, request: &Request<'_>, attr: &ProgTestRun, prog: &Prog) -> Result<i64> {
    let others = [attr.data_in, attr.data_out, attr.ctx_out];
    if others != [0; 3] || attr.duration != 0 || attr.repeat != 0 || attr.batch_size != 0 {
        return Err(Errno::EINVAL);
    }
    // Running on a CPU of the caller's choice (BPF_F_TEST_RUN_ON_CPU) is not done here; Linux looks at no other flag.
    if attr.ctx_size_in as usize > MOST_ARGS * 8 || attr.flags & BPF_F_TEST_RUN_ON_CPU != 0 || attr.cpu != 0 {
        return Err(Errno::EINVAL);
    }
    let bytes = request.copy_block(attr.ctx_in, attr.ctx_size_in as usize)?;
    // Off the CPU again before the caller's memory is touched, which may sleep.
    let retval = kernel.runner.enter()?.run(prog, &Context::Bytes(bytes.bytes()), 0)?;
    request.write_field(offset_of!(ProgTestRun, retval), retval as u32)?;
    Ok(0)
}

/// Runs the program as often as asked, on the same packet; gives the last return and the average time.
fn repeat(kernel: &Arc<Inner>, attr: &ProgTestRun, prog: &Prog, context: &Context<'_>) -> Result<(u32, u32)> {
    let now = || kernel.host.clock().map_or(0, |clock| clock.monotonic_ns());
    let times = attr.repeat.max(1);
    let mut entered = kernel.runner.enter()?;
    let start = now();
    let mut retval = 0;
    for _ in 0..times {
        retval = entered.run(prog, context, 0)?;
    }
    let average = now().saturating_sub(start) / u64::from(times);
    Ok((retval as u32, average.min(u64::from(u32::MAX)) as u32))
}

/// Hands over what the program made of its input (`bpf_test_finish`).
fn finish(
    request: &Request<'_>,
    attr: &ProgTestRun,
    data: Bytes<'_>,
    context: Option<&[u8]>,
    retval: u32,
    duration: u32,
) -> Result<i64> {
    let mut cut = false;
    if attr.data_out != 0 {
        let room = if attr.data_size_out == 0 { data.len() } else { attr.data_size_out as usize };
        cut |= room < data.len();
        let mut chunk = [0; 256];
        let mut at = 0;
        let len = data.len().min(room);
        while at < len {
            let part = &mut chunk[..(len - at).min(256)];
            data.copy_out(at, part).map_err(|_| Errno::EFAULT)?;
            request.write(attr.data_out + at as u64, part)?;
            at += part.len();
        }
    }
    request.write_field(offset_of!(ProgTestRun, data_size_out), data.len() as u32)?;
    request.write_field(offset_of!(ProgTestRun, retval), retval)?;
    request.write_field(offset_of!(ProgTestRun, duration), duration)?;
    if let (Some(context), true) = (context, attr.ctx_out != 0) {
        let room = attr.ctx_size_out as usize;
        cut |= room < context.len();
        request.write(attr.ctx_out, &context[..context.len().min(room)])?;
        request.write_field(offset_of!(ProgTestRun, ctx_size_out), context.len() as u32)?;
    }
    if cut { Err(Errno::ENOSPC) } else { Ok(0) }
}
