//! The ways in which a program is compiled and run.

use skep_ir::{Access, Level, Metering, Options};
use skep_jit::x86_64::{Features, Target};

/// Says what runs a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Engine {
    /// The interpreter.
    Interpreter,
    /// Machine code whose values live in at most so many registers.
    Jit(u8, Additions),
}

/// Says whether machine code uses what only newer processors can.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Additions {
    /// It does, where this one can.
    Used,
    /// It does not.
    Unused,
}

/// Is one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// Says what runs it.
    pub engine: Engine,
    /// Says how much is optimised.
    pub level: Level,
    /// Says whether fuel is counted.
    pub metering: Metering,
}

const ENGINES: [Engine; 6] = [
    Engine::Jit(13, Additions::Used),
    Engine::Jit(6, Additions::Used),
    Engine::Jit(3, Additions::Unused),
    Engine::Jit(0, Additions::Used),
    Engine::Jit(13, Additions::Unused),
    Engine::Interpreter,
];
const LEVELS: [Level; 2] = [Level::O, Level::O0];
const METERINGS: [Metering; 2] = [Metering::Metered, Metering::Free];

impl Way {
    /// Counts all of them.
    pub const COUNT: usize = ENGINES.len() * LEVELS.len() * METERINGS.len();

    /// Returns one of them.
    pub fn new(number: usize) -> Way {
        let (engine, rest) = (number % ENGINES.len(), number / ENGINES.len());
        let (level, metering) = (rest % LEVELS.len(), rest / LEVELS.len() % METERINGS.len());
        Way { engine: ENGINES[engine], level: LEVELS[level], metering: METERINGS[metering] }
    }

    /// Says how to compile.
    pub fn options(&self, stack_bytes: u32) -> Options {
        Options {
            level: self.level,
            access: Access::Checked,
            metering: self.metering,
            stack_bytes,
            register_calls: true,
        }
    }

    /// Says for what machine code is made; nothing for the interpreter.
    pub fn target(&self) -> Option<Target> {
        let Engine::Jit(registers, additions) = self.engine else { return None };
        let features = match additions {
            Additions::Used => skep_vm::jit::features(),
            Additions::Unused => Features::NONE,
        };
        Some(Target::new(features, Access::Checked, self.metering).with_registers(registers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let ways: Vec<Way> = (0..Way::COUNT).map(Way::new).collect();
        for (number, way) in ways.iter().enumerate() {
            assert!(!ways[..number].contains(way), "{way:?}");
        }
    }
}
