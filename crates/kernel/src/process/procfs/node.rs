//! Inodes that are made on demand.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use platform::sync::{Mutex, Once};
use platform::user::{Sink, Source};
use vfs::credentials::{Credentials, Owner};
use vfs::dentry::Dentry;
use vfs::mount::Place;
use vfs::node::{Followed, Kind, Node, Opened, Volume};
use vfs::object::{Attempt, Entry, Object, OpenFile, Stat, Status};

use super::memory::OpenMemory;
use super::pagemap::OpenPagemap;
use crate::memory::Space;

/// Gives the text of a file.
pub(super) type Read = Box<dyn Fn() -> Result<Vec<u8>> + Send + Sync>;
/// Finds a process's memory.
pub(super) type Find = Box<dyn Fn() -> Result<Arc<Space>> + Send + Sync>;
/// Takes what a program writes to a file.
pub(super) type Write = Box<dyn Fn(&[u8]) -> Result<()> + Send + Sync>;

/// The most bytes that a write hands over.
const WRITE_MAX: usize = 4096;
/// Magic number of the file system of what has no path.
const UNNAMED_MAGIC: u64 = 0x0904_1934;
/// That file system, once it was needed.
static UNNAMED: Once<Arc<Volume>> = Once::new();
/// Positions of `.` and `..`; those of a listing come behind.
const DOTS: u64 = 2;

/// What stands under a name.
pub(super) enum Item {
    /// A directory.
    Folder(Box<dyn Listing>),
    /// A file.
    Text(Text),
    /// A process's memory.
    Memory(Find),
    /// What a process's pages are.
    Pagemap(Find),
    /// A symbolic link.
    Link(Box<dyn Link>),
    /// Something that an open description stands for (`/proc/self/fd`).
    Opened(Arc<OpenFile>),
}

/// A file's contents.
pub(super) struct Text {
    /// Permission bits.
    pub(super) permissions: u32,
    pub(super) read: Read,
    /// `None`: it can't be written.
    pub(super) write: Option<Write>,
}

/// A directory's contents.
pub(super) trait Listing: Send + Sync {
    /// What stands under a name.
    fn find(&self, name: &[u8]) -> Option<Item>;

    /// The first entries from `position` on, in order of position; none: the end.
    fn rows(&self, position: u64) -> Vec<Row>;

    /// Permission bits.
    fn permissions(&self) -> u32 {
        0o555
    }

    /// User and group.
    fn owner(&self) -> (u32, u32) {
        (0, 0)
    }
}

/// A symbolic link's target.
pub(super) trait Link: Send + Sync {
    /// Where it leads.
    fn follow(&self) -> Result<Followed>;

    /// What readlink(2) shows.
    fn text(&self) -> Result<Vec<u8>>;
}

/// One entry of a listing.
pub(super) struct Row {
    pub(super) position: u64,
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
}

impl Item {
    /// A file that can only be read.
    pub(super) fn text(read: impl Fn() -> Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self::Text(Text { permissions: 0o444, read: Box::new(read), write: None })
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Folder(_) => Kind::Directory,
            Self::Text(_) | Self::Memory(_) | Self::Pagemap(_) => Kind::File,
            Self::Link(_) => Kind::Link,
            Self::Opened(file) => {
                let mode = file.object().stat().map_or(0, |stat| stat.mode);
                Kind::of_mode(mode).unwrap_or(Kind::File)
            }
        }
    }

    fn permissions(&self) -> u32 {
        match self {
            Self::Folder(listing) => listing.permissions(),
            Self::Text(text) => text.permissions,
            Self::Link(_) => 0o777,
            Self::Opened(_) | Self::Memory(_) => 0o600,
            Self::Pagemap(_) => 0o400,
        }
    }
}

/// An inode.
pub(super) struct Made {
    volume: Arc<Volume>,
    inode: u64,
    parent: u64,
    owner: (u32, u32),
    item: Item,
    /// The folders within that somebody holds, so that what is mounted on one is found again.
    held: Mutex<BTreeMap<Vec<u8>, Weak<Dentry>>>,
}

/// The root of a file system.
pub(super) fn root(volume: Arc<Volume>, listing: Box<dyn Listing>) -> Arc<Dentry> {
    let item = Item::Folder(listing);
    Dentry::root(Arc::new(Made {
        volume,
        inode: 1,
        parent: 1,
        owner: (0, 0),
        item,
        held: Mutex::new(BTreeMap::new()),
    }))
}

