//! The file system in memory, over nothing or over layers that belong to somebody else.
//!
//! Without a lower layer it is tmpfs. Over one, names and contents are brought in when they are first
//! needed and remembered; by [`Policy`] changes stay in memory, so that the layer below is never
//! touched, or are carried through. A page of a file that was written in memory is never read from
//! below again, so nothing is copied up.

pub(crate) mod attributes;
mod change;
mod changes;
mod children;
mod directory;
mod file;
mod lower;
mod special;
mod symlink;
#[cfg(test)]
pub(crate) mod tests;
mod turns;
mod unkept;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};

use abi::Errno;
use abi::errno::Result;
use hashbrown::HashMap;
use platform::sync::Mutex;

pub use file::File;
pub use lower::{Listed, Lower, LowerFile, Origin, Policy};
pub use unkept::{Unkept, unkept};

use crate::credentials::Owner;
use crate::dentry::{Dentry, NAME_MAX};
use crate::extended::Keeper;
use crate::node::{Kind, Limits, New, Node, Volume};
use crate::object::{Stat, Stop, Waiting};
use attributes::Attributes;
use directory::Directory;
use lower::Source;
use special::Special;
use symlink::Symlink;
use turns::Turns;

/// Magic number of tmpfs.
pub const TMPFS_MAGIC: u64 = 0x0102_1994;
/// Inodes made in a tree over lower layers are numbered from here on, far from theirs.
const OWN_INODES: u64 = 1 << 40;

/// A tree of directories and files.
pub struct Tree {
    shared: Arc<Shared>,
    root: Arc<Dentry>,
}

/// What the inodes of a tree share.
pub(crate) struct Shared {
    volume: Arc<Volume>,
    /// Lower files with several names, by device and inode, so that each is one inode here too.
    known: Mutex<HashMap<(u64, u64), Weak<File>>>,
    /// The device of most lower files: their inode numbers are shown as they are.
    device: Mutex<Option<u64>>,
    /// Changes of names that are carried to the layer below.
    turns: Turns,
}

impl Tree {
    /// An empty file system in memory, as type `name` with magic number `magic`.
    pub fn memory(name: &'static str, magic: u64, owner: Owner) -> Self {
        Self::limited(name, magic, owner, None)
    }

    /// The same with limits.
    pub fn limited(name: &'static str, magic: u64, owner: Owner, limits: Option<Limits>) -> Self {
        let shared = Shared::new(Volume::limited(name, magic, 1, limits));
        // The root is one of the inodes, whatever the limit.
        let seat = shared.volume.seat().ok().flatten();
        let inode = shared.volume.number();
        let owner = Owner { mode: Kind::Directory.mode() | owner.mode, ..owner };
        let attributes = Attributes::new(inode, owner, 2, 0).seated(seat);
        let root = Arc::new(Directory::new(Arc::clone(&shared), attributes, inode));
        Self { shared, root: Dentry::root(root) }
    }

    /// A file system over one layer.
    ///
    /// # Errors
    /// The layer's.
    pub async fn over(
        name: &'static str,
        magic: u64,
        lower: Arc<dyn Lower>,
        policy: Policy,
    ) -> Result<Self> {
        let shared = Shared::new(Volume::new(name, magic, OWN_INODES));
        let stat = lower.stat(b"").await?;
        let origin = Origin::root(Source { lower, policy }, &stat);
        let node = shared.adopt(origin, &stat, shared.number(&stat))?;
        Ok(Self { root: Dentry::root(node), shared })
    }

    /// Its root.
    pub fn root(&self) -> &Arc<Dentry> {
        &self.root
    }

    /// What its inodes have in common.
    pub fn volume(&self) -> &Arc<Volume> {
        &self.shared.volume
    }

    /// Makes something at `path`, with the directories that lead there (0755, owned by user 0); gives
    /// back what is there already, if it is of that kind.
    ///
    /// # Errors
    /// EEXIST for something of another kind, ENOTDIR, EINVAL for a path that is no path.
    pub async fn add(&self, path: &[u8], new: New<'_>) -> Result<Arc<Dentry>> {
        let (parent, name) = self.lead(path).await?;
        if let Some(known) = look(&parent, name).await? {
            return if known.node().kind() == new.kind {
                Ok(known)
            } else {
                Err(Errno::EEXIST.into())
            };
        }
        parent.node().create(&parent, name, new).finished().await
    }

