//! Every instruction of the table is executed at every edge that its kind has: the list is made of the table's rows and
//! the edges below, and what no case comes to is named.

mod common;

use common::cases;
use skep_exact::{Step, Value};
use skep_isa::table::{self, Op};
use skep_isa::{AddrKind, AluOp, AtomicOp, Cond, Insn, Movsx, Operand, OperandKind, Program, Reg};
use skep_isa::{Size, SwapWidth, Width};
use skep_lab_filetests::Exact;
use std::collections::BTreeMap;

/// An edge that instructions of some kinds have.
struct Edge {
    name: &'static str,
    of: fn(Op) -> bool,
    holds: fn(&Seen) -> bool,
}

/// An instruction as it was executed.
struct Seen {
    insn: Insn,
    /// Slots from the next instruction to the one that was executed next, in whatever function; none at the end.
    moved: Option<i64>,
    depth: usize,
    before: [Value; 11],
    after: Option<[Value; 11]>,
}

impl Seen {
    fn number(value: Value) -> Option<u64> {
        match value {
            Value::Scalar(number) => Some(number),
            _ => None,
        }
    }

    /// The destination (a store's base, too), the source (a load's base, too), and the offset.
    fn regs(&self) -> (Option<Reg>, Option<Operand>, Option<i16>) {
        let reg = Operand::Reg;
        match self.insn {
            Insn::Alu { dst, src, .. } => (Some(dst), Some(src), None),
            Insn::Branch { dst, src, off, .. } => (Some(dst), Some(src), Some(off)),
            Insn::Neg { dst, .. } | Insn::ByteSwap { dst, .. } => (Some(dst), None, None),
            Insn::Movsx { dst, src, .. } => (Some(dst), Some(reg(src)), None),
            Insn::Load { dst, base, off, .. } | Insn::LoadAcquire { dst, base, off, .. } => {
                (Some(dst), Some(reg(base)), Some(off))
            }
            Insn::Store { base, off, src, .. } => (Some(base), Some(src), Some(off)),
            Insn::StoreRelease { base, off, src, .. } | Insn::Atomic { base, off, src, .. } => {
                (Some(base), Some(reg(src)), Some(off))
            }
            Insn::LoadImm64 { dst, .. } => (Some(dst), None, None),
            _ => (None, None, None),
        }
    }

    fn value(&self, reg: Reg) -> Value {
        self.before[reg.index()]
    }

    /// The number in the destination, before.
    fn left(&self) -> Option<u64> {
        self.regs().0.and_then(|reg| Seen::number(self.value(reg)))
    }

    /// The number in the source, an immediate extended by its sign.
    fn right(&self) -> Option<u64> {
        match self.regs().1? {
            Operand::Reg(reg) => Seen::number(self.value(reg)),
            Operand::Imm(imm) => Some(i64::from(imm) as u64),
        }
    }

    /// The number in the destination, after.
    fn result(&self) -> Option<u64> {
        let dst = self.regs().0?;
        Seen::number(self.after?[dst.index()])
    }

    fn off(&self) -> i64 {
        i64::from(self.regs().2.unwrap_or_default())
    }

    fn is_twice_the_same(&self) -> bool {
        matches!(self.regs(), (Some(dst), Some(Operand::Reg(src)), _) if dst == src)
    }

    /// Where an access begins in its object.
    fn place(&self) -> Option<i64> {
        let base = match self.regs() {
            (dst, Some(Operand::Reg(base)), _) => match self.insn {
                Insn::Load { .. } | Insn::LoadAcquire { .. } => base,
                _ => dst?,
            },
            (dst, ..) => dst?,
        };
        match self.value(base) {
            Value::Pointer { offset, .. } => Some(offset + self.off()),
            _ => None,
        }
    }

    fn bits(&self) -> u32 {
        width(self.insn.op()).map_or(64, Width::bits)
    }

    /// A number within the operation's width.
    fn narrow(&self, number: Option<u64>) -> Option<u64> {
        number.map(|number| if self.bits() == 32 { u64::from(number as u32) } else { number })
    }

    fn least(&self) -> u64 {
        1 << (self.bits() - 1)
    }

    fn is_negative(&self, number: Option<u64>) -> Option<bool> {
        Some(self.narrow(number)? >= self.least())
    }

