//! Functions: their frames, how they are entered and left.
//!
//! From high to low addresses: the return address, the caller's `rbp`, the anchor where it is kept in frames, the registers
//! that the caller wants back, then eight bytes for each value that has no register, with two more for what goes aside.

use super::{EmitError, Emitter, Place, SCRATCH, Stacks};
use crate::state::{self, WindowIdx};
use crate::x86_64::target::{ARGUMENTS, StateIn, Target};
use crate::x86_64::{Alu, Cond, Flags, Gpr, Inst, Label, Mem, Scale, Size, SizedImm, Width};
use skep_ir::Region;
use skep_ir::ops::{Code, FunctionCode, Loc, Op};
use skep_ir::ssa::eval::MAX_DEPTH;

/// Bounds a frame's bytes: eight of them are far less than any thread's stack.
const LARGEST: u32 = 32 << 10;
/// Counts the bytes that may be skipped without meeting the guard below a stack.
const PAGE: i32 = 4096;

/// Lists what a caller wants to find as it was (System V psABI, figure 3.4).
const KEPT: [Gpr; 5] = [Gpr::Rbx, Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15];

/// Says who calls a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Role {
    /// The runner, which also takes errors.
    Entered,
    /// Functions of the program.
    #[default]
    Called,
}

/// Says how control comes to an operation, but from the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Entered {
    /// Not at all.
    Never,
    /// From before.
    Ahead,
    /// From behind too: a loop starts here.
    Back,
}

/// Is what the program needs as a whole.
#[derive(Default)]
pub(super) struct Needs {
    /// Says whether it uses its state.
    pub(super) state: bool,
    /// Says whether it counts fuel.
    pub(super) fuel: bool,
    /// Says whether calls may nest too deep.
    pub(super) depth: bool,
    /// Says whether functions are called by their numbers.
    pub(super) by_number: bool,
    /// Says whether the entered function is also called.
    pub(super) entry_is_called: bool,
    /// Says whether there are functions from which an error leads further than one frame.
    pub(super) calls: bool,
    /// Says whether any function touches its stack in memory.
    pub(super) stack: bool,
    /// Counts the numbered regions that it names.
    pub(super) regions: u32,
    /// Says, for each operation, what leads there.
    pub(super) targets: alloc::vec::Vec<Entered>,
    /// Holds the registers of [`KEPT`] that any function changes, by position.
    kept: u8,
    /// Holds those that each function changes.
    kept_by: alloc::vec::Vec<u8>,
}

impl Needs {
    /// Looks at every operation once, and refuses those that lead out of their function, or to a function that is not there.
    pub(super) fn new(code: &Code, target: &Target) -> Result<Needs, EmitError> {
        let mut needs = Needs { by_number: code.by_number, ..Needs::default() };
        let bits = Bits::new(target);
        super::reserve(&mut needs.kept_by, code.functions.len())?;
        super::reserve(&mut needs.targets, code.ops.len())?;
        needs.targets.resize(code.ops.len(), Entered::Never);
        for function in &code.functions {
            let mut kept = function.params.into_iter().fold(0, |set, loc| set | bits.of(loc));
            for (op, index) in code.ops[function.ops.start as usize..].iter().zip(function.ops.clone()) {
                // What is only read counts too, which costs nothing: it has been written, or passed, or control never comes here.
                if let Some(first) = op.first_if_plain() {
                    kept |= bits.of(first);
                    continue;
                }
                kept |= op.result().map_or(0, |loc| bits.of(loc));
                let malformed = EmitError::Malformed { op: index };
                match op {
                    Op::Jump { to } | Op::Branch { to, .. } | Op::BranchImm { to, .. } => {
                        if !function.ops.contains(&to.0) {
                            return Err(malformed);
                        }
                        let entered = if to.0 <= index { Entered::Back } else { Entered::Ahead };
                        let target = &mut needs.targets[to.0 as usize];
                        *target = entered.max(*target);
                    }
                    Op::Charge { .. } => {
                        needs.state = true;
                        needs.fuel = true;
                    }
                    Op::Check { region, .. }
                    | Op::Room { region, .. }
                    | Op::CheckRoom { region, .. }
                    | Op::CheckSum { region, .. } => {
                        needs.state = true;
                        if let Region::Fixed(number) = region {
                            needs.regions = needs.regions.max(u32::from(*number) + 1);
                        }
                    }
                    Op::Helper { .. }
                    | Op::Packet { .. }
                    | Op::FramePointer { .. }
                    | Op::LoadAcquire { .. }
                    | Op::StoreRelease { .. }
                    | Op::Atomic { .. }
                    | Op::Cmpxchg { .. } => needs.state = true,
                    Op::CallReg { .. } => needs.by_number = true,
                    Op::Call { function, .. } => {
                        if code.functions.get(*function as usize).is_none() {
                            return Err(malformed);
                        }
                        needs.calls = true;
                        needs.entry_is_called |= *function == 0;
                    }
                    _ => {}
                }
            }
            needs.kept |= kept;
            needs.stack |= function.uses_stack;
            needs.kept_by.push(kept);
        }
        // What is called by its number may be any function.
        needs.calls |= needs.by_number;
        needs.entry_is_called |= needs.by_number;
        needs.depth = needs.by_number || needs.calls && may_nest_too_deep(code)?;
        needs.state |= needs.by_number || needs.stack || needs.depth;
        if target.state == StateIn::Register && needs.state {
            needs.kept |= bit(Gpr::R15);
        }
        if needs.fuel {
            needs.kept |= target.fuel().map_or(0, bit);
        }
        Ok(needs)
    }
}

