//! From operations to instructions of the interpreter; what is refused here cannot happen there.

use crate::frame::Place;
use crate::insn::{self, Insn, Passed, Target};
use crate::regions::RegionCode;
use alloc::vec::Vec;
use core::fmt;
use skep_ir::cover::{self, Uncovered, accessed};
use skep_ir::ops::{Arg, Code, FunctionCode, Loc, Op};
use skep_isa::{InsnIdx, Size};

/// Is a program that the interpreter runs; any number of threads may run it at once.
#[derive(Debug)]
pub struct Program {
    pub(crate) insns: Vec<Insn>,
    /// Holds, for each instruction, the one of the bytecode that it stems from.
    pub(crate) at: Vec<InsnIdx>,
    pub(crate) functions: Vec<Function>,
    pub(crate) arguments: Vec<Argument>,
    /// Counts the places of the largest function.
    pub(crate) places: u16,
    /// Counts the bytes of each function's stack.
    pub(crate) stack_bytes: u32,
    pub(crate) fresh: Fresh,
}

/// Says what a function finds in its stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fresh {
    /// Zeroes, as in programs that are checked: what a program reads does not depend on what was there before.
    Zeroes,
    /// Whatever was there.
    #[default]
    Anything,
}

/// Is what a call needs of a function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Function {
    pub(crate) start: u32,
    /// Counts its places, with one for moves in a circle.
    pub(crate) places: u16,
    pub(crate) uses_stack: bool,
    pub(crate) params: [Option<Place>; 5],
}

/// Is one argument of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument {
    /// Names its place in the frame of the function that is called; counts the arguments of a helper.
    pub(crate) to: Place,
    pub(crate) from: From,
}

/// Says where an argument comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Place(Place),
    Number(u64),
}

/// Says why a program cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProgramError {
    /// An access has no check that covers it.
    Unchecked {
        /// Names the instruction.
        at: InsnIdx,
    },
    /// The operations do not fit together: a place, a target or a function that is not there.
    Malformed {
        /// Counts the operation.
        op: u32,
    },
    /// Memory could not be had.
    OutOfMemory,
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramError::Unchecked { at } => write!(f, "instruction {at}: the access has no check"),
            ProgramError::Malformed { op } => write!(f, "operation {op} does not fit the others"),
            ProgramError::OutOfMemory => f.write_str("out of memory"),
        }
    }
}

impl core::error::Error for ProgramError {}

/// Is somebody's word that programs need no checks, for whoever hands programs on to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promise(());

impl Promise {
    /// Gives one's word for every program that this is used for.
    ///
    /// # Safety
    ///
    /// In every run of these programs, every access must be to memory that is mapped for it and that nobody accesses but
    /// atomically; and where a run [trusts](crate::Regions::trusting) them, what they pass to helpers as memory must be such, too, and
    /// their [word](crate::Calls::word) that of what [quick](crate::Quick) helpers want.
    pub const unsafe fn new() -> Promise {
        Promise(())
    }
}

impl Program {
    /// Makes a program of which every access is checked as it runs; `stack_bytes` are those that it was compiled for.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Unchecked`] where an access has no check in front of it that covers it;
    /// [`ProgramError::Malformed`] where the code is not what the compiler makes.
    pub fn checked(code: &Code, stack_bytes: u32) -> Result<Program, ProgramError> {
        cover::check(code, &skep_ir::machine::Machine::INTERPRETER, stack_bytes).map_err(
            |fault| match fault {
                Uncovered::Access { at } => ProgramError::Unchecked { at },
                Uncovered::Target { op } => ProgramError::Malformed { op },
                Uncovered::OutOfMemory => ProgramError::OutOfMemory,
            },
        )?;
        Translation::new(code, stack_bytes, Fresh::Zeroes)?.run()
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
    /// [`ProgramError::Malformed`] where the code is not what the compiler makes.
    pub unsafe fn unchecked(code: &Code, stack_bytes: u32) -> Result<Program, ProgramError> {
        Translation::new(code, stack_bytes, Fresh::Anything)?.run()
    }

    /// Makes a program whose accesses need no check, on somebody else's word.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Malformed`] where the code is not what the compiler makes.
    pub fn promised(code: &Code, stack_bytes: u32, _: Promise) -> Result<Program, ProgramError> {
        Translation::new(code, stack_bytes, Fresh::Anything)?.run()
    }

    /// Makes a program whose accesses need no check, on somebody else's word, and whose functions find what this says in their stacks.
    ///
    /// # Errors
    ///
    /// [`ProgramError::Malformed`] where the code is not what the compiler makes.
    pub fn promised_with(
        code: &Code,
        stack_bytes: u32,
        fresh: Fresh,
        _: Promise,
    ) -> Result<Program, ProgramError> {
        Translation::new(code, stack_bytes, fresh)?.run()
    }

    /// Counts the instructions of the interpreter.
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Says whether there are none; there always are.
    pub fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }

