//! Mappings of files and of patched text.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use abi::Errno;
use platform::user::{self, Short};
use storage::pages::Pages;

use super::super::map::{FileSource, MapFlags, Request, Type};
use super::super::populate::{Access, Refusal};
use super::super::text::{Change, Patching, Text, TextWatcher};
use super::super::{PAGE, Prot};
use super::{Content, World, file};

const RW: Prot = Prot::READ.union(Prot::WRITE);
const RX: Prot = Prot::READ.union(Prot::EXEC);
const BASE: u64 = 0x10_0000_0000;

/// A file whose pages hold 100, 101, and so on.
fn numbered(pages: u64) -> Arc<Pages> {
    let file = Pages::new();
    for page in 0..pages {
        file.write_bytes(page * PAGE, &(100 + page).to_le_bytes()).expect("memory");
    }
    file.truncate(pages * PAGE).expect("length");
    file
}

fn number(file: &Pages, page: u64) -> u64 {
    let mut bytes = [0; 8];
    file.read_bytes(page * PAGE, &mut bytes).expect("present");
    u64::from_le_bytes(bytes)
}

#[test]
fn private_writes_stay_private_and_shared_ones_are_seen() {
    let world = World::new();
    let pages = numbered(4);
    world.space.map(&file(BASE, 4 * PAGE, RW, Type::Private, &pages, 0)).expect("private");
    let shared = BASE + 0x10_0000;
    world.space.map(&file(shared, 2 * PAGE, RW, Type::Shared, &pages, PAGE)).expect("shared");
    assert_eq!(world.load(BASE + 3 * PAGE), Ok(103));
    world.store(BASE + PAGE, 7).expect("stored");
    assert_eq!(number(&pages, 1), 101);
    world.store(shared + PAGE, 8).expect("stored");
    assert_eq!(number(&pages, 2), 8);
    assert_eq!(world.load(BASE + 2 * PAGE), Ok(8), "one frame for all");
    assert_eq!(world.space.statistics().charged, 4 * PAGE, "only the private one");
    world.check();
}

#[test]
fn cached_text_is_mapped_in_few_calls_and_from_the_cache() {
    let world = World::new();
    let pages = numbered(64);
    let before = world.books.calls();
    world.space.map(&file(BASE, 64 * PAGE, RX, Type::Private, &pages, 0)).expect("mapped");
    assert!(world.books.calls() - before <= 10);
    assert!(matches!(world.books.at(BASE + 63 * PAGE), Some((_, Content::Shared(_)))));
    assert_eq!(world.space.statistics().charged, 0);
    world.check();
}

#[test]
fn beyond_the_end_is_a_bus_error() {
    let world = World::new();
    let pages = numbered(2);
    pages.truncate(PAGE + 1).expect("shorter");
    world.space.map(&file(BASE, 4 * PAGE, RW, Type::Shared, &pages, 0)).expect("mapped");
    assert_eq!(world.load(BASE + PAGE), Ok(101));
    assert_eq!(world.load(BASE + 2 * PAGE), Err(Refusal::Bus));
    pages.truncate(3 * PAGE).expect("longer");
    assert_eq!(world.store(BASE + 2 * PAGE, 9), Ok(()));
    assert_eq!(number(&pages, 2), 9);
    pages.truncate(1).expect("shorter");
    assert_eq!(world.load(BASE + 2 * PAGE), Err(Refusal::Bus));
    pages.truncate(3 * PAGE).expect("longer");
    assert_eq!(world.load(BASE + 2 * PAGE), Ok(0), "what was cut off is zero");
    world.check();
}

#[test]
fn sparse_shared_memory_costs_what_is_used() {
    let world = World::new();
    let pages = Pages::new();
    pages.truncate(1 << 34).expect("length");
    world.space.map(&file(BASE, 1 << 34, RW, Type::Shared, &pages, 0)).expect("mapped");
    assert_eq!(pages.blocks(), 0);
    world.store(BASE + (1 << 33), 5).expect("stored");
    assert!(pages.blocks() <= 128);
    assert_eq!(world.load(BASE + (1 << 33)), Ok(5));
    world.check();
}

