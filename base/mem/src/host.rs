//! What whoever embeds the kernel implements: small traits, gathered in [`Host`].
//!
//! Four are needed (`Cpus`, `Lock`, `Rcu`, and `Caller` with each system call); the absence of any other removes the
//! helpers or map kinds that need it, by name. No trait here looks up maps, knows instruction formats, formats text
//! or is static: two kernels with two hosts live side by side.
//!
//! None of these may panic where programs run. Behind most helpers a panic is caught by [`Code::shield`] and goes on once the program has
//! been left; but machine code calls look-ups, updates and deletions in maps, `bpf_ringbuf_output` and tail calls by their
//! addresses, through which nothing can unwind: there a panic, be it that of a [`Lock`], of [`Rcu`] or of [`Wake`], ends the
//! process.

use crate::{Code, Shared};
use core::any::Any;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use skep_abi::Errno;

/// Everything a kernel is given by its host.
pub trait Host: Send + Sync + 'static {
    /// Gives the CPUs.
    fn cpus(&self) -> &dyn Cpus;
    /// Gives the interrupt-off lock.
    fn lock(&self) -> &dyn Lock;
    /// Gives the grace periods.
    fn rcu(&self) -> &dyn Rcu;
    /// Gives mappable pages; without them ring buffers, perf buffers and mappable arrays are refused.
    fn pages(&self) -> Option<&dyn Pages> {
        None
    }
    /// Gives guarded reads of arbitrary addresses; without them the `probe_*` helpers are refused.
    fn probe(&self) -> Option<&dyn Probe> {
        None
    }
    /// Gives memory for machine code; without it programs are interpreted.
    fn code(&self) -> Option<&dyn Code> {
        None
    }
    /// Gives wake-ups; without them nobody waits.
    fn wake(&self) -> Option<&dyn Wake> {
        None
    }
    /// Gives the clocks.
    fn clock(&self) -> Option<&dyn Clock> {
        None
    }
    /// Gives random numbers.
    fn random(&self) -> Option<&dyn Random> {
        None
    }
    /// Gives the trace log.
    fn trace(&self) -> Option<&dyn Trace> {
        None
    }
    /// Gives the current task.
    fn tasks(&self) -> Option<&dyn Tasks> {
        None
    }
}

/// What kind of code was interrupted to get here; higher ones interrupt lower ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// A task.
    Task,
    /// A deferred interrupt.
    SoftIrq,
    /// An interrupt.
    Irq,
    /// A non-maskable interrupt: may only try locks.
    Nmi,
}

/// Proof of having entered a logical CPU, to hand back on leaving.
#[derive(Debug)]
pub struct CpuToken {
    /// The logical CPU, below [`Cpus::possible`].
    pub id: u32,
    /// The level entered.
    pub level: Level,
    /// For the host's own use.
    pub cookie: usize,
}

/// Logical CPUs.
///
/// # Safety
/// While a token is out, no other thread of execution enters the same CPU at the same level, and whoever holds it
/// does not migrate; `id` is below `possible`, which never changes.
pub unsafe trait Cpus: Send + Sync {
    /// Gives the number of logical CPUs there can ever be.
    fn possible(&self) -> u32;
    /// Enters a CPU and pins the caller to it; callable from anywhere.
    fn enter(&self) -> CpuToken;
    /// Leaves it.
    fn leave(&self, token: CpuToken);
}

/// Being on a logical CPU, until dropped.
pub struct OnCpu<'h> {
    cpus: &'h dyn Cpus,
    // The token in its parts: copying it whole right after it was written costs more than all else here.
    id: u32,
    level: Level,
    cookie: usize,
    not_send: PhantomData<*mut ()>,
}

impl<'h> OnCpu<'h> {
    /// Enters.
    #[inline]
    pub fn enter(cpus: &'h dyn Cpus) -> OnCpu<'h> {
        let CpuToken { id, level, cookie } = cpus.enter();
        OnCpu { cpus, id, level, cookie, not_send: PhantomData }
    }

    /// Gives the logical CPU number.
    #[inline]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Gives the level entered.
    #[inline]
    pub fn level(&self) -> Level {
        self.level
    }
}

impl fmt::Debug for OnCpu<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnCpu({}, {:?})", self.id, self.level)
    }
}

