//! What computes, but for divisions.

use super::{EmitError, Emitter, Place, SCRATCH};
use crate::x86_64::{
    Alu, Gpr, Index, Inst, Mem, Narrow, Scale, Shift, ShiftX, Size, SizedImm, Unary, Width as Bits,
};
use skep_ir::ops::Loc;
use skep_isa::{AluOp, Movsx, Size as Bytes, SwapWidth, Width};

/// Returns the encoder's name of a width.
pub(super) const fn bits(width: Width) -> Bits {
    match width {
        Width::W32 => Bits::W32,
        Width::W64 => Bits::W64,
    }
}

/// Is an operation as the processor has it.
enum Kind {
    Two(Alu),
    Multiply,
    Shift(Shift, ShiftX),
    Divide,
    Move,
}

const fn kind(op: AluOp) -> Kind {
    match op {
        AluOp::Add => Kind::Two(Alu::Add),
        AluOp::Sub => Kind::Two(Alu::Sub),
        AluOp::Or => Kind::Two(Alu::Or),
        AluOp::And => Kind::Two(Alu::And),
        AluOp::Xor => Kind::Two(Alu::Xor),
        AluOp::Mul => Kind::Multiply,
        AluOp::Lsh => Kind::Shift(Shift::Shl, ShiftX::Shlx),
        AluOp::Rsh => Kind::Shift(Shift::Shr, ShiftX::Shrx),
        AluOp::Arsh => Kind::Shift(Shift::Sar, ShiftX::Sarx),
        AluOp::Div | AluOp::Sdiv | AluOp::Mod | AluOp::Smod => Kind::Divide,
        AluOp::Mov => Kind::Move,
    }
}

/// Turns a sum round whose number is shorter then: a sign-extended byte saves three, and there is one more negative one.
#[inline(always)]
const fn shorter(alu: Alu, imm: i32) -> (Alu, i32) {
    match (alu, imm) {
        (Alu::Add, 128) => (Alu::Sub, -128),
        (Alu::Sub, 128) => (Alu::Add, -128),
        other => other,
    }
}

/// Returns the width to do an operation with a number in: what clears the upper half anyway needs no prefix that says 64.
#[inline(always)]
const fn bits_with(alu: Alu, width: Width, imm: i32) -> Bits {
    match alu {
        Alu::And if imm >= 0 => Bits::W32,
        _ => bits(width),
    }
}

/// Holds, for each operation, what the processor does with two operands, if that is all of it.
const TWO: [Option<Alu>; AluOp::Arsh as usize + 1] = {
    let mut two = [None; AluOp::Arsh as usize + 1];
    let (ops, mut at) = ([AluOp::Add, AluOp::Sub, AluOp::Or, AluOp::And, AluOp::Xor], 0);
    while at < ops.len() {
        if let Kind::Two(alu) = kind(ops[at]) {
            two[ops[at] as usize] = Some(alu);
        }
        at += 1;
    }
    two
};

