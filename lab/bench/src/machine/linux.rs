//! The running Linux: its verifier and JIT, by test runs of a socket filter around the program.
//!
//! The memory is an array's value, which the filter gives the program as its argument; the result goes into another. So
//! a run costs a local call and a store more, and "compile" is the whole load, most of it the verifier's.

use super::engine::{Engine, Prepared, Runner, Task};
use crate::clock::Stopwatch;
use skep_abi::{MapCreate, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_isa::{Addr, AluOp, ByteOrder, Insn, Operand, RawInsn, Reg, Size, Width, raw};
use skep_sys::{CallError, Fd, Kernel, MapFd, ProgFd, ProgLoadMemory, TestRunMemory};

/// The running Linux.
pub(super) struct Linux;

/// The verifier's log has no more than this: its reason and its counts.
const LOG: usize = 1 << 16;
/// Level of the log: reasons and counts (`BPF_LOG_STATS` in `include/linux/bpf_verifier.h`).
const BPF_LOG_STATS: u32 = 4;
/// What a test run's packet has at least: an Ethernet header.
const PACKET: [u8; 14] = [0; 14];

impl Engine for Linux {
    fn name(&self) -> &'static str {
        "linux"
    }

    fn about(&self) -> &'static str {
        "the running Linux, verified; compile is the whole load"
    }

    fn prepare<'t>(&self, task: &'t Task) -> Result<Prepared<'t>, String> {
        let kernel = skep_linux::kernel();
        let content = task.program.memory();
        let maps = array(&kernel, content.len()).and_then(|memory| Ok((memory, array(&kernel, 8)?)));
        let (memory, result) = maps.map_err(|error| error.to_string())?;
        let mut value = vec![0; memory.shape().value_stride()];
        value[..content.len()].copy_from_slice(&content);
        memory.update(&[0; 4], &value, 0).map_err(|error| error.to_string())?;
        let slots = surround(&task.bytecode, &memory, content.len(), &result)?;
        let insns = raw::to_bytes(&slots, ByteOrder::NATIVE).map_err(|error| error.to_string())?;
        let start = Stopwatch::start();
        let program = load(&kernel, &insns)?;
        let compile = Some(start.elapsed());
        Ok(Prepared { runner: Box::new(Loaded { program, memory, result, len: content.len() }), compile })
    }
}

fn load(kernel: &Kernel, insns: &[u8]) -> Result<ProgFd, String> {
    let load = ProgLoad { prog_type: ProgType::SOCKET_FILTER.0, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns, license: "GPL", ..ProgLoadMemory::default() };
    kernel.prog_load(&mut { load }, memory).map_err(|error| {
        // Once more, for its reason alone: no states, no instructions.
        let mut log = vec![0; LOG];
        let mut load = ProgLoad { log_level: BPF_LOG_STATS, ..load };
        let memory = ProgLoadMemory { insns, license: "GPL", log: &mut log, ..ProgLoadMemory::default() };
        let _ = kernel.prog_load(&mut load, memory);
        let text = String::from_utf8_lossy(&log);
        format!("refused ({}): {}", error.errno(), text.lines().next().unwrap_or_default())
    })
}

fn array(kernel: &Kernel, value_size: usize) -> Result<MapFd, CallError> {
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size: value_size as u32,
        max_entries: 1,
        ..MapCreate::default()
    };
    kernel.map_create(&create)
}

/// Puts a main function before a program, which becomes a function that it calls.
fn surround(bytecode: &[u8], memory: &MapFd, len: usize, result: &MapFd) -> Result<Vec<RawInsn>, String> {
    let program = raw::from_bytes(bytecode, ByteOrder::Little).map_err(|error| error.to_string())?;
    let set = |dst, imm| Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) };
    let value = |dst, fd: Fd| Insn::LoadAddr { dst, addr: Addr::MapValueFd { fd: fd.raw() as i32, off: 0 } };
    let encode =
        |insns: &[Insn]| -> Vec<RawInsn> { insns.iter().flat_map(|insn| insn.encode().to_vec()).collect() };
    let after = encode(&[
        value(Reg::R1, result.fd()),
        Insn::Store { size: Size::Dw, base: Reg::R1, off: 0, src: Operand::Reg(Reg::R0) },
        set(Reg::R0, 0),
        Insn::Exit,
    ]);
    let call = Insn::CallLocal { off: after.len() as i32 };
    let before = encode(&[value(Reg::R1, memory.fd()), set(Reg::R2, len as i32), call]);
    Ok([before, after, program].concat())
}

struct Loaded {
    program: ProgFd,
    memory: MapFd,
    result: MapFd,
    len: usize,
}

impl Runner for Loaded {
    fn run(&mut self, times: u64) -> Result<u64, String> {
        let repeat = u32::try_from(times).map_err(|_| "too many runs for one test run")?;
        let mut run = ProgTestRun { repeat, ..ProgTestRun::default() };
        let memory = TestRunMemory { data_in: &PACKET, ..TestRunMemory::default() };
        self.program.test_run(&mut run, memory).map_err(|error| error.to_string())?;
        let mut value = [0; 8];
        self.result.lookup(&[0; 4], &mut value, 0).map_err(|error| error.to_string())?;
        Ok(u64::from_ne_bytes(value))
    }

    fn memory(&self) -> Result<Vec<u8>, String> {
        let mut value = vec![0; self.memory.shape().value_stride()];
        self.memory.lookup(&[0; 4], &mut value, 0).map_err(|error| error.to_string())?;
        value.truncate(self.len);
        Ok(value)
    }
}
