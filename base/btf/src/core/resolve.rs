//! One relocation: the path in each candidate, and one answer of all that have it.

use alloc::string::String;
use alloc::vec::Vec;

use super::Class;
use super::access::{Bad, Spec};
use super::candidates::Candidate;
use super::compat::Pair;
use super::error::{Choice, CoreError, CoreProblem, Whose};
use super::follow::Lost;
use super::value::{Outcome, Side, compare};
use crate::btf::{Btf, TypeId};
use crate::ext::CoreRelocKind;

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

/// Answers a relocation.
///
/// `targets` are the BTFs that the candidates' [`Candidate::source`] count. Candidates that do not have what is asked are
/// struck from the list if another does: whoever asks about the same type again asks only those that had it before, as
/// libbpf does it.
///
/// # Errors
///
/// Where the path is none in the program's own types, where candidates that have it do not agree, and where BTF is
/// malformed.
pub fn resolve(
    local: &Btf<'_>,
    request: &Request<'_>,
    targets: &[&Btf<'_>],
    candidates: &mut Vec<Candidate>,
) -> Result<Resolution, CoreError> {
    let spec = match Spec::parse(local, request.kind, request.type_id, request.access) {
        Ok(spec) => spec,
        Err(bad) => return Err(unreadable(local, request, bad)),
    };
    let fail = |problem| CoreError { access: spec.access(local), problem };
    let here = |bad| fail(problem(bad, Whose::Local));
    if request.kind == CoreRelocKind::TypeIdLocal {
        let outcome = compare(local, &spec, Some((local, &spec)));
        let outcome = outcome.map_err(|(Side::Local(bad) | Side::Target(bad))| here(bad))?;
        return Ok(Resolution { local: spec, target: None, matching: 0, outcome });
    }
    if local.get(request.type_id).is_none_or(|ty| ty.name().is_empty()) {
        return Err(fail(CoreProblem::Anonymous));
    }
    let mut found: Vec<(Match, Outcome)> = Vec::new();
    for candidate in candidates.iter().copied() {
        let Some(btf) = targets.get(candidate.source as usize).copied() else { continue };
        let there = |bad| fail(problem(bad, Whose::Target(candidate)));
        let followed = Pair::new(local, btf).follow(&spec, candidate.type_id).map_err(|lost| match lost {
            Lost::Local(bad) => here(bad),
            Lost::Target(bad) => there(bad),
        })?;
        let Some(path) = followed else { continue };
        let outcome = compare(local, &spec, Some((btf, &path))).map_err(|side| match side {
            Side::Local(bad) => here(bad),
            Side::Target(bad) => there(bad),
        })?;
        found.push((Match { candidate, spec: path }, outcome));
    }
    let Some((first, outcome)) = found.first() else {
        let outcome = compare(local, &spec, None);
        let outcome = outcome.map_err(|(Side::Local(bad) | Side::Target(bad))| here(bad))?;
        return Ok(Resolution { local: spec, target: None, matching: 0, outcome });
    };
    let agrees = |(other, its): &(Match, Outcome)| {
        other.spec.bit_offset == first.spec.bit_offset && value(its) == value(outcome)
    };
    if !found.iter().all(agrees) {
        let choices = found.iter().map(|(other, its)| Choice {
            candidate: other.candidate,
            text: targets
                .get(other.candidate.source as usize)
                .map_or_else(String::new, |btf| other.spec.text(btf)),
            value: value(its).unwrap_or(0),
        });
        return Err(fail(CoreProblem::Ambiguous(choices.collect())));
    }
    let (matching, outcome) = (found.len(), *outcome);
    candidates.clear();
    candidates.extend(found.iter().map(|(other, _)| other.candidate));
    Ok(Resolution {
        local: spec,
        target: found.into_iter().next().map(|(first, _)| first),
        matching,
        outcome,
    })
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
