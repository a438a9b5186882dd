//! What keeps a program attached.

use crate::error::{Error, ErrorKind, Result};
use crate::{Kernel, Program};
use skep_abi::{Errno, LinkInfo};
use skep_sys::{Handle, LinkFd};

/// An attached program. Dropping it detaches; [`Link::keep`] and [`Link::pin`] do not.
#[derive(Debug)]
#[must_use = "dropping the link detaches the program"]
pub struct Link {
    name: Name,
    held: Held,
}

/// What errors say of a link.
#[derive(Debug)]
enum Name {
    /// The program's name, or the path of the pin.
    Known(String),
    Id(u32),
}

/// What is held for the program to stay attached. Fields are dropped in order: the link before the event it is on.
#[derive(Debug)]
enum Held {
    /// A link of the kernel's.
    Link(LinkFd),
    /// A link on a perf event.
    LinkOnEvent(LinkFd, #[expect(dead_code, reason = "held to stay open")] Handle),
    /// A perf event with the program on it (before Linux 5.15).
    Event(#[expect(dead_code, reason = "held to stay open")] Handle),
    /// A socket with the program on it.
    Socket(#[expect(dead_code, reason = "held to be detached when dropped")] AttachedSocket),
}

/// A socket that loses its filter when it is dropped.
#[derive(Debug)]
struct AttachedSocket(Handle);

impl Drop for AttachedSocket {
    fn drop(&mut self) {
        // Nobody is left to be told; a filter that someone else took off is off.
        let _ = self.0.kernel().socket_detach(self.0.fd());
    }
}

impl Link {
    pub(crate) fn of(name: &str, link: LinkFd) -> Link {
        Link { name: Name::Known(name.to_owned()), held: Held::Link(link) }
    }

    pub(crate) fn of_id(id: u32, link: LinkFd) -> Link {
        Link { name: Name::Id(id), held: Held::Link(link) }
    }

    pub(crate) fn of_linked_event(name: &str, event: Handle, link: LinkFd) -> Link {
        Link { name: Name::Known(name.to_owned()), held: Held::LinkOnEvent(link, event) }
    }

    pub(crate) fn of_bare_event(name: &str, event: Handle) -> Link {
        Link { name: Name::Known(name.to_owned()), held: Held::Event(event) }
    }

    pub(crate) fn of_socket(name: &str, socket: Handle) -> Link {
        Link { name: Name::Known(name.to_owned()), held: Held::Socket(AttachedSocket(socket)) }
    }

    /// Opens a link that is pinned.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where nothing is pinned there; [`ErrorKind::Permission`].
    pub fn open_pinned(kernel: &Kernel, path: &str) -> Result<Link> {
        let handle = kernel.sys().obj_get(path, 0).map_err(|error| {
            let made = Error::call("BPF_OBJ_GET", error).at_path(path);
            match made.errno() {
                Some(Errno::ENOENT) => made.kind_is(ErrorKind::NotFound),
                _ => made,
            }
        })?;
        Ok(Link::of(path, LinkFd::from_handle(handle)))
    }

    /// Gives the kernel's link; `None` where the program is attached without one.
    pub fn fd(&self) -> Option<&LinkFd> {
        match &self.held {
            Held::Link(link) | Held::LinkOnEvent(link, _) => Some(link),
            Held::Event(_) | Held::Socket(_) => None,
        }
    }

    /// Reads what the kernel says of the link.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the program is attached without a link of the kernel's.
    pub fn info(&self) -> Result<LinkInfo> {
        self.linked()?.info().map_err(|error| self.error("BPF_OBJ_GET_INFO_BY_FD", error))
    }

    /// Leaves the program attached for as long as this process lives; [`Link::pin`] is for longer.
    pub fn keep(self) {
        // The descriptors stay open, and nobody has them any more.
        std::mem::forget(self);
    }

    /// Pins the link at a path in a BPF file system: the program stays attached until that is removed.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the program is attached without a link of the kernel's; `EEXIST`; `EPERM`
    /// where it is no BPF file system.
    pub fn pin(&self, path: &str) -> Result<()> {
        let link = self.linked()?;
        let answer = link.handle().kernel().obj_pin(link.handle(), path);
        answer.map_err(|error| self.error("BPF_OBJ_PIN", error).at_path(path))
    }

    /// Puts another program in the place of the one attached, so that none is missing in between.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the program is attached without a link of the kernel's; [`ErrorKind::Kernel`]
    /// where this kind of link cannot.
    pub fn update(&self, program: &Program) -> Result<()> {
        let answer = self.linked()?.update(program.fd().fd(), None);
        answer.map_err(|error| Error::call("BPF_LINK_UPDATE", error).in_program(program.name()))
    }

    /// Runs an iterator and gives all that it wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Kernel`] where it is no iterator, or fails.
    pub fn read_iter(&self) -> Result<Vec<u8>> {
        let link = self.linked()?;
        let output = link.iter_create().map_err(|error| self.error("BPF_ITER_CREATE", error))?;
        let answer = output.kernel().read_to_end(&output);
        answer.map_err(|error| self.error("read", error))
    }

    pub(crate) fn error(&self, call: &'static str, error: impl Into<skep_sys::CallError>) -> Error {
        self.placed(Error::call(call, error))
    }

    fn placed(&self, error: Error) -> Error {
        match &self.name {
            Name::Known(name) => error.in_program(name),
            Name::Id(id) => error.of_object(format_args!("link {id}")),
        }
    }

    pub(crate) fn linked(&self) -> Result<&LinkFd> {
        self.fd().ok_or_else(|| {
            let what = "the program is attached without a link of the kernel's";
            self.placed(Error::new(ErrorKind::Unsupported, what).with_errno(Errno::EOPNOTSUPP))
        })
    }
}
