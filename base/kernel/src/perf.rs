//! Perf events: those that programs write samples to, and those of tracepoints.

use crate::error::Result;
use crate::hook::{AttachKey, Hook, Position};
use crate::perf_ring::PerfRing;
use crate::prog::Prog;
use crate::tracepoint::TracepointObject;
use alloc::sync::Arc;
use core::fmt;
use skep_abi::perf::{PERF_SAMPLE_RAW, attr_bit, attr_bits as bit};
use skep_abi::{Errno, PerfEventAttr, PerfSwId, PerfType, ProgType};
use skep_maps::Map;
use skep_mem::{Bytes, Host, Locked, OnCpu, Shared, WaitQueue};

/// Where an event's samples come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// From programs, by `bpf_perf_event_output` on this CPU.
    Output(u32),
    /// From a tracepoint; its programs run on its record.
    Tracepoint(Arc<TracepointObject>),
}

/// An open perf event.
pub(crate) struct PerfEvent {
    host: Arc<dyn Host>,
    source: Source,
    wakeup: Wakeup,
    state: Locked<State>,
    waiters: WaitQueue,
}

/// How many samples wake a reader.
#[derive(Clone, Copy, Debug)]
enum Wakeup {
    /// This many samples.
    Samples(u32),
    /// This many bytes.
    Bytes(u32),
}

#[derive(Debug)]
struct State {
    enabled: bool,
    ring: Option<Shared<PerfRing>>,
    attached: Option<(Arc<Hook>, AttachKey)>,
}

impl fmt::Debug for PerfEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PerfEvent({:?})", self.source)
    }
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
        let source = match (PerfType(attr.type_), attr.config) {
            (PerfType::SOFTWARE, config) if config == u64::from(PerfSwId::BPF_OUTPUT.0) => {
                let on = u32::try_from(cpu).map_err(|_| Errno::EINVAL)?;
                if pid != -1 || on >= host.cpus().possible() || attr.sample_type != PERF_SAMPLE_RAW {
                    return Err(Errno::EINVAL);
                }
                Source::Output(on)
            }
            (PerfType::TRACEPOINT, id) => Source::Tracepoint(tracepoint(id)?),
            _ => return Err(Errno::ENOENT),
        };
        let wakeup = match attr.flags & attr_bit(bit::WATERMARK) {
            0 => Wakeup::Samples(attr.wakeup_events.max(1)),
            _ => Wakeup::Bytes(attr.wakeup_events.max(1)),
        };
        let state = State { enabled: attr.flags & attr_bit(bit::DISABLED) == 0, ring: None, attached: None };
        let event = PerfEvent {
            host: Arc::clone(host),
            source,
            wakeup,
            state: Locked::new(host, state),
            waiters: WaitQueue::new(),
        };
        Ok(Shared::try_new(event)?)
    }

    /// Tells where samples come from.
    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    /// Gives what readers wait on.
    pub(crate) fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// Tells whether there is something to read.
    pub(crate) fn is_readable(&self) -> bool {
        let ring = self.state.lock().ring.clone();
        ring.is_some_and(|ring| ring.is_readable())
    }

    /// Turns the event on or off.
    pub(crate) fn set_enabled(&self, enabled: bool) {
        self.state.lock().enabled = enabled;
    }

    /// Attaches a tracepoint's program (`PERF_EVENT_IOC_SET_BPF`).
    ///
    /// # Errors
    /// `EINVAL` for another type or source; `EEXIST` where there is one already.
    pub(crate) fn set_bpf(&self, prog: &Shared<Prog>) -> Result<()> {
        let Source::Tracepoint(tracepoint) = &self.source else { return Err(Errno::EINVAL) };
        if prog.body.prog_type != ProgType::TRACEPOINT {
            return Err(Errno::EINVAL);
        }
        if self.state.lock().attached.is_some() {
            return Err(Errno::EEXIST);
        }
        let key = tracepoint.record_hook.attach(prog, 0, 0, Position::Last)?;
        let before = self.state.lock().attached.replace((Arc::clone(&tracepoint.record_hook), key));
        // Two callers at once: the later one stands.
        if let Some((hook, key)) = before {
            hook.detach(key);
        }
        Ok(())
    }

    /// Makes the ring of `len` bytes, one page of positions and a power of two of data, or gives the one there is.
    ///
    /// # Errors
    /// `EINVAL` for another length, or an event without samples; `ENOMEM`.
    pub(crate) fn ring(&self, len: usize) -> Result<Shared<PerfRing>> {
        if !matches!(self.source, Source::Output(_)) {
            return Err(Errno::EINVAL);
        }
        if let Some(ring) = &self.state.lock().ring {
            return if ring.len() == len { Ok(ring.clone()) } else { Err(Errno::EINVAL) };
        }
        let ring = Shared::try_new(PerfRing::new(&self.host, len)?)?;
        Ok(self.state.lock().ring.get_or_insert(ring).clone())
    }

    fn sample(&self, data: Bytes<'_>, more: Option<Bytes<'_>>) -> Result<()> {
        let ring = {
            let state = self.state.try_lock().ok_or(Errno::EBUSY)?;
            // An event that is off is on no CPU; one that nobody maps has no room.
            match &state.ring {
                _ if !state.enabled => return Err(Errno::EOPNOTSUPP),
                Some(ring) => ring.clone(),
                None => return Err(Errno::ENOSPC),
            }
        };
        let pending = ring.write(data, more)?;
        let wake = match self.wakeup {
            Wakeup::Samples(count) => pending.samples >= count,
            Wakeup::Bytes(bytes) => pending.bytes >= u64::from(bytes),
        };
        if wake {
            ring.woken();
            self.waiters.wake(&*self.host);
        }
        Ok(())
    }
}

impl Drop for PerfEvent {
    fn drop(&mut self) {
        if let Some((hook, key)) = self.state.with_mut().attached.take() {
            hook.detach(key);
        }
    }
}

/// Writes a sample to the event in a slot of a map (`__bpf_perf_event_output`).
///
/// # Errors
/// `E2BIG` beyond the map's end, `ENOENT` for an empty slot, `EOPNOTSUPP` for another CPU's event, `ENOSPC` where the
/// ring is full, `EBUSY` where it is being written by what this interrupted.
pub(crate) fn output(
    map: &dyn Map,
    on: &OnCpu<'_>,
    slot: u32,
    data: Bytes<'_>,
    more: Option<Bytes<'_>>,
) -> Result<()> {
    let objects = map.objects().ok_or(Errno::EINVAL)?;
    if slot >= map.def().max_entries {
        return Err(Errno::E2BIG);
    }
    let entry = objects.read(slot).ok_or(Errno::ENOENT)?;
    let event = entry.object.clone().downcast::<PerfEvent>().map_err(|_| Errno::EINVAL)?;
    match event.source {
        Source::Output(cpu) if cpu == on.id() => event.sample(data, more),
        Source::Output(_) => Err(Errno::EOPNOTSUPP),
        Source::Tracepoint(_) => Err(Errno::EINVAL),
    }
}
