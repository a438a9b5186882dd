//! Keys of look-ups that are done in place: most lie on the stack for the look-up alone, which wants their address.
//!
//! Such a look-up is given the key itself. As its slot's address is not taken any more, the slot becomes a value like any other: it may live
//! in a register, or be a number from which the compiler makes the value's address.
//!
//! What is relied on is in sight: the instructions from the address to the call, to which nothing else leads, and none of which
//! writes what may be the key. So it holds on every path, whatever the verifier has followed.

use super::Stays;
use alloc::vec::Vec;
use core::ops::Range;
use skep_isa::{AluOp, Flow, Insn, InsnIdx, LoadKind, Operand, Program, RawInsn, Reg, Width};

/// A program in which some look-ups are given their keys.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) program: Program,
    /// The calls whose r2 holds the key, in order.
    pub(super) calls: Vec<InsnIdx>,
}

/// What r2 holds.
#[derive(Clone, Copy)]
enum Second {
    Anything,
    /// The frame pointer, since this instruction.
    Frame(InsnIdx),
    /// The address of the key, by these instructions.
    Key {
        frame: InsnIdx,
        address: InsnIdx,
        off: i16,
    },
}

/// Hands over keys of four bytes to the calls that say so.
pub(super) fn hand_over(program: Program, takes_key: &dyn Fn(InsnIdx, u32) -> bool) -> Result<Keyed, Stays> {
    let mut calls = Vec::new();
    let mut slots: Vec<RawInsn> = Vec::new();
    let joins = joins(&program)?;
    let mut second = Second::Anything;
    for (at, insn) in program.iter() {
        if joins.get(at.index()).copied().unwrap_or(true) {
            second = Second::Anything;
        }
        second = match (second, insn) {
            (Second::Key { frame, address, off }, Insn::CallHelper { id }) if takes_key(at, id) => {
                if slots.is_empty() {
                    slots.try_reserve_exact(program.len())?;
                    slots.extend(program.encode());
                }
                calls.try_reserve(1)?;
                calls.push(at);
                let (width, op, dst) = (Width::W64, AluOp::Mov, Reg::R2);
                let nothing = Insn::Alu { width, op, dst, src: Operand::Imm(0) };
                let key = Insn::Load { kind: LoadKind::U32, dst, base: Reg::FP, off };
                for (place, insn) in [(frame, nothing), (address, key)] {
                    if let Some(slot) = slots.get_mut(place.index()) {
                        *slot = insn.encode().first();
                    }
                }
                Second::Anything
            }
            (second, insn) => after(second, at, insn),
        };
    }
    let program = match calls.is_empty() {
        true => program,
        false => Program::decode(&slots).map_err(|_| Stays::NoMemory)?,
    };
    Ok(Keyed { program, calls })
}

/// What r2 holds behind an instruction.
fn after(second: Second, at: InsnIdx, insn: Insn) -> Second {
    match (second, insn) {
        (_, Insn::Alu { width: Width::W64, op: AluOp::Mov, dst: Reg::R2, src: Operand::Reg(Reg::FP) }) => {
            Second::Frame(at)
        }
        (
            Second::Frame(frame),
            Insn::Alu { width: Width::W64, op: AluOp::Add, dst: Reg::R2, src: Operand::Imm(off) },
        ) => match i16::try_from(off) {
            Ok(off) => Second::Key { frame, address: at, off },
            Err(_) => Second::Anything,
        },
        (Second::Anything, _) => second,
        _ if insn.writes().contains(Reg::R2) || insn.reads().contains(Reg::R2) => Second::Anything,
        (Second::Frame(_), _) if insn.flow() == Flow::Next && !insn.is_call() => second,
        (Second::Key { off: key, .. }, Insn::Store { size, base: Reg::FP, off, .. }) => {
            let bytes = |off: i16, len: u32| i32::from(off)..i32::from(off) + len as i32;
            match overlap(&bytes(key, 4), &bytes(off, size.bytes())) {
                true => Second::Anything,
                false => second,
            }
        }
        (
            Second::Key { .. },
            Insn::Alu { .. }
            | Insn::Neg { .. }
            | Insn::Movsx { .. }
            | Insn::ByteSwap { .. }
            | Insn::LoadImm64 { .. }
            | Insn::LoadAddr { .. }
            | Insn::Load { .. },
        ) => second,
        _ => Second::Anything,
    }
}

fn overlap(a: &Range<i32>, b: &Range<i32>) -> bool {
    a.start < b.end && b.start < a.end
}

