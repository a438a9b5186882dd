//! The stand-alone machine: four bytes choose its shape, the rest is one program or several, in bytes or in text.
//!
//! | byte | chooses |
//! | --- | --- |
//! | first | the kind of input (two bits); text or bytes; tail calls; calls through registers; lent memory; maps |
//! | second | the fuel, in sixteens |
//! | third | the bytes of stack |
//! | fourth | the verifier (two bits), where metadata is written, how long the memory is |
//!
//! Promised: whatever it is, loading and running it ends without a panic; nothing is written but what was lent for writing;
//! the interpreter and machine code, with the passes and without, come to one end: error, result, memory, maps, fuel, what
//! helpers saw; setups, machines and CPUs can be shown, and machine code is listed where it is. More is executed than there was fuel for by [`WINDOW`] instructions at most. Where a program does
//! not look at the numbers of addresses, the reference machine comes to that end as well, unless it knows more of a pointer than
//! engines do that see addresses.

mod tells;
mod world;

use skep_ir::fuel::WINDOW;
use skep_isa::ByteOrder;
use skep_machine::platform::{Platform, ProgType};
use skep_machine::{
    AtMost, Bytes, Cpu, Engine, EveryPath, Input, Level, Limits, Machine, Map, NoLoops, Program,
    ProgramError, Refusal, Setup, SetupError, SetupErrorKind, Stop, StopKind, Verifier,
};
use skep_mem::Block;
use skep_mem::testing::TestHost;
use std::fmt;
use world::{State, with_helpers};

/// Sizes of a function's stack; some there are not.
const STACKS: [u32; 8] = [512, 512, 64, 8, 16, 1024, 0, 12];
/// Separates programs in text.
const NEXT: &str = "---\n";
/// Separates programs in bytes: a slot that is none.
const NEXT_SLOT: [u8; 8] = [0xff; 8];
/// The most programs of a machine.
const PROGRAMS: usize = 4;
/// The number of the helper that goes on with another program.
const TAIL_CALL: u32 = 12;
/// The numbers by which programs name the maps.
const MAPS: [i32; 3] = [3, 4, 5];

/// The memory of a run, between guards.
const MEMORY: usize = 64;
const BUFFER: usize = 32;
const GUARD: usize = 32;
/// Fills guards.
const CANARY: u8 = 0xa5;

/// What an input asks for.
struct Wanted {
    shape: u8,
    fuel: u64,
    stack_bytes: u32,
    more: u8,
    programs: Vec<Program>,
}

impl Wanted {
    fn new(data: &[u8]) -> Option<Self> {
        let [shape, fuel, stack, more, rest @ ..] = data else { return None };
        let mut wanted = Self {
            shape: *shape,
            fuel: u64::from(*fuel) * 16,
            stack_bytes: STACKS[usize::from(stack % 8)],
            more: *more,
            programs: Vec::new(),
        };
        wanted.programs = if wanted.has(4) { from_text(rest)? } else { from_bytes(rest)? };
        Some(wanted)
    }

    fn has(&self, bit: u8) -> bool {
        self.shape & bit != 0
    }

    /// Counts the bytes of the memory.
    fn memory(&self) -> usize {
        MEMORY - usize::from(self.more >> 5)
    }
}

fn from_text(rest: &[u8]) -> Option<Vec<Program>> {
    let host = TestHost::new();
    let names = with_helpers(Setup::new()).tail_calls(TAIL_CALL).host(&*host);
    let text = std::str::from_utf8(rest).ok()?;
    let parts = text.split(NEXT).take(PROGRAMS);
    // Without names of helpers some is no program.
    parts.clone().filter_map(|text| Program::from_text(text).err()).for_each(|error| check_error(&error));
    parts.map(|text| names.assemble(text).map_err(|error| check_error(&error)).ok()).collect()
}

fn from_bytes(rest: &[u8]) -> Option<Vec<Program>> {
    let slots: Vec<_> = rest.chunks(8).collect();
    let parts = slots.split(|slot| *slot == NEXT_SLOT).take(PROGRAMS);
    let read = |slots: &[&[u8]]| {
        let bytes = slots.concat();
        let program = Program::from_bytes(&bytes, ByteOrder::Little).map_err(|error| {
            check_error(&error);
            // What has no instructions has its error where the first would be.
            assert!(error.at().is_none_or(|at| at.index() <= bytes.len() / 8), "{error}");
        });
        // What was decoded is the same when it is handed over as such.
        let again = program.as_ref().map(|program| Program::try_from(program.code().clone()));
        assert!(again.is_err() || again == program.as_ref().map(|program| Ok(program.clone())));
        program.ok()
    };
    parts.map(read).collect()
}

