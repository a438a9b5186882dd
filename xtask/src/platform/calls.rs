//! The prototypes of helpers, case by case: with good arguments the call loads, with each bad one it does not.

use super::answers::{Place, attach_of};
use super::ask::{Asker, Question, Wanted, insn};
use anyhow::{Context, Result, bail};
use skep_abi::{AttachType as A, FuncId, MapType as M, ProgType as T, flags};
use skep_model::platform::Platform;
use skep_model::platform::context::Meaning;
use skep_model::platform::helper::{
    Arg, Caller, Effects, Helper, Licence, MemAccess, Nullable, Prototype, Ret, Target, Zero,
};
use skep_model::platform::helpers::HELPERS;
use skep_sys::MapFd;
use std::collections::HashMap;

/// The types to ask with, the first that may call.
const TYPES: &[T] = &[
    T::XDP,
    T::SCHED_CLS,
    T::SOCKET_FILTER,
    T::RAW_TRACEPOINT,
    T::KPROBE,
    T::PERF_EVENT,
    T::CGROUP_SKB,
    T::LWT_XMIT,
    T::CGROUP_DEVICE,
    T::CGROUP_SOCK,
    T::SOCK_OPS,
    T::SK_SKB,
    T::SK_MSG,
    T::CGROUP_SOCK_ADDR,
    T::SK_REUSEPORT,
    T::SK_LOOKUP,
    T::CGROUP_SYSCTL,
    T::LWT_IN,
    T::LWT_SEG6LOCAL,
    T::SYSCALL,
];

/// The same where it matters what they are attached to.
const PLACES: &[Place] = &[
    (T::KPROBE, A::TRACE_KPROBE_MULTI, ""),
    (T::CGROUP_SOCKOPT, A::CGROUP_SETSOCKOPT, ""),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_task"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_task_file"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_tcp"),
    (T::STRUCT_OPS, A(0), "tcp_congestion_ops.init"),
];

/// Where pointers by BTF are in contexts: of which target, to which struct, through which offsets.
const POINTERS: &[(&str, &str, &[i16])] = &[
    ("bpf_iter_task", "seq_file", &[0, 0]),
    ("bpf_iter_task_file", "file", &[24]),
    ("bpf_iter_tcp", "sock_common", &[8]),
    ("tcp_congestion_ops.init", "tcp_sock", &[0]),
];

/// Helpers that a small program cannot call for a reason that is no argument's.
const APART: &[FuncId] = &[
    // Under lockdown or configuration.
    FuncId::PROBE_WRITE_USER,
    FuncId::OVERRIDE_RETURN,
    // What is in the format decides about the data.
    FuncId::SNPRINTF,
    // Its argument is what others acquire, whose cases release it.
    FuncId::SK_RELEASE,
];

/// The bytes of memory to lend, all initialised, below r10.
const STACK: i32 = 64;

/// How one argument is made other than well.
#[derive(Clone, Copy)]
enum Bad {
    /// Not set at all.
    Unset,
    /// This number.
    Number(i32),
    /// The frame.
    Frame,
    /// Memory that only may be read.
    Constant,
    /// Packet memory, which r7 points to.
    Packet,
}

/// A helper with what its good call needs.
struct Good<'a> {
    asker: &'a Asker,
    helper: &'static Helper,
    prototype: &'static Prototype,
    place: Place,
    /// The map that it is called on.
    map: u32,
    /// An array that only may be read.
    constant: u32,
    /// How r8 gets the socket or the pointer by BTF that is wanted.
    pointer: Vec<u8>,
}

