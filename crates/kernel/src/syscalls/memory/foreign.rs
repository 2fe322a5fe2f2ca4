//! Reading and writing the memory of a process by its number.
//!
//! Source: `process_vm_readv(2)`, and what Linux does where it is silent: a transfer ends at the first
//! page of the other side that can't be had, and counts the pages before it.

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::user::{Sink, Source};

use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX, UserBuffers, read_bytes, write_bytes};
use crate::memory::{PAGE_BYTES, Prot, Space};

/// The most buffers of a vector.
const BUFFERS: usize = 1024;

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// To the caller.
    Read,
    /// From the caller.
    Write,
}

/// `process_vm_readv(2)`, `process_vm_writev(2)`: process, its own vector and how many, the other's
/// vector and how many, flags.
pub(super) fn transfer(cx: &Context<'_>, args: &Arguments, way: Way) -> Result<u64> {
    if args.raw(5) != 0 {
        return Err(Errno::EINVAL.because("process_vm_readv has no flags"));
    }
    // As in Linux, only the lower half of this number counts.
    let local = cx.read_iovecs(args.address(1), args.uint(2) as usize)?;
    if local.iter().all(|range| range.len == 0) {
        return Ok(0);
    }
    let remote = remote_vector(cx, args.address(3), args.size(4))?;
    if remote.iter().all(|[_, len]| *len == 0) {
        return Ok(0);
    }
    let pid = u32::try_from(args.int(0)).ok();
    let thread = pid.and_then(|pid| cx.kernel.registry.thread(pid));
    let thread = thread.ok_or(Errno::ESRCH.because("no thread has this number"))?;
    let mut local = cx.source(&local);
    let mut done = 0;
    for [address, len] in remote {
        let wanted = len.min(local.room() as u64);
        let moved = one(&thread.process.memory, address, wanted, &mut local, way);
        done += moved;
        if moved < wanted {
            break;
        }
    }
    match done {
        0 => Err(Errno::EFAULT.because("nothing could be transferred")),
        done => Ok(done),
    }
}

/// The other side's vector: its addresses mean nothing yet.
fn remote_vector(cx: &Context<'_>, address: u64, count: usize) -> Result<Vec<[u64; 2]>> {
    if count > BUFFERS {
        return Err(Errno::EINVAL.because("more than 1024 buffers"));
    }
    let raw: Vec<[u64; 2]> = cx.read_vec(address, count)?;
    if raw.iter().any(|[_, len]| len.cast_signed() < 0) {
        return Err(Errno::EINVAL.because("a buffer is longer than SSIZE_MAX"));
    }
    Ok(raw)
}

/// Transfers one buffer of the other side, page by page; gives the bytes that went.
fn one(
    space: &alloc::sync::Arc<Space>,
    address: u64,
    len: u64,
    local: &mut UserBuffers<'_>,
    way: Way,
) -> u64 {
    let mut page = [0; PAGE_BYTES];
    let mut done = 0;
    while done < len {
        let Some(at) = address.checked_add(done) else { break };
        let to_page_end = PAGE_BYTES - usize::try_from(at).unwrap_or(0) % PAGE_BYTES;
        let most = usize::try_from(len - done).unwrap_or(TRANSFER_MAX).min(to_page_end);
        let part = &mut page[..most];
        let moved = match way {
            Way::Read => {
                if !space.grants(at, Prot::READ) || read_bytes(space, at, part).is_err() {
                    break;
                }
                local.put(part)
            }
            Way::Write => {
                if !space.grants(at, Prot::WRITE) {
                    break;
                }
                let taken = local.take(part);
                if write_bytes(space, at, &part[..taken]).is_err() {
                    break;
                }
                taken
            }
        };
        done += moved as u64;
        if moved < most {
            break;
        }
    }
    done
}

/// `process_mrelease(2)`: process, flags. It is for processes that are being ended, whose descriptors
/// nobody holds here.
pub(super) fn release(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(1) != 0 {
        return Err(Errno::EINVAL.because("process_mrelease has no flags"));
    }
    super::advice::process_of(cx, args.fd(0))?;
    Err(Errno::EINVAL.because("the process is not being ended"))
}
