//! What both loaders ask of the kernel, seen where they ask it: this program has its own `syscall`.
//!
//! Both reach `bpf(2)` by the C library's function of that name, libbpf as a C library does and skep through `libc`. The
//! one here stands in front of it, in the executable, makes the same call and notes `bpf(2)` with the memory that the
//! attributes point to, while somebody listens.

use crate::{areas, refused};
use libc::{c_int, c_long};
use skep::Btf;
use skep_abi::{BtfLoad, Cmd};
use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// One `bpf(2)` call, or the move of a descriptor to another number.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// `bpf(2)`.
    Bpf(Bpf),
    /// `dup3(2)`: the second number is now what the first one was.
    Dup {
        /// The number that was.
        from: c_int,
        /// The number that now is the same.
        to: c_int,
    },
}

/// One `bpf(2)` call.
#[derive(Debug, Clone)]
pub(crate) struct Bpf {
    /// The command.
    pub(crate) cmd: u32,
    /// The attributes, as the loader had them in front of the call.
    pub(crate) attr: Vec<u8>,
    /// What they point to: the offset of the pointer, and the bytes.
    pub(crate) memory: Vec<(usize, Vec<u8>)>,
    /// The answer: below zero an error number.
    pub(crate) result: c_long,
}

impl Bpf {
    /// What the pointer at an offset points to.
    pub(crate) fn area(&self, field: usize) -> &[u8] {
        self.memory.iter().find(|(at, _)| *at == field).map_or(&[], |(_, bytes)| bytes)
    }
}

/// What was heard since somebody started to listen; `None` where nobody does.
static HEARD: Mutex<Option<Vec<Call>>> = Mutex::new(None);

/// Notes all calls while `work` runs.
pub(crate) fn listen<T>(work: impl FnOnce() -> T) -> (T, Vec<Call>) {
    *HEARD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    let done = work();
    let heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner).take();
    (done, heard.unwrap_or_default())
}

/// The time that calls took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inside {
    /// Nanoseconds on the clock in `bpf(2)`.
    pub(crate) wall: u64,
    /// Nanoseconds of the processor in `bpf(2)`.
    pub(crate) cpu: u64,
    /// How many these were.
    pub(crate) calls: u64,
}

/// What was measured since somebody began to measure; `None` where nobody does.
static MEASURED: Mutex<Option<Inside>> = Mutex::new(None);

/// Measures `bpf(2)` while `work` runs.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Inside) {
    *MEASURED.lock().unwrap_or_else(PoisonError::into_inner) = Some(Inside::default());
    let done = work();
    let measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner).take();
    (done, measured.unwrap_or_default())
}

/// Nanoseconds of the processor that this process has had.
pub(crate) fn cpu_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it writes one such value.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut time) };
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).unwrap_or(0)
}

/// When a call began, on both clocks.
struct Began {
    wall: Instant,
    cpu: u64,
}

impl Began {
    /// Looks at the clocks, if somebody measures.
    fn now() -> Option<Began> {
        let measured = MEASURED.lock().unwrap_or_else(PoisonError::into_inner);
        measured.as_ref().map(|_| Began { wall: Instant::now(), cpu: cpu_time() })
    }

    /// Adds the call, which has ended now. What the clocks take is the call's, so that many calls cost nothing outside.
    fn add(self) {
        if let Some(inside) = &mut *MEASURED.lock().unwrap_or_else(PoisonError::into_inner) {
            inside.calls += 1;
            inside.cpu += cpu_time().saturating_sub(self.cpu);
            inside.wall += u64::try_from(self.wall.elapsed().as_nanos()).unwrap_or(u64::MAX);
        }
    }
}

/// Whether types with tags on declarations are refused, as kernels before 5.16 refuse them.
static WITHOUT_TAGS: AtomicBool = AtomicBool::new(false);

/// Has the kernel seem to know no tags from now on.
pub(crate) fn hide_tags() {
    WITHOUT_TAGS.store(true, Ordering::Relaxed);
}

