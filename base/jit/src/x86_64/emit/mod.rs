//! From operations to machine code.
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`frame`] | functions: prologue, epilogue, where slots are |
//! | [`alu`], [`divide`] | what computes |
//! | [`memory`], [`atomic`] | what accesses memory |
//! | [`order`] | accesses in the other byte order |
//! | [`check`] | what may be accessed, and what an access must have in front of it |
//! | [`room`] | the checks that compare with what is left behind a pointer |
//! | [`fuse`] | several operations that the processor does in one; [`live`] says where that can be |
//! | [`flow`] | branches, calls, fuel |
//! | [`tail`] | programs that take another one's place |
//! | [`moves`] | values that change places at once |
//! | [`exit`] | what stands behind the functions: asking the runner, and leaving by error |
//!
//! Registers: `r11` belongs to the emitter and holds nothing from one operation to the next. `rbp` is the frame pointer, `r15`
//! the anchor (see [`crate::state`]) where the target says so, and one more counts fuel. All others are the allocator's, with one exception: where two
//! operands are slots and both are needed in registers, a register that the operation does not use is kept in the frame
//! meanwhile.

mod alu;
mod atomic;
mod check;
mod divide;
mod error;
mod exit;
mod flow;
mod frame;
mod fuse;
mod live;
mod memory;
mod moves;
mod order;
mod room;
mod tail;

pub use error::EmitError;

use super::target::Target;
use super::{AsmError, Assembler, CodeOffset, Cond, Gpr, Inst, Label, Mem, Options, Plan, Rm, Width};
use crate::state::{REMEMBERED, Site, WindowIdx};
use alloc::vec::Vec;
use frame::Frame;
use skep_ir::ops::{Code, Loc, Op, OpIdx};
use skep_ir::{Access, Level};
use skep_isa::InsnIdx;

/// Is the emitter's own register.
const SCRATCH: Gpr = Gpr::R11;

/// Is no register's number, and above all that are: there are not more than sixteen, of which the emitter keeps some.
const NO_REGISTER: usize = 15;

/// Is a helper that code calls by its address: `extern "sysv64" fn(r1, r2, r3, r4, r5, word) -> r0`, with the run's
/// [word](crate::state::State::word). It ends no run and sees neither memory nor fuel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Direct {
    /// Holds the number that programs call.
    pub id: u32,
    /// Holds its address.
    pub address: u64,
    /// Says how much fuel a call costs, where that is counted.
    pub units: u32,
}

/// Is the helper by which a program goes on in another one that was emitted by itself: `extern "sysv64" fn(r1, r2, r3, r4, r5, word) -> entry`,
/// with the run's [word](crate::state::State::word). What it returns is where the other one is entered, or zero, which is what the call then
/// comes to. The other one gets [`State::first`](crate::state::State::first) in r1, finds the state as the first one did, and returns to the
/// runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// Holds the number that programs call.
    pub id: u32,
    /// Holds its address.
    pub address: u64,
}

/// Says what to emit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EmitOptions<'o> {
    /// Says whether every access must have a check in front of it.
    pub access: Access,
    /// Says what functions find in their stacks.
    pub stacks: Stacks,
    /// Counts the bytes of each function's stack.
    pub stack_bytes: u32,
    /// Says what is up to taste.
    pub assembler: Options,
    /// Lists the helpers that are called without the runner.
    pub direct: &'o [Direct],
    /// Lists the numbers by which one program of several that are [joined](skep_ir::join) goes on in another: r3 holds its
    /// position.
    pub tail_calls: &'o [u32],
    /// Is the helper that main functions go on by in what is not joined.
    pub successor: Option<Successor>,
}

/// Says what functions find in their stacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stacks {
    /// Zeroes.
    Zeroed,
    /// Whatever was there.
    AsTheyAre,
}

/// Is a piece of code, for whoever tells people where time goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Names the function of the program; nothing where asking and leaving is, for all of them.
    pub function: Option<u32>,
    /// Says where it starts, in bytes from the start of the code.
    pub start: u32,
    /// Counts its bytes.
    pub len: u32,
}

/// Holds code and what its runner must know of it. It is entered at its first byte:
/// `extern "sysv64" fn(r1, r2, r3, r4, r5, anchor) -> (r0, stopped)`, the result in `rax` and `rdx`.
#[derive(Debug)]
pub struct Emitted {
    /// Holds the code.
    pub plan: Plan,
    /// Holds the places where it asks or stops, by number.
    pub sites: Vec<Site>,
    /// Lists all of it in order; a function that is both entered and called is there twice.
    pub pieces: Vec<Piece>,
    /// Counts the windows that a run needs; those from `remembered` on are the searches'.
    pub windows: u32,
    /// Counts the windows of the stack and of regions.
    pub remembered: u32,
    /// Says whether any function touches its stack in memory.
    pub uses_stack: bool,
    /// Says whether it uses its state at all; if not, any anchor will do.
    pub uses_state: bool,
    /// Says where it is entered to call the function whose position is [`State::helper`](crate::state::State::helper), as at
    /// its first byte; nothing where functions are not called by their numbers.
    pub callback: Option<CodeOffset>,
}