    fn signs(&self, left: bool, right: bool) -> bool {
        self.is_negative(self.left()) == Some(left) && self.is_negative(self.right()) == Some(right)
    }
}

fn width(op: Op) -> Option<Width> {
    match op {
        Op::Alu(width, ..) | Op::Neg(width) | Op::Branch(width, ..) | Op::Atomic(width, _) => Some(width),
        Op::Movsx(Movsx::S8To32 | Movsx::S16To32) => Some(Width::W32),
        _ => None,
    }
}

fn is_32(op: Op) -> bool {
    width(op) == Some(Width::W32)
}

fn takes_register(op: Op) -> bool {
    matches!(op, Op::Alu(_, _, OperandKind::Reg) | Op::Branch(_, _, OperandKind::Reg))
}

fn is_shift(op: Op) -> bool {
    matches!(op, Op::Alu(_, AluOp::Lsh | AluOp::Rsh | AluOp::Arsh, _))
}

fn is_division(op: Op) -> bool {
    matches!(op, Op::Alu(_, AluOp::Div | AluOp::Mod | AluOp::Sdiv | AluOp::Smod, _))
}

fn is_signed_division(op: Op) -> bool {
    matches!(op, Op::Alu(_, AluOp::Sdiv | AluOp::Smod, _))
}

fn is_move(op: Op) -> bool {
    matches!(op, Op::Alu(_, AluOp::Mov, _))
}

fn has_left(op: Op) -> bool {
    matches!(op, Op::Alu(..) | Op::Branch(..)) && !is_move(op) || matches!(op, Op::Neg(_))
}

fn has_right(op: Op) -> bool {
    matches!(op, Op::Alu(..) | Op::Branch(..)) && !is_shift(op)
}

fn is_load(op: Op) -> bool {
    matches!(op, Op::Load(_) | Op::LoadAcquire(_))
}

fn is_access(op: Op) -> bool {
    is_load(op) || matches!(op, Op::Store(..) | Op::StoreRelease(_) | Op::Atomic(..))
}

fn size(op: Op) -> i64 {
    match op {
        Op::Load(kind) => kind.size().bytes().into(),
        Op::Store(size, _) | Op::LoadAcquire(size) | Op::StoreRelease(size) => size.bytes().into(),
        _ => 1,
    }
}

fn loaded_top_bit(op: Op) -> u64 {
    1 << (8 * size(op) - 1)
}

fn swapped_bits(op: Op) -> u32 {
    match op {
        Op::ByteSwap(_, SwapWidth::W16) => 16,
        Op::ByteSwap(_, SwapWidth::W32) => 32,
        _ => 64,
    }
}

fn extended_bits(op: Op) -> u32 {
    match op {
        Op::Movsx(Movsx::S8To32 | Movsx::S8To64) => 8,
        Op::Movsx(Movsx::S16To32 | Movsx::S16To64) => 16,
        Op::Movsx(Movsx::S32To64) => 32,
        _ => 64,
    }
}

/// How far a jump of 16 bits must lead to be far, and one of 32.
const FAR_16: i64 = 0x7f00;
const FAR_32: i64 = 0x8000;

