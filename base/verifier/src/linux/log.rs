//! Linux's log of a verification: every instruction that is looked at, with what is known after it (`do_check` in `kernel/bpf/verifier.c`,
//! `print_insn_state` and `verbose_linfo` in `kernel/bpf/log.c`).
//!
//! Of the state only what an instruction names is shown, all of it where a path begins. Of what Linux says besides, the list of registers that
//! are read later is here, too; how it came to what must be precise is not.

use super::insn::Shown;
use super::shown::{Function, Parts};
use crate::explore::{Explorer, Next};
use crate::live::Live;
use crate::path::MOST_FRAMES;
use crate::rejection::{Rejection, no_memory, words};
use crate::stack::{Byte, Kept};
use crate::state::State;
use crate::subject::{MapProto, Subject};
use crate::value::{To, Value};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use skep_abi::FuncId;
use skep_btf::LineInfo;
use skep_isa::{Insn, InsnIdx, Program, Reg};
use skep_model::platform::helper::{Arg, MemAccess};

/// Where a log is written.
///
/// Whether it could be is for the writer to remember: the verdict does not depend on it.
pub trait Sink: Write {
    /// How long the text is.
    fn position(&self) -> u64;

    /// Takes back what was written after a position.
    fn back_to(&mut self, position: u64);
}

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The path to what is refused; of a program that is accepted, nothing (`BPF_LOG_LEVEL1`).
    Path,
    /// Every path (`BPF_LOG_LEVEL2`).
    All,
}

