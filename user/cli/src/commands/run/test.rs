//! Runs on input of the user's: `BPF_PROG_TEST_RUN`, which the embedded kernel has as well.

use super::dump::{Queues, dump};
use super::events::Buffers;
use super::{admit, describe, in_file, load, verdict};
use crate::args::RunArgs;
use crate::capture::{Capture, ETHERNET, Packet, Writer};
use crate::failure::{Failure, Place};
use crate::json;
use crate::kernel::{self, Target};
use crate::object;
use crate::shapes::run::{Event, NsPerRun, RunError, RunReport};
use crate::source::Lines;
use skep::{Errno, Literal, Loaded, Object, ProgType, Program, TestOutput, TestRun};
use skep_embedded::Fault;
use skep_model::platform::Platform;
use skep_model::platform::prog;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::Instant;

/// The variable that takes each packet's time.
const CLOCK: &str = "skep_now_ns";

/// What runs add up to.
#[derive(Default)]
struct Tally {
    runs: u64,
    returns: BTreeMap<i32, u64>,
    /// What each packet of a capture got, in order.
    verdicts: Vec<u32>,
    times_ns: Vec<f64>,
    last: Option<TestOutput>,
}

impl Tally {
    fn add(&mut self, output: TestOutput, repeat: u32) {
        self.runs += u64::from(repeat);
        *self.returns.entry(output.retval as i32).or_default() += u64::from(repeat);
        self.times_ns.push(output.duration_ns.into());
        self.last = Some(output);
    }
}

/// Loads the object and runs the program on the input.
///
/// # Errors
/// Says what of the input is bad, or what the kernel refused.
pub(super) fn run(object: &Object, name: &str, args: &RunArgs) -> Result<RunReport, Failure> {
    let input = Input::read(args)?;
    let target = kernel::target(args.on, admit(args)?)?;
    let (loaded, mut report) = load(&target, object, args)?;
    let program = loaded.program(name)?;
    describe(&mut report, program, args.on)?;
    report.text.unit = input.unit();
    let buffers = Buffers::open(object, &loaded)?;
    let mut bench = Bench {
        target: &target,
        object,
        loaded: &loaded,
        program,
        buffers,
        events: Vec::new(),
        printed: Vec::new(),
    };
    let mut tally = Tally::default();
    let outcome = match &input {
        Input::Data(bytes) => bench.data(bytes, args.repeat, &mut tally),
        Input::Capture(path, capture) => bench.capture(path, capture, args, &mut tally),
    };
    match outcome {
        Ok(()) => {}
        Err(Stop::Fault(error)) => report.error = Some(*error),
        Err(Stop::Failure(failure)) => return Err(failure),
    }
    let Bench { buffers, events, printed, .. } = bench;
    if let (Input::Data(_), Some(last)) = (&input, &tally.last) {
        match takes_packet(program) {
            true => report.data_out = Some(json::hex(&last.data)),
            false if !last.ctx.is_empty() => report.ctx_out = Some(json::hex(&last.ctx)),
            false => {}
        }
    }
    report.runs = tally.runs;
    report.verdicts = matches!(input, Input::Capture(..)).then_some(tally.verdicts);
    report.returned = tally.last.as_ref().map(|last| format!("{:#x}", last.retval));
    for (value, count) in tally.returns {
        report.returns.insert(verdict(program.prog_type(), value as u32), count.into());
    }
    report.ns_per_run = NsPerRun::of(tally.times_ns);
    report.lost_events = Some(buffers.lost());
    report.events = Some(events);
    report.printk = target.printed().map(|rest| [printed, rest].concat());
    dump(object, &loaded, Queues::Emptied, &mut report)?;
    Ok(report)
}

fn takes_packet(program: &Program) -> bool {
    let row = Platform::LINUX_6_18.prog(program.prog_type());
    row.is_some_and(|row| row.test_run == prog::TestRun::Packet)
}

