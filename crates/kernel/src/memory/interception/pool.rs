//! The trampoline pages of one process.
//!
//! A page or a trampoline that is no longer jumped to may still be executed by a vCPU that was just
//! about to: it is *retired* first, and reused when every vCPU has been in the LibOS since.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::code::page_of;
use super::decide::{PageState, Rule, Windows};
use super::patch::{Patch, Trampoline};
use super::trampoline::{self, Page, STUB};
use super::{PAGE, REACH};

/// Unused bytes that make a page worth offering for one more trampoline.
const ROOM: u64 = trampoline::LONGEST;

/// What the process's address space says about places for trampoline pages.
pub trait Space {
    /// Whether the page at `page` lies in the user region with nothing mapped or reserved there.
    fn is_free(&self, page: u64) -> bool;

    /// A free page within `range`, as near to `site` as is easily found and where the program is
    /// unlikely to want a mapping of its own (not right behind the heap).
    fn find_free(&self, site: u64, range: Range<u64>) -> Option<u64>;
}

/// A round of the vCPUs: it ends when each has been in the LibOS once after it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(pub u64);

#[derive(Clone, Debug)]
struct Held {
    page: Page,
    /// Whether it was mapped for trampolines that may lie anywhere; the page of a window is left to
    /// the puns that can lie nowhere else.
    general: bool,
}

/// The trampoline pages of one process.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    pages: BTreeMap<u64, Held>,
    retired: Vec<(Round, Patch)>,
}

impl Pool {
    /// No pages.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first of our pages that has a byte of `range`.
    pub fn first_in(&self, range: &Range<u64>) -> Option<u64> {
        self.pages.range(page_of(range.start)..range.end).next().map(|(base, _)| *base)
    }

    /// Addresses of all pages, in order.
    pub fn pages(&self) -> impl Iterator<Item = u64> + '_ {
        self.pages.keys().copied()
    }

    /// Enters a trampoline that is about to be written; false, and nothing is changed, when its
    /// place is taken.
    pub fn commit(&mut self, trampoline: &Trampoline, general: bool) -> bool {
        let base = trampoline.page();
        if trampoline.fresh {
            if self.pages.contains_key(&base) {
                return false;
            }
            let mut page = Page::with_stub(base, trampoline.stub);
            let taken = page.take(trampoline.range());
            if taken {
                self.pages.insert(base, Held { page, general });
            }
            return taken;
        }
        self.pages.get_mut(&base).is_some_and(|held| held.page.take(trampoline.range()))
    }

    /// Gives up the trampoline of a patch that has been undone: no text leads there any more.
    pub fn retire(&mut self, patch: Patch, now: Round) {
        // Its pad is undone as well, when nobody can be there.
        self.retired.push((now, Patch { pad: None, ..patch }));
    }

    /// How many are given up and not yet free.
    pub fn retired(&self) -> usize {
        self.retired.len()
    }

    /// As [`Book::on_the_way`](super::sites::Book::on_the_way), of those that are given up.
    pub fn retired_on_the_way(&self, rip: u64) -> Option<&Patch> {
        self.retired.iter().map(|(_, patch)| patch).find(|patch| patch.is_on_the_way(rip))
    }

    /// The stub of the page that holds `rip`.
    pub fn stub_at(&self, rip: u64) -> Option<Range<u64>> {
        let stub = self.pages.get(&page_of(rip))?.page.stub();
        let range = stub..stub + STUB as u64;
        range.contains(&rip).then_some(range)
    }

    /// Frees what was retired in a round before `ended`; returns the pages that hold nothing any
    /// more, which are no longer ours and can be unmapped.
    pub fn reclaim(&mut self, ended: Round) -> Vec<u64> {
        let mut empty = Vec::new();
        let pages = &mut self.pages;
        self.retired.retain(|(round, patch)| {
            if *round >= ended {
                return true;
            }
            let base = patch.trampoline.page();
            if let Some(held) = pages.get_mut(&base) {
                held.page.release(patch.trampoline.at);
                if held.page.is_empty() {
                    pages.remove(&base);
                    empty.push(base);
                }
            }
            false
        });
        empty
    }

    /// Forgets all pages in `range`, because something else takes their place now. Every patch that
    /// leads there has been restored, and all vCPUs are stopped or have passed.
    pub fn remove(&mut self, range: Range<u64>) {
        self.retired.retain(|(_, patch)| !range.contains(&patch.trampoline.at));
        self.pages.retain(|base, _| !range.contains(base));
    }

    /// The pool as a decision sees it, within `space`.
    pub fn within<'a>(&'a self, space: &'a dyn Space) -> View<'a> {
        View { pool: self, space }
    }
}

/// A [`Pool`] and the address space around it.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pool: &'a Pool,
    space: &'a dyn Space,
}

impl Windows for View<'_> {
    fn page_state(&self, page: u64) -> PageState<'_> {
        match self.pool.pages.get(&page) {
            Some(held) => PageState::Ours(&held.page),
            None if self.space.is_free(page) => PageState::Free,
            None => PageState::Taken,
        }
    }

    fn near_pool(&self, site: u64) -> Option<u64> {
        let reach = page_of(site.saturating_sub(REACH)) + PAGE..page_of(site + REACH);
        let has_room = |base: u64, held: &Held| {
            held.general && held.page.room(&(base..base + PAGE), ROOM).is_some()
        };
        self.pool
            .pages
            .range(reach.clone())
            .filter(|(base, held)| has_room(**base, held))
            .map(|(base, _)| *base)
            .min_by_key(|base| base.abs_diff(site))
            .or_else(|| self.space.find_free(site, reach))
    }
}

/// Whether a patch's trampoline could lie anywhere in reach.
pub(crate) fn is_general(patch: &Patch) -> bool {
    matches!(patch.rule, Rule::Mov | Rule::Pad)
}
