//! Programs of machine code.

use super::run::state_words;
use crate::{Fresh, Plain, Promise, Successor};
use alloc::vec::Vec;
use core::fmt;
use skep_ir::ops::{Code as Ops, Op};
use skep_ir::ssa::eval::MAX_DEPTH;
use skep_ir::{Access, Level};
use skep_isa::InsnIdx;
use skep_jit::state::Site;
use skep_jit::x86_64::{
    self, Align, Alignment, AsmError, CodeOffset, Direct, EmitError, EmitOptions, Emitted, Feature, Piece,
    Stacks, Target, WriteError,
};
use skep_mem::{Code, RawCode};

/// Starts loops where the processor fetches its next instructions, if that costs little.
const LOOPS: Alignment = Alignment { to: Align::To32, most: 31 };

/// Says whether functions for C are called as emitted code calls them.
const IS_SYSTEM_V: bool = !cfg!(any(windows, target_os = "uefi"));

/// Says how to make a program; a number of bytes alone stands for the stack of each function.
#[derive(Clone, Copy, Debug)]
pub struct JitOptions<'o> {
    /// Counts the bytes of each function's stack.
    pub stack_bytes: u32,
    /// Lists helpers that the code may call by their addresses.
    pub plain: &'o [Plain],
    /// Says how one program goes on in another, where several are [joined](skep_ir::join).
    pub tail_calls: TailCalls<'o>,
    /// Says what functions find in their stacks, in programs that are not checked.
    pub fresh: Fresh,
    /// Says how a main function goes on in a program that is not joined with its own, if it [needs nobody](JitProgram::run_alone) but for
    /// that; in others [`Calls`](crate::Calls) are asked.
    pub successor: Option<Successor>,
}

/// Says how one program goes on in another: by calling one of these numbers with the other's position in r3.
#[derive(Clone, Copy, Debug, Default)]
pub struct TailCalls<'o> {
    /// Lists the numbers.
    pub ids: &'o [u32],
    /// Bounds how many programs may follow one another in a run; from then on the call returns -1.
    pub most: u32,
}

impl From<u32> for JitOptions<'_> {
    fn from(stack_bytes: u32) -> Self {
        let tail_calls = TailCalls::default();
        JitOptions { stack_bytes, plain: &[], tail_calls, fresh: Fresh::Anything, successor: None }
    }
}

/// Is a program of machine code in memory that a [`Code`] has given; any number of threads may run it at once.
#[derive(Debug)]
pub struct JitProgram<H: Code> {
    pub(super) host: H,
    pub(super) code: RawCode,
    /// Counts the bytes of code, which may be fewer than there is memory.
    len: usize,
    pub(super) sites: Vec<Site>,
    pieces: Vec<Piece>,
    /// Counts the windows that a run has.
    pub(super) windows: u32,
    /// Names the first of those that searches remember.
    pub(super) remembered: u32,
    /// Counts the programs that may follow one another.
    pub(super) tail_calls: u32,
    /// Counts the words of a run's state and windows.
    pub(super) state_words: usize,
    /// Counts the words of the stacks of a run.
    pub(super) stack_words: usize,
    pub(super) uses_state: bool,
    /// Says that it asks its runner nothing: whatever it calls it calls by its address, and it counts no fuel.
    pub(super) is_alone: bool,
    /// Says that others may take its place in a run of its own code.
    pub(super) makes_way: bool,
    /// Says whether some of the helpers that it may call are plain ones.
    pub(super) wants_word: bool,
    /// Says where helpers enter functions that they call, if they may.
    pub(super) callback: Option<usize>,
    /// Counts the functions.
    pub(super) functions: u32,
    /// Names the instruction that it starts with.
    pub(super) start: InsnIdx,
}

// SAFETY: the code is only executed once it is published, and the rest is values.
unsafe impl<H: Code> Send for JitProgram<H> {}
// SAFETY: as above; running a program changes nothing in it.
unsafe impl<H: Code> Sync for JitProgram<H> {}

/// Is a piece of a program's machine code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodePiece {
    /// Names the function of the program, counted from the main one; nothing for what all of them share.
    pub function: Option<u32>,
    /// Holds the address of the first byte.
    pub address: usize,
    /// Counts the bytes.
    pub len: usize,
}

