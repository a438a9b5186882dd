//! Programs: verified by the kernel, and its verdict brought back.

use super::Loading;
use super::btf::{ObjectBtf, Part};
use super::insns::Linked;
use super::names::kernel_name;
use super::without::{self, Look};
use crate::error::{Error, ErrorKind, Result};
use crate::object::ProgramSetting;
use crate::{Feature, Instead, Kernel, Known, Note, Program};
use skep_abi::{AttachType, Errno, FuncInfo, LineInfo, ProgLoad, ProgType};
use skep_btf::Kind;
use skep_model::{DataKind, MapOrigin, ProgramSpec, RelocTarget};
use skep_sys::{CallError, ProgFd, ProgLoadMemory, Records};

/// The first log's bytes, and the most; 16 MiB is what kernels before 5.2 allow.
const FIRST_LOG: usize = 64 << 10;
const LARGEST_LOG: usize = 16 << 20;
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
    if setting.prog_type == Some(ProgType::STRUCT_OPS) {
        return Err(Error::new(ErrorKind::Unsupported, "struct_ops are not supported yet"));
    }
    Ok(())
}

/// The types and lines that go with a program.
#[derive(Default)]
pub(super) struct Info {
    pub(super) btf_fd: u32,
    pub(super) functions: Vec<u8>,
    pub(super) lines: Vec<u8>,
}

/// A load of a program, to be tried.
pub(super) struct Attempt {
    pub(super) attr: ProgLoad,
    pub(super) insns: Vec<u8>,
    pub(super) info: Info,
}

impl<'o> Loading<'o> {
    /// Loads a program.
    pub(super) fn program(&mut self, spec: &'o ProgramSpec, setting: &ProgramSetting) -> Result<Program> {
        let Linked { insns, poisoned } = self.link(spec)?;
        let prog_type = setting.prog_type.unwrap_or_default();
        let attach_type = setting.attach_type.unwrap_or_default();
        let attr = ProgLoad {
            prog_type: prog_type.0,
            expected_attach_type: attach_type.0,
            prog_flags: setting.flags,
            prog_name: kernel_name(&spec.name),
            attach_btf_id: self.target(setting, attach_type)?,
            kern_version: self.object.spec.kernel_version.unwrap_or(0),
            ..ProgLoad::default()
        };
        let mut attempt = Attempt { attr, insns, info: self.info(spec) };
        let fd = self.verified(spec, &mut attempt).map_err(|error| {
            let error = if poisoned.is_empty() { error } else { self.core.explain(error, &poisoned) };
            error.in_section(&spec.section)
        })?;
        self.bind(spec, &fd);
        Ok(Program::loaded(self.kernel, spec, prog_type, attach_type, fd))
    }

    /// Finds the kernel function, tracepoint or iterator that the program is loaded for; 0 where it needs none.
    fn target(&mut self, setting: &ProgramSetting, attach_type: AttachType) -> Result<u32> {
        let (prefix, kind) = match (setting.prog_type, attach_type) {
            (Some(ProgType::TRACING), AttachType::TRACE_RAW_TP) => ("btf_trace_", Kind::Typedef),
            (Some(ProgType::TRACING), AttachType::TRACE_ITER) => ("bpf_iter_", Kind::Func),
            (Some(ProgType::TRACING), _) => ("", Kind::Func),
            (Some(ProgType::LSM), _) => ("bpf_lsm_", Kind::Func),
            (Some(ProgType::EXT), _) => {
                let what = "replacing functions of other programs is not supported yet";
                return Err(Error::new(ErrorKind::Unsupported, what));
            }
            _ => return Ok(0),
        };
        let Some(target) = &setting.target else {
            let what = "its section names no target; set one with ProgramMut::set_target";
            return Err(Error::new(ErrorKind::Object, what));
        };
        let id = self.externs.kernel_type(&format!("{prefix}{target}"), kind)?;
        id.map(|id| id.0).ok_or_else(|| {
            let what = format!("this kernel has no {target} that such a program could be attached to");
            Error::new(ErrorKind::Unsupported, what).with_errno(Errno::ENOENT)
        })
    }

