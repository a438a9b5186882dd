//! The structural verdict.

use crate::flow::Reached;
use crate::linux;
use crate::registers;
use crate::rejection::{Rejection, Rule, no_memory, words};
use crate::rules::{self, Fault};
use crate::subject::Subject;
use alloc::string::String;
use alloc::vec::Vec;
use skep_isa::structure::{self, Structure, StructureErrorKind};
use skep_isa::{DecodeErrorKind, InsnIdx, Program};
use skep_model::platform::prog::Prog;

/// The most slots of a program (`BPF_COMPLEXITY_LIMIT_INSNS`, include/linux/bpf_verifier.h).
const MOST_SLOTS: usize = 1_000_000;
/// The most functions of a program, the main one included (`BPF_MAX_SUBPROGS`).
const MOST_FUNCTIONS: usize = 256;

/// A program whose structure is sound: only [`structured`] makes one.
///
/// Nothing is said of values. It may run where every access is checked, and nowhere else.
#[derive(Clone, Debug)]
pub struct Structured {
    program: Program,
    structure: Structure,
    doubts: Vec<Doubt>,
}

/// Something that decides the verdict only if some branch is taken, or that is not modelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// The instruction.
    pub insn: InsnIdx,
    /// What of it.
    pub message: String,
}

impl Structured {
    /// The instructions.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The functions.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// What the structure alone does not decide.
    pub fn doubts(&self) -> &[Doubt] {
        &self.doubts
    }
}

/// Looks at a program's structure.
///
/// # Errors
///
/// The first rule that the program breaks, in the order in which Linux looks.
pub fn structured(subject: &Subject<'_>) -> Result<Structured, Rejection> {
    structure(subject, Control::Certain)
}

/// Which instructions' own rules decide the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    /// Those to which control comes whatever branches do.
    Certain,
    /// None yet: every path is followed afterwards, in the order in which Linux does.
    Followed,
}

/// Looks at a program's structure, and at as many instructions as control comes to.
pub(crate) fn structure(subject: &Subject<'_>, control: Control) -> Result<Structured, Rejection> {
    let kind = subject.kind;
    let prog = subject.platform.prog(kind).ok_or_else(|| {
        let version = subject.platform.version;
        Rule::ProgType.broken(None, format_args!("wanted a program type of Linux {version}, found {kind}"))
    })?;
    if subject.slots.len() > MOST_SLOTS {
        return Err(Rule::Length
            .broken(None, format_args!("wanted at most {MOST_SLOTS} slots, found {}", subject.slots.len())));
    }
    let program = Program::decode(subject.slots).map_err(|error| match error.kind {
        DecodeErrorKind::OutOfMemory => no_memory(),
        kind => {
            let slot = subject.slots.get(error.at.index()).copied().unwrap_or_default();
            linux::undecodable(Rule::Decodes.broken(error.at, format_args!("{kind}")), &kind, slot)
        }
    })?;
    for (at, insn) in program.iter() {
        rules::known(subject, at, insn)?;
    }
    let structure = structure::check(&program).map_err(|error| match error.kind {
        StructureErrorKind::OutOfMemory => no_memory(),
        kind => linux::unstructured(Rule::Flow.broken(error.at, format_args!("{kind}")), error.at, &kind),
    })?;
    let functions = structure.subprograms().len();
    if functions > MOST_FUNCTIONS {
        return Err(Rule::Functions
            .broken(None, format_args!("wanted at most {MOST_FUNCTIONS} functions, found {functions}"))
            .says(format_args!("too many subprograms")));
    }
    for (at, insn) in program.iter() {
        rules::refers(subject, at, insn)?;
    }
    let reached = Reached::walk(&program, &structure, subject.exception_callback)?;
    reached.check(&program)?;
    if control == Control::Certain {
        refuse_certain(subject, prog, &program, &reached)?;
    }
    let mut doubts = Vec::new();
    for (at, insn) in program.iter() {
        let message = match rules::fault(subject, prog, at, insn) {
            Some(Fault::Broken(rejection)) if rejection.rule == Rule::Memory => return Err(rejection),
            Some(Fault::Broken(rejection)) => {
                let message = words(format_args!("{}, if control comes here", rejection.message));
                message.ok_or_else(no_memory)?
            }
            Some(Fault::Unmodelled(message)) => message,
            None => continue,
        };
        doubts.try_reserve(1).map_err(|_| no_memory())?;
        doubts.push(Doubt { insn: at, message });
    }
    Ok(Structured { program, structure, doubts })
}

/// Refuses the first instruction on the certain way that breaks a rule: Linux follows control, not the text.
fn refuse_certain(
    subject: &Subject<'_>,
    prog: &Prog,
    program: &Program,
    reached: &Reached,
) -> Result<(), Rejection> {
    let mut uninitialised = registers::uninitialised(program, reached, subject.kind);
    for &at in reached.certain() {
        // What an instruction reads is looked at before what it does.
        let is_here = |rejection: &mut Rejection| rejection.insn.is_none_or(|insn| insn == at);
        if let Some(rejection) = uninitialised.take_if(is_here) {
            return Err(rejection);
        }
        let Some(insn) = program.at(at) else { continue };
        if let Some(Fault::Broken(rejection)) = rules::fault(subject, prog, at, insn) {
            return Err(rejection);
        }
    }
    Ok(())
}
