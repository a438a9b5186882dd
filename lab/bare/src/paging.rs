//! The page tables: what an address leads to, and two windows of addresses where pages come and go.
//!
//! The tables that `start.s` made map memory to itself. Below them the windows get all their tables at the start, so
//! that mapping a page never wants memory.

use crate::frames::{self, Frame, PAGE_SIZE};
use crate::quiet::Quiet;
use crate::ram::IDENTITY_END;
use crate::start;
use core::arch::asm;

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const NEVER_EXECUTED: u64 = 1 << 63;
/// The bits of an entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

const LARGE_PAGE: u64 = 2 << 20;
const ENTRIES: u64 = 512;
/// The pages of a window: 16 MiB.
const WINDOW_PAGES: usize = 4096;

/// What may be done with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// The kernel reads and writes it.
    Kernel,
    /// User space reads it.
    UserRead,
    /// User space reads and writes it.
    UserWrite,
}

impl Access {
    fn bits(self) -> u64 {
        NEVER_EXECUTED
            | PRESENT
            | match self {
                Access::Kernel => WRITABLE,
                Access::UserRead => USER,
                Access::UserWrite => USER | WRITABLE,
            }
    }
}

/// What an address leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Landing {
    /// The address in memory.
    pub(crate) address: u64,
    /// Whether it may be written.
    pub(crate) is_writable: bool,
    /// Whether user space may reach it.
    pub(crate) is_user: bool,
}

/// A range of addresses of which pages are taken and given back.
#[derive(Debug)]
pub(crate) struct Window {
    base: usize,
    /// One bit for each page that is taken.
    taken: Quiet<[u64; WINDOW_PAGES / 64]>,
}

/// Where the kernel's page runs lie.
pub(crate) static KERNEL: Window = Window::new(0xffff_8000_0000_0000);
/// Where what is mapped for user space lies.
pub(crate) static USER_SPACE: Window = Window::new(0x0000_0080_0000_0000);

/// Takes the page tables over from `start.s`: unmaps what is the firmware's, where null pointers lead, and what is no
/// memory, and makes the windows' tables.
///
/// # Safety
/// Nobody needs anything below the image or beyond `memory_end` from now on; this is called once.
pub(crate) unsafe fn take_over(memory_end: u64) {
    let directory = Table(start::identity_directory());
    for index in 0..ENTRIES {
        let page = index * LARGE_PAGE;
        if page == 0 || page >= memory_end.min(IDENTITY_END) {
            // SAFETY: the caller's contract: nobody needs what is there.
            unsafe { directory.set(index, 0) };
        }
    }
    for window in [&KERNEL, &USER_SPACE] {
        for page in (0..WINDOW_PAGES).step_by(ENTRIES as usize) {
            let table = lowest_table(window.base + page * PAGE_SIZE, WhereNone::Make);
            assert!(table.is_some(), "no memory for page tables");
        }
    }
    let root = start::top_table();
    // SAFETY: the root is the one in use; loading it again makes the CPU forget what was unmapped.
    unsafe { asm!("mov cr3, {}", in(reg) root, options(nostack, preserves_flags)) };
}

/// Tells whether there is such an address: with four levels of tables all bits from 47 on are the same.
pub(crate) fn is_canonical(address: u64) -> bool {
    matches!((address as i64) >> 47, 0 | -1)
}

/// Finds what an address leads to; `None` where nothing is mapped.
pub(crate) fn landing(address: u64) -> Option<Landing> {
    if !is_canonical(address) {
        return None;
    }
    let (mut table, mut shift) = (Table(start::top_table()), 39);
    let (mut is_writable, mut is_user) = (true, true);
    loop {
        let entry = table.entry(address >> shift);
        if entry & PRESENT == 0 {
            return None;
        }
        is_writable &= entry & WRITABLE != 0;
        is_user &= entry & USER != 0;
        if shift == 12 || entry & LARGE != 0 {
            let within = (1 << shift) - 1;
            let address = entry & ADDRESS & !within | address & within;
            return Some(Landing { address, is_writable, is_user });
        }
        table = Table(entry & ADDRESS);
        shift -= 9;
    }
}

