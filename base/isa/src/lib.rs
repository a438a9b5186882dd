//! eBPF instructions: bytes, view, meaning.
#![no_std]