#[rustfmt::skip]
const EDGES: &[Edge] = &[
    // Numbers at the ends of the width.
    Edge { name: "the least on the left", of: has_left, holds: |seen| seen.narrow(seen.left()) == Some(seen.least()) },
    Edge { name: "the greatest on the left", of: has_left, holds: |seen| seen.narrow(seen.left()) == Some(seen.least() - 1) },
    Edge { name: "-1 on the left", of: has_left, holds: |seen| seen.narrow(seen.left()) == seen.narrow(Some(u64::MAX)) },
    Edge { name: "0 on the left", of: has_left, holds: |seen| seen.narrow(seen.left()) == Some(0) },
    Edge { name: "the least on the right", of: |op| has_right(op) && takes_register(op), holds: |seen| seen.narrow(seen.right()) == Some(seen.least()) },
    Edge { name: "the greatest on the right", of: |op| has_right(op) && takes_register(op), holds: |seen| seen.narrow(seen.right()) == Some(seen.least() - 1) },
    Edge { name: "the least immediate", of: |op| has_right(op) && !takes_register(op), holds: |seen| seen.right() == Some(i64::from(i32::MIN) as u64) },
    Edge { name: "the greatest immediate", of: |op| has_right(op) && !takes_register(op), holds: |seen| seen.right() == Some(i32::MAX as u64) },
    Edge { name: "-1 on the right", of: has_right, holds: |seen| seen.narrow(seen.right()) == seen.narrow(Some(u64::MAX)) },
    Edge { name: "0 on the right", of: has_right, holds: |seen| seen.narrow(seen.right()) == Some(0) },
    Edge { name: "an upper half on the left", of: |op| has_left(op) && is_32(op), holds: |seen| seen.left().is_some_and(|left| left >> 32 != 0) },
    Edge { name: "an upper half on the right", of: |op| (has_right(op) && takes_register(op) || matches!(op, Op::Atomic(..))) && is_32(op), holds: |seen| seen.right().is_some_and(|right| right >> 32 != 0) },
    Edge { name: "the same register twice", of: |op| takes_register(op) || matches!(op, Op::Movsx(_)) || is_load(op), holds: Seen::is_twice_the_same },
    // Shifts.
    Edge { name: "by 0", of: is_shift, holds: |seen| seen.right() == Some(0) },
    Edge { name: "by 1", of: is_shift, holds: |seen| seen.right() == Some(1) },
    Edge { name: "by the width less 1", of: is_shift, holds: |seen| seen.right() == Some(u64::from(seen.bits()) - 1) },
    Edge { name: "by the width", of: is_shift, holds: |seen| seen.right() == Some(u64::from(seen.bits())) },
    Edge { name: "by the width and 1", of: is_shift, holds: |seen| seen.right() == Some(u64::from(seen.bits()) + 1) },
    Edge { name: "by -1", of: is_shift, holds: |seen| seen.right() == Some(u64::MAX) },
    // Divisions.
    Edge { name: "by 1", of: is_division, holds: |seen| seen.narrow(seen.right()) == Some(1) },
    Edge { name: "the least by -1", of: is_signed_division, holds: |seen| seen.narrow(seen.left()) == Some(seen.least()) && seen.narrow(seen.right()) == seen.narrow(Some(u64::MAX)) },
    Edge { name: "the least by 0", of: is_division, holds: |seen| seen.narrow(seen.left()) == Some(seen.least()) && seen.narrow(seen.right()) == Some(0) },
    Edge { name: "negative by positive", of: is_signed_division, holds: |seen| seen.signs(true, false) },
    Edge { name: "positive by negative", of: is_signed_division, holds: |seen| seen.signs(false, true) },
    Edge { name: "negative by negative", of: is_signed_division, holds: |seen| seen.signs(true, true) },
    // Sign extension and byte order.
    Edge { name: "a set sign", of: |op| matches!(op, Op::Movsx(_)), holds: |seen| seen.right().is_some_and(|right| right >> (extended_bits(seen.insn.op()) - 1) & 1 == 1) },
    Edge { name: "a clear sign under bits that are set", of: |op| matches!(op, Op::Movsx(_)), holds: |seen| seen.right().is_some_and(|right| right >> (extended_bits(seen.insn.op()) - 1) & 1 == 0 && right >> extended_bits(seen.insn.op()) != 0) },
    Edge { name: "bits above the width", of: |op| swapped_bits(op) < 64, holds: |seen| seen.left().is_some_and(|left| left >> swapped_bits(seen.insn.op()) != 0) },
    Edge { name: "bytes that differ", of: |op| matches!(op, Op::ByteSwap(..)), holds: |seen| seen.left().is_some_and(|left| left & 0xff != left >> (swapped_bits(seen.insn.op()) - 8) & 0xff) },
    Edge { name: "the sign of the lower half alone", of: |op| op == Op::LoadImm64, holds: |seen| matches!(seen.insn, Insn::LoadImm64 { value: 0x8000_0000, .. }) },
    Edge { name: "the upper half alone", of: |op| op == Op::LoadImm64, holds: |seen| matches!(seen.insn, Insn::LoadImm64 { value, .. } if value != 0 && value as u32 == 0) },
    // Memory.
    Edge { name: "a negative offset", of: is_access, holds: |seen| seen.place().is_some() && seen.off() < 0 },
    Edge { name: "a positive offset", of: is_access, holds: |seen| seen.place().is_some() && seen.off() > 0 },
    Edge { name: "no alignment", of: |op| matches!(op, Op::Load(_) | Op::Store(..)) && size(op) > 1, holds: |seen| seen.after.is_some() && seen.place().is_some_and(|place| place % size(seen.insn.op()) != 0) },
    Edge { name: "a set top bit", of: is_load, holds: |seen| seen.result().is_some_and(|result| result & loaded_top_bit(seen.insn.op()) != 0) },
    Edge { name: "a clear top bit", of: is_load, holds: |seen| seen.result().is_some_and(|result| result & loaded_top_bit(seen.insn.op()) == 0) },
    Edge { name: "bits above the size", of: |op| matches!(op, Op::Store(_, OperandKind::Reg) | Op::StoreRelease(_)) && size(op) < 8, holds: |seen| seen.right().is_some_and(|right| right >> (8 * size(seen.insn.op())) != 0) },
    Edge { name: "a negative immediate", of: |op| matches!(op, Op::Store(_, OperandKind::Imm)), holds: |seen| seen.right().is_some_and(|right| right > i64::MAX as u64) },
    Edge { name: "a positive immediate", of: |op| matches!(op, Op::Store(_, OperandKind::Imm)), holds: |seen| seen.right().is_some_and(|right| right != 0 && right <= i64::MAX as u64) },
    Edge { name: "a pointer", of: |op| op == Op::Store(Size::Dw, OperandKind::Reg), holds: |seen| matches!(seen.regs().1, Some(Operand::Reg(src)) if matches!(seen.value(src), Value::Pointer { .. })) },
    Edge { name: "outside", of: is_access, holds: |seen| seen.place().is_some() && seen.after.is_none() },
    // Atomics.
    Edge { name: "on the stack", of: |op| matches!(op, Op::Atomic(..)), holds: |seen| seen.regs().0 == Some(Reg::R10) && seen.after.is_some() },
    Edge { name: "in memory", of: |op| matches!(op, Op::Atomic(..)), holds: |seen| seen.regs().0 != Some(Reg::R10) && seen.after.is_some() },
    Edge { name: "misaligned", of: |op| matches!(op, Op::Atomic(..)), holds: |seen| seen.after.is_none() && seen.place().is_some_and(|place| place % i64::from(seen.bits() / 8) != 0) },
    Edge { name: "found equal", of: |op| matches!(op, Op::Atomic(_, AtomicOp::Cmpxchg)), holds: |seen| exchanged(seen) == Some(true) },
    Edge { name: "found different", of: |op| matches!(op, Op::Atomic(_, AtomicOp::Cmpxchg)), holds: |seen| exchanged(seen) == Some(false) },
    Edge { name: "r0 twice", of: |op| matches!(op, Op::Atomic(_, AtomicOp::Cmpxchg)), holds: |seen| seen.regs().1 == Some(Operand::Reg(Reg::R0)) },
    Edge { name: "an upper half in r0", of: |op| op == Op::Atomic(Width::W32, AtomicOp::Cmpxchg), holds: |seen| Seen::number(seen.before[0]).is_some_and(|r0| r0 >> 32 != 0) },
    // Control.
    // That `may_goto` jumps at last takes eight million rounds: `base/exact` tests it.
    Edge { name: "taken", of: |op| matches!(op, Op::Branch(..)), holds: |seen| seen.moved.is_some_and(|moved| moved != 0) },
    Edge { name: "not taken", of: |op| matches!(op, Op::Branch(..) | Op::MayGoto), holds: |seen| seen.moved == Some(0) },
    Edge { name: "backward", of: |op| matches!(op, Op::Branch(..) | Op::Goto | Op::Gotol | Op::CallLocal), holds: |seen| seen.moved.is_some_and(|moved| moved < 0) },
    Edge { name: "far forward", of: |op| matches!(op, Op::Branch(..) | Op::Goto), holds: |seen| seen.moved.is_some_and(|moved| moved >= FAR_16) },
    Edge { name: "far backward", of: |op| matches!(op, Op::Branch(..) | Op::Goto), holds: |seen| seen.moved.is_some_and(|moved| moved <= -FAR_16) },
    Edge { name: "far forward", of: |op| matches!(op, Op::Gotol | Op::CallLocal), holds: |seen| seen.moved.is_some_and(|moved| moved > FAR_32) },
    Edge { name: "far backward", of: |op| matches!(op, Op::Gotol | Op::CallLocal), holds: |seen| seen.moved.is_some_and(|moved| moved < -FAR_32) },
    Edge { name: "as the eighth function", of: |op| op == Op::Exit, holds: |seen| seen.depth == 7 },
    Edge { name: "of the program", of: |op| op == Op::Exit, holds: |seen| seen.depth == 0 },
    Edge { name: "numbers whose order depends on the sign", of: |op| matches!(op, Op::Branch(_, cond, _) if !matches!(cond, Cond::Eq | Cond::Ne)), holds: |seen| seen.signs(true, false) || seen.signs(false, true) },
    Edge { name: "equal numbers", of: |op| matches!(op, Op::Branch(..)), holds: |seen| !seen.is_twice_the_same() && seen.narrow(seen.left()).is_some() && seen.narrow(seen.left()) == seen.narrow(seen.right()) },
    Edge { name: "equal but for the upper halves", of: |op| matches!(op, Op::Branch(Width::W32, ..)), holds: |seen| seen.left() != seen.right() && seen.narrow(seen.left()).is_some() && seen.narrow(seen.left()) == seen.narrow(seen.right()) },
];