    /// Gathers types and lines, where the kernel has the BTF that they refer to.
    fn info(&self, spec: &ProgramSpec) -> Info {
        let Some(ObjectBtf { fd, functions: Part::Kept, .. }) = &self.btf else { return Info::default() };
        let mut info = Info { btf_fd: fd.fd().raw(), ..Info::default() };
        // The kernel wants the type of each function or of none (kernel/bpf/verifier.c, `check_btf_func`).
        let typed = spec.func_info.iter().map(|info| info.insn).eq(spec.functions.iter().map(|f| f.start));
        if !typed {
            return Info::default();
        }
        for record in &spec.func_info {
            info.functions.extend(record.insn.0.to_ne_bytes());
            info.functions.extend(record.type_id.0.to_ne_bytes());
        }
        // And a line for the start of each function, or none at all (`check_btf_line`).
        let starts = spec.functions.iter().all(|f| spec.line_info.iter().any(|line| line.insn == f.start));
        if starts {
            for record in &spec.line_info {
                let line_col = record.line << 10 | record.column & 0x3ff;
                for word in [record.insn.0, record.file_name, record.line_text, line_col] {
                    info.lines.extend(word.to_ne_bytes());
                }
            }
        }
        info
    }

    /// Asks for the program without a log; where it is refused, without what the kernel lacks, and at last with a log.
    fn verified(&mut self, spec: &ProgramSpec, attempt: &mut Attempt) -> Result<ProgFd> {
        let kernel = self.kernel;
        let mut note = |note: Note| self.notes.push(note.in_program(&spec.name));
        without::lighten(kernel, without::PROGRAM, attempt, Look::Known, &mut note);
        let mut answer = ask(kernel, self.object.license(), attempt, &mut []);
        if answer.as_ref().is_err_and(|refusal| without::may_lack(refusal.errno()))
            && without::lighten(kernel, without::PROGRAM, attempt, Look::Ask, &mut note) != 0
        {
            answer = ask(kernel, self.object.license(), attempt, &mut []);
        }
        let refusal = match answer {
            Ok(fd) => return Ok(fd),
            Err(error) => error,
        };
        let call = |error| Error::call("BPF_PROG_LOAD", error);
        if matches!(refusal, CallError::Attr(_)) || WITHOUT_LOG.contains(&refusal.errno()) {
            return Err(call(refusal));
        }
        attempt.attr.log_level = LOG_LEVEL;
        let mut size = FIRST_LOG;
        loop {
            let mut log = Vec::new();
            if log.try_reserve_exact(size).is_err() {
                return Err(call(refusal));
            }
            log.resize(size, 0);
            match ask(kernel, self.object.license(), attempt, &mut log) {
                Ok(fd) => return Ok(fd),
                Err(CallError::Errno(Errno::ENOSPC)) if size < LARGEST_LOG => size *= 4,
                // A log that is full at last is better than none.
                Err(CallError::Errno(Errno::ENOSPC)) => return Err(rejection(refusal, &log)),
                Err(error) => return Err(rejection(error, &log)),
            }
        }
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
fn ask(kernel: &Kernel, license: &str, attempt: &Attempt, log: &mut [u8]) -> Result<ProgFd, CallError> {
    let info = &attempt.info;
    let attr = ProgLoad { prog_btf_fd: info.btf_fd, ..attempt.attr };
    let mut memory = ProgLoadMemory {
        insns: &attempt.insns,
        license,
        log,
        func_info: Records { size: size_of::<FuncInfo>() as u32, bytes: &info.functions },
        line_info: Records { size: size_of::<LineInfo>() as u32, bytes: &info.lines },
        ..ProgLoadMemory::default()
    };
    kernel.prog_load(&attr, &mut memory)
}

/// Makes the error of a refused program: a rejection where the verifier has said something.
fn rejection(error: CallError, log: &[u8]) -> Error {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    let log = String::from_utf8_lossy(&log[..end]).into_owned();
    let made = Error::call("BPF_PROG_LOAD", error);
    match log.trim().is_empty() {
        true => made,
        false => made.kind_is(ErrorKind::Rejected).with_log(log),
    }
}
