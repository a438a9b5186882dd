//! What the running Linux says of a program.

use crate::Sent;
use rustix::process::{Signal, getpid, kill_process};
use signal_hook::consts::SIGALRM;
use skep::sys::{CallError, Fd, FdArray, Kernel, ProgFd, ProgLoadMemory, Records};
use skep_abi::{Errno, ProgLoad};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

/// Only why a program is refused (`BPF_LOG_STATS`): neither instructions nor states.
const WHY: u32 = 4;
/// Each instruction, too (`BPF_LOG_LEVEL2`).
const STEPS: u32 = 2;
/// Bytes of logs; of a longer one the kernel keeps the end.
const SHORT: usize = 1 << 12;
const LONG: usize = 1 << 16;

/// How long the kernel may look at one program: of some with callbacks it goes back over the whole way at each turn, which takes minutes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A verdict.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It takes the program.
    Accepted,
    /// Its verifier refuses the program, and says this.
    Refused(String),
    /// Something else is wrong: its verifier has said nothing, or was stopped as it took long (`EAGAIN`).
    Unasked(Errno),
}

/// Asks for programs; keeps the memory of logs.
pub(crate) struct Linux {
    kernel: Kernel,
    log: Vec<u8>,
    watch: Option<Watch>,
}

impl Linux {
    pub(crate) fn new(kernel: Kernel) -> Linux {
        Linux { kernel, log: vec![0; LONG], watch: None }
    }

    /// Stops waiting for verdicts that take too long. There is one such for a process.
    pub(crate) fn impatient(kernel: Kernel) -> io::Result<Linux> {
        Ok(Linux { watch: Some(Watch::begin()?), ..Linux::new(kernel) })
    }

    /// Asks for the verdict.
    pub(crate) fn ask(&mut self, sent: &Sent) -> Verdict {
        match self.load(sent, WHY, SHORT) {
            Ok(_) => Verdict::Accepted,
            // Whatever it had said by then.
            Err(CallError::Errno(Errno::EAGAIN)) => Verdict::Unasked(Errno::EAGAIN),
            Err(CallError::Errno(errno)) => match cause(&self.text(SHORT)) {
                Some(cause) => Verdict::Refused(cause),
                None => Verdict::Unasked(errno),
            },
            Err(_) => Verdict::Unasked(Errno::EINVAL),
        }
    }

    /// Asks whether it is accepted, and no more.
    pub(crate) fn accepts(&mut self, sent: &Sent) -> bool {
        self.load(sent, 0, 0).is_ok()
    }

    /// The instruction that a refusal is at, where the log tells.
    pub(crate) fn refused_at(&mut self, sent: &Sent) -> Option<u32> {
        match self.load(sent, WHY | STEPS, LONG) {
            Ok(_) => None,
            Err(_) => self.text(LONG).lines().rev().find_map(insn_of),
        }
    }

    /// The last lines of a whole log.
    pub(crate) fn log_end(&mut self, sent: &Sent, lines: usize) -> Vec<String> {
        let _ = self.load(sent, WHY | STEPS, LONG);
        let text = self.text(LONG);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
    }

    fn load(&mut self, sent: &Sent, level: u32, log: usize) -> Result<ProgFd, CallError> {
        let fds: Vec<Fd> = sent.fd_array.iter().map(|fd| Fd::Os(*fd)).collect();
        let licence = String::from_utf8_lossy(&sent.license);
        self.log[..log].fill(0);
        let mut attr = ProgLoad { log_level: level, ..sent.attr };
        let mut tries = 0;
        let waiting = self.watch.as_ref().map(Watch::wait);
        loop {
            let memory = ProgLoadMemory {
                insns: &sent.insns,
                license: &licence,
                log: &mut self.log[..log],
                fd_array: match sent.attr.fd_array_cnt {
                    0 => FdArray::ByIndex(&fds),
                    _ => FdArray::Bound(&fds),
                },
                func_info: Records { size: sent.attr.func_info_rec_size.max(8), bytes: &sent.func_info },
                ..ProgLoadMemory::default()
            };
            tries += 1;
            match self.kernel.prog_load(&mut attr, memory) {
                Err(CallError::Errno(Errno::EAGAIN)) if tries < 5 && !is_over(waiting.as_ref()) => {}
                answer => return answer,
            }
        }
    }

