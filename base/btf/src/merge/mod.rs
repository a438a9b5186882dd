//! Several BTFs become one: types and strings appended with new numbers, and `.BTF.ext` that follows them. Or
//! one becomes smaller.

mod append;
mod ext;
mod minimal;
mod renumbered;
mod select;

pub use ext::ExtBuilder;
pub use renumbered::Renumbered;
pub(crate) use renumbered::StringMap;
pub use select::Fate;