/// Checks every prototype that a program without BTF can use; returns the number of cases.
pub(super) fn check(asker: &Asker) -> Result<usize> {
    let mut bytes = [0; 64];
    bytes[..6].copy_from_slice(b"hello\0");
    let constant = asker.constant(&bytes).map_err(anyhow::Error::from)?;
    let mut maps = HashMap::<M, MapFd>::new();
    let mut cases = 0;
    let mut faults = Vec::new();
    for helper in HELPERS.iter().filter(|helper| !APART.contains(&helper.id)) {
        let prototypes = helper.prototype.iter().chain(helper.variants.iter().map(|row| &row.prototype));
        for prototype in prototypes.filter(|prototype| !prototype.args.iter().any(|&arg| needs_btf(arg))) {
            let places = TYPES.iter().map(|&kind| (kind, attach_of(kind), "")).chain(PLACES.iter().copied());
            let mut places = places.filter_map(|place| Some((place, pointer(helper, prototype, place)?)));
            let Some((place, pointer)) = places.next() else { continue };
            let map = match prototype.maps.iter().next() {
                None => 0,
                Some(of) => map_of(asker, &mut maps, of)?,
            };
            let constant = constant.fd().raw();
            let good = Good { asker, helper, prototype, place, map, constant, pointer };
            cases += good.check(&mut faults);
        }
    }
    if !faults.is_empty() {
        bail!("{} of {cases} cases differ:\n{}", faults.len(), faults.join("\n"));
    }
    Ok(cases)
}

/// Arguments that take BTF of the program or of the map's value, the state of another call, or addresses of the kernel's
/// variables, which not every kernel has (`CONFIG_KALLSYMS_ALL`).
fn needs_btf(arg: Arg) -> bool {
    matches!(
        arg,
        Arg::Func(_)
            | Arg::StackOrNull
            | Arg::SpinLock
            | Arg::Timer
            | Arg::Dynptr(_)
            | Arg::Record
            | Arg::PercpuBtf
            | Arg::KptrField
            | Arg::KptrOrNull
    )
}

/// How a program gets the pointer in r8 that a helper wants; nothing if this program does not call it so, or has none.
fn pointer(
    helper: &'static Helper,
    prototype: &'static Prototype,
    (kind, attach, target): Place,
) -> Option<Vec<u8>> {
    let of = match target.split_once('.') {
        Some((ops, member)) => Some(Target::Member { ops, member }),
        None => (!target.is_empty()).then_some(Target::Function(target)),
    };
    let caller = Caller { attach: Some(attach), target: of, ..Caller::of(kind, Licence::Gpl) };
    let called = helper.called_by(&caller).1;
    if !helper.admits(&caller) || !called.is_some_and(|called| std::ptr::eq(called, prototype)) {
        return None;
    }
    if helper.effects.has(Effects::SLEEPS) && kind != T::SYSCALL {
        return None;
    }
    let leave_if_null = [insn::raw(0x55, 8, 0, 2, 0), insn::set(0, 0), insn::exit()].concat();
    let wanted = prototype
        .args
        .iter()
        .find(|arg| matches!(arg, Arg::Socket(_, Nullable::No) | Arg::Btf(_, Nullable::No)));
    match wanted {
        None => Some(Vec::new()),
        Some(Arg::Btf("task_struct", _)) => {
            Some([insn::call(FuncId::GET_CURRENT_TASK_BTF.0), insn::copy(8, 0)].concat())
        }
        Some(Arg::Btf(name, _)) => {
            let (.., offsets) = POINTERS.iter().find(|row| row.0 == target && row.1 == *name)?;
            let loads = offsets.iter().map(|&offset| insn::raw(0x79, 8, 8, offset, 0));
            Some([insn::copy(8, 6).to_vec(), loads.collect::<Vec<_>>().concat(), leave_if_null].concat())
        }
        Some(_) => {
            let context = Platform::LINUX_6_18.prog(kind)?.context?;
            let field = [Meaning::Sk, Meaning::FullSk, Meaning::FullSkOrNull]
                .into_iter()
                .find_map(|meaning| context.field(meaning))?;
            Some([insn::raw(0x79, 8, 6, field.offset as i16, 0).to_vec(), leave_if_null].concat())
        }
    }
}