    /// Makes the root of a lower layer visible at `path`, in place of what is there.
    ///
    /// # Errors
    /// The layer's, and those of [`Tree::add`].
    pub async fn graft(&self, path: &[u8], lower: Arc<dyn Lower>, policy: Policy) -> Result<()> {
        let (parent, name) = self.lead(path).await?;
        let above = directory(&**parent.node()).ok_or(Errno::ENOTDIR)?;
        let stat = lower.stat(b"").await?;
        let origin = Origin::root(Source { lower, policy }, &stat);
        let node = self.shared.adopt(origin, &stat, above.attributes.inode)?;
        let is_directory = node.kind() == Kind::Directory;
        let name: Arc<[u8]> = name.into();
        let dentry = Dentry::new(&parent, Arc::clone(&name), node);
        let old = above.children.lock().set(&name, children::Child::Here(dentry));
        if is_directory && old.is_none() {
            above.attributes.add_links(1);
        }
        Ok(())
    }

    /// The directory that `path` leads to, made where it is missing, and the last name.
    async fn lead<'a>(&self, path: &'a [u8]) -> Result<(Arc<Dentry>, &'a [u8])> {
        let mut names = path.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        let mut last = names.next().ok_or(Errno::EINVAL.because("the path has no name"))?;
        let mut at = Arc::clone(&self.root);
        for next in names {
            at = self.enter(&at, last).await?;
            last = next;
        }
        if last.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG.into());
        }
        Ok((at, last))
    }

    async fn enter(&self, at: &Arc<Dentry>, name: &[u8]) -> Result<Arc<Dentry>> {
        if let Some(known) = look(at, name).await? {
            return Ok(known);
        }
        let new =
            New { kind: Kind::Directory, permissions: 0o755, uid: 0, gid: 0, rdev: 0, target: b"" };
        at.node().create(at, name, new).finished().await
    }
}

async fn look(at: &Arc<Dentry>, name: &[u8]) -> Result<Option<Arc<Dentry>>> {
    match at.node().lookup(at, name) {
        Ok(found) => Ok(found),
        Err(Stop::Error(error)) => Err(error),
        Err(_) => at.node().fetch(at, name).await,
    }
}

impl Shared {
    fn new(volume: Arc<Volume>) -> Arc<Self> {
        Arc::new(Self {
            volume,
            known: Mutex::new(HashMap::new()),
            device: Mutex::new(None),
            turns: Turns::new(),
        })
    }

    /// A new inode in memory.
    fn make(self: &Arc<Self>, attributes: Attributes, new: &New<'_>, parent: u64) -> Arc<dyn Node> {
        let volume = Arc::clone(&self.volume);
        match new.kind {
            Kind::Directory => Arc::new(Directory::new(Arc::clone(self), attributes, parent)),
            Kind::File => Arc::new(File::new(volume, attributes)),
            Kind::Link => Arc::new(Symlink::new(volume, attributes, new.target)),
            kind => Arc::new(Special::new(volume, attributes, kind, None)),
        }
    }

    /// The inode for what a lower layer has.
    fn adopt(
        self: &Arc<Self>,
        origin: Arc<Origin>,
        stat: &Stat,
        parent: u64,
    ) -> Result<Arc<dyn Node>> {
        let kind = Kind::of_mode(stat.mode)
            .ok_or(Errno::EIO.because("the layer below has a file of no known type"))?;
        let attributes = Attributes::lower(self.number(stat), stat);
        let volume = Arc::clone(&self.volume);
        Ok(match kind {
            Kind::Directory => {
                let shared = Arc::clone(self);
                Arc::new(Directory::lower(shared, attributes, parent, origin, stat.size))
            }
            Kind::File if stat.links > 1 => self.adopt_shared(origin, attributes, stat),
            Kind::File => Arc::new(File::lower(volume, attributes, origin, stat.size)),
            Kind::Link => Arc::new(Symlink::lower(volume, attributes, origin, stat.size)),
            kind => Arc::new(Special::new(volume, attributes, kind, Some(origin))),
        })
    }