impl Drop for OnCpu<'_> {
    #[inline]
    fn drop(&mut self) {
        self.cpus.leave(CpuToken { id: self.id, level: self.level, cookie: self.cookie });
    }
}

/// The state of one lock; what the number means is the host's business, zero is free.
#[derive(Debug, Default)]
pub struct LockWord(pub AtomicU32);

impl LockWord {
    /// Makes a free lock.
    pub const fn new() -> LockWord {
        LockWord(AtomicU32::new(0))
    }
}

/// An interrupt-off lock.
///
/// # Safety
/// Between a `lock` (or successful `try_lock`) of a word and its `unlock` no other of that word succeeds, and the
/// holder is not interrupted by anything that takes the same word by `lock`. `unlock` happens before the next success.
pub unsafe trait Lock: Send + Sync {
    /// Waits for the word and gives what must be restored on unlocking.
    fn lock(&self, word: &LockWord) -> usize;
    /// Takes the word if it is free; all that an NMI may do.
    fn try_lock(&self, word: &LockWord) -> Option<usize>;
    /// Frees the word.
    ///
    /// # Safety
    /// The caller holds `word` and got `saved` when taking it.
    unsafe fn unlock(&self, word: &LockWord, saved: usize);
}

/// Grace periods.
///
/// # Safety
/// What is retired is reclaimed only after every reader that had entered before has left.
pub unsafe trait Rcu: Send + Sync {
    /// Enters a read side; callable from anywhere, nests.
    fn read(&self) -> usize;
    /// Leaves the read side entered with `token`.
    fn unread(&self, token: usize);
    /// Hands a node over for reclaiming after a grace period, without allocating; callable from anywhere, also with locks
    /// held, so nothing is reclaimed here where a destructor must not run.
    ///
    /// # Safety
    /// `node` is valid until its `reclaim` runs, is not retired twice, and new readers can no longer find it.
    unsafe fn retire(&self, node: NonNull<RetireNode>);
}

/// The link that a retired object carries inside itself.
#[derive(Debug)]
pub struct RetireNode {
    /// The next node of the host's list.
    pub next: AtomicUsize,
    /// Frees the object that the node is in.
    ///
    /// # Safety
    /// Called once, with the node that was retired, after its grace period.
    pub reclaim: unsafe fn(NonNull<RetireNode>),
}

/// A read side, until dropped.
pub struct ReadSide<'h> {
    rcu: &'h dyn Rcu,
    token: usize,
    not_send: PhantomData<*mut ()>,
}

impl<'h> ReadSide<'h> {
    /// Enters.
    pub fn enter(rcu: &'h dyn Rcu) -> ReadSide<'h> {
        ReadSide { rcu, token: rcu.read(), not_send: PhantomData }
    }
}

impl fmt::Debug for ReadSide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReadSide")
    }
}

impl Drop for ReadSide<'_> {
    fn drop(&mut self) {
        self.rcu.unread(self.token);
    }
}

/// Pages as the host hands them out.
#[derive(Debug)]
pub struct RawPages {
    /// The first byte, page-aligned.
    pub base: NonNull<u8>,
    /// All bytes, the mirror included.
    pub len: usize,
    /// Whether the doubled part appears twice.
    pub mirrored: bool,
    /// For the host's own use.
    pub cookie: usize,
}

// SAFETY: a number and an address that only `Pages` and `Bytes` interpret; the memory is reached through atomics.
unsafe impl Send for RawPages {}
// SAFETY: as for Send.
unsafe impl Sync for RawPages {}

