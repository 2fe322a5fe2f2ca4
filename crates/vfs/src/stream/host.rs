//! What a stream asks of the host, and the checks on its answers.

use alloc::boxed::Box;

use abi::errno::Result;
use abi::io::{self, Code};
use abi::{Errno, Untrusted};
use platform::io::{Bounce, operation, perform, watch};

use crate::object::{Stat, Waiting};

/// The buffer of an operation.
pub(super) enum Data<'a> {
    /// None.
    None,
    /// Bytes for the host.
    In(&'a [u8]),
    /// Room for the host's bytes; all of it, or as many as a read's result says.
    Out(&'a mut [u8]),
}

/// The host's side of a stream.
pub(super) trait Host: Send + Sync {
    /// Carries out one operation at once.
    fn perform(
        &self,
        code: Code,
        handle: u64,
        offset: u64,
        flags: u32,
        data: Data<'_>,
    ) -> Untrusted<i64>;

    /// Waits until the host is ready for one of `events`.
    fn watch(&self, handle: u64, events: u32) -> Waiting<'static, ()>;
}

/// The host behind the enclave's wall.
pub(super) struct Platform;

/// The only one.
pub(super) static PLATFORM: Platform = Platform;

impl Host for Platform {
    fn perform(
        &self,
        code: Code,
        handle: u64,
        offset: u64,
        flags: u32,
        data: Data<'_>,
    ) -> Untrusted<i64> {
        let len = match &data {
            Data::None => 0,
            Data::In(bytes) => bytes.len(),
            Data::Out(room) => room.len(),
        };
        let Some(mut bounce) = Bounce::with_capacity(len) else {
            return Untrusted::new(-i64::from(Errno::ENOMEM.raw()));
        };
        if let Data::In(bytes) = &data {
            bounce.write(0, bytes);
        }
        let mut request = operation(code, handle, &bounce, len);
        request.offset = offset;
        request.flags = flags;
        let answer = perform(&request);
        if let Data::Out(room) = data {
            bounce.read(0, room);
        }
        answer
    }

    fn watch(&self, handle: u64, events: u32) -> Waiting<'static, ()> {
        Box::pin(watch(handle, events))
    }
}

/// What the host says that a stream is.
///
/// # Errors
/// The host's; EIO for times or sizes that no file has.
pub(super) fn stat(host: &dyn Host, handle: u64) -> Result<Stat> {
    let mut bytes = [0; size_of::<io::Stat>()];
    host.perform(Code::Stat, handle, 0, 0, Data::Out(&mut bytes)).count_at_most(bytes.len())?;
    let size = u64::from_le_bytes(field(&bytes, core::mem::offset_of!(io::Stat, size)));
    if i64::try_from(size).is_err() {
        return Err(Errno::EIO.because("the host names a size that no file has"));
    }
    let word = |at| u32::from_le_bytes(field(&bytes, at));
    let long = |at| u64::from_le_bytes(field(&bytes, at));
    let time = |at| i64::from_le_bytes(field(&bytes, at));
    Ok(Stat {
        device: long(core::mem::offset_of!(io::Stat, device)),
        inode: long(core::mem::offset_of!(io::Stat, inode)),
        mode: word(core::mem::offset_of!(io::Stat, mode)) & 0o177_777,
        links: word(core::mem::offset_of!(io::Stat, links)),
        uid: word(core::mem::offset_of!(io::Stat, uid)),
        gid: word(core::mem::offset_of!(io::Stat, gid)),
        rdev: long(core::mem::offset_of!(io::Stat, rdev)),
        size,
        block_size: 4096,
        blocks: long(core::mem::offset_of!(io::Stat, blocks)),
        accessed: time(core::mem::offset_of!(io::Stat, accessed)),
        modified: time(core::mem::offset_of!(io::Stat, modified)),
        changed: time(core::mem::offset_of!(io::Stat, changed)),
        born: 0,
    })
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
