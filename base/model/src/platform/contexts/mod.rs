//! The contexts of Linux's program types, and the structs that programs reach through pointers of their own kinds. The
//! sources are the `*_is_valid_access` functions named in each file.

mod cgroup;
mod packet;
mod socket;
mod structs;
mod tracing;

pub use cgroup::{CGROUP_DEVICE, CGROUP_SOCK, CGROUP_SOCK_ADDR, CGROUP_SOCKOPT, CGROUP_SYSCTL};
pub use packet::{SK_BUFF, XDP_MD};
pub use socket::{LIRC_MODE2, NETFILTER, SK_LOOKUP, SK_MSG, SK_REUSEPORT, SOCK_OPS};
pub use structs::{FLOW_KEYS, of_socket};
pub use tracing::{
    PERF_EVENT_DATA_X86_64, PT_REGS_X86_64, RAW_TRACEPOINT, RAW_TRACEPOINT_WRITABLE, SYSCALL, TRACEPOINT,
};
