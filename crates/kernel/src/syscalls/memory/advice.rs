//! madvise(2), mincore(2), msync(2), mlock(2) and its family, `remap_file_pages(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory::lock::When;
use crate::memory::{Access, Space};
use crate::process::limits::{INFINITY, Resource};

/// MLOCK_ONFAULT of mlock2(2).
const ON_FAULT: u64 = 1;
/// `MCL_CURRENT` of mlockall(2).
const CURRENT: u64 = 1;
/// `MAP_NONBLOCK`.
const NON_BLOCK: u64 = 0x1_0000;
/// `PIDFD_SELF_THREAD` and `PIDFD_SELF_THREAD_GROUP`.
const SELF: [i32; 2] = [-10_000, -10_001];
/// Pages that mincore(2) tells of at once: one page of answers.
const MINCORE_STEP: u64 = 4096 * abi::layout::PAGE;

/// madvise(2), for advice that needs no wait.
pub(crate) fn madvise_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let done = cx.memory().advise_now(args.address(0), args.raw(1), u64::from(args.uint(2)))?;
    Some(done.map(|()| 0))
}

/// madvise(2).
pub(crate) async fn madvise(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let advice = u64::from(args.uint(2));
    cx.memory().advise(args.address(0), args.raw(1), advice).await.map(|()| 0)
}

/// mincore(2).
pub(crate) fn mincore(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (mut address, mut len, mut out) = (args.address(0), args.raw(1), args.address(2));
    let region = cx.memory().region();
    if address.is_multiple_of(abi::layout::PAGE)
        && (address > region.end || len > region.end - address)
    {
        return Err(Errno::ENOMEM.because("beyond the user region"));
    }
    loop {
        let part = len.min(MINCORE_STEP);
        let pages = cx.memory().resident(address, part)?;
        cx.write_bytes(out, &pages)?;
        len -= part;
        if len == 0 {
            return Ok(0);
        }
        address += part;
        out = out.wrapping_add(pages.len() as u64);
    }
}

/// msync(2).
pub(crate) async fn msync(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = u64::from(args.uint(2));
    cx.memory().sync(args.address(0), args.raw(1), flags).await.map(|()| 0)
}

/// Bytes that the caller may lock.
///
/// # Errors
/// EPERM when none.
pub(super) fn lock_limit(cx: &Context<'_>) -> Result<u64> {
    let limit = cx.process.limits.soft(Resource::Locked);
    let who = Arc::clone(&cx.process.credentials.lock());
    if who.has(Capabilities::IPC_LOCK) {
        return Ok(INFINITY);
    }
    if limit == 0 {
        return Err(Errno::EPERM.because("RLIMIT_MEMLOCK is 0"));
    }
    Ok(limit)
}

fn check_lock(cx: &Context<'_>, args: &Arguments) -> Result<()> {
    let limit = lock_limit(cx)?;
    if limit != INFINITY && cx.memory().locked_with(args.address(0), args.raw(1)) > limit {
        return Err(Errno::ENOMEM.because("RLIMIT_MEMLOCK"));
    }
    Ok(())
}

/// mlock(2).
pub(crate) async fn mlock(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_lock(cx, args)?;
    cx.memory().lock(args.address(0), args.raw(1), When::Now).await.map(|()| 0)
}

/// mlock2(2).
pub(crate) async fn mlock2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = u64::from(args.uint(2));
    if flags & !ON_FAULT != 0 {
        return Err(Errno::EINVAL.because("mlock2 flags"));
    }
    check_lock(cx, args)?;
    let when = if flags == ON_FAULT { When::OnUse } else { When::Now };
    cx.memory().lock(args.address(0), args.raw(1), when).await.map(|()| 0)
}

/// munlock(2).
pub(crate) fn munlock(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().unlock(args.address(0), args.raw(1)).map(|()| 0)
}

/// mlockall(2).
pub(crate) async fn mlockall(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = u64::from(args.uint(0));
    Space::check_lock_all(flags)?;
    let limit = lock_limit(cx)?;
    if flags & CURRENT != 0 && cx.memory().statistics().mapped > limit {
        return Err(Errno::ENOMEM.because("RLIMIT_MEMLOCK"));
    }
    cx.memory().lock_all(flags).await.map(|()| 0)
}

/// Finds the process that a descriptor stands for: the caller's own.
///
/// # Errors
/// EBADF.
pub(super) fn process_of(cx: &Context<'_>, fd: i32) -> Result<()> {
    if !SELF.contains(&fd) {
        cx.process.files.get(fd)?;
        return Err(Errno::EBADF.because("the descriptor is no process's"));
    }
    Ok(())
}

/// `process_madvise(2)`: process, `iovec`s, how many, advice, flags. Only the caller itself can be named.
pub(crate) async fn process_madvise(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(4) != 0 {
        return Err(Errno::EINVAL.because("process_madvise has no flags"));
    }
    // As in Linux, only the lower half of the number counts.
    let ranges = cx.read_iovecs(args.address(1), args.uint(2) as usize)?;
    process_of(cx, args.fd(0))?;
    let mut done = 0;
    for range in ranges {
        let len = range.len as u64;
        match cx.memory().advise(range.start, len, u64::from(args.uint(3))).await {
            Ok(()) => done += len,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

/// `remap_file_pages(2)`: address, bytes, access, page of the file, flags.
pub(crate) async fn remap_file_pages(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.raw(2) != 0 {
        return Err(Errno::EINVAL.because("the access stays as it is: it must be given as 0"));
    }
    let range = cx.memory().remap_file(args.address(0), args.raw(1), args.raw(3))?;
    if args.raw(4) & NON_BLOCK == 0 {
        // As with MAP_POPULATE, what can't be brought in now is no error.
        let _ = cx.memory().bring(range, Access::Read).await;
    }
    Ok(0)
}

/// munlockall(2).
pub(crate) fn munlockall(cx: &Context<'_>) -> u64 {
    cx.memory().unlock_all();
    0
}
