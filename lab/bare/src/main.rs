//! `base/` on a machine without an operating system, and the least of an operating system around it.
//!
//! A program that QEMU starts through the PVH note, with 64-bit mode, page tables, a serial line, a heap, a timer, and
//! nothing else: no `std`, no C library. It links all of `base/`, lends an embedded kernel what it has (`host/`), answers
//! system calls with that (`system/`), runs checks, prints to the serial line and ends the machine with a status. `host/` is
//! the worked example of docs/host.md.
//!
//! It must never know which machine it is beyond a PC with one serial port and a timer, and it is no operating system: it has
//! one CPU, one task, one address space, and its callers are functions of its own.

#![no_std]
#![no_main]

extern crate alloc;

use skep_abi as _;
use skep_btf as _;
use skep_exact as _;
use skep_helpers as _;
use skep_ir as _;
use skep_isa as _;
use skep_jit as _;
use skep_kernel as _;
use skep_machine as _;
use skep_maps as _;
use skep_mem as _;
use skep_model as _;
use skep_sys as _;
use skep_verifier as _;
use skep_vm as _;

mod checks;
mod frames;
mod heap;
mod host;
mod machine;
mod memory;
mod paging;
mod quiet;
mod ram;
mod serial;
mod start;
mod system;
mod timer;
mod trap;

use core::panic::PanicInfo;
use machine::End;

/// Where `start.s` arrives in 64-bit mode, once, with what the firmware handed over.
#[unsafe(no_mangle)]
extern "C" fn bare_main(start_info: u64) -> ! {
    trap::install();
    serial::init();
    println!("hello from bare metal");
    take_memory(start_info);
    timer::start();
    checks::run();
    println!("bare: {} checks, {} bytes of heap in use", checks::count(), heap::in_use());
    machine::end(End::Well)
}

/// Takes the memory behind the program for frames, and the page tables.
fn take_memory(start_info: u64) {
    // SAFETY: the value is the firmware's own, and everything below 1 GiB is mapped to itself still.
    let memory = unsafe { ram::usable(start_info, start::image_end()) };
    let Some(memory) = memory else { panic!("the firmware gives no map of memory") };
    // SAFETY: the memory is there and mapped, the program ends before it, and nobody else knows of it.
    unsafe { frames::take_over(memory.clone()) };
    // SAFETY: the firmware's memory map was read, and nothing else of it is wanted.
    unsafe { paging::take_over(memory.end) };
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("failed: {}: {info}", checks::current());
    machine::end(End::Badly)
}
