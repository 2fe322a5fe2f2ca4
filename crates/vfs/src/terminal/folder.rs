//! devpts: the slaves by number, and `ptmx`.
//!
//! There is one for the whole enclave. Source: pts(4), Linux's `filesystems/devpts`.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use platform::sync::{Mutex, Once};

use super::pair::{self, Pair};
use crate::anonymous::{S_IFCHR, S_IFMT};
use crate::credentials::Owner;
use crate::dentry::Dentry;
use crate::mount::Place;
use crate::node::{Answer, Change, Kind, New, Node, Opened, Volume};
use crate::object::{Attempt, Entry, Object, Stat, Status};
use crate::tree::attributes::Attributes;

/// `devpts`, as statfs(2) tells it.
const MAGIC: u64 = 0x1cd1;
/// The device number of `ptmx`.
pub const PTMX: u64 = 0x502;
/// Inode number of the first slave.
pub(super) const FIRST_INODE: u64 = 3;
/// How many pairs there may be: `/proc/sys/kernel/pty/max`.
pub const MOST: u32 = 4096;
/// Position of `ptmx` in a listing; the slaves come behind.
const FIRST_SLAVE: u64 = 3;

static PAIRS: Mutex<BTreeMap<u32, Arc<Pair>>> = Mutex::new(BTreeMap::new());
static VOLUME: Once<Arc<Volume>> = Once::new();
/// Where it is mounted.
static PLACE: Once<Place> = Once::new();

/// Gives a new pair the lowest free number.
pub(super) fn add(make: impl FnOnce(u32) -> Result<Arc<Pair>>) -> Result<Arc<Pair>> {
    let mut pairs = PAIRS.lock();
    let index = (0..MOST).find(|index| !pairs.contains_key(index));
    let index = index.ok_or(Errno::ENOSPC.because("as many pseudoterminals as may be are open"))?;
    let pair = make(index)?;
    pairs.insert(index, Arc::clone(&pair));
    Ok(pair)
}

/// Takes a pair's name away.
pub(super) fn remove(index: u32) {
    let removed = PAIRS.lock().remove(&index);
    // Dropped with no lock held.
    drop(removed);
}

/// How many pairs there are: `/proc/sys/kernel/pty/nr`.
pub fn count() -> usize {
    PAIRS.lock().len()
}

fn find(index: u32) -> Option<Arc<Pair>> {
    PAIRS.lock().get(&index).cloned()
}

fn volume() -> Arc<Volume> {
    if VOLUME.get().is_none() {
        VOLUME.set(Volume::new("devpts", MAGIC, FIRST_INODE));
    }
    VOLUME.get().map_or_else(|| Volume::new("devpts", MAGIC, FIRST_INODE), Arc::clone)
}

/// The root of the file system.
pub fn root() -> Arc<Dentry> {
    let directory = Attributes::new(1, Owner { uid: 0, gid: 0, mode: 0o040_755 }, 2, 0);
    let ptmx = Attributes::new(2, Owner { uid: 0, gid: 0, mode: S_IFCHR }, 1, PTMX);
    let ptmx = Arc::new(Entrance { volume: volume(), attributes: ptmx });
    Dentry::root(Arc::new(Folder { volume: volume(), attributes: directory, ptmx }))
}

/// Says where it is mounted; once, at start.
pub fn mounted(place: Place) {
    PLACE.set(place);
}

/// The place of a pair's slave.
pub fn place_of(pair: &Arc<Pair>) -> Option<Place> {
    let root = PLACE.get()?;
    let name = alloc::format!("{}", pair.index()).into_bytes();
    let node = Arc::new(Terminal { volume: volume(), pair: Arc::clone(pair) });
    let dentry = Dentry::new(&root.dentry, name.into(), node);
    Some(Place { mount: Arc::clone(&root.mount), dentry })
}

/// What stat(2) tells of a slave.
pub(super) fn stat(pair: &Pair) -> Stat {
    let stat = pair.attributes().stat(&volume(), 0, || 0);
    Stat { block_size: 1024, ..stat }
}

