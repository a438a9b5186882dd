//! From slots to meaning.

use crate::table::{self, HotRow, Next, Op};
use crate::{
    Addr, AddrKind, DecodeError, DecodeErrorKind, Facts, Field, Insn, InsnIdx, Operand, OperandKind, RawInsn,
    Reg,
};

/// Decodes the instruction that starts with a slot, given the slot after it.
///
/// It allocates nothing, and accepts exactly what [`Insn::encode`] makes: encoding the result gives the slot, or both
/// slots, again.
///
/// # Errors
///
/// [`DecodeErrorKind`] says which field is wrong, and what was wanted.
///
/// ```
/// use skep_isa::{decode, DecodeErrorKind, Field, Insn, Operand, RawInsn, Reg, AluOp, Width};
///
/// let slot = RawInsn::new(0x07, 1, 0, 0, 44);
/// let insn = Insn::Alu { width: Width::W64, op: AluOp::Add, dst: Reg::R1, src: Operand::Imm(44) };
/// assert_eq!(decode(slot, None), Ok(insn));
/// assert_eq!(
///     decode(RawInsn { off: 3, ..slot }, None),
///     Err(DecodeErrorKind::UnusedField { field: Field::Off, found: 3 }),
/// );
/// ```
#[inline]
pub fn decode(slot: RawInsn, next: Option<RawInsn>) -> Result<Insn, DecodeErrorKind> {
    Parts::of(slot, next.as_slice()).map(|parts| parts.insn())
}

/// Is what a slot holds, and the one behind it, that is an instruction.
#[derive(Clone, Copy)]
pub(crate) struct Parts {
    pub(crate) row: &'static HotRow,
    pub(crate) slot: RawInsn,
    pub(crate) dst: Reg,
    pub(crate) src: Reg,
    pub(crate) next_imm: i32,
}

impl Parts {
    /// Takes apart the instruction that starts with a slot, given what follows, which is looked at only if it is part of it.
    #[inline(always)]
    pub(crate) fn of(slot: RawInsn, rest: &[RawInsn]) -> Result<Parts, DecodeErrorKind> {
        let Some(row) = table::find_hot(slot) else { return Err(refuse(slot)) };
        // What is no operand is zero, or picks the row: r0 or another register that `build` does not look at.
        let (Some(dst), Some(src)) = (Reg::new(slot.dst()), Reg::new(slot.src())) else {
            return Err(unknown_register(slot));
        };
        let next_imm = match row.next {
            Next::None => 0,
            Next::Zero | Next::Imm => second(row.next, rest.first())?,
        };
        Ok(Parts { row, slot, dst, src, next_imm })
    }

    /// Returns what it means.
    #[inline(always)]
    pub(crate) fn insn(self) -> Insn {
        build(self.row.op, self.slot, self.dst, self.src, self.next_imm)
    }

    /// Puts what it means into its place. Each operation has its own way there, with nothing of the loop around it to keep in mind.
    #[inline(never)]
    pub(crate) fn put(
        row: &HotRow,
        slot: RawInsn,
        dst: Reg,
        src: Reg,
        next_imm: i32,
        place: &mut Option<Insn>,
    ) {
        *place = Some(build(row.op, slot, dst, src, next_imm));
    }

    /// Says what it does.
    #[inline(always)]
    pub(crate) fn facts(self) -> Facts {
        self.row.facts(self.dst, self.src)
    }

    /// Says whether the next slot is part of it.
    #[inline(always)]
    pub(crate) fn is_wide(self) -> bool {
        self.row.next != Next::None
    }
}

/// Says why no row takes a slot.
#[cold]
fn refuse(slot: RawInsn) -> DecodeErrorKind {
    if table::find_internal(slot).is_some() {
        return DecodeErrorKind::Internal { code: slot.code };
    }
    if let Some(field) = table::find(slot).and_then(|row| row.first_unused(slot)) {
        return DecodeErrorKind::UnusedField { field, found: field.read(slot) };
    }
    match table::rows_of(slot.code).first().and_then(|row| row.pick.field()) {
        None => DecodeErrorKind::UnknownOpcode { code: slot.code },
        Some((field, _)) => {
            DecodeErrorKind::UnknownVariant { code: slot.code, field, found: field.read(slot) }
        }
    }
}

/// Says which of a slot's registers there is none of.
#[cold]
fn unknown_register(slot: RawInsn) -> DecodeErrorKind {
    let (field, found) = match Reg::new(slot.dst()) {
        None => (Field::Dst, slot.dst()),
        Some(_) => (Field::Src, slot.src()),
    };
    DecodeErrorKind::UnknownRegister { field, found }
}

/// Checks the second slot of a wide instruction and returns its immediate.
#[inline(never)]
fn second(kind: Next, next: Option<&RawInsn>) -> Result<i32, DecodeErrorKind> {
    let next = *next.ok_or(DecodeErrorKind::HalfWide)?;
    let zero: &[Field] = match kind {
        Next::Zero => &[Field::NextCode, Field::NextDst, Field::NextSrc, Field::NextOff, Field::NextImm],
        _ => &[Field::NextCode, Field::NextDst, Field::NextSrc, Field::NextOff],
    };
    match zero.iter().find(|field| field.read(next) != 0) {
        Some(&field) => Err(DecodeErrorKind::UnusedField { field, found: field.read(next) }),
        None => Ok(next.imm),
    }
}

