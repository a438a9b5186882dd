//! Programs: verified by the kernel, and its verdict brought back.

use super::Loading;
use super::btf::{ObjectBtf, Part};
use super::insns::Linked;
use super::names::kernel_name;
use super::without::{self, Look};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{Rejection, SourceLine};
use crate::object::ProgramSetting;
use crate::rights::{self, Wanted};
use crate::{Feature, Instead, Kernel, Known, Note, Program};
use skep_abi::{AttachType, Errno, FuncInfo, LineInfo, ProgLoad, ProgType};
use skep_btf::core::RawInsn;
use skep_btf::{Kind, StrOff, TypeId};
use skep_model::{DataKind, MapOrigin, ProgramSpec, RelocTarget};
use skep_sys::{CallError, Fd, FdArray, ProgFd, ProgLoadMemory, Records};
use std::borrow::Cow;
use zerocopy::IntoBytes;

/// The bytes of logs, one after the other where they do not suffice. Kernels before 5.2 take `UINT_MAX >> 8`, later ones
/// `UINT_MAX >> 2` (`bpf_verifier_log_attr_valid`).
const LOGS: [usize; 8] =
    [64 << 10, 256 << 10, 1 << 20, 4 << 20, MOST_BEFORE_5_2, 64 << 20, 256 << 20, u32::MAX as usize >> 2];
const MOST_BEFORE_5_2: usize = u32::MAX as usize >> 8;
/// Numbers of helpers are below; those above stand for what is missing.
const MOST_HELPERS: u32 = 1 << 20;
/// The log has each state and instruction (`BPF_LOG_LEVEL1`).
const LOG_LEVEL: u32 = 1;
/// Refusals that a verifier has nothing to say about.
const WITHOUT_LOG: &[Errno] =
    &[Errno::ENOMEM, Errno::EMFILE, Errno::ENFILE, Errno::EAGAIN, Errno::EINTR, Errno::EBADF];

/// Refuses what no load can succeed with, before anything is made.
pub(super) fn check(spec: &ProgramSpec, setting: &ProgramSetting) -> Result<()> {
    if setting.prog_type.is_none() {
        let what = "the section's name says no type of program; set one with ProgramMut::set_type";
        return Err(Error::new(ErrorKind::Object, what).in_section(&spec.section));
    }
    Ok(())
}

/// What a program is loaded for.
struct Target {
    attach_type: AttachType,
    /// A type in the kernel's BTF, or in that of `fd`.
    btf_id: u32,
    /// Another program, or the BTF of a module.
    fd: Option<Fd>,
}

/// How the kernel's types call what such a program is loaded for, and of which kind that is.
fn of_kernel(setting: &ProgramSetting) -> Option<(&'static str, Kind)> {
    match (setting.prog_type?, setting.attach_type.unwrap_or_default()) {
        (ProgType::TRACING, AttachType::TRACE_RAW_TP) => Some(("btf_trace_", Kind::Typedef)),
        (ProgType::TRACING, AttachType::TRACE_ITER) => Some(("bpf_iter_", Kind::Func)),
        (ProgType::TRACING, _) => Some(("", Kind::Func)),
        (ProgType::LSM, _) => Some(("bpf_lsm_", Kind::Func)),
        _ => None,
    }
}

/// What is of a module may be named with it: `module:function`.
fn in_module(target: &str) -> (Option<&str>, &str) {
    match target.split_once(':') {
        Some((module, name)) => (Some(module), name),
        None => (None, target),
    }
}

/// What is looked for among the kernel's types for a program, if anything.
pub(super) fn expected_target(setting: &ProgramSetting) -> Option<(String, Kind)> {
    let (prefix, kind) = of_kernel(setting)?;
    let (_, name) = in_module(setting.target.as_deref().filter(|_| setting.of_program.is_none())?);
    Some((format!("{prefix}{name}"), kind))
}

/// The types and lines that go with a program.
#[derive(Default)]
pub(super) struct Info<'o> {
    pub(super) btf_fd: u32,
    pub(super) functions: Vec<u8>,
    pub(super) lines: &'o [LineInfo],
}

/// A load of a program, to be tried.
pub(super) struct Attempt<'o> {
    pub(super) attr: ProgLoad,
    pub(super) insns: Cow<'o, [RawInsn]>,
    pub(super) info: Info<'o>,
    /// The BTF of the modules whose functions it calls.
    pub(super) modules: Vec<Fd>,
}

