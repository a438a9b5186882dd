//! The verdict of skep's own verifier.

use super::told::{Maps, Told};
use crate::shapes::check::{KernelVerdict, Verdict};
use skep_abi::ProgType;
use skep_abi::flags::{BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT};
use skep_btf::Btf;
use skep_elf::ObjectSpec;
use skep_model::ProgramSpec;
use skep_model::platform::{self, Platform};
use skep_verifier::{Alignment, Limits, Rejection, Rule, Sleep, Subject, verify};
use std::time::Instant;

/// Verifies a program.
pub(super) fn check(
    object: &ObjectSpec,
    program: &ProgramSpec,
    kind: Option<ProgType>,
    kernel: Option<&Btf<'_>>,
) -> (KernelVerdict, Option<Rejection>) {
    let Some(kind) = kind else {
        let reason = "the section's name says no type of program; give one with --type";
        return (KernelVerdict::unsupported(reason), None);
    };
    let told = match Told::of(object, program, kind, kernel) {
        Ok(told) => told,
        Err(reason) => return (KernelVerdict::unsupported(reason), None),
    };
    let maps = Maps::of(object, kernel);
    let protos = maps.protos();
    let mut subject = Subject::new(&told.slots, &Platform::LINUX_6_18, kind, &told.references);
    subject.licence = platform::licence(object.license.as_bytes());
    if let Some(attach) = &program.attach {
        subject.attach = attach.attach_type.unwrap_or(subject.attach);
        if attach.prog_flags & BPF_F_SLEEPABLE != 0 {
            subject.sleep = Sleep::Allowed;
        }
        if attach.prog_flags & BPF_F_STRICT_ALIGNMENT != 0 {
            subject.alignment = Alignment::Strict;
        }
    }
    subject.maps = &protos;
    subject.functions = &told.functions;
    subject.types = object.btf.as_ref();
    subject.kernel = kernel;
    subject.target = told.target;
    subject.exception_callback = program.exception_callback;
    let start = Instant::now();
    let result = verify(&subject, &Limits::LINUX);
    let time_ns = Some(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    match result {
        Ok(verified) => {
            let stats = verified.stats();
            let verdict = KernelVerdict {
                processed_insns: Some(stats.insns),
                states: Some(stats.states),
                peak_states: Some(stats.peak_states),
                time_ns,
                ..KernelVerdict::new(Verdict::Accepted)
            };
            (verdict, None)
        }
        Err(rejection) if rejection.rule == Rule::Unmodelled => {
            let verdict = KernelVerdict::unsupported(rejection.to_string());
            (KernelVerdict { time_ns, ..verdict }, None)
        }
        Err(rejection) => {
            let errno = rejection.errno().name().map(str::to_owned);
            (KernelVerdict { errno, time_ns, ..KernelVerdict::new(Verdict::Rejected) }, Some(rejection))
        }
    }
}
