//! madvise(2), mincore(2), msync(2), mlock(2) and its family.

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory::lock::When;

/// MLOCK_ONFAULT of mlock2(2).
const ON_FAULT: u64 = 1;
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

/// mlock(2).
pub(crate) async fn mlock(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().lock(args.address(0), args.raw(1), When::Now).await.map(|()| 0)
}

/// mlock2(2).
pub(crate) async fn mlock2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = u64::from(args.uint(2));
    if flags & !ON_FAULT != 0 {
        return Err(Errno::EINVAL.because("mlock2 flags"));
    }
    let when = if flags == ON_FAULT { When::OnUse } else { When::Now };
    cx.memory().lock(args.address(0), args.raw(1), when).await.map(|()| 0)
}

/// munlock(2).
pub(crate) fn munlock(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().unlock(args.address(0), args.raw(1)).map(|()| 0)
}

/// mlockall(2).
pub(crate) async fn mlockall(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().lock_all(u64::from(args.uint(0))).await.map(|()| 0)
}

/// munlockall(2).
pub(crate) fn munlockall(cx: &Context<'_>) -> u64 {
    cx.memory().unlock_all();
    0
}