fn check_error(error: &ProgramError) {
    assert!(!error.to_string().is_empty());
}

/// What a run came to.
#[derive(Debug, PartialEq, Eq)]
struct Ran {
    result: Result<u64, (usize, u32, StopKind)>,
    /// The memory and the buffer, what was lent, the values of the maps.
    left: [Vec<u8>; 4],
    fuel: u64,
    seen: u64,
}

/// Where all runs of one input happen: at the same addresses.
struct Place {
    memory: Vec<u8>,
    buffer: Vec<u8>,
    lent: Block,
    frozen: Block,
    maps: Vec<Box<dyn Map>>,
    cpu: Cpu<State>,
}

impl Place {
    fn new() -> Self {
        let host = TestHost::new().as_dyn();
        Self {
            memory: vec![0; MEMORY + 2 * GUARD],
            buffer: vec![0; BUFFER + 2 * GUARD],
            lent: Block::zeroed(MEMORY + 2 * GUARD).expect("memory"),
            frozen: Block::zeroed(MEMORY).expect("memory"),
            maps: world::maps(&host),
            cpu: Cpu::default().with_fuel(0),
        }
    }

    /// Makes everything what it is before each run.
    fn refresh(&mut self, wanted: &Wanted) {
        for list in [&mut self.memory, &mut self.buffer] {
            list.fill(CANARY);
            let end = list.len() - GUARD;
            list[GUARD..end].iter_mut().zip(0u8..).for_each(|(byte, at)| *byte = at.wrapping_mul(37));
        }
        self.lent.bytes().fill(CANARY);
        let lent = self.lent.bytes().slice(GUARD, MEMORY).expect("inside");
        lent.fill(3);
        self.frozen.bytes().fill(0x5a);
        world::clear(&self.maps);
        *self.cpu.state_mut() = State::default();
        self.cpu.fuel().fill(wanted.fuel);
        self.cpu.set_word(world::WORD);
        let fuel = std::sync::Arc::clone(self.cpu.fuel());
        self.cpu.state_mut().lend_fuel(&fuel);
    }

    /// Gives what may be written, after making sure that nothing else was.
    fn after(&self, wanted: &Wanted) -> [Vec<u8>; 4] {
        let mut lent = vec![0; MEMORY + 2 * GUARD];
        self.lent.bytes().copy_out(0, &mut lent).expect("inside");
        for list in [&self.memory, &self.buffer, &lent] {
            let (before, behind) = (&list[..GUARD], &list[list.len() - GUARD..]);
            assert!(before.iter().chain(behind).all(|byte| *byte == CANARY), "nothing outside is written");
        }
        assert!(self.frozen.bytes().eq_slice(&[0x5a; MEMORY]), "what may be read is not written");
        let beyond = &self.memory[GUARD + wanted.memory()..GUARD + MEMORY];
        let untouched = (wanted.memory()..).map(|at| (at as u8).wrapping_mul(37));
        assert!(beyond.iter().copied().eq(untouched.take(beyond.len())), "memory ends where it ends");
        let inside = |list: &[u8]| list[GUARD..list.len() - GUARD].to_vec();
        [inside(&self.memory), inside(&self.buffer), inside(&lent), world::contents(&self.maps)]
    }

