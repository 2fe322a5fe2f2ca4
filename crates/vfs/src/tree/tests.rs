//! Trees in memory, and over a lower layer that counts what it is asked.

use alloc::collections::BTreeMap;
use std::boxed::Box;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::arena::Extent;
use storage::pages::{Backing, Content};

use super::{Listed, Lower, LowerFile, Origin, Policy, TMPFS_MAGIC, Tree};
use crate::credentials::{Credentials, Owner};
use crate::mount::{Flags, MountTree, Place};
use crate::names;
use crate::node::{Existing, Kind, New};
use crate::object::{Object, OpenFile, Stat, Status, Stop, Waiting};
use crate::opening::{self, How, Request};
use crate::path::{self, Last, Start};
use crate::testing::Bytes;

/// Runs a future to its end.
pub(crate) fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// What stands at a path of the mock.
#[derive(Clone, Debug)]
struct Item {
    mode: u32,
    inode: u64,
    links: u32,
    bytes: Vec<u8>,
    modified: i64,
}

/// A lower layer in memory.
#[derive(Default)]
struct Mock {
    items: Mutex<BTreeMap<Vec<u8>, Item>>,
    asked: Mutex<Vec<String>>,
    writable: bool,
}

impl Mock {
    fn new(writable: bool) -> Arc<Self> {
        let mock = Self { writable, ..Self::default() };
        mock.put("", 0o040_755, 1, b"");
        mock.put("dir", 0o040_755, 2, b"");
        mock.put("dir/file", 0o100_644, 3, b"from below");
        mock.put("dir/sub", 0o040_755, 4, b"");
        mock.put("dir/sub/deep", 0o100_600, 5, b"deep");
        mock.put("link", 0o120_777, 6, b"dir/file");
        mock.put("empty", 0o040_755, 7, b"");
        Arc::new(mock)
    }

    fn put(&self, path: &str, mode: u32, inode: u64, bytes: &[u8]) {
        let item = Item { mode, inode, links: 1, bytes: bytes.to_vec(), modified: 1 };
        self.items.lock().unwrap().insert(path.as_bytes().to_vec(), item);
    }

    fn get(&self, path: &[u8]) -> Result<Item> {
        self.items.lock().unwrap().get(path).cloned().ok_or_else(|| Errno::ENOENT.into())
    }

    fn note(&self, what: &str, path: &[u8]) {
        self.asked.lock().unwrap().push(format!("{what} {}", path.escape_ascii()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.get(path.as_bytes()).ok().map(|item| item.bytes)
    }
}

fn now<'a, T: Send + 'a>(value: Result<T>) -> Waiting<'a, Result<T>> {
    Box::pin(std::future::ready(value))
}

impl Lower for Mock {
    fn stat<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Stat>> {
        self.note("stat", path);
        now(self.get(path).map(|item| Stat {
            mode: item.mode,
            inode: item.inode,
            device: 77,
            links: item.links,
            size: item.bytes.len() as u64,
            modified: item.modified,
            ..Stat::default()
        }))
    }

    fn list<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<Listed>>> {
        self.note("list", path);
        let mut prefix = path.to_vec();
        if !prefix.is_empty() {
            prefix.push(b'/');
        }
        let items = self.items.lock().unwrap();
        now(Ok(items
            .iter()
            .filter_map(|(path, item)| {
                let name = path.strip_prefix(&prefix[..])?;
                let kind = Kind::of_mode(item.mode)?;
                let direct = !name.is_empty() && !name.contains(&b'/');
                direct.then(|| Listed { name: name.to_vec(), inode: item.inode, kind })
            })
            .collect()))
    }

    fn read_link<'a>(&'a self, path: &'a [u8]) -> Waiting<'a, Result<Vec<u8>>> {
        self.note("readlink", path);
        now(self.get(path).map(|item| item.bytes))
    }

    fn file(self: Arc<Self>, origin: Arc<Origin>) -> Arc<dyn LowerFile> {
        Arc::new(MockFile { mock: self, origin })
    }

    fn create<'a>(&'a self, path: &'a [u8], permissions: u32) -> Waiting<'a, Result<()>> {
        self.note("create", path);
        let inode = 100 + self.items.lock().unwrap().len() as u64;
        self.put(std::str::from_utf8(path).unwrap(), 0o100_000 | permissions, inode, b"");
        now(Ok(()))
    }

