//! x86-64.
//!
//! | level | type | checked |
//! | --- | --- | --- |
//! | operands | [`Gpr`], [`Mem`], [`Rm`], [`Size`], … | nothing that can be written down is unencodable |
//! | instruction | [`Inst`]: at most fifteen bytes | feature tokens for what not every processor has |
//! | code | [`Assembler`], then [`Plan`] | labels are bound, distances fit, the slice is long enough |

mod asm;
mod emit;
mod features;
mod inst;
mod target;

pub use asm::{
    Align, Alignment, AsmError, Assembler, CodeOffset, Label, Options, Plan, SideTable, Tag, WriteError,
};
pub use emit::{Direct, EmitError, EmitOptions, Emitted, Piece, Stacks, Successor, emit};
pub use features::{Bmi1, Bmi2, Cpuid, Feature, Features, Lzcnt, Movbe, Popcnt};
pub use inst::{
    Alu, Bit, Cond, Flags, Gpr, Index, Inst, LockAlu, Mem, Narrow, Rm, Scale, Shift, ShiftX, Size, SizedImm,
    SwapSize, Unary, Width,
};
pub use target::{StateIn, Target};
