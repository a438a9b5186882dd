//! The Linux BPF ABI.
#![no_std]