/// Says why there is no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JitError {
    /// The operations cannot be emitted.
    Emit(EmitError),
    /// The code cannot be written.
    Write(WriteError),
    /// The code is for a processor that can what this one cannot.
    Feature(Feature),
    /// There is no memory for code.
    NoCodeMemory,
}

impl fmt::Display for JitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JitError::Emit(error) => error.fmt(f),
            JitError::Write(error) => error.fmt(f),
            JitError::Feature(feature) => write!(f, "this processor lacks {}", feature.name()),
            JitError::NoCodeMemory => f.write_str("no memory for code"),
        }
    }
}

impl core::error::Error for JitError {}

impl<H: Code> JitProgram<H> {
    /// Makes a program of operations in which every access is covered by a check, compiled for the target's
    /// [machine](Target::machine).
    ///
    /// # Errors
    ///
    /// [`JitError`] says what is missing; [`EmitError::Unchecked`] names an access without a check.
    pub fn checked<'o>(
        ops: &Ops,
        target: &Target,
        options: impl Into<JitOptions<'o>>,
        host: H,
    ) -> Result<JitProgram<H>, JitError> {
        JitProgram::new(ops, target, options.into(), Access::Checked, host)
    }

    /// Makes a program whose accesses need no check.
    ///
    /// # Safety
    ///
    /// In every run of the program, every access that has no check must be to memory that is mapped for it and that nobody
    /// accesses but atomically.
    ///
    /// # Errors
    ///
    /// [`JitError`] says what is missing.
    pub unsafe fn unchecked<'o>(
        ops: &Ops,
        target: &Target,
        options: impl Into<JitOptions<'o>>,
        host: H,
    ) -> Result<JitProgram<H>, JitError> {
        JitProgram::new(ops, target, options.into(), Access::Unchecked, host)
    }

    /// Makes a program whose accesses need no check, on somebody else's word.
    ///
    /// # Errors
    ///
    /// [`JitError`] says what is missing.
    pub fn promised<'o>(
        ops: &Ops,
        target: &Target,
        options: impl Into<JitOptions<'o>>,
        host: H,
        _: Promise,
    ) -> Result<JitProgram<H>, JitError> {
        JitProgram::new(ops, target, options.into(), Access::Unchecked, host)
    }

    fn new(
        ops: &Ops,
        target: &Target,
        options: JitOptions<'_>,
        access: Access,
        host: H,
    ) -> Result<JitProgram<H>, JitError> {
        let JitOptions { stack_bytes, plain, tail_calls, fresh, successor } = options;
        let here = super::features();
        let missing = |feature: &Feature| target.features.has(*feature) && !here.has(*feature);
        if let Some(feature) = Feature::ALL.into_iter().find(missing) {
            return Err(JitError::Feature(feature));
        }
        let mut direct = Vec::new();
        if IS_SYSTEM_V {
            let no_memory = |_| JitError::Emit(EmitError::Asm(AsmError::OutOfMemory));
            direct.try_reserve_exact(plain.len()).map_err(no_memory)?;
            direct.extend(plain.iter().map(|plain| Direct {
                id: plain.id,
                address: plain.function as *const () as u64,
                units: plain.units,
            }));
        }
        let successor = successor.filter(|_| IS_SYSTEM_V && tail_calls.ids.is_empty());
        let is_alone = asks_nothing(ops, &direct, tail_calls.ids, successor.map(|successor| successor.id));
        // Who needs a runner finds the next program by it, too.
        let successor = successor.filter(|successor| is_alone && calls(ops, successor.id));
        let assembler = x86_64::Options { loops: (ops.level == Level::O).then_some(LOOPS) };
        let zeroed = access == Access::Checked || fresh == Fresh::Zeroes;
        let options = EmitOptions {
            access,
            stacks: if zeroed { Stacks::Zeroed } else { Stacks::AsTheyAre },
            stack_bytes,
            assembler,
            direct: &direct,
            tail_calls: tail_calls.ids,
            successor: successor.map(|successor| x86_64::Successor {
                id: successor.id,
                address: successor.function as *const () as u64,
            }),
        };
        let emitted = x86_64::emit(ops, target, &options).map_err(JitError::Emit)?;
        let Emitted { plan, sites, pieces, windows, remembered, uses_stack, uses_state, callback } = emitted;
        let len = plan.size();
        let code = host.stage(len).ok_or(JitError::NoCodeMemory)?;
        // From here on the memory goes back when the program is dropped.
        let start = ops.at.first().copied().unwrap_or(InsnIdx::ZERO);
        let program = JitProgram {
            host,
            code,
            len,
            sites,
            pieces,
            windows,
            remembered,
            tail_calls: tail_calls.most,
            state_words: state_words(windows),
            stack_words: if uses_stack { MAX_DEPTH * stack_bytes.div_ceil(8) as usize } else { 0 },
            uses_state,
            is_alone,
            makes_way: successor.is_some(),
            wants_word: !plain.is_empty(),
            callback: callback.map(CodeOffset::index),
            functions: ops.functions.len() as u32,
            start,
        };
        // SAFETY: staged memory of this length, for this program alone.
        let bytes = unsafe { core::slice::from_raw_parts_mut(code.base.as_ptr(), code.len) };
        plan.write(bytes, code.base.as_ptr().addr() as u64).map_err(JitError::Write)?;
        // SAFETY: from this host, and written for the last time.
        if !unsafe { program.host.publish(&program.code) } {
            return Err(JitError::NoCodeMemory);
        }
        Ok(program)
    }

    /// Returns the machine code, for whoever wants to look at it.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: written by `new` and not since, and readable as what is executed is on x86-64.
        unsafe { core::slice::from_raw_parts(self.code.base.as_ptr(), self.len) }
    }

    /// Lists the pieces of the code by their addresses, for profilers; frames of functions are chained by `rbp`.
    pub fn pieces(&self) -> impl Iterator<Item = CodePiece> + '_ {
        let base = self.code.base.as_ptr().addr();
        self.pieces.iter().map(move |piece| CodePiece {
            function: piece.function,
            address: base + piece.start as usize,
            len: piece.len as usize,
        })
    }

    /// Counts the bytes that it occupies besides the host's.
    pub fn memory_bytes(&self) -> usize {
        let lists = self.sites.capacity() * size_of::<Site>() + self.pieces.capacity() * size_of::<Piece>();
        size_of::<Self>() + lists + self.code.len
    }
}

