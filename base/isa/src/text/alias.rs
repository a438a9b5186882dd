//! Other spellings that the assembler takes; the disassembler never writes them.

use crate::table::Op;
use crate::{AddrKind, AluOp as A, AtomicOp as T, Endian, LoadKind, OperandKind, Size, SwapWidth, Width};
use OperandKind::{Imm, Reg};
use Width::{W32, W64};

/// Holds an operation and one more template for it.
pub(super) type Alias = (Op, &'static str);

/// Lists them by where they come from.
pub(super) static ALIASES: [Alias; 81] = [
    // LLVM loads into and stores from halves of registers with -mattr=+alu32; the encoding is the same.
    (Op::Load(LoadKind::U8), "{wd} = *(u8 *)({rs}{o})"),
    (Op::Load(LoadKind::U16), "{wd} = *(u16 *)({rs}{o})"),
    (Op::Load(LoadKind::U32), "{wd} = *(u32 *)({rs}{o})"),
    (Op::Store(Size::B, Reg), "*(u8 *)({rd}{o}) = {ws}"),
    (Op::Store(Size::H, Reg), "*(u16 *)({rd}{o}) = {ws}"),
    (Op::Store(Size::W, Reg), "*(u32 *)({rd}{o}) = {ws}"),
    // The kernel's verifier log (`print_bpf_insn` in kernel/bpf/disasm.c) knows no halves here.
    (Op::Atomic(W32, T::Add), "lock *(u32 *)({rd}{o}) += {rs}"),
    (Op::Atomic(W32, T::Or), "lock *(u32 *)({rd}{o}) |= {rs}"),
    (Op::Atomic(W32, T::And), "lock *(u32 *)({rd}{o}) &= {rs}"),
    (Op::Atomic(W32, T::Xor), "lock *(u32 *)({rd}{o}) ^= {rs}"),
    (Op::Atomic(W32, T::FetchAdd), "{rs} = atomic_fetch_add((u32 *)({rd}{o}), {rs})"),
    (Op::Atomic(W32, T::FetchOr), "{rs} = atomic_fetch_or((u32 *)({rd}{o}), {rs})"),
    (Op::Atomic(W32, T::FetchAnd), "{rs} = atomic_fetch_and((u32 *)({rd}{o}), {rs})"),
    (Op::Atomic(W32, T::FetchXor), "{rs} = atomic_fetch_xor((u32 *)({rd}{o}), {rs})"),
    (Op::Atomic(W32, T::Xchg), "{rs} = atomic_xchg((u32 *)({rd}{o}), {rs})"),
    (Op::Atomic(W32, T::Cmpxchg), "r0 = atomic_cmpxchg((u32 *)({rd}{o}), r0, {rs})"),
    (Op::Atomic(W64, T::FetchAdd), "{rs} = atomic64_fetch_add((u64 *)({rd}{o}), {rs})"),
    (Op::Atomic(W64, T::FetchOr), "{rs} = atomic64_fetch_or((u64 *)({rd}{o}), {rs})"),
    (Op::Atomic(W64, T::FetchAnd), "{rs} = atomic64_fetch_and((u64 *)({rd}{o}), {rs})"),
    (Op::Atomic(W64, T::FetchXor), "{rs} = atomic64_fetch_xor((u64 *)({rd}{o}), {rs})"),
    (Op::Atomic(W64, T::Xchg), "{rs} = atomic64_xchg((u64 *)({rd}{o}), {rs})"),
    (Op::Atomic(W64, T::Cmpxchg), "r0 = atomic64_cmpxchg((u64 *)({rd}{o}), r0, {rs})"),
    (Op::LoadAcquire(Size::B), "{rd} = load_acquire((u8 *)({rs}{o}))"),
    (Op::LoadAcquire(Size::H), "{rd} = load_acquire((u16 *)({rs}{o}))"),
    (Op::LoadAcquire(Size::W), "{rd} = load_acquire((u32 *)({rs}{o}))"),
    (Op::StoreRelease(Size::B), "store_release((u8 *)({rd}{o}), {rs})"),
    (Op::StoreRelease(Size::H), "store_release((u16 *)({rd}{o}), {rs})"),
    (Op::StoreRelease(Size::W), "store_release((u32 *)({rd}{o}), {rs})"),
    (Op::LoadImm64, "{rd} = {q}ll"),
    // What is zero may be left out.
    (Op::LoadAddr(AddrKind::MapValueFd), "{rd} = map[fd:{i}][0] ll"),
    (Op::LoadAddr(AddrKind::MapValueIndex), "{rd} = map[idx:{u}][0] ll"),
    (Op::LoadAddr(AddrKind::Variable), "{rd} = var[btf:{u}] ll"),
    (Op::LoadAddr(AddrKind::MapValueFd), "lddw {rd}, map[fd:{i}][0]"),
    (Op::LoadAddr(AddrKind::MapValueIndex), "lddw {rd}, map[idx:{u}][0]"),
    (Op::LoadAddr(AddrKind::Variable), "lddw {rd}, var[btf:{u}]"),
    (Op::CallKfunc, "call kfunc[btf:{u}]"),
    // The public conformance suite.
    (Op::LoadAddr(AddrKind::MapFd), "lddw {rd}, map_by_fd({i})"),
    (Op::LoadAddr(AddrKind::MapIndex), "lddw {rd}, map_by_idx({u})"),
    (Op::CallHelper, "call helper {h}"),
    (Op::CallReg, "call helper {rd}"),
    (Op::CallReg, "call {rd}"),
    (Op::CallKfunc, "call runtime {u}"),
    (Op::Atomic(W64, T::Xchg), "lock fetch xchg [{rd}{o}], {rs}"),
    (Op::Atomic(W32, T::Xchg), "lock fetch xchg32 [{rd}{o}], {rs}"),
    (Op::Atomic(W64, T::Cmpxchg), "lock fetch cmpxchg [{rd}{o}], {rs}"),
    (Op::Atomic(W32, T::Cmpxchg), "lock fetch cmpxchg32 [{rd}{o}], {rs}"),
    (Op::ByteSwap(Endian::Swap, SwapWidth::W16), "swap16 {rd}"),
    (Op::ByteSwap(Endian::Swap, SwapWidth::W32), "swap32 {rd}"),
    (Op::ByteSwap(Endian::Swap, SwapWidth::W64), "swap64 {rd}"),
    // rbpf.
    (Op::Neg(W64), "neg64 {rd}"),
    (Op::Alu(W64, A::Add, Imm), "add64 {rd}, {i}"),
    (Op::Alu(W64, A::Add, Reg), "add64 {rd}, {rs}"),
    (Op::Alu(W64, A::Sub, Imm), "sub64 {rd}, {i}"),
    (Op::Alu(W64, A::Sub, Reg), "sub64 {rd}, {rs}"),
    (Op::Alu(W64, A::Mul, Imm), "mul64 {rd}, {i}"),
    (Op::Alu(W64, A::Mul, Reg), "mul64 {rd}, {rs}"),
    (Op::Alu(W64, A::Div, Imm), "div64 {rd}, {i}"),
    (Op::Alu(W64, A::Div, Reg), "div64 {rd}, {rs}"),
    (Op::Alu(W64, A::Sdiv, Imm), "sdiv64 {rd}, {i}"),
    (Op::Alu(W64, A::Sdiv, Reg), "sdiv64 {rd}, {rs}"),
    (Op::Alu(W64, A::Or, Imm), "or64 {rd}, {i}"),
    (Op::Alu(W64, A::Or, Reg), "or64 {rd}, {rs}"),
    (Op::Alu(W64, A::And, Imm), "and64 {rd}, {i}"),
    (Op::Alu(W64, A::And, Reg), "and64 {rd}, {rs}"),
    (Op::Alu(W64, A::Lsh, Imm), "lsh64 {rd}, {i}"),
    (Op::Alu(W64, A::Lsh, Reg), "lsh64 {rd}, {rs}"),
    (Op::Alu(W64, A::Rsh, Imm), "rsh64 {rd}, {i}"),
    (Op::Alu(W64, A::Rsh, Reg), "rsh64 {rd}, {rs}"),
    (Op::Alu(W64, A::Mod, Imm), "mod64 {rd}, {i}"),
    (Op::Alu(W64, A::Mod, Reg), "mod64 {rd}, {rs}"),
    (Op::Alu(W64, A::Smod, Imm), "smod64 {rd}, {i}"),
    (Op::Alu(W64, A::Smod, Reg), "smod64 {rd}, {rs}"),
    (Op::Alu(W64, A::Xor, Imm), "xor64 {rd}, {i}"),
    (Op::Alu(W64, A::Xor, Reg), "xor64 {rd}, {rs}"),
    (Op::Alu(W64, A::Mov, Imm), "mov64 {rd}, {i}"),
    (Op::Alu(W64, A::Mov, Reg), "mov64 {rd}, {rs}"),
    (Op::Alu(W64, A::Arsh, Imm), "arsh64 {rd}, {i}"),
    (Op::Alu(W64, A::Arsh, Reg), "arsh64 {rd}, {rs}"),
    // A call of a function by its distance, unlike `callx` with a register, which is an instruction of its own.
    (Op::CallLocal, "callx {c}"),
    (Op::Atomic(W32, T::Add), "stxxaddw [{rd}{o}], {rs}"),
    (Op::Atomic(W64, T::Add), "stxxadddw [{rd}{o}], {rs}"),
];

#[cfg(test)]
mod tests {
    use super::super::template::{Hole, Piece, pieces};
    use super::super::write::Line;
    use super::super::{Dialect, Labels, assemble};
    use super::*;
    use crate::{Field, InsnIdx, RawInsn, decode};
    use alloc::string::String;

    /// An instruction whose operands are all different, so that none can stand for another; what the alias leaves out is zero.
    fn example(op: Op, template: &'static str) -> (RawInsn, Option<RawInsn>) {
        let (mut slot, mut next) = (op.row().base(), RawInsn::default());
        for piece in pieces(template) {
            match piece {
                Piece::Text(_) => {}
                Piece::Hole(Hole::Reg(Field::Dst) | Hole::Half(Field::Dst)) => {
                    slot.regs = slot.regs & 0xf0 | 3;
                }
                Piece::Hole(Hole::Reg(_) | Hole::Half(_)) => slot.regs = slot.regs & 0x0f | 4 << 4,
                Piece::Hole(Hole::Imm64) => (slot.imm, next.imm) = (7, 9),
                Piece::Hole(Hole::NextUnsigned | Hole::NextImm) => next.imm = 9,
                Piece::Hole(Hole::Offset | Hole::Index | Hole::Target) => slot.off |= -8,
                Piece::Hole(Hole::FarTarget | Hole::Function | Hole::Callee | Hole::ImmOffset) => {
                    slot.imm = -8;
                }
                Piece::Hole(_) => slot.imm |= 7,
            }
        }
        (slot, (op.row().next != crate::table::Next::None).then_some(next))
    }

    #[test]
    fn each_is_another_way_to_write_its_instruction() {
        for (op, template) in ALIASES {
            assert!(template != op.row().linux && template != op.row().mnemonic, "{template} is no other");
            let (slot, next) = example(op, template);
            let insn = decode(slot, next).expect(template);
            assert_eq!(insn.op(), op, "{template}");
            for dialect in [Dialect::Linux, Dialect::Mnemonic] {
                let line = Line {
                    encoded: insn.encode(),
                    at: InsnIdx::ZERO,
                    dialect,
                    labels: &Labels::NONE,
                    names: &(),
                };
                let mut text = String::new();
                line.fill(template, &mut text).expect("strings take all");
                let made = assemble(&text, &()).expect(&text);
                assert_eq!(made.slots(), &insn.encode()[..], "{text}");
            }
        }
    }
}
