//! Arithmetic on values: numbers compute, pointers keep their provenance or are refused.
//!
//! The rules are Linux's for root (`adjust_reg_min_max_vals` and `adjust_ptr_min_max_vals` in
//! `kernel/bpf/verifier.c`, `allow_ptr_leaks` set): a pointer plus or minus a number is a pointer; the difference of
//! two pointers is a number; a 32-bit copy, a 32-bit difference and any one-operand operation see its number; all
//! else is refused. A pointer to what is gone is a number like any other wherever it would be refused (`mark_reg_invalid`).

use crate::object::Objects;
use crate::{FaultKind, ObjectId, Region, Value, alu as number};
use skep_isa::{AluOp, Cond, Width};

/// Copies a value; 32 bits of a pointer are a number.
#[inline(always)]
pub(super) fn copy(width: Width, value: Value) -> Value {
    match width {
        Width::W64 => value,
        Width::W32 => Value::Scalar(u64::from(value.bits().unwrap_or(0) as u32)),
    }
}

/// Computes `a op b`, both of which hold something.
#[inline(always)]
pub(super) fn alu(
    width: Width,
    op: AluOp,
    a: Value,
    b: Value,
    objects: &Objects<'_>,
) -> Result<Value, FaultKind> {
    match (a, b) {
        (Value::Scalar(a), Value::Scalar(b)) => Ok(Value::Scalar(number::alu(width, op, a, b))),
        _ => on_pointers(width, op, a, b, objects),
    }
}

#[cold]
fn on_pointers(
    width: Width,
    op: AluOp,
    a: Value,
    b: Value,
    objects: &Objects<'_>,
) -> Result<Value, FaultKind> {
    let found = if a.has_provenance() { a } else { b };
    let number_of = |value: Value| match value {
        Value::Scalar(number) => Some(number),
        Value::Pointer { object, .. } if objects.is_gone(object) => value.bits(),
        _ => None,
    };
    let refused = match (number_of(a), number_of(b)) {
        (Some(a), Some(b)) => Ok(Value::Scalar(number::alu(width, op, a, b))),
        _ => Err(FaultKind::PointerArithmetic { op, found }),
    };
    match (width, op, a, b) {
        (Width::W64, AluOp::Add, pointer, Value::Scalar(by)) => moved(pointer, by as i64).map_or(refused, Ok),
        (Width::W64, AluOp::Add, Value::Scalar(by), pointer) => moved(pointer, by as i64).map_or(refused, Ok),
        (Width::W64, AluOp::Sub, pointer, Value::Scalar(by)) => {
            moved(pointer, (by as i64).wrapping_neg()).map_or(refused, Ok)
        }
        (Width::W64, AluOp::Sub, Value::Scalar(_), _) => refused,
        (_, AluOp::Sub, a, b) => {
            let (a, b) = numbers(a, b, objects);
            Ok(Value::Scalar(number::alu(width, AluOp::Sub, a, b)))
        }
        _ => refused,
    }
}

/// Moves what can be moved; a map or a function only by nothing.
fn moved(value: Value, by: i64) -> Option<Value> {
    match value {
        Value::Pointer { object, offset } => Some(Value::Pointer { object, offset: offset.wrapping_add(by) }),
        Value::Context(offset) => Some(Value::Context(offset.wrapping_add(by))),
        _ if by == 0 => Some(value),
        _ => None,
    }
}

/// Tells whether `a cond b` holds.
#[inline(always)]
pub(super) fn compare(width: Width, cond: Cond, a: Value, b: Value, objects: &Objects<'_>) -> bool {
    let (a, b) = match (a, b) {
        (Value::Scalar(a), Value::Scalar(b)) => (a, b),
        _ => numbers(a, b, objects),
    };
    number::compare(width, cond, a, b)
}

/// Gives the numbers of two values, such that pointers into one piece of memory differ by their offsets.
fn numbers(a: Value, b: Value, objects: &Objects<'_>) -> (u64, u64) {
    let b = match (a, b) {
        (Value::Pointer { object, .. }, Value::Pointer { object: other, offset })
            if same_value(object, other, objects) =>
        {
            Value::Pointer { object, offset }
        }
        _ => b,
    };
    (a.bits().unwrap_or(0), b.bits().unwrap_or(0))
}

/// Tells whether two look-ups gave the same value of the same map.
fn same_value(a: ObjectId, b: ObjectId, objects: &Objects<'_>) -> bool {
    match (objects.find(a), objects.find(b)) {
        (Some(a), Some(b)) => {
            matches!((a.region, b.region), (Region::MapValue(_), Region::MapValue(_)))
                && a.bytes.addr() == b.bytes.addr()
        }
        _ => false,
    }
}
