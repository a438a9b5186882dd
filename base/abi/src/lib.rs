//! The Linux BPF ABI as data: commands and their attribute structs, ids, contexts, flags, ring layouts, error numbers.
//!
//! It is what `bpf(2)`, `perf_event_open(2)` and the netlink messages of XDP and tc exchange, in native byte order,
//! with explicit padding and no unions, so that every struct is bytes and every byte is defined.
//!
//! It must never know how a call is made, who answers it, or what an instruction means; it uses nothing but libcore
//! and zerocopy, has no `unsafe`, and allocates nothing.
#![no_std]
#![forbid(unsafe_code)]

mod attr;
mod command;
mod defines;
mod errno;
pub mod flags;
mod generated;
mod lines;
pub mod net;
mod open;
pub mod perf;
pub mod ring;

pub use attr::ProgAssocStructOps;
pub use command::{
    BTF_INFO_POINTERS, Direction, Extent, LAYOUTS, Layout, MAP_INFO_POINTERS, PROG_INFO_POINTERS, Pointer,
};
pub use defines::Define;
pub use errno::Errno;
pub use generated::attr::*;
pub use generated::ctx::*;
pub use generated::func_id::FuncId;
pub use generated::ids::*;
pub use generated::info::*;
pub use generated::records::*;

/// BTF of the structs and enumerations that this crate is generated from, and of what else programs see of a kernel
/// whatever it is: registers, the headers of packets. It is of Linux 6.18.44 on x86-64, in that machine's byte order;
/// pointers to what is not in it point to `void`.
pub static BTF: &[u8] = include_bytes!("../btf/linux-6.18.44-x86_64.btf");

/// The bytes of an object's name, its NUL included (`BPF_OBJ_NAME_LEN`).
pub const OBJ_NAME_LEN: usize = 16;
/// The bytes of a program's tag (`BPF_TAG_SIZE`).
pub const TAG_SIZE: usize = 8;
/// The size of the largest attribute struct, `union bpf_attr` of Linux 6.18.
pub const ATTR_SIZE: usize = size_of::<ProgLoad>();
/// The bytes of a program's stack (`MAX_BPF_STACK`, include/linux/filter.h).
pub const STACK_SIZE: usize = 512;
/// How many tail calls one run may make (`MAX_TAIL_CALL_CNT`, include/linux/bpf.h).
pub const MAX_TAIL_CALLS: u32 = 33;
/// The bytes of a task's name, its NUL included (`TASK_COMM_LEN`, include/linux/sched.h).
pub const TASK_COMM_LEN: usize = 16;
