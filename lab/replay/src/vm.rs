//! Compiled runs: the first byte chooses the fuel, the rest is a program, compiled with every access checked, with the passes
//! and without, and run by the interpreter.
//!
//! It is compiled for a machine with registers too, checked and not, for the compiler's checkers to look at.
//!
//! Promised: whatever the program, compiling and running it ends without a panic; nothing is written but what was lent for
//! writing; both ways come to one end, on the same instruction, with the same memory and fuel left; more is executed than
//! there was fuel for by [`WINDOW`] instructions at most; and where the reference machine takes the program and runs it to
//! its end, or to the end of its fuel, the interpreter does what it did.

use skep_exact::{
    self as exact, Entry, HelperLink, MapRef, MapShape, Platform, Rules, Stack, Step, UninitStack, Value,
};
use skep_ir::fuel::WINDOW;
use skep_ir::lower::compile;
use skep_ir::machine::{Machine, RegMask};
use skep_ir::{Access, Address, Level, Link, Options, Source};
use skep_isa::{
    Addr, AluOp, ByteOrder, Insn, Operand, Program as Bytecode, RawInsn, Reg, Width, raw, structure,
};
use skep_mem::{Arg, Block, Bytes, Fuel, Invoke, MapIndex, Ret};
use skep_vm::{CallEnd, Calls, Cpu, Program, Reach, Regions, Stop, StopKind};
use std::cell::Cell;

/// The memory that is lent, between guards.
const LENT: usize = 64;
const GUARD: usize = 32;
/// The value of a map, which may be read only; its address comes from the helper.
const FROZEN: usize = 24;

/// A helper that answers the same to everyone.
const ANSWER: u32 = 1;
/// A helper that gives the address of the frozen memory; the reference machine does not have it.
const FROZEN_AT: u32 = 2;

/// Has few registers, of which some are destroyed now and then, and what makes every pass run.
const REGISTERS: Machine = Machine {
    registers: 6,
    calls: RegMask(0b111),
    divisions: RegMask(0b110),
    shifts: RegMask(0b1000),
    exchanges: RegMask(0b11),
    destroys_first: true,
    rooms: true,
    ..Machine::INTERPRETER
};

/// Has the helpers' names.
struct Names;

impl Link for Names {
    fn address(&self, _: Addr) -> Option<Address> {
        None
    }

    fn helper(&self, id: u32) -> Option<u8> {
        matches!(id, ANSWER | FROZEN_AT).then_some(5)
    }
}

/// Has the helpers.
struct Helpers {
    frozen: u64,
    calls: Cell<u64>,
}

impl<'m> Calls<'m> for Helpers {
    fn helper(&self, id: u32, _: [u64; 5], _: &Reach<'_, 'm>) -> Result<u64, CallEnd> {
        self.calls.set(self.calls.get() + 1);
        match id {
            ANSWER => Ok(7),
            FROZEN_AT => Ok(self.frozen),
            id => Err(CallEnd::Stop(StopKind::UnknownHelper { id })),
        }
    }
}

/// The same for the reference machine.
struct Reference {
    calls: Cell<u64>,
}

impl Platform for Reference {
    fn map(&self, _: MapRef) -> Option<MapIndex> {
        None
    }

    fn maps(&self) -> &[MapShape] {
        &[]
    }

    fn helper(&self, id: u32) -> HelperLink {
        if id == ANSWER { HelperLink::Plain } else { HelperLink::Refused(None) }
    }
}

impl<'m> exact::World<'m> for Reference {
    fn call(&self, _: u32, _: &[Arg<'m>], _: &mut dyn Invoke<'m>) -> Result<Ret<'m>, exact::CallEnd> {
        self.calls.set(self.calls.get() + 1);
        Ok(Ret::Int(7))
    }
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    result: Result<u64, Stop>,
    memory: Vec<u8>,
    left: u64,
    calls: u64,
}

/// Where runs happen: at the same addresses, all of them.
struct Place {
    lent: Block,
    frozen: Block,
    cpu: Cpu,
    fuel: u64,
}

impl Place {
    fn new(fuel: u64) -> Self {
        let lent = Block::zeroed(LENT + 2 * GUARD).expect("memory");
        let frozen = Block::zeroed(FROZEN).expect("memory");
        frozen.bytes().fill(0x5a);
        Self { lent, frozen, cpu: Cpu::new(), fuel }
    }

