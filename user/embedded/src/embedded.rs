//! The kernel in this process, and how it answers each call.

use crate::caller::EmbeddedCaller;
use crate::config::Config;
use crate::files::{self, FileTable};
use crate::host::ProcessHost;
use crate::mappings::Mappings;
use crate::memory::Lent;
use crate::observe::FaultLog;
use crate::wait;
use skep_abi::{Cmd, Errno, PerfEventAttr};
use skep_kernel::{
    Engine, FaultReport, Interface, Kernel, Mmap, PerfIoctl, Promise, Runs, Settings, Tracepoint,
};
use skep_mem::{Capability, FileObject, Host};
use skep_sys::{
    Area, Attr, Call, Fd, Ioctl, Limit, MapCall, PerfEventOpen, Protection, Reply, SocketCall, Sys,
};
use std::sync::{Arc, Mutex};
use zerocopy::IntoBytes;

/// A BPF kernel in this process. Cheap to clone, each clone the same kernel; two made by [`Embedded::new`] share
/// nothing.
#[derive(Clone, Debug)]
pub struct Embedded {
    inner: Arc<Inner>,
}

/// In the order in which they are dropped: descriptors before the kernel, what they retired last.
#[derive(Debug)]
struct Inner {
    mappings: Mappings,
    files: FileTable,
    kernel: Kernel,
    faults: Arc<FaultLog>,
    denied: Vec<Capability>,
    memlock: Mutex<(u64, u64)>,
    host: Settling,
}

/// The host, which reclaims what waits for it before it goes.
#[derive(Debug)]
struct Settling(Arc<ProcessHost>);

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.settle();
    }
}

