//! CO-RE: what programs expect of the kernel's types, answered from its BTF and written into their instructions.

use super::types::KernelTypes;
use crate::error::{Error, ErrorKind, Result};
use crate::object::{TargetBtf, TargetTypes};
use crate::{CoreOutcome, CoreRelocation, Object, kernel_btf};
use skep_abi::Errno;
use skep_btf::core::{
    Candidates, CoreError, CoreProblem, Outcome, POISON, Patched, RawInsn, Request, Resize, Resolution,
    patch, resolve,
};
use skep_btf::{Btf, CoreRelocKind, TypeId};
use skep_model::{CoreTarget, ProgramSpec, RelocTarget, Relocation};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// The relocations of a load, answered when the first of a kind is met, and each question once.
pub(super) struct Core<'o> {
    object: &'o Object,
    search: Option<Search<'o>>,
    known: BTreeMap<(u32, &'o str, u32), Arc<Resolution>>,
}

/// The BTFs that are searched, and what was found in them.
struct Search<'o> {
    targets: Vec<Target>,
    candidates: Candidates<'o>,
}

/// A BTF that is searched.
struct Target {
    /// `vmlinux`, the name of a module, or the path of a file.
    name: String,
    btf: Arc<Btf<'static>>,
}

/// An instruction that was poisoned, and what it wanted.
pub(super) struct Poisoned {
    insn: u32,
    resolution: Arc<Resolution>,
}

