//! The kernel: its tables, and the calls that whoever embeds it makes for its callers.

use crate::btf::BtfObject;
use crate::cmd;
use crate::compiled::Engine;
use crate::error::Result;
use crate::file::File;
use crate::ids::IdTable;
use crate::link::LinkObject;
use crate::map::MapObject;
use crate::net::{InterfaceObject, Interfaces};
use crate::observer::Observer;
use crate::perf::PerfEvent;
use crate::prog::Prog;
use crate::request::Request;
use crate::runner::{FUEL_PER_RUN, Runner};
use crate::tracepoint::{TracepointObject, Tracepoints};
use crate::vmlinux::Vmlinux;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use skep_abi::{AttachType, Cmd, Errno, FuncId, PerfEventAttr};
use skep_maps::{Mmap, Mode, Region};
use skep_mem::{Bytes, Caller, Capability, FileObject, Host, Shared, WaitQueue};
use skep_vm::Promise;
use zerocopy::FromBytes;

/// What all commands share.
pub(crate) struct Inner {
    pub(crate) host: Arc<dyn Host>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) maps: Arc<IdTable<MapObject>>,
    pub(crate) progs: Arc<IdTable<Prog>>,
    pub(crate) links: Arc<IdTable<LinkObject>>,
    pub(crate) btfs: Arc<IdTable<BtfObject>>,
    pub(crate) interfaces: Interfaces,
    pub(crate) tracepoints: Tracepoints,
    pub(crate) vmlinux: Vmlinux,
    pub(crate) admit: Admit,
    pub(crate) runs: Runs,
    /// The instructions that one run may execute.
    pub(crate) fuel: u64,
    pub(crate) observer: Arc<dyn Observer>,
}

/// What whoever makes a kernel may choose of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How many instructions a run of a program may execute before it is stopped.
    pub fuel: u64,
    /// Which programs are loaded.
    pub admit: Admit,
    /// What runs them.
    pub runs: Runs,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings { fuel: FUEL_PER_RUN, admit: Admit::Verified, runs: Runs::Exact }
    }
}

/// What runs programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Runs {
    /// The reference machine, which checks every access.
    #[default]
    Exact,
    /// Programs that are verified are compiled, to machine code where the host has [memory](skep_mem::Host::code) for it, and run without
    /// checks; the others run on the reference machine. Which do is told to an [`Observer`].
    ///
    /// It takes somebody's word that what is verified is safe to run so: that the verifier errs nowhere, and that the host's memory is there
    /// as long as it says.
    Compiled(Promise),
}

/// Which programs are loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Admit {
    /// Those that Linux loads: what its verifier refuses is refused. Where skep's does not model what a program needs, its structure is
    /// looked at.
    #[default]
    Verified,
    /// Those whose structure is sound. Every access is checked when they run, and a run that does wrong is stopped.
    Structured,
}

impl Inner {
    /// Tells whether programs may call a helper here: it is there, and the host gives what it needs.
    pub(crate) fn has_helper(&self, id: FuncId) -> bool {
        id == FuncId::TAIL_CALL || skep_helpers::find(id).is_some_and(|row| row.needs.met_by(&*self.host))
    }
}

/// A kernel: `bpf(2)` and the calls beside it. Cheap to clone; two of them share nothing.
#[derive(Clone)]
pub struct Kernel {
    inner: Arc<Inner>,
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel")
    }
}

/// The requests of `ioctl(2)` on a perf event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PerfIoctl {
    /// `PERF_EVENT_IOC_ENABLE`.
    Enable,
    /// `PERF_EVENT_IOC_DISABLE`.
    Disable,
    /// `PERF_EVENT_IOC_SET_BPF`, with a program's descriptor.
    SetBpf(u32),
}

