//! Who makes a system call: its memory, files and rights.

use super::files::FileTable;
use super::memory::WalkedMemory;
use super::rights::Granted;
use skep_mem::{Caller, Files, Rights, UserMemory};

/// The one caller of this machine.
#[derive(Debug)]
pub(crate) struct BareCaller<'s> {
    files: &'s FileTable,
    rights: Granted,
}

impl<'s> BareCaller<'s> {
    /// Makes the caller of one system call.
    ///
    /// # Safety
    /// Addresses that are mapped, and that the call's attributes name for writing, are the caller's to have written. (With
    /// user space in an address space of its own, `memory` would see to that.)
    pub(crate) unsafe fn new(files: &'s FileTable, rights: Granted) -> BareCaller<'s> {
        BareCaller { files, rights }
    }
}

impl Caller for BareCaller<'_> {
    fn memory(&self) -> &dyn UserMemory {
        &WalkedMemory
    }
    fn files(&self) -> &dyn Files {
        self.files
    }
    fn rights(&self) -> &dyn Rights {
        &self.rights
    }
}