    fn remove<'a>(&'a self, path: &'a [u8], _directory: bool) -> Waiting<'a, Result<()>> {
        self.note("remove", path);
        now(self.items.lock().unwrap().remove(path).map(|_| ()).ok_or_else(|| Errno::ENOENT.into()))
    }

    fn rename<'a>(
        &'a self,
        from: &'a [u8],
        to: &'a [u8],
        _exchange: bool,
    ) -> Waiting<'a, Result<()>> {
        self.note("rename", from);
        let mut items = self.items.lock().unwrap();
        let moved: Vec<_> = items.keys().filter(|path| path.starts_with(from)).cloned().collect();
        for path in moved {
            let item = items.remove(&path).unwrap();
            items.insert([to, &path[from.len()..]].concat(), item);
        }
        now(Ok(()))
    }
}

struct MockFile {
    mock: Arc<Mock>,
    origin: Arc<Origin>,
}

impl Backing for MockFile {
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>> {
        let path = self.origin.path();
        self.mock.note("read", &path);
        now(self.mock.get(&path).map(|item| {
            let start = usize::try_from(offset).unwrap().min(item.bytes.len());
            let end = (start + len).min(item.bytes.len());
            Content::Bytes(item.bytes[start..end].to_vec())
        }))
    }

    fn writable(&self) -> bool {
        self.mock.writable
    }

    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        let path = self.origin.path();
        self.mock.note("write", &path);
        let mut items = self.mock.items.lock().unwrap();
        let bytes = &mut items.get_mut(&path).unwrap().bytes;
        let start = usize::try_from(offset).unwrap();
        bytes.resize(bytes.len().max(start + len), 0);
        extent.read(at, &mut bytes[start..start + len]);
        now(Ok(()))
    }
}

impl LowerFile for MockFile {
    fn truncate(&self, len: u64) -> Waiting<'_, Result<()>> {
        let path = self.origin.path();
        self.mock.note("truncate", &path);
        let mut items = self.mock.items.lock().unwrap();
        items.get_mut(&path).unwrap().bytes.resize(usize::try_from(len).unwrap(), 0);
        now(Ok(()))
    }
}

/// A mounted tree and somebody who uses it.
pub(crate) struct World {
    pub(crate) root: Place,
    pub(crate) who: Credentials,
}

impl World {
    pub(crate) fn new(tree: &Tree) -> Self {
        let mounts = MountTree::new(Arc::clone(tree.root()), b"test", Flags::empty());
        Self { root: mounts.root(), who: Credentials::new(0, 0, &[]) }
    }

    pub(crate) fn memory() -> Self {
        Self::new(&Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o755, uid: 0, gid: 0 }))
    }

    fn over(mock: &Arc<Mock>, policy: Policy) -> Self {
        let lower: Arc<dyn Lower> = Arc::<Mock>::clone(mock);
        let tree = finish(Tree::over("test", 1, lower, policy)).unwrap();
        mock.asked();
        Self::new(&tree)
    }

    pub(crate) fn start(&self) -> Start<'_> {
        Start::new(&self.root, &self.root, &self.who)
    }

    pub(crate) fn find(&self, path: &str) -> Result<Place> {
        finish(path::resolve(self.start(), path.as_bytes(), Last::Follow))
    }

    pub(crate) fn errno(&self, path: &str) -> Option<Errno> {
        self.find(path).err().map(|error| error.errno)
    }

    fn open(&self, path: &str, status: Status, how: How) -> Result<Arc<OpenFile>> {
        let request = Request { status, how, permissions: 0o644 };
        finish(opening::open(self.start(), path.as_bytes(), request))
    }

    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let file = self.open(path, Status::READ_WRITE, How::CREATE | How::TRUNCATE).unwrap();
        put(&file, 0, bytes);
    }

    pub(crate) fn read(&self, path: &str) -> Vec<u8> {
        get(&self.open(path, Status::empty(), How::empty()).unwrap())
    }

    pub(crate) fn make(&self, path: &str, kind: Kind, target: &[u8]) -> Result<Place> {
        let new = New { kind, permissions: 0o755, uid: 0, gid: 0, rdev: 0, target };
        finish(names::make(self.start(), path.as_bytes(), new))
    }

    fn unlink(&self, path: &str) -> Result<()> {
        finish(names::unlink(self.start(), path.as_bytes()))
    }

    fn rmdir(&self, path: &str) -> Result<()> {
        finish(names::remove_directory(self.start(), path.as_bytes()))
    }

    fn rename(&self, old: &str, new: &str, existing: Existing) -> Result<()> {
        let (from, to) = (self.start(), self.start());
        finish(names::rename(from, old.as_bytes(), to, new.as_bytes(), existing))
    }

    fn list(&self, path: &str) -> Vec<String> {
        let object: Arc<dyn Object> =
            Arc::<dyn crate::node::Node>::clone(self.find(path).unwrap().node());
        let mut names = Vec::new();
        let mut position = 0;
        loop {
            // Two entries at a time, to go on from positions in the middle.
            let mut room = 2;
            let before = names.len();
            let listed = object.list(position, &mut |entry| {
                if room == 0 {
                    return false;
                }
                room -= 1;
                names.push(String::from_utf8(entry.name.to_vec()).unwrap());
                true
            });
            match listed {
                Ok(next) => position = next,
                Err(Stop::Fill { offset, len }) => finish(object.fill(offset, len)).unwrap(),
                Err(other) => panic!("{other:?}"),
            }
            if names.len() == before && listed.is_ok() {
                break;
            }
        }
        assert_eq!(&names[..2], [".", ".."]);
        let mut names = names.split_off(2);
        names.sort();
        names
    }

    fn links(&self, path: &str) -> u32 {
        self.find(path).unwrap().node().stat().unwrap().links
    }
}