    /// Fills the memory, and gives what of it is lent.
    fn fresh(&self) -> Bytes<'_> {
        self.lent.bytes().fill(0xa5);
        let lent = self.lent.bytes().slice(GUARD, LENT).expect("inside");
        let numbers: Vec<u8> = (0..LENT as u8).map(|at| at.wrapping_mul(37)).collect();
        lent.copy_in(0, &numbers).expect("inside");
        lent
    }

    /// Gives what is lent, after making sure that nothing else has changed.
    fn after(&self) -> Vec<u8> {
        let mut after = vec![0; LENT + 2 * GUARD];
        self.lent.bytes().copy_out(0, &mut after).expect("inside");
        let (before, behind) = (&after[..GUARD], &after[GUARD + LENT..]);
        assert!(before.iter().chain(behind).all(|&byte| byte == 0xa5), "nothing outside is written");
        let mut frozen = [0; FROZEN];
        self.frozen.bytes().copy_out(0, &mut frozen).expect("inside");
        assert_eq!(frozen, [0x5a; FROZEN], "what may be read is not written");
        after[GUARD..GUARD + LENT].to_vec()
    }

    /// Runs the program in one way; the error is that of compiling it.
    fn run(&mut self, source: Source<'_>, level: Level) -> Result<Ran, String> {
        let options = Options { level, register_calls: true, ..Options::default() };
        let code = compile(source, &Machine::INTERPRETER, &options).map_err(|error| error.to_string())?;
        let program = Program::checked(&code, options.stack_bytes).expect("what was compiled is covered");
        let mut cpu = std::mem::take(&mut self.cpu);
        let lent = self.fresh();
        let mut regions = Regions::new();
        regions.add_writable(lent).expect("few");
        regions.add_readable(self.frozen.bytes()).expect("few");
        let fuel = Fuel::new(self.fuel);
        let helpers = Helpers { frozen: self.frozen.bytes().addr() as u64, calls: Cell::new(0) };
        let args = [lent.addr() as u64, LENT as u64, 0, 0, 0];
        let result = program.run(&mut cpu, &mut regions, args, &fuel, &helpers);
        drop(regions);
        self.cpu = cpu;
        let ran = Ran { result, memory: self.after(), left: fuel.left(), calls: helpers.calls.get() };
        assert!(ran.left <= self.fuel, "fuel is only taken");
        // Each call is an instruction.
        assert!(ran.calls <= self.fuel + u64::from(WINDOW), "fuel ends a run");
        Ok(ran)
    }

    /// Compares with the reference machine, where it has something to say.
    fn compare(&self, slots: &[RawInsn], bytecode: &Bytecode, ours: &Ran) {
        let world = Reference { calls: Cell::new(0) };
        let rules = Rules { uninit_stack: UninitStack::Zero, ..Rules::default() };
        let Ok(program) = exact::Program::new(slots, &world, rules) else { return };
        let stack = Stack::new().expect("memory");
        let fuel = Fuel::new(self.fuel);
        // The reference machine has addresses of its own, and what comes of those is another matter.
        let mut tells = false;
        let mut look = |step: &Step<'_>| {
            tells |= bytecode.at(step.at).is_some_and(|insn| tells_addresses(insn, step.regs));
        };
        let entry = Entry::Memory(self.fresh());
        let outcome = exact::run_observed(&program, &world, &stack, entry, &fuel, &mut look);
        assert!(outcome.executed <= outcome.charged + u64::from(WINDOW), "what is executed is charged");
        if tells {
            return;
        }
        let same = match (&outcome.result, &ours.result) {
            (Ok(number), found) => {
                assert_eq!(self.after(), ours.memory, "the same memory");
                *found == Ok(*number)
            }
            (Err(fault), Err(stop)) if fault.kind.code() == "fuel" => {
                fault.at == stop.at && stop.kind == StopKind::Fuel
            }
            (Err(fault), _) if fault.kind.code() == "fuel" => false,
            // What it finds wrong may be nothing that addresses tell.
            (Err(_), _) => return,
        };
        assert!(same, "the reference machine: {:?}, the interpreter: {:?}", outcome.result, ours.result);
        assert_eq!(outcome.charged, self.fuel - ours.left, "the same fuel");
        assert_eq!(world.calls.get(), ours.calls, "the same calls");
    }
}

/// Says whether an instruction makes anything of a pointer but a pointer to the same memory.
fn tells_addresses(insn: Insn, regs: &[Value; 11]) -> bool {
    let is_pointer = |reg: Reg| regs[usize::from(reg.number())].has_provenance();
    match insn {
        Insn::Alu { width: Width::W64, op: AluOp::Mov, .. } => false,
        Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, dst, src: Operand::Reg(src) } => {
            is_pointer(dst) && is_pointer(src)
        }
        Insn::Alu { width: Width::W64, op: AluOp::Add | AluOp::Sub, .. } => false,
        Insn::Load { .. } | Insn::LoadAcquire { .. } | Insn::CallLocal { .. } | Insn::CallHelper { .. } => {
            false
        }
        Insn::Store { src: Operand::Reg(src), .. } | Insn::StoreRelease { src, .. } => is_pointer(src),
        Insn::Store { .. } => false,
        Insn::Atomic { src, .. } => is_pointer(src) || is_pointer(Reg::R0),
        insn => Reg::ALL.into_iter().any(|reg| insn.reads().contains(reg) && is_pointer(reg)),
    }
}

pub(crate) fn run(data: &[u8]) {
    let [choice, bytes @ ..] = data else { return };
    let Ok(slots) = raw::from_bytes(bytes, ByteOrder::Little) else { return };
    let Ok(program) = Bytecode::decode(&slots) else { return };
    let Ok(structure) = structure::check(&program) else { return };
    let source = Source { program: &program, structure: &structure, link: &Names };
    for access in [Access::Checked, Access::Unchecked] {
        let options = Options { access, register_calls: true, ..Options::default() };
        // In builds of the fuzzer the checkers look at every step, and panic.
        let _ = compile(source, &REGISTERS, &options);
    }
    let mut place = Place::new(u64::from(*choice) * 16);
    let (first, plain) = (place.run(source, Level::O), place.run(source, Level::O0));
    assert_eq!(first, plain, "the passes change nothing");
    let Ok(ours) = first else { return };
    if let Err(stop) = &ours.result {
        assert!(stop.at.index() < slots.len() && !stop.to_string().is_empty());
    }
    place.compare(&slots, &program, &ours);
}
