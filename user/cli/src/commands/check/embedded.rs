//! The verdict of skep's own verifier, which looks at structure so far.

use crate::shapes::check::{KernelVerdict, RejectionShape, Verdict};
use skep_abi::ProgType;
use skep_elf::ObjectSpec;
use skep_isa::{Addr, InsnIdx};
use skep_model::platform::{self, Platform};
use skep_model::{ProgramSpec, RelocTarget};
use skep_verifier::{Reference, References, Subject, structured};
use std::collections::HashMap;
use std::time::Instant;

/// What is not followed yet, in the words of every verdict that would need it.
const UNFOLLOWED: &str = "structure and references are sound; values, bounds and loops are not verified yet";

/// What instructions refer to by the object's relocations.
struct ByRelocation<'a> {
    object: &'a ObjectSpec,
    targets: HashMap<InsnIdx, &'a RelocTarget>,
}

impl ByRelocation<'_> {
    fn reference(&self, at: InsnIdx) -> Reference {
        match self.targets.get(&at) {
            Some(RelocTarget::Map(map) | RelocTarget::MapValue { map, .. }) => {
                let spec = self.object.maps.get(map.0 as usize);
                spec.map_or(Reference::Missing, |spec| Reference::Map(spec.map_type))
            }
            // Whether the kernel has it is known when it is loaded.
            Some(RelocTarget::Ksym { .. } | RelocTarget::Kfunc { .. }) => Reference::Kernel,
            Some(RelocTarget::Core { .. }) | None => Reference::Missing,
        }
    }
}

impl References for ByRelocation<'_> {
    fn address(&self, at: InsnIdx, _: Addr) -> Reference {
        self.reference(at)
    }

    fn kfunc(&self, at: InsnIdx, _: u32) -> Reference {
        self.reference(at)
    }
}

/// Looks at a program's structure.
pub(super) fn check(
    object: &ObjectSpec,
    program: &ProgramSpec,
    kind: Option<ProgType>,
) -> (KernelVerdict, Option<RejectionShape>) {
    let Some(kind) = kind else {
        let reason = "the section's name says no type of program; give one with --type";
        return (KernelVerdict::unsupported(reason), None);
    };
    let targets = program.relocations.iter().map(|relocation| (relocation.insn, &relocation.target));
    let references = ByRelocation { object, targets: targets.collect() };
    let mut subject = Subject::new(&program.insns, &Platform::LINUX_6_18, kind, &references);
    subject.licence = platform::licence(object.license.as_bytes());
    subject.exception_callback = program.exception_callback;
    let start = Instant::now();
    let result = structured(&subject);
    let time_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let (mut verdict, rejection) = match result {
        Ok(structured) => {
            let doubts = structured.doubts().iter();
            let reasons = doubts.map(|doubt| format!("instruction {}: {}", doubt.insn, doubt.message));
            let reason: Vec<String> = std::iter::once(UNFOLLOWED.to_owned()).chain(reasons).collect();
            (KernelVerdict::unsupported(reason.join("; ")), None)
        }
        Err(rejection) => {
            let shape = RejectionShape {
                id: rejection.id(),
                category: rejection.category().name(),
                insn: rejection.insn.map(|insn| insn.0),
                source: None,
                message: rejection.message.clone(),
                help: rejection.help(),
            };
            let errno = rejection.errno().name().map(str::to_owned);
            (KernelVerdict { errno, ..KernelVerdict::new(Verdict::Rejected) }, Some(shape))
        }
    };
    verdict.time_ns = Some(time_ns);
    (verdict, rejection)
}
