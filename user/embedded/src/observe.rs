//! Hears of runs that are stopped: keeps the latest, and tells whoever the owner named.

use crate::host::relock;
use skep_kernel::{FaultReport, LoadReport, Observer};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The latest reports.
pub(crate) struct FaultLog {
    next: Option<Arc<dyn Observer>>,
    kept: Mutex<VecDeque<FaultReport>>,
}

/// Reports kept; older ones make room.
const MOST: usize = 64;

impl FaultLog {
    pub(crate) fn new(next: Option<Arc<dyn Observer>>) -> FaultLog {
        // Room for all of them now, because a report may come from anywhere.
        FaultLog { next, kept: Mutex::new(VecDeque::with_capacity(MOST)) }
    }

    /// Gives the reports that are kept, oldest first.
    pub(crate) fn all(&self) -> Vec<FaultReport> {
        relock(&self.kept).iter().copied().collect()
    }
}

impl Observer for FaultLog {
    fn loaded(&self, report: &LoadReport) {
        if let Some(next) = &self.next {
            next.loaded(report);
        }
    }

    fn fault(&self, report: &FaultReport) {
        {
            let mut kept = relock(&self.kept);
            if kept.len() == MOST {
                kept.pop_front();
            }
            kept.push_back(*report);
        }
        if let Some(next) = &self.next {
            next.fault(report);
        }
    }
}

impl fmt::Debug for FaultLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultLog({} reports)", relock(&self.kept).len())
    }
}
