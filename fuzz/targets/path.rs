//! Guided by coverage: see [`targets::path`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::path::run(data));