/// Says whether more than [`MAX_DEPTH`] functions may be active.
fn may_nest_too_deep(code: &Code) -> Result<bool, EmitError> {
    // How deep each function may be entered; a function that is entered deeper than there are levels calls itself, or nearly.
    let mut depths = alloc::vec::Vec::new();
    super::reserve(&mut depths, code.functions.len())?;
    depths.resize(code.functions.len(), 0usize);
    for _ in 0..MAX_DEPTH {
        let mut changed = false;
        for (number, function) in code.functions.iter().enumerate() {
            let inner = depths[number] + 1;
            for op in &code.ops[function.ops.start as usize..function.ops.end as usize] {
                if let Op::Call { function, .. } = op {
                    let callee = depths.get_mut(*function as usize);
                    let callee =
                        callee.ok_or(EmitError::Malformed { op: code.functions[number].ops.start })?;
                    if *callee < inner {
                        *callee = inner;
                        changed = true;
                    }
                    if inner >= MAX_DEPTH {
                        return Ok(true);
                    }
                }
            }
        }
        if !changed {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Holds, for each register by its number, its bit.
struct Bits([u8; 16]);

impl Bits {
    fn new(target: &Target) -> Bits {
        let mut bits = [0; 16];
        // The last one stands for what is no register.
        for (number, bits) in (0..).zip(&mut bits[..15]) {
            *bits = target.register(number).map_or(0, bit);
        }
        Bits(bits)
    }

    #[inline]
    fn of(&self, loc: Loc) -> u8 {
        self.0[usize::from(loc.0.min(15))]
    }
}

/// Returns a register's bit, if it is one of [`KEPT`].
fn bit(reg: Gpr) -> u8 {
    KEPT.iter().position(|kept| *kept == reg).map_or(0, |bit| 1 << bit)
}

/// Is the frame of the function that is emitted.
#[derive(Clone, Copy, Default)]
pub(super) struct Frame {
    /// Counts the registers of the machine, which come before slots.
    registers: u16,
    /// Counts places.
    locs: u16,
    /// Counts the bytes between `rbp` and the first slot.
    pub(super) saved: i32,
    /// Counts the bytes of slots and padding.
    bytes: i32,
    kept: u8,
    pub(super) stack: bool,
    pub(super) role: Role,
    pub(super) exit: Option<Label>,
}

impl Frame {
    /// Returns where a slot is.
    pub(super) fn slot(&self, number: u16) -> Option<Mem> {
        let slot = number.checked_sub(self.registers).filter(|_| number < self.locs)?;
        Some(self.word(2 + i32::from(slot)))
    }

    /// Returns where a value goes in the middle of moves: a register unless these need it to go from slot to slot.
    pub(super) fn aside(&self) -> Place {
        if self.has_slots() { Place::Slot(self.word(0)) } else { Place::Reg(SCRATCH) }
    }

    /// Returns where a register's value goes while the register is used for something else.
    pub(super) fn lent(&self) -> Mem {
        self.word(1)
    }

    fn has_slots(&self) -> bool {
        self.locs > self.registers
    }

    fn word(&self, number: i32) -> Mem {
        Mem::base(Gpr::Rbp, -self.saved - 8 * (number + 1))
    }
}

impl Emitter<'_> {
    /// Emits a function.
    pub(super) fn function(&mut self, number: usize, role: Role) -> Result<(), EmitError> {
        let function = &self.code.functions[number];
        let is_entered = role == Role::Entered;
        // The entered function gives back what all others have changed too, as errors lead out of them to it.
        let kept = if is_entered { self.program.kept } else { self.program.kept_by[number] };
        let home = self.has_home();
        let saved = 8 * (i32::from(home) + kept.count_ones() as i32);
        let registers = u16::from(self.target.registers());
        let slots = i32::from(function.locs.saturating_sub(registers));
        let words = if slots > 0 { slots + 2 } else { 0 };
        // At a call the stack is at a multiple of sixteen; it is here behind the return address and `rbp`.
        let bytes = (saved + 8 * words + 15) / 16 * 16 - saved;
        if bytes + saved > LARGEST as i32 {
            return Err(EmitError::FrameTooLarge { function: number as u32 });
        }
        let exit = self.asm.label();
        self.frame = Frame {
            registers,
            locs: function.locs,
            saved,
            bytes,
            kept,
            stack: function.uses_stack,
            role,
            exit: Some(exit),
        };
        if !is_entered {
            self.asm.bind(self.entries[number]);
        }
        let program = self.code.entries.binary_search(&(number as u32)).ok();
        let door = program.filter(|_| is_entered).and_then(|program| self.programs.get(program).copied());
        self.prologue(role, home, door);
        if function.uses_stack {
            self.enter_stack();
        }
        self.take_params(function)?;
        self.body(number)?;
        self.epilogue(number, role, exit);
        Ok(())
    }

    /// Emits the way in for helpers that call a function: it leaves as the entered function does, from a frame that is like
    /// the upper part of that one's.
    pub(super) fn callback(&mut self) -> Result<Label, EmitError> {
        let door = self.asm.here();
        let (kept, home) = (self.program.kept, self.has_home());
        let saved = 8 * (i32::from(home) + kept.count_ones() as i32);
        let bytes = (saved + 15) / 16 * 16 - saved;
        self.frame = Frame { saved, bytes, kept, ..Frame::default() };
        self.prologue(Role::Entered, home, None);
        let (position, table) = (Gpr::R10, Gpr::Rax);
        let anchor = self.anchor(SCRATCH);
        self.put(Inst::mov(Width::W32, position, Mem::base(anchor, state::HELPER)));
        self.call_function(position, table)?;
        let anchor = self.anchor(SCRATCH);
        self.show_fuel(anchor);
        self.put(Inst::mov_imm(Gpr::Rdx, 0, Flags::MayChange));
        self.asm.jmp(self.unwound);
        Ok(door)
    }

    /// Makes a frame; `door` is where a program comes in that has one already.
    fn prologue(&mut self, role: Role, home: bool, door: Option<Label>) {
        self.put(Inst::push(Gpr::Rbp));
        self.put(Inst::mov(Width::W64, Gpr::Rbp, Gpr::Rsp));
        let given = if role == Role::Entered { Gpr::R9 } else { SCRATCH };
        if home {
            self.put(Inst::push(given));
        }
        for (bit, reg) in KEPT.into_iter().enumerate() {
            if self.frame.kept >> bit & 1 != 0 {
                self.put(Inst::push(reg));
            }
        }
        if let Some(door) = door {
            self.asm.bind(door);
        }
        let bytes = self.frame.bytes;
        if bytes != 0 {
            self.put(Inst::alu_imm(Alu::Sub, Width::W64, Gpr::Rsp, bytes));
        }
        // A frame of pages is touched from above, page by page, so that it meets the stack's guard.
        for page in (PAGE..=bytes).step_by(PAGE as usize) {
            self.put(Inst::alu_imm_to_mem(Alu::Or, Mem::base(Gpr::Rsp, bytes - page), SizedImm::B8(0)));
        }
        if role == Role::Entered && self.program.state {
            if self.target.state == StateIn::Register {
                self.put(Inst::mov(Width::W64, Gpr::R15, Gpr::R9));
            }
            if self.program.calls {
                self.put(Inst::store(Size::B8, Mem::base(Gpr::R9, state::FRAME), Gpr::Rbp));
            }
            self.take_fuel(Gpr::R9);
        }
    }

    /// Takes the function's stack.
    fn enter_stack(&mut self) {
        let bytes = self.options.stack_bytes as i32;
        let anchor = self.anchor(SCRATCH);
        let low = Mem::base(anchor, WindowIdx::STACK.at(state::BASE));
        self.put(Inst::alu_imm_to_mem(Alu::Sub, low, SizedImm::B8(bytes)));
        if self.options.stacks == Stacks::AsTheyAre {
            return;
        }
        // Arguments are where they were passed; these two are not.
        let (zero, left) = (Gpr::Rax, Gpr::R10);
        self.put(Inst::mov(Width::W64, SCRATCH, low));
        self.put_number(zero, 0);
        let mut tail = 0;
        for (size, word) in [(Size::B4, 4), (Size::B2, 2), (Size::B1, 1)] {
            if bytes & word != 0 {
                let at = (bytes & !7) + tail;
                self.put(Inst::store(size, Mem::base(SCRATCH, at), zero));
                tail += word;
            }
        }
        let words = bytes / 8;
        let at_once = [8, 4, 2, 1].into_iter().find(|n| words % n == 0).unwrap_or(1);
        if words == 0 {
            return;
        }
        self.put_number(left, words as u64);
        let again = self.asm.here();
        for word in 1..=at_once {
            if let Some(index) = crate::x86_64::Index::new(left) {
                let mem = Mem::indexed(SCRATCH, index, Scale::X8, -8 * word);
                self.put(Inst::store(Size::B8, mem, zero));
            }
        }
        self.put(Inst::alu_imm(Alu::Sub, Width::W64, left, at_once));
        self.asm.jcc(Cond::Ne, again);
    }

    fn leave_stack(&mut self) {
        let bytes = self.options.stack_bytes as i32;
        let anchor = self.anchor(SCRATCH);
        let low = Mem::base(anchor, WindowIdx::STACK.at(state::BASE));
        self.put(Inst::alu_imm_to_mem(Alu::Add, low, SizedImm::B8(bytes)));
    }

    /// Moves what was passed to where the function has it.
    fn take_params(&mut self, function: &FunctionCode) -> Result<(), EmitError> {
        let mut moves = super::moves::Moves::default();
        for (loc, reg) in function.params.into_iter().zip(ARGUMENTS) {
            if loc != Loc::NONE {
                let place = self.place(loc)?;
                moves.add(place, super::moves::From::Place(Place::Reg(reg)));
            }
        }
        self.moves(moves);
        Ok(())
    }

    /// Leaves the function, whose result is in `rax`.
    pub(super) fn leave(&mut self, is_last: bool) {
        if let Some(exit) = self.frame.exit.filter(|_| !is_last) {
            self.asm.jmp(exit);
        }
    }

    fn epilogue(&mut self, number: usize, role: Role, exit: Label) {
        self.asm.bind(exit);
        // The runner finds the stack as it was when it enters again.
        if role == Role::Called && self.frame.stack {
            self.leave_stack();
        }
        if role == Role::Entered {
            if self.program.fuel {
                let anchor = self.anchor(SCRATCH);
                self.show_fuel(anchor);
            }
            self.put(Inst::mov_imm(Gpr::Rdx, 0, Flags::MayChange));
            if number != 0 {
                // The upper parts of frames that are entered are alike, so all are left by one way.
                self.asm.jmp(self.unwound);
                return;
            }
            self.asm.bind(self.unwound);
        }
        self.leave_frame();
        self.put(Inst::ret());
    }

    /// Gives the frame back, and the registers that are in it.
    pub(super) fn leave_frame(&mut self) {
        let Frame { kept, saved, bytes, role, .. } = self.frame;
        if kept != 0 && (bytes != 0 || role == Role::Entered) {
            self.put(Inst::lea(Width::W64, Gpr::Rsp, Mem::base(Gpr::Rbp, -saved)));
        }
        for (bit, reg) in KEPT.into_iter().enumerate().rev() {
            if kept >> bit & 1 != 0 {
                self.put(Inst::pop(reg));
            }
        }
        let is_straight = role == Role::Called || !self.program.state;
        let is_at_frame = !self.has_home() && (kept != 0 || (bytes == 0 && is_straight));
        if is_at_frame {
            self.put(Inst::pop(Gpr::Rbp));
        } else {
            self.put(Inst::leave());
        }
    }

    /// Returns a register that holds the anchor: its own, or the one that is lent.
    pub(super) fn anchor(&mut self, lent: Gpr) -> Gpr {
        match self.target.state {
            StateIn::Register => Gpr::R15,
            StateIn::Frame => {
                self.put(Inst::mov(Width::W64, lent, Mem::base(Gpr::Rbp, -8)));
                lent
            }
        }
    }

    /// Says whether the anchor is in each frame.
    pub(super) fn has_home(&self) -> bool {
        self.program.state && self.target.state == StateIn::Frame
    }

    pub(super) fn frame_pointer(&mut self, dst: Loc) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let anchor = self.anchor(to);
        self.put(Inst::mov(Width::W64, to, Mem::base(anchor, WindowIdx::STACK.at(state::BASE))));
        self.put(Inst::alu_imm(Alu::Add, Width::W64, to, self.options.stack_bytes as i32));
        self.set(dst, to)
    }
}
