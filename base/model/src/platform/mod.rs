//! The platform: what a kernel offers to programs, as tables.

pub mod helper;
pub mod helpers;
pub mod sets;
pub mod version;