impl Embedded {
    /// Makes a kernel.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(mut config: Config) -> Result<Embedded, Errno> {
        let host = Arc::new(ProcessHost::new(&mut config));
        let faults = Arc::new(FaultLog::new(config.observer));
        let mut settings = Settings::default();
        settings.fuel = config.fuel;
        settings.admit = config.admit;
        settings.runs = match config.engine {
            Engine::Exact => Runs::Exact,
            // SAFETY: what the verifier has proved of a program holds here: its maps, packets and contexts are those that it was told of,
            // live while the program runs, and are reached through `Bytes` alone.
            _ => Runs::Compiled(unsafe { Promise::new() }),
        };
        let kernel =
            Kernel::with_settings(Arc::clone(&host) as Arc<dyn Host>, Arc::clone(&faults) as _, settings)?;
        Ok(Embedded {
            inner: Arc::new(Inner {
                mappings: Mappings::default(),
                files: FileTable::new(config.descriptors),
                kernel,
                faults,
                denied: config.denied,
                // RLIM_INFINITY.
                memlock: Mutex::new((u64::MAX, u64::MAX)),
                host: Settling(host),
            }),
        })
    }

    /// Registers an interface, whose packets programs may then see; it goes away on drop.
    ///
    /// # Errors
    /// `EINVAL` for a name that is none, `EEXIST`, `ENOMEM`.
    pub fn add_interface(&self, name: &str) -> Result<Interface, Errno> {
        self.inner.kernel.add_interface(name)
    }

    /// Registers a tracepoint, by whose `name` raw programs attach, and which tracefs lists in `group`; it goes away
    /// on drop.
    ///
    /// # Errors
    /// `EINVAL` for a name that is none, `EEXIST`, `ENOMEM`.
    pub fn add_tracepoint(&self, group: &str, name: &str) -> Result<Tracepoint, Errno> {
        let is_file_name =
            |name: &str| !name.is_empty() && name.len() < 128 && !name.contains(['/', '\0', '.']);
        if !is_file_name(group) || !is_file_name(name) {
            return Err(Errno::EINVAL);
        }
        self.inner.kernel.add_tracepoint(group, name)
    }

    /// Gives the latest runs that were stopped, oldest first, 64 at most.
    pub fn faults(&self) -> Vec<FaultReport> {
        self.inner.faults.all()
    }

    /// Tells what runs a program, by its number.
    ///
    /// # Errors
    /// `ENOENT`.
    pub fn engine_of(&self, prog_id: u32) -> Result<Engine, Errno> {
        self.inner.kernel.engine_of(prog_id)
    }

    /// Takes the oldest message that a program printed and nobody took yet; 1024 are kept.
    pub fn take_trace(&self) -> Option<String> {
        self.host().take_message()
    }

    /// Moves a clock that was configured to stand still, and tells whether it was.
    pub fn set_time(&self, now_ns: u64) -> bool {
        self.host().set_time(now_ns)
    }

    /// Gives the number of logical CPUs.
    pub fn cpus(&self) -> u32 {
        self.host().cpus().possible()
    }

    /// Gives the number of open descriptors.
    pub fn open_descriptors(&self) -> usize {
        self.inner.files.open_count()
    }

    /// Gives the bytes of all pages that maps, rings and mappings hold.
    pub fn page_bytes(&self) -> usize {
        self.host().page_bytes()
    }

    /// Gives the size of a page in bytes.
    pub fn page_size(&self) -> usize {
        self.host().pages().map_or(4096, skep_mem::Pages::page_size)
    }

    /// Gives the kernel's host, for maps and machines beside the kernel (`skep_machine::Setup::host`).
    ///
    /// What such maps retire is reclaimed as the kernel's is, so it outlives them only while the kernel does.
    ///
    /// ```
    /// use skep_embedded::{Config, Embedded};
    ///
    /// let kernel = Embedded::new(Config::new())?;
    /// assert_eq!(kernel.as_host().cpus().possible(), kernel.cpus());
    /// # Ok::<(), skep_abi::Errno>(())
    /// ```
    pub fn as_host(&self) -> Arc<dyn Host> {
        Arc::clone(&self.inner.host.0) as Arc<dyn Host>
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.inner.kernel
    }

    pub(crate) fn files(&self) -> &FileTable {
        &self.inner.files
    }

    pub(crate) fn host(&self) -> &ProcessHost {
        &self.inner.host.0
    }

    pub(crate) fn denied(&self) -> &[Capability] {
        &self.inner.denied
    }

    /// Finds what a descriptor means.
    pub(crate) fn open_object(&self, fd: Fd) -> Result<FileObject, Errno> {
        match fd {
            Fd::Virtual(number) => self.inner.files.lookup(number),
            Fd::Os(_) => Err(Errno::EBADF),
        }
    }

    /// Answers with a new descriptor.
    pub(crate) fn install(&self, object: FileObject) -> Result<Reply, Errno> {
        self.inner.files.install(object).map(|number| Reply::Fd(Fd::Virtual(number)))
    }

    #[cfg(test)]
    pub(crate) fn host_for_tests(&self) -> Arc<dyn Host> {
        Arc::clone(&self.inner.host.0) as Arc<dyn Host>
    }

    /// Answers a command of `bpf(2)` whose attributes are `bytes`, for which there need not be a typed operation. Whatever
    /// the bytes say, this kernel touches nothing but `areas`.
    ///
    /// # Errors
    /// `EINVAL` for an area whose pointer field is not in the attributes (or in an earlier area), or lies on another's;
    /// whatever the command answers.
    pub fn bpf<'a>(
        &self,
        cmd: Cmd,
        bytes: &'a mut [u8],
        areas: impl IntoIterator<Item = Area<'a>>,
    ) -> Result<Reply, Errno> {
        // SAFETY: the attributes go to this kernel and no other; it reads and writes the caller's memory through `Lent`
        // alone, which finds nothing but the areas, in safe code.
        let attr = unsafe { Attr::raw(cmd, bytes, areas) }.map_err(|_| Errno::EINVAL)?;
        self.call(Call::Bpf(attr))
    }

    fn command(&self, mut attr: Attr<'_>) -> Result<Reply, Errno> {
        let (cmd, makes_fd) = (attr.cmd(), attr.makes_fd());
        let size = u32::try_from(attr.bytes().len()).map_err(|_| Errno::E2BIG)?;
        let caller = EmbeddedCaller { embedded: self, memory: Lent::attributes(&mut attr)? };
        let answer = self.inner.kernel.bpf(&caller, cmd.0, caller.memory.address(), size);
        caller.memory.finish();
        match answer? {
            fd if makes_fd => Ok(Reply::Fd(Fd::Virtual(i32::try_from(fd).map_err(|_| Errno::EPROTO)?))),
            count => u64::try_from(count).map(Reply::Count).map_err(|_| Errno::EPROTO),
        }
    }

    fn perf_event(&self, open: PerfEventOpen<'_>) -> Result<Reply, Errno> {
        if let Some(leader) = open.group {
            self.open_object(leader)?;
            // Groups are for counting together; these events count nothing.
            return Err(Errno::EINVAL);
        }
        let mut attr = PerfEventAttr { size: size_of::<PerfEventAttr>() as u32, ..*open.attr };
        let caller = EmbeddedCaller { embedded: self, memory: Lent::one(attr.as_mut_bytes()) };
        let fd = self.inner.kernel.perf_event_open(&caller, caller.memory.address(), open.pid, open.cpu)?;
        i32::try_from(fd).map(|fd| Reply::Fd(Fd::Virtual(fd))).map_err(|_| Errno::EPROTO)
    }

    fn ioctl(&self, fd: Fd, ioctl: Ioctl) -> Result<Reply, Errno> {
        let ioctl = match ioctl {
            Ioctl::PerfEnable => PerfIoctl::Enable,
            Ioctl::PerfDisable => PerfIoctl::Disable,
            Ioctl::PerfSetBpf(Fd::Virtual(prog)) => PerfIoctl::SetBpf(prog as u32),
            Ioctl::PerfSetBpf(Fd::Os(_)) => return Err(Errno::EBADF),
            _ => return Err(Errno::EOPNOTSUPP),
        };
        let object = self.open_object(fd)?;
        let caller = EmbeddedCaller { embedded: self, memory: Lent::nothing() };
        self.inner.kernel.perf_ioctl(&caller, &object, ioctl)?;
        Ok(Reply::Count(0))
    }

    fn map(&self, call: MapCall) -> Result<Reply, Errno> {
        if call.offset % self.page_size() as u64 != 0 {
            return Err(Errno::EINVAL);
        }
        let object = self.open_object(call.fd)?;
        if call.len == 0 {
            return Err(Errno::EINVAL);
        }
        let how = match call.protection {
            Protection::Read => Mmap::Read,
            Protection::ReadWrite => Mmap::ReadWrite,
        };
        let mapped = self.inner.kernel.mmap(&object, call.offset, call.len, how)?;
        self.inner.mappings.add(mapped, call.len).map(Reply::Mapping)
    }

    fn limit(&self, limit: Limit) -> Result<Reply, Errno> {
        let mut memlock = crate::host::relock(&self.inner.memlock);
        match limit {
            Limit::Memlock => Ok(Reply::Limits(memlock.0, memlock.1)),
            Limit::SetMemlock { soft, hard } if soft > hard => Err(Errno::EINVAL),
            Limit::SetMemlock { soft, hard } => {
                *memlock = (soft, hard);
                Ok(Reply::None)
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    fn socket(&self, call: SocketCall) -> Result<Reply, Errno> {
        let socket = match call {
            SocketCall::AttachBpf { socket, .. } | SocketCall::DetachBpf { socket } => socket,
            _ => return Err(Errno::EOPNOTSUPP),
        };
        // This kernel has no sockets.
        self.open_object(socket)?;
        Err(Errno::ENOTSOCK)
    }

    fn close(&self, fd: Fd) -> Result<Reply, Errno> {
        let Fd::Virtual(number) = fd else { return Err(Errno::EBADF) };
        let object = self.inner.files.remove(number)?;
        drop(object);
        self.host().wake_ups().wake_fd(number);
        Ok(Reply::None)
    }
}

impl Sys for Embedded {
    fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
        let answer = match call {
            Call::Bpf(attr) => self.command(attr),
            Call::PerfEvent(open) => self.perf_event(open),
            Call::Ioctl(fd, ioctl) => self.ioctl(fd, ioctl),
            Call::Map(call) => self.map(call),
            Call::Unmap(raw) => self.inner.mappings.remove(&raw).map(|mapped| {
                drop(mapped);
                Reply::None
            }),
            Call::Wait(fds, timeout_ms) => wait::wait(self, fds, timeout_ms),
            Call::Watch(fd, waker) => wait::watch(self, fd, waker),
            Call::File(call) => files::call(self, call),
            Call::Socket(call) => self.socket(call),
            Call::Limit(limit) => self.limit(limit),
            // Mappings show the kernel's own memory.
            Call::Refresh => Ok(Reply::None),
            Call::Dup(fd) => self.open_object(fd).and_then(|object| self.install(object)),
            Call::Close(fd) => self.close(fd),
            _ => Err(Errno::EOPNOTSUPP),
        };
        // Nothing is held here any more, so destructors may run.
        self.host().settle();
        answer
    }
}