/// A log that is being written.
pub(crate) struct Log<'a> {
    subject: &'a Subject<'a>,
    sink: &'a mut (dyn Sink + 'a),
    detail: Detail,
    /// Where what is told of paths begins.
    start: u64,
    /// By path that waits, how long the text was when it was left, and at which instruction.
    waiting: Vec<(u64, InsnIdx)>,
    /// What was named since a state was shown last.
    named: Parts,
    /// Where the last instruction's line ends, and how long it is.
    line: Option<(u64, u64)>,
    /// The instruction from which control came otherwise than the text does.
    from: Option<InsnIdx>,
    /// The instruction that was looked at last.
    last: InsnIdx,
    /// Whether it is a call.
    is_call: bool,
    /// The last line of the source.
    source: Option<LineInfo>,
    /// What the kernel kept on the stacks before a call, one after the other, and how deep each was.
    stacks: Vec<Option<Kept>>,
    depths: [usize; MOST_FRAMES],
    /// The function that may be left now, in words.
    leaves: Option<String>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(subject: &'a Subject<'a>, sink: &'a mut (dyn Sink + 'a), detail: Detail) -> Log<'a> {
        let start = sink.position();
        Log {
            subject,
            sink,
            detail,
            start,
            waiting: Vec::new(),
            named: Parts::ALL,
            line: None,
            from: None,
            last: InsnIdx::ZERO,
            is_call: false,
            source: None,
            stacks: Vec::new(),
            depths: [0; MOST_FRAMES],
            leaves: None,
        }
    }

    fn write(&mut self, text: fmt::Arguments<'_>) {
        // The sink knows whether it could.
        let _ = self.sink.write_fmt(text);
    }

    /// Tells which registers are read later (`compute_live_registers`).
    pub(crate) fn live(&mut self, program: &Program, live: &Live) {
        if self.detail == Detail::All {
            self.write(format_args!("Live regs before insn:\n"));
            for (at, insn) in program.iter() {
                self.write(format_args!("    {:>3}: ", at.0));
                for reg in Reg::ALL.into_iter().take(10) {
                    match live.before(at).contains(reg) {
                        true => self.write(format_args!("{}", reg.number())),
                        false => self.write(format_args!(".")),
                    }
                }
                let insn = Shown { subject: self.subject, at, insn: Some(insn) };
                self.write(format_args!(" {insn}\n"));
            }
        }
        self.start = self.sink.position();
    }

    /// A function is followed from its start: the program, or one that is verified by itself.
    pub(crate) fn begins(&mut self, function: usize, name: &str) {
        self.source = None;
        self.from = None;
        self.named = Parts::ALL;
        if function != 0 {
            self.write(format_args!("Validating {name}() func#{function}...\n"));
        }
    }

    /// Every path of it was followed.
    pub(crate) fn ends(&mut self, function: usize, name: &str) {
        if self.detail == Detail::Path {
            self.sink.back_to(self.start);
        }
        if function != 0 {
            self.write(format_args!(
                "Func#{function} ('{name}') is safe for any args that match its prototype\n"
            ));
        }
    }

    /// A path is left for later. Where that goes into a function that a call leads to, another state was made for it, and all of the
    /// one that goes on is shown (`init_func_state`).
    pub(crate) fn waits(&mut self) -> Result<(), Rejection> {
        if self.is_call {
            self.named = Parts::ALL;
        }
        self.waiting.try_reserve(1).map_err(|_| no_memory())?;
        self.waiting.push((self.sink.position(), self.last));
        Ok(())
    }

    /// The last one that was left is followed now.
    pub(crate) fn goes_back(&mut self) {
        let Some((position, at)) = self.waiting.pop() else { return };
        if self.detail == Detail::Path {
            self.sink.back_to(position);
        }
        self.from = Some(at);
        self.named = Parts::ALL;
    }

    /// What follows here was followed before.
    pub(crate) fn known(&mut self, at: InsnIdx) {
        match self.from {
            Some(from) => self.write(format_args!("\nfrom {from} to {at}: safe\n")),
            None => self.write(format_args!("{at}: safe\n")),
        }
    }

    /// An instruction is looked at.
    pub(crate) fn looks_at(&mut self, state: &State, at: InsnIdx, insn: Option<Insn>) {
        let from = if self.detail == Detail::All { self.from.take() } else { None };
        if let Some(from) = from {
            self.write(format_args!("\nfrom {from} to {at}:"));
            self.function(state, state.top());
        }
        if self.named != Parts::NONE {
            self.named(state, at);
        }
        self.source_line(at);
        let start = self.sink.position();
        self.write(format_args!("{at}: {}\n", Shown { subject: self.subject, at, insn }));
        let end = self.sink.position();
        self.line = Some((end, end.saturating_sub(start)));
        self.last = at;
        let is_tail_call = insn == Some(Insn::CallHelper { id: FuncId::TAIL_CALL.0 });
        self.is_call = insn.is_some_and(Insn::is_call) && !is_tail_call;
        if let Some(insn) = insn {
            self.names(state, insn);
        }
    }

    /// It was looked at, and control goes on.
    pub(crate) fn took(
        &mut self,
        state: &State,
        (at, insn): (InsnIdx, Option<Insn>),
        next: Next,
        (called, name): (usize, &str),
    ) {
        let leaves = self.leaves.take();
        if let (Some(callee), Next::At(next)) = (leaves, next) {
            self.write(format_args!("returning from callee:\n{callee}\nto caller at {next}:\n"));
            self.function(state, state.top());
            // After a tail call the text goes on as it does after any.
            self.from = (insn == Some(Insn::Exit)).then_some(at);
        }
        match (insn, next) {
            (Some(Insn::Branch { .. }), _) => self.named(state, at),
            (Some(Insn::CallLocal { .. }), Next::At(next)) if next.0 == at.0 + 1 => {
                self.write(format_args!("Func#{called} ('{name}') is global and assumed valid.\n"));
            }
            (Some(Insn::CallLocal { .. }), _) => {
                self.write(format_args!("caller:\n"));
                self.function(state, state.top().saturating_sub(1));
                self.write(format_args!("callee:\n"));
                self.function(state, state.top());
                self.named = Parts::ALL;
            }
            (Some(insn), _) if insn.is_call() => self.named.slots |= self.changed(state),
            _ => {}
        }
        if next == Next::End {
            self.named = Parts::ALL;
        }
    }

    /// All that is known of an active function.
    fn function(&mut self, state: &State, frame: usize) {
        let all = Function { subject: self.subject, state, frame, parts: Parts::ALL };
        self.write(format_args!("{all}\n"));
    }

    /// What was named, beside the last instruction or on a line of its own (`print_insn_state`).
    fn named(&mut self, state: &State, at: InsnIdx) {
        /// `BPF_LOG_MIN_ALIGNMENT`, `BPF_LOG_ALIGNMENT`.
        const STEP: u64 = 8;
        const COLUMN: u64 = 40;
        match self.line {
            Some((end, length)) if end == self.sink.position() => {
                self.sink.back_to(end.saturating_sub(1));
                let column = (length + STEP / 2).max(COLUMN).next_multiple_of(STEP);
                let width = (column - length - 1) as usize;
                self.write(format_args!("{:width$};", ""));
            }
            _ => self.write(format_args!("{at}:")),
        }
        let parts = core::mem::replace(&mut self.named, Parts::NONE);
        let named = Function { subject: self.subject, state, frame: state.top(), parts };
        self.write(format_args!("{named}\n"));
    }

    /// The line of the source, where it is another one (`verbose_linfo`).
    fn source_line(&mut self, at: InsnIdx) {
        let (lines, Some(types)) = (self.subject.lines, self.subject.types) else { return };
        let after = lines.partition_point(|line| line.insn_off <= at.0);
        let Some(line) = after.checked_sub(1).and_then(|index| lines.get(index)) else { return };
        let is_same = |known: LineInfo| {
            known.insn_off == line.insn_off
                || (known.file_name == line.file_name && known.line_number() == line.line_number())
        };
        if self.source.is_some_and(is_same) {
            return;
        }
        let text = types.string(line.line).unwrap_or_default().trim_ascii_start();
        let file = types.string(line.file_name).unwrap_or_default();
        let file = file.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
        self.write(format_args!("; {} @ {}:{}\n", Source(text), Source(file), line.line_number()));
        self.source = Some(*line);
    }

    /// Notes what an instruction names (`check_reg_arg`, `mark_stack_slot_scratched`).
    fn names(&mut self, state: &State, insn: Insn) {
        if insn == Insn::Exit {
            return self.leaving(state);
        }
        self.named.regs |= insn.reads().union(insn.writes()).bits();
        if insn.is_call() {
            self.remember(state);
            if let Insn::CallHelper { id } = insn {
                self.named.slots |= self.written_by(state, FuncId(id));
            }
        } else if let Some((base, off, size, access)) = stack_access(insn) {
            self.named.slots |= slots_at(state, *state.reg(base), off, size, access);
        }
    }

    /// A function is left now that another one may have called.
    pub(crate) fn leaving(&mut self, state: &State) {
        self.leaves = None;
        if state.top() > 0 {
            let callee = Function { subject: self.subject, state, frame: state.top(), parts: Parts::ALL };
            self.leaves = words(format_args!("{callee}"));
        }
    }

    /// Keeps what the kernel keeps on the stacks before a call. Where there is no memory for that, less is shown after it.
    fn remember(&mut self, state: &State) {
        self.stacks.clear();
        self.depths = [0; MOST_FRAMES];
        for (frame, depth) in state.frames.iter().zip(&mut self.depths) {
            if self.stacks.try_reserve(frame.stack.len()).is_ok() {
                self.stacks.extend(frame.stack.iter().map(|slot| slot.kept));
                *depth = frame.stack.len();
            }
        }
    }

    /// The slots that a helper writes, where it is known how many bytes these are (`check_mem_size_reg`).
    fn written_by(&self, state: &State, id: FuncId) -> u64 {
        let helper = self.subject.platform.helper(id).ok();
        let Some(args) = helper.and_then(|helper| helper.prototype).map(|prototype| prototype.args) else {
            return 0;
        };
        let value = |index: usize| Reg::new(index as u8 + 1).map(|reg| *state.reg(reg));
        let mut map: Option<&MapProto<'_>> = None;
        let mut slots = 0;
        for (index, arg) in args.iter().enumerate() {
            let size = match map.map_or(*arg, |map| arg.of_map(map.kind)) {
                Arg::Map => {
                    let Some(To::Map(at) | To::InnerMap { map: at, .. }) =
                        value(index).and_then(|value| value.to())
                    else {
                        continue;
                    };
                    map = self.subject.maps.get(usize::from(at.0));
                    None
                }
                Arg::Mem(MemAccess::Write, _) => value(index + 1).and_then(|size| size.as_constant()),
                Arg::Fixed { bytes, access: MemAccess::Write } => Some(u64::from(bytes)),
                // Its two slots are read.
                Arg::Dynptr(_) => Some(16),
                Arg::MapValueOut => map.map(|map| u64::from(map.value_size)),
                _ => None,
            };
            let size = size.and_then(|size| i64::try_from(size).ok()).filter(|&size| size > 0);
            if let (Some(size), Some(pointer)) = (size, value(index)) {
                slots |= slots_at(state, pointer, 0, size, Does::Writes);
            }
        }
        slots
    }

    /// The slots in which the kernel keeps something else since a call.
    fn changed(&self, state: &State) -> u64 {
        let mut changed = 0;
        let mut first = 0;
        for (frame, depth) in state.frames.iter().zip(self.depths) {
            let before = self.stacks.get(first..first + depth).unwrap_or_default();
            first += depth;
            for (number, slot) in frame.stack.iter().enumerate() {
                if before.get(number).copied().flatten() != slot.kept {
                    changed |= 1 << (number & 63);
                }
            }
        }
        changed
    }
}

