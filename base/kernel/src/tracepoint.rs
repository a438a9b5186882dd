//! Named tracepoints, registered by whoever embeds the kernel.

use crate::context::Context;
use crate::error::Result;
use crate::hook::Hook;
use crate::runner::Runner;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::ControlFlow;
use skep_abi::Errno;
use skep_mem::{Block, Host, Locked};

/// Programs on one tracepoint.
const MOST: usize = 64;

/// One tracepoint.
#[derive(Debug)]
pub(crate) struct TracepointObject {
    /// What `perf_event_open` takes as its `config`.
    pub(crate) id: u64,
    /// The group, as `syscalls`; the directory in tracefs.
    pub(crate) group: Arc<str>,
    /// The name, as `sys_enter`.
    pub(crate) name: Arc<str>,
    /// Raw programs: they get the arguments.
    pub(crate) raw_hook: Arc<Hook>,
    /// Programs of perf events: they get the record.
    pub(crate) record_hook: Arc<Hook>,
}

impl TracepointObject {
    /// Runs what is attached.
    pub(crate) fn fire(&self, args: &[u64], record: &[u8]) -> Result<()> {
        let on = |_| ControlFlow::Continue(());
        if !self.raw_hook.is_empty() {
            let block = Block::zeroed(args.len() * 8)?;
            for (index, arg) in args.iter().enumerate() {
                block.bytes().store_u64(index * 8, *arg).map_err(|_| Errno::EFAULT)?;
            }
            self.raw_hook.run(&Context::Bytes(block.bytes()), on);
        }
        if !self.record_hook.is_empty() {
            let block = Block::copy_of(record)?;
            self.record_hook.run(&Context::Bytes(block.bytes()), on);
        }
        Ok(())
    }
}

/// The tracepoints of a kernel.
#[derive(Debug)]
pub(crate) struct Tracepoints {
    list: Locked<Vec<Arc<TracepointObject>>>,
}

impl Tracepoints {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Tracepoints {
        Tracepoints { list: Locked::new(host, Vec::new()) }
    }

    /// Adds one.
    ///
    /// # Errors
    /// `EEXIST`, `ENOMEM`.
    pub(crate) fn add(
        &self,
        host: &Arc<dyn Host>,
        runner: &Arc<Runner>,
        group: &str,
        name: &str,
    ) -> Result<Arc<TracepointObject>> {
        let hook = || Hook::new(host, runner, MOST).map(Arc::new);
        let (raw_hook, record_hook) = (hook()?, hook()?);
        let mut list = self.list.lock();
        if list.iter().any(|known| &*known.name == name) {
            return Err(Errno::EEXIST);
        }
        let id = (1..).find(|id| list.iter().all(|known| known.id != *id)).ok_or(Errno::ENOSPC)?;
        let (group, name) = (group.into(), name.into());
        let tracepoint = Arc::new(TracepointObject { id, group, name, raw_hook, record_hook });
        list.try_reserve(1).map_err(|_| Errno::ENOMEM)?;
        list.push(Arc::clone(&tracepoint));
        Ok(tracepoint)
    }

    /// Takes one out.
    pub(crate) fn remove(&self, id: u64) {
        let mut list = self.list.lock();
        let at = list.iter().position(|known| known.id == id);
        let removed = at.map(|at| list.swap_remove(at));
        drop(list);
        drop(removed);
    }

    /// Finds one by its name.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn named(&self, name: &[u8]) -> Result<Arc<TracepointObject>> {
        let list = self.list.lock();
        list.iter().find(|known| known.name.as_bytes() == name).cloned().ok_or(Errno::ENOENT)
    }

    /// Finds one by its number.
    ///
    /// # Errors
    /// `ENOENT`.
    pub(crate) fn find(&self, id: u64) -> Result<Arc<TracepointObject>> {
        let list = self.list.lock();
        list.iter().find(|known| known.id == id).cloned().ok_or(Errno::ENOENT)
    }

    /// Lists them, if there is memory for the list.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn snapshot(&self) -> Result<Vec<Arc<TracepointObject>>> {
        let list = self.list.lock();
        let mut copy = Vec::new();
        copy.try_reserve_exact(list.len()).map_err(|_| Errno::ENOMEM)?;
        copy.extend(list.iter().cloned());
        Ok(copy)
    }

    /// Lists them.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub(crate) fn all(&self) -> Result<Vec<Arc<TracepointObject>>> {
        crate::kernel::collect(self.list.lock().iter().cloned().map(Ok))
    }
}
