//! The contexts of probes and trace events (kernel/trace/bpf_trace.c), and of syscall programs.

use skep_abi::ProgType;

use crate::platform::context::{Context, Meaning as M, Widths, field};
use crate::platform::sets::ProgSet;

/// How many arguments a raw tracepoint has at most (`MAX_BPF_FUNC_ARGS`, include/linux/bpf.h).
const MAX_ARGS: u16 = 12;
/// The bytes of a tracepoint's record at most (`PERF_MAX_TRACE_SIZE`, include/linux/trace_events.h).
const MAX_RECORD: u16 = 8192;
/// The bytes of `struct pt_regs` on x86-64.
const PT_REGS: u16 = 168;

const KPROBE: ProgSet = ProgSet::of(&[ProgType::KPROBE]);
const TRACEPOINT_ONLY: ProgSet = ProgSet::of(&[ProgType::TRACEPOINT]);
const PERF_EVENT: ProgSet = ProgSet::of(&[ProgType::PERF_EVENT]);
const RAW: ProgSet = ProgSet::of(&[ProgType::RAW_TRACEPOINT]);
const RAW_WRITABLE: ProgSet = ProgSet::of(&[ProgType::RAW_TRACEPOINT_WRITABLE]);
const SYSCALL_ONLY: ProgSet = ProgSet::of(&[ProgType::SYSCALL]);

/// `struct bpf_raw_tracepoint_args` (`raw_tp_prog_is_valid_access`, `bpf_tracing_ctx_access`).
pub static RAW_TRACEPOINT: Context = Context {
    name: "bpf_raw_tracepoint_args",
    size: MAX_ARGS as u32 * 8,
    fields: &[field("args", 0, MAX_ARGS * 8, M::TracepointArgs, RAW).widths(Widths::Any)],
};

/// The same for a writable one, whose first argument is the buffer (`raw_tp_writable_prog_is_valid_access`).
///
/// Linux loads single bytes of that pointer other than its first as numbers; here it is loaded whole.
pub static RAW_TRACEPOINT_WRITABLE: Context = Context {
    name: "bpf_raw_tracepoint_args",
    size: MAX_ARGS as u32 * 8,
    fields: &[
        field("args[0]", 0, 8, M::TracepointBuffer, RAW_WRITABLE),
        field("args", 8, MAX_ARGS * 8 - 8, M::TracepointArgs, RAW_WRITABLE).widths(Widths::Any),
    ],
};

/// The record of a tracepoint; its first eight bytes are hidden (`tp_prog_is_valid_access`).
///
/// The tracepoint's own length is checked when the program attaches. Linux 6.18 lets negative offsets pass; here they
/// lie outside.
pub static TRACEPOINT: Context = Context {
    name: "tracepoint record",
    size: MAX_RECORD as u32,
    fields: &[
        field("common", 0, 8, M::TracepointRecord, ProgSet::NONE),
        field("record", 8, MAX_RECORD - 8, M::TracepointRecord, TRACEPOINT_ONLY).widths(Widths::Any),
    ],
};

/// `struct pt_regs` of x86-64 (`kprobe_prog_is_valid_access`).
pub static PT_REGS_X86_64: Context = Context {
    name: "pt_regs",
    size: PT_REGS as u32,
    fields: &[field("regs", 0, PT_REGS, M::Regs, KPROBE).widths(Widths::Any)],
};

/// `struct bpf_perf_event_data` of x86-64 (`pe_prog_is_valid_access`).
pub static PERF_EVENT_DATA_X86_64: Context = Context {
    name: "bpf_perf_event_data",
    size: PT_REGS as u32 + 16,
    fields: &[
        field("regs", 0, PT_REGS, M::Regs, PERF_EVENT).widths(Widths::Element(8)),
        field("sample_period", PT_REGS, 8, M::SamplePeriod, PERF_EVENT).widths(Widths::NarrowLoads),
        field("addr", PT_REGS + 8, 8, M::SampleAddr, PERF_EVENT).widths(Widths::NarrowLoads),
    ],
};

/// What a syscall program is run with (`syscall_prog_is_valid_access`, kernel/bpf/syscall.c); how much is checked when
/// it runs.
pub static SYSCALL: Context = Context {
    name: "syscall arguments",
    size: u16::MAX as u32,
    fields: &[field("args", 0, u16::MAX, M::SyscallArgs, SYSCALL_ONLY)
        .widths(Widths::Any)
        .store(SYSCALL_ONLY)],
};
