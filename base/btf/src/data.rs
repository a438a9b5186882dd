//! The bytes that BTF is read from.

use alloc::sync::Arc;
use alloc::vec::Vec;

/// Bytes that several may keep, such as a file that is mapped.
///
/// Whatever they are, nothing here trusts them to stay what they were: each read is checked.
pub type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Whose the bytes are.
#[derive(Clone)]
pub(crate) enum Data<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Shared(SharedBytes),
}

impl Data<'_> {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Data::Borrowed(bytes) => bytes,
            Data::Owned(bytes) => bytes,
            Data::Shared(bytes) => (**bytes).as_ref(),
        }
    }

    pub(crate) fn into_owned(self) -> Data<'static> {
        match self {
            Data::Borrowed(bytes) => Data::Owned(bytes.to_vec()),
            Data::Owned(bytes) => Data::Owned(bytes),
            Data::Shared(bytes) => Data::Shared(bytes),
        }
    }
}
