//! signalfd: pending signals that are read instead of delivered.
//!
//! Whose signals a read takes is decided when it reads, not when the descriptor was made: those of the
//! reading thread and of its process. Who polls is told of what is pending for itself the same way.
//!
//! Source: signalfd(2).

use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::user::Sink;
use vfs::anonymous::{Identity, Owner};
use vfs::object::{Attempt, Events, Object, OpenFile, Stat, Status, Stop};

use crate::Kernel;
use crate::process::procfs;
use crate::signal::info::{self, Info};
use crate::signal::number::SignalSet;
use crate::signal::wait;

/// Told of each signal that becomes pending, whoever's it is: a descriptor may be read in another
/// process than the one that made it.
static SENT: WaitQueue = WaitQueue::new();

/// Tells those who read or poll a signalfd that a signal is pending.
pub(super) fn tell() {
    SENT.wake_all();
}

/// A set of signals to be read.
pub struct SignalFd {
    kernel: &'static Kernel,
    wanted: AtomicU64,
    identity: Identity,
}

/// Makes a signalfd for the signals of `wanted`; `status` may hold NONBLOCK.
pub fn signalfd(
    kernel: &'static Kernel,
    wanted: SignalSet,
    status: Status,
    owner: Owner,
) -> Arc<OpenFile> {
    let object = Arc::new(SignalFd {
        kernel,
        wanted: AtomicU64::new(wanted.as_mask().bits()),
        identity: Identity::new(owner),
    });
    OpenFile::new(object, status | Status::READ_WRITE, None)
}

impl SignalFd {
    /// The signals that can be read.
    pub fn wanted(&self) -> SignalSet {
        SignalSet::from_bits(self.wanted.load(Ordering::Relaxed))
    }

    /// Changes them; who waits looks again.
    pub fn set_wanted(&self, wanted: SignalSet) {
        self.wanted.store(wanted.as_mask().bits(), Ordering::SeqCst);
        tell();
    }

    fn take(&self) -> Option<Info> {
        let thread = procfs::caller(self.kernel)?;
        wait::take(&thread, &thread.process, self.wanted())
    }
}

impl Object for SignalFd {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        if sink.room() < info::SIZE {
            return Err(Errno::EINVAL.because("a signalfd is read in 128 bytes").into());
        }
        let mut done = 0;
        while sink.room() >= info::SIZE {
            let Some(info) = self.take() else {
                return if done > 0 { Ok(done) } else { Err(Stop::WouldBlock) };
            };
            // As in Linux, a signal is gone also when the program's buffer turns out to be bad.
            if sink.put(&info.to_descriptor()) < info::SIZE {
                break;
            }
            done += info::SIZE;
        }
        Ok(done)
    }

    fn seeks_in_vain(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let Some(thread) = procfs::caller(self.kernel) else { return Events::empty() };
        let pending = thread.signals.pending().union(thread.process.signals.pending());
        let mut events = Events::empty();
        events.set(Events::IN, !pending.intersection(self.wanted()).is_empty());
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&SENT)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
