//! Calls of the manual pages, one by one.

use abi::Errno;
use abi::errno::Result;

use super::super::area::Flags;
use super::super::map::{MapFlags, Request, Type};
use super::super::{Access, Limit, PAGE, Prot};
use super::super::{lock::When, populate::Refusal};
use super::{REGION, World};

const RW: Prot = Prot::READ.union(Prot::WRITE);
const BASE: u64 = 0x10_0000_0000;

fn errno<T: core::fmt::Debug>(outcome: Result<T>) -> Errno {
    outcome.expect_err("refused").errno
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

#[test]
fn mmap_refuses_what_linux_refuses() {
    let world = World::new();
    let map = |address, len, flags| world.anonymous(address, len, RW, flags);
    assert_eq!(errno(map(0, 0, MapFlags::empty())), Errno::EINVAL);
    assert_eq!(errno(map(0, u64::MAX, MapFlags::empty())), Errno::ENOMEM);
    assert_eq!(errno(map(0, REGION.end + PAGE, MapFlags::empty())), Errno::ENOMEM);
    assert_eq!(errno(map(BASE + 1, PAGE, MapFlags::FIXED)), Errno::EINVAL);
    assert_eq!(errno(map(PAGE, PAGE, MapFlags::FIXED)), Errno::EPERM);
    assert_eq!(errno(map(REGION.end, PAGE, MapFlags::FIXED)), Errno::ENOMEM);
    assert_eq!(errno(map(0, PAGE, MapFlags::HUGE_TLB)), Errno::ENOMEM);
    map(BASE, 2 * PAGE, MapFlags::FIXED).expect("free");
    assert_eq!(errno(map(BASE + PAGE, PAGE, MapFlags::FIXED_NO_REPLACE)), Errno::EEXIST);
    assert_eq!(map(BASE + 2 * PAGE, PAGE, MapFlags::FIXED_NO_REPLACE), Ok(BASE + 2 * PAGE));
    let mut request = Request::anonymous(0, PAGE, RW, MapFlags::empty());
    request.kind = Type::Unknown;
    assert_eq!(errno(world.space.map(&request)), Errno::EINVAL);
    world.check();
}

#[test]
fn hints_are_followed_when_free() {
    let world = World::new();
    let map = |address, flags| world.anonymous(address, PAGE, RW, flags).expect("mapped");
    assert_eq!(map(BASE + 5, MapFlags::empty()), BASE);
    assert_ne!(map(BASE, MapFlags::empty()), BASE);
    let low = map(0, MapFlags::LOW);
    assert!((0x4000_0000..0x8000_0000).contains(&low));
    let first = map(0, MapFlags::empty());
    assert_eq!(map(0, MapFlags::empty()), first - PAGE, "downwards");
}

#[test]
fn a_hole_is_used_again() {
    let world = World::new();
    let map = |len| world.anonymous(0, len, RW, MapFlags::empty()).expect("mapped");
    let first = map(4 * PAGE);
    let _second = map(4 * PAGE);
    world.space.unmap(first, 2 * PAGE).expect("unmapped");
    assert_eq!(map(3 * PAGE) % PAGE, 0);
    assert_eq!(map(2 * PAGE), first);
    world.check();
}

#[test]
fn neighbours_become_one_area_and_one_run() {
    let world = World::new();
    for index in [0, 2, 1] {
        let flags = MapFlags::FIXED;
        world.anonymous(BASE + index * PAGE, PAGE, RW, flags).expect("mapped");
    }
    assert_eq!(world.space.maps().len(), 1);
    world.space.protect(BASE + PAGE, PAGE, 1).expect("split");
    assert_eq!(world.space.maps().len(), 3);
    world.space.protect(BASE + PAGE, PAGE, 3).expect("joined");
    assert_eq!(world.space.maps().len(), 1);
    world.check();
}

#[test]
fn mprotect_stops_at_a_hole_but_keeps_what_it_did() {
    let world = World::new();
    world.anonymous(BASE, PAGE, RW, MapFlags::FIXED).expect("mapped");
    world.anonymous(BASE + 2 * PAGE, PAGE, RW, MapFlags::FIXED).expect("mapped");
    assert_eq!(errno(world.space.protect(BASE, 3 * PAGE, 1)), Errno::ENOMEM);
    assert_eq!(world.store(BASE, 1), Err(Refusal::Denied));
    assert_eq!(world.store(BASE + 2 * PAGE, 1), Ok(()));
    assert_eq!(errno(world.space.protect(BASE + 1, PAGE, 1)), Errno::EINVAL);
    assert_eq!(errno(world.space.protect(BASE + PAGE, PAGE, 1)), Errno::ENOMEM);
    assert_eq!(errno(world.space.protect(BASE, PAGE, 16)), Errno::EINVAL);
    assert_eq!(errno(world.space.protect(BASE, PAGE, 1 | 0x100_0000)), Errno::EINVAL);
    assert_eq!(world.space.protect(BASE + PAGE, 0, 1), Ok(()));
    world.check();
}

#[test]
fn reservations_cost_nothing() {
    let world = World::new();
    let before = world.books.calls();
    world.anonymous(0, 16 << 40, RW, MapFlags::NO_RESERVE).expect_err("longer than the region");
    let at = world.anonymous(0, 2 << 36, RW, MapFlags::NO_RESERVE).expect("reserved");
    let none = world.anonymous(0, 2 << 36, Prot::empty(), MapFlags::empty()).expect("reserved");
    assert_eq!(world.books.calls(), before, "no host call");
    assert_eq!(world.space.statistics().charged, 0);
    world.store(at + (1 << 35), 7).expect("opened by a fault");
    assert_eq!(world.space.statistics().charged, 64 << 10);
    assert_eq!(world.load(none), Err(Refusal::Denied));
    for chunk in 1..64 {
        world.store(at + (1 << 35) + (chunk << 16), 7).expect("opened by a fault");
    }
    assert_eq!(world.space.statistics().charged, 4 << 20);
    assert!(world.books.calls() - before < 12, "chunks grow");
    block_on(world.space.advise(at, 2 << 36, 4)).expect("dropped");
    assert_eq!(world.space.statistics().charged, 0);
    assert_eq!(world.load(at + (1 << 35)), Ok(0));
    world.check();
}

#[test]
fn a_stack_grows_down_to_its_limit_and_keeps_its_distance() {
    let world = World::new();
    world.space.set_limit(Limit::Stack, 1 << 20);
    let stack = world.space.map_stack(128 << 10, RW).expect("mapped");
    assert_eq!(world.store(stack.start - PAGE, 1), Ok(()));
    assert_eq!(world.store(stack.end - (1 << 20), 1), Ok(()));
    assert_eq!(world.store(stack.end - (1 << 20) - PAGE, 1), Err(Refusal::Unmapped));
    world.check();
    let other = World::new();
    let stack = other.space.map_stack(128 << 10, RW).expect("mapped");
    let below = stack.start - (2 << 20);
    other.anonymous(below, PAGE, RW, MapFlags::FIXED).expect("mapped");
    assert_eq!(other.store(below + PAGE + (1 << 20), 1), Ok(()));
    assert_eq!(other.store(below + (1 << 20), 1), Err(Refusal::Unmapped));
    other.check();
}

#[test]
fn thread_stacks_open_their_top() {
    let world = World::new();
    let at = world.anonymous(0, 8 << 20, Prot::empty(), MapFlags::STACK).expect("mapped");
    world.space.protect(at + PAGE, (8 << 20) - PAGE, 3).expect("opened");
    assert_eq!(world.space.statistics().charged, 64 << 10);
    assert!(world.books.at(at + (8 << 20) - PAGE).is_some());
    assert!(world.books.at(at + (4 << 20)).is_none());
    assert_eq!(world.store(at + (4 << 20), 3), Ok(()));
    assert_eq!(world.store(at, 3), Err(Refusal::Denied));
    world.space.unmap(at, 8 << 20).expect("unmapped");
    assert_eq!(world.space.statistics().charged, 0);
    world.check();
}

#[test]
fn the_limit_refuses_with_one_report() {
    let world = World::new();
    let none = world.anonymous(0, 1 << 35, Prot::empty(), MapFlags::empty()).expect("free");
    // The other tests of this process share the one limit: it leaves them room.
    platform::budget::set_limit(platform::budget::total() + (8 << 30));
    let outcome = world.anonymous(0, 1 << 35, RW, MapFlags::empty());
    let later = world.space.protect(none, 1 << 35, 3);
    platform::budget::set_limit(u64::MAX);
    assert_eq!(errno(outcome), Errno::ENOMEM);
    assert_eq!(errno(later), Errno::ENOMEM);
    assert_eq!(*world.refusals.lock().expect("reports"), [1 << 35, 1 << 35]);
    assert_eq!(world.space.statistics().charged, 0);
    world.check();
}

#[test]
fn the_break_moves() {
    let world = World::new();
    let start = BASE + 0x123;
    world.space.set_heap(start);
    assert_eq!(world.space.brk(0), start);
    let calls = world.books.calls();
    for step in 1..100 {
        assert_eq!(world.space.brk(start + step * 8192), start + step * 8192);
    }
    assert_eq!(world.books.calls() - calls, 1, "one call for a MiB");
    assert_eq!(world.space.statistics().mapped, page_up(start + 99 * 8192) - page_up(start));
    let page = page_up(start) + 40 * PAGE;
    world.store(page, 9).expect("the heap is writable");
    assert_eq!(world.space.brk(start + 8192), start + 8192);
    assert_eq!(world.load(page), Err(Refusal::Unmapped));
    assert_eq!(world.space.brk(start + 99 * 8192), start + 99 * 8192);
    assert_eq!(world.load(page), Ok(0), "zeros again");
    world.anonymous(page_up(start + (1 << 20)), PAGE, RW, MapFlags::FIXED).expect("mapped");
    assert_eq!(world.space.brk(start + (2 << 20)), start + 99 * 8192, "a mapping is in the way");
    assert_eq!(world.space.brk(start - 1), start + 99 * 8192);
    world.space.set_limit(Limit::Data, 8192);
    assert_eq!(world.space.brk(start + 100 * 8192), start + 99 * 8192);
    let heap = world.space.find(page).expect("mapped");
    assert!(heap.flags.contains(Flags::HEAP) && heap.text().ends_with("[heap]"));
    world.check();
}

fn page_up(address: u64) -> u64 {
    address.next_multiple_of(PAGE)
}

#[test]
fn mremap_refuses_what_linux_refuses() {
    let world = World::new();
    let space = &world.space;
    let at = world.anonymous(BASE, 4 * PAGE, RW, MapFlags::FIXED).expect("mapped");
    assert_eq!(errno(space.remap(at, PAGE, PAGE, 8, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at, PAGE, PAGE, 2, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at + 1, PAGE, PAGE, 1, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at, PAGE, 0, 1, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at, 0, PAGE, 1, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at - PAGE, PAGE, 2 * PAGE, 1, 0)), Errno::EFAULT);
    assert_eq!(errno(space.remap(at, 5 * PAGE, 6 * PAGE, 1, 0)), Errno::EFAULT);
    assert_eq!(errno(space.remap(at, 2 * PAGE, 2 * PAGE, 3, at + PAGE)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at, 2 * PAGE, 3 * PAGE, 5, 0)), Errno::EINVAL);
    assert_eq!(errno(space.remap(at, 2 * PAGE, 3 * PAGE, 0, 0)), Errno::ENOMEM, "no room");
    world.check();
}

