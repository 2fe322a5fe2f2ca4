//! Random calls, compared with a page table that does what the manual pages say.

use std::collections::BTreeMap;
use std::sync::Arc;

use abi::Errno;
use proptest::prelude::*;
use storage::pages::Pages;

use super::super::map::{MapFlags, Type};
use super::super::populate::Refusal;
use super::super::{PAGE, Prot};
use super::{World, file};

const BASE: u64 = 0x10_0000_0000;
/// Pages that the calls are about.
const SPAN: u64 = 24;
const FILE: u64 = 12;

#[derive(Clone, Debug)]
enum Call {
    Anonymous { at: u64, len: u64, prot: Prot, flags: MapFlags },
    File { at: u64, len: u64, prot: Prot, shared: bool, page: u64 },
    Unmap { at: u64, len: u64 },
    Protect { at: u64, len: u64, prot: Prot },
    Move { at: u64, old: u64, new: u64, to: u64 },
    Grow { at: u64, old: u64, new: u64 },
    Drop { at: u64, len: u64 },
    Guard { at: u64, len: u64, on: bool },
    Store { at: u64, value: u64 },
    Truncate { pages: u64 },
}

fn calls() -> impl Strategy<Value = Call> {
    let at = 0..SPAN;
    let len = 1..8_u64;
    let prot = prop_oneof![
        1 => Just(Prot::empty()),
        1 => Just(Prot::READ),
        3 => Just(Prot::READ | Prot::WRITE),
        1 => Just(Prot::READ | Prot::EXEC),
    ];
    let flags = prop_oneof![
        3 => Just(MapFlags::empty()),
        1 => Just(MapFlags::NO_RESERVE),
        1 => Just(MapFlags::STACK),
        1 => Just(MapFlags::FIXED_NO_REPLACE),
    ];
    prop_oneof![
        3 => (at.clone(), len.clone(), prot.clone(), flags)
            .prop_map(|(at, len, prot, flags)| Call::Anonymous { at, len, prot, flags }),
        3 => (at.clone(), len.clone(), prot.clone(), any::<bool>(), 0..FILE).prop_map(
            |(at, len, prot, shared, page)| Call::File { at, len, prot, shared, page }
        ),
        2 => (at.clone(), len.clone()).prop_map(|(at, len)| Call::Unmap { at, len }),
        3 => (at.clone(), len.clone(), prot)
            .prop_map(|(at, len, prot)| Call::Protect { at, len, prot }),
        2 => (at.clone(), len.clone(), len.clone(), at.clone())
            .prop_map(|(at, old, new, to)| Call::Move { at, old, new, to }),
        1 => (at.clone(), len.clone(), len.clone())
            .prop_map(|(at, old, new)| Call::Grow { at, old, new }),
        1 => (at.clone(), len.clone()).prop_map(|(at, len)| Call::Drop { at, len }),
        2 => (at.clone(), len, any::<bool>())
            .prop_map(|(at, len, on)| Call::Guard { at, len, on }),
        4 => (at, 1..1000_u64).prop_map(|(at, value)| Call::Store { at, value }),
        1 => (0..=FILE).prop_map(|pages| Call::Truncate { pages }),
    ]
}

/// Where a page's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Own(u64),
    File { page: u64, shared: bool },
}

#[derive(Clone, Copy, Debug)]
struct Page {
    prot: Prot,
    place: Place,
    /// A page of a private file mapping that has its own bytes: it goes with the file's end.
    origin: Option<u64>,
    guarded: bool,
}

struct Model {
    pages: BTreeMap<u64, Page>,
    file: Vec<u64>,
    origins: u64,
}

impl Model {
    fn new() -> Self {
        let file = (0..FILE).map(|page| 100 + page).collect();
        Self { pages: BTreeMap::new(), file, origins: FILE }
    }

    fn load(&self, at: u64) -> Result<u64, Refusal> {
        let page = self.pages.get(&at).ok_or(Refusal::Unmapped)?;
        if page.prot.is_empty() {
            return Err(Refusal::Denied);
        }
        self.value(page)
    }

    fn guard(&mut self, at: u64, len: u64, on: bool) -> Result<(), Errno> {
        let outcome = if on { self.drop_contents(at, len) } else { self.mapped(at, len) };
        for (_, page) in self.pages.range_mut(at..at + len) {
            page.guarded = on;
        }
        outcome
    }

    /// ENOMEM where something is not mapped.
    fn mapped(&self, at: u64, len: u64) -> Result<(), Errno> {
        let whole = (at..at + len).all(|page| self.pages.contains_key(&page));
        if whole { Ok(()) } else { Err(Errno::ENOMEM) }
    }

    fn value(&self, page: &Page) -> Result<u64, Refusal> {
        match page.place {
            _ if page.guarded => Err(Refusal::Unmapped),
            Place::Own(value) => Ok(value),
            Place::File { page, .. } if page >= self.origins => Err(Refusal::Bus),
            Place::File { page, .. } => Ok(self.file[page as usize]),
        }
    }