fn put(file: &OpenFile, offset: u64, bytes: &[u8]) {
    let mut source = Bytes::source(bytes);
    let (done, _) = file.object().write(file, Some(offset), &mut source).unwrap();
    assert_eq!(done, bytes.len());
    if let Some(settled) = file.object().settle() {
        finish(settled).unwrap();
    }
}

fn get(file: &OpenFile) -> Vec<u8> {
    let mut sink = Bytes::sink(1 << 16);
    let mut offset = 0;
    loop {
        match file.object().read(file, offset, &mut sink) {
            Ok(0) => return sink.content.into(),
            Ok(read) => offset += read as u64,
            Err(Stop::Fill { offset, len }) => finish(file.object().fill(offset, len)).unwrap(),
            Err(other) => panic!("{other:?}"),
        }
    }
}

const LAYER: Policy = Policy { through: false, revalidate: false };
const THROUGH: Policy = Policy { through: true, revalidate: true };
const WATCHED: Policy = Policy { through: false, revalidate: true };

#[test]
fn a_layer_asks_once_and_never_changes_what_is_below() {
    let mock = Mock::new(false);
    let world = World::over(&mock, LAYER);
    assert_eq!(world.read("/link"), b"from below");
    assert_eq!(
        mock.asked(),
        ["stat link", "readlink link", "stat dir", "stat dir/file", "read dir/file"]
    );
    assert_eq!(world.read("/link"), b"from below");
    assert_eq!(world.errno("/dir/none"), Some(Errno::ENOENT));
    assert_eq!(mock.asked(), ["stat dir/none"]);
    assert_eq!(world.errno("/dir/none"), Some(Errno::ENOENT));
    let file = world.open("/dir/file", Status::READ_WRITE, How::empty()).unwrap();
    put(&file, 5, b"HERE");
    assert_eq!(world.read("/dir/file"), b"from HEREw");
    world.write("/dir/none", b"made");
    world.unlink("/dir/sub/deep").unwrap();
    world.rmdir("/dir/sub").unwrap();
    assert_eq!(world.errno("/dir/sub"), Some(Errno::ENOENT));
    assert_eq!(world.list("/dir"), ["file", "none"]);
    assert_eq!(mock.contents("dir/file").unwrap(), b"from below");
    assert!(mock.contents("dir/sub/deep").is_some());
    assert!(mock.asked().iter().all(|asked| !asked.starts_with("write")));
}