#[test]
fn mremap_grows_shrinks_and_moves() {
    let world = World::new();
    let space = &world.space;
    let at = world.anonymous(BASE, 4 * PAGE, RW, MapFlags::FIXED).expect("mapped");
    world.store(at + PAGE, 5).expect("stored");
    assert_eq!(space.remap(at, 4 * PAGE, 6 * PAGE, 0, 0), Ok(at));
    assert_eq!(world.load(at + 5 * PAGE), Ok(0));
    assert_eq!(space.maps().len(), 1);
    assert_eq!(space.remap(at, 6 * PAGE, 2 * PAGE, 0, 0), Ok(at));
    assert_eq!(world.load(at + 2 * PAGE), Err(Refusal::Unmapped));
    let to = BASE + 0x10_0000;
    assert_eq!(space.remap(at, 2 * PAGE, 3 * PAGE, 3, to), Ok(to));
    assert_eq!(world.load(at), Err(Refusal::Unmapped));
    assert_eq!(world.load(to + PAGE), Ok(5));
    assert_eq!(world.load(to + 2 * PAGE), Ok(0));
    assert_eq!(space.maps().len(), 1);
    assert_eq!(space.statistics().charged, 3 * PAGE);
    let kept = space.remap(to, 3 * PAGE, 3 * PAGE, 5, 0).expect("moved");
    assert_eq!(world.load(kept + PAGE), Ok(5));
    assert_eq!(world.load(to + PAGE), Ok(0), "the old range stays, empty");
    assert_eq!(space.statistics().charged, 6 * PAGE);
    world.check();
}

