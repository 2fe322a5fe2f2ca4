//! The atomics and the lock that this crate stands on, exchanged for loom's under `cfg(loom)`.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{
    AtomicBool, AtomicU8 as Byte, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

#[cfg(not(loom))]
pub(crate) use platform::sync::{Byte, Mutex, barrier};

#[cfg(loom)]
pub(crate) use modelled::{Mutex, barrier};

#[cfg(loom)]
mod modelled {
    /// The platform's fence between vCPUs.
    pub(crate) fn barrier() {
        loom::sync::atomic::fence(loom::sync::atomic::Ordering::SeqCst);
    }

    /// Loom's mutex with the platform's signatures.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("a model thread panicked while it held the lock")
        }
    }
}
