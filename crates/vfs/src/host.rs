//! The host's files as a lower layer: untrusted, and checked.
//!
//! A root is a handle that the runner holds; paths below it cross the wall without `.` and `..`, and
//! symbolic links are read and resolved inside. Of what comes back, lengths, types, names and counts
//! are checked ([`wire`]); contents are whatever the host says, as for any file of its.

mod exchange;
mod file;
mod wire;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use abi::io::{Code, open};

use crate::extended::{Existing, SIZE_MAX};
use crate::object::{Stat, Waiting};
use crate::tree::{Listed, Lower, LowerFile, Origin};
use exchange::{Exchange, Handle};
use file::HostFile;

/// Magic number that statfs(2) shows.
pub const MAGIC: u64 = 0x6164_7974;
/// The most names of a directory that the host may list.
const NAMES_MAX: usize = 1 << 20;
/// Bytes of a list that cross at once.
const LIST: usize = 64 << 10;
/// Of a rename: the two names change places.
const EXCHANGE: u32 = 2;
/// Longest text of a symbolic link.
const LINK_MAX: usize = 4095;

/// The host's files below a root.
pub fn lower(root: u64, read_only: bool) -> Arc<dyn Lower> {
    Arc::new(Host { root, read_only })
}

/// A root of the host.
pub(crate) struct Host {
    root: u64,
    read_only: bool,
}

impl Host {
    fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(Errno::EROFS.because("the host directory was given read-only"));
        }
        Ok(())
    }

    /// Opens what stands at `path`.
    async fn open(&self, path: &[u8], flags: u32, mode: u32) -> Result<Handle> {
        let mut exchange = Exchange::new(Code::Open, self.root, path, 0)?;
        exchange.operation.flags = flags;
        exchange.operation.mode = mode;
        let (result, _) = exchange.carry_out().await;
        Handle::admit(result)
    }

    /// Opens what stands at `path`, and has it flushed.
    async fn sync(&self, code: Code, path: &[u8], flags: u32) -> Result<()> {
        let handle = self.open(path, flags, 0).await?;
        let exchange = Exchange::new(code, handle.raw(), b"", 0)?;
        exchange.carry_out().await.0.nothing()
    }

    async fn stat_of(&self, handle: &Handle) -> Result<Stat> {
        Self::stat_below(handle.raw(), b"").await
    }

    async fn stat_below(directory: u64, path: &[u8]) -> Result<Stat> {
        let exchange = Exchange::new(Code::Stat, directory, path, wire::STAT_LEN)?;
        let (result, answer) = exchange.carry_out().await;
        result.nothing()?;
        wire::stat(&answer.bytes(wire::STAT_LEN))
    }

    async fn list_all(&self, path: &[u8]) -> Result<Vec<Listed>> {
        let directory = self.open(path, open::READ | open::DIRECTORY, 0).await?;
        let mut listed = Vec::new();
        let mut position = 0;
        loop {
            let mut exchange = Exchange::new(Code::List, directory.raw(), b"", LIST)?;
            exchange.operation.offset = position;
            let (result, answer) = exchange.carry_out().await;
            let bytes = answer.bytes(result.count_at_most(LIST)?);
            if bytes.is_empty() {
                return Ok(listed);
            }
            position = wire::entries(&bytes, &mut listed)?;
            if listed.len() > NAMES_MAX {
                return Err(Errno::EIO.because("the host lists a directory without end"));
            }
        }
    }

    /// An operation with a path and no answer but success.
    async fn change(&self, code: Code, path: &[u8], flags: u32, mode: u32) -> Result<()> {
        self.check_writable()?;
        let mut exchange = Exchange::new(code, self.root, path, 0)?;
        exchange.operation.flags = flags;
        exchange.operation.mode = mode;
        exchange.carry_out().await.0.nothing()
    }

    /// An operation with a path and something behind it.
    async fn change_with(&self, code: Code, path: &[u8], behind: &[u8], flags: u32) -> Result<()> {
        self.check_writable()?;
        let mut exchange = Exchange::new(code, self.root, path, behind.len())?;
        exchange.put(behind);
        exchange.operation.flags = flags;
        // Of the operations with two paths, the second one's directory.
        exchange.operation.offset = self.root;
        exchange.carry_out().await.0.nothing()
    }
}

impl Lower for Host {
    fn stat<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Stat>> {
        Box::pin(Self::stat_below(self.root, path))
    }

    fn list<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<Listed>>> {
        Box::pin(self.list_all(path))
    }

