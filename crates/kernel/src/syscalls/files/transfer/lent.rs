//! Transfers on an open file instead of a descriptor: what asynchronous I/O asks for.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::user::UserRange;
use vfs::object::OpenFile;

use super::{Buffers, Flags, Request, Transfer, Way, offset, try_at_once};
use crate::context::Context;

/// One transfer, as a ring's entry describes it.
#[derive(Clone, Copy, Debug)]
pub(in crate::syscalls) struct Asked {
    /// From memory to the file.
    pub(in crate::syscalls) writes: bool,
    /// An offset; -1: where the description stands. Without meaning for what has no positions.
    pub(in crate::syscalls) at: i64,
    /// Bits of preadv2(2).
    pub(in crate::syscalls) flags: u32,
    /// The buffer, or the array of buffers.
    pub(in crate::syscalls) address: u64,
    /// Its bytes, or how many buffers.
    pub(in crate::syscalls) len: usize,
    /// It is an array.
    pub(in crate::syscalls) many: bool,
}

fn request(file: &OpenFile, asked: &Asked) -> Result<Request> {
    let flags = Flags::from_bits(asked.flags)
        .ok_or(Errno::EOPNOTSUPP.because("unknown flags of the transfer"))?;
    let positions = file.object().seekable() || file.object().ignores_seeks();
    let at = if !positions || asked.at == -1 { None } else { Some(offset(asked.at)?) };
    let buffers = if asked.many {
        Buffers::Many(asked.address, asked.len)
    } else {
        Buffers::One(UserRange { start: asked.address, len: asked.len })
    };
    let way = if asked.writes { Way::Out } else { Way::In };
    Ok(Request { fd: -1, way, at, flags, buffers })
}

/// What need not wait; `None`: it must.
pub(in crate::syscalls) fn lent_at_once(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    asked: &Asked,
) -> Option<Result<u64>> {
    match request(file, asked) {
        Ok(request) => try_at_once(cx, file, &request),
        Err(error) => Some(Err(error)),
    }
}

/// The same, waiting.
pub(in crate::syscalls) async fn lent(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    asked: &Asked,
) -> Result<u64> {
    let request = request(file, asked)?;
    let mut transfer = Transfer::new(cx, file, &request)?;
    let outcome = transfer.run(cx).await;
    transfer.finish(cx, outcome)
}
