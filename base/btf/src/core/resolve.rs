//! One relocation: the path in each candidate, and one answer of all that have it.

use alloc::string::String;
use alloc::vec::Vec;

use super::access::{Bad, Spec};
use super::candidates::Candidate;
use super::compat::Pair;
use super::error::{Choice, CoreError, CoreProblem, Whose};
use super::follow::Lost;
use super::value::{Outcome, Side, compare};
use super::{Budget, Class};
use crate::btf::{Btf, TypeId};
use crate::error::{Error, Problem, Section};
use crate::ext::CoreRelocKind;

/// The most candidates that an error names.
const MAX_CHOICES: usize = 16;

/// What a relocation asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'r> {
    /// The type of the program's BTF that the path starts from.
    pub type_id: TypeId,
    /// The path, such as `0:1:3`.
    pub access: &'r str,
    /// What is wanted.
    pub kind: CoreRelocKind,
}

/// What a relocation comes to, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The path in the program's own types.
    pub local: Spec,
    /// The first candidate that has it, and the path there.
    pub target: Option<Match>,
    /// How many candidates have it; all of them give the same answer.
    pub matching: usize,
    /// The answer.
    pub outcome: Outcome,
}

/// A candidate and the path in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The candidate.
    pub candidate: Candidate,
    /// The path.
    pub spec: Spec,
}

/// Answers one relocation; an object's are answered by [`Candidates::resolve`](super::Candidates::resolve).
///
/// `targets` are the BTFs that the candidates' [`Candidate::source`] count.
///
/// # Errors
///
/// Where the path is none in the program's own types, where candidates that have it do not agree, and where BTF is
/// malformed.
pub fn resolve(
    local: &Btf<'_>,
    request: &Request<'_>,
    targets: &[&Btf<'_>],
    candidates: &[Candidate],
) -> Result<Resolution, CoreError> {
    let mut budget = Budget::of_a_question();
    resolve_within(local, request, targets, candidates, &mut budget).map(|(resolution, _)| resolution)
}

/// Answers a relocation, and tells which candidates have what is asked.
pub(super) fn resolve_within(
    local: &Btf<'_>,
    request: &Request<'_>,
    targets: &[&Btf<'_>],
    candidates: &[Candidate],
    budget: &mut Budget,
) -> Result<(Resolution, Vec<Candidate>), CoreError> {
    let spec = match Spec::parse(local, request.kind, request.type_id, request.access) {
        Ok(spec) => spec,
        Err(bad) => return Err(unreadable(local, request, bad)),
    };
    let fail = |problem| CoreError { access: spec.access(local), problem };
    let here = |bad| fail(problem(bad, Whose::Local));
    if request.kind == CoreRelocKind::TypeIdLocal {
        let outcome = compare(local, &spec, Some((local, &spec)));
        let outcome = outcome.map_err(|(Side::Local(bad) | Side::Target(bad))| here(bad))?;
        return Ok((Resolution { local: spec, target: None, matching: 0, outcome }, Vec::new()));
    }
    if local.get(request.type_id).is_none_or(|ty| ty.name().is_empty()) {
        return Err(fail(CoreProblem::Anonymous));
    }
    let mut first: Option<(Match, Outcome)> = None;
    let mut matching = Vec::new();
    let mut choices: Vec<Choice> = Vec::new();
    for candidate in candidates.iter().copied() {
        let Some(btf) = targets.get(candidate.source as usize).copied() else { continue };
        let there = |bad| fail(problem(bad, Whose::Target(candidate)));
        let mut pair = Pair { local, target: btf, budget };
        let followed = pair.follow(&spec, candidate.type_id).map_err(|lost| match lost {
            Lost::Local(bad) => here(bad),
            Lost::Target(bad) => there(bad),
        })?;
        let Some(path) = followed else { continue };
        let outcome = compare(local, &spec, Some((btf, &path))).map_err(|side| match side {
            Side::Local(bad) => here(bad),
            Side::Target(bad) => there(bad),
        })?;
        let no_memory = |_| there(Bad::Btf(Error::at(Section::Types, 0, Problem::NoMemory)));
        matching.try_reserve(1).map_err(no_memory)?;
        matching.push(candidate);
        let Some((chosen, its)) = &first else {
            first = Some((Match { candidate, spec: path }, outcome));
            continue;
        };
        if path.bit_offset == chosen.spec.bit_offset && value(&outcome) == value(its) {
            continue;
        }
        if choices.is_empty() {
            choices.push(choice(targets, chosen.candidate, &chosen.spec, its));
        }
        if choices.len() < MAX_CHOICES {
            choices.push(choice(targets, candidate, &path, &outcome));
        }
    }
    if !choices.is_empty() {
        return Err(fail(CoreProblem::Ambiguous(choices)));
    }
    let Some((target, outcome)) = first else {
        let outcome = compare(local, &spec, None);
        let outcome = outcome.map_err(|(Side::Local(bad) | Side::Target(bad))| here(bad))?;
        return Ok((Resolution { local: spec, target: None, matching: 0, outcome }, matching));
    };
    let count = matching.len();
    Ok((Resolution { local: spec, target: Some(target), matching: count, outcome }, matching))
}

fn choice(targets: &[&Btf<'_>], candidate: Candidate, spec: &Spec, outcome: &Outcome) -> Choice {
    let btf = targets.get(candidate.source as usize);
    let text = btf.map_or_else(String::new, |btf| spec.text(btf));
    Choice { candidate, text, value: value(outcome).unwrap_or(0) }
}

fn value(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Outcome::Value(values) => Some(values.target),
        Outcome::Missing => None,
    }
}

fn problem(bad: Bad, whose: Whose) -> CoreProblem {
    match bad {
        Bad::Core(problem) => problem,
        Bad::Btf(error) => CoreProblem::Btf { whose, error },
    }
}

/// The error of a path that is none: the type, and the path as it stands.
fn unreadable(local: &Btf<'_>, request: &Request<'_>, bad: Bad) -> CoreError {
    let mut access = Spec::new(request.kind, request.type_id).access(local);
    if Class::of(request.kind) != Class::Type {
        access.push_str(" + ");
        access.push_str(request.access);
    }
    CoreError { access, problem: problem(bad, Whose::Local) }
}
