//! Perf events: those that programs write samples to, and those of tracepoints.

use crate::error::Result;
use crate::hook::{AttachKey, Hook, Position};
use crate::prog::Prog;
use crate::tracepoint::TracepointObject;
use alloc::sync::Arc;
use skep_abi::perf::{attr_bit, attr_bits as bit};
use skep_abi::{Errno, PerfEventAttr, PerfType, ProgType};
use skep_mem::{Host, Locked, Shared};

/// Where an event's samples come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From programs, by `bpf_perf_event_output`.
    Output(Shared<skep_maps::PerfEvent>),
    /// From a tracepoint; its programs run on its record.
    Tracepoint(Arc<TracepointObject>),
}

/// An open perf event.
#[derive(Debug)]
pub(crate) struct PerfEvent {
    source: Source,
    /// The program that `PERF_EVENT_IOC_SET_BPF` has put on the tracepoint.
    attached: Locked<Option<(Arc<Hook>, AttachKey)>>,
}

impl PerfEvent {
    /// Opens an event.
    ///
    /// # Errors
    /// `ENOENT` for a type or tracepoint that there is not; `EINVAL` for a CPU that there is not, or an event of a
    /// process; `ENOMEM`.
    pub(crate) fn open(
        host: &Arc<dyn Host>,
        attr: &PerfEventAttr,
        pid: i32,
        cpu: i32,
        tracepoint: impl FnOnce(u64) -> Result<Arc<TracepointObject>>,
    ) -> Result<Shared<PerfEvent>> {
        let source = match PerfType(attr.type_) {
            PerfType::TRACEPOINT => Source::Tracepoint(tracepoint(attr.config)?),
            _ if pid != -1 => return Err(Errno::EINVAL),
            _ => {
                let event = Shared::try_new(skep_maps::PerfEvent::new(host, attr, cpu, 0)?)?;
                if attr.flags & attr_bit(bit::DISABLED) == 0 {
                    event.enable();
                }
                Source::Output(event)
            }
        };
        Ok(Shared::try_new(PerfEvent { source, attached: Locked::new(host, None) })?)
    }

    /// Tells where samples come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Gives the event that programs write to.
    pub(crate) fn output(&self) -> Option<&Shared<skep_maps::PerfEvent>> {
        match &self.source {
            Source::Output(event) => Some(event),
            Source::Tracepoint(_) => None,
        }
    }

    /// Attaches a tracepoint's program (`PERF_EVENT_IOC_SET_BPF`).
    ///
    /// # Errors
    /// `EINVAL` for another type or source; `EEXIST` where there is one already; `ENOMEM`.
    pub(crate) fn set_bpf(&self, prog: &Shared<Prog>) -> Result<()> {
        let Source::Tracepoint(tracepoint) = &self.source else { return Err(Errno::EINVAL) };
        if prog.body.prog_type != ProgType::TRACEPOINT {
            return Err(Errno::EINVAL);
        }
        if self.attached.lock().is_some() {
            return Err(Errno::EEXIST);
        }
        let hook = &tracepoint.record_hook;
        let key = hook.attach(prog, 0, 0, Position::Last)?;
        let before = self.attached.lock().replace((Arc::clone(hook), key));
        // Two callers at once: the later one stands.
        if let Some((hook, key)) = before {
            hook.detach(key);
        }
        Ok(())
    }
}

impl Drop for PerfEvent {
    fn drop(&mut self) {
        if let Some((hook, key)) = self.attached.with_mut().take() {
            hook.detach(key);
        }
    }
}
