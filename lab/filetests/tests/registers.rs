//! Generated programs on machines with registers: what the allocator keeps where nothing destroys it comes out as on the
//! reference machine.

use skep_ir::machine::{Machine, RegMask};
use skep_ir::{Access, Metering};
use skep_jit::x86_64::{Features, Target};
use skep_lab_filetests::generate::{Flavour, generate};
use skep_lab_filetests::{Ending, Exact, Placed, Ran};

/// Has no room, so that most values live in slots.
const TINY: Machine = Machine {
    registers: 3,
    calls: RegMask(0b11),
    divisions: RegMask(0b1),
    shifts: RegMask(0b10),
    exchanges: RegMask(0b1),
    two_address: true,
    destroys_first: true,
    rooms: false,
    sets: false,
    arguments: [0, 1, u8::MAX, u8::MAX, u8::MAX],
    result: 0,
};

/// Puts results where first operands are, and destroys afterwards.
const TWO_ADDRESSES: Machine = Machine {
    registers: 5,
    calls: RegMask(0b111),
    divisions: RegMask(0b1),
    shifts: RegMask(0b10),
    exchanges: RegMask(0b1),
    two_address: true,
    destroys_first: false,
    rooms: false,
    sets: false,
    arguments: [0, 1, 2, u8::MAX, u8::MAX],
    result: 0,
};

/// Has more than enough, and operations of three addresses.
const LIKE_ARM: Machine = Machine {
    registers: 24,
    calls: RegMask(0xffff),
    divisions: RegMask(0),
    shifts: RegMask(0),
    exchanges: RegMask(0b11 << 14),
    two_address: false,
    destroys_first: false,
    rooms: false,
    sets: false,
    arguments: [0, 1, 2, 3, 4],
    result: 0,
};

/// Says whether two runs ended alike; what engines say of an error in words is their own.
fn agree(exact: &Ran, ours: &Ran) -> bool {
    let same = match (&exact.ending, &ours.ending) {
        (Ending::Stopped(at, code, _), Ending::Stopped(other, kind, _)) => at == other && code == kind,
        (ending, other) => ending == other,
    };
    same && exact.charged == ours.charged
}

fn check(name: &str, machine: &Machine) {
    let mut returned = 0;
    for seed in 0..100 {
        let case = generate(seed, Flavour::Wild);
        let exact = Exact.run_charged(&case, &mut |_: &skep_exact::Step<'_>| {}).expect("it runs");
        let ours = Placed(*machine).run_all(&case).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        assert!(agree(&exact, &ours), "{name}, seed {seed}: exact {exact:?}\nours {ours:?}");
        returned += u32::from(matches!(exact.ending, Ending::Returned(..)));
    }
    assert!(returned > 40, "{returned} return");
}

#[test]
fn x86_64() {
    for access in [Access::Checked, Access::Unchecked] {
        let target = Target::new(Features::NONE, access, Metering::Metered);
        // The interpreter, which stands in, does not know rooms.
        let machine = |target: Target| Machine { rooms: false, ..target.machine() };
        check("x86-64", &machine(target));
        check("x86-64 with five registers", &machine(target.with_registers(5)));
    }
}

#[test]
fn tiny() {
    check("tiny", &TINY);
}

#[test]
fn two_addresses() {
    check("two addresses", &TWO_ADDRESSES);
}

#[test]
fn like_arm() {
    check("like ARM", &LIKE_ARM);
}
