//! What a tree may stand on: the layer below, which belongs to somebody else.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;
use storage::pages::Backing;

use crate::extended::Existing;
use crate::node::Kind;
use crate::object::{Stat, Waiting};

/// A name that a lower directory has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The name: not empty, no '/', no NUL, neither `.` nor `..`.
    pub name: Vec<u8>,
    /// Inode number.
    pub inode: u64,
    /// Its type.
    pub kind: Kind,
}

/// A layer below a tree. Paths are relative to its root, without `.`, `..` and empty components; the
/// empty path is the root. What it answers was checked by it: lengths, names, types.
///
/// The methods that change something refuse with EROFS unless overridden.
pub trait Lower: Send + Sync {
    /// What `path` is, a symbolic link not followed.
    fn stat<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Stat>>;

    /// The names in directory `path`.
    fn list<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<Listed>>>;

    /// The text of symbolic link `path`.
    fn read_link<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>>;

    /// Flushes the entries of directory `path` to the device.
    fn sync_directory<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<()>> {
        let _ = path;
        Box::pin(core::future::ready(Ok(())))
    }

    /// Flushes everything to the device.
    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        Box::pin(core::future::ready(Ok(())))
    }

    /// The contents of the file at `origin`, opened when they are first needed.
    fn file(self: Arc<Self>, origin: Arc<Origin>) -> Arc<dyn LowerFile>;

    /// Makes an empty file.
    fn create<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        let _ = (path, permissions);
        refused()
    }

    /// Makes a directory.
    fn make_directory<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        let _ = (path, permissions);
        refused()
    }

    /// Makes a named pipe. What is written into it stays inside.
    fn make_fifo<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        let _ = (path, permissions);
        refused()
    }

    /// Makes a symbolic link.
    fn make_link<'a>(&'a self, path: &'a [u8], target: &'a [u8]) -> Waiting<'a, Result<()>> {
        let _ = (path, target);
        refused()
    }

    /// Gives a file one more name.
    fn link<'a>(&'a self, from: &'a [u8], to: &'a [u8]) -> Waiting<'a, Result<()>> {
        let _ = (from, to);
        refused()
    }

    /// Removes a name.
    fn remove<'a>(&'a self, path: &'a [u8], directory: bool) -> Waiting<'a, Result<()>> {
        let _ = (path, directory);
        refused()
    }

    /// Moves a name, replacing what stands there, or has the two change places.
    fn rename<'a>(
        &'a self,
        from: &'a [u8],
        to: &'a [u8],
        exchange: bool,
    ) -> Waiting<'a, Result<()>> {
        let _ = (from, to, exchange);
        refused()
    }

    /// The value of extended attribute `name`.
    fn get_attribute<'a>(&'a self, path: &'a [u8], name: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        let _ = (path, name);
        Box::pin(core::future::ready(Err(Errno::ENODATA.into())))
    }

    /// Sets an extended attribute.
    fn set_attribute<'a>(
        &'a self,
        path: &'a [u8],
        name: &'a [u8],
        value: &'a [u8],
        existing: Existing,
    ) -> Waiting<'a, Result<()>> {
        let _ = (path, name, value, existing);
        refused()
    }

    /// The names of extended attributes, each with its NUL.
    fn list_attributes<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        let _ = path;
        Box::pin(core::future::ready(Ok(Vec::new())))
    }

    /// Takes an extended attribute away.
    fn remove_attribute<'a>(&'a self, path: &'a [u8], name: &'a [u8]) -> Waiting<'a, Result<()>> {
        let _ = (path, name);
        refused()
    }

    /// Sets owner and group (`None`: leave).
    fn set_owner<'a>(
        &'a self,
        path: &'a [u8],
        uid: Option<u32>,
        gid: Option<u32>,
    ) -> Waiting<'a, Result<()>> {
        let _ = (path, uid, gid);
        refused()
    }

    /// Sets permissions.
    fn set_permissions<'a>(&'a self, path: &'a [u8], mode: u32) -> Waiting<'a, Result<()>> {
        let _ = (path, mode);
        refused()
    }

    /// Sets times of access and modification, ns since 1970 (`None`: leave).
    fn set_times<'a>(
        &'a self,
        path: &'a [u8],
        accessed: Option<i64>,
        modified: Option<i64>,
    ) -> Waiting<'a, Result<()>> {
        let _ = (path, accessed, modified);
        refused()
    }
}