    fn store(&mut self, at: u64, value: u64) -> Result<(), Refusal> {
        let page = *self.pages.get(&at).ok_or(Refusal::Unmapped)?;
        if !page.prot.contains(Prot::WRITE) {
            return Err(Refusal::Denied);
        }
        self.value(&page)?;
        match page.place {
            Place::File { page, shared: true } => self.file[page as usize] = value,
            Place::Own(_) | Place::File { .. } => {
                let stored = self.pages.get_mut(&at).expect("mapped");
                stored.place = Place::Own(value);
            }
        }
        Ok(())
    }

    fn truncate(&mut self, pages: u64) {
        for page in pages..FILE {
            self.file[page as usize] = 0;
        }
        self.origins = pages;
        for page in self.pages.values_mut() {
            if let (Some(number), Place::Own(_)) = (page.origin, page.place)
                && number >= pages
            {
                page.place = Place::File { page: number, shared: false };
            }
        }
    }

    fn protect(&mut self, at: u64, len: u64, prot: Prot) -> Result<(), Errno> {
        for page in at..at + len {
            self.pages.get_mut(&page).ok_or(Errno::ENOMEM)?.prot = prot;
        }
        Ok(())
    }

    fn drop_contents(&mut self, at: u64, len: u64) -> Result<(), Errno> {
        let mut outcome = Ok(());
        for page in at..at + len {
            let Some(page) = self.pages.get_mut(&page) else {
                outcome = Err(Errno::ENOMEM);
                continue;
            };
            if let Place::Own(_) = page.place {
                page.place = match page.origin {
                    None => Place::Own(0),
                    Some(page) => Place::File { page, shared: false },
                };
            }
        }
        outcome
    }

    /// A new page of the mapping that `like` belongs to, `by` pages behind it.
    fn more(like: &Page, by: u64) -> Page {
        let mut page = *like;
        page.place = match (like.origin, like.place) {
            (Some(number), _) => Place::File { page: number + by, shared: false },
            (None, Place::File { page, shared }) => Place::File { page: page + by, shared },
            (None, Place::Own(_)) => Place::Own(0),
        };
        page.origin = like.origin.map(|number| number + by);
        page.guarded = false;
        page
    }

    fn grow(&mut self, at: u64, old: u64, new: u64) {
        let last = self.pages[&(at + old - 1)];
        for by in 1..=new - old {
            let page = Self::more(&last, by);
            self.pages.insert(at + old - 1 + by, page);
        }
    }
}

fn address(page: u64) -> u64 {
    BASE + page * PAGE
}

fn refusal(error: abi::errno::Error) -> Errno {
    error.errno
}

struct Run {
    world: World,
    model: Model,
    pages: Arc<Pages>,
}

impl Run {
    fn new() -> Self {
        let pages = Pages::new();
        for page in 0..FILE {
            pages.write_bytes(page * PAGE, &(100 + page).to_le_bytes()).expect("memory");
        }
        pages.truncate(FILE * PAGE).expect("length");
        let world = World::new();
        Self { world, model: Model::new(), pages }
    }

    fn step(&mut self, call: &Call) {
        match *call {
            Call::Anonymous { at, len, prot, flags } => self.anonymous(at, len, prot, flags),
            Call::File { at, len, prot, shared, page } => self.file(at, len, prot, shared, page),
            Call::Unmap { at, len } => {
                let outcome = self.world.space.unmap(address(at), len * PAGE);
                assert_eq!(outcome, Ok(()));
                self.model.pages.retain(|page, _| !(at..at + len).contains(page));
            }
            Call::Protect { at, len, prot } => {
                let raw = u64::from(prot.bits());
                let outcome = self.world.space.protect(address(at), len * PAGE, raw);
                assert_eq!(outcome.map_err(refusal), self.model.protect(at, len, prot));
            }
            Call::Move { at, old, new, to } => self.relocate(at, old, new, to),
            Call::Grow { at, old, new } => self.grow(at, old, new),
            Call::Drop { at, len } => {
                assert_eq!(self.advise(at, len, 4), self.model.drop_contents(at, len));
            }
            Call::Guard { at, len, on } => {
                let advice = if on { 102 } else { 103 };
                assert_eq!(self.advise(at, len, advice), self.model.guard(at, len, on));
            }
            Call::Store { at, value } => {
                let stored = self.world.store(address(at), value);
                assert_eq!(stored, self.model.store(at, value), "store at page {at}");
            }
            Call::Truncate { pages } => {
                self.pages.truncate(pages * PAGE).expect("length");
                self.model.truncate(pages);
            }
        }
    }

    fn advise(&self, at: u64, len: u64, advice: u64) -> Result<(), Errno> {
        let outcome = self.world.space.advise_now(address(at), len * PAGE, advice);
        outcome.expect("nothing to wait for").map_err(refusal)
    }