/// A place without a path for what `file` stands for.
pub(super) fn place_of(file: Arc<OpenFile>) -> Place {
    if UNNAMED.get().is_none() {
        UNNAMED.set(Volume::new("anon_inodefs", UNNAMED_MAGIC, 1));
    }
    let volume = match UNNAMED.get() {
        Some(volume) => Arc::clone(volume),
        None => Volume::new("anon_inodefs", UNNAMED_MAGIC, 1),
    };
    let item = Item::Opened(file);
    let node = Made {
        volume,
        inode: 1,
        parent: 1,
        owner: (0, 0),
        item,
        held: Mutex::new(BTreeMap::new()),
    };
    Place::without_path(Dentry::root(Arc::new(node)))
}

impl Made {
    /// Remembers a folder as long as somebody else holds it.
    fn hold(&self, name: &[u8], folder: &Arc<Dentry>) {
        let mut held = self.held.lock();
        held.retain(|_, folder| folder.strong_count() > 0);
        held.insert(name.to_vec(), Arc::downgrade(folder));
    }

    /// The number of an entry: the same as long as its path is.
    fn number(&self, name: &[u8]) -> u64 {
        let mut hash = self.inode ^ 0xcbf2_9ce4_8422_2325;
        for byte in name {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        }
        // Fits where programs keep inode numbers in signed or 32-bit-safe types.
        (hash ^ hash >> 32) & 0xffff_ffff | 1 << 32
    }
}

impl Object for Made {
    fn stat(&self) -> Result<Stat> {
        if let Item::Opened(file) = &self.item {
            return file.object().stat();
        }
        let now = i64::try_from(platform::clock::realtime()).unwrap_or(i64::MAX);
        let kind = self.item.kind();
        Ok(Stat {
            device: self.volume.device,
            inode: self.inode,
            mode: kind.mode() | self.item.permissions(),
            links: if kind == Kind::Directory { 2 } else { 1 },
            uid: self.owner.0,
            gid: self.owner.1,
            block_size: 1024,
            accessed: now,
            modified: now,
            changed: now,
            ..Stat::default()
        })
    }