/// Says of each slot whether control may come there but from the one before.
fn joins(program: &Program) -> Result<Vec<bool>, Stays> {
    let mut joins = Vec::new();
    joins.try_reserve_exact(program.len())?;
    joins.resize(program.len(), false);
    for (at, insn) in program.iter() {
        for target in [insn.jump_target(at), insn.call_target(at)].into_iter().flatten() {
            if let Some(join) = joins.get_mut(target.index()) {
                *join = true;
            }
        }
        // What leads anywhere is not compiled; what lies behind the end of a function is led to from elsewhere.
        if insn.flow() != Flow::Next {
            if let Some(join) = joins.get_mut(at.index() + insn.slots() as usize) {
                *join = true;
            }
        }
    }
    Ok(joins)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use skep_isa::text::assemble;

    fn program(text: &str) -> Program {
        let assembled = assemble(text, &()).unwrap_or_else(|error| panic!("{text}: {error}"));
        Program::decode(assembled.slots()).unwrap()
    }

    fn lines(program: &Program) -> String {
        let insns: Vec<_> = program.iter().map(|(_, insn)| insn.to_string()).collect();
        insns.join("; ")
    }

    /// The program as it becomes, and how many keys were handed over; `call 1` takes one.
    fn handed(text: &str) -> (String, usize) {
        let keyed = hand_over(program(text), &|_, id| id == 1).unwrap();
        (lines(&keyed.program), keyed.calls.len())
    }

    fn is_kept(text: &str) {
        assert_eq!(handed(text), (lines(&program(text)), 0));
    }

    const SIMPLE: &str = "
        *(u32 *)(r10 - 4) = 7
        r2 = r10
        r2 += -4
        r1 = 5 ll
        call 1
        exit";

    #[test]
    fn a_key_takes_its_address_s_place() {
        let (became, calls) = handed(SIMPLE);
        assert_eq!(calls, 1);
        let expected = "r2 = 0; r2 = *(u32 *)(r10 - 4); r1 = 5 ll; call 1; exit";
        assert!(became.ends_with(expected), "{became}");
    }

    #[test]
    fn what_lies_between_may_compute_and_store_beside_it() {
        let quiet = "r2 += -4
            *(u32 *)(r10 - 8) = 1
            *(u64 *)(r10 + 0) = 1
            r3 = *(u64 *)(r6 + 0)
            r4 = r3";
        assert_eq!(handed(&SIMPLE.replace("r2 += -4", quiet)).1, 1);
        let before = "r2 = r10
            *(u32 *)(r10 - 4) = 1
            *(u32 *)(r6 + 0) = 1";
        assert_eq!(handed(&SIMPLE.replace("r2 = r10", before)).1, 1, "the key is not loaded yet");
    }

    #[test]
    fn a_key_that_may_change_meanwhile_stays() {
        for store in [
            "*(u32 *)(r10 - 4) = 1",
            "*(u8 *)(r10 - 1) = 1",
            "*(u64 *)(r10 - 8) = 1",
            "*(u8 *)(r6 + 0) = 1",
            "lock *(u32 *)(r6 + 0) += r3",
            "store_release((u32 *)(r6 + 0), r3)",
            "call 5",
        ] {
            is_kept(&SIMPLE.replace("r1 = 5 ll", store));
        }
    }

    #[test]
    fn an_address_that_is_used_or_is_another_one_stays() {
        for other in [
            "r3 = r2",
            "r2 += 1",
            "r2 = r6",
            "*(u64 *)(r6 + 0) = r2",
            "r3 = *(u32 *)(r2 + 0)",
            "if r2 == 0 goto +0",
        ] {
            is_kept(&SIMPLE.replace("r1 = 5 ll", other));
        }
        is_kept(&SIMPLE.replace("r2 += -4", "w2 += -4"));
        is_kept(&SIMPLE.replace("r2 += -4", "r2 += -40000"));
        is_kept(&SIMPLE.replace("r2 += -4", "r3 = r2\nr2 += -4"));
        is_kept(&SIMPLE.replace("call 1", "call 2"));
    }

    #[test]
    fn what_another_path_leads_into_stays() {
        for place in ["r2 += -4", "r1 = 5 ll", "call 1"] {
            let led =
                alloc::format!("if r6 == 0 goto in{}", SIMPLE.replace(place, &alloc::format!("in: {place}")));
            is_kept(&led);
        }
        let led = alloc::format!("if r6 == 0 goto in{}", SIMPLE.replace("r2 = r10", "in: r2 = r10"));
        assert_eq!(handed(&led).1, 1, "whichever way, both instructions are gone through");
        is_kept(&SIMPLE.replace("r1 = 5 ll", "if r6 == 0 goto +0"));
    }
}
