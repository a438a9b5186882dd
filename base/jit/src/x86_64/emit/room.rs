//! Checks that compare with what is left behind a pointer.

use super::exit::Address;
use super::{EmitError, Emitter, Place, SCRATCH, Stub, check, memory};
use crate::state::{self, SiteKind, WindowIdx};
use crate::x86_64::target::StateIn;
use crate::x86_64::{Alu, Cond, Gpr, Inst, Label, Mem, Shift, SizedImm, Unary, Width};
use skep_ir::Region;
use skep_ir::ops::{Loc, Measure};
use skep_isa::Size;

/// Says what room is wanted: [`Op::Room`](skep_ir::ops::Op::Room).
#[derive(Clone, Copy)]
pub(super) struct Behind {
    pub(super) end: u32,
    pub(super) scale: u8,
    pub(super) write: bool,
    pub(super) region: Region,
}

/// Says what is checked.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) size: Size,
    pub(super) write: bool,
    pub(super) region: Region,
}

impl Access {
    const fn bytes(self) -> u16 {
        self.size.bytes() as u16
    }
}

impl Emitter<'_> {
    /// Counts the indices for which there is room behind a pointer: where the pointer is in its region, `(left - end >> scale) +
    /// 1` of the bytes that are left there.
    pub(super) fn room(&mut self, dst: Loc, base: Loc, behind: Behind) -> Result<(), EmitError> {
        let Behind { end, scale, write, region } = behind;
        let last = end.checked_sub(1).and_then(|last| i32::try_from(last).ok()).ok_or(self.malformed())?;
        let anchor = self.state_register()?;
        let base = self.place(base)?;
        let field = |window: WindowIdx, field| Mem::base(anchor, window.at(field));
        let (from, back) = (self.asm.label(), self.asm.label());
        match region {
            // Windows of regions hold a base, and how many bytes there are.
            Region::Fixed(number) => {
                let window = WindowIdx::region(number);
                self.address(Address::new(base, 0));
                self.put(Inst::alu(Alu::Sub, Width::W64, SCRATCH, field(window, state::BASE)));
                // What is left, but one: `-distance - 1 + length`, with a carry where the distance is less than that.
                self.put(Inst::unary(Unary::Not, Width::W64, SCRATCH));
                let length = Mem::base(anchor, check::limit(window, write));
                self.put(Inst::alu(Alu::Add, Width::W64, SCRATCH, length));
                self.asm.jcc(Cond::Ae, from);
            }
            // That of the stacks holds the lowest and the highest address.
            Region::Stack => {
                let window = WindowIdx::STACK;
                self.address(Address::new(base, 0));
                self.put(Inst::alu(Alu::Cmp, Width::W64, SCRATCH, field(window, state::BASE)));
                self.asm.jcc(Cond::B, from);
                self.put(Inst::mov(Width::W64, SCRATCH, field(window, state::READ)));
                self.put(Inst::alu(Alu::Sub, Width::W64, SCRATCH, base));
                self.asm.jcc(Cond::B, from);
            }
            Region::Unknown => return Err(self.malformed()),
        }
        if last != 0 {
            self.put(Inst::alu_imm(Alu::Sub, Width::W64, SCRATCH, last));
            self.asm.jcc(Cond::B, from);
        }
        if scale != 0 {
            self.put(Inst::shift_imm(Shift::Shr, Width::W64, SCRATCH, scale));
        }
        self.put(Inst::alu_imm(Alu::Add, Width::W64, SCRATCH, 1));
        self.asm.bind(back);
        self.stub(Stub::NoRoom { from, back })?;
        self.set(dst, SCRATCH)
    }

    /// Checks what is at a number behind a pointer.
    pub(super) fn check_room(
        &mut self,
        base: Loc,
        room: Loc,
        off: i32,
        access: Access,
    ) -> Result<(), EmitError> {
        let end = off.checked_add(i32::from(access.bytes())).filter(|_| off >= 0).ok_or(self.malformed())?;
        let address = Address::new(self.place(base)?, off);
        match self.place(room)? {
            Place::Reg(room) => self.put(Inst::alu_imm(Alu::Cmp, Width::W64, room, end)),
            Place::Slot(room) => self.put(Inst::alu_imm_to_mem(Alu::Cmp, room, SizedImm::B8(end))),
        }
        self.unless(Cond::B, address, access)
    }

    /// Checks what is at a sum.
    pub(super) fn check_sum(
        &mut self,
        sum: memory::Sum,
        measure: Measure,
        room: Loc,
        access: Access,
    ) -> Result<(), EmitError> {
        let (base, index) = (self.place(sum.base)?, self.place(sum.index)?);
        let address = Address { base, index: Some((index, sum.scale)), off: sum.off };
        let index = match measure {
            Measure::Index => self.read(sum.index, SCRATCH)?,
            Measure::Distance => self.distance(index, sum.scale, sum.off),
        };
        match self.place(room)? {
            Place::Reg(room) => self.put(Inst::alu(Alu::Cmp, Width::W64, index, room)),
            Place::Slot(room) => self.put(Inst::alu(Alu::Cmp, Width::W64, index, room)),
        }
        self.unless(Cond::Ae, address, access)
    }

    /// Computes how far from its base a sum is, and returns the register that holds it.
    fn distance(&mut self, index: Place, scale: u8, off: i32) -> Gpr {
        match index {
            Place::Reg(index) if scale == 0 && off == 0 => return index,
            Place::Reg(index) if scale == 0 => {
                self.put(Inst::lea(Width::W64, SCRATCH, Mem::base(index, off)));
                return SCRATCH;
            }
            index => self.put(Inst::mov(Width::W64, SCRATCH, index)),
        }
        if scale != 0 {
            self.put(Inst::shift_imm(Shift::Shl, Width::W64, SCRATCH, scale));
        }
        if off != 0 {
            self.put(Inst::alu_imm(Alu::Add, Width::W64, SCRATCH, off));
        }
        SCRATCH
    }

    /// Looks again where a condition holds.
    fn unless(&mut self, cond: Cond, address: Address, access: Access) -> Result<(), EmitError> {
        self.state_register()?;
        if access.region == Region::Unknown {
            return Err(self.malformed());
        }
        let bytes = access.bytes();
        let kind = if access.write { SiteKind::Write { bytes } } else { SiteKind::Read { bytes } };
        let refused = self.site(kind)?;
        let (from, back) = (self.asm.label(), self.asm.label());
        self.asm.jcc(cond, from);
        self.asm.bind(back);
        self.stub(Stub::Look { from, back, address, access, refused })
    }

    /// Jumps unless an access lies in its region.
    pub(super) fn compare_in(&mut self, address: Address, access: Access, none: Label) {
        let Access { write, region, .. } = access;
        match region {
            Region::Fixed(number) => {
                let window = WindowIdx::region(number);
                self.compare(address, access.bytes(), check::limit(window, write), window, none);
            }
            Region::Stack => self.compare_stack(address, access.bytes(), none),
            // Refused before.
            Region::Unknown => self.asm.jmp(none),
        }
    }

    /// Returns the register that holds the anchor, in code that checks.
    fn state_register(&mut self) -> Result<Gpr, EmitError> {
        if self.target.state != StateIn::Register {
            return Err(EmitError::NoStateRegister);
        }
        Ok(self.anchor(SCRATCH))
    }
}
