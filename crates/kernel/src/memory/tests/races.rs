//! Threads that change and use the same memory at once.

use std::sync::Arc;

use storage::pages::Pages;

use super::super::map::{MapFlags, Type};
use super::super::{Access, PAGE, Prot};
use super::{World, file};

const BASE: u64 = 0x10_0000_0000;
const SPAN: u64 = 64;

/// A cheap sequence of numbers, different for each thread.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

fn change(world: &World, pages: &Arc<Pages>, random: &mut u64) {
    let rw = Prot::READ | Prot::WRITE;
    let at = BASE + next(random) % SPAN * PAGE;
    let len = (1 + next(random) % 8) * PAGE;
    match next(random) % 6 {
        0 => {
            world.anonymous(at, len, rw, MapFlags::FIXED).expect("mapped");
        }
        1 => {
            let flags = MapFlags::FIXED | MapFlags::NO_RESERVE;
            world.anonymous(at, len, rw, flags).expect("mapped");
        }
        2 => {
            let kind = if next(random).is_multiple_of(2) { Type::Shared } else { Type::Private };
            let offset = next(random) % 32 * PAGE;
            world.space.map(&file(at, len, rw, kind, pages, offset)).expect("mapped");
        }
        3 => world.space.unmap(at, len).expect("unmapped"),
        4 => {
            let _ = world.space.protect(at, len, next(random) % 4);
        }
        _ => pages.truncate(next(random) % 40 * PAGE).expect("length"),
    }
}

#[test]
fn changes_faults_and_truncation_at_once_leave_books_that_agree() {
    let world = World::new();
    let pages = Pages::new();
    pages.truncate(32 * PAGE).expect("length");
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let (world, pages) = (&world, &pages);
            scope.spawn(move || {
                let mut random = seed;
                for _ in 0..2000 {
                    if seed < 2 {
                        change(world, pages, &mut random);
                    } else {
                        let at = BASE + next(&mut random) % SPAN * PAGE;
                        let access = if next(&mut random).is_multiple_of(2) {
                            Access::Read
                        } else {
                            Access::Write
                        };
                        let _ = world.space.populate_now(at, access);
                    }
                }
            });
        }
    });
    world.check();
    world.space.clear();
    assert!(world.books.pages.lock().expect("books").is_empty());
}