/// Whether a compare-and-exchange found what r0 held.
fn exchanged(seen: &Seen) -> Option<bool> {
    Some(seen.narrow(Seen::number(seen.before[0])) == Seen::number(seen.after?[0]))
}

/// What a case cannot have: there are no maps, no kernel functions and no arenas around it, so that these are refused.
fn is_refused(op: Op) -> bool {
    matches!(op, Op::LoadAddr(kind) if kind != AddrKind::Code)
        || matches!(op, Op::Gotox | Op::CallReg | Op::CallKfunc | Op::CallHelper | Op::AddrSpaceCast)
}

/// What it cannot even name.
fn is_out_of_reach(op: Op) -> bool {
    matches!(op, Op::LoadAddr(kind) if !matches!(kind, AddrKind::Code | AddrKind::Variable))
}

/// Names every cell, and whether a case has come to it.
fn cells() -> BTreeMap<(usize, &'static str), bool> {
    let mut cells = BTreeMap::new();
    for (row, op) in table::ROWS.iter().map(|row| row.op).enumerate() {
        if is_out_of_reach(op) {
            continue;
        }
        let start = if is_refused(op) { "in some program" } else { "executed" };
        cells.insert((row, start), false);
        for edge in EDGES.iter().filter(|edge| (edge.of)(op)) {
            assert!(cells.insert((row, edge.name), false).is_none(), "{op:?} has `{}` twice", edge.name);
        }
    }
    cells
}

