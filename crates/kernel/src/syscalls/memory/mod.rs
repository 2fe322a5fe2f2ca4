//! User memory.
//!
//! Differs from Linux: mincore(2) counts private memory as resident once it can be used without a
//! fault into the LibOS; nothing is ever swapped, so locking only brings pages in.

pub mod advice;
mod foreign;
pub mod mapping;
mod policy;
mod secret;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

/// Calls that finish at once; `None`: not here, or it must wait.
#[inline]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::MMAP => return mapping::mmap_at_once(cx, args),
        nr::MUNMAP | nr::MREMAP if mapping::must_carry(cx, number, args) => return None,
        nr::MUNMAP => mapping::munmap(cx, args),
        nr::MPROTECT => mapping::mprotect(cx, args),
        nr::BRK => Ok(mapping::brk(cx, args)),
        nr::MREMAP => mapping::mremap(cx, args),
        nr::MSEAL => mapping::mseal(cx, args),
        nr::PKEY_MPROTECT => mapping::pkey_mprotect(cx, args),
        nr::PKEY_ALLOC => mapping::pkey_alloc(args),
        nr::PKEY_FREE => mapping::pkey_free(),
        nr::MADVISE => return advice::madvise_at_once(cx, args),
        nr::MINCORE => advice::mincore(cx, args),
        nr::MUNLOCK => advice::munlock(cx, args),
        nr::MUNLOCKALL => Ok(advice::munlockall(cx)),
        nr::PROCESS_VM_READV => foreign::transfer(cx, args, foreign::Way::Read),
        nr::PROCESS_VM_WRITEV => foreign::transfer(cx, args, foreign::Way::Write),
        nr::MEMFD_SECRET => secret::memfd_secret(cx, args),
        nr::PROCESS_MRELEASE => foreign::release(cx, args),
        nr::MBIND => policy::mbind(cx, args),
        nr::SET_MEMPOLICY => policy::set_mempolicy(cx, args),
        nr::GET_MEMPOLICY => policy::get_mempolicy(cx, args),
        nr::SET_MEMPOLICY_HOME_NODE => policy::set_home(cx, args),
        nr::MIGRATE_PAGES => policy::migrate_pages(cx, args),
        nr::MOVE_PAGES => policy::move_pages(cx, args),
        _ => return None,
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::MMAP => mapping::mmap(cx, args).await,
        nr::MUNMAP => mapping::carried(mapping::munmap(cx, args)).await,
        nr::MREMAP => mapping::carried(mapping::mremap(cx, args)).await,
        nr::MADVISE => advice::madvise(cx, args).await,
        nr::MSYNC => advice::msync(cx, args).await,
        nr::MLOCK => advice::mlock(cx, args).await,
        nr::PROCESS_MADVISE => advice::process_madvise(cx, args).await,
        nr::REMAP_FILE_PAGES => advice::remap_file_pages(cx, args).await,
        nr::MLOCK2 => advice::mlock2(cx, args).await,
        nr::MLOCKALL => advice::mlockall(cx, args).await,
        _ => return None,
    })
}