impl<'o> Core<'o> {
    pub(super) fn new(object: &'o Object) -> Core<'o> {
        Core { object, search: None, known: BTreeMap::new() }
    }

    /// Writes the answer to a relocation into its instruction, the first of `slots`; gives it where that had to be poisoned.
    pub(super) fn apply(
        &mut self,
        types: &mut KernelTypes<'o>,
        slots: &mut [RawInsn],
        relocation: &'o Relocation,
    ) -> Result<Option<Poisoned>> {
        let resolution = self.resolution(types, relocation)?;
        let done = patch(slots, 0, &resolution.outcome).map_err(|error| {
            let what = format!("CO-RE relocation of {}: {error}", self.access(&resolution));
            Error::new(ErrorKind::Object, what).with_source(error)
        })?;
        let insn = relocation.insn.0;
        Ok((done == Patched::Poisoned).then_some(Poisoned { insn, resolution }))
    }

    /// Answers a relocation.
    fn resolution(
        &mut self,
        types: &mut KernelTypes<'o>,
        relocation: &'o Relocation,
    ) -> Result<Arc<Resolution>> {
        let (request, number) = request(relocation)?;
        let key = (request.type_id.0, request.access, number);
        if let Some(known) = self.known.get(&key) {
            return Ok(Arc::clone(known));
        }
        let needs_target = request.kind != CoreRelocKind::TypeIdLocal;
        if self.search.is_none() && needs_target {
            self.search = Some(self.begin(types)?);
        }
        let answer = match &mut self.search {
            Some(search) => {
                let targets: Vec<&Btf<'_>> = search.targets.iter().map(|target| &*target.btf).collect();
                search.candidates.resolve(&request, &targets)
            }
            None => resolve(local(self.object)?, &request, &[], &[]),
        };
        let resolution = Arc::new(answer.map_err(failed)?);
        // An answer stays the same: later ones strike candidates from the list only if they do not have what is asked.
        match self.known.entry(key) {
            Entry::Occupied(known) => Ok(Arc::clone(known.get())),
            Entry::Vacant(free) => Ok(Arc::clone(free.insert(resolution))),
        }
    }

    /// Looks for the types of all relocations: in the kernel's BTF, and for those that it does not have in the BTF of its
    /// modules. A BTF that the caller has set stands for all of them.
    fn begin(&self, types: &mut KernelTypes<'o>) -> Result<Search<'o>> {
        let (name, file) = match &self.object.target_btf {
            Some(TargetBtf { name, types: TargetTypes::Whole(btf) }) => (name, Arc::clone(btf)),
            Some(TargetBtf { name, types: TargetTypes::Module(split) }) => {
                (name, Arc::new(kernel_btf::fit(types.kernel(), split, name)?))
            }
            Some(TargetBtf { name, types: TargetTypes::File }) => {
                (name, Arc::new(kernel_btf::read_fitted(types.kernel(), name)?))
            }
            None => {
                let vmlinux = types.vmlinux().map_err(|error| match error.errno() {
                    Some(Errno::ENOENT) => error.hint(
                        "CO-RE needs the kernel's BTF (CONFIG_DEBUG_INFO_BTF), or one set with Object::set_target_btf",
                    ),
                    _ => error,
                })?;
                let mut candidates = types.candidates(&vmlinux)?;
                candidates.settle();
                let vmlinux = Target { name: "vmlinux".to_owned(), btf: vmlinux };
                let mut search = Search { targets: vec![vmlinux], candidates };
                search.add_modules(types)?;
                return Ok(search);
            }
        };
        let none = || Error::new(ErrorKind::Object, "has no CO-RE relocation of another type than its own");
        let candidates = candidates(self.object, types.wanted())?.ok_or_else(none)?;
        let mut search = Search { targets: Vec::new(), candidates };
        if file.base().is_some() {
            search.add("vmlinux".to_owned(), types.kernel().vmlinux()?)?;
        }
        search.add(name.clone(), file)?;
        Ok(search)
    }

    /// What a relocation is of, as C would say it.
    fn access(&self, resolution: &Resolution) -> String {
        match &self.object.btf {
            Some(btf) => resolution.local.access(btf),
            None => String::new(),
        }
    }

    /// Says of a program that was refused for a poisoned instruction what it wanted.
    pub(super) fn explain(&mut self, error: Error, poisoned: &[Poisoned]) -> Error {
        let Some(log) = error.verifier_log() else { return error };
        let Some(insn) = poisoned_insn(log) else { return error };
        let Some(poisoned) = poisoned.iter().find(|poisoned| poisoned.insn == insn) else { return error };
        let access = self.access(&poisoned.resolution);
        let root = poisoned.resolution.local.root;
        let what = match (&poisoned.resolution.outcome, &poisoned.resolution.target) {
            (Outcome::Value(values), Some(found)) if values.resize == Resize::Wrong => {
                let there = self.search.as_ref().and_then(|search| {
                    let target = search.targets.get(found.candidate.source as usize)?;
                    Some(found.spec.text(&target.btf))
                });
                format!(
                    "accesses {access} as something of another size or sign than the kernel's ({}); declare it as there, or \
                     read it with BPF_CORE_READ_INTO",
                    there.unwrap_or_default()
                )
            }
            _ => format!(
                "needs {access}, which this kernel does not have ({}); guard it with {}",
                self.candidates_of(root),
                guard(poisoned.resolution.local.kind)
            ),
        };
        error.say(&what).at_insn(insn)
    }

    /// Lists the kernel's types of that name.
    fn candidates_of(&mut self, root: TypeId) -> String {
        let Some(Search { targets, candidates, .. }) = &mut self.search else {
            return "it was not searched".to_owned();
        };
        let list = candidates.of(root).unwrap_or_default();
        let texts = list.iter().filter_map(|candidate| {
            let target = targets.get(candidate.source as usize)?;
            let ty = target.btf.get(candidate.type_id)?;
            let kind = ty.kind().map_or("void", |kind| kind.name());
            Some(format!("[{}] {kind} {} of {}", candidate.type_id.0, ty.name(), target.name))
        });
        let texts: Vec<String> = texts.collect();
        match texts.is_empty() {
            true => "no type of that name and kind".to_owned(),
            false => format!("candidates: {}", texts.join(", ")),
        }
    }

    /// Answers each relocation of the wanted programs, for a report.
    pub(super) fn report(mut self, types: &mut KernelTypes<'o>) -> Result<Vec<CoreRelocation>> {
        let mut report = Vec::new();
        for program in types.wanted().to_vec() {
            for relocation in &program.relocations {
                if !matches!(relocation.target, RelocTarget::Core { .. }) {
                    continue;
                }
                let (request, _) = request(relocation)?;
                let answer = self.resolution(types, relocation);
                report.push(self.entry(program, relocation, request.kind, answer)?);
            }
        }
        Ok(report)
    }

    fn entry(
        &self,
        program: &ProgramSpec,
        relocation: &Relocation,
        kind: CoreRelocKind,
        answer: Result<Arc<Resolution>>,
    ) -> Result<CoreRelocation> {
        let mut entry = CoreRelocation {
            program: program.name.clone(),
            insn: relocation.insn.0,
            kind,
            access: String::new(),
            local: String::new(),
            target: None,
            source: None,
            matching: 0,
            outcome: CoreOutcome::Poisoned,
        };
        let resolution = match answer {
            Ok(resolution) => resolution,
            // Without a target there is nothing to report; all else is of this relocation.
            Err(error) if self.search.is_none() => return Err(error),
            Err(error) => {
                entry.outcome = CoreOutcome::Failed(error.to_string());
                return Ok(entry);
            }
        };
        let local = local(self.object)?;
        entry.access = resolution.local.access(local);
        entry.local = resolution.local.text(local);
        entry.matching = resolution.matching;
        if let (Some(found), Some(search)) = (&resolution.target, &self.search) {
            let target = search.targets.get(found.candidate.source as usize);
            entry.target = target.map(|target| found.spec.text(&target.btf));
            entry.source = target.map(|target| target.name.clone());
        }
        // The instruction, and the second slot of a wide one.
        let slots = program.insns.iter().skip(relocation.insn.index()).take(2);
        let mut slots: Vec<RawInsn> = slots.copied().collect();
        entry.outcome = match (patch(&mut slots, 0, &resolution.outcome), resolution.outcome) {
            (Ok(Patched::Poisoned), _) | (Ok(_), Outcome::Missing) => CoreOutcome::Poisoned,
            (Ok(patched), Outcome::Value(values)) => patched_to(patched, values.target),
            (Err(error), _) => CoreOutcome::Failed(error.to_string()),
        };
        Ok(entry)
    }
}

impl Search<'_> {
    fn add(&mut self, name: String, btf: Arc<Btf<'static>>) -> Result<()> {
        let source = self.targets.len() as u32;
        self.candidates.search(source, &btf).map_err(|error| bad_btf(error, ErrorKind::Unsupported))?;
        self.targets.push(Target { name, btf });
        Ok(())
    }

    /// Searches the BTF of each module for what is still open.
    fn add_modules(&mut self, types: &mut KernelTypes<'_>) -> Result<()> {
        let Some(vmlinux) = self.targets.first().map(|target| Arc::clone(&target.btf)) else { return Ok(()) };
        let mut place = 0;
        while self.candidates.is_open() {
            let kernel = types.kernel();
            let Some(module) = types.modules.at(kernel, &vmlinux, place)? else { break };
            let (name, btf) = (module.name.clone(), Arc::clone(&module.btf));
            self.add(name, btf)?;
            place += 1;
        }
        Ok(())
    }
}

/// What was done to an instruction, which got this value.
fn patched_to(patched: Patched, to: u64) -> CoreOutcome {
    let signed = |value: i64| value as u64;
    match patched {
        Patched::Immediate { from, .. } => {
            CoreOutcome::Patched { from: signed(from.into()), to, resized: None }
        }
        Patched::Offset { from, resized, .. } => {
            CoreOutcome::Patched { from: signed(from.into()), to, resized }
        }
        Patched::Wide { from, .. } => CoreOutcome::Patched { from, to, resized: None },
        Patched::Poisoned => CoreOutcome::Poisoned,
    }
}

/// Begins to look for the types of all relocations; `None` where there is none that needs a type of the kernel's.
pub(super) fn candidates<'o>(
    object: &'o Object,
    wanted: &[&'o ProgramSpec],
) -> Result<Option<Candidates<'o>>> {
    let relocations = wanted.iter().flat_map(|program| &program.relocations);
    let mut types = relocations.filter_map(|relocation| match &relocation.target {
        RelocTarget::Core(core) if core.kind != CoreRelocKind::TypeIdLocal as u32 => {
            Some(TypeId(core.type_id.0))
        }
        _ => None,
    });
    let Some(first) = types.next() else { return Ok(None) };
    let types = std::iter::once(first).chain(types);
    let candidates = Candidates::new(local(object)?, types);
    candidates.map(Some).map_err(|error| bad_btf(error, ErrorKind::Object))
}

