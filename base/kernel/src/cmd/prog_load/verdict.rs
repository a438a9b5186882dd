//! The verifier's verdict on a program, and the log's words for it.

use crate::error::Result;
use crate::kernel::Admit;
use crate::log::Log;
use crate::map::MapObject;
use crate::prog::{ProgTypes, Trust};
use alloc::vec::Vec;
use skep_abi::flags::{BPF_F_RDONLY_PROG, BPF_F_SLEEPABLE, BPF_F_STRICT_ALIGNMENT};
use skep_abi::{AttachType, Errno, FuncId, FuncInfo, MapType};
use skep_btf::{LineInfo, StrOff, TypeId};
use skep_isa::{Insn, InsnIdx, RawInsn};
use skep_mem::Shared;
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_model::platform::prog::Prog;
use skep_verifier::{
    Alignment, Limits, MapProto, References, Rejection, Rule, Sleep, Special, Structured, Subject, Verified,
    special_fields, structured, verify, verify_logged,
};

/// What is to be verified, as the load has it.
pub(super) struct Asked<'a> {
    pub(super) admit: Admit,
    pub(super) insns: &'a [RawInsn],
    pub(super) model: &'static Prog,
    pub(super) attach: AttachType,
    pub(super) licence: Licence,
    /// `BPF_F_…` of the load.
    pub(super) flags: u32,
    pub(super) references: &'a dyn References,
    pub(super) has_helper: &'a dyn Fn(FuncId) -> bool,
    pub(super) maps: &'a [Shared<MapObject>],
    pub(super) types: Option<&'a ProgTypes>,
    pub(super) cpus: u32,
}

/// What a map holds that the verifier wants to know of.
struct Held {
    frozen: Option<Vec<u8>>,
    special: Vec<Special>,
}

/// A program that may be kept, by what is known of it.
pub(super) enum Kept {
    Verified(Verified),
    Structured(Structured),
}

impl Kept {
    /// Its structure.
    pub(super) fn structured(&self) -> &Structured {
        match self {
            Kept::Verified(verified) => verified.structured(),
            Kept::Structured(structured) => structured,
        }
    }

    /// How much is known of it.
    pub(super) fn trust(&self) -> Trust {
        match self {
            Kept::Verified(verified) => Trust::Verified { insns: verified.stats().insns },
            Kept::Structured(_) => Trust::Structured,
        }
    }
}

/// Verifies a program. What needs more than is modelled is kept if its structure is sound: it runs with every access checked.
///
/// # Errors
/// As Linux refuses it; `ENOMEM`.
pub(super) fn verdict(asked: &Asked<'_>, log: &mut Log) -> Result<Kept> {
    on_subject(asked, |subject| decide(subject, asked, log))
}

/// Compares what a program was verified against with what it is linked with now.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn is_bound(asked: &Asked<'_>, verified: &Verified) -> Result<bool> {
    on_subject(asked, |subject| Ok(verified.binding().check(subject).is_ok()))
}

/// Shows a program with all that is known of it as the verifier wants it.
fn on_subject<R>(asked: &Asked<'_>, look: impl FnOnce(&Subject<'_>) -> Result<R>) -> Result<R> {
    let mut held = Vec::new();
    held.try_reserve_exact(asked.maps.len()).map_err(|_| Errno::ENOMEM)?;
    for map in asked.maps {
        held.push(Held { frozen: frozen(map)?, special: special(map)? });
    }
    let mut maps = Vec::new();
    maps.try_reserve_exact(asked.maps.len()).map_err(|_| Errno::ENOMEM)?;
    maps.extend(asked.maps.iter().zip(&held).map(|(map, held)| {
        let def = map.map.def();
        MapProto {
            kind: def.map_type,
            key_size: def.key_size,
            value_size: def.value_size,
            max_entries: def.max_entries,
            flags: def.flags,
            inner: None,
            frozen: held.frozen.as_deref(),
            special: &held.special,
        }
    }));
    let (functions, lines) = (functions(asked.types)?, lines(asked.types)?);
    let mut subject = Subject::new(asked.insns, &Platform::LINUX_6_18, asked.model.kind, asked.references);
    subject.attach = asked.attach;
    subject.licence = asked.licence;
    if asked.flags & BPF_F_SLEEPABLE != 0 {
        subject.sleep = Sleep::Allowed;
    }
    if asked.flags & BPF_F_STRICT_ALIGNMENT != 0 {
        subject.alignment = Alignment::Strict;
    }
    subject.maps = &maps;
    subject.functions = &functions;
    subject.lines = &lines;
    subject.types = asked.types.map(|types| &types.btf.btf);
    subject.cpus = asked.cpus;
    look(&subject)
}

