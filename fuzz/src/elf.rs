//! ELF files, as the loader reads them.

/// Reads `data` as a program and as an interpreter.
///
/// # Panics
/// When a plan of the loader leaves the region, or a segment its plan.
pub fn run(data: &[u8]) {
    kernel::process::elf::fuzz(data);
}
