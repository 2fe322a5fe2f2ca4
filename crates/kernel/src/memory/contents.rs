//! Mappings of files and shared memory.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;

use storage::pages::{Observer, Pages};
use vfs::mount::Place;

use super::space::Space;
use super::{PAGE, page_up};

/// What `/proc/self/maps` shows of a mapped object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Device number of its file system, as Linux packs it: major in bits 8 to 19.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Its path, with ` (deleted)` where that is so.
    pub path: Vec<u8>,
}

/// The open file that a mapping keeps.
pub trait Described: Send + Sync {
    /// How `/proc/self/maps` shows it. Not called with a space locked.
    fn describe(&self) -> Description;

    /// Where its name stands, if it has one.
    fn place(&self) -> Option<Place> {
        None
    }
}

/// A mapping of contents, from `offset` on.
#[derive(Clone)]
pub struct Mapped {
    /// The contents.
    pub pages: Arc<Pages>,
    /// The open file that they belong to, kept as long as the mapping.
    pub file: Option<Arc<dyn Described>>,
    /// Offset of the first byte, page-aligned.
    pub offset: u64,
    /// Writes reach the object.
    pub shared: bool,
    /// Hears of pages that leave the object.
    pub(crate) watch: Option<Arc<Watch>>,
}

impl Mapped {
    /// Names the object for futexes, as long as it is mapped.
    pub fn id(&self) -> u64 {
        id_of(&self.pages)
    }

    /// The same further on.
    pub(crate) fn skipped(&self, by: u64) -> Self {
        Self { offset: self.offset + by, ..self.clone() }
    }

    /// Whether `next` goes on where this one, `len` bytes long, ends.
    pub(crate) fn continues_in(&self, len: u64, next: &Self) -> bool {
        let file = |mapped: &Self| mapped.file.as_ref().map(|file| Arc::as_ptr(file).cast::<u8>());
        Arc::ptr_eq(&self.pages, &next.pages)
            && file(self) == file(next)
            && self.shared == next.shared
            && self.offset.checked_add(len) == Some(next.offset)
    }

    /// The address at which the object's pages end, for this mapping at `start`.
    pub(crate) fn end_at(&self, start: u64) -> u64 {
        let size = page_up(self.pages.size()).unwrap_or(!(PAGE - 1));
        start.saturating_add(size.saturating_sub(self.offset))
    }

    /// The number of the page that is mapped `by` bytes behind the start.
    pub(crate) fn page(&self, by: u64) -> u64 {
        (self.offset + by) / PAGE
    }
}

/// Connects one object with one space.
pub(crate) struct Watch {
    space: Weak<Space>,
    id: u64,
}

impl Observer for Watch {
    fn invalidated(&self, pages: Range<u64>) {
        if let Some(space) = self.space.upgrade() {
            space.invalidated(self.id, &pages);
        }
    }
}

/// The objects that a space observes, each once however often it is mapped.
#[derive(Default)]
pub(crate) struct Watches {
    map: BTreeMap<u64, Weak<Watch>>,
    clear_at: usize,
}

impl Watches {
    pub(crate) const fn new() -> Self {
        Self { map: BTreeMap::new(), clear_at: 64 }
    }

    /// The connection of `space` with `pages`.
    pub(crate) fn watch(&mut self, space: &Weak<Space>, pages: &Arc<Pages>) -> Arc<Watch> {
        let id = id_of(pages);
        if let Some(watch) = self.map.get(&id).and_then(Weak::upgrade) {
            return watch;
        }
        if self.map.len() >= self.clear_at {
            self.map.retain(|_, watch| watch.strong_count() > 0);
            self.clear_at = 64.max(2 * self.map.len());
        }
        let watch = Arc::new(Watch { space: Weak::clone(space), id });
        let weak = Arc::downgrade(&watch);
        pages.add_observer(weak.clone());
        self.map.insert(id, weak);
        watch
    }
}

fn id_of(pages: &Arc<Pages>) -> u64 {
    Arc::as_ptr(pages).addr() as u64
}
