//! The seam over the running Linux kernel: [`Linux`] answers each call with one system call.
//!
//! Descriptors are close-on-exec and never 0, 1 or 2: where the kernel gives such a number (the process has closed its
//! standard streams), the descriptor is duplicated above them and the low one closed. To map the kernel's BTF is to open it,
//! to see what file it is, and to close it. These are the only calls that are made beside the one asked for. Nothing is
//! retried, cached or remembered.
//!
//! This crate knows nothing about ELF, BTF or programs, nor which calls a loader makes. On other systems it is empty.
#[cfg(target_os = "linux")]
mod bpf;
#[cfg(target_os = "linux")]
mod fd;
#[cfg(target_os = "linux")]
mod file;
#[cfg(target_os = "linux")]
mod ioctl;
#[cfg(target_os = "linux")]
mod limit;
#[cfg(target_os = "linux")]
mod map;
#[cfg(target_os = "linux")]
mod perf;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod wait;

#[cfg(target_os = "linux")]
pub use fd::borrow_handle;
#[cfg(target_os = "linux")]
pub use linux::{Linux, kernel};

#[cfg(target_os = "linux")]
mod linux {
    use super::{bpf, fd, file, ioctl, limit, map, perf, socket, wait};
    use skep_abi::Errno;
    use skep_sys::{Call, Kernel, Reply, Sys};

    /// The running kernel.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Linux;

    /// Makes the running kernel ready for typed operations.
    pub fn kernel() -> Kernel {
        Kernel::from_sys(Linux)
    }

    impl Sys for Linux {
        fn call(&self, call: Call<'_>) -> Result<Reply, Errno> {
            match call {
                Call::Bpf(attr) => bpf::bpf(attr),
                Call::PerfEvent(open) => perf::open(open),
                Call::Ioctl(fd, request) => ioctl::ioctl(fd, request),
                Call::Map(call) => map::map(call),
                Call::MapBtf => map::map_btf(),
                Call::Arena(call) => map::arena(call),
                Call::Unmap(raw) => map::unmap(raw),
                Call::Wait(fds, timeout_ms) => wait::wait(fds, timeout_ms),
                Call::File(call) => file::file(call),
                Call::Socket(call) => socket::socket(call),
                Call::Limit(call) => limit::limit(call),
                Call::Refresh => Ok(Reply::None),
                Call::Dup(fd) => fd::dup(fd),
                Call::Close(fd) => fd::close(fd),
                // Among them `Watch`: readiness is the operating system's own here.
                _ => Err(Errno::EOPNOTSUPP),
            }
        }
    }
}
