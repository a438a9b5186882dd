//! What a kernel holds, read back: programs and their code, maps, links, types, and who holds them.

mod btf;
mod code;
mod fdinfo;
mod found;
mod holders;
mod link;
mod objects;
mod pins;
mod program;
mod stats;
mod stream;

pub use btf::BtfObject;
pub use code::{ProgramCode, ProgramFunction, ProgramLine};
pub use fdinfo::MapUsage;
pub use holders::{Holders, Process};
pub use link::{LinkTarget, ProbedFunction, ProbedOffset};
pub use pins::Pins;
pub use program::ProgramInfo;
pub use stats::{RunStats, StatsGuard};
pub use stream::Stream;

use crate::error::{Error, ErrorKind};
use skep_abi::Errno;
use skep_sys::{CallError, ObjectKind};

/// What a kind of object is called, and the calls that find one.
struct Words {
    noun: &'static str,
    next_id: &'static str,
    fd_by_id: &'static str,
}

const INFO: &str = "BPF_OBJ_GET_INFO_BY_FD";

fn words(kind: ObjectKind) -> Words {
    let (noun, next_id, fd_by_id) = match kind {
        ObjectKind::Prog => ("program", "BPF_PROG_GET_NEXT_ID", "BPF_PROG_GET_FD_BY_ID"),
        ObjectKind::Map => ("map", "BPF_MAP_GET_NEXT_ID", "BPF_MAP_GET_FD_BY_ID"),
        ObjectKind::Link => ("link", "BPF_LINK_GET_NEXT_ID", "BPF_LINK_GET_FD_BY_ID"),
        ObjectKind::Btf => ("BTF", "BPF_BTF_GET_NEXT_ID", "BPF_BTF_GET_FD_BY_ID"),
    };
    Words { noun, next_id, fd_by_id }
}

/// Says that an object could not be opened.
fn not_opened(kind: ObjectKind, id: u32, error: CallError) -> Error {
    let Words { noun, fd_by_id, .. } = words(kind);
    let made = Error::call(fd_by_id, error).of_object(format_args!("{noun} {id}"));
    match error.errno() {
        Errno::ENOENT => made.kind_is(ErrorKind::NotFound).say(&format!("there is no {noun} {id}")),
        _ => made,
    }
}

/// Reads a name as the kernel keeps it: up to its NUL.
pub(crate) fn name_of(name: &[u8]) -> String {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}
