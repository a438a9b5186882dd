//! The contexts of Linux's program types. The sources are the `*_is_valid_access` functions named in each file.

mod packet;
mod tracing;

pub use packet::{SK_BUFF, XDP_MD};
pub use tracing::{
    PERF_EVENT_DATA_X86_64, PT_REGS_X86_64, RAW_TRACEPOINT, RAW_TRACEPOINT_WRITABLE, SYSCALL, TRACEPOINT,
};
