//! rbpf's four machines, each of which is one input of the one machine.

use crate::lib::{Any, Error};
use crate::{Helper, StackUsageCalculator, Verifier, ebpf, lent, verifier};
use skep_isa::{ByteOrder, Insn};
use skep_machine::{
    Code, Cpu, Engine, Input, Machine, Program, Setup, SetupError, SetupErrorKind, Stop, StopKind,
};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// The memory for machine code that this system gives.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
const CODE: Option<&dyn Code> = Some(&skep_embedded::CodePages);
#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
const CODE: Option<&dyn Code> = None;

/// What stands in for rbpf's compilers: machine code, where there is any.
fn compiled() -> Engine {
    if CODE.is_some() && Engine::Jit.is_here() { Engine::Jit } else { Engine::Interpreter }
}

/// Whether a program was compiled; what rbpf asks for before it runs it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compiled {
    No,
    Yes,
}

/// What all four have.
struct Common<'a> {
    prog: Option<&'a [u8]>,
    verifier: Verifier,
    helpers: BTreeMap<u32, Helper>,
    allowed: Vec<Range<u64>>,
    stack: Option<(StackUsageCalculator, Box<dyn Any>)>,
    stack_bytes: u32,
    jit: Compiled,
    cranelift: Compiled,
}

impl<'a> Common<'a> {
    fn new(prog: Option<&'a [u8]>) -> Result<Common<'a>, Error> {
        prog.map_or(Ok(()), verifier::check)?;
        Ok(Common {
            prog,
            verifier: verifier::check,
            helpers: BTreeMap::new(),
            allowed: Vec::new(),
            stack: None,
            stack_bytes: ebpf::STACK_SIZE as u32,
            jit: Compiled::No,
            cranelift: Compiled::No,
        })
    }

    fn set_program(&mut self, prog: &'a [u8]) -> Result<(), Error> {
        (self.verifier)(prog)?;
        self.prog = Some(prog);
        self.measure_stack();
        Ok(())
    }

    fn set_verifier(&mut self, verifier: Verifier) -> Result<(), Error> {
        self.prog.map_or(Ok(()), verifier)?;
        self.verifier = verifier;
        Ok(())
    }

    fn set_stack(&mut self, calculator: StackUsageCalculator, data: Box<dyn Any>) {
        self.stack = Some((calculator, data));
        self.measure_stack();
    }

    /// Gives every function as much stack as the one that wants most.
    fn measure_stack(&mut self) {
        let (Some(prog), Some((calculator, data))) = (self.prog, &mut self.stack) else { return };
        let program = Program::from_bytes(prog, ByteOrder::Little);
        let starts = program.iter().flat_map(|program| program.functions());
        let most = starts.map(|function| calculator(prog, function.start.index(), &mut **data)).max();
        self.stack_bytes = u32::from(most.unwrap_or(0)).max(8).next_multiple_of(8);
    }

    fn program(&self) -> Result<Program, Error> {
        let none = || Error::other("Error: No program set, call prog_set() to load one");
        Program::from_bytes(self.prog.ok_or_else(none)?, ByteOrder::Little).map_err(|error| other(&error))
    }

    fn setup(&self, engine: Engine) -> Setup<'_> {
        let mut setup = Setup::new().engine(engine).stack_bytes(self.stack_bytes);
        if let Some(code) = CODE {
            setup = setup.code(code);
        }
        for (&id, &helper) in &self.helpers {
            let run = move |_: &mut (), [a, b, c, d, e]: [u64; 5]| Ok(helper(a, b, c, d, e));
            setup = setup.helper(id, skep_machine::Helper::numbers("helper", run));
        }
        for range in &self.allowed {
            let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
            if let Some(bytes) = lent::bytes(range.start, len) {
                setup = setup.memory(bytes);
            }
        }
        setup
    }

    fn load(&self, engine: Engine) -> Result<Machine<'_>, Error> {
        self.setup(engine).load(self.program()?).map_err(|error| in_words(&error))
    }

    fn run(&self, engine: Engine, input: Input<'_>) -> Result<u64, Error> {
        self.load(engine)?.run(&mut Cpu::default(), input).map_err(|stop| self.stopped(&stop))
    }

    /// Says in rbpf's words what stopped a run; it counts an instruction once it has been fetched.
    fn stopped(&self, stop: &Stop) -> Error {
        if stop.kind() != StopKind::OutOfBounds {
            return other(stop);
        }
        let insn = self.program().ok().and_then(|program| program.code().at(stop.at()));
        let access = if matches!(insn, Some(Insn::Load { .. })) { "load" } else { "store" };
        let at = stop.at().0 + 1;
        Error::other(format!("Error: out of bounds memory {access} (insn #{at}), {}", stop.message()))
    }

    fn compile(&self, prefix: &str) -> Result<Compiled, Error> {
        let words = |error: Error| error.to_string().replace("unsupported call", "unexpected call");
        self.load(compiled())
            .map(|_| Compiled::Yes)
            .map_err(|error| Error::other(format!("[{prefix}] {}", words(error))))
    }
}

