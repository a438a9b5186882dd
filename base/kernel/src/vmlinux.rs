//! The kernel's own BTF: made once, when someone asks for it.

mod build;

use crate::btf::{self, BtfObject};
use crate::error::Result;
use crate::ids::Id;
use crate::kernel::Inner;
use alloc::sync::Arc;
use build::Offer;
use skep_btf::{Btf, Endian};
use skep_mem::{Host, Locked, Shared};
use skep_model::platform::Platform;

/// The one BTF that nobody loads. It has a number from the start and lives as long as the kernel.
#[derive(Debug)]
pub(crate) struct Vmlinux {
    id: Id,
    object: Locked<Option<Shared<BtfObject>>>,
}

impl Vmlinux {
    pub(crate) fn new(host: &Arc<dyn Host>, id: Id) -> Vmlinux {
        Vmlinux { id, object: Locked::new(host, None) }
    }

    pub(crate) fn id(&self) -> Id {
        self.id
    }

    /// Gives its number if that comes after `id`; it was the first to be given out.
    pub(crate) fn after(&self, id: Id) -> Option<Id> {
        (id < self.id).then_some(self.id)
    }

    /// Gives the types, which are made now if they were not.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn open(&self, kernel: &Inner) -> Result<Shared<BtfObject>> {
        if let Some(object) = &*self.object.lock() {
            return Ok(object.clone());
        }
        // Not under the lock, so two may make them at once; who comes second takes those of the first.
        let types = make(kernel)?;
        let mut slot = self.object.lock();
        if let Some(object) = &*slot {
            return Ok(object.clone());
        }
        let object = BtfObject::of_kernel(self.id, types)?;
        *slot = Some(object.clone());
        Ok(object)
    }
}

fn make(kernel: &Inner) -> Result<Btf<'static>> {
    let mut tracepoints = kernel.tracepoints.snapshot()?;
    tracepoints.sort_unstable_by(|one, other| one.name.cmp(&other.name));
    let offer = Offer {
        platform: &Platform::LINUX_6_18,
        has_helper: |id| kernel.has_helper(id),
        tracepoints: tracepoints.iter().map(|known| &*known.name),
    };
    let bytes = build::build(Endian::NATIVE, offer)?;
    Btf::from_vec(bytes).map_err(|error| btf::errno(error.errno()))
}