/// Puts the operands into the operation.
#[inline(always)]
pub(crate) const fn build(op: Op, slot: RawInsn, dst: Reg, src: Reg, next_imm: i32) -> Insn {
    let RawInsn { off, imm, .. } = slot;
    match op {
        Op::Alu(width, op, kind) => Insn::Alu { width, op, dst, src: operand(kind, imm, src) },
        Op::Branch(width, cond, kind) => Insn::Branch { width, cond, dst, src: operand(kind, imm, src), off },
        Op::Load(kind) => Insn::Load { kind, dst, base: src, off },
        Op::Store(size, kind) => Insn::Store { size, base: dst, off, src: operand(kind, imm, src) },
        Op::Atomic(width, op) => Insn::Atomic { width, op, base: dst, off, src },
        Op::LoadAcquire(size) => Insn::LoadAcquire { size, dst, base: src, off },
        Op::StoreRelease(size) => Insn::StoreRelease { size, base: dst, off, src },
        Op::Neg(width) => Insn::Neg { width, dst },
        Op::Movsx(kind) => Insn::Movsx { kind, dst, src },
        Op::ByteSwap(op, width) => Insn::ByteSwap { op, width, dst },
        Op::AddrSpaceCast => {
            Insn::AddrSpaceCast { dst, src, to: (imm as u32 >> 16) as u16, from: imm as u16 }
        }
        Op::LoadImm64 => Insn::LoadImm64 { dst, value: (next_imm as u32 as u64) << 32 | imm as u32 as u64 },
        Op::LoadAddr(kind) => Insn::LoadAddr { dst, addr: addr(kind, imm, next_imm) },
        Op::LoadAbs(size) => Insn::LoadAbs { size, off: imm },
        Op::LoadInd(size) => Insn::LoadInd { size, src, off: imm },
        Op::Goto => Insn::Goto { off },
        Op::Gotol => Insn::Gotol { off: imm },
        Op::Gotox => Insn::Gotox { dst },
        Op::MayGoto => Insn::MayGoto { off },
        Op::CallHelper => Insn::CallHelper { id: imm as u32 },
        Op::CallLocal => Insn::CallLocal { off: imm },
        Op::CallKfunc => Insn::CallKfunc { btf_id: imm as u32, fd_index: off },
        Op::CallReg => Insn::CallReg { reg: dst },
        Op::Exit => Insn::Exit,
    }
}

#[inline(always)]
const fn operand(kind: OperandKind, imm: i32, src: Reg) -> Operand {
    match kind {
        OperandKind::Imm => Operand::Imm(imm),
        OperandKind::Reg => Operand::Reg(src),
    }
}

const fn addr(kind: AddrKind, imm: i32, next_imm: i32) -> Addr {
    match kind {
        AddrKind::MapFd => Addr::MapFd { fd: imm },
        AddrKind::MapValueFd => Addr::MapValueFd { fd: imm, off: next_imm as u32 },
        AddrKind::Variable => Addr::Variable { btf_id: imm as u32, btf_fd: next_imm },
        AddrKind::Code => Addr::Code { off: imm },
        AddrKind::MapIndex => Addr::MapIndex { index: imm as u32 },
        AddrKind::MapValueIndex => Addr::MapValueIndex { index: imm as u32, off: next_imm as u32 },
    }
}

/// Yields the instructions of a program one after the other, without allocating.
///
/// After an error it goes on with the next slot, so that a disassembler can show the rest; whoever wants a valid program
/// stops at the first error, as `?` and `collect` do.
pub fn insns(slots: &[RawInsn]) -> Insns<'_> {
    Insns { slots, at: 0 }
}

/// Is the iterator that [`insns`] returns.
#[derive(Clone, Debug)]
pub struct Insns<'a> {
    slots: &'a [RawInsn],
    at: usize,
}

impl Iterator for Insns<'_> {
    type Item = Result<(InsnIdx, Insn), DecodeError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let slot = *self.slots.get(self.at)?;
        let Ok(index) = u32::try_from(self.at) else {
            self.slots = &[];
            return Some(Err(DecodeError { at: InsnIdx(u32::MAX), kind: DecodeErrorKind::TooLong }));
        };
        let at = InsnIdx(index);
        Some(match decode(slot, self.slots.get(self.at + 1).copied()) {
            Ok(insn) => {
                self.at += insn.slots() as usize;
                Ok((at, insn))
            }
            Err(kind) => {
                self.at += 1;
                Err(DecodeError { at, kind })
            }
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.slots.len().saturating_sub(self.at);
        (left.div_ceil(2), Some(left))
    }
}

impl core::iter::FusedIterator for Insns<'_> {}
