//! `/proc/PID/mem`: a process's memory as a file, its offsets the addresses.
//!
//! Source: proc(5).

use alloc::sync::{Arc, Weak};
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use platform::arena;
use platform::user::{Sink, Source};
use vfs::node::Node;
use vfs::object::{Attempt, Object, OpenFile, Stat};

use crate::memory::Space;

/// The file, open. It keeps no memory alive: a process that has ended has none.
pub(super) struct OpenMemory<N> {
    node: Arc<N>,
    space: Weak<Space>,
}

impl<N: Node> OpenMemory<N> {
    /// The memory of `space`, opened through `node`.
    pub(super) fn new(node: Arc<N>, space: &Arc<Space>) -> Self {
        Self { node, space: Arc::downgrade(space) }
    }
}

/// What a transfer tells that stopped after `done` bytes although more were wanted.
fn stopped(done: usize) -> Attempt<usize> {
    if done == 0 {
        return Err(Errno::EIO.because("nothing is mapped there, or it can't be changed").into());
    }
    Ok(done)
}

impl<N: Node> Object for OpenMemory<N> {
    fn read(&self, _open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let Some(space) = self.space.upgrade() else { return Ok(0) };
        let mut page = [0; arena::PAGE];
        let mut done = 0;
        while sink.room() > 0 {
            let wanted = sink.room().min(page.len());
            let there = space.inspect(offset.wrapping_add(done as u64), &mut page[..wanted]);
            let put = sink.put(&page[..there]);
            done += put;
            if put < there {
                return Ok(done); // the sink faulted
            }
            if there < wanted {
                return stopped(done);
            }
        }
        Ok(done)
    }

    fn write(
        &self,
        _open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        let offset = offset.ok_or(Errno::EINVAL.because("a process's memory has no end"))?;
        let Some(space) = self.space.upgrade() else { return Ok((0, offset)) };
        let mut page = [0; arena::PAGE];
        let mut done = 0;
        while source.left() > 0 {
            let wanted = source.left().min(page.len());
            let taken = source.take(&mut page[..wanted]);
            let written = space.alter(offset.wrapping_add(done as u64), &page[..taken]);
            done += written;
            if written < taken {
                stopped(done)?;
                break;
            }
            if taken < wanted {
                break; // the source faulted
            }
        }
        Ok((done, offset.wrapping_add(done as u64)))
    }

    fn appends(&self) -> bool {
        false
    }

    fn seekable(&self) -> bool {
        true
    }

    fn has_end(&self) -> bool {
        false
    }

    fn seek_data(&self, _offset: u64, _hole: bool) -> Result<u64> {
        Err(Errno::EINVAL.because("a process's memory has no map of holes"))
    }

    fn stat(&self) -> Result<Stat> {
        self.node.stat()
    }

    fn truncate(&self, _len: u64) -> Attempt<()> {
        Ok(())
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(&*self.node)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
