//! Verifying programs of four thousand instructions that branch, and that do not, beside the running Linux's verifier.
//!
//! Objects of real tools are measured by `cargo xtask judge`; these are what it takes to see how the paths through a program add up. Of skep the
//! processor's time counts, of Linux what it says itself.

use crate::clock::Stopwatch;
use skep::VerifierStats;
use skep_abi::{ProgLoad, ProgType};
use skep_isa::text::assemble;
use skep_isa::{Addr, ByteOrder, InsnIdx, raw};
use skep_model::platform::Platform;
use skep_model::platform::helper::Licence;
use skep_sys::{Kernel, ProgLoadMemory};
use skep_verifier::{Limits, Reference, References, Subject, verify};
use std::fmt::Write as _;
use std::time::Duration;

/// How many instructions the programs have, about.
const LENGTH: usize = 4000;
/// Level of the log: reasons and counts (`BPF_LOG_STATS` in `include/linux/bpf_verifier.h`).
const BPF_LOG_STATS: u32 = 4;
/// The log has no more than this.
const LOG: usize = 1 << 16;

/// Programs without maps.
struct Nothing;

impl References for Nothing {
    fn address(&self, _: InsnIdx, _: Addr) -> Reference {
        Reference::Missing
    }

    fn kfunc(&self, _: InsnIdx, _: u32) -> Reference {
        Reference::Missing
    }
}

/// A number after the other.
fn straight() -> String {
    let mut text = "r6 = *(u32 *)(r1 + 0)\nr7 = 0\n".to_owned();
    (0..LENGTH / 2).for_each(|_| text.push_str("r7 += r6\nr7 ^= 5\n"));
    text + "r0 = 0\nexit\n"
}

/// Branches on what nobody knows, and between each two they count how often they went one way; every few of them the count is an offset
/// into the stack, so that it matters.
fn branchy(few: usize) -> String {
    let mut text = "r6 = *(u32 *)(r1 + 0)\n".to_owned();
    let groups = LENGTH / (3 * few + 6);
    for group in 0..groups {
        text.push_str("r7 = 0\n");
        for bit in 0..few {
            let _ = write!(
                text,
                "r8 = r6\nif r8 & {} goto g{group}b{bit}\nr7 += 1\ng{group}b{bit}:\n",
                1 << (bit % 31)
            );
        }
        let _ = write!(
            text,
            "r8 = r10\nr8 += -{}\nr8 += r7\n*(u8 *)(r8 + 0) = 1\nr6 = *(u32 *)(r1 + 0)\n",
            few + 1
        );
    }
    text + "r0 = 0\nexit\n"
}

/// Measures every program and prints its line.
///
/// # Errors
/// Where a verifier refuses a program.
pub(crate) fn measure(rounds: u32) -> Result<(), String> {
    println!(
        "{:<40} {:>7} {:>10} {:>10} {:>7} {:>10} {:>10}",
        "program (medians, µs)", "insns", "skep", "Linux", "ratio", "processed", "by Linux"
    );
    for (name, text) in [
        ("straight", straight()),
        ("branchy, groups of 8", branchy(8)),
        ("branchy, groups of 16", branchy(16)),
        ("branchy, groups of 30", branchy(30)),
    ] {
        line(name, &text, rounds)?;
    }
    Ok(())
}

fn line(name: &str, text: &str, rounds: u32) -> Result<(), String> {
    let assembled = assemble(text, &()).map_err(|error| format!("{name}: {error}"))?;
    let insns = raw::to_bytes(assembled.slots(), ByteOrder::NATIVE).map_err(|error| error.to_string())?;
    let mut subject =
        Subject::new(assembled.slots(), &Platform::LINUX_6_18, ProgType::SOCKET_FILTER, &Nothing);
    subject.licence = Licence::Gpl;
    let kernel = skep_linux::kernel();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let (mut processed, mut by_linux) = (0, 0);
    for _ in 0..rounds {
        let start = Stopwatch::start();
        let verified =
            verify(&subject, &Limits::LINUX).map_err(|rejection| format!("{name}: {rejection}"))?;
        ours.push(start.elapsed());
        processed = verified.stats().insns;
        let (time, insns) = linux(&kernel, &insns).map_err(|error| format!("{name}: {error}"))?;
        theirs.push(time);
        by_linux = insns;
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{name:<40} {:>7} {ours:>10.1} {theirs:>10.1} {:>7.2} {processed:>10} {by_linux:>10}",
        assembled.slots().len(),
        ours / theirs
    );
    Ok(())
}

/// What the running Linux says of its verification: how long, and how many instructions.
fn linux(kernel: &Kernel, insns: &[u8]) -> Result<(Duration, u64), String> {
    let mut log = vec![0; LOG];
    let mut load =
        ProgLoad { prog_type: ProgType::SOCKET_FILTER.0, log_level: BPF_LOG_STATS, ..ProgLoad::default() };
    let memory = ProgLoadMemory { insns, license: "GPL", log: &mut log, ..ProgLoadMemory::default() };
    let loaded = kernel.prog_load(&mut load, memory).map(drop);
    let text = String::from_utf8_lossy(&log);
    loaded.map_err(|error| format!("{error}: {}", text.trim_end_matches('\0')))?;
    let stats = VerifierStats::read(&text);
    let time = stats.time_us.ok_or("Linux does not say how long it took")?;
    Ok((Duration::from_micros(time), stats.processed_insns.unwrap_or(0)))
}

/// The one in the middle, in microseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_nanos() as f64 / 1000.0)
}
