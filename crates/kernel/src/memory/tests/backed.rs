//! Mappings of files that live elsewhere.

use std::sync::{Arc, Mutex};

use abi::errno::Result;
use platform::arena::Extent;
use storage::pages::{Backing, Content, Pages, Waiting, moment};

use super::super::map::Type;
use super::super::{PAGE, Prot};
use super::{World, file};

const RW: Prot = Prot::READ.union(Prot::WRITE);
const BASE: u64 = 0x10_0000_0000;

/// A file of the host: each page holds its number plus 100.
struct Disk {
    bytes: Mutex<Vec<u8>>,
}

impl Disk {
    fn new(pages: u64) -> Arc<Self> {
        let page = |number: u64| {
            let mut page = vec![0; PAGE as usize];
            page[..8].copy_from_slice(&(100 + number).to_le_bytes());
            page
        };
        Arc::new(Self { bytes: Mutex::new((0..pages).flat_map(page).collect()) })
    }

    fn number(&self, page: u64) -> u64 {
        let at = (page * PAGE) as usize;
        let bytes = self.bytes.lock().expect("disk");
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
    }
}

impl Backing for Disk {
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>> {
        let bytes = self.bytes.lock().expect("disk");
        let start = (offset as usize).min(bytes.len());
        let end = (start + len).min(bytes.len());
        let part = bytes[start..end].to_vec();
        Box::pin(core::future::ready(Ok(Content::Bytes(part))))
    }

    fn writable(&self) -> bool {
        true
    }

    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        let mut bytes = self.bytes.lock().expect("disk");
        let start = offset as usize;
        extent.read(at, &mut bytes[start..start + len]);
        Box::pin(core::future::ready(Ok(())))
    }
}

fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("nothing to wait for"),
    }
}

#[test]
fn faults_bring_contents_and_msync_carries_writes_back() {
    let world = World::new();
    let disk = Disk::new(40);
    let pages = Pages::backed(Arc::clone(&disk) as Arc<dyn Backing>, 40 * PAGE);
    world.space.map(&file(BASE, 40 * PAGE, Prot::READ, Type::Shared, &pages, 0)).expect("mapped");
    for page in [0, 39, 20] {
        assert_eq!(world.load(BASE + page * PAGE), Ok(100 + page));
    }
    world.space.protect(BASE, 40 * PAGE, 3).expect("writable");
    world.check();
    world.store(BASE + 20 * PAGE, 7).expect("stored");
    world.check();
    assert_eq!(disk.number(20), 120);
    finish(world.space.sync(BASE, 40 * PAGE, 4)).expect("written");
    assert_eq!(disk.number(20), 7);
    assert_eq!(disk.number(39), 139);
    world.store(BASE + 20 * PAGE, 8).expect("stored");
    finish(world.space.sync(BASE, 40 * PAGE, 4)).expect("written again");
    assert_eq!(disk.number(20), 8);
}

#[test]
fn private_copies_outlive_a_change_of_the_file() {
    let world = World::new();
    let disk = Disk::new(8);
    let pages = Pages::backed(Arc::clone(&disk) as Arc<dyn Backing>, 8 * PAGE);
    world.space.map(&file(BASE, 8 * PAGE, RW, Type::Private, &pages, 0)).expect("private");
    let text = BASE + 0x10_0000;
    world.space.map(&file(text, 8 * PAGE, Prot::READ, Type::Private, &pages, 0)).expect("text");
    world.store(BASE, 5).expect("stored");
    world.store(BASE + 7 * PAGE, 6).expect("stored");
    assert_eq!(world.load(text), Ok(100));
    disk.bytes.lock().expect("disk")[0] = 50;
    pages.refresh(4 * PAGE, moment());
    assert_eq!(world.load(BASE), Ok(5), "the process's own");
    assert_eq!(world.load(text), Ok(50), "the file's");
    assert!(world.load(BASE + 7 * PAGE).is_err(), "beyond the end");
    world.check();
}

#[test]
fn willneed_brings_contents_in() {
    let world = World::new();
    let disk = Disk::new(64);
    let pages = Pages::backed(disk, 64 * PAGE);
    let at = BASE + 0x20_0000;
    world.space.map(&file(at, 64 * PAGE, Prot::READ, Type::Private, &pages, 0)).expect("mapped");
    assert_eq!(world.space.resident(at, PAGE), Ok(vec![0]));
    assert!(world.space.advise_now(at, 64 * PAGE, 3).is_none(), "it may wait");
    finish(world.space.advise(at, 64 * PAGE, 3)).expect("filled");
    assert_eq!(world.space.resident(at, PAGE), Ok(vec![1]));
}
