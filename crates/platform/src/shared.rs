//! Counted references whose counting is plain arithmetic as long as one vCPU is all there is.
//!
//! Every wait and wake-up takes and gives back references to tasks and waiters. A locked instruction
//! for each would be a third of a futex's round trip; see [`crate::sync`] for why none is needed alone.

use alloc::boxed::Box;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering, fence};
use core::task::{RawWaker, RawWakerVTable, Waker};

use crate::sync::single_vcpu;

/// More references than this are a fault of ours: the enclave stops before the count wraps.
const MOST: usize = usize::MAX / 2;

/// A counted reference, as [`alloc::sync::Arc`] but without weak ones.
pub struct Shared<T> {
    inner: NonNull<Inner<T>>,
}

struct Inner<T> {
    count: AtomicUsize,
    value: T,
}

// SAFETY: as for Arc: the value is shared, and dropped by whoever lets go last.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The first reference to `value`.
    pub fn new(value: T) -> Self {
        let inner = Box::new(Inner { count: AtomicUsize::new(1), value });
        Self { inner: NonNull::from(Box::leak(inner)) }
    }

    /// Whether both refer to the same value.
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.inner == other.inner
    }

    /// How many references there are; out of date at once if others have some.
    pub fn references(this: &Self) -> usize {
        this.inner().count.load(Ordering::Relaxed)
    }

    #[inline]
    fn inner(&self) -> &Inner<T> {
        // SAFETY: a reference keeps the value alive; it is only ever shared.
        unsafe { self.inner.as_ref() }
    }

    #[cold]
    #[inline(never)]
    fn free(&mut self) {
        // SAFETY: made by `Box::leak` in `new`; this was the last reference.
        drop(unsafe { Box::from_raw(self.inner.as_ptr()) });
    }
}

impl<T> Clone for Shared<T> {
    #[inline]
    fn clone(&self) -> Self {
        let count = &self.inner().count;
        let before = if single_vcpu() {
            let before = count.load(Ordering::Relaxed);
            count.store(before.wrapping_add(1), Ordering::Relaxed);
            before
        } else {
            // Who clones has a reference, so nobody frees the value meanwhile: no order is needed.
            count.fetch_add(1, Ordering::Relaxed)
        };
        assert!(before < MOST, "too many references");
        Self { inner: self.inner }
    }
}

impl<T> Drop for Shared<T> {
    #[inline]
    fn drop(&mut self) {
        let count = &self.inner().count;
        let before = if single_vcpu() {
            let before = count.load(Ordering::Relaxed);
            count.store(before.wrapping_sub(1), Ordering::Relaxed);
            before
        } else {
            count.fetch_sub(1, Ordering::Release)
        };
        if before == 1 {
            // What the others did with the value comes before its end.
            fence(Ordering::Acquire);
            self.free();
        }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner().value
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// What a [`Waker`] can be made of.
pub trait Wake: Send + Sync + Sized + 'static {
    /// Wakes whoever `this` stands for.
    fn wake(this: Shared<Self>);

    /// The same; a reference is taken only if it is needed.
    fn wake_by_ref(this: &Shared<Self>) {
        Self::wake(Shared::clone(this));
    }
}

impl<T: Wake> Shared<T> {
    /// A waker that calls [`Wake::wake`].
    pub fn into_waker(self) -> Waker {
        let data = self.into_raw();
        // SAFETY: the table's functions keep the contract of a waker: each takes `data` as one
        // reference of the count, borrowed or owned as its name says, and may run on any vCPU.
        unsafe { Waker::from_raw(RawWaker::new(data, Self::TABLE)) }
    }

    const TABLE: &'static RawWakerVTable = &RawWakerVTable::new(
        |data| {
            // SAFETY: `data` is a reference that the waker holds.
            let this = unsafe { Self::borrow(data) };
            RawWaker::new(Self::clone(&this).into_raw(), Self::TABLE)
        },
        |data| {
            // SAFETY: as above; the waker gives its reference up.
            T::wake(ManuallyDrop::into_inner(unsafe { Self::borrow(data) }));
        },
        |data| {
            // SAFETY: as above.
            let this = unsafe { Self::borrow(data) };
            T::wake_by_ref(&this);
        },
        |data| {
            // SAFETY: as above; the waker gives its reference up.
            drop(ManuallyDrop::into_inner(unsafe { Self::borrow(data) }));
        },
    );

    /// A reference as a waker's data, to be given up by [`Shared::borrow`].
    fn into_raw(self) -> *const () {
        ManuallyDrop::new(self).inner.as_ptr().cast_const().cast()
    }

    /// The reference behind a waker's data, not counted anew.
    ///
    /// # Safety
    /// `data` came from [`Shared::into_raw`], and its reference has not been given up.
    #[inline]
    unsafe fn borrow(data: *const ()) -> ManuallyDrop<Self> {
        // SAFETY: it was not null when it was made.
        let inner = unsafe { NonNull::new_unchecked(data.cast_mut().cast()) };
        ManuallyDrop::new(Self { inner })
    }
}

#[cfg(test)]
mod tests {
    use super::{Shared, Wake};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Bell(Arc<AtomicUsize>, Arc<()>);

    impl Wake for Bell {
        fn wake(this: Shared<Self>) {
            this.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn wakers_count_as_references() {
        let (rung, life) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let bell = Shared::new(Bell(Arc::clone(&rung), Arc::clone(&life)));
        let waker = bell.clone().into_waker();
        assert!(Shared::ptr_eq(&bell, &bell.clone()));
        let second = waker.clone();
        assert!(second.will_wake(&waker));
        waker.wake_by_ref();
        waker.wake();
        drop(bell);
        assert_eq!(Arc::strong_count(&life), 2);
        second.wake();
        assert_eq!((rung.load(Ordering::Relaxed), Arc::strong_count(&life)), (3, 1));
    }

    #[test]
    fn the_last_of_many_threads_frees() {
        let life = Arc::new(());
        let shared = Shared::new(Arc::clone(&life));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mine = shared.clone();
                scope.spawn(move || {
                    for _ in 0..1000 {
                        drop(mine.clone());
                    }
                });
            }
        });
        drop(shared);
        assert_eq!(Arc::strong_count(&life), 1);
    }
}
