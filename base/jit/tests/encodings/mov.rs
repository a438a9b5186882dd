use crate::check::*;
use skep_jit::x86_64::{Cond, Features, Flags, Gpr, Inst, Narrow, Size, SwapSize, Width};

#[test]
fn registers_and_memory() {
    for (width, size) in WIDTHS {
        for (dst, src) in reg_rms() {
            check(Inst::mov(width, dst, src), Mnemonic::Mov, &[reg(size, dst), rm(size, src)]);
        }
    }
}

/// Here every base meets every index, scale and class of displacement.
#[test]
fn loads_and_stores_at_every_place() {
    for gpr in Gpr::ALL {
        for &place in mems() {
            let (load, store) = (Inst::mov(Width::W64, gpr, place), Inst::store(Size::B1, place, gpr));
            check(load, Mnemonic::Mov, &[reg(Size::B8, gpr), mem(Size::B8, place)]);
            check(store, Mnemonic::Mov, &[mem(Size::B1, place), reg(Size::B1, gpr)]);
        }
    }
}

#[test]
fn stores() {
    for size in Size::ALL {
        for (src, place) in reg_mems() {
            check(Inst::store(size, place, src), Mnemonic::Mov, &[mem(size, place), reg(size, src)]);
        }
    }
    for value in sized_imms() {
        for &place in few_mems() {
            let wanted = [mem(value.size(), place), imm(value.size(), value.value().into())];
            check(Inst::store_imm(place, value), Mnemonic::Mov, &wanted);
        }
    }
}

#[test]
fn zero_extension() {
    for (dst, src) in reg_rms() {
        let (b4, b8) = (Size::B4, Size::B8);
        let bytes = Inst::mov_zx(Size::B1, dst, src);
        check(bytes, Mnemonic::Movzx, &[reg(b4, dst), rm(Size::B1, src)]);
        let words = Inst::mov_zx(Size::B2, dst, src);
        check(words, Mnemonic::Movzx, &[reg(b4, dst), rm(Size::B2, src)]);
        check(Inst::mov_zx(b4, dst, src), Mnemonic::Mov, &[reg(b4, dst), rm(b4, src)]);
        check(Inst::mov_zx(b8, dst, src), Mnemonic::Mov, &[reg(b8, dst), rm(b8, src)]);
    }
}

#[test]
fn sign_extension() {
    for (width, size) in WIDTHS {
        for (dst, src) in reg_rms() {
            for (narrow, from) in [(Narrow::B1, Size::B1), (Narrow::B2, Size::B2)] {
                let wanted = [reg(size, dst), rm(from, src)];
                check(Inst::mov_sx(width, narrow, dst, src), Mnemonic::Movsx, &wanted);
            }
            let mnemonic = if width == Width::W64 { Mnemonic::Movsxd } else { Mnemonic::Mov };
            let inst = Inst::mov_sx(width, Narrow::B4, dst, src);
            check(inst, mnemonic, &[reg(size, dst), rm(Size::B4, src)]);
        }
    }
}

#[test]
fn constants_in_their_shortest_form() {
    let (b4, b8) = (Size::B4, Size::B8);
    for dst in Gpr::ALL {
        for value in [0, 1, 127, 128, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            let inst = Inst::mov_imm(dst, value, Flags::Keep);
            check(inst, Mnemonic::Mov, &[reg(b4, dst), imm(b4, value as i64)]);
            assert_eq!(inst.len(), 5 + usize::from(dst.number() >= 8));
        }
        for value in [-1, -128, i64::from(i32::MIN)] {
            let inst = Inst::mov_imm(dst, value as u64, Flags::MayChange);
            check(inst, Mnemonic::Mov, &[reg(b8, dst), imm(b8, value)]);
            assert_eq!(inst.len(), 7);
        }
        for value in [1 << 32, i64::from(i32::MIN) - 1, i64::MAX, i64::MIN, 0x1234_5678_9abc_def0] {
            let inst = Inst::mov_imm(dst, value as u64, Flags::Keep);
            check(inst, Mnemonic::Mov, &[reg(b8, dst), imm(b8, value)]);
            assert_eq!(inst.len(), 10);
        }
        let zero = Inst::mov_imm(dst, 0, Flags::MayChange);
        check(zero, Mnemonic::Xor, &[reg(b4, dst), reg(b4, dst)]);
    }
}

#[test]
fn addresses() {
    for (width, size) in WIDTHS {
        for (dst, place) in reg_mems() {
            check(Inst::lea(width, dst, place), Mnemonic::Lea, &[reg(size, dst), mem_bytes(0, place)]);
        }
    }
}

#[test]
fn exchanges_and_swaps() {
    for (width, size) in WIDTHS {
        for (left, right) in reg_regs() {
            check(Inst::swap(width, left, right), Mnemonic::Xchg, &[reg(size, left), reg(size, right)]);
        }
        for dst in Gpr::ALL {
            check(Inst::bswap(width, dst), Mnemonic::Bswap, &[reg(size, dst)]);
        }
    }
}

#[test]
fn conditional_moves() {
    const MNEMONICS: [Mnemonic; 16] = [
        Mnemonic::Cmovo,
        Mnemonic::Cmovno,
        Mnemonic::Cmovb,
        Mnemonic::Cmovae,
        Mnemonic::Cmove,
        Mnemonic::Cmovne,
        Mnemonic::Cmovbe,
        Mnemonic::Cmova,
        Mnemonic::Cmovs,
        Mnemonic::Cmovns,
        Mnemonic::Cmovp,
        Mnemonic::Cmovnp,
        Mnemonic::Cmovl,
        Mnemonic::Cmovge,
        Mnemonic::Cmovle,
        Mnemonic::Cmovg,
    ];
    for (&cond, mnemonic) in Cond::ALL.iter().zip(MNEMONICS) {
        for (width, size) in WIDTHS {
            for (dst, src) in reg_rms() {
                check(Inst::cmov(cond, width, dst, src), mnemonic, &[reg(size, dst), rm(size, src)]);
            }
        }
    }
}

#[test]
fn conditions_as_bytes() {
    const MNEMONICS: [Mnemonic; 16] = [
        Mnemonic::Seto,
        Mnemonic::Setno,
        Mnemonic::Setb,
        Mnemonic::Setae,
        Mnemonic::Sete,
        Mnemonic::Setne,
        Mnemonic::Setbe,
        Mnemonic::Seta,
        Mnemonic::Sets,
        Mnemonic::Setns,
        Mnemonic::Setp,
        Mnemonic::Setnp,
        Mnemonic::Setl,
        Mnemonic::Setge,
        Mnemonic::Setle,
        Mnemonic::Setg,
    ];
    for (&cond, mnemonic) in Cond::ALL.iter().zip(MNEMONICS) {
        for dst in Gpr::ALL {
            check(Inst::set(cond, dst), mnemonic, &[reg(Size::B1, dst)]);
        }
    }
}

#[test]
fn the_other_byte_order() {
    let movbe = Features::V3.movbe().expect("v3 has it");
    for (swap, size) in [(SwapSize::B2, Size::B2), (SwapSize::B4, Size::B4), (SwapSize::B8, Size::B8)] {
        for (gpr, place) in reg_mems() {
            let load = Inst::movbe_load(movbe, swap, gpr, place);
            check(load, Mnemonic::Movbe, &[reg(size, gpr), mem(size, place)]);
            let store = Inst::movbe_store(movbe, swap, place, gpr);
            check(store, Mnemonic::Movbe, &[mem(size, place), reg(size, gpr)]);
        }
    }
}
