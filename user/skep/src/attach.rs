//! Attaching: one method for every kind of place.

use crate::error::{Error, ErrorKind, Result};
use crate::{Link, Program, files};
use skep_abi::net::{XDP_FLAGS_DRV_MODE, XDP_FLAGS_HW_MODE, XDP_FLAGS_SKB_MODE};
use skep_abi::{AttachType, Errno, LinkCreate, LinkCreatePerfEvent, PerfEventAttr, PerfType, ProgType};
use skep_model::platform::sections::{self, Target};
use skep_sys::{Fd, Handle, PerfEventOpen};

/// Where a program is to be attached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Attach {
    /// The receiving side of an interface (`xdp`).
    Xdp {
        /// The interface.
        interface: Interface,
        /// Who runs the program.
        mode: XdpMode,
    },
    /// A tracepoint, with its record for context (`tracepoint`).
    Tracepoint {
        /// Its category, as `syscalls`.
        category: String,
        /// Its name, as `sys_enter_openat`.
        name: String,
    },
    /// A tracepoint, with its arguments for context (`raw_tracepoint`).
    RawTracepoint {
        /// Its name, as `sys_enter`.
        name: String,
    },
    /// A socket (`socket`).
    Socket {
        /// The number of its descriptor, which the link duplicates.
        fd: i32,
    },
    /// The kernel function, tracepoint or hook that the program was loaded for (`fentry`, `fexit`, `tp_btf`, `lsm`).
    LoadedFor,
    /// The iterator that the program was loaded for (`iter`); [`Link::read_iter`] runs it.
    Iter,
}

/// An interface, by name or by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interface {
    /// Its name, as `eth0`.
    Name(String),
    /// Its index.
    Index(u32),
}

/// Who runs an XDP program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum XdpMode {
    /// The driver if it can, else the network stack.
    #[default]
    Any,
    /// The network stack, after it has made a socket buffer of the packet.
    Generic,
    /// The driver.
    Driver,
    /// The hardware.
    Hardware,
}

impl From<&str> for Interface {
    fn from(name: &str) -> Interface {
        Interface::Name(name.to_owned())
    }
}

impl From<u32> for Interface {
    fn from(index: u32) -> Interface {
        Interface::Index(index)
    }
}

impl Attach {
    /// The receiving side of an interface, given by name or by index.
    pub fn xdp(interface: impl Into<Interface>) -> Attach {
        Attach::Xdp { interface: interface.into(), mode: XdpMode::Any }
    }

    /// A tracepoint, as `Attach::tracepoint("syscalls", "sys_enter_openat")`.
    pub fn tracepoint(category: &str, name: &str) -> Attach {
        Attach::Tracepoint { category: category.to_owned(), name: name.to_owned() }
    }

    /// A raw tracepoint, as `Attach::raw_tracepoint("sys_enter")`.
    pub fn raw_tracepoint(name: &str) -> Attach {
        Attach::RawTracepoint { name: name.to_owned() }
    }

    /// A socket. The link keeps it open.
    #[cfg(unix)]
    pub fn socket(socket: &impl std::os::fd::AsFd) -> Attach {
        use std::os::fd::AsRawFd;
        Attach::Socket { fd: socket.as_fd().as_raw_fd() }
    }
}

impl Program {
    /// Attaches the program. Dropping the link detaches it.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is no such place; [`ErrorKind::Setting`] where program and place do not
    /// fit; [`ErrorKind::Unsupported`] where this kernel has no such places; [`ErrorKind::Permission`]. `EBUSY` where
    /// the place is taken.
    pub fn attach(&self, attach: Attach) -> Result<Link> {
        self.attach_to(&attach).map_err(|error| error.in_program(self.name()))
    }

    /// Attaches the program where its section says (`tracepoint/CATEGORY/NAME`, `raw_tracepoint/NAME`, `fentry/…`).
    ///
    /// # Errors
    /// [`ErrorKind::Setting`] where the section says no place, as `xdp` does not; else as [`Program::attach`].
    pub fn attach_auto(&self) -> Result<Link> {
        let fail = |error: Error| error.in_program(self.name()).in_section(self.section());
        let section = sections::lookup(self.section())
            .map_err(|error| fail(Error::new(ErrorKind::Setting, error.to_string())))?;
        let target =
            section.target().map_err(|error| fail(Error::new(ErrorKind::Setting, error.to_string())))?;
        let attach = match target {
            Target::Tracepoint { category, name } => Attach::tracepoint(category, name),
            Target::RawTracepoint { name } => Attach::raw_tracepoint(name),
            Target::Btf { .. } => Attach::LoadedFor,
            Target::Iter { .. } => Attach::Iter,
            Target::None => {
                let what = "its section does not say where it is attached; say it with Program::attach";
                return Err(fail(Error::new(ErrorKind::Setting, what)));
            }
            _ => {
                let what = "attaching programs of this section is not supported yet";
                return Err(fail(Error::new(ErrorKind::Unsupported, what)));
            }
        };
        self.attach(attach)
    }

