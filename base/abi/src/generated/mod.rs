//! What `cargo xtask abi` makes from a kernel's BTF.

pub(crate) mod attr;
pub(crate) mod ctx;
pub(crate) mod func_id;
pub(crate) mod ids;
pub(crate) mod info;
pub(crate) mod records;
