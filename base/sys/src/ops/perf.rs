//! Perf events.

use super::CallError;
use crate::{Call, Fd, Handle, Ioctl, Kernel, PerfEventOpen};

impl Kernel {
    /// Opens a perf event (`perf_event_open(2)`).
    ///
    /// # Errors
    /// `ENOENT` where there is no such event, `EINVAL`, `EACCES`.
    pub fn perf_event_open(&self, open: PerfEventOpen<'_>) -> Result<Handle, CallError> {
        if open.target.is_some_and(|target| target.contains('\0')) {
            return Err(crate::AttrError::NulInside { what: "target" }.into());
        }
        Ok(self.open(Call::PerfEvent(open))?)
    }

    /// Starts an event (`PERF_EVENT_IOC_ENABLE`).
    ///
    /// # Errors
    /// `ENOTTY` where it is no perf event.
    pub fn perf_enable(&self, event: &Handle) -> Result<(), CallError> {
        self.call(Call::Ioctl(event.fd(), Ioctl::PerfEnable))?;
        Ok(())
    }

    /// Stops an event (`PERF_EVENT_IOC_DISABLE`).
    ///
    /// # Errors
    /// `ENOTTY` where it is no perf event.
    pub fn perf_disable(&self, event: &Handle) -> Result<(), CallError> {
        self.call(Call::Ioctl(event.fd(), Ioctl::PerfDisable))?;
        Ok(())
    }

    /// Attaches a program to an event (`PERF_EVENT_IOC_SET_BPF`).
    ///
    /// # Errors
    /// `EEXIST` where there is one already; `EINVAL` where program and event do not fit.
    pub fn perf_set_bpf(&self, event: &Handle, prog: Fd) -> Result<(), CallError> {
        self.call(Call::Ioctl(event.fd(), Ioctl::PerfSetBpf(prog)))?;
        Ok(())
    }
}