#[test]
fn a_listed_directory_is_complete() {
    let mock = Mock::new(false);
    let world = World::over(&mock, LAYER);
    assert_eq!(world.list("/"), ["dir", "empty", "link"]);
    assert_eq!(mock.asked(), ["list "]);
    assert_eq!(world.errno("/other"), Some(Errno::ENOENT));
    assert_eq!(mock.asked(), [""; 0]);
    assert_eq!(world.make("/dir", Kind::Directory, b"").unwrap_err().errno, Errno::EEXIST);
    assert_eq!(world.rmdir("/dir").unwrap_err().errno, Errno::ENOTEMPTY);
    world.rmdir("/empty").unwrap();
    world.make("/empty", Kind::Directory, b"").unwrap();
    assert_eq!(world.list("/empty"), [""; 0]);
}

#[test]
fn a_directory_from_below_moves_with_what_is_in_it() {
    let mock = Mock::new(false);
    let world = World::over(&mock, LAYER);
    world.rename("/dir", "/moved", Existing::Replace).unwrap();
    assert_eq!(world.read("/moved/sub/deep"), b"deep");
    assert_eq!(world.errno("/dir"), Some(Errno::ENOENT));
    assert_eq!(world.list("/"), ["empty", "link", "moved"]);
    assert_eq!(
        world.rename("/moved", "/empty", Existing::Refuse).unwrap_err().errno,
        Errno::EEXIST
    );
    world.rename("/moved", "/empty", Existing::Replace).unwrap();
    assert_eq!(world.read("/empty/file"), b"from below");
    assert_eq!(world.list("/"), ["empty", "link"]);
}

#[test]
fn truncation_bounds_what_comes_from_below() {
    let mock = Mock::new(false);
    let world = World::over(&mock, LAYER);
    let file = world.open("/dir/file", Status::READ_WRITE, How::empty()).unwrap();
    finish(opening::truncate(file.object(), 4)).unwrap();
    finish(opening::truncate(file.object(), 8)).unwrap();
    assert_eq!(get(&file), b"from\0\0\0\0");
}

#[test]
fn a_watched_layer_shows_changes() {
    let mock = Mock::new(false);
    let world = World::over(&mock, WATCHED);
    assert_eq!(world.read("/dir/file"), b"from below");
    assert_eq!(world.list("/dir"), ["file", "sub"]);
    mock.put("dir/file", 0o100_644, 3, b"changed");
    mock.put("dir/new", 0o100_644, 9, b"new");
    mock.items.lock().unwrap().remove(&b"dir/sub"[..]);
    assert_eq!(world.read("/dir/file"), b"changed");
    assert_eq!(world.read("/dir/new"), b"new");
    assert_eq!(world.errno("/dir/sub"), Some(Errno::ENOENT));
    assert_eq!(world.list("/dir"), ["file", "new"]);
    // Another inode under the same name is another file.
    let old = world.open("/dir/file", Status::empty(), How::empty()).unwrap();
    mock.put("dir/file", 0o100_644, 33, b"other");
    assert_eq!(world.read("/dir/file"), b"other");
    assert_ne!(
        old.object().stat().unwrap().inode,
        world.find("/dir/file").unwrap().node().stat().unwrap().inode
    );
}

#[test]
fn changes_are_carried_through() {
    let mock = Mock::new(true);
    let world = World::over(&mock, THROUGH);
    world.write("/dir/new", b"hello");
    assert_eq!(mock.contents("dir/new").unwrap(), b"hello");
    let file = world.open("/dir/new", Status::READ_WRITE, How::empty()).unwrap();
    finish(opening::truncate(file.object(), 2)).unwrap();
    put(&file, 4, b"!");
    assert_eq!(mock.contents("dir/new").unwrap(), b"he\0\0!");
    world.rename("/dir", "/there", Existing::Replace).unwrap();
    put(&file, 0, b"H");
    assert_eq!(mock.contents("there/new").unwrap(), b"He\0\0!");
    world.unlink("/there/file").unwrap();
    assert_eq!(mock.contents("there/file"), None);
    assert_eq!(world.errno("/there/file"), Some(Errno::ENOENT));
}

#[test]
fn hard_links_from_below_are_one_file() {
    let mock = Mock::new(false);
    for name in ["one", "two"] {
        mock.put(name, 0o100_644, 50, b"same");
        mock.items.lock().unwrap().get_mut(name.as_bytes()).unwrap().links = 2;
    }
    let world = World::over(&mock, LAYER);
    let one = world.open("/one", Status::READ_WRITE, How::empty()).unwrap();
    put(&one, 0, b"SA");
    assert_eq!(world.read("/two"), b"SAme");
}

