//! The calls that came after futex(2): `futex_waitv`, `futex_wake`, `futex_wait`, `futex_requeue`.
//!
//! Words have 32 bits, the only size that Linux 6.18 has. A word with a node (`FUTEX2_NUMA`) names node 0,
//! the enclave's only one, or lets it be filled in. Source: `futex_waitv(2)`, `linux/futex.h`.

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::shared::Shared;
use platform::user::UserWord;

use super::futex::{self, Stopped, at_least_one, attempt, begin_again};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory::{Access, Key};
use crate::process::futex::{ANY, WaitAny, Waiter, Wake};
use crate::signal::state::FutexWait;
use crate::syscalls::time::spec;

/// The most words of `futex_waitv(2)`.
const WORDS_MAX: usize = 128;
/// `FUTEX2_SIZE_U32`, the only size there is.
const SIZE_U32: u32 = 2;
/// `FUTEX2_NUMA`: the node stands behind the word.
const NUMA: u32 = 4;
/// `FUTEX2_MPOL`: the node follows the memory's policy.
const POLICY: u32 = 8;
/// `FUTEX2_PRIVATE`.
const PRIVATE: u32 = 128;
/// `FUTEX_NO_NODE`: the node is to be filled in.
const NO_NODE: u32 = u32::MAX;

/// One word of a call, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    value: u32,
    address: u64,
    flags: u32,
}

impl Word {
    /// # Errors
    /// EINVAL for flags or a value that no word has.
    fn new(value: u64, address: u64, flags: u32) -> Result<Self> {
        let bad = Errno::EINVAL.because("a word's value, flags or reserved field");
        if flags & !(PRIVATE | NUMA | POLICY) != SIZE_U32 {
            return Err(bad);
        }
        Ok(Self { value: u32::try_from(value).map_err(|_| bad)?, address, flags })
    }

    /// One `struct futex_waitv`: value, address, flags; the upper half of the flags is reserved.
    fn decode([value, address, flags]: [u64; 3]) -> Result<Self> {
        let reserved = Errno::EINVAL.because("a word's value, flags or reserved field");
        Self::new(value, address, u32::try_from(flags).map_err(|_| reserved)?)
    }

    fn is_private(self) -> bool {
        self.flags & PRIVATE != 0
    }

    /// The word's place, and its name among all that is waited for.
    ///
    /// # Errors
    /// EFAULT; EINVAL when it is not aligned or names a node that is not there.
    fn named(self, cx: &Context<'_>) -> Result<(UserWord, Key)> {
        let named = futex::key(cx, self.address, self.is_private(), Access::Read)?;
        if self.flags & NUMA != 0 {
            if !self.address.is_multiple_of(8) {
                return Err(Errno::EINVAL.because("a word with a node is not aligned to 8 bytes"));
            }
            let place = self.address.wrapping_add(4);
            match cx.read::<u32>(place)? {
                0 => {}
                NO_NODE => cx.write(place, &0_u32)?,
                _ => return Err(Errno::EINVAL.because("the enclave has node 0 only")),
            }
        }
        Ok(named)
    }
}

/// A mask of waits, which has 32 bits and is not empty.
fn mask(raw: u64) -> Result<u32> {
    let mask = u32::try_from(raw).ok().filter(|mask| *mask != 0);
    mask.ok_or(Errno::EINVAL.because("an empty mask, or one longer than the word"))
}

/// An instant on the clock of a number, if there is one.
fn deadline(cx: &Context<'_>, address: u64, clock: i32) -> Result<Option<u64>> {
    match (address, clock) {
        (0, _) => Ok(None),
        (_, 0) => Ok(Some(spec::from_realtime(spec::read(cx, address)?))),
        (_, 1) => Ok(Some(spec::read(cx, address)?)),
        _ => Err(Errno::EINVAL.because("the clock is neither realtime nor monotonic")),
    }
}

/// `futex_wake`: word, mask, how many, flags.
pub(super) fn futex_wake(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let word = Word::new(0, args.address(0), args.uint(3))?;
    let bitset = mask(args.raw(1))?;
    let (_, key) = word.named(cx)?;
    if args.int(2) == 0 {
        return Ok(0);
    }
    let count = at_least_one(args.int(2));
    Ok(cx.kernel.futexes.wake(Wake { key, count, bitset }) as u64)
}