impl Explorer<'_> {
    /// Tells something of a function.
    pub(crate) fn log_of(&mut self, what: impl FnOnce(&mut Log<'_>, &str), function: usize) {
        if let Some(mut log) = self.log.take() {
            what(&mut log, self.function_name(function));
            self.log = Some(log);
        }
    }

    /// Executes an instruction, and tells of it.
    pub(crate) fn execute_and_tell(&mut self, state: &mut State, at: InsnIdx) -> Result<Next, Rejection> {
        let insn = self.program.at(at);
        if let Some(log) = &mut self.log {
            log.looks_at(state, at, insn);
        }
        let next = self.execute(state, at)?;
        let called = insn.and_then(|insn| self.structure.subprogram_at(insn.call_target(at)?));
        let function = called.unwrap_or_default();
        self.log_of(|log, name| log.took(state, (at, insn), next, (function, name)), function);
        Ok(next)
    }
}

/// A text of the source, whatever its bytes are.
struct Source<'t>(&'t [u8]);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

/// What is done with memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Reads,
    Writes,
}

/// The pointer, what is added to it, and how many bytes are accessed, of an instruction that may access the stack.
fn stack_access(insn: Insn) -> Option<(Reg, i64, i64, Does)> {
    let (base, off, size, does) = match insn {
        Insn::Load { kind, base, off, .. } => (base, off, kind.size(), Does::Reads),
        Insn::LoadAcquire { size, base, off, .. } => (base, off, size, Does::Reads),
        Insn::Store { size, base, off, .. } | Insn::StoreRelease { size, base, off, .. } => {
            (base, off, size, Does::Writes)
        }
        Insn::Atomic { width, base, off, .. } => (base, off, width.size(), Does::Writes),
        _ => return None,
    };
    Some((base, i64::from(off), i64::from(size.bytes()), does))
}