/// Says whether code runs from end to end without its runner; its main function may make way by a successor.
fn asks_nothing(ops: &Ops, direct: &[Direct], tail_calls: &[u32], successor: Option<u32>) -> bool {
    let is_direct = |id: u32| direct.iter().any(|known| known.id == id) && !tail_calls.contains(&id);
    let is_alone = |op: &Op| match op {
        Op::Helper { id, .. } => is_direct(*id) || successor == Some(*id),
        Op::Packet { .. }
        | Op::CallReg { .. }
        | Op::Charge { .. }
        | Op::Check { .. }
        | Op::Room { .. }
        | Op::CheckRoom { .. }
        | Op::CheckSum { .. } => false,
        _ => true,
    };
    // Only where it was entered a frame is all that there is.
    let main = ops.functions.first().map_or(0, |main| main.ops.end) as usize;
    let makes_way = |op: &Op| matches!(op, Op::Helper { id, .. } if successor == Some(*id));
    let starts_again = |op: &Op| matches!(op, Op::Call { function: 0, .. });
    let is_last = !ops.ops.iter().any(makes_way)
        || !ops.ops.iter().skip(main).any(makes_way) && !ops.ops.iter().any(starts_again);
    !ops.by_number && is_last && ops.ops.iter().all(is_alone)
}

/// Says whether code calls a helper.
fn calls(ops: &Ops, helper: u32) -> bool {
    ops.ops.iter().any(|op| matches!(op, Op::Helper { id, .. } if *id == helper))
}

impl<H: Code> Drop for JitProgram<H> {
    fn drop(&mut self) {
        // SAFETY: from this host; runs borrow the program, so there are none.
        unsafe { self.host.free(self.code) };
    }
}