/// `futex_wait`: word, value, mask, flags, instant or null, its clock.
pub(super) async fn futex_wait(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let word = Word::new(args.raw(1), args.address(0), args.uint(3))?;
    u32::try_from(args.raw(2)).map_err(|_| Errno::EINVAL.because("a mask longer than the word"))?;
    let deadline = deadline(cx, args.address(4), args.int(5))?;
    let bitset = mask(args.raw(2))?;
    word.named(cx)?;
    let wanted = FutexWait {
        address: word.address,
        value: word.value,
        bitset,
        private: word.is_private(),
        deadline,
    };
    // The instant is absolute, so the call itself can be made once more.
    futex::wait(cx, &wanted).await.map_err(|error| match error.errno {
        Errno::ERESTART_RESTARTBLOCK => Errno::ERESTARTSYS.because(error.why),
        _ => error,
    })
}

/// `futex_requeue`: two words, flags, how many to wake, how many to move.
pub(super) fn futex_requeue(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(1) != 0 || args.address(0) == 0 {
        return Err(Errno::EINVAL.because("flags, or no words"));
    }
    // The second one is looked at only when the first one can be used.
    let word_at = |index: u64| -> Result<Word> {
        Word::decode(cx.read(args.address(0).wrapping_add(24 * index))?)
    };
    let (from, to) = (word_at(0)?, word_at(1)?);
    let negative = Errno::EINVAL.because("a negative count");
    let count = usize::try_from(args.int(2)).map_err(|_| negative)?;
    let most = usize::try_from(args.int(3)).map_err(|_| negative)?;
    if from.is_private() != to.is_private() {
        return Err(Errno::EINVAL.because("one word is private and the other is not"));
    }
    let (word, source) = from.named(cx)?;
    let (_, target) = to.named(cx)?;
    let wake = Wake { key: source, count, bitset: ANY };
    let changed: Error = Errno::EAGAIN.because("the word has another value");
    let (woken, moved) = attempt(cx, || {
        cx.kernel.futexes.requeue(wake, most, target, || match word.load() {
            Err(short) => Err(Stopped::Fault(short)),
            Ok(value) if value == from.value => Ok(()),
            Ok(_) => Err(Stopped::Error(changed)),
        })
    })?;
    Ok((woken + moved) as u64)
}

/// `futex_waitv(2)`: words, how many, flags, instant or null, its clock.
pub(super) async fn futex_waitv(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let count = args.size(1);
    if args.uint(2) != 0 || count == 0 || count > WORDS_MAX || args.address(0) == 0 {
        return Err(Errno::EINVAL.because("flags, or not 1 to 128 words"));
    }
    let deadline = deadline(cx, args.address(3), args.int(4))?;
    let raw: Vec<[u64; 3]> = cx.read_vec(args.address(0), count)?;
    let words = raw.into_iter().map(Word::decode).collect::<Result<Vec<_>>>()?;
    let waiters: Vec<Shared<Waiter>> = words.iter().map(|_| Waiter::new()).collect();
    loop {
        let mut waits = Vec::with_capacity(count);
        for (word, waiter) in words.iter().zip(&waiters) {
            let (place, key) = word.named(cx)?;
            waits.push(cx.kernel.futexes.wait(waiter, key, place, word.value, ANY));
        }
        let mut any = WaitAny::new(waits);
        let timed = cx.kernel.executor.timeout(deadline, &mut any);
        let error = match cx.interruptible(timed).await {
            Ok(Ok(Ok(index))) => return Ok(index as u64),
            Ok(Ok(Err(refused))) => {
                begin_again(cx, refused)?;
                continue;
            }
            Ok(Err(_)) => Errno::ETIMEDOUT.because("nobody came in time"),
            Err(interrupted) => interrupted.into(),
        };
        return any.give_up().map(|index| index as u64).ok_or(error);
    }
}

#[cfg(test)]
mod tests {
    use super::Word;

    #[test]
    fn waitv_refuses_what_it_does_not_know() {
        let word = Word { value: 7, address: 0x1000, flags: 0x82 };
        assert_eq!(Word::decode([7, 0x1000, 0x82]), Ok(word));
        assert!(Word::decode([1 << 32, 0x1000, 2]).is_err());
        assert!(Word::decode([7, 0x1000, 3]).is_err());
        assert!(Word::decode([7, 0x1000, 1 << 32 | 2]).is_err());
    }
}