#[test]
fn access_follows_the_descriptor() {
    let world = World::new();
    let pages = numbered(1);
    let request = |prot, kind, readable, writable, executable| {
        let mut request = file(0, PAGE, prot, kind, &pages, 0);
        let file: &mut FileSource = request.file.as_mut().expect("a file");
        (file.readable, file.writable, file.executable) = (readable, writable, executable);
        world.space.map(&request)
    };
    let errno = |outcome: abi::errno::Result<u64>| outcome.expect_err("refused").errno;
    assert_eq!(errno(request(RW, Type::Shared, true, false, true)), Errno::EACCES);
    assert_eq!(errno(request(RW, Type::Private, false, true, true)), Errno::EACCES);
    assert_eq!(errno(request(RX, Type::Private, true, false, false)), Errno::EPERM);
    assert!(request(RW, Type::Private, true, false, true).is_ok());
    let at = request(Prot::READ, Type::Shared, true, false, true).expect("read only");
    assert_eq!(world.space.protect(at, PAGE, 3).expect_err("not writable").errno, Errno::EACCES);
    let at = request(Prot::READ, Type::Private, true, false, false).expect("no execution");
    assert_eq!(world.space.protect(at, PAGE, 5).expect_err("noexec").errno, Errno::EACCES);
    let raw = Type::decode(3 | 1 << 40).0;
    assert_eq!(errno(request(RW, raw, true, true, true)), Errno::EOPNOTSUPP);
    let mut none = file(0, PAGE, RW, Type::Private, &pages, 0);
    none.file.as_mut().expect("a file").pages = None;
    assert_eq!(errno(world.space.map(&none)), Errno::ENODEV);
    let huge = file(0, PAGE, RW, Type::Private, &pages, u64::MAX - PAGE + 1);
    assert_eq!(errno(world.space.map(&huge)), Errno::EOVERFLOW);
}

#[test]
fn futexes_are_known_by_what_they_lie_in() {
    let world = World::new();
    let pages = numbered(2);
    world.space.map(&file(BASE, PAGE, RW, Type::Shared, &pages, PAGE)).expect("mapped");
    let other = BASE + 0x10_0000;
    world.space.map(&file(other, 2 * PAGE, RW, Type::Shared, &pages, 0)).expect("mapped");
    let key = |address, private| world.space.futex_key(address, private, Access::Read);
    assert_eq!(key(BASE + 8, false), key(other + PAGE + 8, false));
    assert_ne!(key(BASE + 8, true), key(other + PAGE + 8, true));
    assert_eq!(key(BASE - PAGE, false).expect_err("a hole").errno, Errno::EFAULT);
}

#[test]
fn an_old_size_of_zero_maps_shared_memory_twice() {
    let world = World::new();
    let pages = numbered(2);
    world.space.map(&file(BASE, 2 * PAGE, RW, Type::Shared, &pages, 0)).expect("mapped");
    let again = world.space.remap(BASE + PAGE, 0, PAGE, 1, 0).expect("mapped again");
    world.store(again, 3).expect("stored");
    assert_eq!(world.load(BASE + PAGE), Ok(3));
    world.check();
}

#[test]
fn file_mappings_move_with_what_they_hold() {
    let world = World::new();
    let pages = numbered(4);
    world.space.map(&file(BASE, 3 * PAGE, RW, Type::Private, &pages, 0)).expect("mapped");
    world.store(BASE + PAGE, 7).expect("stored");
    let to = BASE + 0x10_0000;
    assert_eq!(world.space.remap(BASE + PAGE, 2 * PAGE, 3 * PAGE, 3, to), Ok(to));
    assert_eq!(world.load(to), Ok(7));
    assert_eq!(world.load(to + PAGE), Ok(102));
    assert_eq!(world.load(to + 2 * PAGE), Ok(103));
    assert_eq!(world.space.maps()[1].offset, PAGE);
    world.check();
}