    /// Counts the bytes that it occupies.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Program>()
            + self.insns.capacity() * size_of::<Insn>()
            + self.at.capacity() * size_of::<InsnIdx>()
            + self.functions.capacity() * size_of::<Function>()
            + self.arguments.capacity() * size_of::<Argument>()
    }
}

struct Translation<'t> {
    code: &'t Code,
    program: Program,
    /// Says, for each operation, whether control comes from elsewhere than the one before.
    entered: Vec<bool>,
    /// Holds the first instruction of each operation.
    starts: Vec<u32>,
}

impl<'t> Translation<'t> {
    fn new(code: &'t Code, stack_bytes: u32, fresh: Fresh) -> Result<Translation<'t>, ProgramError> {
        let mut translation = Translation {
            code,
            program: Program {
                insns: list(code.ops.len())?,
                at: list(code.ops.len())?,
                functions: list(code.functions.len())?,
                arguments: Vec::new(),
                places: 0,
                stack_bytes,
                fresh,
            },
            entered: list(code.ops.len())?,
            starts: list(code.ops.len())?,
        };
        translation.entered.resize(code.ops.len(), false);
        for (op, index) in code.ops.iter().zip(0..) {
            if let Some(target) = op.target() {
                let place = translation.entered.get_mut(target.0 as usize);
                *place.ok_or(ProgramError::Malformed { op: index })? = true;
            }
        }
        Ok(translation)
    }

    fn run(mut self) -> Result<Program, ProgramError> {
        let mut next = 0;
        for function in &self.code.functions {
            let malformed = ProgramError::Malformed { op: function.ops.start };
            let last = function.ops.end.checked_sub(1).and_then(|last| self.code.ops.get(last as usize));
            if function.ops.start != next || !last.is_some_and(Op::is_end) || function.locs > Loc::LIMIT {
                return Err(malformed);
            }
            next = function.ops.end;
            let start = self.program.insns.len() as u32;
            self.function(function)?;
            let mut params = [None; 5];
            for (param, loc) in params.iter_mut().zip(function.params) {
                *param = match loc {
                    Loc::NONE => None,
                    loc => Some(self.place(function, loc, function.ops.start)?),
                };
            }
            let places = function.locs + 1;
            self.program.places = self.program.places.max(places);
            let function = Function { start, places, uses_stack: function.uses_stack, params };
            self.program.functions.push(function);
        }
        if next as usize != self.code.ops.len() || self.code.functions.is_empty() {
            return Err(ProgramError::Malformed { op: next });
        }
        for (op, index) in self.code.ops.iter().zip(0usize..) {
            if let Some(target) = op.target() {
                // Branches are one instruction.
                let insn = self.starts[index] as usize;
                self.program.insns[insn].retarget(Target(self.starts[target.0 as usize]));
            }
        }
        Ok(self.program)
    }

    fn function(&mut self, function: &FunctionCode) -> Result<(), ProgramError> {
        let mut skip = false;
        for index in function.ops.clone() {
            let op = self.code.ops[index as usize];
            if op.target().is_some_and(|target| !function.ops.contains(&target.0)) {
                return Err(ProgramError::Malformed { op: index });
            }
            let here = self.program.insns.len() as u32;
            self.starts.push(here);
            if !skip {
                // A check right before its access is done with it.
                let fused = self.fused(function, index);
                skip = fused.is_some();
                let (op, region) = match fused {
                    Some((op, region)) => (op, Some(region)),
                    None => (op, None),
                };
                let insn = self.insn(function, &op, region, index)?;
                self.program.insns.try_reserve(1).map_err(|_| ProgramError::OutOfMemory)?;
                self.program.insns.push(insn);
                self.program.at.push(self.code.at[index as usize]);
            } else {
                skip = false;
            }
        }
        Ok(())
    }

    /// Returns the access that follows a check and that the check is for, if its instruction can check.
    fn fused(&self, function: &FunctionCode, index: u32) -> Option<(Op, RegionCode)> {
        let Op::Check { base, off, bytes, write, region } = self.code.ops[index as usize] else {
            return None;
        };
        let next = index + 1;
        if !function.ops.contains(&next) || self.entered[next as usize] {
            return None;
        }
        let op = self.code.ops[next as usize];
        let access = accessed(&op)?;
        let fits = access.base == base
            && access.off == off
            && access.size.bytes() == u32::from(bytes)
            && (write || !access.write);
        let simple = matches!(op, Op::Load { .. } | Op::Store { .. } | Op::StoreImm { .. });
        (fits && simple).then(|| (op, RegionCode::new(region)))
    }

    /// Names a place that is read or written.
    fn place(&self, function: &FunctionCode, loc: Loc, op: u32) -> Result<Place, ProgramError> {
        match loc {
            // The last place is nobody's: it holds what goes aside, and what nobody wants.
            Loc::SCRATCH | Loc::NONE => Ok(Place(function.locs)),
            Loc(number) if number < function.locs => Ok(Place(number)),
            Loc(_) => Err(ProgramError::Malformed { op }),
        }
    }

    fn insn(
        &mut self,
        function: &FunctionCode,
        op: &Op,
        check: Option<RegionCode>,
        index: u32,
    ) -> Result<Insn, ProgramError> {
        let place = |loc| self.place(function, loc, index);
        // Set when every instruction has its place.
        let later = Target(0);
        Ok(match *op {
            Op::Move { dst, src } => Insn::Move { dst: place(dst)?, src: place(src)? },
            Op::Const { dst, value } => Insn::Const { dst: place(dst)?, value },
            Op::FramePointer { dst } => Insn::FramePointer { dst: place(dst)? },
            Op::Alu { op, width, dst, a, b } => insn::alu(op, width, place(dst)?, place(a)?, place(b)?),
            Op::AluImm { op, width, dst, a, imm } => insn::alu_imm(op, width, place(dst)?, place(a)?, imm),
            Op::Neg { width, dst, a } => Insn::Neg { width, dst: place(dst)?, a: place(a)? },
            Op::Sext { kind, dst, a } => Insn::Sext { kind, dst: place(dst)?, a: place(a)? },
            Op::Trunc { size: Size::B, dst, a } => Insn::TruncB { dst: place(dst)?, a: place(a)? },
            Op::Trunc { size: Size::H, dst, a } => Insn::TruncH { dst: place(dst)?, a: place(a)? },
            Op::Trunc { size: Size::W, dst, a } => Insn::TruncW { dst: place(dst)?, a: place(a)? },
            Op::Trunc { size: Size::Dw, dst, a } => Insn::Move { dst: place(dst)?, src: place(a)? },
            Op::Swap { width, dst, a } => Insn::Swap { width, dst: place(dst)?, a: place(a)? },
            Op::Rotl { width, dst, a, amount } => {
                Insn::Rotl { width, dst: place(dst)?, a: place(a)?, amount }
            }
            Op::Select { cond, width, dst, a, b, then, other } => {
                let operands = [place(a)?, place(b)?, place(then)?, place(other)?];
                insn::select(cond, width, place(dst)?, operands)
            }
            Op::SelectImm { cond, width, dst, a, imm, then, other } => {
                let operands = [place(a)?, place(then)?, place(other)?];
                insn::select_imm(cond, width, place(dst)?, operands, imm)
            }
            Op::Check { base, off, bytes, write, region } => {
                let (base, region) = (place(base)?, RegionCode::new(region));
                match write {
                    true => Insn::CheckWrite { base, off, bytes, region },
                    false => Insn::CheckRead { base, off, bytes, region },
                }
            }
            // Made for machines that compare faster than they check, or than they choose.
            Op::Room { .. }
            | Op::CheckRoom { .. }
            | Op::CheckSum { .. }
            | Op::Set { .. }
            | Op::SetImm { .. } => {
                return Err(ProgramError::Malformed { op: index });
            }
            Op::Load { kind, dst, base, off } => insn::load(kind, place(dst)?, place(base)?, off, check),
            Op::Store { size, base, off, src } => insn::store(size, place(base)?, off, place(src)?, check),
            Op::StoreImm { size, base, off, imm } => insn::store_imm(size, place(base)?, off, imm, check),
            Op::LoadSum { kind, dst, base, index, scale, off } => {
                insn::load_sum(kind, place(dst)?, [place(base)?, place(index)?], scale, off)
            }
            Op::StoreSum { size, base, index, scale, off, src } => {
                insn::store_sum(size, [place(base)?, place(index)?], scale, off, place(src)?)
            }
            Op::StoreImmSum { size, base, index, scale, off, imm } => {
                insn::store_imm_sum(size, [place(base)?, place(index)?], scale, off, imm)
            }
            Op::Atomic { op, width, dst, base, off, src } => {
                Insn::Atomic { op, width, dst: place(dst)?, base: place(base)?, off, src: place(src)? }
            }
            Op::Cmpxchg { width, dst, base, off, expected, src } => Insn::Cmpxchg {
                width,
                dst: place(dst)?,
                base: place(base)?,
                off,
                expected: place(expected)?,
                src: place(src)?,
            },
            Op::LoadAcquire { size, dst, base, off } => {
                Insn::LoadAcquire { size, dst: place(dst)?, base: place(base)?, off }
            }
            Op::StoreRelease { size, base, off, src } => {
                Insn::StoreRelease { size, base: place(base)?, off, src: place(src)? }
            }
            Op::Helper { id, dst, args } => {
                let dst = place(dst)?;
                let numbered = (0..5).map(Place);
                Insn::Helper {
                    id,
                    dst,
                    passed: self.passed(function, numbered, self.code.args(args), index)?,
                }
            }
            Op::Packet { size, dst, args } => {
                let dst = place(dst)?;
                let numbered = (0..2).map(Place);
                let passed = self.passed(function, numbered, self.code.args(args), index)?;
                Insn::Packet { size, dst, passed }
            }
            Op::CallReg { dst, args } => {
                let dst = place(dst)?;
                let numbered = (0..6).map(Place);
                Insn::CallReg { dst, passed: self.passed(function, numbered, self.code.args(args), index)? }
            }
            Op::Call { function: number, dst, args } => {
                let dst = place(dst)?;
                let malformed = ProgramError::Malformed { op: index };
                let callee = self.code.functions.get(number as usize).ok_or(malformed)?;
                let number = u16::try_from(number).map_err(|_| malformed)?;
                let mut to = [Place(0); 5];
                let mut taken = 0;
                for (to, loc) in to.iter_mut().zip(callee.taken()) {
                    *to = self.place(callee, loc, index)?;
                    taken += 1;
                }
                let args = self.code.args(args);
                if args.len() != taken {
                    return Err(malformed);
                }
                let passed = self.passed(function, to.into_iter(), args, index)?;
                Insn::Call { function: number, dst, passed }
            }
            Op::Charge { units } => Insn::Charge { units },
            Op::Jump { .. } => Insn::Jump { to: later },
            Op::Branch { cond, width, a, b, .. } => insn::branch(cond, width, place(a)?, place(b)?, later),
            Op::BranchImm { cond, width, a, imm, .. } => insn::branch_imm(cond, width, place(a)?, imm, later),
            Op::Return { src } => Insn::Return { src: place(src)? },
            Op::ReturnNumber { value } => Insn::ReturnNumber { value },
        })
    }

    /// Lists the arguments of a call.
    fn passed(
        &mut self,
        function: &FunctionCode,
        to: impl Iterator<Item = Place>,
        args: &[Arg],
        op: u32,
    ) -> Result<Passed, ProgramError> {
        let malformed = ProgramError::Malformed { op };
        let start = u32::try_from(self.program.arguments.len()).map_err(|_| malformed)?;
        let mut len = 0;
        for (arg, to) in args.iter().zip(to) {
            let from = match *arg {
                Arg::Loc(loc) => From::Place(self.place(function, loc, op)?),
                Arg::Number(number) => From::Number(number),
            };
            self.program.arguments.try_reserve(1).map_err(|_| ProgramError::OutOfMemory)?;
            self.program.arguments.push(Argument { to, from });
            len += 1;
        }
        if usize::from(len) != args.len() {
            return Err(malformed);
        }
        Ok(Passed { start, len })
    }
}

/// Makes an empty list with room.
fn list<T>(len: usize) -> Result<Vec<T>, ProgramError> {
    let mut list = Vec::new();
    list.try_reserve_exact(len).map_err(|_| ProgramError::OutOfMemory)?;
    Ok(list)
}