/// Why there are no more runs.
enum Stop {
    /// The program did something wrong.
    Fault(Box<RunError>),
    /// The run could not be made.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Stop {
        Stop::Failure(failure)
    }
}

/// A program being run, and what it leaves on the way.
struct Bench<'a> {
    target: &'a Target,
    object: &'a Object,
    loaded: &'a Loaded,
    program: &'a Program,
    buffers: Buffers<'a>,
    events: Vec<Event>,
    printed: Vec<String>,
}

impl Bench<'_> {
    fn data(&mut self, bytes: &[u8], repeat: u32, tally: &mut Tally) -> Result<(), Stop> {
        if takes_packet(self.program) {
            let output = self.once(&TestRun::packet(bytes).repeat(repeat))?;
            tally.add(output, repeat);
            return Ok(());
        }
        // Kernels repeat runs on packets only.
        for _ in 0..repeat {
            let start = Instant::now();
            let mut output = self.once(&TestRun::new().with_ctx(bytes))?;
            output.duration_ns = u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX);
            tally.add(output, 1);
        }
        Ok(())
    }

    fn capture(
        &mut self,
        path: &Path,
        capture: &Capture,
        args: &RunArgs,
        tally: &mut Tally,
    ) -> Result<(), Stop> {
        let mut writer = args.write.as_deref().map(Kept::create).transpose()?;
        let clock = self.loaded.global(CLOCK).ok();
        for (index, packet) in capture.packets().enumerate() {
            if let Some(clock) = &clock {
                clock.set_to(Literal::Int(packet.time_ns.into())).map_err(Failure::from)?;
            }
            let test = TestRun::packet(packet.data).repeat(args.repeat);
            let output = self.once(&test).map_err(|stop| stop.at_packet(path, index))?;
            if let Some(writer) = &mut writer {
                writer.keep(self.program.prog_type(), packet, &output)?;
            }
            tally.verdicts.push(output.retval);
            tally.add(output, args.repeat);
        }
        match writer {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }

    /// Runs once, and takes what the run has written before there is no room left.
    fn once(&mut self, test: &TestRun<'_>) -> Result<TestOutput, Stop> {
        let result = self.program.test_run(test);
        let events = &mut self.events;
        self.buffers.drain(|event| events.push(event));
        self.printed.extend(self.target.printed().unwrap_or_default());
        result.map_err(|error| match self.target.fault() {
            // What the kernel answers to a run that its machine has stopped.
            Some(fault) if error.errno() == Some(Errno::EFAULT) => {
                Stop::Fault(Box::new(self.explain(&fault)))
            }
            _ => Stop::Failure(error.into()),
        })
    }
}

impl Bench<'_> {
    /// Names the program and the line of a fault, which after a tail call is another program's.
    fn explain(&self, fault: &Fault) -> RunError {
        let is_it = |program: &&Program| program.info().is_ok_and(|info| info.id == fault.program);
        let found = self.loaded.programs().find(is_it).map(Program::name);
        let spec = found.and_then(|name| self.object.program(name).ok());
        RunError {
            kind: fault.kind.code().to_owned(),
            insn: Some(fault.at.0),
            message: fault.kind.to_string(),
            program: found.filter(|&name| name != self.program.name()).map(str::to_owned),
            source: spec.and_then(|spec| Lines::of(self.object.btf(), spec).covering(fault.at)),
        }
    }
}

impl Stop {
    /// Says which packet it was, counted from 1 as other tools do.
    fn at_packet(self, path: &Path, index: usize) -> Stop {
        match self {
            Stop::Fault(mut error) => {
                error.message = format!("packet {}: {}", index + 1, error.message);
                Stop::Fault(error)
            }
            Stop::Failure(failure) => Stop::Failure(numbered(failure, path, index)),
        }
    }
}

enum Input<'a> {
    Data(Vec<u8>),
    Capture(&'a Path, Capture),
}

