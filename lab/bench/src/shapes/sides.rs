//! Who runs shapes.

use crate::memory::Memory;
use skep_embedded::{CodePages, Config, Embedded, Engine as KernelEngine};
use skep_lab_shapes::{Attached, InKernel, Shape, packet};
use skep_machine::{Cpu, Engine, Input, Machine, Setup};

/// One side. The first is what the others are compared with.
pub(super) struct Side {
    /// Its name, short and without spaces.
    pub(super) name: &'static str,
    /// What it is, in a line.
    pub(super) about: &'static str,
    /// Gets a shape ready, with maps of its own, and lends it; an error says why it cannot be run here.
    pub(super) with: fn(&Shape, Use<'_>) -> Result<(), String>,
}

/// What is done with a shape that is ready.
pub(super) type Use<'u> = &'u mut dyn FnMut(&mut dyn Runner) -> Result<(), String>;

/// A shape that is ready to run.
pub(super) trait Runner {
    /// Runs it so many times, at least once, and gives the last result.
    fn run(&mut self, times: u32) -> Result<u32, String>;

    /// Gives the runs that were counted, if the shape counts them.
    fn counted(&self) -> Result<Option<u64>, String>;
}

pub(super) const SIDES: &[Side] = &[
    Side {
        name: "linux",
        about: "the running Linux: BPF_PROG_TEST_RUN of XDP, repeated",
        with: |shape, lend| lend(&mut InKernel::new(shape, &skep::Kernel::linux())?),
    },
    Side {
        name: "verified",
        about: "skep's embedded kernel, verified, machine code without checks: BPF_PROG_TEST_RUN of XDP, repeated",
        with: |shape, lend| in_embedded(shape, KernelEngine::Jit, lend),
    },
    Side {
        name: "verified-int",
        about: "the same on the interpreter",
        with: |shape, lend| in_embedded(shape, KernelEngine::Interpreter, lend),
    },
    Side {
        name: "machine-jit",
        about: "skep's machine with the maps attached: the JIT, checked, with fuel",
        with: |shape, lend| machine(shape, Engine::Jit, lend),
    },
    Side {
        name: "machine-int",
        about: "the same on the interpreter",
        with: |shape, lend| machine(shape, Engine::Interpreter, lend),
    },
    Side {
        name: "exact",
        about: "skep's embedded kernel, on the reference machine: BPF_PROG_TEST_RUN of XDP, repeated",
        with: |shape, lend| in_embedded(shape, KernelEngine::Exact, lend),
    },
];

/// Runs a shape in an embedded kernel, on this engine and no other.
fn in_embedded(shape: &Shape, engine: KernelEngine, lend: Use<'_>) -> Result<(), String> {
    let embedded = Embedded::new(Config::new().engine(engine)).map_err(|error| error.to_string())?;
    let mut loaded = InKernel::new(shape, &skep::Kernel::from_sys(embedded.clone()))?;
    for program in loaded.programs()? {
        match embedded.engine_of(program).map_err(|error| error.to_string())? {
            found if found == engine => {}
            found => return Err(format!("a program runs on {found}")),
        }
    }
    lend(&mut loaded)
}

fn embedded() -> Result<Embedded, String> {
    Embedded::new(Config::new()).map_err(|error| error.to_string())
}

fn machine(shape: &Shape, engine: Engine, lend: Use<'_>) -> Result<(), String> {
    // For its host alone: CPUs, clock, pages.
    let kernel = embedded()?;
    let attached = Attached::new(shape, kernel.as_host())?;
    let machine = attached.machine(Setup::new().engine(engine).code(&CodePages))?;
    let packet = Memory::new(&packet());
    lend(&mut OnMachine { machine, attached: &attached, cpu: Cpu::new(()), packet })
}

struct OnMachine<'m> {
    machine: Machine<'m>,
    attached: &'m Attached,
    cpu: Cpu,
    packet: Memory,
}

impl Runner for OnMachine<'_> {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        let mut result = 0;
        for _ in 0..times {
            let run = self.machine.run(&mut self.cpu, Input::Memory(self.packet.bytes_mut()));
            result = run.map_err(|stop| stop.to_string())?;
        }
        u32::try_from(result).map_err(|_| format!("wrong result {result:#x}"))
    }

    fn counted(&self) -> Result<Option<u64>, String> {
        self.attached.counted()
    }
}

impl Runner for InKernel {
    fn run(&mut self, times: u32) -> Result<u32, String> {
        InKernel::run(self, times)
    }

    fn counted(&self) -> Result<Option<u64>, String> {
        InKernel::counted(self)
    }
}
