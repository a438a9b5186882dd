//! CO-RE: two bytes say how long the program's BTF is, two more how long its `.BTF.ext`; the rest is the target's BTF.
//!
//! Promised: whatever the bytes, each relocation has an answer or an error that has a text, with an amount of work that the
//! bytes bound; a path that leads to where it starts gives the value that is there; an instruction that takes no value stays
//! as it is, and no other is touched; what an object of these parts comes to is the same from the library's loader, which
//! loads it into a kernel that refuses everything.

mod object;
mod refusing;

use skep::{CoreOutcome, Kernel, Object};
use skep_btf::core::{
    Candidates, CoreError, Outcome, Patched, RawInsn, Request, Resize, Resolution, Used, Values, patch,
    resolve, types_are_compatible,
};
use skep_btf::{Btf, CoreRelo, Ext};
use std::sync::Arc;

/// Relocations that are answered; the rest would only take time.
const ANSWERED: usize = 48;
/// Relocations whose types are compared with all candidates, and which are answered in the program's own types.
const COMPARED: usize = 4;

/// One relocation, with what it says.
pub(crate) struct Asked<'r> {
    section: &'r str,
    record: CoreRelo,
    access: &'r str,
}

pub(crate) fn run(data: &[u8]) {
    let Some((lengths, rest)) = data.split_first_chunk::<4>() else { return };
    let length = |low: usize| usize::from(u16::from_le_bytes([lengths[low], lengths[low + 1]]));
    let (local_bytes, rest) = rest.split_at(length(0).min(rest.len()));
    let (ext_bytes, target_bytes) = rest.split_at(length(2).min(rest.len()));
    let Ok(local) = Btf::parse(local_bytes) else { return };
    let ext = match Ext::parse(ext_bytes, &local) {
        Ok(ext) => ext,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    read(&local, &ext);
    let asked: Vec<_> = asked(&local, &ext).take(ANSWERED).collect();
    let answers = answer(&local, &asked, target_bytes);
    if asked.is_empty() || answers.iter().all(Option::is_none) {
        return;
    }
    load(&object::elf(&local, local_bytes, ext_bytes, &asked, &answers), target_bytes);
}

/// The records beside the relocations: sections are found by their names, lines are of a number and a column.
fn read(local: &Btf<'_>, ext: &Ext<'_>) {
    for section in ext.func_info() {
        let name = local.string(section.name).and_then(|bytes| std::str::from_utf8(bytes).ok());
        assert!(name.is_none_or(|name| ext.func_info().named(local, name).is_some()));
        assert!(section.records.take(ANSWERED).all(|record| local.get(record.type_id).is_some()));
    }
    for record in ext.line_info().flat_map(|section| section.records).take(ANSWERED) {
        assert_eq!(record.line_col, record.line_number() << 10 | record.column());
        assert!(local.text(record.file_name).is_some() && local.text(record.line).is_some());
    }
}

fn asked<'b>(local: &'b Btf<'b>, ext: &'b Ext<'_>) -> impl Iterator<Item = Asked<'b>> {
    let name = |off| local.string(off).and_then(|bytes| std::str::from_utf8(bytes).ok());
    ext.core_relos().flat_map(move |section| {
        let found = section.records.filter_map(move |record| {
            Some(Asked { section: name(section.name)?, record, access: name(record.access)? })
        });
        found.collect::<Vec<_>>()
    })
}

/// Answers every relocation in a target, in one that continues it, and in the program's own types; gives the answers of the
/// first.
fn answer(local: &Btf<'_>, asked: &[Asked<'_>], target: &[u8]) -> Vec<Option<Resolution>> {
    let Ok(target) = Btf::skim(target.to_vec()) else { return Vec::new() };
    let target = Arc::new(target);
    // The program's own types in the part of a module: identifiers and strings behind the target's lead anywhere.
    let module = Btf::skim_split(local.bytes().to_vec(), Arc::clone(&target)).ok();
    let targets: Vec<&Btf<'_>> =
        [Some(&*target), Some(local), module.as_ref()].into_iter().flatten().collect();
    let ids = asked.iter().map(|asked| asked.record.type_id);
    let Ok(mut near) = Candidates::new(local, ids) else { return Vec::new() };
    near.search(0, &target).expect("memory");
    let mut far = near.clone();
    far.settle();
    for (source, btf) in targets.iter().enumerate().skip(1) {
        far.search(source as u32, btf).expect("memory");
    }
    let mut used = Used::new();
    let mut answers = Vec::new();
    for (at, asked) in asked.iter().enumerate() {
        let request =
            Request { type_id: asked.record.type_id, access: asked.access, kind: asked.record.kind };
        check_candidates(local, &near, &targets, &request, at);
        check(local, &targets, &mut used, far.resolve(&request, &targets));
        if at < COMPARED {
            check_own(local, &request);
        }
        answers.push(check(local, &targets, &mut used, near.resolve(&request, &targets)));
    }
    assert!(used.types().all(|(id, _)| target.get(id).is_some()), "what is used exists");
    answers
}

