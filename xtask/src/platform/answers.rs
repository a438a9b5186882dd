//! Which helpers, context accesses and return values programs of each type have.

use super::ask::{Asker, Question, Sleep, insn};
use super::behind;
use anyhow::{Result, bail};
use skep_abi::{AttachType as A, FuncId, ProgType as T};
use skep_model::platform::Platform;
use std::fmt::Write;

const HEAD: &str = "\
# Made by `cargo xtask platform`: what Linux 6.18 (x86-64, root) answers to BPF_PROG_LOAD of small programs.
# helper TYPE ATTACH TARGET ids: `call id; exit` is not refused with \"program of this type cannot use helper\" or
# \"helper call is not allowed in probe\"; TARGET is what the program is attached to by its BTF, or -.
# gpl TYPE ATTACH TARGET ids: refused under another licence for that reason.
# load/loads/store TYPE ATTACH size offsets: a load, sign-extending load, store of that size at r1 + offset passes.
# behind POINTER load/store size offsets: a load, store of that size at that pointer + offset passes.
# sleep TYPE ATTACH TARGET how: whether such programs are loaded with BPF_F_SLEEPABLE: both with and without, always, never.
# return TYPE ATTACH values: `r0 = value; exit` passes, of -2..10. Lists are of numbers and a..b, both included.
";

/// The types that load without a BTF target or special hardware, and the expected attach types to ask with.
const TYPES: &[(T, &[A])] = &[
    (T::SOCKET_FILTER, &[A(0)]),
    (T::KPROBE, KPROBE),
    (T::SCHED_CLS, &[A(0)]),
    (T::SCHED_ACT, &[A(0)]),
    (T::TRACEPOINT, &[A(0)]),
    (T::XDP, &[A::XDP, A::XDP_DEVMAP]),
    (T::PERF_EVENT, &[A(0)]),
    (T::CGROUP_SKB, &[A::CGROUP_INET_INGRESS, A::CGROUP_INET_EGRESS]),
    (
        T::CGROUP_SOCK,
        &[
            A::CGROUP_INET_SOCK_CREATE,
            A::CGROUP_INET_SOCK_RELEASE,
            A::CGROUP_INET4_POST_BIND,
            A::CGROUP_INET6_POST_BIND,
        ],
    ),
    (T::LWT_IN, &[A(0)]),
    (T::LWT_OUT, &[A(0)]),
    (T::LWT_XMIT, &[A(0)]),
    (T::SOCK_OPS, &[A::CGROUP_SOCK_OPS]),
    (T::SK_SKB, &[A::SK_SKB_STREAM_VERDICT]),
    (T::CGROUP_DEVICE, &[A::CGROUP_DEVICE]),
    (T::SK_MSG, &[A::SK_MSG_VERDICT]),
    (T::RAW_TRACEPOINT, &[A(0)]),
    (T::CGROUP_SOCK_ADDR, SOCK_ADDR),
    (T::LWT_SEG6LOCAL, &[A(0)]),
    (T::SK_REUSEPORT, &[A::SK_REUSEPORT_SELECT]),
    (T::FLOW_DISSECTOR, &[A::FLOW_DISSECTOR]),
    (T::CGROUP_SYSCTL, &[A::CGROUP_SYSCTL]),
    (T::RAW_TRACEPOINT_WRITABLE, &[A(0)]),
    (T::CGROUP_SOCKOPT, &[A::CGROUP_GETSOCKOPT, A::CGROUP_SETSOCKOPT]),
    (T::SK_LOOKUP, &[A::SK_LOOKUP]),
    (T::SYSCALL, &[A(0)]),
    (T::NETFILTER, &[A::NETFILTER]),
];