impl<'o> Loading<'o> {
    /// Loads a program; `own` are its instructions, where they were taken out of the object.
    pub(super) fn program(
        &mut self,
        spec: &'o ProgramSpec,
        setting: &ProgramSetting,
        own: Option<Vec<RawInsn>>,
    ) -> Result<Program> {
        let Linked { insns, poisoned } = self.link(spec, own)?;
        let prog_type = setting.prog_type.unwrap_or_default();
        let target = self.target(spec, setting)?;
        let attach_type = target.attach_type;
        let attr = ProgLoad {
            prog_type: prog_type.0,
            expected_attach_type: attach_type.0,
            prog_flags: setting.flags,
            prog_name: kernel_name(&spec.name),
            attach_btf_id: target.btf_id,
            attach_prog_fd: target.fd.map_or(0, Fd::raw),
            kern_version: self.object.spec.kernel_version.unwrap_or(0),
            ..ProgLoad::default()
        };
        let mut attempt =
            Attempt { attr, insns, info: self.info(spec), modules: self.types.modules.fd_array() };
        let fd = self.verified(spec, &mut attempt).map_err(|error| {
            let error = match poisoned.is_empty() {
                true => error,
                false => self.types.modules.explain(self.core.explain(error, &poisoned)),
            };
            error.in_section(&spec.section)
        })?;
        self.bind(spec, &fd);
        Ok(Program::loaded(self.kernel, spec, prog_type, attach_type, fd))
    }

    /// Finds what the program is loaded for: a function, tracepoint or iterator of the kernel's, a function of another
    /// program, a member of a struct of functions.
    fn target(&mut self, spec: &ProgramSpec, setting: &ProgramSetting) -> Result<Target> {
        let attach_type = setting.attach_type.unwrap_or_default();
        let none = Target { attach_type, btf_id: 0, fd: None };
        if let (Some(program), Some(ProgType::EXT | ProgType::TRACING)) =
            (&setting.of_program, setting.prog_type)
        {
            let function = setting.target.as_deref().unwrap_or_default();
            let btf_id = self.function_of(program, function)?;
            return Ok(Target { attach_type, btf_id, fd: Some(program.fd()) });
        }
        let (prefix, kind) = match (setting.prog_type, of_kernel(setting)) {
            (Some(ProgType::EXT), _) => {
                let what =
                    "replaces a function of another program; say which with ProgramMut::set_target_program";
                return Err(Error::new(ErrorKind::Setting, what));
            }
            (Some(ProgType::STRUCT_OPS), _) => return self.role(spec),
            (_, Some(of_kernel)) => of_kernel,
            (_, None) => return Ok(none),
        };
        let Some(target) = &setting.target else {
            let what = "its section names no target; set one with ProgramMut::set_target";
            return Err(Error::new(ErrorKind::Object, what));
        };
        let (module, name) = in_module(target);
        let found = self.types.find(module, &format!("{prefix}{name}"), kind)?;
        let found = found.ok_or_else(|| {
            let what = format!("this kernel has no {target} that such a program could be attached to");
            self.types.modules.explain(Error::new(ErrorKind::Unsupported, what).with_errno(Errno::ENOENT))
        })?;
        let fd = found.module.and_then(|module| self.types.modules.fd(module));
        Ok(Target { attach_type, btf_id: found.id.0, fd })
    }

    /// Finds the member of a struct of functions that a program is for.
    fn role(&self, spec: &ProgramSpec) -> Result<Target> {
        let slots = self.ops.iter().flat_map(|ops| &ops.slots);
        let mut roles = slots.filter(|slot| slot.program == spec.name).map(|slot| slot.role);
        let role = roles.next().ok_or_else(|| {
            let what = "is in no struct of functions that this kernel has; see MapMut::set_function";
            Error::new(ErrorKind::Setting, what)
        })?;
        if roles.any(|other| other != role) {
            let what = "is in structs of functions at different places, and can be loaded for one only";
            return Err(Error::new(ErrorKind::Object, what));
        }
        Ok(Target {
            attach_type: AttachType(role.member),
            btf_id: role.type_id.0,
            fd: role.module.and_then(|module| self.types.modules.fd(module)),
        })
    }