/// Puts the old bytes back, as interception does, and notes what it was told.
struct Patcher {
    told: Mutex<Vec<(Range<u64>, Change)>>,
}

impl TextWatcher for Patcher {
    fn before_change(&self, range: &Range<u64>, change: Change, patching: &mut Patching<'_>) {
        self.told.lock().expect("notes").push((range.clone(), change));
        if let Some(extent) = patching.existing_text_frame(BASE) {
            extent.write(0, &100_u64.to_le_bytes());
        }
    }

    fn mapped(&self, _: &Text, _: &mut Patching<'_>) {}

    fn copy_in(&self, address: u64, out: &mut [u8]) -> Result<(), Short> {
        user::copy_in(address, out)?;
        out.fill(0xEE); // recognisable
        Ok(())
    }
}

#[test]
fn patched_text_is_this_process_own() {
    let world = World::new();
    let watcher = Arc::new(Patcher { told: Mutex::new(Vec::new()) });
    assert!(world.space.set_watcher(Arc::clone(&watcher) as Arc<dyn TextWatcher>));
    let pages = numbered(4);
    world.space.map(&file(BASE, 4 * PAGE, RX, Type::Private, &pages, 0)).expect("mapped");
    world.space.patching(|patching| {
        assert!(patching.text(BASE + PAGE).is_some());
        let extent = patching.text_frame(BASE).expect("copied");
        extent.write(0, &77_u64.to_le_bytes());
        let mut bytes = [0; 8];
        assert_eq!(patching.read(BASE, &mut bytes), 8);
        assert_eq!(u64::from_le_bytes(bytes), 77);
    });
    assert_eq!(world.load(BASE), Ok(77));
    assert_eq!(number(&pages, 0), 100, "the file is untouched");
    world.check();
    world.space.protect(BASE, 4 * PAGE, 3).expect("writable");
    assert_eq!(world.load(BASE), Ok(100), "its own bytes");
    world.store(BASE, 5).expect("stored");
    assert_eq!(number(&pages, 0), 100);
    assert_eq!(*watcher.told.lock().expect("notes"), [(BASE..BASE + 4 * PAGE, Change::Writable)]);
    world.space.patching(|patching| {
        let refused = patching.text_frame(BASE).expect_err("writable");
        assert_eq!(refused.errno, Errno::EACCES);
    });
    world.check();
}

#[test]
fn trampolines_are_holes_to_the_program() {
    let world = World::new();
    let watcher = Arc::new(Patcher { told: Mutex::new(Vec::new()) });
    world.space.set_watcher(Arc::clone(&watcher) as Arc<dyn TextWatcher>);
    let pages = numbered(1);
    world.space.map(&file(BASE, PAGE, RX, Type::Private, &pages, 0)).expect("mapped");
    let page = BASE + 0x1000_0000;
    let extent = world.space.patching(|patching| patching.allocate_at(page)).expect("allocated");
    extent.write(0, &[0xCC; 16]);
    assert_eq!(world.space.statistics().mapped, PAGE, "not the program's");
    assert!(world.space.find(page).expect("shown").text().ends_with("[adyton]"));
    world.space.unmap(page, PAGE).expect("a hole");
    assert!(world.space.find(page).is_some(), "it stays");
    assert_eq!(world.space.protect(page, PAGE, 3).expect_err("a hole").errno, Errno::ENOMEM);
    assert_eq!(world.space.populate_now(page, super::Access::Write), Err(Refusal::Unmapped));
    let told = watcher.told.lock().expect("notes").len();
    let fixed = MapFlags::FIXED;
    world.space.map(&Request::anonymous(page, PAGE, RW, fixed)).expect("displaced");
    assert!(watcher.told.lock().expect("notes").len() > told);
    assert!(!world.space.find(page).expect("mapped").text().contains("adyton"));
    world.check();
    let page = page + PAGE;
    world.space.patching(|patching| {
        patching.allocate_at(page).expect("allocated");
        patching.free(page).expect("freed");
    });
    assert!(world.space.find(page).is_none());
    world.check();
}
