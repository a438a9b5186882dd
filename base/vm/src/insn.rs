//! What the interpreter executes: operations with the operator, the width and the check in the opcode, so that each takes one
//! dispatch.
//!
//! The families are written once, in [`with_families`]; the enum, the translation and the interpreter's arms derive from it.

use crate::frame::Place;
use crate::regions::RegionCode;
use skep_isa::{AluOp, AtomicOp, Cond, LoadKind, Movsx, PacketSize, Size, SwapWidth, Width};

/// Hands the families of instructions to a macro.
macro_rules! with_families {
    ($then:ident) => {
        $then! {
            alu {
                Add: Add AddImm Add32 Add32Imm,
                Sub: Sub SubImm Sub32 Sub32Imm,
                Mul: Mul MulImm Mul32 Mul32Imm,
                Div: Div DivImm Div32 Div32Imm,
                Sdiv: Sdiv SdivImm Sdiv32 Sdiv32Imm,
                Or: Or OrImm Or32 Or32Imm,
                And: And AndImm And32 And32Imm,
                Lsh: Lsh LshImm Lsh32 Lsh32Imm,
                Rsh: Rsh RshImm Rsh32 Rsh32Imm,
                Mod: Mod ModImm Mod32 Mod32Imm,
                Smod: Smod SmodImm Smod32 Smod32Imm,
                Xor: Xor XorImm Xor32 Xor32Imm,
                Arsh: Arsh ArshImm Arsh32 Arsh32Imm,
            }
            branch {
                Eq: Eq EqImm Eq32 Eq32Imm | IfEq IfEqImm IfEq32 IfEq32Imm,
                Ne: Ne NeImm Ne32 Ne32Imm | IfNe IfNeImm IfNe32 IfNe32Imm,
                Set: Set SetImm Set32 Set32Imm | IfSet IfSetImm IfSet32 IfSet32Imm,
                Gt: Gt GtImm Gt32 Gt32Imm | IfGt IfGtImm IfGt32 IfGt32Imm,
                Ge: Ge GeImm Ge32 Ge32Imm | IfGe IfGeImm IfGe32 IfGe32Imm,
                Lt: Lt LtImm Lt32 Lt32Imm | IfLt IfLtImm IfLt32 IfLt32Imm,
                Le: Le LeImm Le32 Le32Imm | IfLe IfLeImm IfLe32 IfLe32Imm,
                Sgt: Sgt SgtImm Sgt32 Sgt32Imm | IfSgt IfSgtImm IfSgt32 IfSgt32Imm,
                Sge: Sge SgeImm Sge32 Sge32Imm | IfSge IfSgeImm IfSge32 IfSge32Imm,
                Slt: Slt SltImm Slt32 Slt32Imm | IfSlt IfSltImm IfSlt32 IfSlt32Imm,
                Sle: Sle SleImm Sle32 Sle32Imm | IfSle IfSleImm IfSle32 IfSle32Imm,
            }
            load {
                U8: LoadU8 CheckedLoadU8 LoadSumU8,
                U16: LoadU16 CheckedLoadU16 LoadSumU16,
                U32: LoadU32 CheckedLoadU32 LoadSumU32,
                U64: LoadU64 CheckedLoadU64 LoadSumU64,
                S8: LoadS8 CheckedLoadS8 LoadSumS8,
                S16: LoadS16 CheckedLoadS16 LoadSumS16,
                S32: LoadS32 CheckedLoadS32 LoadSumS32,
            }
            store {
                B: StoreB CheckedStoreB StoreImmB CheckedStoreImmB StoreSumB StoreImmSumB,
                H: StoreH CheckedStoreH StoreImmH CheckedStoreImmH StoreSumH StoreImmSumH,
                W: StoreW CheckedStoreW StoreImmW CheckedStoreImmW StoreSumW StoreImmSumW,
                Dw: StoreDw CheckedStoreDw StoreImmDw CheckedStoreImmDw StoreSumDw StoreImmSumDw,
            }
        }
    };
}
pub(crate) use with_families;

/// Names an instruction of the program that a branch leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Target(pub(crate) u32);

/// Names a list of arguments: where it starts, and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Passed {
    pub(crate) start: u32,
    pub(crate) len: u8,
}

