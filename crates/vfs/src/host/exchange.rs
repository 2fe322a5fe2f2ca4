//! One operation and its answer; handles that the host gave us.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use abi::errno::Result;
use abi::io::{Code, Operation, handles};
use abi::{Errno, Untrusted};
use platform::io::{self, Bounce};
use platform::sync::Mutex;

/// The handles that the host gave us and that we did not give back.
static LIVE: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// An operation on its way out.
pub(super) struct Exchange {
    pub(super) operation: Operation,
    bounce: Bounce,
    behind: usize,
}

/// The buffer of an operation that was carried out.
pub(super) struct Answer {
    pub(super) bounce: Bounce,
    behind: usize,
}

impl Exchange {
    /// An operation on `handle` with a path, and room for `behind` bytes behind the path.
    pub(super) fn new(code: Code, handle: u64, path: &[u8], behind: usize) -> Result<Self> {
        let mut bounce = Bounce::with_capacity(path.len() + behind).ok_or_else(exhausted)?;
        bounce.write(0, path);
        let mut operation = io::operation(code, handle, &bounce, path.len() + behind);
        operation.path_len = u32::try_from(path.len()).map_err(|_| Errno::ENAMETOOLONG)?;
        Ok(Self { operation, bounce, behind: path.len() })
    }

    /// Puts bytes behind the path.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bounce.write(self.behind, bytes);
    }

    /// The buffer, to be filled from frames.
    pub(super) fn buffer(&mut self) -> &mut Bounce {
        &mut self.bounce
    }

    /// Has the host do it.
    pub(super) async fn carry_out(self) -> (Untrusted<i64>, Answer) {
        let (result, bounce) = io::submit(self.operation, self.bounce).await;
        (result, Answer { bounce, behind: self.behind })
    }
}

impl Answer {
    /// Copies `len` bytes in from behind the path.
    pub(super) fn bytes(&self, len: usize) -> Vec<u8> {
        let mut bytes = alloc::vec![0; len];
        self.bounce.read(self.behind, &mut bytes);
        bytes
    }
}

/// A handle of ours; given back when dropped.
#[derive(Debug)]
pub(super) struct Handle(u64);

impl Handle {
    /// Takes a handle that the host answered with: a new one, and not one of the streams.
    pub(super) fn admit(result: Untrusted<i64>) -> Result<Self> {
        let raw = result.count_at_most(usize::MAX >> 1)? as u64;
        if raw < handles::ROOTS || !LIVE.lock().insert(raw) {
            return Err(Errno::EIO.because("the host gave out a handle that is in use"));
        }
        Ok(Self(raw))
    }

    /// The number, for operations.
    pub(super) fn raw(&self) -> u64 {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // Forgotten first: the host may hand the number out again as soon as it has it back.
        LIVE.lock().remove(&self.0);
        io::close(self.0);
    }
}

fn exhausted() -> abi::Error {
    Errno::ENOMEM.because("no room for buffers that the host can reach")
}