impl Input<'_> {
    /// What a run is called.
    fn unit(&self) -> &'static str {
        match self {
            Input::Data(_) => "run",
            Input::Capture(..) => "packet",
        }
    }

    /// Reads the input, before anything is loaded.
    fn read(args: &RunArgs) -> Result<Input<'_>, Failure> {
        match (&args.data, &args.pcap) {
            (Some(path), _) => Ok(Input::Data(object::read(path)?)),
            (None, Some(path)) => {
                let capture = Capture::parse(object::read(path)?).map_err(|error| {
                    Failure::bad("capture", &error.problem).at(in_file(path, error.offset))
                })?;
                let other = capture.packets().position(|packet| packet.link_type != ETHERNET);
                if let Some(index) = other {
                    let failure = Failure::bad("capture", "wanted Ethernet frames, found another link type");
                    return Err(numbered(failure, path, index));
                }
                Ok(Input::Capture(path, capture))
            }
            (None, None) => Err(Failure::usage("wanted --data or --pcap")),
        }
    }
}

/// Says which packet it was, counted from 1 as other tools do.
fn numbered(failure: Failure, path: &Path, index: usize) -> Failure {
    let message = format!("packet {}: {}", index + 1, failure.message);
    let file = Place::file(path).file;
    let symbol = failure.place.symbol.clone();
    Failure { message, ..failure }.at(Place { file, symbol, ..Place::default() })
}

/// The file of packets that the program lets pass.
struct Kept<'a> {
    path: &'a Path,
    writer: Writer<BufWriter<File>>,
}

impl Kept<'_> {
    fn create(path: &Path) -> Result<Kept<'_>, Failure> {
        let fail = |error: io::Error| Failure::file(path, &error);
        let file = File::create(path).map_err(fail)?;
        Ok(Kept { path, writer: Writer::new(BufWriter::new(file)).map_err(fail)? })
    }

    fn keep(&mut self, kind: ProgType, packet: Packet<'_>, output: &TestOutput) -> Result<(), Failure> {
        let Some(length) = passes(kind, output) else { return Ok(()) };
        let data = &output.data[..length.min(output.data.len())];
        let written = self.writer.packet(packet.time_ns, data, output.data.len());
        written.map_err(|error| Failure::file(self.path, &error))
    }

    fn finish(self) -> Result<(), Failure> {
        self.writer.finish().map_err(|error| Failure::file(self.path, &error))
    }
}

/// How many bytes of a packet go on after the program; `None` where it is dropped.
fn passes(kind: ProgType, output: &TestOutput) -> Option<usize> {
    const XDP_ABORTED: u32 = 0;
    const XDP_DROP: u32 = 1;
    const TC_ACT_SHOT: u32 = 2;
    let (whole, value) = (Some(output.data.len()), output.retval);
    match kind {
        ProgType::XDP if matches!(value, XDP_ABORTED | XDP_DROP) => None,
        ProgType::SCHED_CLS | ProgType::SCHED_ACT if value == TC_ACT_SHOT => None,
        ProgType::CGROUP_SKB if value & 1 == 0 => None,
        // A socket filter says how many bytes it keeps (`sk_filter_trim_cap`, net/core/filter.c).
        ProgType::SOCKET_FILTER if value == 0 => None,
        ProgType::SOCKET_FILTER => Some(value as usize),
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_packets_are_not_kept() {
        let of = |kind, retval| {
            passes(kind, &TestOutput { retval, duration_ns: 0, data: vec![0; 60], ctx: Vec::new() })
        };
        assert_eq!([0, 1, 2, 3, 4].map(|v| of(ProgType::XDP, v)), [None, None, Some(60), Some(60), Some(60)]);
        assert_eq!((of(ProgType::SCHED_CLS, 2), of(ProgType::SCHED_CLS, u32::MAX)), (None, Some(60)));
        assert_eq!((of(ProgType::SOCKET_FILTER, 0), of(ProgType::SOCKET_FILTER, 14)), (None, Some(14)));
        assert_eq!((of(ProgType::CGROUP_SKB, 0), of(ProgType::CGROUP_SKB, 1)), (None, Some(60)));
    }
}