    fn adopt_shared(&self, origin: Arc<Origin>, attributes: Attributes, stat: &Stat) -> Arc<File> {
        let mut known = self.known.lock();
        let key = (stat.device, stat.inode);
        if let Some(file) = known.get(&key).and_then(Weak::upgrade) {
            return file;
        }
        let file = File::lower(Arc::clone(&self.volume), attributes, origin, stat.size);
        let file = Arc::new(file);
        known.insert(key, Arc::downgrade(&file));
        file
    }

    /// The number here of a lower inode.
    fn number(&self, stat: &Stat) -> u64 {
        let main = *self.device.lock().get_or_insert(stat.device);
        if main == stat.device {
            return stat.inode;
        }
        // Other devices' inodes are kept apart by a part that no usual inode number reaches.
        stat.inode ^ (stat.device.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 << 63) & !0xff_ffff_ffff
    }

    /// The number of a lower inode that was only listed, which tells no device.
    fn listed_number(&self, inode: u64) -> u64 {
        let _ = self;
        inode
    }
}

/// The directory that a node of a tree is.
pub(crate) fn directory(node: &dyn Node) -> Option<&Directory> {
    node.as_any().downcast_ref()
}

fn attributes_of(node: &dyn Node) -> Option<&Attributes> {
    let any = node.as_any();
    if let Some(file) = any.downcast_ref::<File>() {
        Some(&file.attributes)
    } else if let Some(directory) = any.downcast_ref::<Directory>() {
        Some(&directory.attributes)
    } else if let Some(link) = any.downcast_ref::<Symlink>() {
        Some(&link.attributes)
    } else {
        any.downcast_ref::<Special>().map(|special| &special.attributes)
    }
}

/// Who keeps the extended attributes of an inode: this side, unless changes belong to the layer below.
fn keeper<'a>(attributes: &'a Attributes, origin: Option<&'a Arc<Origin>>) -> Keeper<'a> {
    match origin.filter(|origin| origin.policy().through) {
        Some(origin) => Keeper::Below(origin),
        None => Keeper::Here(&attributes.extended),
    }
}

/// Flushes the layer below that changes are carried to.
fn sync_all(origin: Option<&Arc<Origin>>) -> Waiting<'_, Result<()>> {
    match origin.filter(|origin| origin.policy().through) {
        Some(origin) => origin.lower().sync_all(),
        None => Box::pin(core::future::ready(Ok(()))),
    }
}

fn origin_of(node: &dyn Node) -> Option<&Arc<Origin>> {
    let any = node.as_any();
    if let Some(file) = any.downcast_ref::<File>() {
        file.origin.as_ref()
    } else if let Some(directory) = any.downcast_ref::<Directory>() {
        directory.origin.as_ref()
    } else if let Some(link) = any.downcast_ref::<Symlink>() {
        link.origin.as_ref()
    } else {
        any.downcast_ref::<Special>().and_then(|special| special.origin.as_ref())
    }
}

/// Whether a node comes from the lower inode that `stat` describes.
fn is_same(node: &Arc<dyn Node>, stat: &Stat) -> bool {
    origin_of(&**node).is_some_and(|origin| origin.identity == (stat.device, stat.inode))
        && Kind::of_mode(stat.mode) == Some(node.kind())
}

/// Takes over what the lower layer said of a node when it was asked at a moment.
fn refresh(node: &Arc<dyn Node>, stat: &Stat, asked: u64) {
    if let Some(origin) = origin_of(&**node).filter(|origin| !origin.policy().revalidate) {
        // Two lookups met: the first one's answer stands.
        let _ = origin;
    } else if let Some(file) = node.as_any().downcast_ref::<File>() {
        file.refresh(stat, asked);
    } else if let Some(attributes) = attributes_of(&**node) {
        attributes.refresh(stat);
    }
}