/// Tells whether a call brings what the kernel is to seem not to know.
fn is_hidden(call: &Bpf) -> bool {
    const DECL_TAG: u8 = 17;
    if call.cmd != Cmd::BTF_LOAD.0 || !WITHOUT_TAGS.load(Ordering::Relaxed) {
        return false;
    }
    let btf = Btf::parse(call.area(offset_of!(BtfLoad, btf)));
    btf.is_ok_and(|btf| btf.types().any(|ty| ty.kind().is_some_and(|kind| kind.number() == DECL_TAG)))
}

/// Makes a system call, as the C library's function of this name does.
///
/// # Safety
/// As for the system call.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn syscall(
    number: c_long,
    a: c_long,
    b: c_long,
    c: c_long,
    d: c_long,
    e: c_long,
    f: c_long,
) -> c_long {
    let is_heard = matches!(number, libc::SYS_bpf | libc::SYS_dup3);
    let mut heard = is_heard.then(|| HEARD.lock().unwrap_or_else(PoisonError::into_inner));
    let calls = heard.as_mut().and_then(|heard| heard.as_mut());
    let Some(calls) = calls else {
        drop(heard);
        let is_load = number == libc::SYS_bpf && a as u32 == Cmd::PROG_LOAD.0 && refused::are_kept();
        // SAFETY: the caller promises that the attributes and what they point to can be read.
        let asked = is_load.then(|| unsafe { areas::note(a as u32, b as usize, c as usize) });
        if let Some(result) = asked.as_ref().and_then(refused::before) {
            return answer(result);
        }
        let began = (number == libc::SYS_bpf).then(Began::now).flatten();
        // SAFETY: the caller promises what the system call needs.
        let result = unsafe { enter(number, [a, b, c, d, e, f]) };
        if let Some(began) = began {
            began.add();
        }
        if let Some(asked) = asked {
            refused::keep(asked, result);
        }
        return answer(result);
    };
    let mut noted = match number {
        // SAFETY: the caller promises that the attributes and what they point to can be read.
        libc::SYS_bpf => Call::Bpf(unsafe { areas::note(a as u32, b as usize, c as usize) }),
        _ => Call::Dup { from: a as c_int, to: b as c_int },
    };
    let result = match &noted {
        Call::Bpf(call) if is_hidden(call) => -c_long::from(libc::EINVAL),
        // SAFETY: the caller promises what the system call needs.
        _ => unsafe { enter(number, [a, b, c, d, e, f]) },
    };
    match &mut noted {
        Call::Bpf(call) => {
            call.result = result;
            areas::learn(call);
        }
        Call::Dup { from, to } => areas::same(*from, *to),
    }
    calls.push(noted);
    drop(heard);
    answer(result)
}

/// The kernel's answer in the C library's form.
fn answer(result: c_long) -> c_long {
    if (-4095..0).contains(&result) {
        // SAFETY: it gives the address of this thread's number, which is always there.
        let errno = unsafe { libc::__errno_location() };
        // SAFETY: as above.
        unsafe { errno.write(-result as c_int) };
        return -1;
    }
    result
}

/// Enters the kernel.
///
/// # Safety
/// As for the system call.
#[cfg(target_arch = "x86_64")]
unsafe fn enter(number: c_long, args: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the kernel's convention (Documentation/arch/x86/entry_64.rst): it keeps all registers but these three. The
    // caller promises the rest.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Enters the kernel.
///
/// # Safety
/// As for the system call.
#[cfg(target_arch = "aarch64")]
unsafe fn enter(number: c_long, args: [c_long; 6]) -> c_long {
    let result;
    // SAFETY: the kernel's convention: it keeps all registers but x0. The caller promises the rest.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") args[0] => result,
            in("x1") args[1], in("x2") args[2], in("x3") args[3], in("x4") args[4], in("x5") args[5],
            options(nostack),
        );
    }
    result
}
