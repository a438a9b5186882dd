//! The BTF of this kernel.

use std::sync::Arc;

pub(crate) fn btf() -> Arc<[u8]> {
    Arc::default()
}