fn other(error: &dyn fmt::Display) -> Error {
    Error::other(format!("Error: {error}"))
}

fn in_words(error: &SetupError) -> Error {
    match error.kind {
        SetupErrorKind::UnknownHelper { id } => {
            Error::other(format!("Error: unknown helper function (id: {id:#x})"))
        }
        SetupErrorKind::Unsupported { what: "a call of a kernel function" } => {
            let at = error.at.map_or(0, |at| at.0);
            Error::other(format!("Error: unsupported call type #2 (insn #{at})"))
        }
        _ => other(error),
    }
}

fn not_compiled(compiled: Compiled, how: &str) -> Result<(), Error> {
    match compiled {
        Compiled::Yes => Ok(()),
        Compiled::No => Err(Error::other(format!("Error: program has not been {how}-compiled"))),
    }
}

/// Gives memory as an input; rbpf passes null for none.
fn memory(mem: &mut [u8]) -> Input<'_> {
    if mem.is_empty() { Input::None } else { Input::Memory(mem) }
}

/// Defines what is the same in all four.
macro_rules! common {
    ($vm:ident) => {
        impl<'a> $vm<'a> {
            /// Sets the verifier, and asks it about the program.
            ///
            /// # Errors
            ///
            /// What it says.
            pub fn set_verifier(&mut self, verifier: Verifier) -> Result<(), Error> {
                self.common.set_verifier(verifier)
            }

            /// Lets a function say how much stack functions use.
            ///
            /// # Errors
            ///
            /// None.
            pub fn set_stack_usage_calculator(
                &mut self,
                calculator: StackUsageCalculator,
                data: Box<dyn Any>,
            ) -> Result<(), Error> {
                self.common.set_stack(calculator, data);
                Ok(())
            }

            /// Lets programs call a function.
            ///
            /// # Errors
            ///
            /// None.
            pub fn register_helper(&mut self, key: u32, function: Helper) -> Result<(), Error> {
                self.common.helpers.insert(key, function);
                Ok(())
            }

            /// Lets programs touch memory at these addresses, which must stay that for as long as programs run.
            pub fn register_allowed_memory(&mut self, addrs_range: Range<u64>) {
                self.common.allowed.push(addrs_range);
            }

            /// Compiles the program, for whatever engine there is.
            ///
            /// # Errors
            ///
            /// Says why it cannot be.
            pub fn jit_compile(&mut self) -> Result<(), Error> {
                self.common.jit = self.common.compile("JIT")?;
                Ok(())
            }

            /// Compiles the program, for whatever engine there is.
            ///
            /// # Errors
            ///
            /// Says why it cannot be.
            pub fn cranelift_compile(&mut self) -> Result<(), Error> {
                self.common.cranelift = self.common.compile("CRANELIFT")?;
                Ok(())
            }
        }

        impl fmt::Debug for $vm<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($vm)).field("prog", &self.common.prog).finish_non_exhaustive()
            }
        }
    };
}

/// Is a machine whose input is metadata that the caller fills: [`Input::Metadata`].
pub struct EbpfVmMbuff<'a> {
    common: Common<'a>,
}

common!(EbpfVmMbuff);

impl<'a> EbpfVmMbuff<'a> {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn new(prog: Option<&'a [u8]>) -> Result<EbpfVmMbuff<'a>, Error> {
        Ok(EbpfVmMbuff { common: Common::new(prog)? })
    }

    /// Sets the program.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn set_program(&mut self, prog: &'a [u8]) -> Result<(), Error> {
        self.common.set_program(prog)
    }

    /// Runs the program on memory that it may only read, for it is lent so, and on a copy of the metadata.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped.
    pub fn execute_program(&self, mem: &[u8], mbuff: &[u8]) -> Result<u64, Error> {
        let lent = lent::bytes(mem.as_ptr().expose_provenance() as u64, mem.len());
        let mut setup = self.common.setup(Engine::Interpreter);
        if let Some(bytes) = lent {
            setup = setup.read_only_memory(bytes);
        }
        let machine = setup.load(self.common.program()?).map_err(|error| in_words(&error))?;
        let mut copy = mbuff.to_vec();
        machine.run(&mut Cpu::default(), memory(&mut copy)).map_err(|stop| self.common.stopped(&stop))
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped, or that it was not compiled.
    pub fn execute_program_jit(&self, mem: &mut [u8], mbuff: &mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.jit, "JIT")?;
        self.common.run(compiled(), Input::Metadata { buffer: mbuff, memory: mem })
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// As [`execute_program_jit`](Self::execute_program_jit).
    pub fn execute_program_cranelift(&self, mem: &mut [u8], mbuff: &mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.cranelift, "Cranelift")?;
        self.common.run(compiled(), Input::Metadata { buffer: mbuff, memory: mem })
    }
}

