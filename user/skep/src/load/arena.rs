//! Arenas: mapped when they are made, since a program that refers to one wants its address to be settled
//! (kernel/bpf/verifier.c, `resolve_pseudo_ldimm64`), and given the object's variables.

use super::Loading;
use super::maps::Made;
use crate::error::{Error, ErrorKind, Result};
use crate::map::{Variables, map_arena};
use crate::{Feature, Kernel};
use skep_abi::flags::BPF_F_SEGV_ON_FAULT;
use skep_abi::{Errno, MapInfo};
use skep_model::{MapId, MapSpec};
use skep_sys::{MapFd, Mapping};

/// An arena of a load under way.
pub(super) struct Arena {
    pub(super) map: MapId,
    pub(super) variables: Variables,
    /// None where it was made before: then others have put their data there.
    pub(super) memory: Option<Mapping>,
}

impl Loading<'_> {
    /// Maps an arena if it is new, and writes the object's variables.
    pub(super) fn add_arena(&mut self, map: MapId, spec: &MapSpec, fd: &MapFd, made: Made) -> Result<()> {
        let info = fd.info().map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error))?;
        let bytes = spec.data().map(|data| data.bytes.as_slice()).unwrap_or_default();
        let variables = place(self.kernel, &info, bytes.len())?;
        let memory = match made {
            Made::New => Some(map_arena(self.kernel, fd, &info)?),
            Made::Before => None,
        };
        if let (Some(memory), false) = (&memory, bytes.is_empty()) {
            if info.map_flags & BPF_F_SEGV_ON_FAULT != 0 {
                let what =
                    "holds variables, and says that only programs make its pages (BPF_F_SEGV_ON_FAULT)";
                return Err(Error::new(ErrorKind::Setting, what));
            }
            // Zeroes are written, too: a page that nobody has touched is one that programs are given for something else.
            let written = memory.bytes().map(|memory| memory.copy_in(variables.start, bytes));
            if !matches!(written, Some(Ok(()))) {
                return Err(Error::new(ErrorKind::Corrupt, "the kernel maps less of the arena than it has"));
            }
        }
        self.arenas.push(Arena { map, variables, memory });
        Ok(())
    }

    /// Gives where the object's variables begin in an arena, and 0 for other maps.
    pub(super) fn start_in_arena(&self, map: MapId) -> u32 {
        let arena = self.arenas.iter().find(|arena| arena.map == map);
        // An arena has 4 GiB at most, and its variables do not begin at the end.
        arena.map_or(0, |arena| arena.variables.start as u32)
    }
}

/// Says where variables go: to the last pages, so that address 0 of the arena is nobody's, where instructions can refer to
/// them there; else to the first.
fn place(kernel: &Kernel, info: &MapInfo, len: usize) -> Result<Variables> {
    if len == 0 {
        return Ok(Variables::default());
    }
    let page = kernel.page_size()?;
    let pages = len.div_ceil(page);
    let Some(before) = (info.max_entries as usize).checked_sub(pages) else {
        let what = format!("has {} pages, and the object's variables in it take {pages}", info.max_entries);
        return Err(Error::new(ErrorKind::Setting, what)
            .with_errno(Errno::E2BIG)
            .hint("set them with MapMut::set_max_entries"));
    };
    let start = if kernel.has(Feature::FullRangeOffsets)? { before * page } else { 0 };
    Ok(Variables { start, len })
}
