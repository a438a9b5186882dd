//! What becomes of an escape: the process says which seed it was, and ends.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Ends a process that something has escaped in.
pub const ESCAPED: i32 = 70;
/// What one seed may take, in seconds, before it counts as hung.
const PATIENCE: u32 = 60;

/// The signals that end one, with their names.
const SIGNALS: [(i32, &str); 6] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGALRM, "no end within a minute"),
];

static SEED: AtomicU64 = AtomicU64::new(0);
static WAY: AtomicU32 = AtomicU32::new(0);

/// Notes what is run next.
pub fn running(seed: u64, way: u32) {
    SEED.store(seed, Ordering::Relaxed);
    WAY.store(way, Ordering::Relaxed);
}

/// Starts the time of one seed.
pub fn begin() {
    // SAFETY: it has no memory to get wrong.
    unsafe { libc::alarm(PATIENCE) };
}

/// Returns the seed that is run.
pub fn seed() -> u64 {
    SEED.load(Ordering::Relaxed)
}

/// Says what was escaped from whenever the process gets a signal, on a stack of its own, or panics.
pub fn watch() {
    let stack = Box::leak(vec![0u8; 64 << 10].into_boxed_slice());
    let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
    // SAFETY: the memory is leaked, so it stays.
    unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) };
    for (signal, _) in SIGNALS {
        // SAFETY: all zeroes is one without flags, mask or handler.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = caught as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // SAFETY: the handler is one for three arguments, and calls nothing but `write` and `_exit`.
        unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
    }
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let mut line = Line::new();
        let _ = writeln!(line, "escape: seed {}, way {}: a panic", seed(), WAY.load(Ordering::Relaxed));
        line.write_out();
        before(info);
    }));
}

extern "C" fn caught(signal: i32, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("a signal", |(_, name)| name);
    // SAFETY: the kernel passes one that is filled in.
    let info = unsafe { &*info };
    // SAFETY: memory and arithmetic faults have an address; for others it is some number, and printed as one.
    let address = unsafe { info.si_addr() }.addr();
    let mut line = Line::new();
    let (seed, way) = (seed(), WAY.load(Ordering::Relaxed));
    let _ = writeln!(line, "escape: seed {seed}, way {way}: {name} at {address:#x}");
    line.write_out();
    // SAFETY: it never returns, and runs nothing of this process.
    unsafe { libc::_exit(ESCAPED) }
}

/// A line without memory from an allocator.
struct Line {
    bytes: [u8; 160],
    len: usize,
}

impl Line {
    fn new() -> Line {
        Line { bytes: [0; 160], len: 0 }
    }

    fn write_out(&self) {
        // SAFETY: the bytes are there.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.len) };
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let rest = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(std::fmt::Error)?;
        rest.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}