/// What the types that need a BTF target are attached to. Trampolines (function entries and exits, security modules) are
/// not asked: not every machine lets them be.
const TARGETS: &[(T, A, &str)] = &[
    (T::TRACING, A::TRACE_RAW_TP, "btf_trace_sched_switch"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_task"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_tcp"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_udp"),
    (T::TRACING, A::TRACE_ITER, "bpf_iter_unix"),
    (T::STRUCT_OPS, A(0), "tcp_congestion_ops.init"),
    (T::STRUCT_OPS, A(0), "tcp_congestion_ops.release"),
];

/// A type, its expected attach type, and what it is attached to by its BTF.
pub(super) type Place = (T, A, &'static str);

/// The types that need no target, at each attach type.
fn plain() -> impl Iterator<Item = Place> {
    TYPES.iter().flat_map(|&(kind, attaches)| attaches.iter().map(move |&attach| (kind, attach, "")))
}

/// The types whose accesses depend on the expected attach type.
const BY_ATTACH: &[T] = &[T::XDP, T::CGROUP_SOCK, T::CGROUP_SOCK_ADDR, T::CGROUP_SOCKOPT];

const KPROBE: &[A] =
    &[A(0), A::TRACE_KPROBE_MULTI, A::TRACE_KPROBE_SESSION, A::TRACE_UPROBE_MULTI, A::TRACE_UPROBE_SESSION];

const SOCK_ADDR: &[A] = &[
    A::CGROUP_INET4_CONNECT,
    A::CGROUP_INET6_CONNECT,
    A::CGROUP_INET4_BIND,
    A::CGROUP_INET6_BIND,
    A::CGROUP_UDP4_SENDMSG,
    A::CGROUP_UDP6_SENDMSG,
    A::CGROUP_UDP4_RECVMSG,
    A::CGROUP_UDP6_RECVMSG,
    A::CGROUP_INET4_GETPEERNAME,
    A::CGROUP_INET6_GETPEERNAME,
    A::CGROUP_INET4_GETSOCKNAME,
    A::CGROUP_INET6_GETSOCKNAME,
    A::CGROUP_UNIX_CONNECT,
    A::CGROUP_UNIX_SENDMSG,
    A::CGROUP_UNIX_RECVMSG,
    A::CGROUP_UNIX_GETPEERNAME,
    A::CGROUP_UNIX_GETSOCKNAME,
];

/// The expected attach type to load a type with where nothing else is asked.
pub(super) fn attach_of(kind: T) -> A {
    TYPES.iter().find(|row| row.0 == kind).map_or(A(0), |row| row.1[0])
}

/// No helper, and those that depend on the kernel's configuration and lockdown.
const CONFIGURED: &[FuncId] = &[FuncId::UNSPEC, FuncId::PROBE_WRITE_USER, FuncId::OVERRIDE_RETURN];

/// Makes the file of answers.
pub(super) fn programs(asker: &Asker) -> Result<String> {
    let mut text = HEAD.to_owned();
    helpers(asker, &mut text)?;
    for &(kind, attaches) in TYPES {
        let modelled = Platform::LINUX_6_18.prog(kind).and_then(|prog| prog.context);
        let asked = if BY_ATTACH.contains(&kind) { attaches } else { &attaches[..1] };
        if let Some(context) = modelled {
            for &attach in asked {
                accesses(asker, &mut text, kind, attach, context.size)?;
            }
        }
    }
    behind::pointers(asker, &mut text)?;
    let iterator = TARGETS.iter().find(|row| row.1 == A::TRACE_ITER);
    let traced = TARGETS.iter().find(|row| row.1 == A::TRACE_RAW_TP);
    let targets = traced.into_iter().chain(iterator).copied();
    for (kind, attach, target) in plain().chain(targets) {
        let passes = |value: i64| returns(asker, (kind, attach, target), value as i32);
        let values: Vec<i64> = (-2..=10).filter(|&value| passes(value)).collect();
        writeln!(text, "return {}{}", tag(kind, attach), list(values))?;
    }
    for (kind, attach, target) in plain().chain(TARGETS.iter().copied()) {
        let loads = |sleep| {
            // Each a return that some type refuses.
            [1, 0].into_iter().any(|result| {
                let insns = [insn::set(0, result), insn::exit()].concat();
                let question = Question { kind, attach, target, license: "GPL", insns: &insns };
                asker.loaded_as(question, sleep).is_ok()
            })
        };
        let ways = match (loads(Sleep::Yes), loads(Sleep::No)) {
            (true, true) => "both",
            (true, false) => "always",
            (false, _) => "never",
        };
        writeln!(text, "sleep {} {ways}", place(kind, attach, target))?;
    }
    Ok(text)
}

fn tag(kind: T, attach: A) -> String {
    format!("{} {}", kind.short_name().unwrap_or("?"), attach.name().unwrap_or("?"))
}

/// Names a place; the position of a member in its struct is no attach type.
fn place(kind: T, attach: A, target: &str) -> String {
    let at = if target.contains('.') { "-" } else { attach.name().unwrap_or("?") };
    let target = if target.is_empty() { "-" } else { target };
    format!("{} {at} {target}", kind.short_name().unwrap_or("?"))
}

fn helpers(asker: &Asker, text: &mut String) -> Result<()> {
    for (kind, attach, target) in plain().chain(TARGETS.iter().copied()) {
        let (mut usable, mut gpl) = (Vec::new(), Vec::new());
        for id in FuncId::ALL.iter().filter(|&id| !CONFIGURED.contains(id)) {
            let insns = [insn::call(id.0), insn::exit()].concat();
            let question = Question { kind, attach, target, license: "GPL", insns: &insns };
            let refused =
                |license| asker.load(Question { license, ..question }).err().map(|refused| refused.log);
            let log = refused("GPL").unwrap_or_default();
            let not_there =
                ["cannot use helper", "unknown func", "invalid func", "not allowed in probe", "has no "];
            if not_there.iter().any(|why| log.contains(why)) {
                continue;
            }
            usable.push(i64::from(id.0));
            if refused("MIT").is_some_and(|log| log.contains("GPL-restricted")) {
                gpl.push(i64::from(id.0));
            }
        }
        if usable.is_empty() {
            bail!("no helper at all for {kind} {target}: the question is wrong");
        }
        let place = place(kind, attach, target);
        writeln!(text, "helper {place}{}", list(usable))?;
        writeln!(text, "gpl {place}{}", list(gpl))?;
    }
    Ok(())
}

/// How often a context's accesses are asked beyond its end, and up to where where it has no end.
const BEYOND: i64 = 16;

/// A kind of access: its name in the file, and the instruction for each width, with r1 as the address and r2 as the value.
type Accesses = (&'static str, &'static [(u8, u8)]);

const ACCESSES: &[Accesses] = &[
    ("load", &[(1, 0x71), (2, 0x69), (4, 0x61), (8, 0x79)]),
    ("loads", &[(1, 0x91), (2, 0x89), (4, 0x81)]),
    ("store", &[(1, 0x73), (2, 0x6b), (4, 0x63), (8, 0x7b)]),
];

fn accesses(asker: &Asker, text: &mut String, kind: T, attach: A, size: u32) -> Result<()> {
    let end = match kind {
        T::TRACEPOINT => 64,
        T::SYSCALL => 24,
        _ => i64::from(size),
    };
    for &(what, widths) in ACCESSES {
        for &(width, code) in widths {
            let passes = |offset: i64| {
                let offset = offset as i16;
                let (dst, src) = if what == "store" { (1, 2) } else { (2, 1) };
                // Any value will do for r2; 0 and 1 are each a return that some type refuses.
                [1, 0].into_iter().any(|result| {
                    let insns = [
                        insn::set(2, 1),
                        insn::raw(code, dst, src, offset, 0),
                        insn::set(0, result),
                        insn::exit(),
                    ];
                    asker
                        .load(Question { kind, attach, target: "", license: "GPL", insns: &insns.concat() })
                        .is_ok()
                })
            };
            let offsets: Vec<i64> = (-8..end + BEYOND).filter(|&offset| passes(offset)).collect();
            if !offsets.is_empty() {
                writeln!(text, "{what} {} {width}{}", tag(kind, attach), list(offsets))?;
            }
        }
    }
    Ok(())
}

fn returns(asker: &Asker, (kind, attach, target): Place, value: i32) -> bool {
    let insns = [insn::set(0, value), insn::exit()].concat();
    asker.load(Question { kind, attach, target, license: "GPL", insns: &insns }).is_ok()
}

/// Writes ascending numbers, those in a row as `a..b`, each with a space in front.
pub(super) fn list(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some(run) if run.1 + 1 == number => run.1 = number,
            _ => runs.push((number, number)),
        }
    }
    let mut text = String::new();
    for (low, high) in runs {
        let shown = if low == high { format!(" {low}") } else { format!(" {low}..{high}") };
        text.push_str(&shown);
    }
    text
}
