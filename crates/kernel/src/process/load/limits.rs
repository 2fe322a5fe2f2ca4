//! How much a program may be told.
//!
//! Source: execve(2), "Limits on size of arguments and environment".

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;

use crate::process::Process;
use crate::process::limits::Resource;

/// The longest argument or environment string with its NUL, bytes.
pub(crate) const STRING_MAX: usize = 32 * 4096;
/// Bytes of all strings that are admitted whatever the stack's limit says.
const LEAST: u64 = 32 * 4096;
/// Bytes of all strings that are never exceeded: three quarters of the default stack.
const MOST: u64 = 6 << 20;

/// The most bytes of strings and pointers to them.
pub(crate) fn total(process: &Process) -> u64 {
    (process.limits.soft(Resource::Stack) / 4).clamp(LEAST, MOST)
}

/// Refuses too many or too long strings.
///
/// # Errors
/// E2BIG.
pub(crate) fn check(
    process: &Process,
    arguments: &[Vec<u8>],
    environment: &[Vec<u8>],
    name: &[u8],
) -> Result<()> {
    let strings = || arguments.iter().chain(environment).map(Vec::len);
    if strings().any(|len| len >= STRING_MAX) {
        return Err(Errno::E2BIG.because("an argument or environment string exceeds 128 KiB"));
    }
    let bytes: usize = strings().map(|len| len + 1).sum::<usize>() + name.len() + 1;
    let pointers = 8 * (arguments.len() + environment.len());
    if (bytes + pointers) as u64 > total(process) {
        return Err(Errno::E2BIG.because("arguments and environment exceed a quarter of the stack"));
    }
    Ok(())
}