/// Makes machine code of operations that were compiled for the target's [machine](Target::machine).
///
/// # Errors
///
/// [`EmitError`] says why there is none.
pub fn emit(code: &Code, target: &Target, options: &EmitOptions<'_>) -> Result<Emitted, EmitError> {
    let needs = check::check(code, target, options)?;
    Emitter::new(code, target, options, needs)?.run()
}

/// Is a value's place in the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Reg(Gpr),
    Slot(Mem),
}

impl From<Place> for Rm {
    #[inline(always)]
    fn from(place: Place) -> Rm {
        match place {
            Place::Reg(reg) => Rm::Reg(reg),
            Place::Slot(mem) => Rm::Mem(mem),
        }
    }
}

/// Is what is emitted behind the functions.
#[derive(Clone, Copy)]
enum Stub {
    /// An access is refused unless a search finds a region for it.
    Search { from: Label, back: Label, address: exit::Address, power: Option<usize>, site: u32 },
    /// An address that is not to be accessed like this.
    Refuse { from: Label, address: exit::Address, site: u32 },
    /// There is no room behind a pointer.
    NoRoom { from: Label, back: Label },
    /// What a comparison did not find is looked at again, and refused, or not.
    Look { from: Label, back: Label, address: exit::Address, access: room::Access, refused: u32 },
    /// The runner is asked for fuel.
    Fuel { from: Label, back: Label, site: u32 },
    /// The run ends here.
    Stop { from: Label, site: u32 },
    /// The run ends here, or the function with zero.
    Leave { from: Label, exit: Label, site: u32 },
    /// A division that the processor does not do.
    Divide { from: Label, back: Label, special: divide::Special },
}

/// Is an address outside of a region, whose distance from the region's start is in the scratch register.
#[derive(Clone, Copy)]
struct Refusal {
    from: Label,
    window: WindowIdx,
    site: u32,
}

struct Emitter<'e> {
    asm: Assembler,
    code: &'e Code,
    target: &'e Target,
    options: &'e EmitOptions<'e>,
    /// Holds where each function starts that is called.
    entries: Vec<Label>,
    /// Holds where each operation of the current function starts that something leads to.
    labels: Vec<Option<Label>>,
    /// Counts the operations in front of the current function.
    first: u32,
    frame: Frame,
    program: frame::Needs,
    stubs: Vec<Stub>,
    refusals: Vec<Refusal>,
    sites: Vec<Site>,
    /// Counts the windows of the stack and of regions.
    regions: u32,
    /// Counts the windows that searches remember.
    remembered: u32,
    /// Holds the allocator's registers by number; none at [`NO_REGISTER`].
    registers: [Option<Gpr>; NO_REGISTER + 1],
    /// Names the operation that is emitted.
    index: u32,
    at: InsnIdx,
    /// Counts the operations behind this one that are done with it.
    skip: u32,
    /// Holds what the zero flag speaks of, if an operation has left that.
    zero: Option<flow::Zero>,
    /// Holds what each operation of the current function does with registers, and which are read behind it.
    live: Vec<live::Step>,
    /// Leads to where the entered function gives back its registers after an error.
    unwound: Label,
    /// Names the table of all functions, once something calls them by their number.
    functions: Option<Label>,
    /// Holds where programs go on that take another one's place, its frame made and its registers kept.
    programs: Vec<Label>,
    /// Names the table of these, once something goes there.
    program_table: Option<Label>,
    failed: Label,
    ask: Label,
}