/// The contents of a lower file.
pub trait LowerFile: Backing {
    /// Sets the length.
    fn truncate(&self, len: u64) -> Waiting<'_, Result<()>> {
        let _ = len;
        refused()
    }

    /// Flushes to the device.
    fn sync(&self) -> Waiting<'_, Result<()>> {
        Box::pin(core::future::ready(Ok(())))
    }

    /// Opens it now, because its name goes while it is still in use.
    fn hold(&self) -> Waiting<'_, Result<()>> {
        Box::pin(core::future::ready(Ok(())))
    }

    /// Nobody has the file open: what was opened for it may be closed, and is opened again on demand.
    fn idle(&self) {}
}

fn refused<'a, T: Send + 'a>() -> Waiting<'a, Result<T>> {
    Box::pin(core::future::ready(Err(Errno::EROFS.because("the layer below can't be changed"))))
}

/// How a tree treats the layer below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Changes are carried through; otherwise they stay in memory and the layer is never changed.
    pub through: bool,
    /// The layer may change meanwhile: look again at each lookup.
    pub revalidate: bool,
}

/// A lower layer and how it is treated.
pub(crate) struct Source {
    pub(crate) lower: Arc<dyn Lower>,
    pub(crate) policy: Policy,
}

/// Where in a lower layer an inode comes from. Follows renames that were carried through.
pub struct Origin {
    pub(crate) source: Arc<Source>,
    link: Mutex<Link>,
    /// Device and inode number there.
    pub(crate) identity: (u64, u64),
}

struct Link {
    parent: Option<Arc<Origin>>,
    name: Arc<[u8]>,
}

impl Origin {
    /// The root of a lower layer.
    pub(crate) fn root(source: Source, stat: &Stat) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::new(source),
            link: Mutex::new(Link { parent: None, name: Arc::from(&b""[..]) }),
            identity: (stat.device, stat.inode),
        })
    }

    /// What stands under `name` here.
    pub(crate) fn child(self: &Arc<Self>, name: Arc<[u8]>, stat: &Stat) -> Arc<Self> {
        Arc::new(Self {
            source: Arc::clone(&self.source),
            link: Mutex::new(Link { parent: Some(Arc::clone(self)), name }),
            identity: (stat.device, stat.inode),
        })
    }

    /// It was moved, there as well as here.
    pub(crate) fn move_to(&self, parent: &Arc<Self>, name: Arc<[u8]>) {
        let old = core::mem::replace(
            &mut *self.link.lock(),
            Link { parent: Some(Arc::clone(parent)), name },
        );
        drop(old);
    }

    /// How the tree treats the layer.
    pub(crate) fn policy(&self) -> Policy {
        self.source.policy
    }

    /// The layer.
    pub(crate) fn lower(&self) -> &Arc<dyn Lower> {
        &self.source.lower
    }

    /// Its path in the layer.
    pub fn path(&self) -> Vec<u8> {
        let mut names = Vec::new();
        let (mut at, name) = self.up();
        names.push(name);
        while let Some(origin) = at {
            let (next, name) = origin.up();
            names.push(name);
            at = next;
        }
        // The root's name is empty.
        names.pop();
        let mut path = Vec::new();
        for name in names.iter().rev() {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
        }
        path
    }

    /// The path of `name` in this directory.
    pub(crate) fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = self.path();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    fn up(&self) -> (Option<Arc<Self>>, Arc<[u8]>) {
        let link = self.link.lock();
        (link.parent.clone(), Arc::clone(&link.name))
    }
}