    fn attach_to(&self, attach: &Attach) -> Result<Link> {
        self.check_fits(attach)?;
        let sys = self.kernel().sys();
        let prog = self.fd().fd();
        match attach {
            Attach::Xdp { interface, mode } => {
                let (index, name) = match interface {
                    Interface::Index(index) => (*index, format!("interface {index}")),
                    Interface::Name(name) => {
                        (files::interface_index(self.kernel(), name)?, format!("interface {name}"))
                    }
                };
                let flags = match mode {
                    XdpMode::Any => 0,
                    XdpMode::Generic => XDP_FLAGS_SKB_MODE,
                    XdpMode::Driver => XDP_FLAGS_DRV_MODE,
                    XdpMode::Hardware => XDP_FLAGS_HW_MODE,
                };
                let create = LinkCreate {
                    prog_fd: prog.raw(),
                    target_fd: index,
                    attach_type: AttachType::XDP.0,
                    flags,
                };
                let link = sys.link_create(&create);
                Ok(Link::of(
                    self.name(),
                    link.map_err(|error| Error::call("BPF_LINK_CREATE", error).at_path(&name))?,
                ))
            }
            Attach::Tracepoint { category, name } => {
                let id = files::tracepoint_id(self.kernel(), category, name)?;
                self.attach_tracepoint(id)
                    .map_err(|error| error.at_path(&format!("tracepoint {category}/{name}")))
            }
            Attach::RawTracepoint { name } => {
                let link = sys.raw_tracepoint_open(Some(name), prog, 0);
                let place = format!("raw tracepoint {name}");
                Ok(Link::of(
                    self.name(),
                    link.map_err(|error| Error::call("BPF_RAW_TRACEPOINT_OPEN", error).at_path(&place))?,
                ))
            }
            Attach::Socket { fd } => {
                let socket = sys.open(skep_sys::Call::Dup(Fd::Os(*fd))).map_err(|error| match error {
                    // A kernel that is not the operating system's knows nothing of its sockets.
                    Errno::EBADF | Errno::EOPNOTSUPP if self.fd().handle().as_os_fd().is_none() => {
                        let what = "sockets are the operating system's, and this kernel is not";
                        Error::new(ErrorKind::Unsupported, what).with_errno(Errno::EOPNOTSUPP)
                    }
                    error => Error::call("dup", error),
                })?;
                sys.socket_attach(socket.fd(), prog)
                    .map_err(|error| Error::call("setsockopt SO_ATTACH_BPF", error))?;
                Ok(Link::of_socket(self.name(), socket))
            }
            Attach::LoadedFor => {
                let link = sys.raw_tracepoint_open(None, prog, 0);
                Ok(Link::of(
                    self.name(),
                    link.map_err(|error| Error::call("BPF_RAW_TRACEPOINT_OPEN", error))?,
                ))
            }
            Attach::Iter => {
                let base = LinkCreate { prog_fd: prog.raw(), ..LinkCreate::default() };
                let link = sys.link_create_iter(&base, &[]);
                Ok(Link::of(self.name(), link.map_err(|error| Error::call("BPF_LINK_CREATE", error))?))
            }
        }
    }

    /// Opens the tracepoint's event and puts the program on it: by a link (Linux 5.15), else by the event itself.
    fn attach_tracepoint(&self, id: u32) -> Result<Link> {
        let sys = self.kernel().sys();
        let attr = PerfEventAttr {
            type_: PerfType::TRACEPOINT.0,
            size: size_of::<PerfEventAttr>() as u32,
            config: id.into(),
            // Each event counts, none is written anywhere.
            sample_period: 1,
            wakeup_events: 1,
            ..PerfEventAttr::default()
        };
        let open = PerfEventOpen { attr: &attr, target: None, pid: -1, cpu: 0, group: None };
        let event = sys.perf_event_open(open).map_err(|error| Error::call("perf_event_open", error))?;
        let link = LinkCreatePerfEvent {
            base: LinkCreate {
                prog_fd: self.fd().fd().raw(),
                target_fd: event.fd().raw(),
                attach_type: AttachType::PERF_EVENT.0,
                flags: 0,
            },
            ..LinkCreatePerfEvent::default()
        };
        match sys.link_create(&link) {
            Ok(link) => {
                self.enable(&event)?;
                Ok(Link::of_linked_event(self.name(), event, link))
            }
            Err(error) if error.errno() == Errno::EINVAL => {
                let set = sys.perf_set_bpf(&event, self.fd().fd());
                set.map_err(|error| Error::call("PERF_EVENT_IOC_SET_BPF", error))?;
                self.enable(&event)?;
                Ok(Link::of_bare_event(self.name(), event))
            }
            Err(error) => Err(Error::call("BPF_LINK_CREATE", error)),
        }
    }

    fn enable(&self, event: &Handle) -> Result<()> {
        let answer = self.kernel().sys().perf_enable(event);
        answer.map_err(|error| Error::call("PERF_EVENT_IOC_ENABLE", error))
    }

    /// Refuses pairs of program and place that no kernel takes, by name and not by EINVAL.
    fn check_fits(&self, attach: &Attach) -> Result<()> {
        const RAW: &[ProgType] =
            &[ProgType::RAW_TRACEPOINT, ProgType::RAW_TRACEPOINT_WRITABLE, ProgType::TRACING];
        const LOADED_FOR: &[ProgType] = &[ProgType::TRACING, ProgType::LSM, ProgType::EXT];
        let (place, takes): (_, &[ProgType]) = match attach {
            Attach::Xdp { .. } => ("an interface", &[ProgType::XDP]),
            Attach::Tracepoint { .. } => ("a tracepoint", &[ProgType::TRACEPOINT]),
            Attach::RawTracepoint { .. } => ("a raw tracepoint", RAW),
            Attach::Socket { .. } => ("a socket", &[ProgType::SOCKET_FILTER]),
            Attach::LoadedFor => ("what it was loaded for", LOADED_FOR),
            Attach::Iter => ("an iterator", &[ProgType::TRACING]),
        };
        if takes.contains(&self.prog_type()) {
            return Ok(());
        }
        let what = format!("a program of type {} cannot be attached to {place}", self.prog_type());
        Err(Error::new(ErrorKind::Setting, what).with_errno(Errno::EINVAL))
    }
}
