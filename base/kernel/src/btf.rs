//! BTF objects, and the kernel's own BTF.

use crate::error::Result;
use crate::ids::{Id, IdTable};
use crate::log::Log;
use crate::name::Name;
use alloc::sync::Arc;
use alloc::vec::Vec;
use skep_abi::Errno;
use skep_btf::Btf;
use skep_mem::Shared;

/// The most bytes of one BTF (`BTF_MAX_SIZE`).
pub(crate) const MOST_BYTES: usize = 16 << 20;

/// Loaded types.
#[derive(Debug)]
pub(crate) struct BtfObject {
    pub(crate) id: Id,
    pub(crate) btf: Btf<'static>,
    /// `vmlinux` for the kernel's own; empty for one loaded by a program's owner.
    pub(crate) name: Name,
    /// Where the number goes back to; the kernel's own keeps it.
    ids: Option<Arc<IdTable<BtfObject>>>,
}

impl BtfObject {
    /// Checks and keeps BTF.
    ///
    /// # Errors
    /// `EINVAL` where it is malformed, `ENOMEM`.
    pub(crate) fn load(
        ids: &Arc<IdTable<BtfObject>>,
        bytes: Vec<u8>,
        log: &mut Log,
    ) -> Result<Shared<BtfObject>> {
        let btf = Btf::from_vec(bytes).map_err(|error| log.refuse(errno(error.errno()), error))?;
        btf.admit().map_err(|refusal| log.refuse(errno(refusal.errno()), refusal))?;
        // From here on the object's end gives the number back.
        let object = BtfObject { id: ids.reserve()?, btf, name: [0; 16], ids: Some(Arc::clone(ids)) };
        let object = Shared::try_new(object)?;
        ids.publish(object.id, &object);
        Ok(object)
    }

    /// Keeps the kernel's own types.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn of_kernel(id: Id, btf: Btf<'static>) -> Result<Shared<BtfObject>> {
        Ok(Shared::try_new(BtfObject { id, btf, name: *b"vmlinux\0\0\0\0\0\0\0\0\0", ids: None })?)
    }

    /// Tells whether it is the kernel's own, which programs and maps of a loader's cannot have for theirs.
    pub(crate) fn is_kernel(&self) -> bool {
        self.name[0] != 0
    }
}

/// The BTF crate has numbers only.
pub(crate) fn errno(raw: u16) -> Errno {
    Errno::from_raw(raw.into()).unwrap_or(Errno::EINVAL)
}

impl Drop for BtfObject {
    fn drop(&mut self) {
        if let Some(ids) = &self.ids {
            ids.release(self.id);
        }
    }
}
