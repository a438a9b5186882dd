//! Calls `lab_replay::VERIFY` with what the fuzzer invents.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (lab_replay::VERIFY.run)(data));
