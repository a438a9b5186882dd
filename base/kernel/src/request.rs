//! One `bpf(2)` command as it arrives: its caller, and the attributes in the caller's memory.

use crate::error::Result;
use skep_abi::{ATTR_SIZE, Errno};
use skep_mem::{Block, Caller, Capability};
use zerocopy::{FromBytes, IntoBytes};

/// The most attribute bytes that a caller may pass (`bpf_check_uarg_tail_zero`: one page).
const MOST: usize = 4096;

/// A command's caller and its attributes, read once.
pub(crate) struct Request<'c> {
    caller: &'c dyn Caller,
    addr: u64,
    size: usize,
    bytes: [u8; ATTR_SIZE],
}

impl<'c> Request<'c> {
    /// Copies the attributes in.
    ///
    /// # Errors
    /// `E2BIG` for more than a page, or for what this kernel does not know and is not zero; `EFAULT`.
    pub(crate) fn read(caller: &'c dyn Caller, addr: u64, size: u32) -> Result<Request<'c>> {
        let size = size as usize;
        if size > MOST {
            return Err(Errno::E2BIG);
        }
        let mut bytes = [0; ATTR_SIZE];
        let known = size.min(ATTR_SIZE);
        let fault = |_| Errno::EFAULT;
        caller.memory().read(addr, &mut bytes[..known]).map_err(fault)?;
        let mut at = known;
        let mut tail = [0; 64];
        while at < size {
            let part = &mut tail[..(size - at).min(64)];
            caller.memory().read(addr + at as u64, part).map_err(fault)?;
            if part.iter().any(|byte| *byte != 0) {
                return Err(Errno::E2BIG);
            }
            at += part.len();
        }
        Ok(Request { caller, addr, size: known, bytes })
    }

    /// Gives the attributes as the struct of a command whose last field ends at `end`.
    ///
    /// # Errors
    /// `EINVAL` where a byte after the last field is not zero (`CHECK_ATTR`).
    pub(crate) fn attr<T: FromBytes>(&self, end: usize) -> Result<T> {
        if self.bytes[end..].iter().any(|byte| *byte != 0) {
            return Err(Errno::EINVAL);
        }
        let (attr, _) = T::read_from_prefix(&self.bytes).map_err(|_| Errno::EINVAL)?;
        Ok(attr)
    }

    /// Gives the caller.
    pub(crate) fn caller(&self) -> &'c dyn Caller {
        self.caller
    }

    /// Writes a field of the attributes back, if the caller's attributes are long enough to have it.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn write_field<T: IntoBytes + zerocopy::Immutable>(
        &self,
        offset: usize,
        value: T,
    ) -> Result<()> {
        if offset + size_of::<T>() > self.size {
            return Ok(());
        }
        self.write(self.addr + offset as u64, value.as_bytes())
    }

    /// Fills a buffer from the caller's memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn copy_in(&self, addr: u64, into: &mut [u8]) -> Result<()> {
        self.caller.memory().read(addr, into).map_err(|_| Errno::EFAULT)
    }

    /// Copies `len` bytes of the caller's memory into a new block.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub(crate) fn copy_block(&self, addr: u64, len: usize) -> Result<Block> {
        let block = Block::zeroed(len)?;
        let mut chunk = [0; 256];
        let mut at = 0;
        while at < len {
            let part = &mut chunk[..(len - at).min(256)];
            self.copy_in(addr + at as u64, part)?;
            block.bytes().copy_in(at, part).map_err(|_| Errno::EFAULT)?;
            at += part.len();
        }
        Ok(block)
    }

    /// Copies `len` bytes of the caller's memory into a new vector.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`.
    pub(crate) fn copy_vec(&self, addr: u64, len: usize) -> Result<alloc::vec::Vec<u8>> {
        let mut bytes = alloc::vec::Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| Errno::ENOMEM)?;
        bytes.resize(len, 0);
        self.copy_in(addr, &mut bytes)?;
        Ok(bytes)
    }

    /// Copies bytes to the caller's memory.
    ///
    /// # Errors
    /// `EFAULT`.
    pub(crate) fn write(&self, addr: u64, from: &[u8]) -> Result<()> {
        self.caller.memory().write(addr, from).map_err(|_| Errno::EFAULT)
    }

    /// Copies a NUL-terminated string of at most `into.len() - 1` bytes.
    ///
    /// # Errors
    /// `EFAULT`; `too_long` where there is no NUL.
    pub(crate) fn string<'b>(&self, addr: u64, into: &'b mut [u8], too_long: Errno) -> Result<&'b [u8]> {
        let len = self.caller.memory().read_str(addr, into).map_err(|_| Errno::EFAULT)?.ok_or(too_long)?;
        Ok(&into[..len])
    }

    /// Refuses a caller without a capability; `CAP_SYS_ADMIN` stands for all.
    ///
    /// # Errors
    /// `EPERM`.
    pub(crate) fn require(&self, capability: Capability) -> Result<()> {
        let rights = self.caller.rights();
        if rights.has(capability) || rights.has(Capability::SysAdmin) {
            return Ok(());
        }
        Err(Errno::EPERM)
    }
}