    /// Runs the programs in one way.
    fn run(&mut self, wanted: &Wanted, engine: Engine, level: Level) -> Result<Ran, SetupError> {
        self.refresh(wanted);
        let host = TestHost::new();
        let mut setup =
            with_helpers(Setup::default()).engine(engine).level(level).stack_bytes(wanted.stack_bytes);
        if let Some(code) = world::CODE {
            setup = setup.code(code);
        }
        if wanted.has(8) {
            setup = setup.tail_calls(TAIL_CALL);
        }
        if wanted.has(16) {
            setup = setup.register_calls();
        }
        if wanted.has(32) {
            let lent = self.lent.bytes().slice(GUARD, MEMORY).expect("inside");
            setup = setup.memory(lent).read_only_memory(self.frozen.bytes());
        }
        if wanted.has(64) {
            setup = MAPS.iter().zip(&self.maps).fold(setup, |setup, (fd, map)| setup.map(*fd, &**map));
            setup = setup.host(&*host);
        }
        setup = match wanted.more & 3 {
            1 => setup.verifier(AtMost(20)),
            2 => setup.verifier(NoLoops),
            3 => setup.verifier(|program: &Program| match program.functions().len() {
                3.. => Err(Refusal::new("too many functions")),
                _ => Ok(()),
            }),
            // Whatever it says, it says it without a panic.
            _ => {
                let every_path = EveryPath::on(Platform::LINUX_6_18, ProgType::SOCKET_FILTER)
                    .limits(Limits { insns: 2000, ..Limits::LINUX });
                for program in &wanted.programs {
                    if let Err(refusal) = every_path.verify(program) {
                        assert!(!refusal.to_string().is_empty(), "a refusal says why");
                    }
                }
                setup
            }
        };
        assert!(shows(&setup));
        let machine = match &wanted.programs[..] {
            [program] => setup.load(program.clone())?,
            programs => setup.load_all(programs.iter().cloned())?,
        };
        assert!(shows(&machine) && shows(&self.cpu));
        check_code(&machine, wanted, engine);
        let memory = &mut self.memory[GUARD..GUARD + wanted.memory()];
        let buffer = &mut self.buffer[GUARD..GUARD + BUFFER];
        let at = usize::from(wanted.more >> 2 & 7) * 4;
        let input = match wanted.shape & 3 {
            0 => Input::None,
            1 => Input::Memory(memory),
            2 => {
                let address = Bytes::from_mut(memory).addr() as u64;
                buffer[8..16].copy_from_slice(&address.to_le_bytes());
                Input::Metadata { buffer, memory }
            }
            _ => Input::FixedMetadata { buffer, data: at, data_end: at + 8, memory },
        };
        let result = machine.run(&mut self.cpu, input);
        drop(machine);
        let fuel = self.cpu.fuel().left();
        assert!(fuel <= wanted.fuel, "fuel is only taken");
        if let Some(executed) = self.cpu.executed() {
            assert!(executed <= wanted.fuel - fuel + u64::from(WINDOW), "what is executed is charged");
        }
        let seen = self.cpu.state().seen();
        // Where a helper stops the run, engines notice when they look.
        assert!(self.cpu.state().calls() <= wanted.fuel + u64::from(WINDOW), "fuel ends a run");
        if let Err(stop) = &result {
            check_stop(stop, wanted);
        }
        let result = result.map_err(|stop| (stop.program(), stop.at().0, stop.kind()));
        Ok(Ran { result, left: self.after(wanted), fuel, seen })
    }
}

fn shows(what: &impl fmt::Debug) -> bool {
    !format!("{what:?}").is_empty()
}

/// All machine code is of some program, in pieces that do not overlap, and has a name.
fn check_code(machine: &Machine<'_, State>, wanted: &Wanted, engine: Engine) {
    let mut pieces: Vec<_> = machine.code().collect();
    assert_eq!(pieces.is_empty(), engine != Engine::Jit, "only machine code is machine code");
    pieces.sort_by_key(|piece| piece.address);
    assert!(pieces.is_sorted_by(|one, next| one.address + one.len <= next.address), "{pieces:?}");
    for piece in pieces {
        assert!(piece.program < wanted.programs.len() && piece.len > 0, "{piece:?}");
        assert!(piece.to_string().starts_with("bpf_prog_"), "{piece}");
    }
}

fn check_stop(stop: &Stop, wanted: &Wanted) {
    let program = wanted.programs.get(stop.program()).expect("one of the programs has stopped");
    assert!(stop.at().index() < program.code().len() && !stop.to_string().is_empty());
    assert_ne!(stop.kind(), StopKind::Engine, "{stop}");
}

pub(crate) fn run(data: &[u8]) {
    let Some(wanted) = Wanted::new(data) else { return };
    let mut place = Place::new();
    let first = place.run(&wanted, Engine::Interpreter, Level::O);
    if let Err(error) = &first {
        assert!(!error.to_string().is_empty() && error.kind != SetupErrorKind::Engine, "{error}");
    }
    let stopped = place.cpu.state().has_stopped();
    let others = [(Engine::Interpreter, Level::O0), (Engine::Jit, Level::O), (Engine::Jit, Level::O0)];
    for (engine, level) in
        others.into_iter().filter(|(engine, _)| *engine != Engine::Jit || world::CODE.is_some())
    {
        let other = place.run(&wanted, engine, level);
        if !stopped {
            assert_eq!(first, other, "{} at {level:?}", engine.name());
        }
    }
    let exact = place.run(&wanted, Engine::Exact, Level::O);
    assert_eq!(
        first.is_ok(),
        exact.is_ok(),
        "engines load the same: {first:?}, the reference machine {exact:?}"
    );
    let (Ok(first), Ok(exact)) = (first, exact) else { return };
    let knows_more = matches!(exact.result, Err((_, _, StopKind::OutOfBounds | StopKind::BadArgument)));
    if !stopped
        && !knows_more
        && !wanted.programs.iter().any(|program| tells::addresses(program, wanted.shape))
    {
        assert_eq!(first, exact, "the reference machine");
    }
}
