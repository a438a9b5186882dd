//! Branches, calls, fuel.

use super::moves::{From, Moves};
use super::{Direct, EmitError, Emitter, Place, SCRATCH, Stub};
use crate::state::{self, SiteKind};
use crate::x86_64::target::ARGUMENTS;
use crate::x86_64::{
    Alu, AsmError, Cond as Flag, Gpr, Index, Inst, Mem, Narrow, Scale, Shift, Size, SizedImm, Width as Bits,
};
use skep_ir::handle;
use skep_ir::ops::{Arg, Args, Loc, Op, OpIdx};
use skep_isa::{Cond, PacketSize, Width};

/// Returns the condition of the flags after a comparison; after a test of bits, for [`Cond::Set`].
pub(super) const fn flag(cond: Cond) -> Flag {
    match cond {
        Cond::Eq => Flag::E,
        Cond::Ne | Cond::Set => Flag::Ne,
        Cond::Gt => Flag::A,
        Cond::Ge => Flag::Ae,
        Cond::Lt => Flag::B,
        Cond::Le => Flag::Be,
        Cond::Sgt => Flag::G,
        Cond::Sge => Flag::Ge,
        Cond::Slt => Flag::L,
        Cond::Sle => Flag::Le,
    }
}

/// Says that the zero flag tells of a register whether it is zero.
#[derive(Clone, Copy)]
pub(super) struct Zero {
    /// Names the operation that ended with the one that set the flag.
    op: u32,
    reg: Gpr,
    /// Says of how much of the register; the rest of it is zero.
    width: Width,
}