fn local(object: &Object) -> Result<&Btf<'static>> {
    let btf = object.btf.as_deref();
    btf.ok_or_else(|| {
        Error::new(ErrorKind::Object, "has CO-RE relocations and no BTF that they could refer to")
    })
}

/// Reads what a relocation asks.
fn request(relocation: &Relocation) -> Result<(Request<'_>, u32)> {
    let RelocTarget::Core(core) = &relocation.target else {
        return Err(Error::new(ErrorKind::Object, "is no CO-RE relocation"));
    };
    let CoreTarget { type_id, access, kind: number } = &**core;
    let kind = CoreRelocKind::from_number(*number)
        .ok_or_else(|| Error::new(ErrorKind::Object, format!("CO-RE relocation of unknown kind {number}")))?;
    Ok((Request { type_id: TypeId(type_id.0), access, kind }, *number))
}

fn failed(error: CoreError) -> Error {
    let kind = match &error.problem {
        CoreProblem::Ambiguous(_) => ErrorKind::Unsupported,
        CoreProblem::Btf { whose: skep_btf::core::Whose::Target(_), .. } => ErrorKind::Unsupported,
        _ => ErrorKind::Object,
    };
    Error::new(kind, error.to_string()).with_source(error)
}

pub(super) fn bad_btf(error: skep_btf::Error, kind: ErrorKind) -> Error {
    Error::new(kind, error.to_string()).in_section(".BTF").with_source(error)
}