macro_rules! define {
    (
        alu { $($op:ident: $r64:ident $i64:ident $r32:ident $i32:ident,)* }
        branch { $($cond:ident: $br64:ident $bi64:ident $br32:ident $bi32:ident | $se64:ident $si64:ident $se32:ident $si32:ident,)* }
        load { $($kind:ident: $load:ident $checked_load:ident $load_sum:ident,)* }
        store { $($size:ident: $store:ident $checked_store:ident $store_imm:ident $checked_store_imm:ident $store_sum:ident $store_imm_sum:ident,)* }
    ) => {
        /// Is one instruction of the interpreter.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(crate) enum Insn {
            $(
                $r64 { dst: Place, a: Place, b: Place },
                $i64 { dst: Place, a: Place, imm: i32 },
                $r32 { dst: Place, a: Place, b: Place },
                $i32 { dst: Place, a: Place, imm: i32 },
            )*
            $(
                $br64 { a: Place, b: Place, to: Target },
                $bi64 { a: Place, imm: i32, to: Target },
                $br32 { a: Place, b: Place, to: Target },
                $bi32 { a: Place, imm: i32, to: Target },
                $se64 { dst: Place, a: Place, b: Place, then: Place, other: Place },
                $si64 { dst: Place, a: Place, imm: i32, then: Place, other: Place },
                $se32 { dst: Place, a: Place, b: Place, then: Place, other: Place },
                $si32 { dst: Place, a: Place, imm: i32, then: Place, other: Place },
            )*
            $(
                $load { dst: Place, base: Place, off: i32 },
                $checked_load { dst: Place, base: Place, off: i32, region: RegionCode },
                $load_sum { dst: Place, base: Place, index: Place, scale: u8, off: i32 },
            )*
            $(
                $store { base: Place, src: Place, off: i32 },
                $checked_store { base: Place, src: Place, off: i32, region: RegionCode },
                $store_imm { base: Place, off: i32, imm: i32 },
                $checked_store_imm { base: Place, off: i32, imm: i32, region: RegionCode },
                $store_sum { base: Place, index: Place, scale: u8, off: i32, src: Place },
                $store_imm_sum { base: Place, index: Place, scale: u8, off: i32, imm: i32 },
            )*
            Move { dst: Place, src: Place },
            Const { dst: Place, value: u64 },
            FramePointer { dst: Place },
            Neg { width: Width, dst: Place, a: Place },
            Sext { kind: Movsx, dst: Place, a: Place },
            TruncB { dst: Place, a: Place },
            TruncH { dst: Place, a: Place },
            TruncW { dst: Place, a: Place },
            Swap { width: SwapWidth, dst: Place, a: Place },
            Rotl { width: Width, dst: Place, a: Place, amount: u8 },
            CheckRead { base: Place, off: i32, bytes: u16, region: RegionCode },
            CheckWrite { base: Place, off: i32, bytes: u16, region: RegionCode },
            Atomic { op: AtomicOp, width: Width, dst: Place, base: Place, off: i32, src: Place },
            Cmpxchg { width: Width, dst: Place, base: Place, off: i32, expected: Place, src: Place },
            LoadAcquire { size: Size, dst: Place, base: Place, off: i32 },
            StoreRelease { size: Size, base: Place, off: i32, src: Place },
            Helper { id: u32, dst: Place, passed: Passed },
            Call { function: u16, dst: Place, passed: Passed },
            CallReg { dst: Place, passed: Passed },
            Packet { size: PacketSize, dst: Place, passed: Passed },
            Charge { units: u32 },
            Jump { to: Target },
            Return { src: Place },
            ReturnNumber { value: u64 },
        }

        /// Makes an operation on two places; a move for the operator that is one.
        pub(crate) fn alu(op: AluOp, width: Width, dst: Place, a: Place, b: Place) -> Insn {
            match (op, width) {
                $(
                    (AluOp::$op, Width::W64) => Insn::$r64 { dst, a, b },
                    (AluOp::$op, Width::W32) => Insn::$r32 { dst, a, b },
                )*
                (AluOp::Mov, Width::W64) => Insn::Move { dst, src: b },
                (AluOp::Mov, Width::W32) => Insn::TruncW { dst, a: b },
            }
        }

        /// Makes an operation on a place and a number.
        pub(crate) fn alu_imm(op: AluOp, width: Width, dst: Place, a: Place, imm: i32) -> Insn {
            match (op, width) {
                $(
                    (AluOp::$op, Width::W64) => Insn::$i64 { dst, a, imm },
                    (AluOp::$op, Width::W32) => Insn::$i32 { dst, a, imm },
                )*
                (AluOp::Mov, Width::W64) => Insn::Const { dst, value: i64::from(imm) as u64 },
                (AluOp::Mov, Width::W32) => Insn::Const { dst, value: u64::from(imm as u32) },
            }
        }

        /// Makes a branch on two places.
        pub(crate) fn branch(cond: Cond, width: Width, a: Place, b: Place, to: Target) -> Insn {
            match (cond, width) {
                $(
                    (Cond::$cond, Width::W64) => Insn::$br64 { a, b, to },
                    (Cond::$cond, Width::W32) => Insn::$br32 { a, b, to },
                )*
            }
        }

        /// Makes a branch on a place and a number.
        pub(crate) fn branch_imm(cond: Cond, width: Width, a: Place, imm: i32, to: Target) -> Insn {
            match (cond, width) {
                $(
                    (Cond::$cond, Width::W64) => Insn::$bi64 { a, imm, to },
                    (Cond::$cond, Width::W32) => Insn::$bi32 { a, imm, to },
                )*
            }
        }

        /// Makes a choice by a comparison of two places.
        pub(crate) fn select(cond: Cond, width: Width, dst: Place, [a, b, then, other]: [Place; 4]) -> Insn {
            match (cond, width) {
                $(
                    (Cond::$cond, Width::W64) => Insn::$se64 { dst, a, b, then, other },
                    (Cond::$cond, Width::W32) => Insn::$se32 { dst, a, b, then, other },
                )*
            }
        }

        /// Makes a choice by a comparison of a place and a number.
        pub(crate) fn select_imm(
            cond: Cond,
            width: Width,
            dst: Place,
            [a, then, other]: [Place; 3],
            imm: i32,
        ) -> Insn {
            match (cond, width) {
                $(
                    (Cond::$cond, Width::W64) => Insn::$si64 { dst, a, imm, then, other },
                    (Cond::$cond, Width::W32) => Insn::$si32 { dst, a, imm, then, other },
                )*
            }
        }

        /// Makes a load, with its check where there is one.
        pub(crate) fn load(
            kind: LoadKind,
            dst: Place,
            base: Place,
            off: i32,
            check: Option<RegionCode>,
        ) -> Insn {
            match (kind, check) {
                $(
                    (LoadKind::$kind, None) => Insn::$load { dst, base, off },
                    (LoadKind::$kind, Some(region)) => Insn::$checked_load { dst, base, off, region },
                )*
            }
        }

        /// Makes a store, with its check where there is one.
        pub(crate) fn store(
            size: Size,
            base: Place,
            off: i32,
            src: Place,
            check: Option<RegionCode>,
        ) -> Insn {
            match (size, check) {
                $(
                    (Size::$size, None) => Insn::$store { base, src, off },
                    (Size::$size, Some(region)) => Insn::$checked_store { base, src, off, region },
                )*
            }
        }

        /// Makes a store of a number, with its check where there is one.
        pub(crate) fn store_imm(
            size: Size,
            base: Place,
            off: i32,
            imm: i32,
            check: Option<RegionCode>,
        ) -> Insn {
            match (size, check) {
                $(
                    (Size::$size, None) => Insn::$store_imm { base, off, imm },
                    (Size::$size, Some(region)) => Insn::$checked_store_imm { base, off, imm, region },
                )*
            }
        }

        /// Makes a load from a sum.
        pub(crate) fn load_sum(
            kind: LoadKind,
            dst: Place,
            [base, index]: [Place; 2],
            scale: u8,
            off: i32,
        ) -> Insn {
            match kind {
                $(LoadKind::$kind => Insn::$load_sum { dst, base, index, scale, off },)*
            }
        }

        /// Makes a store at a sum.
        pub(crate) fn store_sum(
            size: Size,
            [base, index]: [Place; 2],
            scale: u8,
            off: i32,
            src: Place,
        ) -> Insn {
            match size {
                $(Size::$size => Insn::$store_sum { base, index, scale, off, src },)*
            }
        }

        /// Makes a store of a number at a sum.
        pub(crate) fn store_imm_sum(
            size: Size,
            [base, index]: [Place; 2],
            scale: u8,
            off: i32,
            imm: i32,
        ) -> Insn {
            match size {
                $(Size::$size => Insn::$store_imm_sum { base, index, scale, off, imm },)*
            }
        }

        impl Insn {
            /// Lets an instruction that leads elsewhere lead there.
            pub(crate) fn retarget(&mut self, target: Target) {
                match self {
                    $(
                        Insn::$br64 { to, .. }
                        | Insn::$bi64 { to, .. }
                        | Insn::$br32 { to, .. }
                        | Insn::$bi32 { to, .. } => *to = target,
                    )*
                    Insn::Jump { to } => *to = target,
                    _ => {}
                }
            }
        }
    };
}
with_families!(define);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_small() {
        assert!(size_of::<Insn>() <= 16, "{}", size_of::<Insn>());
    }
}
