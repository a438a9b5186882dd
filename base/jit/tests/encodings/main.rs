//! A second disassembler reads what the encoder writes: every form with every register, width and class of displacement has
//! the mnemonic, the operands and the length that it should have.
//!
//! Here are the families, as in `src/x86_64/inst`; [`check`] says what is compared and over which operands.

mod alu;
mod atomic;
mod bits;
mod check;
mod flow;
mod mov;
mod shift;
mod vex;
