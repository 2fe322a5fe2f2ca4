//! What a thread that ends leaves behind: locks that it holds, and the word that says it lives.
//!
//! The list lies in user memory and is the program's word from end to end: each pointer may lead
//! anywhere, back to itself too, so the walk is limited and a fault ends it.
//!
//! Source: `get_robust_list(2)`, `set_tid_address(2)`; `struct robust_list_head` of
//! `linux/futex.h`.

use core::sync::atomic::Ordering;

use abi::errno::Result;
use platform::user::UserWord;

use super::{ANY, Wake};
use crate::context::{self, Context};
use crate::memory::Access;

/// Entries that are looked at, Linux's `ROBUST_LIST_LIMIT`.
const LIMIT: usize = 2048;
/// Bytes of `struct robust_list_head`.
pub const HEAD_SIZE: u64 = 24;

/// The bit of a list pointer that marks a priority-inheriting lock.
const PI: u64 = 1;
/// Bits of a lock word: the owner's tid, whether it died, whether others wait.
pub(super) const TID: u32 = 0x3fff_ffff;
pub(super) const OWNER_DIED: u32 = 0x4000_0000;
pub(super) const WAITERS: u32 = 0x8000_0000;

/// Marks the locks of the calling thread as left by a dead owner, and wakes one waiter of each.
pub(crate) fn leave_robust_list(cx: &Context<'_>) {
    let head = cx.thread.robust_list.swap(0, Ordering::Relaxed);
    if head != 0 {
        // A list that can't be read any further ends there, as in Linux.
        let _ = walk(cx, head);
    }
}

/// Wakes one waiter on the word at `address`, whoever shares it.
pub(crate) fn wake_address(cx: &Context<'_>, address: u64) {
    if let Ok(key) = cx.memory().futex_key(address, false, Access::Write) {
        cx.kernel.futexes.wake(Wake { key, count: 1, bitset: ANY });
    }
}

fn walk(cx: &Context<'_>, head: u64) -> Result<()> {
    let [first, offset, pending]: [u64; 3] = cx.read(head)?;
    let lock_of = |entry: u64| (entry & !PI).wrapping_add(offset);
    let mut entry = first;
    for _ in 0..LIMIT {
        if entry & !PI == head {
            break;
        }
        // Read before the lock is given up: its next owner may take the entry out.
        let next = cx.read(entry & !PI);
        // What is being locked or unlocked just now is looked at last.
        if entry & !PI != pending & !PI {
            leave_lock(cx, lock_of(entry), entry & PI != 0, false)?;
        }
        entry = next?;
    }
    if pending & !PI != 0 {
        leave_lock(cx, lock_of(pending), pending & PI != 0, true)?;
    }
    Ok(())
}

/// Gives up one lock, if the thread holds it.
fn leave_lock(cx: &Context<'_>, address: u64, inherits: bool, pending: bool) -> Result<()> {
    let word = UserWord::new(address)?;
    loop {
        let value = super::load(cx.memory(), word)?;
        if pending && !inherits && value & TID == 0 {
            // It may have died between unlocking and waking.
            wake_address(cx, address);
            return Ok(());
        }
        if value & TID != cx.thread.tid {
            return Ok(());
        }
        if inherits && value & WAITERS != 0 {
            return super::priority::leave(cx, word);
        }
        let left = value & WAITERS | OWNER_DIED;
        match word.compare_exchange(value, left) {
            Err(short) => context::resolve(cx.memory(), short)?,
            Ok(seen) if seen != value => {}
            Ok(_) => {
                if value & WAITERS != 0 {
                    wake_address(cx, address);
                }
                return Ok(());
            }
        }
    }
}
