//! What the fuzzers run: one function for each decoder that takes bytes from somebody hostile.
//!
//! A target gets bytes, drives the real code with them and panics when a rule is broken that must hold
//! whatever the bytes are. The binaries in `targets/` hand the functions to libFuzzer
//! (`tools/fuzz.sh`); `tests/replay.rs` runs them over the kept corpus.

pub mod completions;
pub mod elf;
pub mod path;
pub mod plan;

/// What the runner's reader of plans fails with; it expects the name in its crate's root.
type Outcome<T> = Result<T, String>;