/// Page allocation.
///
/// # Safety
/// What `alloc` gives is zeroed, contiguous, page-aligned, mapped for reading and writing until `free`, and nobody
/// else's. In a mirrored run, byte `plain + i` and byte `plain + doubled + i` are the same memory.
pub unsafe trait Pages: Send + Sync {
    /// Gives the size of a page in bytes.
    fn page_size(&self) -> usize;
    /// Allocates `count` pages; task context, may sleep.
    fn alloc(&self, count: usize) -> Option<RawPages>;
    /// Allocates `plain` pages followed by `doubled` pages that appear twice in a row; `None` where the host cannot.
    fn alloc_mirrored(&self, plain: usize, doubled: usize) -> Option<RawPages> {
        let _ = (plain, doubled);
        None
    }
    /// Returns pages; callable from anywhere, because whoever drops the last user of a map may be an interrupt. A host
    /// that cannot unmap there keeps them for a task that does.
    ///
    /// # Safety
    /// `pages` came from this host, and nobody reaches its memory any more.
    unsafe fn free(&self, pages: RawPages);
    /// Gives the frame number behind page `index`, for a host that maps frames into user space.
    fn frame(&self, pages: &RawPages, index: usize) -> Option<u64> {
        let _ = (pages, index);
        None
    }
}

/// Whose addresses a guarded read means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeSpace {
    /// Those of the kernel (in a process: of this process).
    Kernel,
    /// Those of the current task.
    User,
}

/// The address could not be read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFault {
    /// Nothing is there, or it may not be reached.
    Unreachable,
    /// The space has no such address (in Linux, what `copy_from_kernel_nofault_allowed` refuses).
    Outside,
}

/// Guarded access to arbitrary addresses.
///
/// # Safety
/// Never faults and never sleeps, whatever the address; writes only to `into`, or to memory of the current task.
pub unsafe trait Probe: Send + Sync {
    /// Fills `into` from `addr`.
    ///
    /// # Errors
    /// [`ProbeFault`] where any byte is not readable.
    fn read(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<(), ProbeFault>;
    /// Copies a NUL-terminated string; gives its length with the NUL, cut to `into` (whose last byte is then NUL).
    ///
    /// # Errors
    /// [`ProbeFault`] where a byte up to the NUL, or up to what `into` has room for, is not readable: the last byte is
    /// read before a NUL replaces it (`strncpy_from_kernel_nofault` in mm/maccess.c).
    fn read_str(&self, space: ProbeSpace, addr: u64, into: &mut [u8]) -> Result<usize, ProbeFault>;
    /// Writes `from` into the current task's memory.
    ///
    /// # Errors
    /// [`ProbeFault`] where any byte is not writable.
    fn write_user(&self, addr: u64, from: &[u8]) -> Result<(), ProbeFault>;
}

/// Something that tasks may wait for: a counter that each wake-up raises, and a word for the host.
#[derive(Debug, Default)]
pub struct WaitQueue {
    sequence: AtomicU64,
    /// For the host's own use.
    pub cookie: AtomicUsize,
}

impl WaitQueue {
    /// Makes a queue that nobody waits on.
    pub const fn new() -> WaitQueue {
        WaitQueue { sequence: AtomicU64::new(0), cookie: AtomicUsize::new(0) }
    }

