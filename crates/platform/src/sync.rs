//! Locks of the LibOS: they spin for a moment, then wait in the host.
//!
//! A holder may be descheduled by the host, and there may be more vCPUs than cores, so endless
//! spinning would burn whole time slices. A vCPU inside the LibOS is never preempted by the LibOS.

use core::cell::UnsafeCell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::gate;

const FREE: u32 = 0;
const HELD: u32 = 1;
const CONTENDED: u32 = 2;
/// About 5 µs of pauses on the machines measured.
const SPINS: u32 = 200;

/// Nobody but one vCPU ever runs the LibOS.
///
/// A locked instruction costs about 5 ns, and a round trip through a pipe has some forty of them; with
/// one vCPU plain loads and stores do as well, since the LibOS never preempts itself. (Linux patches
/// its lock prefixes away for the same reason.)
static ALONE: AtomicBool = AtomicBool::new(false);

/// Says that one vCPU is all there is; at start, before any lock is held.
pub(crate) fn set_single_vcpu(alone: bool) {
    ALONE.store(alone, Ordering::Relaxed);
}

#[inline]
pub(crate) fn single_vcpu() -> bool {
    ALONE.load(Ordering::Relaxed)
}

/// A full fence between the vCPUs: what came before it is seen by whoever passes one later.
///
/// Not for what the host or a device is to see.
#[inline]
pub fn barrier() {
    if single_vcpu() {
        core::sync::atomic::compiler_fence(Ordering::SeqCst);
    } else {
        core::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// A byte that vCPUs change in one step, with the methods of [`AtomicU8`] that this needs.
///
/// Not for memory that the host changes.
#[derive(Debug)]
pub struct Byte(AtomicU8);

impl Byte {
    /// A byte.
    pub const fn new(value: u8) -> Self {
        Self(AtomicU8::new(value))
    }

    /// Its value.
    #[inline]
    pub fn load(&self, order: Ordering) -> u8 {
        self.0.load(order)
    }

    /// Sets bits; gives what it was.
    #[inline]
    pub fn fetch_or(&self, bits: u8, order: Ordering) -> u8 {
        if single_vcpu() {
            self.exchange_alone(|old| old | bits)
        } else {
            self.0.fetch_or(bits, order)
        }
    }

    /// Sets it; gives what it was.
    #[inline]
    pub fn swap(&self, new: u8, order: Ordering) -> u8 {
        if single_vcpu() { self.exchange_alone(|_| new) } else { self.0.swap(new, order) }
    }

    /// Sets it to `new` if it was `expected`.
    ///
    /// # Errors
    /// What it was instead.
    #[inline]
    pub fn compare_exchange(
        &self,
        expected: u8,
        new: u8,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u8, u8> {
        if !single_vcpu() {
            return self.0.compare_exchange(expected, new, success, failure);
        }
        let old = self.exchange_alone(|old| if old == expected { new } else { old });
        if old == expected { Ok(old) } else { Err(old) }
    }

    #[inline]
    fn exchange_alone(&self, change: impl FnOnce(u8) -> u8) -> u8 {
        let old = self.0.load(Ordering::Acquire);
        self.0.store(change(old), Ordering::Release);
        old
    }
}

/// Mutual exclusion around a value.
pub struct Mutex<T: ?Sized> {
    state: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the one who moved `state` from FREE.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}
// SAFETY: sending the mutex sends the value.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}

/// Access to the value; unlocks when dropped.
pub struct Guard<'a, T: ?Sized> {
    lock: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    /// A free lock around `value`.
    pub const fn new(value: T) -> Self {
        Self { state: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }

    /// The value, when nobody can hold the lock any more.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free and takes it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        if !self.take() {
            self.lock_contended();
        }
        Guard { lock: self }
    }

    /// Takes the lock if it is free.
    #[inline]
    fn take(&self) -> bool {
        if single_vcpu() {
            let free = self.state.load(Ordering::Relaxed) == FREE;
            if free {
                self.state.store(HELD, Ordering::Relaxed);
                // The value is not touched before.
                core::sync::atomic::compiler_fence(Ordering::Acquire);
            }
            return free;
        }
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the lock if it is free.
    #[inline]
    pub fn try_lock(&self) -> Option<Guard<'_, T>> {
        self.take().then(|| Guard { lock: self })
    }

    /// The value, for the owner of the lock itself.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[cold]
    fn lock_contended(&self) {
        for _ in 0..SPINS {
            if self.state.load(Ordering::Relaxed) == FREE
                && self
                    .state
                    .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            {
                return;
            }
            core::hint::spin_loop();
        }
        while self.state.swap(CONTENDED, Ordering::Acquire) != FREE {
            gate::wait(&self.state, CONTENDED, None);
        }
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if single_vcpu() {
            self.lock.state.store(FREE, Ordering::Release);
        } else if self.lock.state.swap(FREE, Ordering::Release) == CONTENDED {
            gate::wake(&self.lock.state, 1);
        }
    }
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard proves that this vCPU holds the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard proves that this vCPU holds the lock.
        unsafe { &mut *self.lock.value.get() }
    }
}

/// A value that is set once, at start, and read ever after.
pub struct Once<T> {
    state: AtomicU32,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: written once before `state` becomes HELD with release order; only read afterwards.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Not set yet.
    pub const fn new() -> Self {
        Self { state: AtomicU32::new(FREE), value: UnsafeCell::new(None) }
    }

    /// Sets the value; false (and `value` dropped) when it was set before.
    pub fn set(&self, value: T) -> bool {
        if self
            .state
            .compare_exchange(FREE, CONTENDED, Ordering::Acquire, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        // SAFETY: CONTENDED is entered by one caller only, and readers wait for HELD.
        unsafe { *self.value.get() = Some(value) };
        self.state.store(HELD, Ordering::Release);
        true
    }

    /// The value, if it was set.
    #[inline]
    pub fn get(&self) -> Option<&T> {
        if self.state.load(Ordering::Acquire) != HELD {
            return None;
        }
        // SAFETY: HELD is stored after the value and never left.
        unsafe { (*self.value.get()).as_ref() }
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}