impl Kernel {
    /// Makes a kernel on a host.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn new(host: Arc<dyn Host>, observer: Arc<dyn Observer>) -> Result<Kernel> {
        Kernel::with_settings(host, observer, Settings::default())
    }

    /// Makes a kernel that is not as most are.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn with_settings(
        host: Arc<dyn Host>,
        observer: Arc<dyn Observer>,
        settings: Settings,
    ) -> Result<Kernel> {
        let runner = Arc::new(Runner::new(&host, Arc::clone(&observer), settings.fuel)?);
        let btfs = Arc::new(IdTable::new(&host));
        let vmlinux = Vmlinux::new(&host, btfs.reserve()?);
        Ok(Kernel {
            inner: Arc::new(Inner {
                runner,
                maps: Arc::new(IdTable::new(&host)),
                progs: Arc::new(IdTable::new(&host)),
                links: Arc::new(IdTable::new(&host)),
                btfs,
                interfaces: Interfaces::new(&host),
                tracepoints: Tracepoints::new(&host),
                vmlinux,
                admit: settings.admit,
                runs: settings.runs,
                fuel: settings.fuel,
                observer,
                host,
            }),
        })
    }

    /// Answers `bpf(2)`: the attributes are `size` bytes at `attr` of the caller's memory. Gives a descriptor, or 0.
    ///
    /// # Errors
    /// What Linux 6.18 answers to the same mistake.
    pub fn bpf(&self, caller: &dyn Caller, cmd: u32, attr: u64, size: u32) -> Result<i64> {
        let request = Request::read(caller, attr, size)?;
        cmd::dispatch(&self.inner, Cmd(cmd), &request)
    }

    /// Tells what runs a program.
    ///
    /// # Errors
    /// `ENOENT` where no program has the number.
    pub fn engine_of(&self, prog_id: u32) -> Result<Engine> {
        self.inner.progs.find(prog_id).map(|prog| prog.engine())
    }

    /// Answers `perf_event_open(2)` for events of BPF output and of tracepoints; gives a descriptor.
    ///
    /// # Errors
    /// `ENOENT` for an event that there is not; `EINVAL`; `EACCES` without `CAP_PERFMON`; `E2BIG`; `ENOMEM`; `EMFILE`.
    pub fn perf_event_open(&self, caller: &dyn Caller, attr: u64, pid: i32, cpu: i32) -> Result<i64> {
        let read = |addr, into: &mut [u8]| caller.memory().read(addr, into).map_err(|_| Errno::EFAULT);
        let mut size = [0; 4];
        read(attr + core::mem::offset_of!(PerfEventAttr, size) as u64, &mut size)?;
        // PERF_ATTR_SIZE_VER0 is the smallest; 0 means it.
        let size = match u32::from_ne_bytes(size) as usize {
            0 => 64,
            size => size,
        };
        if !(64..=4096).contains(&size) {
            return Err(Errno::E2BIG);
        }
        let mut bytes = [0; size_of::<PerfEventAttr>()];
        let known = size.min(bytes.len());
        read(attr, &mut bytes[..known])?;
        let mut rest = [0; 1];
        for at in known..size {
            read(attr + at as u64, &mut rest)?;
            if rest != [0] {
                return Err(Errno::E2BIG);
            }
        }
        let wanted = PerfEventAttr::read_from_bytes(&bytes).map_err(|_| Errno::EINVAL)?;
        let rights = caller.rights();
        if !rights.has(Capability::Perfmon) && !rights.has(Capability::SysAdmin) {
            return Err(Errno::EACCES);
        }
        let find = |id| self.inner.tracepoints.find(id);
        let event = PerfEvent::open(&self.inner.host, &wanted, pid, cpu, find)?;
        caller.files().install(File::Perf(event).into_object()?).map(i64::from)
    }

    /// Answers `ioctl(2)` on one of this kernel's files.
    ///
    /// # Errors
    /// `ENOTTY` for what is no perf event; as `PERF_EVENT_IOC_SET_BPF`.
    pub fn perf_ioctl(&self, caller: &dyn Caller, file: &FileObject, ioctl: PerfIoctl) -> Result<()> {
        let file = file.clone().downcast::<File>().map_err(|_| Errno::ENOTTY)?;
        let File::Perf(event) = &*file else { return Err(Errno::ENOTTY) };
        match ioctl {
            // A tracepoint's programs run whether its event counts or not.
            PerfIoctl::Enable => event.output().into_iter().for_each(|event| event.enable()),
            PerfIoctl::Disable => event.output().into_iter().for_each(|event| event.disable()),
            PerfIoctl::SetBpf(fd) => {
                let object =
                    caller.files().lookup(fd as i32)?.downcast::<File>().map_err(|_| Errno::EINVAL)?;
                let File::Prog(prog) = &*object else { return Err(Errno::EINVAL) };
                event.set_bpf(prog)?;
            }
        }
        Ok(())
    }

    /// Answers a shared `mmap(2)` of one of this kernel's files; the pages live as long as the answer.
    ///
    /// # Errors
    /// `ENODEV` for what cannot be mapped, `EPERM`, `EACCES`, `EINVAL`, `ENOMEM`.
    pub fn mmap(&self, file: &FileObject, offset: u64, len: usize, how: Mmap) -> Result<Mapped> {
        let file = file.clone().downcast::<File>().map_err(|_| Errno::ENODEV)?;
        let offset = usize::try_from(offset).map_err(|_| Errno::EINVAL)?;
        match &*file {
            File::Map(map, mode) => {
                let writes = how == Mmap::ReadWrite;
                // What the file was opened for (`do_mmap`), whether the kind can be mapped at all, whether the map may
                // be written, and the range: in this order (`bpf_map_mmap`, kernel/bpf/syscall.c).
                if *mode == Mode::Write || (*mode == Mode::Read && writes) {
                    return Err(Errno::EACCES);
                }
                let region = map.map.mmap(offset, len, how);
                if matches!(region, Err(Errno::ENOTSUPP)) {
                    return Err(Errno::ENOTSUPP);
                }
                let writing = if writes {
                    map.access.map_writable(map.map.def().flags)?;
                    Some(WritableMap(map.clone()))
                } else {
                    None
                };
                let region = region?;
                Ok(Mapped { region, _writing: writing })
            }
            File::Perf(event) => {
                let event = event.output().ok_or(Errno::EINVAL)?;
                Ok(Mapped { region: event.mmap(offset, len, how)?, _writing: None })
            }
            _ => Err(Errno::ENODEV),
        }
    }

    /// Tells whether a file is readable (`POLLIN`).
    pub fn is_readable(&self, file: &FileObject) -> bool {
        match file.clone().downcast::<File>() {
            Ok(file) => match &*file {
                File::Map(map, _) => map.map.is_readable(),
                File::Perf(event) => event.output().is_some_and(|event| event.is_readable()),
                _ => false,
            },
            Err(_) => false,
        }
    }

    /// Lends what is woken when a file becomes readable; `None` for files that nobody can wait for.
    pub fn with_waiters<R>(&self, file: &FileObject, look: impl FnOnce(&WaitQueue) -> R) -> Option<R> {
        let file = file.clone().downcast::<File>().ok()?;
        match &*file {
            File::Map(map, _) => map.map.waiters().map(look),
            File::Perf(event) => event.output().map(|event| look(event.waiters())),
            _ => None,
        }
    }

    /// Lends this kernel's own BTF, which Linux shows at `/sys/kernel/btf/vmlinux`; it is made when it is asked for
    /// first, and stays.
    ///
    /// It has the contexts and enumerations of Linux 6.18, the headers of packets, a function for each helper that
    /// programs may call here, and a type for each tracepoint whose arguments are Linux's and that was registered by
    /// then.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn with_btf<R>(&self, look: impl FnOnce(&[u8]) -> R) -> Result<R> {
        self.inner.vmlinux.open(&self.inner).map(|object| look(object.btf.bytes()))
    }

    /// Registers an interface, whose packets programs may then see.
    ///
    /// # Errors
    /// `EINVAL` for a name that is none, `EEXIST`, `ENOMEM`.
    pub fn add_interface(&self, name: &str) -> Result<Interface> {
        let object = self.inner.interfaces.add(&self.inner.host, &self.inner.runner, name)?;
        Ok(Interface { inner: Arc::clone(&self.inner), object })
    }

    /// Lists the interfaces by name and index.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn interfaces(&self) -> Result<Vec<(String, u32)>> {
        let known = self.inner.interfaces.all()?;
        collect(known.iter().map(|known| Ok((copy(&known.name)?, known.index))))
    }

    /// Registers a tracepoint; `name` is what raw programs are opened by, `group` and `name` where tracefs lists it.
    ///
    /// # Errors
    /// `EEXIST`, `ENOMEM`.
    pub fn add_tracepoint(&self, group: &str, name: &str) -> Result<Tracepoint> {
        let object = self.inner.tracepoints.add(&self.inner.host, &self.inner.runner, group, name)?;
        Ok(Tracepoint { inner: Arc::clone(&self.inner), object })
    }

    /// Lists the tracepoints by group, name and number.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn tracepoints(&self) -> Result<Vec<(String, String, u64)>> {
        let known = self.inner.tracepoints.all()?;
        collect(known.iter().map(|known| Ok((copy(&known.group)?, copy(&known.name)?, known.id))))
    }
}

