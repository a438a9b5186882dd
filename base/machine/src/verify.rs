//! Verifiers: what may refuse a program before it is ever run.

use crate::Program;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::fmt;
use skep_isa::{Insn, InsnIdx};
use skep_model::platform::{Platform, ProgType};
use skep_verifier::{Limits, Subject};

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

/// Follows every path of a program on a platform, the embedder's own perhaps, and refuses what may go wrong on any: an access outside of
/// what there is, a value that was never written, an object that is used without a test or never given back, a loop without an end.
///
/// Programs start with their [context](crate::platform::context::Context) in r1, and name no maps. What the machine is made of
/// is to be what the platform says: nobody compares the two.
///
/// ```
/// use skep_machine::platform::context::{Context, Field};
/// use skep_machine::platform::prog::Prog;
/// use skep_machine::platform::{OWN_TYPES, Platform, ProgType};
/// use skep_machine::{EveryPath, Program, Setup};
///
/// const RULE: ProgType = ProgType(OWN_TYPES);
/// static REQUEST: Context = Context {
///     name: "request",
///     size: 8,
///     fields: &[Field::own("status", 0, 4), Field::own("priority", 4, 4).writable()],
/// };
/// static RULES: [Prog; 1] = [Prog::own(RULE, &REQUEST)];
/// const PLATFORM: Platform = Platform { own_progs: &RULES, ..Platform::LINUX_6_18 };
///
/// let setup = || Setup::<()>::new().verifier(EveryPath::on(PLATFORM, RULE));
/// let rule = "r0 = *(u32 *)(r1 + 0)\n*(u32 *)(r1 + 4) = r0\nexit";
/// assert!(setup().load(Program::from_text(rule)?).is_ok());
/// let error = setup().load(Program::from_text(&rule.replace("+ 4", "+ 0"))?).unwrap_err();
/// assert!(error.to_string().contains("this program type may not write `status`"), "{error}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EveryPath {
    platform: Platform,
    kind: ProgType,
    limits: Limits,
}

impl EveryPath {
    /// Looks at programs of a type on a platform, within Linux's limits.
    pub const fn on(platform: Platform, kind: ProgType) -> EveryPath {
        EveryPath { platform, kind, limits: Limits::LINUX }
    }

    /// Sets other limits. With [`Loops::Metered`](skep_verifier::Loops::Metered) a program may have loops without an end, and
    /// wants [fuel](crate::Cpu::with_fuel).
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> EveryPath {
        self.limits = limits;
        self
    }
}

impl Verifier for EveryPath {
    fn verify(&self, program: &Program) -> Result<(), Refusal> {
        let mut slots = Vec::new();
        slots
            .try_reserve_exact(program.code().len())
            .map_err(|_| Refusal::new("there is no memory to look at it"))?;
        slots.extend(program.code().encode());
        let subject = Subject::new(&slots, &self.platform, self.kind, &());
        let Err(rejection) = skep_verifier::verify(&subject, &self.limits) else { return Ok(()) };
        let at = rejection.insn;
        let message = match rejection.message.is_empty() {
            true => Cow::Borrowed(rejection.help()),
            false => Cow::Owned(rejection.message),
        };
        Err(Refusal { at, message })
    }
}
