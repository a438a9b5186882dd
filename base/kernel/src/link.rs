//! Links: attachments as objects, undone when the last file or pin goes.

use crate::error::Result;
use crate::hook::{AttachKey, Attached, Hook, Position};
use crate::ids::{Id, IdTable};
use crate::prog::Prog;
use alloc::sync::Arc;
use skep_abi::{AttachType, Errno, LinkType};
use skep_mem::{Host, Locked, Shared};

/// What a link is attached to.
#[derive(Clone, Debug)]
pub(crate) enum LinkTarget {
    /// An interface's packets.
    Interface(u32, AttachType),
    /// A raw tracepoint, by name.
    RawTracepoint(Arc<str>),
    /// A tracepoint through a perf event, by name.
    Tracepoint(Arc<str>),
}

impl LinkTarget {
    /// Tells whether its links have `update_prog` and `detach` (`struct bpf_link_ops`): those of devices do, those of
    /// tracepoints (`bpf_raw_tp_link_lops`, `bpf_perf_link_lops`) do not.
    pub(crate) fn is_managed(&self) -> bool {
        matches!(self, LinkTarget::Interface(..))
    }
}

/// A link.
#[derive(Debug)]
pub(crate) struct LinkObject {
    pub(crate) id: Id,
    pub(crate) target: LinkTarget,
    pub(crate) cookie: u64,
    state: Locked<State>,
    ids: Arc<IdTable<LinkObject>>,
}

#[derive(Debug)]
struct State {
    prog: Shared<Prog>,
    place: Option<(Arc<Hook>, AttachKey)>,
}

/// What a link is made from.
pub(crate) struct NewLink<'a> {
    pub(crate) prog: &'a Shared<Prog>,
    pub(crate) hook: &'a Arc<Hook>,
    pub(crate) target: LinkTarget,
    pub(crate) cookie: u64,
    pub(crate) at: Position,
}

impl LinkObject {
    /// Attaches a program and gives the attachment a number.
    ///
    /// # Errors
    /// As the hook; `ENOMEM`.
    pub(crate) fn create(
        host: &Arc<dyn Host>,
        ids: &Arc<IdTable<LinkObject>>,
        new: NewLink<'_>,
    ) -> Result<Shared<LinkObject>> {
        let link = LinkObject {
            id: ids.reserve()?,
            target: new.target,
            cookie: new.cookie,
            state: Locked::new(host, State { prog: new.prog.clone(), place: None }),
            ids: Arc::clone(ids),
        };
        // The link exists before it has an effect, so that nothing can fail after the effect.
        let link = Shared::try_new(link)?;
        let key = new.hook.attach(new.prog, new.cookie, link.id, new.at)?;
        link.state.lock().place = Some((Arc::clone(new.hook), key));
        ids.publish(link.id, &link);
        Ok(link)
    }

    /// Gives the program.
    pub(crate) fn prog(&self) -> Shared<Prog> {
        self.state.lock().prog.clone()
    }

    /// Puts another program in.
    ///
    /// # Errors
    /// `ENOLINK` where the link is detached; `EPERM` where its program is not `old`; `EINVAL` for another type.
    pub(crate) fn update(&self, new: &Shared<Prog>, old: Option<&Shared<Prog>>) -> Result<()> {
        let (hook, key) = {
            let state = self.state.lock();
            if old.is_some_and(|old| !old.ptr_eq(&state.prog)) {
                return Err(Errno::EPERM);
            }
            if new.body.prog_type != state.prog.body.prog_type
                || new.body.attach_type != state.prog.body.attach_type
            {
                return Err(Errno::EINVAL);
            }
            state.place.clone().ok_or(Errno::ENOLINK)?
        };
        // A tc hook has a program once (`bpf_mprog_exists`, kernel/bpf/mprog.c).
        let is_there = |entry: &Attached| entry.key != key && entry.prog.ptr_eq(new);
        if self.link_type() == LinkType::TCX && hook.attached()?.0.iter().any(is_there) {
            return Err(Errno::EEXIST);
        }
        hook.swap(key, new)?;
        let before = core::mem::replace(&mut self.state.lock().prog, new.clone());
        drop(before);
        Ok(())
    }

    /// Gives the number of the interface; 0 once the link is detached, or where it was never on one.
    pub(crate) fn ifindex(&self) -> u32 {
        match self.target {
            LinkTarget::Interface(ifindex, _) if self.state.lock().place.is_some() => ifindex,
            _ => 0,
        }
    }

    /// Undoes the attachment; the object stays.
    pub(crate) fn detach(&self) {
        let place = self.state.lock().place.take();
        if let Some((hook, key)) = place {
            hook.detach(key);
        }
    }

    /// Gives the kind.
    pub(crate) fn link_type(&self) -> LinkType {
        match &self.target {
            LinkTarget::Interface(_, AttachType::XDP) => LinkType::XDP,
            LinkTarget::Interface(..) => LinkType::TCX,
            LinkTarget::RawTracepoint(_) => LinkType::RAW_TRACEPOINT,
            LinkTarget::Tracepoint(_) => LinkType::PERF_EVENT,
        }
    }
}

impl Drop for LinkObject {
    fn drop(&mut self) {
        if let Some((hook, key)) = self.state.with_mut().place.take() {
            hook.detach(key);
        }
        self.ids.release(self.id);
    }
}