/// Copies a name.
fn copy(name: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(name.len()).map_err(|_| Errno::ENOMEM)?;
    copy.push_str(name);
    Ok(copy)
}

/// Makes a list of what can be made, as long as there is memory.
pub(crate) fn collect<T>(items: impl ExactSizeIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    list.try_reserve_exact(items.len()).map_err(|_| Errno::ENOMEM)?;
    for item in items {
        list.push(item?);
    }
    Ok(list)
}

/// Pages mapped from a file; they stay while this lives, whatever becomes of the file.
#[derive(Debug)]
pub struct Mapped {
    region: Region,
    _writing: Option<WritableMap>,
}

impl Mapped {
    /// Lends the memory; it may be shorter than was asked for, or empty, where the host cannot mirror.
    pub fn bytes(&self) -> Bytes<'_> {
        self.region.bytes()
    }

    /// Gives the host's number for the frame behind page `index`, for an operating system that maps frames into its
    /// processes; `None` past the end. Every page that was asked for has one, the second appearance of a ring's data
    /// too where the host cannot mirror.
    pub fn frame(&self, index: usize) -> Option<u64> {
        self.region.frame(index)
    }
}

/// Keeps a map from being frozen while it is mapped for writing.
#[derive(Debug)]
struct WritableMap(Shared<MapObject>);

