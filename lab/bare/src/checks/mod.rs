//! What is checked on this machine. A check that fails panics, which ends the machine badly.
//!
//! The names are in `checks.txt`, which `cargo xtask bare` compares with what was printed.

mod calls;
mod compiled;
mod host;
mod interrupts;
mod machine;
mod programs;
mod seam;
mod text;

use crate::quiet::Quiet;
use crate::{frames, heap, paging, println};

/// One check and its name.
pub(crate) struct Check {
    name: &'static str,
    run: fn(),
}

const GROUPS: &[&[Check]] = &[
    machine::CHECKS,
    interrupts::CHECKS,
    host::CHECKS,
    seam::CHECKS,
    calls::CHECKS,
    programs::CHECKS,
    compiled::CHECKS,
];

static CURRENT: Quiet<&str> = Quiet::new("before the first check");

/// Gives the name of the check that runs.
pub(crate) fn current() -> &'static str {
    CURRENT.with(|name| *name)
}

/// Gives the number of checks.
pub(crate) fn count() -> usize {
    GROUPS.iter().map(|group| group.len()).sum()
}

/// Everything that is handed out now: bytes of the heap, frames, pages of the kernel's window and of user space's.
fn in_use() -> (usize, usize, u32, u32) {
    (heap::in_use(), frames::in_use(), paging::KERNEL.in_use(), paging::USER_SPACE.in_use())
}

/// Runs every check; each gives back all that it took.
pub(crate) fn run() {
    for check in GROUPS.iter().copied().flatten() {
        CURRENT.with(|current| *current = check.name);
        let before = in_use();
        (check.run)();
        assert_eq!(in_use(), before, "bytes, frames or pages are still in use");
        println!("ok: {}", check.name);
    }
}
