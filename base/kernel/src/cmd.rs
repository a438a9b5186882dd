//! The commands of `bpf(2)`: one file each, one table of all.

mod btf;
mod enable_stats;
mod id;
mod info;
mod link;
mod map_batch;
mod map_create;
mod map_elem;
mod obj;
mod prog_attach;
mod prog_load;
mod prog_test_run;
mod raw_tracepoint;

use crate::error::Result;
use crate::kernel::Inner;
use crate::request::Request;
use alloc::sync::Arc;
use skep_abi::{Cmd, Errno};

/// A command's code: gives a descriptor, or zero.
type Run = fn(&Arc<Inner>, &Request<'_>) -> Result<i64>;

/// The commands there are.
const COMMANDS: &[(Cmd, Run)] = &[
    (Cmd::MAP_CREATE, map_create::run),
    (Cmd::MAP_LOOKUP_ELEM, map_elem::lookup),
    (Cmd::MAP_UPDATE_ELEM, map_elem::update),
    (Cmd::MAP_DELETE_ELEM, map_elem::delete),
    (Cmd::MAP_GET_NEXT_KEY, map_elem::next_key),
    (Cmd::PROG_LOAD, prog_load::run),
    (Cmd::OBJ_PIN, obj::pin),
    (Cmd::OBJ_GET, obj::get),
    (Cmd::PROG_ATTACH, prog_attach::attach),
    (Cmd::PROG_DETACH, prog_attach::detach),
    (Cmd::PROG_TEST_RUN, prog_test_run::run),
    (Cmd::PROG_GET_NEXT_ID, id::next_prog),
    (Cmd::MAP_GET_NEXT_ID, id::next_map),
    (Cmd::PROG_GET_FD_BY_ID, id::open_prog),
    (Cmd::MAP_GET_FD_BY_ID, id::open_map),
    (Cmd::OBJ_GET_INFO_BY_FD, info::run),
    (Cmd::PROG_QUERY, prog_attach::query),
    (Cmd::RAW_TRACEPOINT_OPEN, raw_tracepoint::run),
    (Cmd::BTF_LOAD, btf::run),
    (Cmd::BTF_GET_FD_BY_ID, id::open_btf),
    (Cmd::MAP_LOOKUP_AND_DELETE_ELEM, map_elem::take),
    (Cmd::MAP_FREEZE, map_elem::freeze),
    (Cmd::BTF_GET_NEXT_ID, id::next_btf),
    (Cmd::MAP_LOOKUP_BATCH, map_batch::lookup),
    (Cmd::MAP_LOOKUP_AND_DELETE_BATCH, map_batch::take),
    (Cmd::MAP_UPDATE_BATCH, map_batch::update),
    (Cmd::MAP_DELETE_BATCH, map_batch::delete),
    (Cmd::LINK_CREATE, link::create),
    (Cmd::LINK_UPDATE, link::update),
    (Cmd::LINK_GET_FD_BY_ID, id::open_link),
    (Cmd::LINK_GET_NEXT_ID, id::next_link),
    (Cmd::ENABLE_STATS, enable_stats::run),
    (Cmd::LINK_DETACH, link::detach),
];

/// Lists the commands of `bpf(2)` that a kernel here has.
pub fn commands() -> impl Iterator<Item = Cmd> {
    COMMANDS.iter().map(|row| row.0)
}

/// Runs a command.
///
/// # Errors
/// `EINVAL` for one that there is not, and whatever it answers.
pub(crate) fn dispatch(kernel: &Arc<Inner>, cmd: Cmd, request: &Request<'_>) -> Result<i64> {
    let found = COMMANDS.binary_search_by_key(&cmd, |row| row.0).map_err(|_| Errno::EINVAL)?;
    (COMMANDS[found].1)(kernel, request)
}

/// Gives the offset after a field: where the attributes of a command end.
macro_rules! end_of {
    ($attr:ty, $field:ident) => {{
        const fn size<T, F>(_: fn(&T) -> &F) -> usize {
            size_of::<F>()
        }
        core::mem::offset_of!($attr, $field) + size::<$attr, _>(|attr| &attr.$field)
    }};
}
pub(crate) use end_of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ascends() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
