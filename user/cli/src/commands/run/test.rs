//! Runs on input of the user's: `BPF_PROG_TEST_RUN`, which the embedded kernel has as well.

use super::dump::{Queues, dump};
use super::events::Buffers;
use super::{describe, in_file, load, verdict};
use crate::args::RunArgs;
use crate::capture::{Capture, ETHERNET, Packet, Writer};
use crate::failure::{Failure, Place};
use crate::json;
use crate::object;
use crate::shapes::run::{NsPerRun, RunReport};
use skep::{Literal, Loaded, Object, ProgType, Program, TestOutput, TestRun};
use skep_model::platform::Platform;
use skep_model::platform::prog;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;

/// The variable that takes each packet's time.
const CLOCK: &str = "skep_now_ns";

/// What runs add up to.
#[derive(Default)]
struct Tally {
    runs: u64,
    returns: BTreeMap<i32, u64>,
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
    let (loaded, mut report) = load(object, args)?;
    let program = loaded.program(name)?;
    describe(&mut report, program, args.on)?;
    let mut buffers = Buffers::open(object, &loaded)?;
    let mut events = Vec::new();
    let mut tally = Tally::default();
    match &input {
        Input::Data(bytes) => {
            let takes_packet = Platform::LINUX_6_18
                .prog(program.prog_type())
                .is_some_and(|row| row.test_run == prog::TestRun::Packet);
            let test = match takes_packet {
                true => TestRun::packet(bytes),
                false => TestRun::new().with_ctx(bytes),
            };
            let output = program.test_run(&test.repeat(args.repeat))?;
            match takes_packet {
                true => report.data_out = Some(json::hex(&output.data)),
                false if !output.ctx.is_empty() => report.ctx_out = Some(json::hex(&output.ctx)),
                false => {}
            }
            report.text.unit = "run";
            tally.add(output, args.repeat);
            buffers.drain(|event| events.push(event));
        }
        Input::Capture(path, capture) => {
            report.text.unit = "packet";
            let mut writer = args.write.as_deref().map(Kept::create).transpose()?;
            for (index, packet) in capture.packets().enumerate() {
                let output = one(program, &loaded, packet, args.repeat)
                    .map_err(|failure| numbered(failure, path, index))?;
                if let Some(writer) = &mut writer {
                    writer.keep(program.prog_type(), packet, &output)?;
                }
                tally.add(output, args.repeat);
                buffers.drain(|event| events.push(event));
            }
            if let Some(writer) = writer {
                writer.finish()?;
            }
        }
    }
    report.runs = tally.runs;
    report.returned = tally.last.as_ref().map(|last| format!("{:#x}", last.retval));
    for (value, count) in tally.returns {
        report.returns.insert(verdict(program.prog_type(), value as u32), count.into());
    }
    report.ns_per_run = NsPerRun::of(tally.times_ns);
    report.lost_events = Some(buffers.lost());
    report.events = Some(events);
    dump(object, &loaded, Queues::Emptied, &mut report)?;
    Ok(report)
}

enum Input<'a> {
    Data(Vec<u8>),
    Capture(&'a Path, Capture),
}

impl Input<'_> {
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

fn one(program: &Program, loaded: &Loaded, packet: Packet<'_>, repeat: u32) -> Result<TestOutput, Failure> {
    if let Ok(clock) = loaded.global(CLOCK) {
        clock.set_to(Literal::Int(packet.time_ns.into()))?;
    }
    Ok(program.test_run(&TestRun::packet(packet.data).repeat(repeat))?)
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