impl Emitter<'_> {
    /// Notes that the instruction that was just put has set the zero flag by what it left in a register.
    pub(super) fn set_zero(&mut self, width: Width, reg: Gpr) {
        let op = self.index + self.skip;
        self.zero = Some(Zero { op, reg, width });
    }

    /// Says whether the flags tell already how a value compares with zero.
    pub(super) fn is_zero_known(&self, cond: Cond, width: Width, a: Loc) -> Result<bool, EmitError> {
        let Some(zero) = self.zero else { return Ok(false) };
        let is_fresh = zero.op + 1 == self.index && !self.is_target(self.index);
        let is_meant = self.place(a)? == Place::Reg(zero.reg);
        let is_whole = zero.width == Width::W32 || width == Width::W64;
        Ok(is_fresh && is_meant && is_whole && matches!(cond, Cond::Eq | Cond::Ne))
    }

    /// Follows jumps that lead to jumps; a circle of them ends somewhere.
    pub(super) fn threaded(&self, mut to: OpIdx) -> OpIdx {
        for _ in 0..4 {
            match self.code.ops.get(to.0 as usize) {
                Some(Op::Jump { to: next }) => to = *next,
                _ => break,
            }
        }
        to
    }

    /// Turns a branch round that only leads over a jump, which is done then.
    pub(super) fn direct(&mut self, flag: Flag, to: OpIdx) -> (Flag, OpIdx) {
        let next = self.index + 1;
        match self.code.ops.get(next as usize) {
            Some(Op::Jump { to: other }) if to.0 == next + 1 && !self.is_target(next) => {
                self.skip = 1;
                (flag.inverted(), self.threaded(*other))
            }
            _ => (flag, self.threaded(to)),
        }
    }

    pub(super) fn jump_if(&mut self, flag: Flag, to: OpIdx) -> Result<(), EmitError> {
        let label = self.label(to)?;
        self.asm.jcc(flag, label);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn branch(&mut self, cond: Cond, width: Width, a: Loc, b: Loc) -> Result<(), EmitError> {
        if let (Some(a), Some(b), true) = (self.register(a), self.register(b), cond != Cond::Set) {
            self.put(Inst::alu(Alu::Cmp, super::alu::bits(width), a, b));
            return Ok(());
        }
        self.any_branch(cond, width, a, b)
    }

    #[inline(never)]
    fn any_branch(&mut self, cond: Cond, width: Width, a: Loc, b: Loc) -> Result<(), EmitError> {
        let bits = super::alu::bits(width);
        let (a, b) = (self.place(a)?, self.place(b)?);
        match (cond, a, b) {
            (Cond::Set, a, Place::Reg(b)) => self.put(Inst::test(bits, a, b)),
            (Cond::Set, Place::Reg(a), b) => self.put(Inst::test(bits, b, a)),
            (Cond::Set, a, b) => {
                self.put(Inst::mov(Bits::W64, SCRATCH, a));
                self.put(Inst::test(bits, b, SCRATCH));
            }
            (_, Place::Reg(a), b) => self.put(Inst::alu(Alu::Cmp, bits, a, b)),
            (_, Place::Slot(a), Place::Reg(b)) => {
                let size = super::memory::size(width.size());
                self.put(Inst::alu_to_mem(Alu::Cmp, size, a, b));
            }
            (_, a, b) => {
                self.put(Inst::mov(Bits::W64, SCRATCH, a));
                self.put(Inst::alu(Alu::Cmp, bits, SCRATCH, b));
            }
        }
        Ok(())
    }

    /// Takes one of two values by a comparison.
    pub(super) fn select_by(
        &mut self,
        (cond, width): (Cond, Width),
        (a, b): (Loc, Loc),
        dst: Loc,
        (then, other): (Loc, Loc),
    ) -> Result<(), EmitError> {
        // A choice by carry and zero at once is two operations to most processors; turned round it needs the carry alone.
        let (cond, a, b) = match cond {
            Cond::Gt => (Cond::Lt, b, a),
            Cond::Le => (Cond::Ge, b, a),
            other => (other, a, b),
        };
        self.branch(cond, width, a, b)?;
        self.select(flag(cond), dst, then, other)
    }

    /// Takes one of two values by a comparison with a number.
    pub(super) fn select_by_imm(
        &mut self,
        (cond, width): (Cond, Width),
        (a, imm): (Loc, i32),
        dst: Loc,
        (then, other): (Loc, Loc),
    ) -> Result<(), EmitError> {
        // As above: what is above a number is not below the next one, where there is one.
        let next = imm.checked_add(1).filter(|next| *next != 0);
        let (cond, imm) = match (cond, next) {
            (Cond::Gt, Some(next)) => (Cond::Ge, next),
            (Cond::Le, Some(next)) => (Cond::Lt, next),
            (other, _) => (other, imm),
        };
        self.branch_imm(cond, width, a, imm)?;
        self.select(flag(cond), dst, then, other)
    }

    /// Takes one or zero by a comparison.
    pub(super) fn set_by(
        &mut self,
        (cond, width): (Cond, Width),
        (a, b): (Loc, Loc),
        dst: Loc,
    ) -> Result<(), EmitError> {
        let cleared = self.cleared(dst, &[a, b])?;
        self.branch(cond, width, a, b)?;
        self.set_flag(flag(cond), dst, cleared)
    }

    /// Takes one or zero by a comparison with a number.
    pub(super) fn set_by_imm(
        &mut self,
        (cond, width): (Cond, Width),
        (a, imm): (Loc, i32),
        dst: Loc,
    ) -> Result<(), EmitError> {
        let cleared = self.cleared(dst, &[a])?;
        self.branch_imm(cond, width, a, imm)?;
        self.set_flag(flag(cond), dst, cleared)
    }

    /// Clears a register before the comparison that is to be told of in it: that of the result, where the comparison does not
    /// read it, or one that costs no time to move from; none where the comparison needs that itself.
    fn cleared(&mut self, dst: Loc, read: &[Loc]) -> Result<Option<Gpr>, EmitError> {
        let (mut to, mut slots) = (self.result(dst)?, 0);
        for loc in read {
            match self.place(*loc)? {
                Place::Reg(reg) if reg == to => to = SCRATCH,
                Place::Reg(_) => {}
                Place::Slot(_) => slots += 1,
            }
        }
        if to == SCRATCH && slots > 1 {
            return Ok(None);
        }
        self.put(Inst::alu(Alu::Xor, Bits::W32, to, to));
        Ok(Some(to))
    }

    /// Takes one or zero by the flags.
    fn set_flag(&mut self, flag: Flag, dst: Loc, cleared: Option<Gpr>) -> Result<(), EmitError> {
        let to = cleared.unwrap_or(SCRATCH);
        self.put(Inst::set(flag, to));
        if cleared.is_none() {
            self.put(Inst::mov_zx(Size::B1, to, to));
        }
        self.set(dst, to)
    }

    /// Takes one of two values by the flags, which moves do not change.
    fn select(&mut self, flag: Flag, dst: Loc, then: Loc, other: Loc) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let (then, other) = (self.place(then)?, self.place(other)?);
        if then == Place::Reg(to) {
            self.put(Inst::cmov(flag.inverted(), Bits::W64, to, other));
        } else {
            if other != Place::Reg(to) {
                self.put(Inst::mov(Bits::W64, to, other));
            }
            self.put(Inst::cmov(flag, Bits::W64, to, then));
        }
        self.set(dst, to)
    }

    pub(super) fn branch_imm(&mut self, cond: Cond, width: Width, a: Loc, imm: i32) -> Result<(), EmitError> {
        let bits = super::alu::bits(width);
        let sized = match width {
            Width::W32 => SizedImm::B4(imm),
            Width::W64 => SizedImm::B8(imm),
        };
        match (cond, self.place(a)?) {
            (Cond::Set, Place::Reg(a)) => self.put(match imm {
                0..=0x7f => Inst::test_imm_byte(a, imm as u8),
                // What has no high bits needs none of the other.
                0x80..=i32::MAX => Inst::test_imm(Bits::W32, a, imm),
                imm => Inst::test_imm(bits, a, imm),
            }),
            (Cond::Set, Place::Slot(mem)) => self.put(Inst::test_mem_imm(mem, sized)),
            // The same flags as of a comparison with zero, and shorter.
            (_, Place::Reg(a)) if imm == 0 => self.put(Inst::test(bits, a, a)),
            (_, Place::Reg(a)) => self.put(Inst::alu_imm(Alu::Cmp, bits, a, imm)),
            (_, Place::Slot(mem)) => self.put(Inst::alu_imm_to_mem(Alu::Cmp, mem, sized)),
        }
        Ok(())
    }

    /// Takes fuel; where there is too little, the runner is asked.
    pub(super) fn charge(&mut self, units: u32) -> Result<(), EmitError> {
        let site = self.take(units)?;
        // A loop's way back: one jump, and what asks leads there too.
        let next = self.index + 1;
        if let Some(Op::Jump { to }) = self.code.ops.get(next as usize).filter(|_| !self.is_target(next)) {
            let back = self.label(self.threaded(*to))?;
            self.skip = 1;
            self.asm.jcc(Flag::Ae, back);
            let from = self.asm.label();
            self.asm.jmp(from);
            return self.stub(Stub::Fuel { from, back, site });
        }
        self.ask_below(site)
    }

    /// Takes fuel that may not be there.
    fn take(&mut self, units: u32) -> Result<u32, EmitError> {
        let site = self.site(SiteKind::Fuel { units })?;
        let fuel = self.target.fuel().ok_or(EmitError::NoFuelRegister)?;
        // A program has fewer slots than that, so no function costs more.
        let Ok(units) = i32::try_from(units) else { return Err(self.malformed()) };
        self.put(Inst::alu_imm(Alu::Sub, Bits::W64, fuel, units));
        Ok(site)
    }

    /// Asks the runner if it was not.
    fn ask_below(&mut self, site: u32) -> Result<(), EmitError> {
        let back = self.asm.label();
        self.aside(Flag::B, |from| Stub::Fuel { from, back, site })?;
        self.asm.bind(back);
        Ok(())
    }

    /// Adds moves of arguments to where they are passed.
    fn pass(
        &mut self,
        moves: &mut Moves,
        args: &[Arg],
        to: impl IntoIterator<Item = Gpr>,
    ) -> Result<(), EmitError> {
        for (arg, reg) in args.iter().zip(to) {
            let from = match *arg {
                Arg::Loc(loc) => From::Place(self.place(loc)?),
                Arg::Number(number) => From::Number(number),
            };
            moves.add(Place::Reg(reg), from);
        }
        Ok(())
    }

    pub(super) fn helper(&mut self, id: u32, dst: Loc, args: Args) -> Result<(), EmitError> {
        if self.is_tail_call(id) {
            return self.tail_call(dst, args);
        }
        if let Some(successor) = self.successor(id) {
            return self.go_on(successor.address, dst, args);
        }
        let direct = self.options.direct.iter().find(|direct| direct.id == id).copied();
        if let Some(direct) = direct.filter(|direct| self.program.fuel && direct.units != 0) {
            let site = self.take(direct.units)?;
            self.ask_below(site)?;
        }
        self.pass_all(args)?;
        match direct {
            Some(Direct { address, .. }) => self.call_direct(address),
            None => {
                let anchor = self.anchor(Gpr::R9);
                self.put(Inst::store_imm(Mem::base(anchor, state::HELPER), SizedImm::B4(id as i32)));
                self.call_out(anchor)?;
            }
        }
        self.set(dst, Gpr::Rax)
    }

    /// Passes what a helper is called with, and zeroes for the rest.
    pub(super) fn pass_all(&mut self, args: Args) -> Result<(), EmitError> {
        let mut moves = Moves::default();
        let args = self.code.args(args);
        self.pass(&mut moves, args, ARGUMENTS)?;
        for reg in ARGUMENTS.into_iter().skip(args.len()) {
            moves.add(Place::Reg(reg), From::Number(0));
        }
        self.moves(moves);
        Ok(())
    }

    /// Calls a function by its address, with the run's word behind what was passed.
    pub(super) fn call_direct(&mut self, address: u64) {
        let anchor = self.anchor(Gpr::R9);
        self.put(Inst::mov(Bits::W64, Gpr::R9, Mem::base(anchor, state::WORD)));
        self.put_number(Gpr::Rax, address);
        self.put(Inst::call_to(Gpr::Rax));
    }

    /// Loads from a packet, which the runner does.
    pub(super) fn packet(&mut self, size: PacketSize, dst: Loc, args: Args) -> Result<(), EmitError> {
        let mut moves = Moves::default();
        let args = self.code.args(args);
        self.pass(&mut moves, args, ARGUMENTS)?;
        self.moves(moves);
        let anchor = self.anchor(Gpr::R9);
        let bytes = size.size().bytes() as i32;
        self.put(Inst::store_imm(Mem::base(anchor, state::PACKET), SizedImm::B4(bytes)));
        let (site, exit) = (self.site(SiteKind::Helper)?, self.frame.exit.ok_or(self.malformed())?);
        self.enter_runner(anchor);
        self.aside(Flag::Ne, |from| Stub::Leave { from, exit, site })?;
        self.set(dst, Gpr::Rax)
    }

    pub(super) fn call_reg(&mut self, dst: Loc, args: Args) -> Result<(), EmitError> {
        let mut moves = Moves::default();
        let [target, args @ ..] = self.code.args(args) else { return Err(self.malformed()) };
        self.pass(&mut moves, core::slice::from_ref(target), [Gpr::Rax])?;
        self.pass(&mut moves, args, ARGUMENTS)?;
        for reg in ARGUMENTS.into_iter().skip(args.len()) {
            moves.add(Place::Reg(reg), From::Number(0));
        }
        self.moves(moves);
        let (helper, done) = (self.asm.label(), self.asm.label());
        // A call leaves `r9` and `r10` to whoever is called.
        let (position, table) = (Gpr::R10, Gpr::Rax);
        self.put_number(SCRATCH, handle::FIRST_FUNCTION);
        self.put(Inst::mov(Bits::W64, position, Gpr::Rax));
        self.put(Inst::alu(Alu::Sub, Bits::W64, position, SCRATCH));
        self.put(Inst::shift_imm(Shift::Ror, Bits::W64, position, handle::SHIFT as u8));
        let functions = i32::try_from(self.code.functions.len()).map_err(|_| AsmError::TooLong)?;
        self.put(Inst::alu_imm(Alu::Cmp, Bits::W64, position, functions));
        self.asm.jcc(Flag::Ae, helper);
        self.descend()?;
        self.call_function(position, table)?;
        self.ascend();
        self.asm.jmp(done);
        self.asm.bind(helper);
        // Helpers have numbers of 32 bits.
        let site = self.site(SiteKind::Target)?;
        self.put(Inst::mov(Bits::W32, SCRATCH, Gpr::Rax));
        self.put(Inst::alu(Alu::Cmp, Bits::W64, SCRATCH, Gpr::Rax));
        let address = super::exit::Address::new(Place::Reg(Gpr::Rax), 0);
        self.aside(Flag::Ne, |from| Stub::Refuse { from, address, site })?;
        let anchor = self.anchor(Gpr::R9);
        self.put(Inst::store(Size::B4, Mem::base(anchor, state::HELPER), Gpr::Rax));
        self.call_out(anchor)?;
        self.asm.bind(done);
        self.set(dst, Gpr::Rax)
    }

    /// Calls the function that stands at a position, which must be there; `table` is a register for its address.
    pub(super) fn call_function(&mut self, position: Gpr, table: Gpr) -> Result<(), EmitError> {
        let functions = self.functions();
        // The stack pointer is no position.
        let index = Index::new(position).ok_or(self.malformed())?;
        self.put(Inst::lea(Bits::W64, table, Mem::Label(functions)));
        let distance = Mem::indexed(table, index, Scale::X4, 0);
        self.put(Inst::mov_sx(Bits::W64, Narrow::B4, position, distance));
        self.put(Inst::alu(Alu::Add, Bits::W64, position, table));
        if self.has_home() {
            // The function keeps it in its own frame.
            self.anchor(SCRATCH);
        }
        self.put(Inst::call_to(position));
        Ok(())
    }

    /// Counts a function that is about to be called; one too many ends the run.
    fn descend(&mut self) -> Result<(), EmitError> {
        let site = self.site(SiteKind::Depth)?;
        let anchor = self.anchor(SCRATCH);
        self.put(Inst::alu_imm_to_mem(Alu::Sub, Mem::base(anchor, state::DEPTH), SizedImm::B4(1)));
        self.aside(Flag::B, |from| Stub::Stop { from, site })
    }

    /// Counts a function that has returned.
    fn ascend(&mut self) {
        let anchor = self.anchor(SCRATCH);
        self.put(Inst::alu_imm_to_mem(Alu::Add, Mem::base(anchor, state::DEPTH), SizedImm::B4(1)));
    }

    /// Calls the runner, which calls a helper.
    fn call_out(&mut self, anchor: Gpr) -> Result<(), EmitError> {
        let site = self.site(SiteKind::Helper)?;
        self.enter_runner(anchor);
        self.aside(Flag::Ne, |from| Stub::Stop { from, site })
    }

    /// Calls the runner; afterwards the zero flag says whether to go on.
    fn enter_runner(&mut self, anchor: Gpr) {
        if anchor != Gpr::R9 {
            self.put(Inst::mov(Bits::W64, Gpr::R9, anchor));
        }
        self.show_fuel(anchor);
        self.put(Inst::call_to(Mem::base(anchor, state::CALL)));
        if self.program.fuel {
            let anchor = self.anchor(SCRATCH);
            self.take_fuel(anchor);
        }
        self.put(Inst::test(Bits::W64, Gpr::Rdx, Gpr::Rdx));
    }

    pub(super) fn call(&mut self, function: u32, dst: Loc, args: Args) -> Result<(), EmitError> {
        let callee = &self.code.functions[function as usize];
        let takes = callee.takes;
        let args = self.code.args(args);
        if takes.count_ones() as usize != args.len() {
            return Err(self.malformed());
        }
        let mut moves = Moves::default();
        let taken = ARGUMENTS.into_iter().enumerate().filter(|(reg, _)| takes >> reg & 1 != 0);
        for (arg, (number, reg)) in args.iter().zip(taken) {
            // What the function takes and has no use for stays where it is.
            if callee.params[number] != Loc::NONE {
                self.pass(&mut moves, core::slice::from_ref(arg), [reg])?;
            }
        }
        self.moves(moves);
        if self.program.depth {
            self.descend()?;
        }
        if self.has_home() {
            // The function keeps it in its own frame.
            self.anchor(SCRATCH);
        }
        let entry = self.entries[function as usize];
        self.asm.call(entry);
        if self.program.depth {
            self.ascend();
        }
        self.set(dst, Gpr::Rax)
    }
}
