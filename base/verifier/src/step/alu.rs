//! Computations (`check_alu_op`, `adjust_reg_min_max_vals`, `adjust_ptr_min_max_vals` in `kernel/bpf/verifier.c`).

use super::{MOST_OFFSET, Result, immediate};
use crate::explore::Explorer;
use crate::rejection::Rule;
use crate::scalar::{self, Number};
use crate::state::State;
use crate::value::{Id, Memory, To, Value};
use skep_isa::{AluOp, ByteOrder, Insn, InsnIdx, Operand, Reg, Width};

impl Explorer<'_> {
    pub(super) fn alu(
        &mut self,
        state: &mut State,
        at: InsnIdx,
        (width, op): (Width, AluOp),
        dst: Reg,
        src: Operand,
    ) -> Result<()> {
        if op == AluOp::Mov {
            return self.mov(state, at, width, dst, src);
        }
        let mut constant = Value::NOTHING;
        let right = self.operand(state, at, width, src, &mut constant)?;
        let left = self.read(state, at, dst)?;
        self.check_constant(at, (width, op), src)?;
        let value = match (left.is_number(), right.is_number()) {
            (true, true) => compute(width, op, left, right, src == Operand::Reg(dst)),
            (false, false) if op == AluOp::Sub => Value::UNKNOWN,
            (false, false) => {
                return Err(Rule::Arithmetic.broken(
                    at,
                    format_args!("two pointers can only be subtracted: {dst} is {left}, the other {right}"),
                ));
            }
            (false, true) => {
                if let Operand::Reg(src) = src {
                    self.need_reg(state, src);
                }
                self.moved(at, (width, op), left, right, dst)?
            }
            (true, false) => {
                self.need_reg(state, dst);
                if op == AluOp::Sub && width == Width::W64 {
                    return Err(Rule::Arithmetic.broken(
                        at,
                        format_args!("wanted a pointer to subtract from in {dst}, found {left}"),
                    ));
                }
                self.moved(at, (width, op), right, left, dst)?
            }
        };
        state.set(dst, value);
        Ok(())
    }

    fn mov(&mut self, state: &mut State, at: InsnIdx, width: Width, dst: Reg, src: Operand) -> Result<()> {
        let src = match src {
            Operand::Reg(src) => src,
            // A constant has no copies.
            Operand::Imm(imm) => {
                state.set(dst, immediate(width, imm));
                return Ok(());
            }
        };
        let value = state.reg(src);
        if value.is_nothing() {
            return Err(self.uninitialised(at, src));
        }
        if width == Width::W64 || value.is_number() && value.number.upper_is_zero() {
            self.copy_reg(state, dst, src);
        } else {
            let value = match value.is_number() {
                true => Value::number(value.number.truncate(4)),
                false => Value::number(Number::within_bytes(4)),
            };
            state.set(dst, value);
        }
        Ok(())
    }

    /// Copies a register: of numbers it is remembered that they are copies.
    fn copy_reg(&mut self, state: &mut State, dst: Reg, src: Reg) {
        let regs = &mut state.frame_mut().regs;
        let value = &mut regs[src.index()];
        if value.is_number() && value.fixed != 0 {
            // From here on it is the two that are compared, in each turn of a loop anew (`assign_scalar_id_before_mov`).
            (value.id, value.fixed) = (Id::NONE, 0);
        }
        self.name(value);
        regs[dst.index()] = *value;
    }

    fn check_constant(&self, at: InsnIdx, (width, op): (Width, AluOp), src: Operand) -> Result<()> {
        let (Operand::Imm(imm), Some(insn)) = (src, self.program.at(at)) else { return Ok(()) };
        match op {
            AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod if imm == 0 => {
                Err(Rule::Divisor.broken(at, format_args!("`{insn}` divides by zero")))
            }
            AluOp::Lsh | AluOp::Rsh | AluOp::Arsh
                if !u32::try_from(imm).is_ok_and(|imm| imm < width.bits()) =>
            {
                Err(Rule::Shift.broken(
                    at,
                    format_args!("`{insn}` wants to shift by 0 to {}, found {imm}", width.bits() - 1),
                ))
            }
            _ => Ok(()),
        }
    }

    /// Gives a number that is not constant an id, so that what is learned of a copy is learned of it.
    pub(super) fn name(&mut self, value: &mut Value) {
        if value.is_number() && !value.id.is_some() && value.number.as_constant().is_none() {
            value.id = self.new_id();
            value.fixed = 0;
        }
    }

    pub(super) fn unary(&mut self, state: &mut State, at: InsnIdx, insn: Insn) -> Result<()> {
        let (dst, value) = match insn {
            Insn::Neg { width, dst } => {
                let value = self.read(state, at, dst)?;
                (dst, value.is_number().then(|| scalar::alu::neg(width, &value.number)))
            }
            Insn::Movsx { kind, dst, src } => {
                let value = self.read(state, at, src)?;
                if value.is_number() && kind.width() == Width::W64 {
                    let extended = scalar::alu::movsx(kind, &value.number);
                    // Of a number that is not changed by it, it is a copy.
                    let half = 1i64 << (kind.from().bits() - 1);
                    if value.number.smin() >= -half && value.number.smax() < half {
                        self.copy_reg(state, dst, src);
                        return Ok(());
                    }
                    (dst, Some(extended))
                } else {
                    (dst, value.is_number().then(|| scalar::alu::movsx(kind, &value.number)))
                }
            }
            Insn::ByteSwap { op, width, dst } => {
                let value = self.read(state, at, dst)?;
                let swapped = || scalar::alu::byte_swap(op, width, ByteOrder::NATIVE, &value.number);
                (dst, value.is_number().then(swapped))
            }
            _ => return Ok(()),
        };
        state.set(dst, value.map_or(Value::UNKNOWN, Value::number));
        Ok(())
    }

    /// A pointer that a number is added to or subtracted from.
    fn moved(
        &mut self,
        at: InsnIdx,
        (width, op): (Width, AluOp),
        pointer: &Value,
        by: &Value,
        dst: Reg,
    ) -> Result<Value> {
        let refuse = |what: core::fmt::Arguments<'_>| Err(Rule::Arithmetic.broken(at, what));
        if width == Width::W32 {
            if op == AluOp::Sub {
                return Ok(Value::UNKNOWN);
            }
            return refuse(format_args!("32-bit arithmetic on {dst}, {pointer}, would cut it off"));
        }
        let Some(to) = pointer.certainly_to() else {
            return Err(Rule::Null.broken(
                at,
                format_args!("{dst} is {pointer}: it is computed with before it is known not to be null"),
            ));
        };
        // Where it points does not matter, as it is read as a probe reads.
        if matches!(to, To::Memory { kind: Memory::Untrusted, .. }) {
            return Ok(*pointer);
        }
        if !matches!(op, AluOp::Add | AluOp::Sub) {
            return refuse(format_args!(
                "only addition and subtraction keep {pointer} a pointer, found another operation"
            ));
        }
        let known = by.number.as_constant().map(|value| value as i64);
        let movable = match to {
            To::Context
            | To::Stack { .. }
            | To::Packet
            | To::PacketMeta
            | To::MapValue { .. }
            | To::MapKey(_)
            | To::Memory { .. }
            | To::Buffer(_)
            | To::Object { .. }
            | To::Function(_)
            | To::Dynptr => true,
            To::FlowKeys => known.is_some(),
            To::Map(_) | To::InnerMap { .. } => known == Some(0) && op == AluOp::Add,
            To::PacketEnd | To::Socket(_) | To::Own(_) => false,
        };
        if !movable {
            return refuse(format_args!("{pointer} cannot be moved"));
        }
        self.sane(at, pointer, &by.number)?;
        self.sane(at, pointer, &pointer.number)?;
        if op == AluOp::Sub && matches!(to, To::Stack { .. }) {
            return refuse(format_args!("nothing can be subtracted from {pointer}"));
        }
        let mut value = *pointer;
        let moved = known.and_then(|known| match op {
            AluOp::Sub => pointer.fixed.checked_sub(known),
            _ => pointer.fixed.checked_add(known),
        });
        if let Some(fixed) = moved.filter(|&fixed| i32::try_from(fixed).is_ok()) {
            value.fixed = fixed;
        } else {
            value.number = match op {
                AluOp::Sub => pointer.number.sub(&by.number),
                _ => pointer.number.add(&by.number),
            };
            if matches!(to, To::Packet | To::PacketMeta) {
                value.id = self.new_id();
                // What was subtracted was perhaps not negative: then the same bytes are there, and more.
                if op == AluOp::Add || by.number.smin() < 0 {
                    value.range = 0;
                }
            }
        }
        self.sane(at, pointer, &value.number)?;
        if value.fixed.abs() >= MOST_OFFSET {
            return refuse(format_args!("{pointer} would be moved by {}, which is too far", value.fixed));
        }
        Ok(value)
    }

    /// Refuses offsets that are not bounded (`check_reg_sane_offset`).
    fn sane(&self, at: InsnIdx, pointer: &Value, by: &Number) -> Result<()> {
        let within = |value: i64| -MOST_OFFSET < value && value < MOST_OFFSET;
        if !within(by.smin()) || (by.as_constant().is_some() && !within(by.smax())) {
            return Err(Rule::Arithmetic.broken(
                at,
                format_args!("{pointer} cannot be moved by {}, which is not bounded", Value::number(*by)),
            ));
        }
        if pointer.fixed.abs() >= MOST_OFFSET {
            return Err(Rule::Arithmetic.broken(at, format_args!("{pointer} is moved too far already")));
        }
        Ok(())
    }
}

/// An operation with two numbers. What is more than a copy of a number by a constant stays linked with it.
fn compute(width: Width, op: AluOp, left: &Value, right: &Value, with_itself: bool) -> Value {
    if with_itself && matches!(op, AluOp::Sub | AluOp::Xor) {
        return Value::constant(0);
    }
    let mut value = Value::number(scalar::alu::alu(op, width, &left.number, &right.number));
    let constant = right.number.as_constant().map(|value| value as i64);
    if let (AluOp::Add, Width::W64, true, Some(by)) = (op, width, left.id.is_some(), constant) {
        let fixed = left.fixed.checked_add(by).filter(|&fixed| i32::try_from(fixed).is_ok());
        if let (Some(fixed), None) = (fixed, value.number.as_constant()) {
            value.id = left.id;
            value.fixed = fixed;
        }
    }
    if value.id == Id::NONE {
        value.fixed = 0;
    }
    value
}
