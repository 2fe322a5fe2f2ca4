//! Guided by coverage: see [`targets::completions`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::completions::run(data));
