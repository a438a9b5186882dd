//! The prototypes of helpers, case by case: with good arguments the call loads, with each bad one it does not.

use super::answers::attach_of;
use super::ask::{Asker, Question, Wanted, insn};
use anyhow::{Context, Result, bail};
use skep_abi::{FuncId, MapType as M, ProgType as T};
use skep_model::platform::helper::{Arg, Effects, Helper, MemAccess, Nullable, Prototype, Ret, Zero};
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
];

/// Helpers that a small program cannot call for a reason that is no argument's.
const APART: &[FuncId] = &[
    // For sleepable programs, and under lockdown or configuration.
    FuncId::COPY_FROM_USER,
    FuncId::PROBE_WRITE_USER,
    FuncId::OVERRIDE_RETURN,
    // What is in the format decides about the data.
    FuncId::SNPRINTF,
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
    kind: T,
    /// The map that it is called on.
    map: u32,
    /// An array that only may be read.
    constant: u32,
}

/// Checks every prototype that a program without BTF can use; returns the number of cases.
pub(super) fn check(asker: &Asker) -> Result<usize> {
    let mut bytes = [0; 64];
    bytes[..6].copy_from_slice(b"hello\0");
    let constant = asker.constant(&bytes).map_err(anyhow::Error::from)?;
    let mut maps = HashMap::<M, MapFd>::new();
    let mut cases = 0;
    let mut faults = Vec::new();
    for helper in HELPERS {
        let Some(prototype) = &helper.prototype else { continue };
        if APART.contains(&helper.id) || prototype.args.iter().any(|&arg| needs_btf(arg)) {
            continue;
        }
        let Some(&kind) = TYPES.iter().find(|&&kind| helper.progs.contains(kind)) else { continue };
        let map = match prototype.maps.iter().next() {
            None => 0,
            Some(of) => map_of(asker, &mut maps, of)?,
        };
        let good = Good { asker, helper, prototype, kind, map, constant: constant.fd().raw() };
        cases += good.check(&mut faults);
    }
    if !faults.is_empty() {
        bail!("{} of {cases} cases differ:\n{}", faults.len(), faults.join("\n"));
    }
    Ok(cases)
}

/// Arguments that take BTF of the program or of the map's value, or the state of another call.
fn needs_btf(arg: Arg) -> bool {
    matches!(
        arg,
        Arg::Func(_)
            | Arg::StackOrNull
            | Arg::SpinLock
            | Arg::Timer
            | Arg::Dynptr(_)
            | Arg::Record
            | Arg::MapValueOrNull
            | Arg::Socket(..)
            | Arg::SocketRelease
            | Arg::Btf(..)
            | Arg::PercpuBtf
            | Arg::KptrField
            | Arg::KptrOrNull
    )
}

fn map_of(asker: &Asker, maps: &mut HashMap<M, MapFd>, kind: M) -> Result<u32> {
    if let Some(map) = maps.get(&kind) {
        return Ok(map.fd().raw());
    }
    let (key, value, entries) = match kind {
        M::HASH | M::PERCPU_HASH | M::PERCPU_ARRAY => (4, 8, 8),
        M::QUEUE => (0, 8, 8),
        M::STACK_TRACE => (4, 64, 8),
        M::RINGBUF => (0, 0, 4096),
        _ => (4, 4, 8),
    };
    let map =
        asker.create(Wanted { kind, key, value, entries, flags: 0 }).with_context(|| kind.to_string())?;
    let fd = map.fd().raw();
    maps.insert(kind, map);
    Ok(fd)
}

impl Good<'_> {
    fn check(&self, faults: &mut Vec<String>) -> usize {
        let mut cases = 0;
        let mut case = |what: String, wanted: bool, insns: Vec<u8>| {
            cases += 1;
            let attach = attach_of(self.kind);
            let answer = self.asker.load(Question { kind: self.kind, attach, license: "GPL", insns: &insns });
            if answer.is_ok() != wanted {
                let log = answer.err().map_or(String::new(), |refused| refused.log);
                let said: Vec<&str> = log.trim().lines().rev().skip(1).take(1).collect();
                faults
                    .push(format!("{} ({}): {what}: wanted {wanted}: {said:?}", self.helper.name, self.kind));
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
            Ret::MapValueOrNull => {
                let skip = insn::raw(0x15, 0, 0, 1, 0);
                case("r0 unchecked".into(), false, self.program(&[], [&load_r0[..], &end].concat()));
                case("r0 checked".into(), true, self.program(&[], [&skip[..], &load_r0, &end].concat()));
            }
            Ret::RecordOrNull => {
                case("r0 unchecked".into(), false, self.program(&[], [&load_r0[..], &end].concat()));
                case("r0 kept".into(), false, self.program(&[], end));
            }
            _ => {}
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
        let (data, data_end) = match self.kind {
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
        if self.prototype.ret != Ret::RecordOrNull {
            let touch = [insn::raw(0x71, 1, 7, 0, 0), insn::set(0, 0), insn::exit()].concat();
            let kept = !self.helper.effects.has(Effects::CHANGES_PACKET);
            case("packet afterwards".into(), kept, [&head[..], &self.program(&[], touch)].concat());
        }
        for (at, &arg) in self.prototype.args.iter().enumerate() {
            if matches!(arg, Arg::Mem(..) | Arg::MapKey | Arg::MapValue) {
                let takes = self.helper.effects.has(Effects::TAKES_PACKET);
                let program = self.program(&[(at, Bad::Packet)], self.release());
                case(format!("r{} packet", at + 1), takes, [&head[..], &program].concat());
            }
        }
    }

    /// What follows the call: the end, or the release of what it returned.
    fn release(&self) -> Vec<u8> {
        let end = [insn::set(0, 0), insn::exit()].concat();
        if self.prototype.ret != Ret::RecordOrNull {
            return end;
        }
        let discard = [
            insn::raw(0x15, 0, 0, 3, 0),
            insn::copy(1, 0),
            insn::set(2, 0),
            insn::call(FuncId::RINGBUF_DISCARD.0),
        ];
        [discard.concat(), end].concat()
    }

    /// A program that makes the call with good arguments but for these.
    fn program(&self, bads: &[(usize, Bad)], tail: Vec<u8>) -> Vec<u8> {
        // With packet cases in front, r6 has the context already; twice is no harm, for r1 still has it, too.
        let mut insns = insn::copy(6, 1).to_vec();
        for offset in (-STACK..0).step_by(8) {
            insns.extend(insn::raw(0x7a, 10, 0, offset as i16, 0));
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
            Arg::Any => insns.extend(insn::set(reg, 0)),
            Arg::Ctx | Arg::CtxOrNull => insns.extend(insn::copy(reg, 6)),
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
            // `needs_btf` has sorted these out.
            _ => {}
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
