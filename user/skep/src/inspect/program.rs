//! What a kernel says of a program.

use super::{INFO, RunStats, name_of};
use crate::error::{Error, Result};
use crate::{Kernel, Program};
use skep_abi::{Errno, FuncInfo, ProgInfo, ProgType};
use skep_btf::{Btf, TypeId};
use skep_sys::{CallError, ObjectKind, ProgFd, ProgLists};
use std::sync::Arc;

/// What a kernel says of a program, but for its code, which [`Program::code`] reads.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProgramInfo {
    /// Its id.
    pub id: u32,
    /// Its type.
    pub prog_type: ProgType,
    /// The first 15 bytes of its name.
    pub name: String,
    /// A digest of its instructions, map descriptors aside.
    pub tag: [u8; 8],
    /// Whether its licence lets it call what is for the GPL only.
    pub is_gpl_compatible: bool,
    /// When it was loaded, in nanoseconds since the boot.
    pub load_time_ns: u64,
    /// Who loaded it.
    pub created_by_uid: u32,
    /// Bytes of the instructions after the verifier's rewrites.
    pub xlated_len: u32,
    /// Bytes of machine code; 0 where it is interpreted, and where the kernel does not show it.
    pub jited_len: u32,
    /// The maps that it uses.
    pub map_ids: Vec<u32>,
    /// Its types; `None` where it has none.
    pub btf_id: Option<u32>,
    /// The network device that it was loaded for; 0 where it runs on the processor.
    pub ifindex: u32,
    /// Device and inode of that device's network namespace.
    pub netns: (u64, u64),
    /// The instructions that the verifier has looked at, each as often as it did.
    pub verified_insns: u32,
    /// The types that it is attached to a function of: the kernel's, a module's or another program's.
    pub attach_btf_obj_id: u32,
    /// The function or type there.
    pub attach_btf_id: u32,
    /// What its runs have come to.
    pub stats: RunStats,
}

impl Program {
    /// Opens a program by its id. What it was loaded to be attached to is not known then.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is none with that id;
    /// [`ErrorKind::Permission`](crate::ErrorKind::Permission) without `CAP_SYS_ADMIN`.
    pub fn from_id(kernel: &Kernel, id: u32) -> Result<Program> {
        let fd = ProgFd::from_handle(kernel.open_id(ObjectKind::Prog, id)?);
        let info =
            fd.info().map_err(|error| Error::call(INFO, error).of_object(format_args!("program {id}")))?;
        Ok(Program::opened(kernel, fd, &info))
    }

    /// Reads what the kernel says of the program.
    ///
    /// # Errors
    /// Where the kernel does not say.
    pub fn details(&self) -> Result<ProgramInfo> {
        let info = self.info()?;
        let map_ids = match info.nr_map_ids {
            0 => Vec::new(),
            _ => self.fd().map_ids().map_err(|error| self.error(INFO, error))?,
        };
        Ok(ProgramInfo {
            id: info.id,
            prog_type: ProgType(info.type_),
            name: name_of(&info.name),
            tag: info.tag,
            is_gpl_compatible: info.flags & 1 != 0,
            load_time_ns: info.load_time,
            created_by_uid: info.created_by_uid,
            xlated_len: info.xlated_prog_len,
            jited_len: info.jited_prog_len,
            map_ids,
            btf_id: (info.btf_id != 0).then_some(info.btf_id),
            ifindex: info.ifindex,
            netns: (info.netns_dev, info.netns_ino),
            verified_insns: info.verified_insns,
            attach_btf_obj_id: info.attach_btf_obj_id,
            attach_btf_id: info.attach_btf_id,
            stats: RunStats::of(&info),
        })
    }

    /// Reads the name of its function, which the kernel's own name is the first 15 bytes of; `None` where it has no
    /// types.
    ///
    /// # Errors
    /// Where its types cannot be read.
    pub fn full_name(&self) -> Result<Option<String>> {
        let info = self.info()?;
        if info.btf_id == 0 || info.nr_func_info == 0 {
            return Ok(None);
        }
        let mut first = [0; size_of::<FuncInfo>()];
        let lists = ProgLists { func_info: &mut first, ..ProgLists::default() };
        self.fd().info_with(lists).map_err(|error| self.error(INFO, error))?;
        let [_, type_id] = words(&first);
        Ok(function_name(&self.kernel().btf_by_id(info.btf_id)?, type_id))
    }

    /// Reads its types; `None` where it has none.
    pub(super) fn types(&self, info: &ProgInfo) -> Result<Option<Arc<Btf<'static>>>> {
        match info.btf_id {
            0 => Ok(None),
            id => self.kernel().btf_by_id(id).map(|btf| Some(Arc::new(btf))),
        }
    }
}

/// The name of a function.
pub(super) fn function_name(btf: &Btf<'_>, type_id: u32) -> Option<String> {
    let name = btf.get(TypeId(type_id))?.name();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Reads a record of words.
pub(super) fn words<const N: usize>(record: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, bytes) in words.iter_mut().zip(record.chunks_exact(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}

/// Makes a zeroed list of a length that the kernel has told: no more than it can hold of a program.
pub(super) fn list<T: Clone + Default>(len: u32) -> Result<Vec<T>, CallError> {
    /// More than the machine code of the longest program.
    const MOST: usize = 256 << 20;
    let len = len as usize;
    if len > MOST / size_of::<T>() {
        return Err(Errno::EFBIG.into());
    }
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    list.resize(len, T::default());
    Ok(list)
}
