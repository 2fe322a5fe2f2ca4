//! Handles: what the enclave calls the host's descriptors.
//!
//! A handle is an index with a generation, so that a stale one never reaches a new descriptor.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::Plan;
use crate::{Outcome, sys};

const SLOTS: usize = 65_536;

/// `generation << 32 | descriptor + 1`; a lower half of 0 is free.
static TABLE: [AtomicU64; SLOTS] = [const { AtomicU64::new(0) }; SLOTS];
static NEXT: AtomicU64 = AtomicU64::new(3);

/// The descriptor of a handle.
pub(crate) fn descriptor(handle: u64) -> Option<RawFd> {
    let slot = TABLE.get((handle & 0xffff_ffff) as usize)?.load(Ordering::Acquire);
    let fd = (slot & 0xffff_ffff) as i32 - 1;
    (slot >> 32 == handle >> 32 && fd >= 0).then_some(fd)
}

/// A handle for a new descriptor, or None when all are taken.
pub(crate) fn insert(fd: RawFd) -> Option<u64> {
    for _ in 0..SLOTS {
        let index = (NEXT.fetch_add(1, Ordering::Relaxed) % SLOTS as u64) as usize;
        let slot = &TABLE[index];
        let old = slot.load(Ordering::Relaxed);
        if old & 0xffff_ffff != 0 {
            continue;
        }
        let generation = ((old >> 32) + 1) & 0x7fff_ffff;
        let new = generation << 32 | (fd as u64 + 1);
        if slot.compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return Some(generation << 32 | index as u64);
        }
    }
    None
}

/// Takes a handle out; gives its descriptor.
pub(crate) fn remove(handle: u64) -> Option<RawFd> {
    let fd = descriptor(handle)?;
    let slot = &TABLE[(handle & 0xffff_ffff) as usize];
    let old = handle >> 32 << 32 | (fd as u64 + 1);
    slot.compare_exchange(old, handle >> 32 << 32, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    Some(fd)
}

/// stdin, stdout, stderr: handles 0, 1, 2 (those that are open).
pub(crate) fn register_streams() {
    for fd in 0..3 {
        // SAFETY: asks for a flag.
        if unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0 {
            let used = patient(fd).unwrap_or(fd);
            TABLE[fd as usize].store(used as u64 + 1, Ordering::Release);
        }
    }
}

/// Opens a terminal once more, without waits: a vCPU must not sleep in a write while the terminal is
/// stopped. The flag can't be set on `fd` itself, which other programs share.
fn patient(fd: RawFd) -> Option<RawFd> {
    // SAFETY: asks about a descriptor.
    if unsafe { libc::isatty(fd) } != 1 {
        return None;
    }
    // SAFETY: asks for flags.
    let access = unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_ACCMODE;
    let path = std::ffi::CString::new(format!("/proc/self/fd/{fd}")).ok()?;
    let flags = access | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    let again = unsafe { libc::open(path.as_ptr(), flags) };
    (again >= 0).then_some(again)
}

/// The roots that the plan names, as handles 3, 4, …
pub(crate) fn register_roots(plan: &Plan) -> Outcome<()> {
    for (index, (_, path)) in plan.roots().iter().enumerate() {
        let text = String::from_utf8_lossy(path).into_owned();
        let c_path = std::ffi::CString::new(path.clone()).map_err(|_| "a root's path has a NUL")?;
        let flags = libc::O_CLOEXEC | libc::O_NOFOLLOW;
        let directory = flags | libc::O_RDONLY | libc::O_DIRECTORY;
        // SAFETY: `c_path` is a C string.
        let mut fd = unsafe { libc::open(c_path.as_ptr(), directory) };
        if fd < 0 {
            // SAFETY: as above.
            fd = unsafe { libc::open(c_path.as_ptr(), flags | libc::O_PATH) };
        }
        if fd < 0 {
            let reason = std::io::Error::last_os_error();
            return Err(format!("{text}: {reason}; check the -v option or the path"));
        }
        TABLE[3 + index].store(fd as u64 + 1, Ordering::Release);
        NEXT.store(4 + index as u64, Ordering::Relaxed);
    }
    Ok(())
}

/// Closes the descriptor of a handle.
pub(crate) fn close(handle: u64) -> i64 {
    match remove(handle) {
        // SAFETY: the descriptor was only reachable by its handle.
        Some(fd) => unsafe { sys::call4(libc::SYS_close, fd as u64, 0, 0, 0) },
        None => -i64::from(libc::EBADF),
    }
}
