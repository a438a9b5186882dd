//! Running a program on input of the caller's.

use crate::Program;
use crate::error::{Error, ErrorKind, Result};
use skep_abi::flags::BPF_F_TEST_XDP_LIVE_FRAMES;
use skep_abi::{Errno, ProgTestRun, ProgType};
use skep_model::platform::Platform;
use skep_model::platform::prog;
use skep_sys::TestRunMemory;

/// Room beyond the packet for what a program adds to it, where the caller names none: XDP programs get a page, the
/// growth of others is as small in practice.
const GROWTH: usize = 4096;

/// The input of a test run.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestRun<'i> {
    data: Option<&'i [u8]>,
    ctx: Option<&'i [u8]>,
    repeat: u32,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    room: Option<usize>,
}

/// What came of a test run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestOutput {
    /// What the program returned.
    pub retval: u32,
    /// Nanoseconds per run, as the kernel measured them over all repetitions; 0 for types that it does not measure.
    pub duration_ns: u32,
    /// The packet as the program left it; empty for types without one.
    pub data: Vec<u8>,
    /// The context as the program left it; empty unless one was given, and for types whose context cannot change.
    pub ctx: Vec<u8>,
}

impl<'i> TestRun<'i> {
    /// Starts with no input.
    pub fn new() -> TestRun<'i> {
        TestRun::default()
    }

    /// Starts with a packet.
    pub fn packet(data: &'i [u8]) -> TestRun<'i> {
        TestRun::default().with_data(data)
    }

    /// Gives a packet: at least the 14 bytes of an Ethernet header.
    #[must_use]
    pub fn with_data(mut self, data: &'i [u8]) -> TestRun<'i> {
        self.data = Some(data);
        self
    }

    /// Gives a context struct: of XDP since Linux 5.15; for raw tracepoints and syscall programs the arguments.
    #[must_use]
    pub fn with_ctx(mut self, ctx: &'i [u8]) -> TestRun<'i> {
        self.ctx = Some(ctx);
        self
    }

    /// Runs it so many times.
    #[must_use]
    pub fn repeat(mut self, times: u32) -> TestRun<'i> {
        self.repeat = times;
        self
    }

    /// Sets `BPF_F_TEST_*` flags.
    #[must_use]
    pub fn with_flags(mut self, flags: u32) -> TestRun<'i> {
        self.flags = flags;
        self
    }

    /// Runs it on that CPU (raw tracepoints).
    #[must_use]
    pub fn on_cpu(mut self, cpu: u32) -> TestRun<'i> {
        self.cpu = cpu;
        self.flags |= skep_abi::flags::BPF_F_TEST_RUN_ON_CPU;
        self
    }

    /// Sends the packets that an XDP program makes on their way, instead of looking at what became of them: they are
    /// dropped, handed to the network stack, sent or redirected as the program says, with the interface of its context
    /// (Linux 5.18). `repeat` says how many there are.
    #[must_use]
    pub fn live_frames(mut self) -> TestRun<'i> {
        self.flags |= BPF_F_TEST_XDP_LIVE_FRAMES;
        self
    }

    /// Handles so many live frames at once, 256 at most; by default 64.
    #[must_use]
    pub fn batch_size(mut self, frames: u32) -> TestRun<'i> {
        self.batch_size = frames;
        self
    }

    /// Makes room for a packet of so many bytes to come out; by default 4,096 more than went in.
    #[must_use]
    pub fn with_room(mut self, bytes: usize) -> TestRun<'i> {
        self.room = Some(bytes);
        self
    }
}

pub(crate) fn run(program: &Program, run: &TestRun<'_>) -> Result<TestOutput> {
    let row = Platform::LINUX_6_18.prog(program.prog_type());
    if row.is_some_and(|row| row.test_run == prog::TestRun::No) {
        let what = format!("programs of type {} cannot be test-run", program.prog_type());
        return Err(Error::new(ErrorKind::Unsupported, what)
            .with_errno(Errno::ENOTSUPP)
            .in_program(program.name()));
    }
    // Types that take no packet refuse room for one.
    let wants_data = run.room.is_some() || run.data.is_some();
    // Of frames that went their way nothing comes back.
    let is_live = run.flags & BPF_F_TEST_XDP_LIVE_FRAMES != 0;
    let room = match run.room {
        _ if is_live => 0,
        Some(room) => room,
        None => run.data.map_or(0, |data| data.len().saturating_add(GROWTH)),
    };
    let takes_ctx_out = row.is_some_and(|row| row.test_run == prog::TestRun::Packet) && !is_live;
    let fail = |error| program.error("BPF_PROG_TEST_RUN", error);
    let mut data_out = buffer(if wants_data { room } else { 0 }).map_err(|e| fail(e.into()))?;
    let mut ctx_out =
        buffer(run.ctx.filter(|_| takes_ctx_out).map_or(0, <[u8]>::len)).map_err(|e| fail(e.into()))?;
    let ctx = run.ctx.unwrap_or_default();
    let mut ctx_in = buffer(ctx.len()).map_err(|e| fail(e.into()))?;
    ctx_in.copy_from_slice(ctx);
    let mut attr = ProgTestRun {
        repeat: run.repeat,
        flags: run.flags,
        cpu: run.cpu,
        batch_size: run.batch_size,
        ..ProgTestRun::default()
    };
    let memory = TestRunMemory {
        data_in: run.data.unwrap_or_default(),
        data_out: &mut data_out,
        ctx_in: &mut ctx_in,
        ctx_out: &mut ctx_out,
    };
    program.fd().test_run(&mut attr, memory).map_err(|error| match error.errno() {
        Errno::ENOSPC => {
            let needed = attr.data_size_out;
            fail(error).hint(&format!("{needed} bytes came out, more than TestRun::with_room made room for"))
        }
        _ => fail(error),
    })?;
    data_out.truncate(attr.data_size_out as usize);
    ctx_out.truncate(attr.ctx_size_out as usize);
    // The arguments of these come back where they were (`bpf_prog_test_run_syscall`, net/bpf/test_run.c).
    let ctx = if program.prog_type() == ProgType::SYSCALL { ctx_in } else { ctx_out };
    Ok(TestOutput { retval: attr.retval, duration_ns: attr.duration, data: data_out, ctx })
}

fn buffer(len: usize) -> std::result::Result<Vec<u8>, Errno> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
    buffer.resize(len, 0);
    Ok(buffer)
}