    /// Gives the number of wake-ups so far; a waiter reads it before it looks whether there is anything to wait for.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// Counts a wake-up and tells the host.
    pub fn wake(&self, host: &dyn Host) {
        self.sequence.fetch_add(1, Ordering::Release);
        if let Some(wake) = host.wake() {
            wake.wake(self);
        }
    }
}

/// Wake-ups; the host may defer them.
pub trait Wake: Send + Sync {
    /// Wakes whoever waits on `queue`; callable from anywhere, never sleeps.
    fn wake(&self, queue: &WaitQueue);
}

/// Clocks, in nanoseconds; callable from anywhere.
pub trait Clock: Send + Sync {
    /// Gives monotonic time that stands still in suspend.
    fn monotonic_ns(&self) -> u64;
    /// Gives monotonic time that includes suspend.
    fn boot_ns(&self) -> u64 {
        self.monotonic_ns()
    }
    /// Gives monotonic time of the last tick.
    fn coarse_ns(&self) -> u64 {
        self.monotonic_ns()
    }
    /// Gives international atomic time.
    fn tai_ns(&self) -> u64 {
        self.monotonic_ns()
    }
    /// Gives the tick counter.
    fn jiffies(&self) -> u64 {
        self.monotonic_ns() / 4_000_000
    }
}

/// Random numbers; callable from anywhere.
pub trait Random: Send + Sync {
    /// Gives the next one.
    fn next_u32(&self) -> u32;
}

/// The log behind `bpf_trace_printk`; callable from anywhere.
pub trait Trace: Send + Sync {
    /// Takes one formatted message, with its newline if the program wrote one.
    fn message(&self, text: &[u8]);
}

/// The task that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// Thread id (Linux's `pid`).
    pub pid: u32,
    /// Process id (Linux's `tgid`).
    pub tgid: u32,
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Name, NUL-padded.
    pub comm: [u8; 16],
}

/// Tasks; callable from anywhere.
pub trait Tasks: Send + Sync {
    /// Gives the current task.
    fn current(&self) -> Task;
}

/// Who makes a system call: their memory, their files, what they may do.
pub trait Caller {
    /// Gives the caller's memory.
    fn memory(&self) -> &dyn UserMemory;
    /// Gives the caller's files.
    fn files(&self) -> &dyn Files;
    /// Gives the caller's rights.
    fn rights(&self) -> &dyn Rights;
}

/// The address does not belong to the caller (`EFAULT`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserFault;

/// Copies to and from the caller's memory; task context, may sleep: the kernel holds no lock, is on no CPU and in no read
/// side when it asks.
pub trait UserMemory {
    /// Fills `into` from the caller's address, each byte read once.
    ///
    /// # Errors
    /// [`UserFault`] where a byte is not the caller's.
    fn read(&self, addr: u64, into: &mut [u8]) -> Result<(), UserFault>;
    /// Writes `from` to the caller's address.
    ///
    /// # Errors
    /// [`UserFault`] where a byte is not the caller's to write.
    fn write(&self, addr: u64, from: &[u8]) -> Result<(), UserFault>;
    /// Copies a NUL-terminated string; gives its length without the NUL, or `None` where `into` is too short.
    ///
    /// # Errors
    /// [`UserFault`] where a byte before the NUL is not the caller's.
    fn read_str(&self, addr: u64, into: &mut [u8]) -> Result<Option<usize>, UserFault>;
}

/// An open kernel object, as files hold it.
pub type FileObject = Shared<dyn Any + Send + Sync>;

/// The caller's file descriptors and the pins they see; task context, may sleep.
pub trait Files {
    /// Gives `object` a new close-on-exec descriptor.
    ///
    /// # Errors
    /// `EMFILE` where there is no room; `ENOMEM`.
    fn install(&self, object: FileObject) -> Result<i32, Errno>;
    /// Finds what `fd` means.
    ///
    /// # Errors
    /// `EBADF` where it is not open.
    fn lookup(&self, fd: i32) -> Result<FileObject, Errno>;
    /// Puts `object` at `path` in the BPF file system.
    ///
    /// # Errors
    /// `EEXIST`, `ENOENT` (no such directory), `EPERM` (not a BPF file system), `ENOMEM`.
    fn pin(&self, path: &[u8], object: FileObject) -> Result<(), Errno>;
    /// Finds what is pinned at `path`.
    ///
    /// # Errors
    /// `ENOENT`.
    fn pinned(&self, path: &[u8]) -> Result<FileObject, Errno>;
}

/// A capability that a command may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    /// `CAP_BPF`.
    Bpf,
    /// `CAP_PERFMON`.
    Perfmon,
    /// `CAP_NET_ADMIN`.
    NetAdmin,
    /// `CAP_SYS_ADMIN`.
    SysAdmin,
}

/// What the caller may do.
pub trait Rights {
    /// Tells whether the caller has `capability`.
    fn has(&self, capability: Capability) -> bool;
}