    /// Finds a function in the types of a program.
    fn function_of(&self, program: &ProgFd, function: &str) -> Result<u32> {
        if !program.handle().kernel().is_same(self.kernel.sys()) {
            return Err(Error::new(ErrorKind::Setting, "is to be loaded for a program of another kernel"));
        }
        let info = program.info().map_err(|error| Error::call("BPF_OBJ_GET_INFO_BY_FD", error))?;
        if info.btf_id == 0 {
            let what = format!("the program with the function {function} was loaded without types");
            return Err(Error::new(ErrorKind::Setting, what));
        }
        let btf = self.kernel.btf_by_id(info.btf_id)?;
        let found = btf.find(function, Kind::Func);
        found.map(|id| id.0).ok_or_else(|| {
            Error::not_found(format!("the other program has no function {function}"))
                .with_errno(Errno::ENOENT)
        })
    }

    /// Gathers types and lines, where the kernel has the BTF that they refer to.
    fn info(&self, spec: &'o ProgramSpec) -> Info<'o> {
        let Some(ObjectBtf { fd, functions: Part::Kept, twins, .. }) = &self.btf else {
            return Info::default();
        };
        let mut info = Info { btf_fd: fd.fd().raw(), ..Info::default() };
        // The kernel wants the type of each function or of none (kernel/bpf/verifier.c, `check_btf_func`).
        let typed = spec.func_info.iter().map(|info| info.insn).eq(spec.functions.iter().map(|f| f.start));
        if !typed {
            return Info::default();
        }
        info.functions.reserve_exact(spec.func_info.len() * 8);
        for record in &spec.func_info {
            info.functions.extend(record.insn.0.to_ne_bytes());
            info.functions.extend(twins.of(&spec.name, record.type_id).0.to_ne_bytes());
        }
        // And a line for the start of each function, or none at all (`check_btf_line`).
        let has_line = |start| match spec.line_info.is_sorted_by_key(|line| line.insn_off) {
            true => spec.line_info.binary_search_by_key(&start, |line| line.insn_off).is_ok(),
            false => spec.line_info.iter().any(|line| line.insn_off == start),
        };
        if spec.functions.iter().all(|f| has_line(f.start.0)) {
            info.lines = &spec.line_info;
        }
        info
    }

    /// Asks for the program without a log; where it is refused, without what the kernel lacks, and at last with a log.
    fn verified(&mut self, spec: &ProgramSpec, attempt: &mut Attempt<'_>) -> Result<ProgFd> {
        let kernel = self.kernel;
        let mut note = |note: Note| self.notes.push(note.in_program(&spec.name));
        without::lighten(kernel, &without::program(), attempt, Look::Known, &mut note);
        let mut answer = ask(kernel, self.object.license(), attempt, &mut []);
        if answer.as_ref().is_err_and(|refusal| without::may_lack(refusal.errno()))
            && without::lighten(kernel, &without::program(), attempt, Look::Ask, &mut note) != 0
        {
            answer = ask(kernel, self.object.license(), attempt, &mut []);
        }
        let refusal = match answer {
            Ok(fd) => return Ok(fd),
            Err(error) => error,
        };
        let (kind, attach) =
            (ProgType(attempt.attr.prog_type), AttachType(attempt.attr.expected_attach_type));
        let call = |error| {
            rights::explain(kernel, Error::call("BPF_PROG_LOAD", error), Wanted::Program(kind, attach))
        };
        if matches!(refusal, CallError::Attr(_)) || WITHOUT_LOG.contains(&refusal.errno()) {
            return Err(call(refusal));
        }
        attempt.attr.log_level = LOG_LEVEL;
        let (mut told, mut log) = (refusal, Vec::new());
        for size in LOGS {
            let mut larger = Vec::new();
            if larger.try_reserve_exact(size).is_err() {
                break;
            }
            larger.resize(size, 0);
            match ask(kernel, self.object.license(), attempt, &mut larger) {
                Ok(fd) => return Ok(fd),
                // A log that is full is better than none. Where nothing was written, it is not the log that was too small.
                Err(CallError::Errno(Errno::ENOSPC)) if larger[0] != 0 => log = larger,
                // A kernel that takes no log of this size.
                Err(CallError::Errno(Errno::EINVAL)) if size > MOST_BEFORE_5_2 && larger[0] == 0 => break,
                Err(error) => {
                    (told, log) = (error, larger);
                    break;
                }
            }
        }
        let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
        let log = String::from_utf8_lossy(&log[..end]);
        if log.trim().is_empty() {
            return Err(call(told));
        }
        let rejection = Rejection::read(&log).map(|found| self.placed(spec, found));
        let insn = rejection.as_ref().and_then(|found| found.insn);
        let error =
            Error::call("BPF_PROG_LOAD", told).kind_is(ErrorKind::Rejected).with_log(log.into_owned());
        Err(match insn {
            Some(insn) => error.at_insn(insn).with_rejection(rejection),
            None => error.with_rejection(rejection),
        })
    }

    /// Adds to a rejection what only the object knows: the line of the source, and what was put in the place of what.
    fn placed(&self, spec: &ProgramSpec, mut found: Rejection) -> Rejection {
        let Some(insn) = found.insn else { return found };
        let before = |line: &&LineInfo| line.insn_off <= insn;
        let line = spec.line_info.iter().filter(before).max_by_key(|line| line.insn_off);
        found.source = line.zip(self.object.btf.as_deref()).and_then(|(line, btf)| {
            let text = |offset| btf.text(StrOff(offset)).map(|text| text.into_owned());
            let (file, text) = (text(line.file_name_off)?, text(line.line_off).unwrap_or_default());
            Some(SourceLine { file, line: line.line(), column: line.column(), text })
        });
        if found.unknown_helper().is_some_and(|id| id > MOST_HELPERS) {
            let relocation = spec.relocations.iter().find(|relocation| relocation.insn.0 == insn);
            found.missing = relocation.and_then(|relocation| match &relocation.target {
                RelocTarget::Map(map) | RelocTarget::MapValue { map, .. } => {
                    let map = self.object.spec.maps.get(map.0 as usize)?;
                    Some(format!("map {}, which was not made", map.name))
                }
                RelocTarget::Ksym(symbol) | RelocTarget::Kfunc(symbol) => {
                    Some(format!("{}, which this kernel does not have", symbol.name))
                }
                RelocTarget::Core(core) => {
                    let btf = self.object.btf.as_deref();
                    let name = btf.and_then(|btf| Some(btf.get(TypeId(core.type_id.0))?.name()));
                    let (name, access) = (name.unwrap_or_default(), &core.access);
                    Some(format!(
                        "a CO-RE relocation ({name}, access {access}) of what this kernel does not have"
                    ))
                }
            });
        }
        found
    }

    /// Has the program keep the maps of constants that it does not refer to, as libbpf does: they say what it is
    /// (`bpftool prog` shows variables whose names begin with `bpf_metadata_`). It is of use, and not needed.
    fn bind(&mut self, spec: &ProgramSpec, program: &ProgFd) {
        let is_used = |index: usize| {
            spec.relocations.iter().any(|relocation| match &relocation.target {
                RelocTarget::Map(map) | RelocTarget::MapValue { map, .. } => map.0 as usize == index,
                _ => false,
            })
        };
        for (index, (map_spec, map)) in self.object.spec.maps.iter().zip(&self.maps).enumerate() {
            let is_constant =
                matches!(&map_spec.origin, MapOrigin::Data(data) if data.kind == DataKind::ReadOnly);
            let Some(map) = map.as_ref().filter(|_| is_constant && !is_used(index)) else { continue };
            let errno = match self.kernel.known(Feature::ProgBindMap) {
                Known::Missing => Errno::EINVAL,
                _ => match program.bind_map(map) {
                    Ok(()) => continue,
                    Err(error) => error.errno(),
                },
            };
            let lacks = errno == Errno::EINVAL && self.kernel.has(Feature::ProgBindMap).is_ok_and(|has| !has);
            let note = Note::new(lacks.then_some(Feature::ProgBindMap), Instead::NotBound).with_errno(errno);
            self.notes.push(note.in_program(&spec.name).in_map(&map_spec.name));
        }
    }
}

/// Asks for a program.
fn ask(kernel: &Kernel, license: &str, attempt: &Attempt<'_>, log: &mut [u8]) -> Result<ProgFd, CallError> {
    let info = &attempt.info;
    let attr = ProgLoad { prog_btf_fd: info.btf_fd, ..attempt.attr };
    let mut memory = ProgLoadMemory {
        insns: &RawInsn::stored(&attempt.insns),
        fd_array: FdArray::ByIndex(&attempt.modules),
        license,
        log,
        func_info: Records { size: size_of::<FuncInfo>() as u32, bytes: &info.functions },
        line_info: Records { size: size_of::<LineInfo>() as u32, bytes: info.lines.as_bytes() },
        ..ProgLoadMemory::default()
    };
    kernel.prog_load(&attr, &mut memory)
}