    fn anonymous(&mut self, at: u64, len: u64, prot: Prot, flags: MapFlags) {
        let free = (at..at + len).all(|page| !self.model.pages.contains_key(&page));
        let flags = flags | MapFlags::FIXED;
        let outcome = self.world.anonymous(address(at), len * PAGE, prot, flags);
        if flags.contains(MapFlags::FIXED_NO_REPLACE) && !free {
            assert_eq!(outcome.map_err(refusal), Err(Errno::EEXIST));
            return;
        }
        assert_eq!(outcome, Ok(address(at)));
        for page in at..at + len {
            let new = Page { prot, place: Place::Own(0), origin: None, guarded: false };
            self.model.pages.insert(page, new);
        }
    }

    fn file(&mut self, at: u64, len: u64, prot: Prot, shared: bool, first: u64) {
        let kind = if shared { Type::Shared } else { Type::Private };
        let request = file(address(at), len * PAGE, prot, kind, &self.pages, first * PAGE);
        assert_eq!(self.world.space.map(&request), Ok(address(at)));
        for page in at..at + len {
            let number = first + (page - at);
            let new = Page {
                prot,
                place: Place::File { page: number, shared },
                origin: (!shared).then_some(number),
                guarded: false,
            };
            self.model.pages.insert(page, new);
        }
    }

    /// Whether the pages are surely one area, or surely not; an area may also be split by flags that
    /// the model does not keep, and then the call is left out.
    fn is_one(&self, at: u64, len: u64) -> Option<bool> {
        let (start, end) = (address(at), address(at + len));
        let found = self.world.space.find(start)?;
        Some(found.range.end >= end)
    }

    fn relocate(&mut self, at: u64, old: u64, new: u64, to: u64) {
        let (from, target) = (address(at), address(to));
        let overlap = at < to + new && to < at + old;
        if old == new && !overlap {
            self.relocate_all(at, old, to);
            return;
        }
        let Some(one) = self.is_one(at, old.min(new)) else {
            let outcome = self.world.space.remap(from, old * PAGE, new * PAGE, 3, target);
            let expected = if overlap { Errno::EINVAL } else { Errno::EFAULT };
            assert_eq!(outcome.map_err(refusal), Err(expected));
            return;
        };
        if !overlap && !one || !overlap && old > new && self.is_one(at, old) != Some(true) {
            return;
        }
        let outcome = self.world.space.remap(from, old * PAGE, new * PAGE, 3, target);
        if overlap {
            assert_eq!(outcome.map_err(refusal), Err(Errno::EINVAL));
            return;
        }
        assert_eq!(outcome, Ok(target));
        for page in to..to + new {
            self.model.pages.remove(&page);
        }
        for page in at + new.min(old)..at + old {
            self.model.pages.remove(&page);
        }
        let kept = old.min(new);
        for by in 0..kept {
            let page = self.model.pages.remove(&(at + by)).expect("mapped");
            self.model.pages.insert(to + by, page);
        }
        if new > old {
            self.model.grow(to, old, new);
        }
    }

    /// Moves whatever is mapped, and nothing to where a hole goes.
    fn relocate_all(&mut self, at: u64, len: u64, to: u64) {
        let (from, target) = (address(at), address(to));
        let outcome = self.world.space.remap(from, len * PAGE, len * PAGE, 3, target);
        if !self.model.pages.contains_key(&at) {
            assert_eq!(outcome.map_err(refusal), Err(Errno::EFAULT));
            return;
        }
        assert_eq!(outcome, Ok(target));
        for by in 0..len {
            if let Some(page) = self.model.pages.remove(&(at + by)) {
                self.model.pages.insert(to + by, page);
            }
        }
    }

    fn grow(&mut self, at: u64, old: u64, new: u64) {
        if self.is_one(at, old) != Some(true) {
            return;
        }
        let outcome = self.world.space.remap(address(at), old * PAGE, new * PAGE, 0, 0);
        let free = (at + old..at + new.max(old)).all(|p| !self.model.pages.contains_key(&p));
        if new > old && !free {
            assert_eq!(outcome.map_err(refusal), Err(Errno::ENOMEM));
            return;
        }
        assert_eq!(outcome, Ok(address(at)));
        if new > old {
            self.model.grow(at, old, new);
        }
        self.model.pages.retain(|page, _| !(at + new..at + old).contains(page));
    }

    fn compare(&self) {
        for page in 0..SPAN + 16 {
            let loaded = self.world.load(address(page));
            assert_eq!(loaded, self.model.load(page), "load at page {page}");
            let shown = self.world.space.find(address(page)).map(|mapping| mapping.prot);
            assert_eq!(shown, self.model.pages.get(&page).map(|page| page.prot));
        }
        self.world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn memory_is_what_the_manual_says(
        calls in proptest::collection::vec(calls(), 1..40),
        look in any::<bool>(),
    ) {
        let mut run = Run::new();
        for call in &calls {
            run.step(call);
            if look {
                run.compare();
            } else {
                run.world.check();
            }
        }
        run.compare();
        run.world.space.clear();
        prop_assert!(run.world.books.pages.lock().expect("books").is_empty());
    }
}
