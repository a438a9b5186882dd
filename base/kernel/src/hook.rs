//! Places where programs are attached: a list that may change while it runs.

use crate::context::Context;
use crate::error::Result;
use crate::prog::Prog;
use crate::runner::{Entered, Runner};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::ControlFlow;
use core::sync::atomic::{AtomicBool, Ordering};
use skep_abi::Errno;
use skep_mem::{Host, Locked, RcuSlot, Shared};

/// Tells one attachment of a hook from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AttachKey(u64);

/// One attached program.
#[derive(Clone, Debug)]
pub(crate) struct Attached {
    pub(crate) key: AttachKey,
    pub(crate) prog: Shared<Prog>,
    pub(crate) cookie: u64,
    /// The link's number; 0 for an attachment without one.
    pub(crate) link_id: u32,
    /// Set where the attachment is undone and there was no memory for a list without it.
    dead: Shared<AtomicBool>,
}

impl Attached {
    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }
}

/// A list of attached programs.
pub(crate) struct Hook {
    runner: Arc<Runner>,
    list: RcuSlot<Vec<Attached>>,
    edits: Locked<Edits>,
    most: usize,
}

/// What only editing looks at.
#[derive(Debug, Default)]
struct Edits {
    next_key: u64,
    /// Rises with each change, as `BPF_PROG_QUERY` shows it.
    revision: u64,
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// Where in the list a program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    First,
    Last,
}

impl Hook {
    /// Makes a hook for up to `most` programs.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn new(host: &Arc<dyn Host>, runner: &Arc<Runner>, most: usize) -> Result<Hook> {
        let list = RcuSlot::new(host)?;
        let edits = Locked::new(host, Edits { next_key: 1, revision: 1 });
        Ok(Hook { runner: Arc::clone(runner), list, edits, most })
    }

    /// Tells whether nothing is attached: one load.
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Attaches a program.
    ///
    /// # Errors
    /// `EBUSY` where the hook is full; `ENOMEM`.
    pub(crate) fn attach(
        &self,
        prog: &Shared<Prog>,
        cookie: u64,
        link_id: u32,
        at: Position,
    ) -> Result<AttachKey> {
        let mut edits = self.edits.lock();
        let mut list = self.copy(1)?;
        if list.len() >= self.most {
            return Err(Errno::EBUSY);
        }
        let key = AttachKey(edits.next_key);
        let dead = Shared::try_new(AtomicBool::new(false))?;
        let entry = Attached { key, prog: prog.clone(), cookie, link_id, dead };
        match at {
            Position::First => list.insert(0, entry),
            Position::Last => list.push(entry),
        }
        self.list.replace(Some(list))?;
        edits.next_key += 1;
        edits.revision += 1;
        Ok(key)
    }

    /// Puts another program in an attachment's place.
    ///
    /// # Errors
    /// `ENOLINK` where the attachment is gone; `ENOMEM`.
    pub(crate) fn swap(&self, key: AttachKey, prog: &Shared<Prog>) -> Result<()> {
        let mut edits = self.edits.lock();
        let mut list = self.copy(0)?;
        let entry = list.iter_mut().find(|entry| entry.key == key).ok_or(Errno::ENOLINK)?;
        entry.prog = prog.clone();
        self.list.replace(Some(list))?;
        edits.revision += 1;
        Ok(())
    }

    /// Takes an attachment out. Cannot fail: without memory for a shorter list the entry is only marked, and left out
    /// at the next change.
    pub(crate) fn detach(&self, key: AttachKey) {
        let mut edits = self.edits.lock();
        edits.revision += 1;
        let shorter = self.copy(0).and_then(|mut list| {
            list.retain(|entry| entry.key != key);
            let list = if list.is_empty() { None } else { Some(list) };
            Ok(self.list.replace(list)?)
        });
        if shorter.is_err() {
            let list = self.list.read();
            let list = list.as_deref().map_or(&[][..], |list| &list[..]);
            list.iter()
                .filter(|entry| entry.key == key)
                .for_each(|entry| entry.dead.store(true, Ordering::Release));
        }
    }

    /// Lists what is attached, and the revision.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn attached(&self) -> Result<(Vec<Attached>, u64)> {
        let edits = self.edits.lock();
        Ok((self.copy(0)?, edits.revision))
    }

    fn copy(&self, more: usize) -> Result<Vec<Attached>> {
        let current = self.list.read();
        let current = current.as_deref().map_or(&[][..], |list| &list[..]);
        let mut list = Vec::new();
        list.try_reserve_exact(current.len() + more).map_err(|_| Errno::ENOMEM)?;
        list.extend(current.iter().filter(|entry| !entry.is_dead()).cloned());
        Ok(list)
    }

    /// Runs what is attached, one after another, until `each` breaks.
    pub(crate) fn run(&self, context: &Context<'_>, mut each: impl FnMut(Result<u64>) -> ControlFlow<()>) {
        let Some(list) = self.list.read() else { return };
        let mut entered = self.runner.enter();
        for attached in list.iter().filter(|entry| !entry.is_dead()) {
            let outcome = match &mut entered {
                Ok(entered) => run_one(entered, attached, context),
                Err(errno) => {
                    attached.prog.body.stats.count_missed();
                    Err(*errno)
                }
            };
            if each(outcome).is_break() {
                return;
            }
        }
    }
}

fn run_one(entered: &mut Entered<'_>, attached: &Attached, context: &Context<'_>) -> Result<u64> {
    entered.run(&attached.prog, context, attached.cookie)
}
