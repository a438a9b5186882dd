//! Linux's verdict on what reaches it.

use super::verdict::{Linux, Took};
use skep::VerifierStats;
use skep::sys::{CallError, Fd, FdArray, Kernel, ProgFd, ProgLoadMemory, Records, TestRunMemory};
use skep_abi::{Errno, FuncInfo, LineInfo, ProgLoad, ProgTestRun, ProgType};
use skep_lab_oracle::Sent;

/// Only statistics, and why a program is refused (`BPF_LOG_STATS`).
const STATISTICS: u32 = 4;
/// Each instruction and state, too (`BPF_LOG_LEVEL2`).
const STEPS: u32 = 2;
/// Bytes of a log; of a longer one the kernel keeps the end.
const LOG: usize = 1 << 20;
/// Lines of a log that are kept.
const LINES: usize = 12;
/// Bytes of the packet that self-tests run on (`TEST_DATA_LEN`).
const PACKET: usize = 64;

/// Asks for a program; where a result of it is expected, runs it.
pub(crate) fn ask(kernel: &Kernel, sent: &Sent, expected: Option<u32>) -> Linux {
    let mut log = vec![0; LOG];
    let answer = load(kernel, sent, STATISTICS, &mut log);
    let errno = match answer {
        Ok(program) => {
            let took = took(&text(&log));
            return Linux::Accepted { took, returned: expected.map(|_| run(&program, sent)) };
        }
        Err(error) => error.errno(),
    };
    let name = errno.name().map_or_else(|| errno.raw().to_string(), str::to_owned);
    let said = text(&log);
    if said.trim().is_empty() {
        return Linux::Unasked { why: name };
    }
    let took = took(&said);
    log.fill(0);
    let steps = match load(kernel, sent, STATISTICS | STEPS, &mut log) {
        // It may change its mind only where memory has run out meanwhile.
        Ok(_) => said,
        Err(_) => text(&log),
    };
    let lines: Vec<String> = steps.lines().map(str::to_owned).collect();
    let insn = lines.iter().rev().find_map(|line| insn_of(line)).or_else(|| named(&lines));
    Linux::Refused { errno: name, log: lines[lines.len().saturating_sub(LINES)..].to_vec(), insn, took }
}

fn load(kernel: &Kernel, sent: &Sent, level: u32, log: &mut [u8]) -> Result<ProgFd, CallError> {
    let fds: Vec<Fd> = sent.fd_array.iter().map(|fd| Fd::Os(*fd)).collect();
    let mut attr = ProgLoad { log_level: level, ..sent.attr };
    let licence = String::from_utf8_lossy(&sent.license);
    loop {
        let size = |records: u32, least: usize| records.max(least as u32);
        let memory = ProgLoadMemory {
            insns: &sent.insns,
            license: &licence,
            log: &mut *log,
            fd_array: match sent.attr.fd_array_cnt {
                0 => FdArray::ByIndex(&fds),
                _ => FdArray::Bound(&fds),
            },
            func_info: Records {
                size: size(sent.attr.func_info_rec_size, size_of::<FuncInfo>()),
                bytes: &sent.func_info,
            },
            line_info: Records {
                size: size(sent.attr.line_info_rec_size, size_of::<LineInfo>()),
                bytes: &sent.line_info,
            },
            core_relos: Records { size: size(sent.attr.core_relo_rec_size, 16), bytes: &sent.core_relos },
            signature: &[],
        };
        match kernel.prog_load(&mut attr, memory) {
            Err(CallError::Errno(Errno::EAGAIN)) => log.fill(0),
            answer => return answer,
        }
    }
}

/// Runs a program as the tests do (`do_prog_test_run`, test_loader.c).
fn run(program: &ProgFd, sent: &Sent) -> Result<u32, String> {
    let mut out = [0; PACKET * 4];
    let memory = match ProgType(sent.attr.prog_type) {
        ProgType::SYSCALL => TestRunMemory::default(),
        _ => TestRunMemory { data_in: &[0; PACKET], data_out: &mut out, ..TestRunMemory::default() },
    };
    let mut run = ProgTestRun { repeat: 1, ..ProgTestRun::default() };
    if ProgType(sent.attr.prog_type) == ProgType::SYSCALL {
        run.repeat = 0;
    }
    match program.test_run(&mut run, memory) {
        Ok(()) => Ok(run.retval),
        Err(error) => Err(error.to_string()),
    }
}

/// A log up to its NUL.
fn text(log: &[u8]) -> String {
    let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
    String::from_utf8_lossy(&log[..end]).into_owned()
}

fn took(log: &str) -> Took {
    let stats = VerifierStats::read(log);
    Took {
        insns: stats.processed_insns,
        states: stats.total_states,
        peak: stats.peak_states,
        time: stats.time_us.unwrap_or(0) * 1000,
    }
}

/// The instruction that a line of a log shows, as `12: (85) call …`.
pub(crate) fn insn_of(line: &str) -> Option<u32> {
    let (number, rest) = line.trim_start().split_once(": (")?;
    let is_opcode = rest.get(..3).is_some_and(|code| code.ends_with(')'));
    number.parse().ok().filter(|_| is_opcode)
}

/// The instruction that the last words name, as `jump out of range from insn 3 to 9`.
fn named(lines: &[String]) -> Option<u32> {
    lines.iter().rev().find_map(|line| {
        let rest = &line[line.find("insn ")? + 5..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let is_counted = line.starts_with("processed ");
        rest[..digits].parse().ok().filter(|_| !is_counted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_found_in_logs() {
        assert_eq!(insn_of("12: (85) call bpf_loop#181"), Some(12));
        assert_eq!(insn_of("12: R1=ctx() R10=fp0"), None);
        let lines = ["jump out of range from insn 3 to 9", "processed 0 insns (limit 1000000)"];
        assert_eq!(named(&lines.map(str::to_owned)), Some(3));
    }
}
