//! `base/` on a machine without an operating system.
//!
//! A program that QEMU starts through the PVH note, with 64-bit mode, a serial line, a heap, and nothing else: no system calls,
//! no `std`, no C library. It links all of `base/`, runs checks there, prints to the serial line and ends the machine
//! with a status. It must never know which machine it is beyond a PC with one serial port, and it is no operating
//! system: it has one CPU, one stack, no interrupts.

#![no_std]
#![no_main]

extern crate alloc;

use skep_abi as _;
use skep_btf as _;
use skep_exact as _;
use skep_helpers as _;
use skep_isa as _;
use skep_jit as _;
use skep_kernel as _;
use skep_maps as _;
use skep_mem as _;
use skep_model as _;
use skep_sys as _;
use skep_verifier as _;

mod checks;
mod heap;
mod machine;
mod memory;
mod serial;
mod start;
mod trap;

use core::panic::PanicInfo;
use machine::End;

/// Where `start.s` arrives in 64-bit mode, once.
#[unsafe(no_mangle)]
extern "C" fn bare_main() -> ! {
    trap::install();
    serial::init();
    println!("hello from bare metal");
    checks::run();
    println!("bare: {} checks, {} bytes of heap in use", checks::ALL.len(), heap::in_use());
    machine::end(End::Well)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    println!("bare: {info}");
    machine::end(End::Badly)
}
