//! Programs and their memory, from a number.

mod dig;
mod noise;

use crate::layout::{AREAS, Layout, Placement};
use skep_isa::{Program, RawInsn, structure};
use skep_lab_filetests::Input;
use skep_lab_filetests::generate::{Flavour, Numbers, from_zeros, generate};

/// Says what a program is like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It is valid, and nearly all of its accesses are where they should be.
    Valid,
    /// It computes addresses near every border and uses them.
    Digging,
    /// It is any bytecode that hangs together.
    Noise,
    /// It was one of the first two, and some of it was changed.
    Mutated,
}

impl Kind {
    /// Lists all of them.
    pub const ALL: [Kind; 4] = [Kind::Valid, Kind::Digging, Kind::Noise, Kind::Mutated];
}

/// Is a program and what it is run with.
#[derive(Clone, Debug)]
pub struct Made {
    /// Says what it is like.
    pub kind: Kind,
    /// Holds the program.
    pub slots: Vec<RawInsn>,
    /// Holds programs that it may go on in, and they in it and in one another.
    pub more: Vec<Vec<RawInsn>>,
    /// Says where its memory lies.
    pub layout: Layout,
    /// Holds what is in the areas before; the third one's bytes are the ground's own.
    pub memory: [Vec<u8>; AREAS.len()],
    /// Counts the fuel.
    pub fuel: u64,
}

/// Makes a program; the same number always makes the same.
pub fn make(seed: u64) -> Made {
    let mut n = Numbers::new(seed ^ 0x5eed);
    let placement = n.pick(&[Placement::Start, Placement::End]);
    let kind = n.pick(&[
        Kind::Valid,
        Kind::Digging,
        Kind::Digging,
        Kind::Digging,
        Kind::Noise,
        Kind::Mutated,
        Kind::Mutated,
    ]);
    let valid = kind == Kind::Valid || kind == Kind::Mutated && n.once_in(2);
    let case = valid.then(|| {
        let number = n.number();
        let case = generate(number, Flavour::Wild);
        if number % 4 == 1 { from_zeros(case) } else { case }
    });
    let stack_bytes = if valid { 512 } else { n.pick(&[64, 512, 512, 1024]) };
    let mut lens = [0; AREAS.len()].map(|_: u64| match n.below(8) {
        0 => n.below(24),
        1 => 4096,
        2 => 1 + n.below(300),
        _ => 256 + 8 * n.below(32),
    });
    let input = case.as_ref().and_then(|case| match &case.input {
        Input::Memory(bytes) => Some(bytes.clone()),
        Input::Context { .. } => None,
    });
    if let Some(input) = &input {
        lens[0] = input.len() as u64;
    }
    let layout = Layout::new(placement, stack_bytes, lens);
    let mut memory = layout.areas.map(|area| words(&mut n, &layout, area.len as usize));
    if let Some(input) = input {
        memory[0] = input;
    }
    let count = if n.once_in(4) { 1 + n.below(3) } else { 0 };
    let mut one = |first: Option<Vec<RawInsn>>| {
        let slots = match (kind, first) {
            (_, Some(slots)) => slots,
            (Kind::Noise, None) => noise::slots(&mut n, &layout),
            (_, None) => dig::slots(&mut n, &layout, count),
        };
        if kind == Kind::Mutated { mutated(&mut n, &slots) } else { slots }
    };
    let slots = one(case.map(|case| case.slots));
    let more = (0..count).map(|_| one(None)).collect();
    let fuel = match n.below(8) {
        0 => n.below(200),
        1 => 100_000,
        _ => 200 + n.below(8000),
    };
    Made { kind, slots, more, layout, memory, fuel }
}

/// Fills memory with numbers that are addresses now and then.
fn words(n: &mut Numbers, layout: &Layout, len: usize) -> Vec<u8> {
    let borders = layout.borders();
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        let word = match n.below(3) {
            0 => n.pick(&borders).wrapping_add(n.below(17)).wrapping_sub(8),
            1 => n.below(64),
            _ => n.edge(),
        };
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Says whether slots are a program that hangs together.
fn is_whole(slots: &[RawInsn]) -> bool {
    Program::decode(slots).is_ok_and(|program| structure::check(&program).is_ok())
}

/// Changes some slots so that what comes of it still hangs together.
fn mutated(n: &mut Numbers, slots: &[RawInsn]) -> Vec<RawInsn> {
    let mut changed = slots.to_vec();
    for _ in 0..1 + n.below(6) {
        for _ in 0..20 {
            let at = n.below(changed.len() as u64) as usize;
            let before = changed[at];
            let slot = &mut changed[at];
            match n.below(8) {
                0 => slot.off = slot.off.wrapping_add(n.below(33) as i16 - 16),
                1 => slot.off = n.edge() as i16,
                2 => slot.imm = slot.imm.wrapping_add(n.below(33) as i32 - 16),
                3 => slot.imm = n.edge() as i32,
                4 => slot.regs = slot.regs & 0xf0 | n.below(11) as u8,
                5 => slot.regs = slot.regs & 0x0f | (n.below(11) as u8) << 4,
                6 => slot.code = noise::code(n),
                _ => *slot = slots[n.below(slots.len() as u64) as usize],
            }
            if changed[at] != before && is_whole(&changed) {
                break;
            }
            changed[at] = before;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_made_and_hangs_together() {
        let (mut counts, mut followed) = ([0; Kind::ALL.len()], 0);
        for seed in 0..400 {
            let made = make(seed);
            assert!(is_whole(&made.slots), "seed {seed}, {:?}", made.kind);
            assert!(made.more.iter().all(|slots| is_whole(slots)), "seed {seed}, {:?}", made.kind);
            followed += usize::from(!made.more.is_empty());
            let kind = Kind::ALL.iter().position(|kind| *kind == made.kind).unwrap();
            counts[kind] += 1;
        }
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
        assert!(followed > 50, "{followed}");
    }

    #[test]
    fn the_same_number_makes_the_same() {
        let (one, other) = (make(7), make(7));
        assert_eq!((one.slots, one.more), (other.slots, other.more));
        assert_eq!((one.memory, one.fuel), (other.memory, other.fuel));
    }
}