impl Drop for WritableMap {
    fn drop(&mut self) {
        self.0.access.unmap_writable();
    }
}

/// A registered interface; it goes away on drop.
pub struct Interface {
    inner: Arc<Inner>,
    object: Arc<InterfaceObject>,
}

impl Interface {
    /// Gives the index, as links name it.
    pub fn index(&self) -> u32 {
        self.object.index
    }

    /// Runs the XDP program on a frame, which becomes what the program makes of it; gives the verdict, `XDP_PASS`
    /// without a program, `XDP_ABORTED` where the run was stopped.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn receive(&self, frame: &mut Vec<u8>) -> Result<u32> {
        self.object.receive_xdp(frame).map(|verdict| verdict as u32)
    }

    /// Runs the tc programs for packets that come in; gives the verdict, `TC_ACT_OK` where none decides.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn ingress(&self, frame: &mut Vec<u8>) -> Result<u32> {
        self.object.run_tcx(AttachType::TCX_INGRESS, frame).map(|verdict| verdict as u32)
    }

    /// Runs the tc programs for packets that go out.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn egress(&self, frame: &mut Vec<u8>) -> Result<u32> {
        self.object.run_tcx(AttachType::TCX_EGRESS, frame).map(|verdict| verdict as u32)
    }
}

impl fmt::Debug for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interface({} {})", self.object.index, self.object.name)
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        self.inner.interfaces.remove(self.object.index);
    }
}

/// A registered tracepoint; it goes away on drop.
pub struct Tracepoint {
    inner: Arc<Inner>,
    object: Arc<TracepointObject>,
}

impl Tracepoint {
    /// Tells whether nothing is attached, so that arguments need not be gathered.
    pub fn is_empty(&self) -> bool {
        self.object.raw_hook.is_empty() && self.object.record_hook.is_empty()
    }

    /// Runs what is attached: raw programs on the arguments, others on the record.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn fire(&self, args: &[u64], record: &[u8]) -> Result<()> {
        self.object.fire(args, record)
    }
}

impl fmt::Debug for Tracepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tracepoint({})", self.object.name)
    }
}

impl Drop for Tracepoint {
    fn drop(&mut self) {
        self.inner.tracepoints.remove(self.object.id);
    }
}