/// Candidates are types that exist, and have the name.
fn check_candidates(
    local: &Btf<'_>,
    candidates: &Candidates<'_>,
    targets: &[&Btf<'_>],
    request: &Request<'_>,
    at: usize,
) {
    let list = candidates.of(request.type_id).expect("it was wanted");
    let essential = |btf: &Btf<'_>, id| {
        btf.get(id).map(|ty| skep_btf::core::essential_name(ty.name()).to_owned()).expect("it exists")
    };
    for candidate in list {
        let target = targets[candidate.source as usize];
        assert_eq!(essential(local, request.type_id), essential(target, candidate.type_id));
        if at < COMPARED {
            let _ = types_are_compatible(local, request.type_id, target, candidate.type_id);
        }
    }
}

/// The path in the very type that it starts from: if it leads to where it is, the value is the same.
fn check_own(local: &Btf<'_>, request: &Request<'_>) {
    let own = skep_btf::core::Candidate { source: 0, type_id: request.type_id };
    let Ok(found) = resolve(local, request, &[local], &[own]) else { return };
    let (Some(there), Outcome::Value(values)) = (&found.target, found.outcome) else { return };
    if there.spec.raw == found.local.raw {
        assert_eq!((values.local, values.resize), (values.target, Resize::Keep), "{request:?}");
    }
}

/// What every answer promises.
fn check(
    local: &Btf<'_>,
    targets: &[&Btf<'_>],
    used: &mut Used,
    answer: Result<Resolution, CoreError>,
) -> Option<Resolution> {
    let resolution = match answer {
        Ok(resolution) => resolution,
        Err(error) => {
            assert!(error.to_string().starts_with("CO-RE relocation of "), "{error}");
            return None;
        }
    };
    let _ = (resolution.local.text(local), resolution.local.access(local), resolution.local.is_path());
    assert_eq!(resolution.target.is_some(), resolution.matching > 0);
    if let Some(found) = &resolution.target {
        let target = targets[found.candidate.source as usize];
        assert!(!found.spec.text(target).is_empty());
        if used.add(&resolution, 0, targets[0]).is_err() {
            return None;
        }
    }
    for insns in object::every_insn(&resolution.outcome) {
        check_patch(&insns, &resolution.outcome);
    }
    Some(resolution)
}

fn check_patch(insns: &[RawInsn], outcome: &Outcome) {
    // What stands around it stays.
    let guard = RawInsn::new(0x95, 1, 2, 3, 4);
    let mut all = vec![guard];
    all.extend_from_slice(insns);
    all.push(guard);
    let before = all.clone();
    let target = match outcome {
        Outcome::Value(Values { target, .. }) => *target,
        Outcome::Missing => 0,
    };
    match patch(&mut all, 1, outcome) {
        Ok(Patched::Immediate { from, to }) => {
            assert_eq!((before[1].imm, all[1].imm), (from, to));
            assert_eq!(to, target as i32);
        }
        Ok(Patched::Offset { from, to, .. }) => {
            assert_eq!((before[1].off, all[1].off), (from, to));
            assert_eq!(to as u64, target);
        }
        Ok(Patched::Wide { to, .. }) => {
            assert_eq!(to, target);
            assert_eq!((all[1].imm, all[2].imm), (target as i32, (target >> 32) as i32));
        }
        Ok(Patched::Poisoned) => assert!(all[1].imm == skep_btf::core::POISON && all[1] != before[1]),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(all, before, "an error changes nothing");
        }
    }
    assert_eq!((all[0], all.last()), (guard, before.last()), "only the instruction is touched");
    assert!(patch(&mut [], 0, outcome).is_err());
}

/// The same by the library's loader.
fn load(elf: &[u8], target: &[u8]) {
    let mut object = match Object::parse("input.o", elf) {
        Ok(object) => object,
        Err(error) => return assert!(error.to_string().contains("input.o"), "{error}"),
    };
    let kernel = Kernel::from_sys(refusing::Refusing);
    if let Err(error) = object.core_relocations(&kernel) {
        assert!(error.to_string().contains("input.o"), "{error}");
    }
    if object.set_target_btf_bytes("target", target.to_vec()).is_err() {
        return;
    }
    for relocation in object.core_relocations(&kernel).unwrap_or_default() {
        assert_eq!(relocation.target.is_some(), relocation.matching > 0 && relocation.source.is_some());
        if let CoreOutcome::Failed(why) = &relocation.outcome {
            assert!(!why.is_empty());
        }
    }
    for program in object.programs().map(str::to_owned).collect::<Vec<_>>() {
        object.only_program(&program).expect("it is listed");
        match object.load(&kernel) {
            Err(error) => assert!(error.to_string().contains("input.o"), "{error}"),
            Ok(_) => panic!("nothing is accepted"),
        }
    }
}
