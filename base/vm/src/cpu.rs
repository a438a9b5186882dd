//! What a run needs of its own: the stack of its functions, and the places of their values.

use alloc::vec::Vec;
use core::ptr::NonNull;
use skep_ir::ssa::eval::MAX_DEPTH;

/// Holds the memory of one run at a time; one for each thread that runs programs.
#[derive(Debug, Default)]
pub struct Cpu {
    values: Vec<u64>,
    /// Counts in words, so that it is aligned as Linux's is.
    stack: Vec<u64>,
    /// Holds a state and windows of machine code and nothing else, so that a window that a run finds is a whole one.
    #[cfg(target_arch = "x86_64")]
    state: Vec<u64>,
}

impl Cpu {
    /// Makes one that holds nothing yet; the first run of a program gets it what it needs.
    pub const fn new() -> Cpu {
        Cpu {
            values: Vec::new(),
            stack: Vec::new(),
            #[cfg(target_arch = "x86_64")]
            state: Vec::new(),
        }
    }

    /// Gets memory for runs with this many places and bytes of stack in each function, and says whether it was there.
    pub(crate) fn reserve(&mut self, places: u16, stack_bytes: u32) -> bool {
        // One place more in each: the scratch of moves in a circle.
        let values = MAX_DEPTH * (usize::from(places) + 1);
        let stack = MAX_DEPTH * stack_bytes.div_ceil(8) as usize;
        grow(&mut self.values, values) && grow(&mut self.stack, stack)
    }

    /// Gets memory for runs of machine code with so many words of state and of stack, and says whether it was there. What was
    /// in the state stays; what is new is zero.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn reserve_words(&mut self, state: usize, stack: usize) -> bool {
        grow(&mut self.state, state) && grow(&mut self.stack, stack)
    }

    /// Returns the state of machine code.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn state(&mut self) -> NonNull<u64> {
        NonNull::new(self.state.as_mut_ptr()).unwrap_or(NonNull::dangling())
    }

    /// Returns the places of the first function.
    pub(crate) fn values(&mut self) -> NonNull<u64> {
        NonNull::new(self.values.as_mut_ptr()).unwrap_or(NonNull::dangling())
    }

    /// Returns the lowest address of the stack, exposed.
    pub(crate) fn stack(&mut self) -> usize {
        self.stack.as_mut_ptr().expose_provenance()
    }
}

#[inline(always)]
fn grow(list: &mut Vec<u64>, len: usize) -> bool {
    len <= list.len() || grow_to(list, len)
}

#[cold]
#[inline(never)]
fn grow_to(list: &mut Vec<u64>, len: usize) -> bool {
    let fits = list.try_reserve_exact(len - list.len()).is_ok();
    if fits {
        list.resize(len, 0);
    }
    fits
}
