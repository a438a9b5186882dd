//! The processor as the register allocator sees it.

use super::{Features, Gpr};
use skep_ir::machine::{Machine, RegMask};
use skep_ir::{Access, Metering};

/// Says where code keeps the address of its run's [`State`](crate::state::State).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StateIn {
    /// In `r15`, for code that uses it at each access.
    Register,
    /// In each frame that needs it; `r15` is one register more for values.
    Frame,
}

/// Is what code is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Target {
    /// Holds what the processor can besides.
    pub features: Features,
    /// Says where the code keeps its state.
    pub state: StateIn,
    metering: Metering,
    registers: u8,
}

/// Lists the registers that values live in, by number. First those that a call destroys, and of these first where arguments
/// are passed, then those whose encoding is short; `r11` is the emitter's own.
const ORDER: [Gpr; 13] = [
    Gpr::Rdi,
    Gpr::Rsi,
    Gpr::Rdx,
    Gpr::Rcx,
    Gpr::Rax,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::Rbx,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::R15,
];
/// The numbers of some of them.
const RDX: u8 = 2;
const RCX: u8 = 3;
const RAX: u8 = 4;
const R8: u8 = 5;
const RBX: u8 = 8;

/// Lists where the System V calling convention, and ours, passes r1 to r5.
pub(super) const ARGUMENTS: [Gpr; 5] = [Gpr::Rdi, Gpr::Rsi, Gpr::Rdx, Gpr::Rcx, Gpr::R8];

/// Lists the registers that code may keep to itself, in the order in which it takes them: the last ones of [`ORDER`].
const OWN: [Gpr; 2] = [Gpr::R15, Gpr::R14];

impl Target {
    /// Makes the target for code that checks its accesses, or does not, and that counts fuel, or does not.
    pub const fn new(features: Features, access: Access, metering: Metering) -> Target {
        let state = match access {
            Access::Checked => StateIn::Register,
            Access::Unchecked => StateIn::Frame,
        };
        let own = matches!(state, StateIn::Register) as u8 + matches!(metering, Metering::Metered) as u8;
        Target { features, state, metering, registers: ORDER.len() as u8 - own }
    }

    /// Returns the register that counts fuel, in code that counts it.
    pub(super) const fn fuel(&self) -> Option<Gpr> {
        match (self.metering, self.state) {
            (Metering::Free, _) => None,
            (Metering::Metered, StateIn::Frame) => Some(OWN[0]),
            (Metering::Metered, StateIn::Register) => Some(OWN[1]),
        }
    }

    /// Takes registers away, so that more values live in memory.
    #[must_use]
    pub const fn with_registers(self, registers: u8) -> Target {
        let registers = if registers < self.registers { registers } else { self.registers };
        Target { registers, ..self }
    }

    /// Counts the registers that values live in.
    pub const fn registers(&self) -> u8 {
        self.registers
    }

    /// Describes the target to the allocator.
    pub const fn machine(&self) -> Machine {
        Machine {
            registers: self.registers,
            calls: RegMask((1 << RBX) - 1),
            divisions: RegMask(1 << RAX | 1 << RDX),
            shifts: match self.features.bmi2() {
                Some(_) => RegMask(0),
                None => RegMask(1 << RCX),
            },
            // `rax` holds what is compared, `rcx` what finds no other register.
            exchanges: RegMask(1 << RAX | 1 << RCX),
            // What the processor does in one place, the emitter turns round or does in three.
            two_address: false,
            destroys_first: true,
            rooms: true,
            sets: true,
            arguments: [0, 1, RDX, RCX, R8],
            result: RAX,
        }
    }

    /// Returns the register with this number.
    pub(super) fn register(&self, number: u16) -> Option<Gpr> {
        ORDER.get(usize::from(number)).copied().filter(|_| number < u16::from(self.registers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_the_registers_they_should() {
        let target = Target::new(Features::NONE, Access::Unchecked, Metering::Free);
        let machine = target.machine();
        let at = |number: u8| target.register(u16::from(number)).unwrap();
        assert_eq!([at(RAX), at(RCX), at(RDX)], [Gpr::Rax, Gpr::Rcx, Gpr::Rdx]);
        assert_eq!(machine.arguments.map(at), ARGUMENTS);
        assert_eq!(at(machine.result), Gpr::Rax);
        // System V: these and no others keep their values over a call.
        let kept = [Gpr::Rbx, Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15];
        for number in 0..machine.registers {
            assert_eq!(!machine.calls.contains(u16::from(number)), kept.contains(&at(number)), "{number}");
        }
        assert_eq!(target.register(13), None);
        assert_eq!(target.with_registers(3).register(3), None);
        for (access, metering, own) in [
            (Access::Checked, Metering::Free, 1),
            (Access::Unchecked, Metering::Metered, 1),
            (Access::Checked, Metering::Metered, 2),
        ] {
            let target = Target::new(Features::NONE, access, metering);
            assert_eq!(target.register(13 - own), None);
            let last = (0..13).rev().find_map(|number| target.register(number));
            assert!(last.is_some() && last != target.fuel());
        }
    }
}
