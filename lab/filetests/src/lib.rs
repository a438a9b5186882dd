//! Programs in text with their inputs and what must come of them, run on every engine.
//!
//! A file in `cases/` holds cases one after the other. What is indented is the program, in either dialect of the
//! assembler; what is not says the rest:
//!
//! ```text
//! # A comment.
//! test a load past the end
//! memory 01 02 03
//!     r0 = *(u8 *)(r1 + 0)
//!     r0 = *(u16 *)(r1 + 2)    ;! out_of_bounds: read of 2 bytes at offset 2 of the memory, which has 3 bytes
//!     exit
//! ```
//!
//! | line | says |
//! | --- | --- |
//! | `test NAME` | a case begins |
//! | `memory HEX` | r1 points to these bytes, r2 is their number (so does a case without a type and without memory, with none) |
//! | `type TYPE` | the program is of this type, as `xdp`, and r1 its context |
//! | `packet HEX` | what a program of a type sees as its packet; `meta HEX` comes before it |
//! | `field NAME NUMBER` | what a field of the context holds |
//! | `fuel N` | how many instructions may be executed; 100,000 if not said |
//! | `calls through registers` | the program may have such calls, of its functions and of helpers; Linux has none |
//! | `unwritten zero` | stack that was not written may be read and is zero |
//! | `returns NUMBER` | what r0 is at the end, decimal or `0x` |
//! | `leaves HEX` | the memory, or the packet, afterwards |
//! | `  times N INSTRUCTION` | the instruction stands N times |
//! | `… ;! KIND` | the run stops on this instruction, with this kind of error (`exact` faults' codes); `: TEXT` after it is the message |
//! | `… ;! refused` | the program is not loaded, because of this instruction; `: TEXT` likewise |
//!
//! A case says either `returns` or, once, `;!` without the name of an engine. Every engine makes of that one definite
//! expectation of its own: the reference machine exactly what is written; the embedded kernel, which runs it, the same, with
//! its verifier's words for a refusal; the interpreter the same as far as addresses tell; Linux, whose verifier refuses beforehand, a refusal of the very instruction that stops
//! other engines. Where an engine does something else, the case says what, by the engine's name (`exact`, `embedded`,
//! `interpreter`, `linux`):
//!
//! | line | says |
//! | --- | --- |
//! | `… ;! ENGINE… KIND`, `… ;! ENGINE… refused` | what these engines do on this instruction; a line may have several `;!` |
//! | `on ENGINE… returns NUMBER` | what r0 is there |
//! | `on ENGINE… ends` | it is loaded and runs to its end, and what it returns is not defined |
//! | `on ENGINE… refused: TEXT` | the program is not loaded, and no instruction is named |
//! | `on ENGINE… anything` | it comes to some end there: what is wrong with it is nothing that this engine looks at |
//! | `on ENGINE… nothing` | it cannot be run there: the engine says why |
//!
//! On a kernel behind the seam the program is loaded with a few instructions around it: those that put the address of an
//! array's value and its size into r1 and r2, and those that write r0 into another where the program exits.

mod case;
mod engine;
pub mod generate;
mod helpers;
mod parse;
mod rules;

pub use case::{Case, Expected, Input, Place};
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub use engine::Jit;
#[cfg(target_os = "linux")]
pub use engine::Linux;
pub use engine::{
    ENGINES, Embedded, Ending, Engine, Evaluator, Exact, Interpreter, Placed, Ran, Refusal, Verified, check,
    wanted,
};
pub use helpers::{EACH, FILL, MIX, RING, SUM, UNWIND};
pub use parse::{ParseError, parse};
pub use rules::{
    EVERY_WAY, LOG, Linux as LinuxDiffers, Loaded, Loader, On, RuleCase, WAY, Which, Written, committed,
    on_subject, parse_rules, starts,
};
