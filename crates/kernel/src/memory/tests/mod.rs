//! A host that only keeps books, and programs that access memory through it.
#![expect(clippy::cast_possible_truncation, reason = "the numbers of these tests are small")]

mod backed;
mod cases;
mod copies;
mod files;
mod model;
mod races;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use abi::Errno;
use abi::errno::Result;
use abi::host::{Advice, Backing};

use super::map::{FileSource, MapFlags, Request, Type};
use super::mapper::Mapper;
use super::populate::Refusal;
use super::runs::Held;
use super::{Access, Environment, PAGE, Prot, Space};

pub(super) const REGION: core::ops::Range<u64> = 0x1_0000..0x38_0000_0000_u64 * 4;

/// What the host has at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Private memory; programs of these tests write one number to a page.
    Own(u64),
    /// A frame.
    Shared(u64),
    /// A frame that a write replaces, and by what it was.
    Frame(u64, Option<u64>),
}

/// A host that keeps books of pages.
#[derive(Default)]
pub(super) struct Books {
    pub(super) pages: Mutex<BTreeMap<u64, (Prot, Content)>>,
    pub(super) calls: Mutex<usize>,
}

impl Books {
    fn pages(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, (Prot, Content)>> {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn calls(&self) -> usize {
        *self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn at(&self, page: u64) -> Option<(Prot, Content)> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner).get(&page).copied()
    }
}

fn each(address: u64, len: u64) -> impl Iterator<Item = u64> {
    assert!(address.is_multiple_of(PAGE) && len.is_multiple_of(PAGE) && len > 0);
    assert!(REGION.start <= address && address + len <= REGION.end);
    (address..address + len).step_by(PAGE as usize)
}

impl Mapper for Books {
    fn map(&self, address: u64, len: u64, prot: Prot, backing: Backing, offset: u64) -> Result<()> {
        let mut pages = self.pages();
        if len > 1 << 36 {
            return Err(Errno::ENOMEM.because("these books are small"));
        }
        for page in each(address, len) {
            let frame = offset + (page - address);
            let content = match backing {
                Backing::Anonymous => Content::Own(0),
                Backing::FramesShared => Content::Shared(frame),
                Backing::FramesPrivate => Content::Frame(frame, None),
            };
            pages.insert(page, (prot, content));
        }
        Ok(())
    }

    fn protect(&self, address: u64, len: u64, prot: Prot) -> Result<()> {
        let mut pages = self.pages();
        for page in each(address, len) {
            pages.get_mut(&page).expect("only mapped pages are protected").0 = prot;
        }
        Ok(())
    }

    fn unmap(&self, address: u64, len: u64) -> Result<()> {
        let mut pages = self.pages();
        for page in each(address, len) {
            pages.remove(&page);
        }
        Ok(())
    }

    fn advise(&self, address: u64, len: u64, advice: Advice) -> Result<()> {
        let mut pages = self.pages();
        for page in each(address, len) {
            let (_, content) = pages.get_mut(&page).expect("only mapped pages are advised on");
            match content {
                Content::Own(value) if advice == Advice::DontNeed => *value = 0,
                Content::Frame(_, copy) if advice == Advice::DontNeed => *copy = None,
                _ => {}
            }
        }
        Ok(())
    }

    fn relocate(&self, from: u64, to: u64, len: u64) -> Result<()> {
        let mut pages = self.pages();
        for page in each(from, len) {
            let moved = pages.remove(&page).expect("only mapped pages are moved");
            assert!(!matches!(moved.1, Content::Shared(_)), "only private memory is moved");
            assert!(pages.insert(to + (page - from), moved).is_none(), "to a free place");
        }
        Ok(())
    }
}

/// A space with its host.
pub(super) struct World {
    pub(super) space: Arc<Space>,
    pub(super) books: Arc<Books>,
    pub(super) refusals: Arc<Mutex<Vec<u64>>>,
}

impl World {
    pub(super) fn new() -> Self {
        let books = Arc::new(Books::default());
        let refusals = Arc::new(Mutex::new(Vec::new()));
        let reported = Arc::clone(&refusals);
        let environment = Environment {
            mapper: Arc::clone(&books) as Arc<dyn Mapper>,
            refused: Arc::new(move |refusal| {
                reported.lock().expect("reports").push(refusal.asked);
            }),
            reclaim: Arc::new(|_| {}),
            region: REGION,
        };
        Self { space: Space::new(environment), books, refusals }
    }

