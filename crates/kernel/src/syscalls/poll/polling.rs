//! poll and ppoll.
//!
//! Source: poll(2). A signal that runs no handler restarts the call with its whole timeout.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use smallvec::SmallVec;
use vfs::object::{Events, OpenFile, Status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::mask;
use super::wait::{Patience, wait};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::limits::Resource;
use crate::syscalls::time::spec;

/// `POLLNVAL`: the descriptor is not open.
const INVALID: u16 = 0x20;
/// Bytes of a `struct pollfd`, and where its `revents` lies.
const ENTRY: u64 = 8;
const REVENTS: u64 = 6;

/// `struct pollfd`.
#[derive(Clone, Copy, Default, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct PollFd {
    fd: i32,
    events: u16,
    revents: u16,
}

/// What a call polls, in the order of the program's array.
struct Polled {
    address: u64,
    entries: SmallVec<[PollFd; 8]>,
    /// The open files among them, and which entry each belongs to.
    files: SmallVec<[Arc<OpenFile>; 8]>,
    indices: SmallVec<[usize; 8]>,
    invalid: usize,
}

impl Polled {
    fn read(cx: &Context<'_>, address: u64, count: u32) -> Result<Self> {
        if u64::from(count) > cx.process.limits.soft(Resource::Files) {
            return Err(Errno::EINVAL.because("more entries than RLIMIT_NOFILE"));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        let mut entries: SmallVec<[PollFd; 8]> = smallvec::smallvec![PollFd::default(); count];
        cx.read_bytes(address, entries.as_mut_slice().as_mut_bytes())?;
        let mut polled =
            Self { address, entries, files: SmallVec::new(), indices: SmallVec::new(), invalid: 0 };
        for (index, entry) in polled.entries.iter_mut().enumerate() {
            entry.revents = 0;
            if entry.fd < 0 {
                continue;
            }
            match cx.process.files.get(entry.fd) {
                Ok(file) if !file.status().contains(Status::PATH) => {
                    polled.files.push(file);
                    polled.indices.push(index);
                }
                _ => {
                    entry.revents = INVALID;
                    polled.invalid += 1;
                }
            }
        }
        Ok(polled)
    }

    /// Fills `revents` in; how many entries have something to tell.
    fn look(entries: &mut [PollFd], files: &[Arc<OpenFile>], indices: &[usize]) -> usize {
        let always = Events::ERR | Events::HUP;
        let mut found = 0;
        for (file, index) in files.iter().zip(indices) {
            let entry = &mut entries[*index];
            let wanted = Events::from_bits_retain(u32::from(entry.events)) | always;
            let ready = file.poll().bits() & wanted.bits();
            entry.revents = u16::try_from(ready).unwrap_or(0);
            found += usize::from(ready != 0);
        }
        found
    }

    fn look_once(&mut self) -> Option<usize> {
        let found = self.invalid + Self::look(&mut self.entries, &self.files, &self.indices);
        (found > 0).then_some(found)
    }

    async fn wait(&mut self, cx: &Context<'_>, patience: Patience) -> Result<usize> {
        let Self { entries, files, indices, invalid, .. } = self;
        let found = wait(cx, files, patience, || {
            let found = *invalid + Self::look(entries, files, indices);
            (found > 0).then_some(found)
        });
        match found.await {
            Ok(found) => Ok(found.unwrap_or(0)),
            Err(_) => Err(Errno::ERESTARTNOHAND.because("a signal came")),
        }
    }

    /// Tells the program; only `revents` is written, other threads may use the rest.
    fn write(&self, cx: &Context<'_>, found: usize) -> Result<u64> {
        let mut address = self.address + REVENTS;
        for entry in &self.entries {
            cx.write(address, &entry.revents)?;
            address += ENTRY;
        }
        Ok(found as u64)
    }
}

/// poll(2), when nothing must be waited for: entries, their number, milliseconds.
pub(super) fn poll_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let mut polled = match Polled::read(cx, args.address(0), args.uint(1)) {
        Ok(polled) => polled,
        Err(error) => return Some(Err(error)),
    };
    match polled.look_once() {
        Some(found) => Some(polled.write(cx, found)),
        None if args.int(2) == 0 => Some(polled.write(cx, 0)),
        None => None,
    }
}

/// poll(2): entries, their number, milliseconds.
pub(super) async fn poll(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let patience = Patience::from_milliseconds(args.int(2));
    let mut polled = Polled::read(cx, args.address(0), args.uint(1))?;
    let found = polled.wait(cx, patience).await?;
    polled.write(cx, found)
}

/// ppoll(2): entries, their number, timeout or null, signal mask or null, its size.
pub(super) async fn ppoll(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let patience = Patience::lasting(spec::read_optional(cx, args.address(2))?);
    mask::begin(cx, args.address(3), args.size(4))?;
    let result = ppoll_masked(cx, args, patience).await;
    if let Some(left) = patience.left() {
        // As Linux, which forgives a timeout that can't be written.
        let _ = spec::write(cx, args.address(2), left);
    }
    mask::end(cx, result)
}

async fn ppoll_masked(cx: &Context<'_>, args: &Arguments, patience: Patience) -> Result<u64> {
    let mut polled = Polled::read(cx, args.address(0), args.uint(1))?;
    let found = polled.wait(cx, patience).await?;
    polled.write(cx, found)
}