#[test]
fn grafts_hide_and_show() {
    let mock = Mock::new(false);
    let tree = Tree::memory("tmpfs", TMPFS_MAGIC, Owner { mode: 0o755, uid: 0, gid: 0 });
    let lower: Arc<dyn Lower> = Arc::<Mock>::clone(&mock);
    finish(tree.graft(b"/home/me/project", Arc::clone(&lower), LAYER)).unwrap();
    finish(tree.graft(b"/home/me/project/dir/sub/inner", lower, LAYER)).unwrap();
    let world = World::new(&tree);
    assert_eq!(world.list("/home/me"), ["project"]);
    assert_eq!(world.read("/home/me/project/dir/sub/inner/dir/file"), b"from below");
    assert_eq!(world.list("/home/me/project/dir/sub"), ["deep", "inner"]);
    let text = world.find("/home/me/project/dir").unwrap().path(&world.root);
    assert_eq!(text.bytes, b"/home/me/project/dir");
}

#[test]
fn names_come_and_go() {
    let world = World::memory();
    world.write("/a", b"a");
    world.make("/d", Kind::Directory, b"").unwrap();
    assert_eq!(world.links("/"), 3);
    finish(names::link(&world.find("/a").unwrap(), world.start(), b"/d/b")).unwrap();
    assert_eq!((world.links("/a"), world.read("/d/b")), (2, b"a".to_vec()));
    world.unlink("/a").unwrap();
    assert_eq!((world.links("/d/b"), world.errno("/a")), (1, Some(Errno::ENOENT)));
    let error = |result: Result<()>| result.unwrap_err().errno;
    assert_eq!(error(world.unlink("/d")), Errno::EISDIR);
    assert_eq!(error(world.unlink("/d/b/")), Errno::ENOTDIR);
    assert_eq!(error(world.rmdir("/d")), Errno::ENOTEMPTY);
    assert_eq!(error(world.rmdir("/d/b")), Errno::ENOTDIR);
    assert_eq!(error(world.rmdir("/d/.")), Errno::EINVAL);
    assert_eq!(error(world.rmdir("/d/..")), Errno::ENOTEMPTY);
    assert_eq!(error(world.rmdir("/")), Errno::EBUSY);
    let held = world.find("/d").unwrap();
    world.unlink("/d/b").unwrap();
    world.rmdir("/d").unwrap();
    assert_eq!(world.links("/"), 2);
    assert!(held.path(&world.root).removed);
    let start = Start::new(&world.root, &held, &world.who);
    let new = New { kind: Kind::File, permissions: 0, uid: 0, gid: 0, rdev: 0, target: b"" };
    let error = finish(names::make(start, b"x", new)).unwrap_err();
    assert_eq!(error.errno, Errno::ENOENT);
}

#[test]
fn renames_obey_their_rules() {
    let world = World::memory();
    for directory in ["/a", "/a/b", "/c", "/e"] {
        world.make(directory, Kind::Directory, b"").unwrap();
    }
    world.write("/f", b"f");
    world.write("/g", b"g");
    world.write("/c/x", b"x");
    let error = |old: &str, new: &str| {
        world.rename(old, new, Existing::Replace).err().map(|error| error.errno)
    };
    assert_eq!(error("/a", "/a/b/c"), Some(Errno::EINVAL));
    assert_eq!(error("/a/b", "/a"), Some(Errno::ENOTEMPTY));
    assert_eq!(error("/a", "/c"), Some(Errno::ENOTEMPTY));
    assert_eq!(error("/a", "/f"), Some(Errno::ENOTDIR));
    assert_eq!(error("/f", "/a"), Some(Errno::EISDIR));
    assert_eq!(error("/f", "/new/"), Some(Errno::ENOTDIR));
    assert_eq!(error("/none", "/f"), Some(Errno::ENOENT));
    assert_eq!(error("/a/.", "/z"), Some(Errno::EBUSY));
    assert_eq!(error("/f", "/f"), None);
    assert_eq!(error("/f", "/g"), None);
    assert_eq!((world.read("/g"), world.errno("/f")), (b"f".to_vec(), Some(Errno::ENOENT)));
    assert_eq!(error("/a/b", "/e"), None);
    assert_eq!((world.links("/a"), world.links("/e")), (2, 2));
    assert_eq!(error("/c", "/a/c"), None);
    assert_eq!((world.links("/a"), world.links("/")), (3, 4));
    assert_eq!(world.find("/a/c/..").unwrap().path(&world.root).bytes, b"/a");
    world.rename("/a/c", "/g", Existing::Exchange).unwrap();
    assert_eq!((world.read("/g/x"), world.read("/a/c")), (b"x".to_vec(), b"f".to_vec()));
    assert_eq!((world.links("/a"), world.links("/")), (2, 5));
}