    fn text(&self, log: usize) -> String {
        let end = self.log[..log].iter().position(|byte| *byte == 0).unwrap_or(log);
        String::from_utf8_lossy(&self.log[..end]).into_owned()
    }
}

/// Ends what the process waits for too long: the kernel's verifier stops where a signal comes (`signal_pending` in `do_check`).
struct Watch {
    start: Instant,
    /// When the wait is too long, in milliseconds after the start; zero if nothing is waited for.
    end: Arc<AtomicU64>,
    signalled: Arc<AtomicBool>,
}

/// Something is waited for.
struct Waiting<'a>(&'a Watch);

impl Watch {
    fn begin() -> io::Result<Watch> {
        let (start, end, signalled) = (Instant::now(), Arc::new(AtomicU64::new(0)), Arc::default());
        signal_hook::flag::register(SIGALRM, Arc::clone(&signalled))?;
        let watched = Arc::clone(&end);
        thread::Builder::new().spawn(move || {
            loop {
                thread::sleep(Duration::from_millis(500));
                let (end, now) = (watched.load(Ordering::Relaxed), start.elapsed().as_millis() as u64);
                // Who does not wake up was ended by the kernel, alone of all threads.
                let signal = match now.checked_sub(end) {
                    Some(late) if end != 0 && late > PATIENCE.as_millis() as u64 => Signal::KILL,
                    Some(late) if end != 0 && late > 0 => Signal::ALARM,
                    _ => continue,
                };
                // Where no signal can be sent, the wait is as long as it is.
                let _ = kill_process(getpid(), signal);
            }
        })?;
        Ok(Watch { start, end, signalled })
    }

    fn wait(&self) -> Waiting<'_> {
        self.signalled.store(false, Ordering::Relaxed);
        self.end.store((self.start.elapsed() + PATIENCE).as_millis() as u64, Ordering::Relaxed);
        Waiting(self)
    }
}

fn is_over(waiting: Option<&Waiting<'_>>) -> bool {
    waiting.is_some_and(|waiting| waiting.0.signalled.load(Ordering::Relaxed))
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.end.store(0, Ordering::Relaxed);
    }
}

/// How lines begin that are no causes.
const NO_CAUSES: &[&str] = &[
    "processed ",
    "verification time ",
    "stack depth ",
    "func#",
    "Func#",
    "mark_precise",
    "Validating ",
    "old state:",
    "cur state:",
    "Arg#",
];

/// The words of a refusal: the last line that is neither an instruction nor a number of them (`print_verification_stats`).
fn cause(log: &str) -> Option<String> {
    let is_cause = |line: &&str| {
        !line.trim().is_empty()
            && !NO_CAUSES.iter().any(|word| line.starts_with(word))
            && insn_of(line).is_none()
    };
    // One of them does not end its line.
    let cut = |line: &str| line.split("verification time ").next().unwrap_or(line).trim().to_owned();
    log.lines().rev().find(is_cause).map(cut)
}

/// The instruction that a line of a log shows, as `12: (85) call …`.
fn insn_of(line: &str) -> Option<u32> {
    let (number, rest) = line.trim_start().split_once(": (")?;
    let is_opcode = rest.get(..3).is_some_and(|code| code.ends_with(')'));
    number.parse().ok().filter(|_| is_opcode)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_found_before_statistics() {
        let log =
            "R1 !read_ok\nverification time 12 usec\nstack depth 0\nprocessed 3 insns (limit 1000000)\n";
        assert_eq!(cause(log).as_deref(), Some("R1 !read_ok"));
        assert_eq!(cause("processed 0 insns (limit 1000000)\n"), None);
    }
}