/// What a program asks before it uses what may be missing (libbpf's `bpf_core_read.h`).
fn guard(kind: CoreRelocKind) -> &'static str {
    match kind {
        CoreRelocKind::EnumvalExists | CoreRelocKind::EnumvalValue => "bpf_core_enum_value_exists()",
        CoreRelocKind::TypeIdLocal
        | CoreRelocKind::TypeIdTarget
        | CoreRelocKind::TypeExists
        | CoreRelocKind::TypeSize
        | CoreRelocKind::TypeMatches => "bpf_core_type_exists()",
        _ => "bpf_core_field_exists()",
    }
}

/// Finds the instruction that a log refuses because it was poisoned: its line, then `invalid func unknown#195896080`.
fn poisoned_insn(log: &str) -> Option<u32> {
    let marker = format!("unknown#{POISON}");
    if !log.lines().any(|line| line.contains("invalid func") && line.contains(&marker)) {
        return None;
    }
    log.lines().rev().find_map(|line| {
        let (number, rest) = line.split_once(": (85) call ")?;
        if !rest.contains(&marker) {
            return None;
        }
        number.trim().parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_says_which_instruction_was_poisoned() {
        let log = "0: R1=ctx() R10=fp0\n; return a->b; @ x.c:8\n12: (85) call unknown#195896080\n\
                   invalid func unknown#195896080\nprocessed 2 insns\n";
        assert_eq!(poisoned_insn(log), Some(12));
        assert_eq!(poisoned_insn("12: (85) call unknown#195896080\nR1 invalid\n"), None);
        assert_eq!(poisoned_insn("12: (85) call unknown#7\ninvalid func unknown#7\n"), None);
        assert_eq!(poisoned_insn("invalid func unknown#195896080\n"), None);
    }
}