    /// Maps private zeros.
    pub(super) fn anonymous(&self, at: u64, len: u64, prot: Prot, flags: MapFlags) -> Result<u64> {
        self.space.map(&Request::anonymous(at, len, prot, flags))
    }

    /// Whether the host lets a program do this, after faults.
    fn access(&self, address: u64, access: Access) -> Result<Content, Refusal> {
        let page = address - address % PAGE;
        for _ in 0..3 {
            if let Some((prot, content)) = self.books.at(page)
                && access.is_admitted(prot)
            {
                return Ok(content);
            }
            self.space.populate_now(address, access)?;
        }
        panic!("no end of faults at {address:#x}, {access:?}");
    }

    /// A program's load of the number at a page.
    pub(super) fn load(&self, page: u64) -> Result<u64, Refusal> {
        Ok(match self.access(page, Access::Read)? {
            Content::Own(value) | Content::Frame(_, Some(value)) => value,
            Content::Shared(offset) | Content::Frame(offset, None) => {
                let (extent, at) = self.frame(page, offset);
                let mut bytes = [0; 8];
                extent.read(at, &mut bytes);
                u64::from_le_bytes(bytes)
            }
        })
    }

    /// A program's store.
    pub(super) fn store(&self, page: u64, value: u64) -> Result<(), Refusal> {
        match self.access(page, Access::Write)? {
            Content::Own(_) | Content::Frame(..) => {
                let mut pages = self.books.pages.lock().expect("books");
                match &mut pages.get_mut(&page).expect("accessible").1 {
                    Content::Own(own) => *own = value,
                    Content::Frame(_, copy) => *copy = Some(value),
                    Content::Shared(_) => {}
                }
            }
            Content::Shared(offset) => {
                let (extent, at) = self.frame(page, offset);
                extent.write(at, &value.to_le_bytes());
            }
        }
        Ok(())
    }

    /// The frame that the space believes to be mapped; it must be the host's.
    fn frame(&self, page: u64, offset: u64) -> (Arc<platform::arena::Extent>, usize) {
        let state = self.space.state.lock();
        let run = state.runs.at(page).expect("what the host maps is known");
        let Held::Frames { extent, at, .. } = run.held else { panic!("frames at {page:#x}") };
        assert_eq!(extent.offset() + at, offset, "another frame is mapped than is known");
        (extent, at as usize)
    }

    /// Checks that what the space believes of the host is so, and that the charges add up.
    pub(super) fn check(&self) {
        let state = self.space.state.lock();
        let books = self.books.pages.lock().expect("books");
        let mut known = 0;
        for run in state.runs.within(&REGION) {
            for page in (run.start..run.end).step_by(PAGE as usize) {
                let (prot, content) = books.get(&page).expect("a run is mapped in the host");
                known += 1;
                let by = page - run.start;
                match (&run.held, content) {
                    (Held::Anonymous, Content::Own(_)) => {}
                    (Held::Frames { extent, at, private: true, .. }, Content::Frame(offset, _))
                    | (Held::Frames { extent, at, private: false, .. }, Content::Shared(offset)) => {
                        assert_eq!(extent.offset() + at + by, *offset);
                    }
                    (held, content) => panic!("{held:?} is {content:?} in the host"),
                }
                let area = state.areas.find(page).map(|(_, area)| area);
                if let Some(area) = area {
                    let clean = matches!(run.held, Held::Frames { clean: true, .. });
                    let expected = if clean { area.prot - Prot::WRITE } else { area.prot };
                    assert_eq!(*prot, expected, "access at {page:#x}");
                }
            }
        }
        assert_eq!(known, books.len(), "the host maps what the space does not know of");
        let charged = state.charged_in(&REGION);
        drop(books);
        drop(state);
        assert_eq!(self.space.statistics().charged, charged);
    }
}

/// A request to map a file.
pub(super) fn file(
    at: u64,
    len: u64,
    prot: Prot,
    kind: Type,
    pages: &Arc<storage::pages::Pages>,
    offset: u64,
) -> Request {
    Request {
        address: at,
        len,
        prot,
        kind,
        flags: if at == 0 { MapFlags::empty() } else { MapFlags::FIXED },
        file: Some(FileSource {
            pages: Some(Arc::clone(pages)),
            file: None,
            offset,
            readable: true,
            writable: true,
            executable: true,
            secret: false,
        }),
    }
}
