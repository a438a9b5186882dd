//! Running a case on a kernel behind the seam.

use crate::{Case, Expected, Input};
use skep_abi::{Errno, MapCreate, MapType, ProgLoad, ProgTestRun, ProgType, XdpMd};
use skep_isa::{Addr, AluOp, ByteOrder, Insn, InsnIdx, Operand, Program, RawInsn, Reg, Size, Width};
use skep_isa::{raw, structure};
use skep_sys::{CallError, Fd, Kernel, MapFd, ProgLoadMemory, TestRunMemory};
use zerocopy::IntoBytes;

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
    /// The only exit of the main function, if it has one.
    exit: Option<u32>,
    memory: Option<MapFd>,
    result: Option<MapFd>,
}

impl Loaded {
    /// Gives the case's slot of a slot as it was loaded.
    ///
    /// What was put before the program reads r0, so if that is wrong, it is where the case exits.
    pub(super) fn slot(&self, at: u32) -> Option<u32> {
        at.checked_sub(self.before).or(self.exit)
    }
}

/// What a case that returns this number does behind the seam: a test run gives 32 bits of what a program with a context
/// returns.
pub(super) fn returns(case: &Case, number: u64) -> Expected {
    match case.input {
        Input::Memory(_) => Expected::Returns(number),
        Input::Context { .. } => Expected::Returns(u64::from(number as u32)),
    }
}

/// What a test run is given.
struct TestRun {
    kind: ProgType,
    data: Vec<u8>,
    /// Bytes of the data before the packet.
    before: usize,
    context: Option<XdpMd>,
}

impl TestRun {
    /// None where a test run cannot give this.
    fn new(input: &Input) -> Option<TestRun> {
        let (kind, meta, packet, fields) = match input {
            Input::Memory(_) => {
                let (kind, data) = (ProgType::SOCKET_FILTER, vec![0; HEADER]);
                return Some(TestRun { kind, data, before: HEADER, context: None });
            }
            Input::Context { kind, meta, packet, fields } => (*kind, meta, packet, fields),
        };
        match kind {
            ProgType::SOCKET_FILTER if meta.is_empty() && fields.is_empty() => {
                let data = [&[0; HEADER][..], packet].concat();
                Some(TestRun { kind, data, before: HEADER, context: None })
            }
            ProgType::XDP => {
                let data = [&meta[..], packet].concat();
                let (before, end) = (meta.len(), data.len() as u32);
                let mut context = XdpMd { data: before as u32, data_end: end, ..XdpMd::default() };
                for (name, value) in fields {
                    match name.as_str() {
                        "ingress_ifindex" => context.ingress_ifindex = *value as u32,
                        "rx_queue_index" => context.rx_queue_index = *value as u32,
                        _ => return None,
                    }
                }
                Some(TestRun { kind, data, before, context: Some(context) })
            }
            _ => None,
        }
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
    let Some(run) = TestRun::new(&case.input) else {
        return Ok(Outcome::NotHere("the context is not given"));
    };
    let insns = raw::to_bytes(&loaded.slots, ByteOrder::NATIVE).unwrap_or_default();
    let mut log = vec![0; 1 << 20];
    let memory = ProgLoadMemory { insns: &insns, license: "GPL", log: &mut log, ..Default::default() };
    let mut load = ProgLoad { prog_type: run.kind.0, log_level: 1, ..ProgLoad::default() };
    let program = match kernel.prog_load(&mut load, memory) {
        Ok(program) => program,
        Err(error) => {
            let end = log.iter().position(|&byte| byte == 0).unwrap_or(log.len());
            return Ok(Outcome::Refused(error.errno(), String::from_utf8_lossy(&log[..end]).into_owned()));
        }
    };
    let mut test = ProgTestRun::default();
    let mut data_out = vec![0; run.data.len() + 256];
    let mut context = run.context.as_ref().map(|context| context.as_bytes().to_vec()).unwrap_or_default();
    let memory = TestRunMemory {
        data_in: &run.data,
        data_out: &mut data_out,
        ctx_in: &mut context,
        ..Default::default()
    };
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
        (Input::Context { .. }, _) => {
            data_out.get(run.before..test.data_size_out as usize).unwrap_or_default().to_vec()
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
        return Ok(Loaded { slots: case.slots.clone(), before: 0, exit: None, memory: None, result: None });
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
    let exits = exits_of_main(&case.slots);
    for at in &exits {
        let at = before + at.index();
        let off = end - at as i32 - 1;
        let back = i16::try_from(off).map_or(Insn::Gotol { off }, |off| Insn::Goto { off });
        slots[at] = back.encode().first();
    }
    let exit = match exits[..] {
        [exit] => Some(exit.0),
        _ => None,
    };
    Ok(Loaded { slots, before: before as u32, exit, memory, result: Some(result) })
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
