//! Programs that take another one's place: one jump, in the frame that the first one was entered with, where both were emitted together.
//!
//! All functions that are entered keep the same registers, so that the upper part of the frame stays; what is below it, and the
//! function's stack, is given back first. Fuel goes on, and so does the count of programs that may still follow.
//!
//! What was emitted by itself has a frame of its own: the first program gives all of its frame back, and enters the other one as the
//! runner has entered itself.

use super::frame::Role;
use super::{AsmError, EmitError, Emitter, SCRATCH, Successor};
use crate::state::{self, WindowIdx};
use crate::x86_64::{
    Alu, Cond as Flag, Gpr, Index, Inst, Label, Mem, Narrow, Scale, SizedImm, Width as Bits,
};
use skep_ir::ops::{Arg, Args, Loc};

impl Emitter<'_> {
    /// Says whether a call of this helper goes on in another program, from the function that is emitted.
    ///
    /// Linux replaces the frame of whichever function calls (`emit_bpf_tail_call_indirect` in `arch/x86/net/bpf_jit_comp.c`); here
    /// only main functions may.
    pub(super) fn is_tail_call(&self, id: u32) -> bool {
        self.frame.role == Role::Entered && !self.programs.is_empty() && self.options.tail_calls.contains(&id)
    }

    /// Goes on in another program; where there is none, or too many have followed one another, the call returns -1.
    pub(super) fn tail_call(&mut self, dst: Loc, args: Args) -> Result<(), EmitError> {
        let (position, anchor) = (SCRATCH, Gpr::R9);
        match self.code.args(args).get(2).copied().ok_or(self.malformed())? {
            Arg::Loc(loc) => {
                let from = self.place(loc)?;
                self.put(Inst::mov(Bits::W32, position, from));
            }
            Arg::Number(number) => self.put_number(position, number & 0xffff_ffff),
        }
        // From here on only what lives over calls is of use.
        let own = self.anchor(anchor);
        if own != anchor {
            self.put(Inst::mov(Bits::W64, anchor, own));
        }
        let refused = self.asm.label();
        let programs = i32::try_from(self.programs.len()).map_err(|_| AsmError::TooLong)?;
        self.put(Inst::alu_imm(Alu::Cmp, Bits::W32, position, programs));
        self.asm.jcc(Flag::Ae, refused);
        let left = Mem::base(anchor, state::TAIL_CALLS);
        self.put(Inst::alu_imm_to_mem(Alu::Cmp, left, SizedImm::B4(0)));
        self.asm.jcc(Flag::E, refused);
        self.put(Inst::alu_imm_to_mem(Alu::Sub, left, SizedImm::B4(1)));
        if self.frame.stack {
            let low = Mem::base(anchor, WindowIdx::STACK.at(state::BASE));
            self.put(Inst::alu_imm_to_mem(Alu::Add, low, SizedImm::B8(self.options.stack_bytes as i32)));
        }
        self.show_fuel(anchor);
        self.put(Inst::lea(Bits::W64, Gpr::Rsp, Mem::base(Gpr::Rbp, -self.frame.saved)));
        let table = self.program_table();
        // The stack pointer is no position.
        let index = Index::new(position).ok_or(self.malformed())?;
        self.put(Inst::lea(Bits::W64, Gpr::Rax, Mem::Label(table)));
        self.put(Inst::mov_sx(Bits::W64, Narrow::B4, position, Mem::indexed(Gpr::Rax, index, Scale::X4, 0)));
        self.put(Inst::alu(Alu::Add, Bits::W64, position, Gpr::Rax));
        self.put(Inst::mov(Bits::W64, Gpr::Rdi, Mem::base(anchor, state::FIRST)));
        self.put(Inst::mov(Bits::W64, Gpr::Rsi, Mem::base(anchor, state::SECOND)));
        for zero in [Gpr::Rdx, Gpr::Rcx, Gpr::R8] {
            self.put_number(zero, 0);
        }
        self.put(Inst::jmp_to(position));
        self.asm.bind(refused);
        self.put_number(Gpr::Rax, u64::MAX);
        self.set(dst, Gpr::Rax)
    }

    /// Returns the helper that leads on from the function that is emitted, if this is it.
    pub(super) fn successor(&self, id: u32) -> Option<Successor> {
        self.options.successor.filter(|successor| successor.id == id && self.frame.role == Role::Entered)
    }

    /// Goes on in the program that a function finds.
    pub(super) fn go_on(&mut self, address: u64, dst: Loc, args: Args) -> Result<(), EmitError> {
        self.pass_all(args)?;
        self.call_direct(address);
        let none = self.asm.label();
        self.put(Inst::test(Bits::W64, Gpr::Rax, Gpr::Rax));
        self.asm.jcc(Flag::E, none);
        let anchor = Gpr::R9;
        let own = self.anchor(anchor);
        if own != anchor {
            self.put(Inst::mov(Bits::W64, anchor, own));
        }
        if self.frame.stack {
            let low = Mem::base(anchor, WindowIdx::STACK.at(state::BASE));
            let bytes = SizedImm::B8(self.options.stack_bytes as i32);
            self.put(Inst::alu_imm_to_mem(Alu::Add, low, bytes));
        }
        self.put(Inst::mov(Bits::W64, Gpr::Rdi, Mem::base(anchor, state::FIRST)));
        for zero in [Gpr::Rsi, Gpr::Rdx, Gpr::Rcx, Gpr::R8] {
            self.put_number(zero, 0);
        }
        self.leave_frame();
        self.put(Inst::jmp_to(Gpr::Rax));
        self.asm.bind(none);
        self.set(dst, Gpr::Rax)
    }

    /// Returns the table that leads to where programs go on, by their position.
    fn program_table(&mut self) -> Label {
        match self.program_table {
            Some(table) => table,
            None => *self.program_table.insert(self.asm.table(&self.programs)),
        }
    }
}
