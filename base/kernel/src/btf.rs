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
    /// The name of the module, or `vmlinux`; empty for one loaded by a program's owner.
    pub(crate) name: Name,
    ids: Arc<IdTable<BtfObject>>,
}

impl BtfObject {
    /// Checks and keeps BTF.
    ///
    /// # Errors
    /// `EINVAL` where it is malformed, `ENOMEM`.
    pub(crate) fn load(
        ids: &Arc<IdTable<BtfObject>>,
        bytes: Vec<u8>,
        name: Name,
        log: &mut Log,
    ) -> Result<Shared<BtfObject>> {
        let btf = Btf::from_vec(bytes).map_err(|error| {
            log.line(error);
            errno(error.errno())
        })?;
        btf.admit().map_err(|refusal| {
            log.line(refusal);
            errno(refusal.errno())
        })?;
        // From here on the object's end gives the number back.
        let object = BtfObject { id: ids.reserve()?, btf, name, ids: Arc::clone(ids) };
        let object = Shared::try_new(object)?;
        ids.publish(object.id, &object);
        Ok(object)
    }
}

/// The BTF crate has numbers only.
fn errno(raw: u16) -> Errno {
    Errno::from_raw(raw.into()).unwrap_or(Errno::EINVAL)
}

impl Drop for BtfObject {
    fn drop(&mut self) {
        self.ids.release(self.id);
    }
}