fn decide(subject: &Subject<'_>, asked: &Asked<'_>, log: &mut Log) -> Result<Kept> {
    if asked.admit == Admit::Structured {
        return structure(subject, log);
    }
    let verdict = match log.detail() {
        Some(detail) => verify_logged(subject, &Limits::LINUX, log, detail),
        None => verify(subject, &Limits::LINUX),
    };
    match verdict {
        Ok(verified) => {
            log.statistics(verified.stats());
            Ok(Kept::Verified(verified))
        }
        Err(rejection) if rejection.rule == Rule::Unmodelled => {
            log.line(format_args!("{rejection}; every access of the program is checked when it runs"));
            structure(subject, log)
        }
        Err(rejection) => {
            // What is not there has no arguments that could be wrong.
            if let Some((at, id)) = missing(asked, &rejection) {
                let name = Platform::LINUX_6_18.helper(id).map_or("", |helper| helper.name);
                return Err(log.refuse(
                    Errno::EINVAL,
                    format_args!(
                        "instruction {at}: a program here may not call helper bpf_{name}#{}, which this kernel has not",
                        id.0
                    ),
                ));
            }
            Err(refuse(&rejection, log))
        }
    }
}

/// The helper that a rejected call is of, if this kernel has it not.
fn missing(asked: &Asked<'_>, rejection: &Rejection) -> Option<(InsnIdx, FuncId)> {
    let at = rejection.insn?;
    match skep_isa::insns(asked.insns.get(at.index()..)?).next()?.ok()? {
        (_, Insn::CallHelper { id }) if !(asked.has_helper)(FuncId(id)) => Some((at, FuncId(id))),
        _ => None,
    }
}

/// Keeps a program whose structure is sound.
fn structure(subject: &Subject<'_>, log: &mut Log) -> Result<Kept> {
    let structured = structured(subject).map_err(|rejection| refuse(&rejection, log))?;
    Ok(Kept::Structured(structured))
}

/// The bytes that nobody can change any more (`bpf_map_is_rdonly`): of an array with one value that is frozen and read only to programs.
fn frozen(map: &MapObject) -> Result<Option<Vec<u8>>> {
    let def = map.map.def();
    let is_one = def.map_type == MapType::ARRAY && def.max_entries == 1;
    if !is_one || def.flags & BPF_F_RDONLY_PROG == 0 || !map.access.is_frozen() {
        return Ok(None);
    }
    let Ok(value) = map.map.direct_value(0) else { return Ok(None) };
    let size = value.len().min(def.value_size as usize);
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(size).map_err(|_| Errno::ENOMEM)?;
    bytes.resize(size, 0);
    Ok(value.copy_out(0, &mut bytes).is_ok().then_some(bytes))
}

/// What of a map's value is not its programs' own.
fn special(map: &MapObject) -> Result<Vec<Special>> {
    let Some(types) = map.types.as_ref().filter(|types| types.value != 0) else { return Ok(Vec::new()) };
    match special_fields(&types.btf.btf, TypeId(types.value), None) {
        Ok(special) => Ok(special),
        Err(skep_verifier::SpecialError::Memory) => Err(Errno::ENOMEM),
        // Such a map is made, and its bytes are plain ones.
        Err(_) => Ok(Vec::new()),
    }
}

fn functions(types: Option<&ProgTypes>) -> Result<Vec<skep_btf::FuncInfo>> {
    let mut functions = Vec::new();
    let infos: &[FuncInfo] = types.map_or(&[], |types| &types.functions);
    functions.try_reserve_exact(infos.len()).map_err(|_| Errno::ENOMEM)?;
    functions.extend(
        infos
            .iter()
            .map(|info| skep_btf::FuncInfo { insn_off: info.insn_off, type_id: TypeId(info.type_id) }),
    );
    Ok(functions)
}

fn lines(types: Option<&ProgTypes>) -> Result<Vec<LineInfo>> {
    let mut lines = Vec::new();
    let infos: &[skep_abi::LineInfo] = types.map_or(&[], |types| &types.lines);
    lines.try_reserve_exact(infos.len()).map_err(|_| Errno::ENOMEM)?;
    lines.extend(infos.iter().map(|info| LineInfo {
        insn_off: info.insn_off,
        file_name: StrOff(info.file_name_off),
        line: StrOff(info.line_off),
        line_col: info.line_col,
    }));
    Ok(lines)
}

/// Writes why a program is refused, below the way to it: what is wrong and what led to it, the same in Linux's words, which tools look
/// for above the last line, and what the verification took.
fn refuse(rejection: &Rejection, log: &mut Log) -> Errno {
    let errno = rejection.errno();
    if errno == Errno::ENOMEM {
        return errno;
    }
    log.line(format_args!("{rejection} ({})", rejection.id()));
    for note in &rejection.notes {
        log.line(format_args!("note: instruction {}: {}", note.insn, note.message));
    }
    log.line(format_args!("help: {}", rejection.help()));
    if !rejection.linux.is_empty() {
        log.line(&rejection.linux);
    }
    log.statistics(rejection.stats);
    errno
}