struct Folder {
    volume: Arc<Volume>,
    attributes: Attributes,
    ptmx: Arc<Entrance>,
}

/// `ptmx` in it.
struct Entrance {
    volume: Arc<Volume>,
    attributes: Attributes,
}

/// A slave by its name.
struct Terminal {
    volume: Arc<Volume>,
    pair: Arc<Pair>,
}

impl Object for Folder {
    fn stat(&self) -> Result<Stat> {
        Ok(Stat { block_size: 1024, ..self.attributes.stat(&self.volume, 0, || 0) })
    }

    fn list(&self, position: u64, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Attempt<u64> {
        let mut rows: Vec<(u64, u64, u8, Vec<u8>)> = Vec::new();
        let fixed: [(&[u8], u64, Kind); 3] = [
            (b".", 1, Kind::Directory),
            (b"..", 1, Kind::Directory),
            (b"ptmx", 2, Kind::Character),
        ];
        for (at, (name, inode, kind)) in (0..).zip(fixed) {
            rows.push((at, inode, kind.entry(), name.to_vec()));
        }
        for index in PAIRS.lock().keys() {
            let at = u64::from(*index);
            let name = alloc::format!("{index}").into_bytes();
            rows.push((FIRST_SLAVE + at, FIRST_INODE + at, Kind::Character.entry(), name));
        }
        let mut reached = position;
        for (at, inode, kind, name) in rows.iter().filter(|(at, ..)| *at >= position) {
            if !each(Entry { inode: *inode, kind: *kind, next: at + 1, name }) {
                return Ok(reached);
            }
            reached = at + 1;
        }
        Ok(reached)
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

impl Node for Folder {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn owner(&self) -> Owner {
        self.attributes.owner()
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn lookup(&self, here: &Arc<Dentry>, name: &[u8]) -> Attempt<Option<Arc<Dentry>>> {
        if name == b"ptmx" {
            let ptmx: Arc<dyn Node> = Arc::<Entrance>::clone(&self.ptmx);
            return Ok(Some(Dentry::new(here, name.into(), ptmx)));
        }
        let Some(pair) = number(name).and_then(find) else { return Ok(None) };
        let node = Arc::new(Terminal { volume: Arc::clone(&self.volume), pair });
        Ok(Some(Dentry::new(here, name.into(), node)))
    }

    fn create<'a>(
        &'a self,
        _here: &'a Arc<Dentry>,
        _name: &'a [u8],
        new: New<'a>,
    ) -> Answer<'a, Arc<Dentry>> {
        if new.kind == Kind::File { Errno::EACCES.into() } else { Errno::EPERM.into() }
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        self.attributes.change(change);
        Answer::Now(Ok(()))
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Ok(Opened::Object(self))
    }
}

/// A slave's number, as it is written.
fn number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
    text.parse().ok().filter(|_| plain)
}

impl Object for Entrance {
    fn stat(&self) -> Result<Stat> {
        Ok(Stat { block_size: 1024, ..self.attributes.stat(&self.volume, 0, || 0) })
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Entrance {
    fn kind(&self) -> Kind {
        Kind::Character
    }

    fn owner(&self) -> Owner {
        self.attributes.owner()
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        self.attributes.change(change);
        Answer::Now(Ok(()))
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Ok(Opened::Object(pair::open_master()?))
    }
}

impl Object for Terminal {
    fn stat(&self) -> Result<Stat> {
        Ok(stat(&self.pair))
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Terminal {
    fn kind(&self) -> Kind {
        Kind::Character
    }

    fn owner(&self) -> Owner {
        let owner = self.pair.attributes().owner();
        debug_assert_eq!(owner.mode & S_IFMT, S_IFCHR);
        owner
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        self.pair.attributes().change(change);
        Answer::Now(Ok(()))
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Ok(Opened::Object(self.pair.open_slave()?))
    }
}