fn map_of(asker: &Asker, maps: &mut HashMap<M, MapFd>, kind: M) -> Result<u32> {
    if let Some(map) = maps.get(&kind) {
        return Ok(map.fd().raw());
    }
    let (key, value, entries, flags) = match kind {
        M::HASH | M::PERCPU_HASH | M::PERCPU_ARRAY => (4, 8, 8, 0),
        M::QUEUE => (0, 8, 8, 0),
        M::STACK_TRACE => (4, 64, 8, 0),
        M::RINGBUF => (0, 0, 4096, 0),
        M::CGROUP_STORAGE => (8, 8, 0, 0),
        M::SK_STORAGE | M::INODE_STORAGE | M::TASK_STORAGE | M::CGRP_STORAGE => {
            (4, 4, 0, flags::BPF_F_NO_PREALLOC)
        }
        _ => (4, 4, 8, 0),
    };
    let map = asker.create(Wanted { kind, key, value, entries, flags }).with_context(|| kind.to_string())?;
    let fd = map.fd().raw();
    maps.insert(kind, map);
    Ok(fd)
}

impl Good<'_> {
    fn check(&self, faults: &mut Vec<String>) -> usize {
        let mut cases = 0;
        let mut case = |what: String, wanted: bool, insns: Vec<u8>| {
            cases += 1;
            let (kind, attach, target) = self.place;
            let answer = self.asker.load(Question { kind, attach, target, license: "GPL", insns: &insns });
            if answer.is_ok() != wanted {
                let log = answer.err().map_or(String::new(), |refused| refused.log);
                let said: Vec<&str> = log.trim().lines().rev().skip(1).take(1).collect();
                faults.push(format!(
                    "{} ({}): {what}: wanted {wanted}: {said:?}",
                    self.helper.name, self.place.0
                ));
            }
        };
        case("good".into(), true, self.program(&[], self.release()));
        self.results(&mut case);
        for (at, &arg) in self.prototype.args.iter().enumerate() {
            for (bads, wanted) in self.bad_args(at, arg) {
                let what: Vec<String> =
                    bads.iter().map(|(at, bad)| format!("r{} {}", at + 1, bad.name())).collect();
                case(what.join(", "), wanted, self.program(&bads, self.release()));
            }
        }
        self.packet(&mut case);
        cases
    }

    /// What becomes of r0.
    fn results(&self, case: &mut impl FnMut(String, bool, Vec<u8>)) {
        let end = [insn::set(0, 0), insn::exit()].concat();
        let load_r0 = insn::raw(0x71, 1, 0, 0, 0);
        match self.prototype.ret {
            Ret::Void => {
                let read = insn::copy(7, 0);
                case("r0 read".into(), false, self.program(&[], [&read[..], &end].concat()));
            }
            Ret::Int | Ret::Cpu | Ret::UpToSize(_) => {
                // Pointers cannot be multiplied.
                let multiply = insn::raw(0x27, 0, 0, 0, 3);
                case("r0 a number".into(), true, self.program(&[], [&multiply[..], &end].concat()));
            }
            Ret::MapValue => {
                case("r0 read".into(), true, self.program(&[], [&load_r0[..], &end].concat()));
            }
            Ret::Btf(..) => {
                let multiply = insn::raw(0x27, 0, 0, 0, 3);
                case("r0 a number".into(), false, self.program(&[], [&multiply[..], &end].concat()));
            }
            Ret::BtfOrNull(_) => {
                case("r0 unchecked".into(), false, self.program(&[], [&load_r0[..], &end].concat()));
            }
            Ret::SocketOrNull(_) => {
                // The second number of each socket.
                let load = insn::raw(0x61, 7, 0, 4, 0);
                let skip = insn::raw(0x15, 0, 0, 1, 0);
                case("r0 unchecked".into(), false, self.program(&[], [&load[..], &end].concat()));
                let release = self.release();
                case("r0 checked".into(), true, self.program(&[], [&skip[..], &load, &release].concat()));
                let kept = !self.helper.effects.has(Effects::ACQUIRES);
                case("r0 kept".into(), kept, self.program(&[], end));
            }
            Ret::MapValueOrNull => {
                let skip = insn::raw(0x15, 0, 0, 1, 0);
                case("r0 unchecked".into(), false, self.program(&[], [&load_r0[..], &end].concat()));
                case("r0 checked".into(), true, self.program(&[], [&skip[..], &load_r0, &end].concat()));
            }
            Ret::RecordOrNull => {
                case("r0 unchecked".into(), false, self.program(&[], [&load_r0[..], &end].concat()));
                case("r0 kept".into(), false, self.program(&[], end));
            }
            Ret::DynptrMemOrNull | Ret::Percpu | Ret::PercpuOrNull | Ret::KptrOrNull | Ret::OwnOrNull(_) => {}
        }
        if let Ret::UpToSize(_) = self.prototype.ret {
            // if r0 s> 0 goto +2; exit; index the lent memory by r0, which reaches one byte beyond it at most.
            let tail = [
                insn::raw(0x65, 0, 0, 2, 0),
                insn::set(0, 0),
                insn::exit(),
                insn::copy(1, 10),
                insn::add(1, -STACK),
                insn::raw(0x0f, 1, 0, 0, 0),
                insn::raw(0x72, 1, 0, 0, 0),
                insn::set(0, 0),
                insn::exit(),
            ];
            case("r0 bounded".into(), true, self.program(&[], tail.concat()));
        }
    }

    fn bad_args(&self, at: usize, arg: Arg) -> Vec<(Vec<(usize, Bad)>, bool)> {
        let mut cases = Vec::new();
        // r1 is set from the start.
        if at != 0 && arg != Arg::Unchecked {
            cases.push((vec![(at, Bad::Unset)], false));
        }
        match arg {
            Arg::Ctx => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Frame)], false));
            }
            Arg::Map | Arg::ConstStr | Arg::Fixed { .. } => cases.push((vec![(at, Bad::Number(1))], false)),
            Arg::Socket(_, nullable) | Arg::Btf(_, nullable) => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Number(0))], nullable == Nullable::Yes));
                cases.push((vec![(at, Bad::Frame)], false));
            }
            Arg::MapValueOrNull => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Constant)], true));
                cases.push((vec![(at, Bad::Number(0))], true));
            }
            Arg::Header(_) => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Frame)], false));
                cases.push((vec![(at, Bad::Constant)], true));
            }
            Arg::MapKey | Arg::MapValue => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Constant)], true));
            }
            Arg::MapValueOut => {
                cases.push((vec![(at, Bad::Number(1))], false));
                cases.push((vec![(at, Bad::Constant)], false));
            }
            Arg::Size(zero) => {
                let Some(Arg::Mem(access, null)) = self.prototype.args.get(at - 1) else { return cases };
                let empty = zero == Zero::Allowed;
                cases.push((vec![(at, Bad::Number(0))], empty));
                cases.push((
                    vec![(at - 1, Bad::Number(0)), (at, Bad::Number(0))],
                    empty && *null == Nullable::Yes,
                ));
                cases.push((vec![(at, Bad::Number(STACK + 1))], false));
                cases.push((vec![(at - 1, Bad::Constant)], *access == MemAccess::Read));
            }
            _ => {}
        }
        cases
    }

    /// What becomes of packets, where the type has pointers into them.
    fn packet(&self, case: &mut impl FnMut(String, bool, Vec<u8>)) {
        let (data, data_end) = match self.place.0 {
            T::XDP => (0, 4),
            T::SCHED_CLS => (76, 80),
            _ => return,
        };
        // r7 = data; if data + STACK > data_end, return 0.
        let head = [
            insn::copy(6, 1),
            insn::raw(0x61, 7, 6, data, 0),
            insn::raw(0x61, 8, 6, data_end, 0),
            insn::copy(9, 7),
            insn::add(9, STACK),
            insn::raw(0x3d, 8, 9, 2, 0),
            insn::set(0, 0),
            insn::exit(),
        ]
        .concat();
        if !self.helper.effects.has(Effects::ACQUIRES) {
            let touch = [insn::raw(0x71, 1, 7, 0, 0), insn::set(0, 0), insn::exit()].concat();
            let kept = !self.helper.effects.has(Effects::CHANGES_PACKET);
            case("packet afterwards".into(), kept, [&head[..], &self.program(&[], touch)].concat());
        }
        for (at, &arg) in self.prototype.args.iter().enumerate() {
            if matches!(arg, Arg::Mem(..) | Arg::MapKey | Arg::MapValue | Arg::Header(_)) {
                let takes = self.helper.effects.has(Effects::TAKES_PACKET);
                let program = self.program(&[(at, Bad::Packet)], self.release());
                case(format!("r{} packet", at + 1), takes, [&head[..], &program].concat());
            }
        }
    }

    /// What follows the call: the end, or the release of what it returned.
    fn release(&self) -> Vec<u8> {
        let end = [insn::set(0, 0), insn::exit()].concat();
        if !self.helper.effects.has(Effects::ACQUIRES) {
            return end;
        }
        let release = match self.prototype.ret {
            Ret::RecordOrNull => FuncId::RINGBUF_DISCARD,
            _ => FuncId::SK_RELEASE,
        };
        let release = [insn::raw(0x15, 0, 0, 3, 0), insn::copy(1, 0), insn::set(2, 0), insn::call(release.0)];
        [release.concat(), end].concat()
    }

    /// A program that makes the call with good arguments but for these.
    fn program(&self, bads: &[(usize, Bad)], tail: Vec<u8>) -> Vec<u8> {
        // With packet cases in front, r6 has the context already; twice is no harm, for r1 still has it, too.
        let mut insns = insn::copy(6, 1).to_vec();
        for offset in (-STACK..0).step_by(8) {
            insns.extend(insn::raw(0x7a, 10, 0, offset as i16, 0));
        }
        insns.extend(&self.pointer);
        // Where the first argument is not set, it is still the context.
        if !self.pointer.is_empty() {
            insns.extend(insn::copy(1, 6));
        }
        for (at, &arg) in self.prototype.args.iter().enumerate() {
            let reg = at as u8 + 1;
            match bads.iter().find(|bad| bad.0 == at) {
                Some((_, Bad::Unset)) => {}
                Some((_, Bad::Number(number))) => insns.extend(insn::set(reg, *number)),
                Some((_, Bad::Frame)) => insns.extend(insn::copy(reg, 10)),
                // BPF_PSEUDO_MAP_VALUE.
                Some((_, Bad::Constant)) => insns.extend(insn::wide(reg, 2, self.constant)),
                Some((_, Bad::Packet)) => insns.extend(insn::copy(reg, 7)),
                None => self.good(&mut insns, reg, arg),
            }
        }
        insns.extend(insn::call(self.helper.id.0));
        insns.extend(tail);
        insns
    }

    fn good(&self, insns: &mut Vec<u8>, reg: u8, arg: Arg) {
        match arg {
            Arg::Any | Arg::MapValueOrNull | Arg::Socket(_, Nullable::Yes) | Arg::Btf(_, Nullable::Yes) => {
                insns.extend(insn::set(reg, 0));
            }
            Arg::Ctx | Arg::CtxOrNull => insns.extend(insn::copy(reg, 6)),
            Arg::Socket(..) | Arg::Btf(..) => insns.extend(insn::copy(reg, 8)),
            // BPF_PSEUDO_MAP_FD.
            Arg::Map => insns.extend(insn::wide(reg, 1, self.map)),
            Arg::ConstStr => insns.extend(insn::wide(reg, 2, self.constant)),
            Arg::MapKey | Arg::MapValue | Arg::MapValueOut | Arg::Mem(..) | Arg::Header(_) => {
                insns.extend(insn::copy(reg, 10));
                insns.extend(insn::add(reg, -STACK));
            }
            Arg::Fixed { bytes, .. } => {
                insns.extend(insn::copy(reg, 10));
                insns.extend(insn::add(reg, -i32::from(bytes)));
            }
            Arg::Size(_) | Arg::AllocSize => insns.extend(insn::set(reg, 8)),
            Arg::Unchecked => {}
            // `needs_btf` and `APART` have sorted these out.
            Arg::Record
            | Arg::Func(_)
            | Arg::StackOrNull
            | Arg::SpinLock
            | Arg::Timer
            | Arg::Dynptr(_)
            | Arg::SocketRelease
            | Arg::PercpuBtf
            | Arg::KptrField
            | Arg::KptrOrNull
            | Arg::Own(..)
            | Arg::OwnRelease(_) => {}
        }
    }
}

impl Bad {
    fn name(self) -> String {
        match self {
            Self::Unset => "unset".into(),
            Self::Number(number) => number.to_string(),
            Self::Frame => "the frame".into(),
            Self::Constant => "read-only memory".into(),
            Self::Packet => "packet".into(),
        }
    }
}
