//! The host's files as a lower layer (stopgap, read-only).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use abi::io::{Code, Entry, Operation, open};
use platform::io::{self, Bounce};
use platform::sync::Mutex;
use storage::pages::{Backing, Content};

use crate::node::Kind;
use crate::object::{Stat, Waiting};
use crate::tree::{Listed, Lower, LowerFile, Origin};

/// Magic number that statfs(2) shows.
pub const MAGIC: u64 = 0x6164_7974;

/// The host's files below a root's handle.
pub fn lower(handle: u64, _read_only: bool) -> Arc<dyn Lower> {
    Arc::new(Host { handle })
}

struct Host {
    handle: u64,
}

fn with_path(code: Code, handle: u64, path: &[u8], room: usize) -> Result<(Operation, Bounce)> {
    let mut bounce =
        Bounce::with_capacity(path.len() + room).ok_or(Errno::ENOMEM.because("no bounce buffer"))?;
    bounce.write(0, path);
    let mut operation = io::operation(code, handle, &bounce, path.len() + room);
    operation.path_len = u32::try_from(path.len()).map_err(|_| Errno::ENAMETOOLONG)?;
    Ok((operation, bounce))
}

impl Host {
    async fn open(&self, path: &[u8], flags: u32) -> Result<u64> {
        let (mut operation, bounce) = with_path(Code::Open, self.handle, path, 8)?;
        operation.flags = flags;
        let (result, _) = io::submit(operation, bounce).await;
        result.count_at_most(usize::MAX >> 1).map(|handle| handle as u64)
    }
}

async fn close(handle: u64) {
    if let Some(bounce) = Bounce::with_capacity(1) {
        let operation = io::operation(Code::Close, handle, &bounce, 1);
        let _ = io::submit(operation, bounce).await;
    }
}

impl Lower for Host {
    fn stat<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Stat>> {
        Box::pin(async move {
            const LEN: usize = size_of::<abi::io::Stat>();
            let (operation, bounce) = with_path(Code::Stat, self.handle, path, LEN)?;
            let (result, bounce) = io::submit(operation, bounce).await;
            result.nothing()?;
            let mut raw = [0; LEN];
            bounce.read(path.len(), &mut raw);
            let word = |at: usize| u32::from_le_bytes(raw[at..at + 4].try_into().unwrap_or([0; 4]));
            let long = |at: usize| u64::from_le_bytes(raw[at..at + 8].try_into().unwrap_or([0; 8]));
            Ok(Stat {
                mode: word(0),
                links: word(4),
                uid: word(8),
                gid: word(12),
                inode: long(16),
                device: long(24),
                rdev: long(32),
                size: long(40),
                blocks: long(48),
                accessed: long(56).cast_signed(),
                modified: long(64).cast_signed(),
                changed: long(72).cast_signed(),
                block_size: 4096,
                born: 0,
            })
        })
    }

    fn list<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<Listed>>> {
        Box::pin(async move {
            let handle = self.open(path, open::READ | open::DIRECTORY).await?;
            let mut listed = Vec::new();
            let mut at = 0;
            loop {
                let bounce = Bounce::with_capacity(65_536).ok_or(Errno::ENOMEM)?;
                let mut operation = io::operation(Code::List, handle, &bounce, 65_536);
                operation.offset = at;
                let (result, bounce) = io::submit(operation, bounce).await;
                let len = result.count_at_most(65_536)?;
                if len == 0 {
                    break;
                }
                let mut bytes = alloc::vec![0; len];
                bounce.read(0, &mut bytes);
                let mut rest = bytes.as_slice();
                while let Some((head, body)) = rest.split_at_checked(size_of::<Entry>()) {
                    let long = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or([0; 8]));
                    let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap_or([0; 4]));
                    at = long(0);
                    let len = word(20) as usize;
                    let Some(name) = body.get(..len) else { break };
                    rest = body.get(len.next_multiple_of(8)..).unwrap_or_default();
                    if name == b"." || name == b".." || name.is_empty() {
                        continue;
                    }
                    let Some(kind) = Kind::of_mode(word(16) << 12) else { continue };
                    listed.push(Listed { name: name.to_vec(), inode: long(8), kind });
                }
            }
            close(handle).await;
            Ok(listed)
        })
    }

    fn read_link<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let (operation, bounce) = with_path(Code::ReadLink, self.handle, path, 4096)?;
            let (result, bounce) = io::submit(operation, bounce).await;
            let mut text = alloc::vec![0; result.count_at_most(4096)?];
            bounce.read(path.len(), &mut text);
            Ok(text)
        })
    }

    fn file(self: Arc<Self>, origin: Arc<Origin>) -> Arc<dyn LowerFile> {
        Arc::new(HostFile { host: self, origin, handle: Mutex::new(None) })
    }
}

struct HostFile {
    host: Arc<Host>,
    origin: Arc<Origin>,
    handle: Mutex<Option<u64>>,
}

impl Backing for HostFile {
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>> {
        Box::pin(async move {
            let known = *self.handle.lock();
            let handle = match known {
                Some(handle) => handle,
                None => {
                    let handle = self.host.open(&self.origin.path(), open::READ).await?;
                    *self.handle.lock() = Some(handle);
                    handle
                }
            };
            let len = len.min(Bounce::MAX);
            let bounce = Bounce::with_capacity(len).ok_or(Errno::ENOMEM)?;
            let mut operation = io::operation(Code::Read, handle, &bounce, len);
            operation.offset = offset;
            let (result, bounce) = io::submit(operation, bounce).await;
            Ok(Content::Bounce(bounce, result.count_at_most(len)?))
        })
    }
}

impl LowerFile for HostFile {}