#[test]
fn madvise_keeps_linux_order_of_errors() {
    let world = World::new();
    let advise = |at, len, advice| block_on(world.space.advise(at, len, advice));
    let at = world.anonymous(BASE, 2 * PAGE, RW, MapFlags::FIXED).expect("mapped");
    world.store(at, 4).expect("stored");
    assert_eq!(errno(advise(at + 1, PAGE, 77)), Errno::EINVAL);
    assert_eq!(errno(advise(at + 1, PAGE, 4)), Errno::EINVAL);
    assert_eq!(advise(0, 0, 4), Ok(()));
    assert_eq!(errno(advise(at, 3 * PAGE, 4)), Errno::ENOMEM, "after the part that is mapped");
    assert_eq!(world.load(at), Ok(0));
    assert_eq!(errno(advise(at, PAGE, 9)), Errno::EINVAL);
    assert_eq!(errno(advise(at, PAGE, 100)), Errno::EPERM);
    assert_eq!(advise(at, PAGE, 10), Ok(()));
    assert_eq!(world.space.maps().len(), 2);
    assert_eq!(advise(at, PAGE, 11), Ok(()));
    assert_eq!(world.space.maps().len(), 1);
    block_on(world.space.lock(at, PAGE, When::Now)).expect("locked");
    assert_eq!(errno(advise(at, PAGE, 4)), Errno::EINVAL);
    assert_eq!(world.space.statistics().locked, PAGE);
    world.space.unlock(at, PAGE).expect("unlocked");
    assert_eq!(errno(block_on(world.space.lock(at, 3 * PAGE, When::Now))), Errno::ENOMEM);
    world.space.protect(at, PAGE, 0).expect("closed");
    assert_eq!(errno(advise(at, PAGE, 22)), Errno::EINVAL);
    assert_eq!(advise(at + PAGE, PAGE, 23), Ok(()));
    world.check();
}

