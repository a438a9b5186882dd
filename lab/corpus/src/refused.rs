//! Programs that were refused. Both loaders ask for such a program once more, with a log: the verdict is the same, and to
//! write the log takes an emulated machine many times as long as to come to it. Where only verdicts are wanted, the second question is answered
//! by the first answer.

use crate::seam::Bpf;
use libc::c_long;
use skep_abi::ProgLoad;
use std::mem::{offset_of, size_of};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Whether verdicts are all that is wanted.
static KEPT: AtomicBool = AtomicBool::new(false);

/// The program that was refused last, without a log, and how.
static LAST: Mutex<Option<(Bpf, c_long)>> = Mutex::new(None);

/// What is not the same when a log is asked for, or says only where things are.
const OPEN: &[Range<usize>] = &[
    word(offset_of!(ProgLoad, insns)),
    word(offset_of!(ProgLoad, license)),
    offset_of!(ProgLoad, log_level)..offset_of!(ProgLoad, log_buf) + size_of::<u64>(),
    word(offset_of!(ProgLoad, func_info)),
    word(offset_of!(ProgLoad, line_info)),
    word(offset_of!(ProgLoad, fd_array)),
    offset_of!(ProgLoad, log_true_size)..offset_of!(ProgLoad, log_true_size) + size_of::<u32>(),
];

const fn word(at: usize) -> Range<usize> {
    at..at + size_of::<u64>()
}

/// Answers from now on by the first answer.
pub(crate) fn keep_all() {
    KEPT.store(true, Ordering::Relaxed);
}

/// Tells whether refusals are kept.
pub(crate) fn are_kept() -> bool {
    KEPT.load(Ordering::Relaxed)
}

/// The answer to a question for a log, where the same was refused just before.
pub(crate) fn before(asked: &Bpf) -> Option<c_long> {
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let (refused, result) = last.as_ref().filter(|_| has_log(asked))?;
    (bare(refused) == bare(asked) && refused.memory == asked.memory).then_some(*result)
}

/// Keeps a refusal that came without a log.
pub(crate) fn keep(asked: Bpf, result: c_long) {
    // What may be another time what it was not now.
    let may_pass = [libc::EAGAIN, libc::EINTR, libc::ENOMEM].contains(&(-result as i32));
    let refused = (result < 0 && !may_pass && !has_log(&asked)).then_some((asked, result));
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = refused;
}

fn has_log(asked: &Bpf) -> bool {
    let at = offset_of!(ProgLoad, log_level);
    asked.attr.get(at..at + 4).is_some_and(|level| level != [0; 4])
}

/// The attributes without what is open.
fn bare(asked: &Bpf) -> Vec<u8> {
    let mut attr = asked.attr.clone();
    for range in OPEN {
        if let Some(bytes) = attr.get_mut(range.clone()) {
            bytes.fill(0);
        }
    }
    attr
}

#[cfg(test)]
mod tests {
    use super::*;
    use skep_abi::Cmd;

    fn asked(level: u8, insns: &[u8]) -> Bpf {
        let mut attr = vec![0; size_of::<ProgLoad>()];
        attr[offset_of!(ProgLoad, log_level)] = level;
        // Where the instructions are does not count, but what they are.
        attr[offset_of!(ProgLoad, insns)] = level + 1;
        let memory = vec![(offset_of!(ProgLoad, insns), insns.to_vec())];
        Bpf { cmd: Cmd::PROG_LOAD.0, attr, memory, result: 0 }
    }

    #[test]
    fn only_a_question_for_the_log_of_the_same_is_answered() {
        let refused = -c_long::from(libc::EACCES);
        keep(asked(0, b"same"), refused);
        assert_eq!(before(&asked(1, b"same")), Some(refused));
        assert_eq!(before(&asked(1, b"other")), None);
        assert_eq!(before(&asked(0, b"same")), None);
        for passing in [3, -c_long::from(libc::EAGAIN)] {
            keep(asked(0, b"same"), passing);
            assert_eq!(before(&asked(1, b"same")), None);
        }
    }
}
