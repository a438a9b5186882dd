//! Loading by aya.

use crate::Verdicts;
use aya::programs::{Program, ProgramError};
use aya::{Btf, EbpfLoader};
use std::collections::BTreeMap;

/// Loads an object, then each of its programs; `targets` are what programs are for, where aya wants to be told. Under the empty
/// name is why the object as a whole is refused.
pub(crate) fn load(bytes: &[u8], targets: &BTreeMap<String, String>) -> Verdicts {
    let mut verdicts = Verdicts::new();
    let mut loaded = match EbpfLoader::new().allow_unsupported_maps().load(bytes) {
        Ok(loaded) => loaded,
        Err(error) => {
            verdicts.insert(String::new(), Err(chain(&error)));
            return verdicts;
        }
    };
    let btf = Btf::from_sys_fs().ok();
    for (name, program) in loaded.programs_mut() {
        let target = targets.get(name).map(String::as_str).unwrap_or_default();
        verdicts.insert(name.to_owned(), one(program, target, btf.as_ref()));
    }
    verdicts
}

fn one(program: &mut Program, target: &str, btf: Option<&Btf>) -> Result<(), String> {
    let no_btf = || "the kernel shows no BTF".to_owned();
    let done: Result<(), ProgramError> = match program {
        Program::KProbe(program) => program.load(),
        Program::UProbe(program) => program.load(),
        Program::TracePoint(program) => program.load(),
        Program::SocketFilter(program) => program.load(),
        Program::Xdp(program) => program.load(),
        Program::SkMsg(program) => program.load(),
        Program::SkSkb(program) => program.load(),
        Program::CgroupSockAddr(program) => program.load(),
        Program::SockOps(program) => program.load(),
        Program::SchedClassifier(program) => program.load(),
        Program::CgroupSkb(program) => program.load(),
        Program::CgroupSysctl(program) => program.load(),
        Program::CgroupSockopt(program) => program.load(),
        Program::LircMode2(program) => program.load(),
        Program::PerfEvent(program) => program.load(),
        Program::RawTracePoint(program) => program.load(),
        Program::SkLookup(program) => program.load(),
        Program::CgroupSock(program) => program.load(),
        Program::CgroupDevice(program) => program.load(),
        Program::Lsm(program) => program.load(target, btf.ok_or_else(no_btf)?),
        Program::BtfTracePoint(program) => program.load(target, btf.ok_or_else(no_btf)?),
        Program::FEntry(program) => program.load(target, btf.ok_or_else(no_btf)?),
        Program::FExit(program) => program.load(target, btf.ok_or_else(no_btf)?),
        Program::Extension(_) => return Err("replaces a function of another program".to_owned()),
    };
    done.map_err(|error| chain(&error))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