/// Is a machine whose input is metadata that it fills itself: [`Input::FixedMetadata`].
pub struct EbpfVmFixedMbuff<'a> {
    common: Common<'a>,
    buffer: Vec<u8>,
    data: usize,
    data_end: usize,
}

common!(EbpfVmFixedMbuff);

impl<'a> EbpfVmFixedMbuff<'a> {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn new(
        prog: Option<&'a [u8]>,
        data_offset: usize,
        data_end_offset: usize,
    ) -> Result<EbpfVmFixedMbuff<'a>, Error> {
        let (data, data_end) = (data_offset, data_end_offset);
        let buffer = vec![0; data.max(data_end) + 8];
        Ok(EbpfVmFixedMbuff { common: Common::new(prog)?, buffer, data, data_end })
    }

    /// Sets the program, and where the addresses go.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn set_program(
        &mut self,
        prog: &'a [u8],
        data_offset: usize,
        data_end_offset: usize,
    ) -> Result<(), Error> {
        (self.data, self.data_end) = (data_offset, data_end_offset);
        self.buffer = vec![0; data_offset.max(data_end_offset) + 8];
        self.common.set_program(prog)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped.
    pub fn execute_program(&mut self, mem: &'a mut [u8]) -> Result<u64, Error> {
        self.execute(Engine::Interpreter, mem)
    }

    fn execute(&mut self, engine: Engine, memory: &mut [u8]) -> Result<u64, Error> {
        let (data, data_end) = (self.data, self.data_end);
        self.common.run(engine, Input::FixedMetadata { buffer: &mut self.buffer, data, data_end, memory })
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped, or that it was not compiled.
    pub fn execute_program_jit(&mut self, mem: &'a mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.jit, "JIT")?;
        self.execute(compiled(), mem)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// As [`execute_program_jit`](Self::execute_program_jit).
    pub fn execute_program_cranelift(&mut self, mem: &'a mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.cranelift, "Cranelift")?;
        self.execute(compiled(), mem)
    }
}

/// Is a machine whose input is memory: [`Input::Memory`].
pub struct EbpfVmRaw<'a> {
    common: Common<'a>,
}

common!(EbpfVmRaw);

impl<'a> EbpfVmRaw<'a> {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn new(prog: Option<&'a [u8]>) -> Result<EbpfVmRaw<'a>, Error> {
        Ok(EbpfVmRaw { common: Common::new(prog)? })
    }

    /// Sets the program.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn set_program(&mut self, prog: &'a [u8]) -> Result<(), Error> {
        self.common.set_program(prog)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped.
    pub fn execute_program(&self, mem: &'a mut [u8]) -> Result<u64, Error> {
        self.common.run(Engine::Interpreter, memory(mem))
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped, or that it was not compiled.
    pub fn execute_program_jit(&self, mem: &'a mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.jit, "JIT")?;
        self.common.run(compiled(), memory(mem))
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// As [`execute_program_jit`](Self::execute_program_jit).
    pub fn execute_program_cranelift(&self, mem: &'a mut [u8]) -> Result<u64, Error> {
        not_compiled(self.common.cranelift, "Cranelift")?;
        self.common.run(compiled(), memory(mem))
    }
}

/// Is a machine without an input: [`Input::None`].
pub struct EbpfVmNoData<'a> {
    common: Common<'a>,
}

common!(EbpfVmNoData);

impl<'a> EbpfVmNoData<'a> {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn new(prog: Option<&'a [u8]>) -> Result<EbpfVmNoData<'a>, Error> {
        Ok(EbpfVmNoData { common: Common::new(prog)? })
    }

    /// Sets the program.
    ///
    /// # Errors
    ///
    /// What the verifier says.
    pub fn set_program(&mut self, prog: &'a [u8]) -> Result<(), Error> {
        self.common.set_program(prog)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped.
    pub fn execute_program(&self) -> Result<u64, Error> {
        self.common.run(Engine::Interpreter, Input::None)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// Says on which instruction it was stopped, or that it was not compiled.
    pub fn execute_program_jit(&self) -> Result<u64, Error> {
        not_compiled(self.common.jit, "JIT")?;
        self.common.run(compiled(), Input::None)
    }

    /// Runs the program.
    ///
    /// # Errors
    ///
    /// As [`execute_program_jit`](Self::execute_program_jit).
    pub fn execute_program_cranelift(&self) -> Result<u64, Error> {
        not_compiled(self.common.cranelift, "Cranelift")?;
        self.common.run(compiled(), Input::None)
    }
}