/// The slots of an access: all that it may touch; of a load from somewhere among zeros those before the first other byte
/// (`mark_reg_stack_read`).
fn slots_at(state: &State, pointer: Value, off: i64, size: i64, does: Does) -> u64 {
    let Some(To::Stack { frame }) = pointer.certainly_to() else { return 0 };
    let start = pointer.fixed.saturating_add(off);
    let first = start.saturating_add(pointer.number.smin()).max(-512);
    let end = start.saturating_add(pointer.number.smax()).saturating_add(size).min(0);
    let stack = state.frames.get(usize::from(frame)).map_or(&[][..], |frame| &frame.stack);
    let mut slots = 0;
    for offset in first..end {
        let (number, byte) = crate::stack::place(offset);
        slots |= 1 << (number & 63);
        let is_zero = stack.get(number).is_some_and(|slot| slot.bytes.get(byte) == Some(&Byte::Zero));
        if does == Does::Reads && end - first != size && !is_zero {
            break;
        }
    }
    slots
}

/// Tells where functions begin (`add_subprog_and_kfunc`).
pub(crate) fn tell_functions(
    subject: &Subject<'_>,
    sink: &mut dyn Sink,
    detail: Detail,
) -> Result<(), Rejection> {
    if detail == Detail::Path {
        return Ok(());
    }
    let mut starts = Vec::new();
    starts.try_reserve(1).map_err(|_| no_memory())?;
    starts.push(0);
    for (at, insn) in skep_isa::insns(subject.slots).flatten() {
        if let Some(InsnIdx(start)) = insn.call_target(at) {
            starts.try_reserve(1).map_err(|_| no_memory())?;
            starts.push(start);
        }
    }
    starts.sort_unstable();
    starts.dedup();
    for (function, start) in starts.iter().enumerate() {
        let _ = sink.write_fmt(format_args!("func#{function} @{start}\n"));
    }
    Ok(())
}