    fn read_link<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let exchange = Exchange::new(Code::ReadLink, self.root, path, LINK_MAX)?;
            let (result, answer) = exchange.carry_out().await;
            wire::link(answer.bytes(result.count_at_most(LINK_MAX)?))
        })
    }

    fn sync_directory<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<()>> {
        Box::pin(self.sync(Code::Sync, path, open::READ | open::DIRECTORY))
    }

    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        Box::pin(self.sync(Code::SyncAll, b"", open::READ))
    }

    fn file(self: Arc<Self>, origin: Arc<Origin>) -> Arc<dyn LowerFile> {
        Arc::new(HostFile::new(self, origin))
    }

    fn create<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable()?;
            let flags = open::WRITE | open::CREATE | open::EXCLUSIVE;
            self.open(path, flags, permissions).await.map(|_| ())
        })
    }

    fn make_directory<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        Box::pin(self.change(Code::MakeDirectory, path, 0, permissions))
    }

    fn make_fifo<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        Box::pin(self.change(Code::MakeFifo, path, 0, permissions))
    }

    fn make_link<'a>(&'a self, path: &'a [u8], target: &'a [u8]) -> Waiting<'a, Result<()>> {
        Box::pin(self.change_with(Code::SymbolicLink, path, target, 0))
    }

    fn link<'a>(&'a self, from: &'a [u8], to: &'a [u8]) -> Waiting<'a, Result<()>> {
        Box::pin(self.change_with(Code::Link, from, to, 0))
    }

    fn remove<'a>(&'a self, path: &'a [u8], directory: bool) -> Waiting<'a, Result<()>> {
        Box::pin(self.change(Code::Remove, path, directory.into(), 0))
    }

    fn rename<'a>(
        &'a self,
        from: &'a [u8],
        to: &'a [u8],
        exchange: bool,
    ) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            let flags = if exchange { EXCHANGE } else { 0 };
            self.change_with(Code::Rename, from, to, flags).await
        })
    }

    fn get_attribute<'a>(&'a self, path: &'a [u8], name: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let mut exchange = Exchange::new(Code::GetAttribute, self.root, path, SIZE_MAX)?;
            exchange.put(name);
            exchange.operation.offset = name.len() as u64;
            let (result, answer) = exchange.carry_out().await;
            Ok(answer.bytes(result.count_at_most(SIZE_MAX)?))
        })
    }

    fn set_attribute<'a>(
        &'a self,
        path: &'a [u8],
        name: &'a [u8],
        value: &'a [u8],
        existing: Existing,
    ) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable()?;
            let behind = [name, value].concat();
            let mut exchange = Exchange::new(Code::SetAttribute, self.root, path, behind.len())?;
            exchange.put(&behind);
            exchange.operation.offset = name.len() as u64;
            // XATTR_CREATE, XATTR_REPLACE.
            exchange.operation.flags = match existing {
                Existing::Either => 0,
                Existing::Refuse => 1,
                Existing::Require => 2,
            };
            exchange.carry_out().await.0.nothing()
        })
    }

    fn list_attributes<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        Box::pin(async move {
            let exchange = Exchange::new(Code::ListAttributes, self.root, path, SIZE_MAX)?;
            let (result, answer) = exchange.carry_out().await;
            wire::names(&answer.bytes(result.count_at_most(SIZE_MAX)?))
        })
    }

    fn remove_attribute<'a>(&'a self, path: &'a [u8], name: &'a [u8]) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable()?;
            let mut exchange = Exchange::new(Code::RemoveAttribute, self.root, path, name.len())?;
            exchange.put(name);
            exchange.operation.offset = name.len() as u64;
            exchange.carry_out().await.0.nothing()
        })
    }

    fn set_owner<'a>(
        &'a self,
        path: &'a [u8],
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            self.check_writable()?;
            let [uid, gid] = [uid, gid].map(|id| u64::from(id.unwrap_or(u32::MAX)));
            let mut exchange = Exchange::new(Code::SetOwner, self.root, path, 0)?;
            exchange.operation.offset = uid | gid << 32;
            exchange.carry_out().await.0.nothing()
        })
    }

    fn set_permissions<'a>(&'a self, path: &'a [u8], mode: u32) -> Waiting<'a, Result<()>> {
        Box::pin(self.change(Code::SetMode, path, 0, mode))
    }

    fn set_times<'a>(
        &'a self,
        path: &'a [u8],
        accessed: Option<i64>,
        modified: Option<i64>,
    ) -> Waiting<'a, Result<()>> {
        Box::pin(async move {
            let words = [accessed, modified].map(|time| time.unwrap_or(i64::MIN).to_le_bytes());
            self.change_with(Code::SetTimes, path, words.as_flattened(), 0).await
        })
    }
}