impl<'e> Emitter<'e> {
    fn new(
        code: &'e Code,
        target: &'e Target,
        options: &'e EmitOptions<'e>,
        program: frame::Needs,
    ) -> Result<Emitter<'e>, EmitError> {
        // Most operations are one instruction of four or five bytes.
        let mut asm = Assembler::with_room(options.assembler, code.ops.len());
        let mut entries = Vec::new();
        reserve(&mut entries, code.functions.len())?;
        entries.extend(code.functions.iter().map(|_| asm.label()));
        let [unwound, failed, ask] = [(); 3].map(|()| asm.label());
        let mut programs = Vec::new();
        if !options.tail_calls.is_empty() {
            reserve(&mut programs, code.entries.len())?;
            programs.extend(code.entries.iter().map(|_| asm.label()));
        }
        Ok(Emitter {
            asm,
            code,
            target,
            options,
            entries,
            labels: Vec::new(),
            first: 0,
            frame: Frame::default(),
            regions: 1 + program.regions,
            program,
            stubs: Vec::new(),
            refusals: Vec::new(),
            sites: Vec::new(),
            remembered: 0,
            registers: core::array::from_fn(|number| target.register(number as u16)),
            index: 0,
            at: InsnIdx::ZERO,
            skip: 0,
            zero: None,
            live: Vec::new(),
            unwound,
            functions: None,
            programs,
            program_table: None,
            failed,
            ask,
        })
    }

    fn run(mut self) -> Result<Emitted, EmitError> {
        let mut starts = Vec::new();
        reserve(&mut starts, self.code.functions.len() + 2)?;
        for number in 0..self.code.functions.len() {
            let starts_program = number == 0 || self.code.entries.binary_search(&(number as u32)).is_ok();
            let role = if starts_program { frame::Role::Entered } else { frame::Role::Called };
            starts.push((Some(number as u32), self.asm.here()));
            self.function(number, role)?;
        }
        if self.program.entry_is_called {
            starts.push((Some(0), self.asm.here()));
            self.function(0, frame::Role::Called)?;
        }
        starts.push((None, self.asm.here()));
        let callback = match self.program.by_number {
            true => Some(self.callback()?),
            false => None,
        };
        self.put_stubs()?;
        let plan = self.asm.plan()?;
        let callback = callback.and_then(|label| plan.offset(label));
        Ok(Emitted {
            pieces: pieces(&plan, &starts)?,
            plan,
            callback,
            sites: self.sites,
            windows: self.regions + self.remembered,
            remembered: self.regions,
            uses_stack: self.program.stack,
            uses_state: self.program.state,
        })
    }

    /// Emits a function's operations.
    fn body(&mut self, number: usize) -> Result<(), EmitError> {
        let function = &self.code.functions[number];
        let ops = function.ops.clone();
        self.first = ops.start;
        self.labels.clear();
        reserve(&mut self.labels, ops.len())?;
        self.labels.resize(ops.len(), None);
        let fuses = self.code.level == Level::O;
        if fuses {
            self.live = live::live(self.code, ops.clone(), self.target.registers())?;
        }
        for index in ops.clone() {
            match self.program.targets[index as usize] {
                frame::Entered::Never => {}
                frame::Entered::Ahead => {
                    let label = self.label(OpIdx(index))?;
                    self.asm.bind(label);
                }
                frame::Entered::Back => {
                    let label = self.label(OpIdx(index))?;
                    self.asm.bind_loop(label);
                }
            }
            if let Some(left) = self.skip.checked_sub(1) {
                self.skip = left;
                continue;
            }
            self.index = index;
            self.at = self.code.at[index as usize];
            if !fuses || !self.fuse()? {
                self.op(index + 1 == ops.end)?;
            }
        }
        Ok(())
    }

    fn op(&mut self, is_last: bool) -> Result<(), EmitError> {
        match self.code.ops[self.index as usize] {
            Op::Move { dst, src } => self.copy(dst, src)?,
            Op::Const { dst, value } => self.constant(dst, value)?,
            Op::FramePointer { dst } => self.frame_pointer(dst)?,
            Op::Alu { op, width, dst, a, b } => self.alu(op, width, dst, a, b)?,
            Op::AluImm { op, width, dst, a, imm } => self.alu_imm(op, width, dst, a, imm)?,
            Op::Neg { width, dst, a } => self.neg(width, dst, a)?,
            Op::Sext { kind, dst, a } => self.sext(kind, dst, a)?,
            Op::Trunc { size, dst, a } => self.trunc(size, dst, a)?,
            Op::Swap { width, dst, a } => self.swap(width, dst, a)?,
            Op::Rotl { width, dst, a, amount } => self.rotl(width, dst, a, amount)?,
            Op::Select { cond, width, dst, a, b, then, other } => {
                self.select_by((cond, width), (a, b), dst, (then, other))?;
            }
            Op::SelectImm { cond, width, dst, a, imm, then, other } => {
                self.select_by_imm((cond, width), (a, imm), dst, (then, other))?;
            }
            Op::Set { cond, width, dst, a, b } => self.set_by((cond, width), (a, b), dst)?,
            Op::SetImm { cond, width, dst, a, imm } => self.set_by_imm((cond, width), (a, imm), dst)?,
            Op::Check { base, off, bytes, write, region } => self.check(base, off, bytes, write, region)?,
            Op::Room { dst, base, end, scale, write, region } => {
                self.room(dst, base, room::Behind { end, scale, write, region })?;
            }
            Op::CheckRoom { base, room, off, size, write, region } => {
                self.check_room(base, room, off, room::Access { size, write, region })?;
            }
            Op::CheckSum { base, index, room, off, what, region } => {
                let sum = memory::Sum { base, index, scale: what.scale(), off };
                let access = room::Access { size: what.size(), write: what.write(), region };
                self.check_sum(sum, what.measure(), room, access)?;
            }
            Op::Load { kind, dst, base, off } => self.load(kind, dst, base, off)?,
            Op::LoadSum { kind, dst, base, index, scale, off } => {
                let sum = memory::Sum { base, index, scale, off };
                self.load_sum(kind, dst, sum)?;
            }
            Op::StoreSum { size, base, index, scale, off, src } => {
                let sum = memory::Sum { base, index, scale, off };
                self.store_sum(size, sum, src)?;
            }
            Op::StoreImmSum { size, base, index, scale, off, imm } => {
                let sum = memory::Sum { base, index, scale, off };
                self.store_imm_sum(size, sum, imm)?;
            }
            Op::Store { size, base, off, src } => self.store(size, base, off, src)?,
            Op::StoreRelease { size, base, off, src } => self.store_release(size, base, off, src)?,
            Op::StoreImm { size, base, off, imm } => self.store_imm(size, base, off, imm)?,
            Op::Atomic { op, width, dst, base, off, src } => self.atomic(op, width, dst, base, off, src)?,
            Op::Cmpxchg { width, dst, base, off, expected, src } => {
                self.cmpxchg(width, dst, base, off, expected, src)?;
            }
            Op::LoadAcquire { size, dst, base, off } => self.load_acquire(size, dst, base, off)?,
            Op::Helper { id, dst, args } => self.helper(id, dst, args)?,
            Op::Call { function, dst, args } => self.call(function, dst, args)?,
            Op::Packet { size, dst, args } => self.packet(size, dst, args)?,
            Op::CallReg { dst, args } => self.call_reg(dst, args)?,
            Op::Charge { units } => self.charge(units)?,
            Op::Jump { to } => {
                let to = self.threaded(to);
                if to.0 != self.index + 1 {
                    let label = self.label(to)?;
                    self.asm.jmp(label);
                }
            }
            Op::Branch { cond, width, a, b, to } => {
                let (flag, to) = self.direct(flow::flag(cond), to);
                self.branch(cond, width, a, b)?;
                self.jump_if(flag, to)?;
            }
            Op::BranchImm { cond, width, a, imm, to } => {
                let is_known = imm == 0 && self.is_zero_known(cond, width, a)?;
                let (flag, to) = self.direct(flow::flag(cond), to);
                if !is_known {
                    self.branch_imm(cond, width, a, imm)?;
                }
                self.jump_if(flag, to)?;
            }
            Op::Return { src } => {
                self.get(src, Gpr::Rax)?;
                self.leave(is_last);
            }
            Op::ReturnNumber { value } => {
                self.put_number(Gpr::Rax, value);
                self.leave(is_last);
            }
        }
        Ok(())
    }

    /// Returns the table that leads to every function by its position.
    fn functions(&mut self) -> Label {
        match self.functions {
            Some(table) => table,
            None => *self.functions.insert(self.asm.table(&self.entries)),
        }
    }

    const fn malformed(&self) -> EmitError {
        EmitError::Malformed { op: self.index }
    }

    /// Returns the label of an operation of the current function that something leads to.
    fn label(&mut self, to: OpIdx) -> Result<Label, EmitError> {
        let malformed = self.malformed();
        let is_target = self.is_target(to.0);
        let place = to.0.checked_sub(self.first).and_then(|place| self.labels.get_mut(place as usize));
        match place.filter(|_| is_target).ok_or(malformed)? {
            Some(label) => Ok(*label),
            place => Ok(*place.insert(self.asm.label())),
        }
    }

    /// Finds a place in the processor; what nobody wants is in the scratch register.
    fn place(&self, loc: Loc) -> Result<Place, EmitError> {
        match loc {
            Loc::NONE => Ok(Place::Reg(SCRATCH)),
            Loc::SCRATCH => Ok(self.frame.aside()),
            Loc(number) => match self.target.register(number) {
                Some(reg) => Ok(Place::Reg(reg)),
                None => self.frame.slot(number).map(Place::Slot).ok_or(self.malformed()),
            },
        }
    }

    /// Returns a register that holds what a place holds: its own, or the one that is lent.
    fn read(&mut self, loc: Loc, lent: Gpr) -> Result<Gpr, EmitError> {
        match self.place(loc)? {
            Place::Reg(reg) => Ok(reg),
            Place::Slot(mem) => {
                self.put(Inst::mov(Width::W64, lent, mem));
                Ok(lent)
            }
        }
    }

    /// Moves what a place holds to a register.
    fn get(&mut self, loc: Loc, reg: Gpr) -> Result<(), EmitError> {
        let from = self.place(loc)?;
        if from != Place::Reg(reg) {
            self.put(Inst::mov(Width::W64, reg, from));
        }
        Ok(())
    }

    /// Returns the register that a place is, if it is one of the allocator's.
    #[inline(always)]
    fn register(&self, loc: Loc) -> Option<Gpr> {
        self.registers[usize::from(loc.0).min(NO_REGISTER)]
    }

    /// Returns the register that a result is computed in: its own, or the scratch one.
    #[inline(always)]
    fn result(&self, dst: Loc) -> Result<Gpr, EmitError> {
        match self.register(dst) {
            Some(reg) => Ok(reg),
            None => self.place(dst).map(|place| match place {
                Place::Reg(reg) => reg,
                Place::Slot(_) => SCRATCH,
            }),
        }
    }

    /// Moves a result from the register that it was computed in to its place.
    #[inline(always)]
    fn set(&mut self, dst: Loc, from: Gpr) -> Result<(), EmitError> {
        if self.register(dst) == Some(from) { Ok(()) } else { self.move_result(dst, from) }
    }

    #[inline(never)]
    fn move_result(&mut self, dst: Loc, from: Gpr) -> Result<(), EmitError> {
        if dst == Loc::NONE {
            return Ok(());
        }
        match self.place(dst)? {
            Place::Reg(reg) if reg == from => {}
            Place::Reg(reg) => self.put(Inst::mov(Width::W64, reg, from)),
            Place::Slot(mem) => self.put(Inst::store(super::Size::B8, mem, from)),
        }
        Ok(())
    }

    #[inline(always)]
    fn put(&mut self, inst: Inst) {
        self.asm.put(inst);
    }

    /// Adds a stub.
    fn stub(&mut self, stub: Stub) -> Result<(), EmitError> {
        reserve(&mut self.stubs, 1)?;
        self.stubs.push(stub);
        Ok(())
    }

    /// Jumps, if a condition holds, to what is emitted behind the functions.
    fn aside(&mut self, cond: Cond, stub: impl FnOnce(Label) -> Stub) -> Result<(), EmitError> {
        let from = self.asm.label();
        self.jump_aside(cond, from);
        self.stub(stub(from))
    }

    /// Jumps, if a condition holds, to a label of what is emitted behind the functions. Hardly any of that is near; where
    /// compiling is to be fast, it is not looked for.
    fn jump_aside(&mut self, cond: Cond, to: Label) {
        match self.code.level {
            Level::O0 => self.asm.jcc_near(cond, to),
            Level::O => self.asm.jcc(cond, to),
        }
    }

    /// Numbers a place where the run asks or stops.
    fn site(&mut self, kind: crate::state::SiteKind) -> Result<u32, EmitError> {
        let number = i32::try_from(self.sites.len()).map_err(|_| AsmError::TooLong)?;
        reserve(&mut self.sites, 1)?;
        self.sites.push(Site { at: self.at, kind });
        Ok(number as u32)
    }

    /// Names one of the windows that searches remember.
    fn remember(&mut self) -> WindowIdx {
        let number = self.regions + self.sites.len() as u32 % REMEMBERED;
        self.remembered = self.remembered.max(number + 1 - self.regions);
        WindowIdx(number)
    }
}

/// Measures pieces, each of which ends where the next one starts.
fn pieces(plan: &Plan, starts: &[(Option<u32>, Label)]) -> Result<Vec<Piece>, EmitError> {
    let mut pieces: Vec<Piece> = Vec::new();
    reserve(&mut pieces, starts.len())?;
    let mut end = plan.size() as u32;
    for (function, label) in starts.iter().rev() {
        let start = plan.offset(*label).map_or(end, |at| at.0);
        if start < end {
            pieces.push(Piece { function: *function, start, len: end - start });
        }
        end = start;
    }
    pieces.reverse();
    Ok(pieces)
}

/// Makes room without aborting where there is none.
fn reserve<T>(list: &mut Vec<T>, more: usize) -> Result<(), EmitError> {
    list.try_reserve(more).map_err(|_| EmitError::Asm(AsmError::OutOfMemory))
}