#[test]
fn positions_of_a_list_survive_changes() {
    let world = World::memory();
    for name in ["/a", "/b", "/c"] {
        world.write(name, b"");
    }
    let root = world.find("/").unwrap();
    let mut seen = Vec::new();
    let mut position = 0;
    for step in 0.. {
        let mut room = 1;
        let before = seen.len();
        position = root
            .node()
            .list(position, &mut |entry| {
                room -= 1;
                if room >= 0 {
                    seen.push(entry.name.to_vec());
                }
                room >= 0
            })
            .unwrap();
        if before == seen.len() {
            break;
        }
        match step {
            2 => world.unlink("/a").unwrap(),
            3 => world.write("/d", b""),
            _ => {}
        }
    }
    assert_eq!(seen, [&b"."[..], b"..", b"a", b"b", b"c", b"d"]);
}

#[test]
fn a_running_file_can_not_be_written() {
    let world = World::memory();
    world.write("/prog", b"x");
    let place = world.find("/prog").unwrap();
    let file = place.node().as_any().downcast_ref::<super::File>().unwrap();
    let writer = world.open("/prog", Status::WRITE, How::empty()).unwrap();
    assert_eq!(file.deny_writing().unwrap_err().errno, Errno::ETXTBSY);
    drop(writer);
    file.deny_writing().unwrap();
    let refused = world.open("/prog", Status::WRITE, How::empty()).err().map(|error| error.errno);
    assert_eq!(refused, Some(Errno::ETXTBSY));
    file.allow_writing();
    assert!(world.open("/prog", Status::WRITE, How::empty()).is_ok());
}

#[test]
fn opening_obeys_its_rules() {
    let world = World::memory();
    world.make("/d", Kind::Directory, b"").unwrap();
    world.write("/f", b"f");
    world.make("/to-f", Kind::Link, b"f").unwrap();
    world.make("/to-new", Kind::Link, b"d/new").unwrap();
    let error = |path: &str, status: Status, how: How| {
        world.open(path, status, how).err().map(|error| error.errno)
    };
    let (read, write) = (Status::empty(), Status::WRITE);
    assert_eq!(error("/d", write, How::empty()), Some(Errno::EISDIR));
    assert_eq!(error("/d", read, How::CREATE), Some(Errno::EISDIR));
    assert_eq!(error("/x/", read, How::CREATE), Some(Errno::EISDIR));
    assert_eq!(error("/f", read, How::DIRECTORY), Some(Errno::ENOTDIR));
    assert_eq!(error("/f/", read, How::empty()), Some(Errno::ENOTDIR));
    assert_eq!(error("/f", read, How::CREATE | How::EXCLUSIVE), Some(Errno::EEXIST));
    assert_eq!(error("/to-new", read, How::CREATE | How::EXCLUSIVE), Some(Errno::EEXIST));
    assert_eq!(error("/to-f", read, How::NO_FOLLOW), Some(Errno::ELOOP));
    assert_eq!(error("/to-f", Status::PATH, How::NO_FOLLOW), None);
    assert_eq!(error("/to-new", read, How::empty()), Some(Errno::ENOENT));
    assert_eq!(error("/to-new", write, How::CREATE), None);
    assert_eq!(world.list("/d"), ["new"]);
    assert_eq!(error("/", read, How::CREATE), Some(Errno::EISDIR));
    assert_eq!(error("", read, How::empty()), Some(Errno::ENOENT));
    assert_eq!(world.read("/f"), b"f");
    assert_eq!(error("/f", write, How::TRUNCATE), None);
    assert_eq!(world.read("/f"), b"");
}
