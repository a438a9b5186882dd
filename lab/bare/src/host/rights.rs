//! What the caller may do.

use skep_mem::{Capability, Rights};

/// Everything or nothing, as for root and for everybody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Granted {
    /// Every capability.
    #[default]
    Everything,
    /// None.
    Nothing,
}

impl Rights for Granted {
    fn has(&self, _capability: Capability) -> bool {
        *self == Granted::Everything
    }
}
