//! Changes of programs that are not made here: a few at a time, of any kind.

use crate::mutate::others;
use crate::{Line, Listing, Random};
use skep_isa::{Addr, AluOp, Insn, LoadKind, Operand, Reg, Size, Width};

/// Changes something; most often one instruction becomes another that is easily taken for it.
pub(crate) fn edit(listing: &mut Listing, random: &mut Random) {
    let len = listing.lines.len();
    let at = random.below(len as u64) as usize;
    let Some(line) = listing.lines.get(at).copied() else { return };
    match random.below(20) {
        0..=8 => {
            let others: Vec<Insn> = others(line.insn).collect();
            if !others.is_empty() {
                let insn = others[random.below(others.len() as u64) as usize];
                replace(listing, at, insn);
            }
        }
        9 => *listing = listing.without(at, 1),
        10 => {
            let to = random.below(len as u64) as usize;
            if !matches!(line.insn, Insn::CallLocal { .. }) {
                listing.insert(to, line);
            }
        }
        11 => {
            let from = register(random);
            replace(listing, at, exchanged(line.insn, from, random));
        }
        12 => {
            if at + 1 < len {
                listing.lines.swap(at, at + 1);
            }
        }
        13 | 14 => {
            // A jump leads a bit elsewhere.
            let near = (at + 1 + random.below(24) as usize).min(len - 1);
            if let (Insn::Branch { .. } | Insn::Goto { .. }, Some(line)) =
                (line.insn, listing.lines.get_mut(at))
            {
                line.to = Some(near);
            }
        }
        15 => listing.insert(at, Line { insn: any(random), to: None }),
        16 => {
            let calls: Vec<u32> = listing
                .lines
                .iter()
                .filter_map(|line| if let Insn::CallHelper { id } = line.insn { Some(id) } else { None })
                .collect();
            if let Some(id) = pick(&calls, random) {
                let at = listing.lines.iter().enumerate();
                let at: Vec<usize> = at
                    .filter(|(_, line)| matches!(line.insn, Insn::CallHelper { .. }))
                    .map(|(at, _)| at)
                    .collect();
                let id = if random.once_in(3) { 1 + random.below(211) as u32 } else { id };
                if let Some(at) = pick(&at, random) {
                    replace(listing, at, Insn::CallHelper { id });
                }
            }
        }
        17 => {
            // Another map of the same program's.
            let maps = listing.lines.iter().enumerate().filter(|(_, line)| {
                matches!(line.insn, Insn::LoadAddr { addr: Addr::MapFd { .. } | Addr::MapIndex { .. }, .. })
            });
            let maps: Vec<(usize, Insn)> = maps.map(|(at, line)| (at, line.insn)).collect();
            if let (Some((to, Insn::LoadAddr { dst, .. })), Some((_, Insn::LoadAddr { addr, .. }))) =
                (pick(&maps, random), pick(&maps, random))
            {
                replace(listing, to, Insn::LoadAddr { dst, addr });
            }
        }
        18 => {
            // A constant becomes a number at an edge.
            if let Some(insn) = with_number(line.insn, random.number() as i32) {
                replace(listing, at, insn);
            }
        }
        _ => {
            // A number that nobody knows.
            let dst = register(random);
            listing.insert(at, Line { insn: Insn::CallHelper { id: 7 }, to: None });
            let src = Operand::Reg(Reg::R0);
            listing.insert(
                at + 1,
                Line { insn: Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src }, to: None },
            );
        }
    }
}

fn pick<T: Copy>(list: &[T], random: &mut Random) -> Option<T> {
    list.get(random.below(list.len() as u64) as usize).copied()
}

/// Puts another instruction in the place of one; a jump leads to where that one did, if it did.
fn replace(listing: &mut Listing, at: usize, insn: Insn) {
    let Some(line) = listing.lines.get_mut(at) else { return };
    let leads = insn.function_offset().is_some()
        || !matches!(insn.flow(), skep_isa::Flow::Next | skep_isa::Flow::Exit | skep_isa::Flow::Indirect);
    let to = match (leads, line.to) {
        (true, Some(to)) if insn != (Insn::Goto { off: 0 }) => Some(to),
        (true, _) => Some(at + 1),
        (false, _) => None,
    };
    *line = Line { insn, to };
}

fn register(random: &mut Random) -> Reg {
    Reg::ALL[random.below(10) as usize]
}

/// An instruction with another register.
fn exchanged(insn: Insn, new: Reg, random: &mut Random) -> Insn {
    match insn {
        Insn::Alu { width, op, dst, src: Operand::Reg(_) } if random.once_in(2) => {
            Insn::Alu { width, op, dst, src: Operand::Reg(new) }
        }
        Insn::Alu { width, op, src, .. } => Insn::Alu { width, op, dst: new, src },
        Insn::Load { kind, dst, off, .. } if random.once_in(2) => Insn::Load { kind, dst, base: new, off },
        Insn::Load { kind, base, off, .. } => Insn::Load { kind, dst: new, base, off },
        Insn::Store { size, off, src, .. } if random.once_in(2) => Insn::Store { size, base: new, off, src },
        Insn::Store { size, base, off, src: Operand::Reg(_) } => {
            Insn::Store { size, base, off, src: Operand::Reg(new) }
        }
        Insn::Branch { width, cond, src, off, .. } => Insn::Branch { width, cond, dst: new, src, off },
        Insn::Atomic { width, op, base, off, .. } => Insn::Atomic { width, op, base, off, src: new },
        other => other,
    }
}

fn with_number(insn: Insn, value: i32) -> Option<Insn> {
    Some(match insn {
        Insn::Alu { width, op, dst, src: Operand::Imm(_) } => {
            Insn::Alu { width, op, dst, src: Operand::Imm(value) }
        }
        Insn::Branch { width, cond, dst, src: Operand::Imm(_), off } => {
            Insn::Branch { width, cond, dst, src: Operand::Imm(value), off }
        }
        Insn::Load { kind, dst, base, .. } => Insn::Load { kind, dst, base, off: value as i16 },
        Insn::Store { size, base, src, .. } => Insn::Store { size, base, off: value as i16, src },
        _ => return None,
    })
}

/// An instruction that computes, loads or stores.
fn any(random: &mut Random) -> Insn {
    const OPS: &[AluOp] = &[
        AluOp::Add,
        AluOp::Sub,
        AluOp::And,
        AluOp::Or,
        AluOp::Xor,
        AluOp::Mov,
        AluOp::Mul,
        AluOp::Rsh,
        AluOp::Arsh,
        AluOp::Lsh,
    ];
    let (dst, other) = (register(random), register(random));
    let width = if random.once_in(2) { Width::W32 } else { Width::W64 };
    let op = OPS[random.below(OPS.len() as u64) as usize];
    match random.below(6) {
        0 => Insn::Load { kind: LoadKind::U32, dst, base: other, off: random.below(64) as i16 },
        1 => Insn::Store {
            size: Size::Dw,
            base: Reg::FP,
            off: -8 * (1 + random.below(16) as i16),
            src: Operand::Reg(other),
        },
        2 => Insn::Alu { width, op, dst, src: Operand::Reg(other) },
        _ => Insn::Alu { width, op, dst, src: Operand::Imm(random.below(64) as i32) },
    }
}
