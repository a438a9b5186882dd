//! Calls `lab_replay::VM` with what the fuzzer invents.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (lab_replay::VM.run)(data));
