//! The contents of a host file.

use alloc::boxed::Box;
use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use abi::io::{Code, open};
use platform::arena::Extent;
use platform::io::Bounce;
use platform::sync::Mutex;
use storage::pages::{Backing, Content};

use super::Host;
use super::exchange::{Exchange, Handle};
use crate::object::Waiting;
use crate::tree::{LowerFile, Origin};

/// The least that is read at once when buffers are scarce.
const LEAST: usize = 4096;

/// How often a file that is not where its name was is looked for.
const TRIES: usize = 20;

/// A host file, opened when its contents are first needed.
pub(super) struct HostFile {
    host: Arc<Host>,
    origin: Arc<Origin>,
    readable: Mutex<Option<Arc<Handle>>>,
    writable: Mutex<Option<Arc<Handle>>>,
}

impl HostFile {
    pub(super) fn new(host: Arc<Host>, origin: Arc<Origin>) -> Self {
        Self { host, origin, readable: Mutex::new(None), writable: Mutex::new(None) }
    }

    async fn handle(&self, flags: u32) -> Result<Arc<Handle>> {
        let kept = if flags & open::WRITE != 0 { &self.writable } else { &self.readable };
        let known = kept.lock().clone();
        if let Some(handle) = known {
            return Ok(handle);
        }
        let opened = if self.origin.policy().through {
            self.open_itself(flags).await?
        } else {
            self.host.open(&self.origin.path(), flags, 0).await?
        };
        let handle = Arc::new(opened);
        *kept.lock() = Some(Arc::clone(&handle));
        Ok(handle)
    }

    /// Opens the file where names may change meanwhile: by the path of the moment, until it is this file.
    async fn open_itself(&self, flags: u32) -> Result<Handle> {
        let mut failure = Errno::ESTALE.because("the host has another file in its place");
        for _ in 0..TRIES {
            match self.host.open(&self.origin.path(), flags, 0).await {
                Ok(handle) => {
                    let stat = self.host.stat_of(&handle).await?;
                    if (stat.device, stat.inode) == self.origin.identity {
                        return Ok(handle);
                    }
                }
                Err(error) if error.errno == Errno::ENOENT => failure = error,
                Err(error) => return Err(error),
            }
            // Whoever changes its name on the host has still to say so here.
            executor::yield_now().await;
        }
        Err(failure)
    }

    async fn read_some(&self, offset: u64, wanted: usize) -> Result<Content> {
        let handle = self.handle(open::READ).await?;
        let mut len = wanted.min(Bounce::MAX);
        let mut exchange = loop {
            match Exchange::new(Code::Read, handle.raw(), b"", len) {
                Ok(exchange) => break exchange,
                Err(_) if len > LEAST => len = (len / 2).max(LEAST),
                Err(error) => return Err(error),
            }
        };
        exchange.operation.offset = offset;
        let (result, answer) = exchange.carry_out().await;
        let got = result.count_at_most(len)?;
        Ok(Content::Bounce(answer.bounce, got))
    }

    async fn write_all(&self, offset: u64, extent: &Extent, at: usize, len: usize) -> Result<()> {
        self.host.check_writable()?;
        let handle = self.handle(open::WRITE).await?;
        let mut done = 0;
        while done < len {
            let part = (len - done).min(Bounce::MAX);
            let mut exchange = Exchange::new(Code::Write, handle.raw(), b"", part)?;
            exchange.buffer().write_frames(0, extent, at + done, part);
            exchange.operation.offset = offset + done as u64;
            let written = exchange.carry_out().await.0.count_at_most(part)?;
            if written == 0 {
                return Err(Errno::EIO.because("the host takes no more bytes"));
            }
            done += written;
        }
        Ok(())
    }

    async fn on_handle(&self, code: Code, offset: u64) -> Result<()> {
        self.host.check_writable()?;
        let handle = self.handle(open::WRITE).await?;
        let mut exchange = Exchange::new(code, handle.raw(), b"", 0)?;
        exchange.operation.offset = offset;
        exchange.carry_out().await.0.nothing()
    }
}

impl Backing for HostFile {
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>> {
        Box::pin(self.read_some(offset, len))
    }

    fn writable(&self) -> bool {
        !self.host.read_only
    }

    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        Box::pin(self.write_all(offset, extent, at, len))
    }
}

impl LowerFile for HostFile {
    fn truncate(&self, len: u64) -> Waiting<'_, Result<()>> {
        Box::pin(self.on_handle(Code::Truncate, len))
    }

    fn sync(&self) -> Waiting<'_, Result<()>> {
        Box::pin(self.on_handle(Code::Sync, 0))
    }

    fn hold(&self) -> Waiting<'_, Result<()>> {
        Box::pin(async move {
            self.handle(open::READ).await?;
            if !self.host.read_only {
                // Without permission to write there is nothing to be carried later either.
                let _ = self.handle(open::WRITE).await;
            }
            Ok(())
        })
    }

    fn idle(&self) {
        let old = (self.readable.lock().take(), self.writable.lock().take());
        drop(old);
    }
}
