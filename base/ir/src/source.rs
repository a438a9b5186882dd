//! What is compiled, and how.

use skep_isa::structure::Structure;
use skep_isa::{Addr, Insn, InsnIdx, Program};
use skep_model::MapAccess;

/// Is a program with what it refers to.
#[derive(Clone, Copy)]
pub struct Source<'s> {
    /// Holds the instructions.
    pub program: &'s Program,
    /// Holds its functions; [`skep_isa::structure::check`] makes it.
    pub structure: &'s Structure,
    /// Knows what is outside the program.
    pub link: &'s dyn Link,
}

impl Source<'_> {
    /// Resolves a wide load of anything but a plain number, which stands at an instruction.
    pub(crate) fn number(&self, insn: Insn, addr: Addr, at: InsnIdx) -> Option<u64> {
        match addr {
            Addr::Code { .. } => {
                let function = self.structure.subprogram_at(insn.call_target(at)?)?;
                Some(skep_model::handle::function(function as u32))
            }
            addr => self.link.address(addr).map(|address| address.value),
        }
    }

    /// Says whether an instruction may call a function of the program by its number.
    pub(crate) fn calls_by_number(&self, insn: Insn, options: &Options) -> bool {
        match insn {
            Insn::CallReg { .. } => options.register_calls,
            Insn::CallHelper { id } => self.link.calls_back(id),
            _ => false,
        }
    }
}

/// Is a number that a wide load puts into a register, with the memory it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// Holds the number.
    pub value: u64,
    /// Says what memory accesses through it go to.
    pub region: Region,
}

/// Is a look-up in a map that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LookUp {
    /// Is the number of the map, which is in r1 whenever control comes to the call. Debug and fuzz builds rely on nothing: where it is another
    /// one, what is found is no address.
    pub map: u64,
    /// Says how the value is found.
    pub access: MapAccess,
    /// Says what is in r2.
    pub key: Key,
}

/// Says how a look-up is given its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// By its address.
    Address,
    /// As a number of 32 bits.
    Number,
}

/// Knows what is outside a program: the embedder's maps and helpers.
pub trait Link {
    /// Resolves a wide load of anything but a plain number or a function.
    fn address(&self, addr: Addr) -> Option<Address>;

    /// Counts the arguments of a helper, 0 to 5; nothing where there is no such helper.
    fn helper(&self, id: u32) -> Option<u8>;

    /// Says whether the program has a context with a packet, which the packet loads of classic BPF want.
    fn has_packet(&self) -> bool {
        false
    }

    /// Says whether a helper may call functions of the program.
    fn calls_back(&self, id: u32) -> bool {
        let _ = id;
        false
    }

    /// Says how the value is found that a helper looks up where it is called at an instruction, if that need not be asked: then the key comes by
    /// r2, and nothing but finding the value is done. It is looked at in programs without checks only.
    fn look_up(&self, at: InsnIdx, id: u32) -> Option<LookUp> {
        let _ = (at, id);
        None
    }

    /// Says what memory a pointer that a helper returns points to.
    fn returns(&self, id: u32) -> Region {
        let _ = id;
        Region::Unknown
    }
}

/// Says what memory an address belongs to, as far as is known before running.
///
/// An access through it is checked against this memory alone; [`Unknown`](Region::Unknown) is searched for at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Region {
    /// May be any memory that the program may touch, or no pointer at all.
    Unknown,
    /// Is the stack, of any active function.
    Stack,
    /// Is the region with this number; the machine that runs the program counts them. Zero is what r1 points to at entry.
    Fixed(u16),
}

impl Region {
    /// Names the memory that r1 points to when the program is entered.
    pub const INPUT: Region = Region::Fixed(0);
}

/// Says how much the compiler does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Level {
    /// Compiles fast: operations straight from bytecode.
    O0,
    /// Runs every pass.
    #[default]
    O,
}

/// Says whether accesses to memory are checked as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Access {
    /// Every access is checked against the memory that the program may touch.
    #[default]
    Checked,
    /// None is: something else has proved the program.
    Unchecked,
}

/// Says whether fuel is counted as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Metering {
    /// Fuel is charged as [`fuel`](crate::fuel) says.
    #[default]
    Metered,
    /// A run ends when the program ends.
    Free,
}

/// Says how to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Says how much to optimise.
    pub level: Level,
    /// Says whether to check accesses.
    pub access: Access,
    /// Says whether to charge fuel.
    pub metering: Metering,
    /// Counts the bytes of each function's stack.
    pub stack_bytes: u32,
    /// Allows calls through registers, to helpers and to functions by their [number](crate::handle), which Linux does not have.
    pub register_calls: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            level: Level::O,
            access: Access::Checked,
            metering: Metering::Metered,
            stack_bytes: 512,
            register_calls: false,
        }
    }
}
