//! Running a case on a kernel behind the seam.

use crate::{Case, Input};
use skep_abi::{Errno, MapCreate, MapType, ProgLoad, ProgTestRun, ProgType};
use skep_isa::{Addr, AluOp, ByteOrder, Insn, InsnIdx, Operand, Program, RawInsn, Reg, Size, Width};
use skep_isa::{raw, structure};
use skep_sys::{CallError, Fd, Kernel, MapFd, ProgLoadMemory, TestRunMemory};

/// Bytes of a frame's header, which test runs of socket filters skip and those of XDP want.
const HEADER: usize = 14;

/// What came of a case.
pub(super) enum Outcome {
    Returned(u64, Vec<u8>),
    /// The run ended with this error.
    Failed(Errno),
    /// The program was not loaded; the log.
    Refused(Errno, String),
    NotHere(&'static str),
}

/// A case as it is loaded.
pub(super) struct Loaded {
    slots: Vec<RawInsn>,
    /// Slots before the case's own.
    before: u32,
    memory: Option<MapFd>,
    result: Option<MapFd>,
}

impl Loaded {
    /// Gives the case's slot of a slot as it was loaded.
    pub(super) fn slot(&self, at: u32) -> Option<u32> {
        at.checked_sub(self.before)
    }
}

/// Runs a case, and tells what it became.
pub(super) fn run(kernel: &Kernel, case: &Case) -> Result<(Outcome, Loaded), String> {
    let said = |error: CallError| format!("{error}");
    let loaded = prepare(kernel, case).map_err(said)?;
    let outcome = load_and_run(kernel, case, &loaded).map_err(said)?;
    Ok((outcome, loaded))
}

fn load_and_run(kernel: &Kernel, case: &Case, loaded: &Loaded) -> Result<Outcome, CallError> {
    let (kind, input) = match &case.input {
        Input::Memory(_) => (ProgType::SOCKET_FILTER, vec![0; HEADER]),
        Input::Context { meta, fields, .. } if !(meta.is_empty() && fields.is_empty()) => {
            return Ok(Outcome::NotHere("the context is not given"));
        }
        Input::Context { kind: ProgType::XDP, packet, .. } => (ProgType::XDP, packet.clone()),
        Input::Context { kind: ProgType::SOCKET_FILTER, packet, .. } => {
            (ProgType::SOCKET_FILTER, [&[0; HEADER][..], packet].concat())
        }
        Input::Context { .. } => return Ok(Outcome::NotHere("the type is not test-run with a packet")),
    };
    let insns = raw::to_bytes(&loaded.slots, ByteOrder::NATIVE).unwrap_or_default();
    let mut log = vec![0; 1 << 20];
    let memory = ProgLoadMemory { insns: &insns, license: "GPL", log: &mut log, ..Default::default() };
    let mut load = ProgLoad { prog_type: kind.0, log_level: 1, ..ProgLoad::default() };
    let program = match kernel.prog_load(&mut load, memory) {
        Ok(program) => program,
        Err(error) => {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            return Ok(Outcome::Refused(error.errno(), String::from_utf8_lossy(&log[..end]).into_owned()));
        }
    };
    let mut test = ProgTestRun::default();
    let mut data_out = vec![0; input.len() + 256];
    let memory = TestRunMemory { data_in: &input, data_out: &mut data_out, ..Default::default() };
    if let Err(error) = program.test_run(&mut test, memory) {
        return Ok(Outcome::Failed(error.errno()));
    }
    let left = match (&case.input, &loaded.memory) {
        (Input::Memory(bytes), Some(map)) => {
            let mut value = vec![0; map.shape().value_stride()];
            map.lookup(&[0; 4], &mut value, 0)?;
            value.truncate(bytes.len());
            value
        }
        (Input::Memory(_), None) => Vec::new(),
        (Input::Context { kind, .. }, _) => {
            let skipped = if *kind == ProgType::XDP { 0 } else { HEADER };
            data_out.get(skipped..test.data_size_out as usize).unwrap_or_default().to_vec()
        }
    };
    let number = match &loaded.result {
        Some(map) => {
            let mut value = [0; 8];
            map.lookup(&[0; 4], &mut value, 0)?;
            u64::from_ne_bytes(value)
        }
        None => u64::from(test.retval),
    };
    Ok(Outcome::Returned(number, left))
}

/// Puts around a program what gives it its memory and takes its whole r0.
fn prepare(kernel: &Kernel, case: &Case) -> Result<Loaded, CallError> {
    let Input::Memory(bytes) = &case.input else {
        return Ok(Loaded { slots: case.slots.clone(), before: 0, memory: None, result: None });
    };
    let memory = match bytes.len() {
        0 => None,
        len => {
            let map = array(kernel, len as u32)?;
            let mut value = vec![0; map.shape().value_stride()];
            value[..len].copy_from_slice(bytes);
            map.update(&[0; 4], &value, 0)?;
            Some(map)
        }
    };
    let result = array(kernel, 8)?;
    let set = |dst, imm| Insn::Alu { width: Width::W64, op: AluOp::Mov, dst, src: Operand::Imm(imm) };
    let value = |dst, fd: Fd| Insn::LoadAddr { dst, addr: Addr::MapValueFd { fd: fd.raw() as i32, off: 0 } };
    let epilogue = [
        value(Reg::R1, result.fd()),
        Insn::Store { size: Size::Dw, base: Reg::R1, off: 0, src: Operand::Reg(Reg::R0) },
        set(Reg::R0, 0),
        Insn::Exit,
    ];
    let first = memory.as_ref().map_or(set(Reg::R1, 0), |map| value(Reg::R1, map.fd()));
    let prologue = [first, set(Reg::R2, bytes.len() as i32), Insn::Goto { off: 5 }];
    let around: Vec<RawInsn> =
        prologue.iter().chain(&epilogue).flat_map(|insn| insn.encode().to_vec()).collect();
    let before = around.len();
    let end = before as i32 - 5;
    let mut slots = around;
    slots.extend(&case.slots);
    for at in exits_of_main(&case.slots) {
        let at = before + at.index();
        let off = end - at as i32 - 1;
        slots[at] = Insn::Goto { off: off as i16 }.encode().first();
    }
    Ok(Loaded { slots, before: before as u32, memory, result: Some(result) })
}

/// Finds the exits of the main function; none where the program does not hang together.
fn exits_of_main(slots: &[RawInsn]) -> Vec<InsnIdx> {
    let Ok(program) = Program::decode(slots) else { return Vec::new() };
    let Ok(structure) = structure::check(&program) else { return Vec::new() };
    let main = structure.subprograms()[0];
    let exits = program.iter().filter(|(at, insn)| *insn == Insn::Exit && main.contains(*at));
    exits.map(|(at, _)| at).collect()
}

fn array(kernel: &Kernel, value_size: u32) -> Result<MapFd, CallError> {
    let create = MapCreate {
        map_type: MapType::ARRAY.0,
        key_size: 4,
        value_size,
        max_entries: 1,
        ..MapCreate::default()
    };
    kernel.map_create(&create)
}