impl Window {
    const fn new(base: usize) -> Window {
        Window { base, taken: Quiet::new([0; WINDOW_PAGES / 64]) }
    }

    /// Takes `count` pages in a row, to which nothing is mapped yet, and gives the address of the first.
    pub(crate) fn take(&self, count: usize) -> Option<usize> {
        self.taken.with(|taken| {
            let is_free = |page: usize| taken[page / 64] >> (page % 64) & 1 == 0;
            let last = WINDOW_PAGES.checked_sub(count).filter(|_| count > 0)?;
            let first = (0..=last).find(|first| (*first..first + count).all(is_free))?;
            (first..first + count).for_each(|page| taken[page / 64] |= 1 << (page % 64));
            Some(self.base + first * PAGE_SIZE)
        })
    }

    /// Unmaps `count` pages and gives them back.
    ///
    /// # Safety
    /// They came from [`Window::take`], and nobody reaches them any more.
    pub(crate) unsafe fn give(&self, address: usize, count: usize) {
        let first = (address - self.base) / PAGE_SIZE;
        for page in first..first + count {
            // SAFETY: the caller's contract: the page is taken, and nobody reaches it.
            unsafe { set_page(self.base + page * PAGE_SIZE, 0) };
        }
        self.taken.with(|taken| {
            (first..first + count).for_each(|page| taken[page / 64] &= !(1 << (page % 64)));
        });
    }

    /// Maps a page of the window to a frame.
    ///
    /// # Safety
    /// The page came from [`Window::take`], and nobody reaches it yet; the frame stays until it is given back.
    pub(crate) unsafe fn map(&self, address: usize, frame: Frame, access: Access) {
        // SAFETY: the caller's contract.
        unsafe { set_page(address, frame.address() | access.bits()) };
    }

    /// Gives the number of pages that are taken.
    pub(crate) fn in_use(&self) -> u32 {
        self.taken.with(|taken| taken.iter().map(|word| word.count_ones()).sum())
    }
}

/// Changes the entry of one page of a window.
///
/// # Safety
/// The page is taken from its window, and nobody reaches it.
unsafe fn set_page(address: usize, entry: u64) {
    let table = lowest_table(address, WhereNone::Leave);
    let Some(table) = table else { unreachable!("each window got its tables at the start") };
    // SAFETY: the caller's contract: nobody reaches the page.
    unsafe { table.set(address as u64 >> 12, entry) };
    // SAFETY: makes the CPU forget what it knows of that page; it touches no memory.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// What to do where a table is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhereNone {
    Make,
    Leave,
}

/// Finds the table with the entry of a page in a window.
fn lowest_table(address: usize, where_none: WhereNone) -> Option<Table> {
    let mut table = Table(start::top_table());
    for shift in [39, 30, 21] {
        let index = address as u64 >> shift;
        if table.entry(index) & PRESENT == 0 {
            if where_none == WhereNone::Leave {
                return None;
            }
            // What is allowed is said in the lowest table.
            let entry = frames::take()?.address() | PRESENT | WRITABLE | USER;
            // SAFETY: nothing was there, and the new table is empty.
            unsafe { table.set(index, entry) };
        }
        table = Table(table.entry(index) & ADDRESS);
    }
    Some(table)
}

/// A page table, by its address.
#[derive(Clone, Copy)]
struct Table(u64);

impl Table {
    fn place(self, index: u64) -> *mut u64 {
        core::ptr::with_exposed_provenance_mut((self.0 + index % ENTRIES * 8) as usize)
    }

    fn entry(self, index: u64) -> u64 {
        // SAFETY: tables lie in memory that is mapped to itself, and are never freed.
        unsafe { self.place(index).read_volatile() }
    }

    /// Changes an entry.
    ///
    /// # Safety
    /// Nobody reaches what the entry led to, and what it leads to now is for whoever reaches it.
    unsafe fn set(self, index: u64, entry: u64) {
        // SAFETY: as for reading; the CPU reads tables at any time, hence volatile.
        unsafe { self.place(index).write_volatile(entry) };
    }
}
