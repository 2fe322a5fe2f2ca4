//! Guided by coverage: see [`targets::elf`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::elf::run(data));
