//! Attached programs: events as they come, until time or Ctrl-C.

use super::dump::{Queues, dump};
use super::events::Buffers;
use super::{admit, describe, load};
use crate::args::{RunArgs, RunKernel};
use crate::failure::Failure;
use crate::kernel;
use crate::shapes::run::{Event, RunReport};
use skep::{Attach, Link, Loaded, Object, ProgType};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long one wait for events is at most: Ctrl-C between two waits is noticed after that.
const PATIENCE: Duration = Duration::from_millis(100);

/// Loads the object, attaches its programs, and streams what they write.
///
/// # Errors
/// Says what could not be loaded or attached.
pub(super) fn run(object: &Object, args: &RunArgs) -> Result<RunReport, Failure> {
    if args.on == RunKernel::Embedded {
        let message = "nothing happens in the embedded kernel by itself, so there is nothing to attach to";
        return Err(Failure::unable("attach", message).help("say --on linux, or give --data or --pcap"));
    }
    let stop = kernel::interrupts()?;
    let (loaded, mut report) = load(&kernel::target(args.on, admit(args)?)?, object, args)?;
    let mut buffers = Buffers::open(object, &loaded)?;
    let links = attach(&loaded, args.interface.as_deref())?;
    let started = Instant::now();
    let mut events = Vec::new();
    let live = !args.json;
    loop {
        let mut closed = false;
        buffers.drain(|event| {
            if live {
                closed |= print(&event).is_err();
            } else {
                events.push(event);
            }
        });
        let left = args.duration.map(|time| time.saturating_sub(started.elapsed()));
        // Nobody reads what is printed any more.
        if closed || is_over(&stop, left) {
            break;
        }
        buffers.wait(left.map_or(PATIENCE, |left| left.min(PATIENCE)))?;
    }
    drop(links);
    let last = &mut |event| events.push(event);
    buffers.drain(last);
    for program in loaded.programs() {
        describe(&mut report, program, args.on)?;
    }
    let names: Vec<&str> = loaded.programs().map(skep::Program::name).collect();
    report.program = names.join(",");
    report.text.unit = "";
    report.lost_events = Some(buffers.lost());
    report.events = Some(events);
    dump(object, &loaded, Queues::Untouched, &mut report)?;
    Ok(report)
}

fn is_over(stop: &Arc<AtomicBool>, left: Option<Duration>) -> bool {
    stop.load(Ordering::Relaxed) || left.is_some_and(|left| left.is_zero())
}

/// Attaches every program that was loaded: XDP to the interface, others where their sections say.
fn attach(loaded: &Loaded, interface: Option<&str>) -> Result<Vec<Link>, Failure> {
    let mut links = Vec::new();
    for program in loaded.programs() {
        let link = match (program.prog_type(), interface) {
            (ProgType::XDP, Some(interface)) => program.attach(Attach::xdp(interface))?,
            (ProgType::XDP, None) => {
                return Err(
                    Failure::usage("an XDP program is attached to an interface").help("say --interface NAME")
                );
            }
            _ => program.attach_auto()?,
        };
        links.push(link);
    }
    if links.is_empty() {
        return Err(Failure::bad("attach", "the object has no program that loads by itself"));
    }
    Ok(links)
}

fn print(event: &Event) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}  {}", event.map, event.text)?;
    out.flush()
}
