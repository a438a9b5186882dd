//! Calls `lab_replay::ATTR` with what the fuzzer invents.
#![no_main]

/// Counts the bytes that a kernel leaves behind.
#[global_allocator]
static ALLOC: skep_mem::testing::FailingAlloc = skep_mem::testing::FailingAlloc;

libfuzzer_sys::fuzz_target!(|data: &[u8]| (lab_replay::ATTR.run)(data));