impl Emitter<'_> {
    #[inline(always)]
    pub(super) fn alu(&mut self, op: AluOp, width: Width, dst: Loc, a: Loc, b: Loc) -> Result<(), EmitError> {
        // The commonest: registers, and the result where the first operand is.
        if let (Some(to), Some(second), Some(alu), true) =
            (self.register(dst), self.register(b), TWO[op as usize], dst == a)
        {
            self.put(Inst::alu(alu, bits(width), to, second));
            self.set_zero(width, to);
            return Ok(());
        }
        self.any_alu(op, width, dst, a, b)
    }

    #[inline(never)]
    fn any_alu(&mut self, op: AluOp, width: Width, dst: Loc, a: Loc, b: Loc) -> Result<(), EmitError> {
        match kind(op) {
            Kind::Two(alu) => self.two(alu, width, dst, a, b),
            Kind::Multiply => {
                let bits = bits(width);
                let to = self.result(dst)?;
                let (a, b) = (self.place(a)?, self.place(b)?);
                let (first, second) = if b == Place::Reg(to) { (b, a) } else { (a, b) };
                self.bring(bits, to, first);
                self.put(Inst::imul(bits, to, second));
                self.set(dst, to)
            }
            Kind::Shift(shift, shift_x) => self.shift(shift, shift_x, width, dst, a, b),
            Kind::Divide => self.divide(op, width, dst, a, b),
            Kind::Move => self.trunc(width.size(), dst, b),
        }
    }

    #[inline(always)]
    pub(super) fn alu_imm(
        &mut self,
        op: AluOp,
        width: Width,
        dst: Loc,
        a: Loc,
        imm: i32,
    ) -> Result<(), EmitError> {
        if let (Some(to), Some(alu), true) = (self.register(dst), TWO[op as usize], dst == a) {
            self.two_imm_here(alu, width, to, imm);
            return Ok(());
        }
        self.any_alu_imm(op, width, dst, a, imm)
    }

    #[inline(never)]
    fn any_alu_imm(&mut self, op: AluOp, width: Width, dst: Loc, a: Loc, imm: i32) -> Result<(), EmitError> {
        match kind(op) {
            Kind::Two(alu) => self.two_imm(alu, width, dst, a, imm),
            Kind::Multiply => {
                let to = self.result(dst)?;
                let a = self.place(a)?;
                self.multiply_imm(bits(width), to, a, imm);
                self.set(dst, to)
            }
            Kind::Shift(shift, _) => {
                let to = self.result(dst)?;
                let a = self.place(a)?;
                let bits = bits(width);
                let count = imm as u8 & (width.bits() as u8 - 1);
                match (shift, a) {
                    (Shift::Shl, Place::Reg(reg)) if count == 1 && reg != to => {
                        self.put(sum(bits, to, reg, reg));
                    }
                    _ => {
                        self.bring(bits, to, a);
                        match count {
                            // Nothing is shifted, and of 32 bits the upper half becomes zero all the same.
                            0 if width == Width::W32 => self.put(Inst::mov(bits, to, to)),
                            0 => {}
                            count => self.put(Inst::shift_imm(shift, bits, to, count)),
                        }
                    }
                }
                self.set(dst, to)
            }
            Kind::Divide => self.divide_imm(op, width, dst, a, imm),
            Kind::Move => {
                let value = i64::from(imm) as u64;
                self.constant(dst, if width == Width::W32 { value & 0xffff_ffff } else { value })
            }
        }
    }

    /// Moves a value to a register unless it is there.
    #[inline(always)]
    fn bring(&mut self, bits: Bits, to: Gpr, from: Place) {
        if from != Place::Reg(to) {
            self.put(Inst::mov(bits, to, from));
        }
    }

    /// Does `to = from op mem`.
    pub(super) fn operate(&mut self, op: AluOp, width: Width, to: Gpr, from: Gpr, mem: Mem) {
        let bits = bits(width);
        self.bring(bits, to, Place::Reg(from));
        match kind(op) {
            Kind::Two(alu) => {
                self.put(Inst::alu(alu, bits, to, mem));
                self.set_zero(width, to);
            }
            _ => self.put(Inst::imul(bits, to, mem)),
        }
    }

    fn two(&mut self, alu: Alu, width: Width, dst: Loc, a: Loc, b: Loc) -> Result<(), EmitError> {
        let bits = bits(width);
        let to = self.result(dst)?;
        let (is_slot, same) = (matches!(self.place(dst)?, Place::Slot(_)), dst == a);
        let (a, b) = (self.place(a)?, self.place(b)?);
        match (a, b) {
            // In memory at once: of 32 bits the upper half would stay.
            (Place::Slot(mem), Place::Reg(b)) if is_slot && same && width == Width::W64 => {
                self.put(Inst::alu_to_mem(alu, Size::B8, mem, b));
                return Ok(());
            }
            (Place::Reg(a), Place::Reg(b)) if alu == Alu::Add && a != to && b != to => {
                self.put(sum(bits, to, a, b));
            }
            (a, b) if b == Place::Reg(to) && a != b => match alu {
                Alu::Sub => {
                    // a - b = -(b - a)
                    self.put(Inst::alu(alu, bits, to, a));
                    self.put(Inst::unary(Unary::Neg, bits, to));
                }
                _ => {
                    self.put(Inst::alu(alu, bits, to, a));
                    self.set_zero(width, to);
                }
            },
            (a, b) => {
                self.bring(bits, to, a);
                self.put(Inst::alu(alu, bits, to, b));
                self.set_zero(width, to);
            }
        }
        self.set(dst, to)
    }

    fn two_imm(&mut self, alu: Alu, width: Width, dst: Loc, a: Loc, imm: i32) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let (is_slot, same) = (matches!(self.place(dst)?, Place::Slot(_)), dst == a);
        let a = self.place(a)?;
        let (alu, imm) = shorter(alu, imm);
        match a {
            Place::Slot(mem) if is_slot && same && width == Width::W64 => {
                self.put(Inst::alu_imm_to_mem(alu, mem, SizedImm::B8(imm)));
                return Ok(());
            }
            Place::Reg(reg) if reg != to && alu == Alu::Add => {
                self.put(Inst::lea(bits(width), to, Mem::base(reg, imm)));
            }
            Place::Reg(reg) if reg != to && alu == Alu::Sub && imm != i32::MIN => {
                self.put(Inst::lea(bits(width), to, Mem::base(reg, -imm)));
            }
            a => {
                self.bring(bits_with(alu, width, imm), to, a);
                self.two_imm_here(alu, width, to, imm);
            }
        }
        self.set(dst, to)
    }

    /// Does `to = to op imm`.
    #[inline(always)]
    fn two_imm_here(&mut self, alu: Alu, width: Width, to: Gpr, imm: i32) {
        let (alu, imm) = shorter(alu, imm);
        self.put(Inst::alu_imm(alu, bits_with(alu, width, imm), to, imm));
        self.set_zero(width, to);
    }

    fn multiply_imm(&mut self, bits: Bits, to: Gpr, a: Place, imm: i32) {
        let scale = match imm {
            3 => Some(Scale::X2),
            5 => Some(Scale::X4),
            9 => Some(Scale::X8),
            _ => None,
        };
        match (a, scale) {
            (Place::Reg(reg), Some(scale)) => match Index::new(reg) {
                Some(index) => self.put(Inst::lea(bits, to, Mem::indexed(reg, index, scale, 0))),
                None => self.put(Inst::imul_imm(bits, to, reg, imm)),
            },
            (a, _) => self.put(Inst::imul_imm(bits, to, a, imm)),
        }
    }

    fn shift(
        &mut self,
        shift: Shift,
        shift_x: ShiftX,
        width: Width,
        dst: Loc,
        a: Loc,
        b: Loc,
    ) -> Result<(), EmitError> {
        let bits = bits(width);
        if let Some(bmi2) = self.target.features.bmi2() {
            let to = self.result(dst)?;
            let count = self.read(b, SCRATCH)?;
            let a = self.place(a)?;
            self.put(Inst::shift_x(bmi2, shift_x, bits, to, a, count));
            return self.set(dst, to);
        }
        // The count goes to `cl`, which may be where the value is, or where the result shall be.
        let to = match self.result(dst)? {
            Gpr::Rcx => SCRATCH,
            to if self.place(b)? == Place::Reg(to) => SCRATCH,
            to => to,
        };
        let a = self.place(a)?;
        self.bring(bits, to, a);
        self.get(b, Gpr::Rcx)?;
        self.put(Inst::shift_cl(shift, bits, to));
        if width == Width::W32 {
            // By nothing, the processor may leave the upper half as it was; it is zero since the move, if there was one.
            if a == Place::Reg(to) {
                self.put(Inst::mov(bits, to, to));
            }
        }
        self.set(dst, to)
    }

    pub(super) fn neg(&mut self, width: Width, dst: Loc, a: Loc) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let a = self.place(a)?;
        self.bring(bits(width), to, a);
        self.put(Inst::unary(Unary::Neg, bits(width), to));
        self.set(dst, to)
    }

    pub(super) fn sext(&mut self, kind: Movsx, dst: Loc, a: Loc) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let a = self.place(a)?;
        let from = match kind.from() {
            Bytes::B => Narrow::B1,
            Bytes::H => Narrow::B2,
            Bytes::W | Bytes::Dw => Narrow::B4,
        };
        self.put(Inst::mov_sx(bits(kind.width()), from, to, a));
        self.set(dst, to)
    }

    pub(super) fn trunc(&mut self, bytes: Bytes, dst: Loc, a: Loc) -> Result<(), EmitError> {
        if bytes == Bytes::Dw {
            return self.copy(dst, a);
        }
        let to = self.result(dst)?;
        let a = self.place(a)?;
        self.put(Inst::mov_zx(super::memory::size(bytes), to, a));
        self.set(dst, to)
    }

    pub(super) fn swap(&mut self, width: SwapWidth, dst: Loc, a: Loc) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let a = self.place(a)?;
        match width {
            SwapWidth::W16 => {
                self.put(Inst::mov_zx(Size::B2, to, a));
                self.put(Inst::rol16(to, 8));
            }
            SwapWidth::W32 => {
                self.bring(Bits::W32, to, a);
                self.put(Inst::bswap(Bits::W32, to));
            }
            SwapWidth::W64 => {
                self.bring(Bits::W64, to, a);
                self.put(Inst::bswap(Bits::W64, to));
            }
        }
        self.set(dst, to)
    }

    pub(super) fn rotl(&mut self, width: Width, dst: Loc, a: Loc, amount: u8) -> Result<(), EmitError> {
        let to = self.result(dst)?;
        let a = self.place(a)?;
        let (bits, size) = (bits(width), width.bits() as u8);
        let amount = amount & (size - 1);
        match self.target.features.bmi2() {
            Some(bmi2) if a != Place::Reg(to) => {
                self.put(Inst::rorx(bmi2, bits, to, a, (size - amount) & (size - 1)));
            }
            _ => {
                self.bring(bits, to, a);
                match amount {
                    0 => self.put(Inst::mov(bits, to, to)),
                    amount => self.put(Inst::shift_imm(Shift::Rol, bits, to, amount)),
                }
            }
        }
        self.set(dst, to)
    }
}

/// Does `to = a + b` for registers that may all be others; the stack pointer is no value's place.
fn sum(bits: Bits, to: Gpr, a: Gpr, b: Gpr) -> Inst {
    let mem = match Index::new(b) {
        Some(index) => Mem::indexed(a, index, Scale::X1, 0),
        None => Mem::base(a, 0),
    };
    Inst::lea(bits, to, mem)
}