    fn list(&self, position: u64, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Attempt<u64> {
        let Item::Folder(listing) = &self.item else { return Err(Errno::ENOTDIR.into()) };
        let mut at = position;
        for (index, name, inode) in [(0, &b"."[..], self.inode), (1, &b".."[..], self.parent)] {
            if at == index {
                let kind = Kind::Directory.entry();
                if !each(Entry { inode, kind, next: index + 1, name }) {
                    return Ok(at);
                }
                at = index + 1;
            }
        }
        loop {
            let rows = listing.rows(at - DOTS);
            if rows.is_empty() {
                return Ok(at);
            }
            for Row { position, name, kind } in rows {
                let next = position + DOTS + 1;
                let inode = self.number(&name);
                if !each(Entry { inode, kind: kind.entry(), next, name: &name }) {
                    return Ok(at);
                }
                at = next;
            }
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Made {
    fn kind(&self) -> Kind {
        self.item.kind()
    }

    fn owner(&self) -> Owner {
        let mode = self.item.kind().mode() | self.item.permissions();
        Owner { mode, uid: self.owner.0, gid: self.owner.1 }
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn create<'a>(
        &'a self,
        _here: &'a Arc<Dentry>,
        _name: &'a [u8],
        _new: vfs::node::New<'a>,
    ) -> vfs::node::Answer<'a, Arc<Dentry>> {
        // As Linux: a name that the file system does not make is not there, whoever asks.
        Errno::ENOENT.into()
    }

    fn lookup(&self, here: &Arc<Dentry>, name: &[u8]) -> Attempt<Option<Arc<Dentry>>> {
        let Item::Folder(listing) = &self.item else { return Err(Errno::ENOTDIR.into()) };
        let Some(item) = listing.find(name) else { return Ok(None) };
        let folder = matches!(item, Item::Folder(_));
        let held = self.held.lock().get(name).and_then(Weak::upgrade);
        if folder && held.is_some() {
            return Ok(held);
        }
        let owner = match &item {
            Item::Folder(inner) => inner.owner(),
            _ => self.owner,
        };
        let node = Self {
            volume: Arc::clone(&self.volume),
            inode: self.number(name),
            parent: self.inode,
            owner,
            item,
            held: Mutex::new(BTreeMap::new()),
        };
        let found = Dentry::new(here, name.into(), Arc::new(node));
        if folder {
            self.hold(name, &found);
        }
        Ok(Some(found))
    }

    fn follow(&self, _who: &Credentials) -> Attempt<Followed> {
        match &self.item {
            Item::Link(link) => Ok(link.follow()?),
            _ => Err(Errno::EINVAL.because("not a symbolic link").into()),
        }
    }

    fn read_link(&self, _who: &Credentials) -> Attempt<Arc<[u8]>> {
        match &self.item {
            Item::Link(link) => Ok(link.text()?.into()),
            _ => Err(Errno::EINVAL.because("not a symbolic link").into()),
        }
    }

    fn open(self: Arc<Self>, _place: &Place, status: Status) -> Attempt<Opened> {
        match &self.item {
            Item::Folder(_) => Ok(Opened::Object(self)),
            Item::Text(text) => {
                if text.write.is_none() && status.intersects(Status::WRITE | Status::READ_WRITE) {
                    return Err(Errno::EACCES.because("the file can't be written").into());
                }
                Ok(Opened::Object(Arc::new(OpenText { made: self, text: Mutex::new(Vec::new()) })))
            }
            Item::Memory(find) => {
                let space = find()?;
                Ok(Opened::Object(Arc::new(OpenMemory::new(self, &space))))
            }
            Item::Pagemap(find) => {
                let space = find()?;
                Ok(Opened::Object(Arc::new(OpenPagemap::new(self, &space))))
            }
            Item::Link(_) => Err(Errno::ELOOP.because("a symbolic link can't be opened").into()),
            Item::Opened(file) => Ok(super::descriptors::open_again(file, status)?),
        }
    }
}

/// A file that is open: its text, as it was when its beginning was last read.
struct OpenText {
    made: Arc<Made>,
    text: Mutex<Vec<u8>>,
}

impl OpenText {
    fn text(&self) -> Option<&Text> {
        match &self.made.item {
            Item::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl Object for OpenText {
    fn read(&self, _open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let Some(source) = self.text() else { return Ok(0) };
        if source.permissions & 0o444 == 0 {
            return Err(Errno::EINVAL.because("the file is for writing only").into());
        }
        let mut text = self.text.lock();
        if offset == 0 || text.is_empty() {
            *text = (source.read)()?;
        }
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(text.len());
        Ok(sink.put(&text[start..]))
    }

    fn write(
        &self,
        _open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        let Some(Text { write: Some(write), .. }) = self.text() else {
            return Err(Errno::EACCES.because("the file can't be written").into());
        };
        let mut bytes = alloc::vec![0; source.left().min(WRITE_MAX)];
        let len = source.take(&mut bytes);
        bytes.truncate(len);
        write(&bytes)?;
        Ok((len, offset.unwrap_or(0) + len as u64))
    }

    fn seekable(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        self.made.stat()
    }

    fn truncate(&self, _len: u64) -> Attempt<()> {
        // O_TRUNC, which shells say for every `>`: there is nothing to cut.
        Ok(())
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(&*self.made)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A link whose target is a path.
pub(super) struct PathLink<F>(pub(super) F);

impl<F: Fn() -> Result<Vec<u8>> + Send + Sync> Link for PathLink<F> {
    fn follow(&self) -> Result<Followed> {
        Ok(Followed::Path((self.0)()?.into()))
    }

    fn text(&self) -> Result<Vec<u8>> {
        (self.0)()
    }
}

/// A folder that never changes.
pub(super) struct Fixed(pub(super) Vec<(&'static str, Make)>);

/// Makes what stands under a name.
pub(super) type Make = Box<dyn Fn() -> Item + Send + Sync>;

impl Fixed {
    /// Whether it has a name; its position.
    pub(super) fn position(&self, name: &[u8]) -> Option<usize> {
        self.0.iter().position(|(known, _)| known.as_bytes() == name)
    }
}

impl Listing for Fixed {
    fn find(&self, name: &[u8]) -> Option<Item> {
        self.position(name).map(|at| (self.0[at].1)())
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        let numbered = (0..).zip(&self.0).filter(|(at, _)| *at >= position);
        numbered
            .map(|(position, (name, make))| Row {
                position,
                name: name.as_bytes().to_vec(),
                kind: make().kind(),
            })
            .collect()
    }
}

impl Listing for Arc<Fixed> {
    fn find(&self, name: &[u8]) -> Option<Item> {
        (**self).find(name)
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        (**self).rows(position)
    }
}

/// An entry whose text never changes.
pub(super) fn constant(text: &'static str) -> Make {
    Box::new(move || Item::text(move || Ok(text.as_bytes().to_vec())))
}

/// An entry whose text is made when it is read.
pub(super) fn made(read: impl Fn() -> Vec<u8> + Copy + Send + Sync + 'static) -> Make {
    Box::new(move || Item::text(move || Ok(read())))
}

/// A folder of fixed entries.
pub(super) fn folder(entries: Vec<(&'static str, Make)>) -> Make {
    let fixed = Arc::new(Fixed(entries));
    Box::new(move || Item::Folder(Box::new(Arc::clone(&fixed))))
}

/// A link to a fixed path.
pub(super) fn link(target: &'static str) -> Make {
    Box::new(move || Item::Link(Box::new(PathLink(move || Ok(target.as_bytes().to_vec())))))
}