#[test]
fn mincore_and_msync_see_holes() {
    let world = World::new();
    let at = world.anonymous(BASE, 2 * PAGE, RW, MapFlags::FIXED).expect("mapped");
    assert_eq!(world.space.resident(at, 2 * PAGE), Ok(vec![1, 1]));
    assert_eq!(errno(world.space.resident(at, 3 * PAGE)), Errno::ENOMEM);
    assert_eq!(errno(world.space.resident(at + 1, PAGE)), Errno::EINVAL);
    let sync = |len, flags| block_on(world.space.sync(at, len, flags));
    assert_eq!(sync(2 * PAGE, 4), Ok(()));
    assert_eq!(errno(sync(3 * PAGE, 4)), Errno::ENOMEM);
    assert_eq!(errno(sync(PAGE, 5)), Errno::EINVAL);
    assert_eq!(errno(sync(PAGE, 8)), Errno::EINVAL);
}

#[test]
fn too_many_areas_are_refused() {
    let world = World::new();
    let none = Prot::empty();
    let len = 70_000 * PAGE;
    let at = world.anonymous(0, len, none, MapFlags::NO_RESERVE).expect("mapped");
    let mut split = 0;
    let refused = (0..35_000).find_map(|page| {
        split = page;
        world.space.unmap(at + (2 * page + 1) * PAGE, PAGE).err()
    });
    assert!(refused.is_none(), "35,000 holes fit");
    let at = world.anonymous(0, len, none, MapFlags::NO_RESERVE).expect("mapped");
    let refused = (0..35_000)
        .find_map(|page| world.space.unmap(at + (2 * page + 1) * PAGE, PAGE).err())
        .expect("the maximum");
    assert_eq!(refused.errno, Errno::ENOMEM);
    assert!(world.space.maps().len() <= 65_530);
}

#[test]
fn a_refusal_of_access_says_which() {
    let world = World::new();
    let at = world.anonymous(BASE, PAGE, Prot::READ, MapFlags::FIXED).expect("mapped");
    assert_eq!(world.space.populate_now(at, Access::Write), Err(Refusal::Denied));
    assert_eq!(world.space.populate_now(at, Access::Execute), Err(Refusal::Denied));
    assert_eq!(world.space.populate_now(at + PAGE, Access::Read), Err(Refusal::Unmapped));
    assert_eq!(world.space.populate_now(u64::MAX, Access::Read), Err(Refusal::Unmapped));
}

#[test]
fn clearing_leaves_nothing() {
    let world = World::new();
    world.space.set_heap(BASE);
    world.space.brk(BASE + 8192);
    world.anonymous(0, 1 << 20, RW, MapFlags::empty()).expect("mapped");
    world.space.clear();
    assert!(world.space.maps().is_empty());
    assert_eq!(world.space.statistics().charged, 0);
    assert!(world.books.pages.lock().expect("books").is_empty());
}
