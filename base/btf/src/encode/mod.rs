//! Types to bytes: a builder, and what loaders rewrite before a kernel takes the result.

mod builder;
mod externs;
mod fixup;
mod patch;
mod sanitize;
mod strings;

pub use builder::Builder;
pub use fixup::{ObjectLayout, Symbol, Visibility};
pub use sanitize::{Feature, Support};
