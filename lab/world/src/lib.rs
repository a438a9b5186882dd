//! What programs find that test the verifier: maps by descriptor, functions' types, and the types of a small kernel.
//!
//! The verifier's own tests, the fuzz target and the cases of `lab/filetests/rules` share it, so a program of one can be given to
//! the others. The maps can be made on a kernel too: [`value_types`] has the types of the values that need them.

mod functions;
mod host;
mod kernel;
mod maps;
mod text;
mod value;

pub use functions::{Function, Functions, Linkage, Parameter, functions};
pub use host::HOST;
pub use kernel::{Kernel, kernel};
pub use maps::{Among, FIRST, MAPS, Values, World, value_types};
pub use text::Text;
pub use value::ValueType;
