//! Verifiers: what may refuse a program before it is ever run.

use crate::Program;
use alloc::borrow::Cow;
use core::fmt;
use skep_isa::{Insn, InsnIdx};

/// Looks at a program before it is loaded, and may refuse it.
///
/// Any number of them may be stacked. None can make a machine check less: what every one of them accepts is still run with
/// all checks.
///
/// ```
/// use skep_machine::isa::{AluOp, Insn};
/// use skep_machine::{Program, Refusal, Setup};
///
/// let no_division = |program: &Program| {
///     let division = |insn| matches!(insn, Insn::Alu { op: AluOp::Div, .. });
///     match program.code().iter().find(|(_, insn)| division(*insn)) {
///         Some((at, _)) => Err(Refusal::at(at, "divisions are slow")),
///         None => Ok(()),
///     }
/// };
/// let setup = Setup::<()>::new().verifier(no_division);
/// let error = setup.load(Program::from_text("r0 = 9\nr0 /= 3\nexit")?).unwrap_err();
/// assert_eq!(error.to_string(), "instruction 1: divisions are slow");
/// # Ok::<(), skep_machine::ProgramError>(())
/// ```
pub trait Verifier {
    /// Accepts or refuses a program.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] says what is wrong with it, and where.
    fn verify(&self, program: &Program) -> Result<(), Refusal>;
}

impl<F: Fn(&Program) -> Result<(), Refusal>> Verifier for F {
    fn verify(&self, program: &Program) -> Result<(), Refusal> {
        self(program)
    }
}

/// Says why a verifier refuses a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    at: Option<InsnIdx>,
    message: Cow<'static, str>,
}

impl Refusal {
    /// Refuses the program as a whole.
    pub fn new(message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { at: None, message: message.into() }
    }

    /// Refuses one instruction.
    pub fn at(at: InsnIdx, message: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { at: Some(at), message: message.into() }
    }

    /// Returns the instruction, if it is one that is refused.
    pub fn insn(&self) -> Option<InsnIdx> {
        self.at
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl core::error::Error for Refusal {}

/// Refuses programs of more slots than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtMost(pub usize);

impl Verifier for AtMost {
    fn verify(&self, program: &Program) -> Result<(), Refusal> {
        let found = program.code().len();
        match found > self.0 {
            true => Err(Refusal::new(alloc::format!("wanted at most {} slots, found {found}", self.0))),
            false => Ok(()),
        }
    }
}

/// Refuses programs that can go back, or call what only a register knows: what it accepts ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoLoops;

impl Verifier for NoLoops {
    fn verify(&self, program: &Program) -> Result<(), Refusal> {
        for (at, insn) in program.code().iter() {
            let back = |target: Option<InsnIdx>| target.is_some_and(|target| target <= at);
            if back(insn.jump_target(at)) {
                return Err(Refusal::at(at, "it leads back, and loops are not allowed"));
            }
            // Every circle of calls has one that goes back.
            if back(insn.call_target(at)) || matches!(insn, Insn::CallReg { .. }) {
                return Err(Refusal::at(at, "it may call itself, and recursion is not allowed"));
            }
        }
        Ok(())
    }
}