#[test]
fn every_edge_of_every_instruction_is_in_some_case() {
    let mut cells = cells();
    assert!(cells.len() > 1800, "{} cells", cells.len());
    let rows: Vec<Op> = table::ROWS.iter().map(|row| row.op).collect();
    for case in cases() {
        let Ok(program) = Program::decode(&case.slots) else { continue };
        let row_of = |insn: Insn| rows.iter().position(|op| *op == insn.op()).expect("a row");
        for (_, insn) in program.iter() {
            cells.entry((row_of(insn), "in some program")).and_modify(|seen| *seen = true);
        }
        let mut record = |seen: &Seen| {
            let row = row_of(seen.insn);
            cells.entry((row, "executed")).and_modify(|seen| *seen = true);
            for edge in EDGES.iter().filter(|edge| (edge.of)(seen.insn.op()) && (edge.holds)(seen)) {
                cells.insert((row, edge.name), true);
            }
        };
        let mut last: Option<(u32, Seen)> = None;
        let mut look = |step: &Step<'_>| {
            if let Some((end, mut seen)) = last.take() {
                seen.moved = Some(i64::from(step.at.0) - i64::from(end));
                seen.after = Some(*step.regs);
                record(&seen);
            }
            let insn = program.at(step.at).expect("an instruction");
            let seen = Seen { insn, moved: None, depth: step.depth, before: *step.regs, after: None };
            last = Some((step.at.0 + insn.slots(), seen));
        };
        Exact.run_observed(case, &mut look).expect("a run");
        if let Some((_, seen)) = last {
            record(&seen);
        }
    }
    let missing: Vec<String> = cells
        .iter()
        .filter(|(_, seen)| !**seen)
        .map(|((row, edge), _)| format!("{:?}: {edge}", rows[*row]))
        .collect();
    assert!(missing.is_empty(), "{} of {} cells:\n{}", missing.len(), cells.len(), missing.join("\n"));
}
