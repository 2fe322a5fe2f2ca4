//! The cached contents of one file.
//!
//! Contents lie in extents of the arena ([`platform::arena::Extent`]), so that they can be mapped into
//! user memory. A file without a [`Backing`] is its pages; with one, pages are brought in by
//! [`Pages::fill`] when an attempt says [`Missing`], and a page that was written is never read from
//! the backing again. User memory is only touched with no lock of the contents held, because such a
//! copy may fault on a mapping of this very file.
//!
//! Locks, outer to inner: `writer` (writes and changes of length, one at a time), then whatever the
//! observers take, then `state`.

mod chunk;
mod fill;
mod flush;
mod holes;
mod length;
mod mapping;
mod partial;
#[cfg(test)]
mod tests;
mod write;

use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::ops::Range;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::arena::{Extent, PAGE};
use platform::io::Bounce;
use platform::sync::Mutex;
use platform::user::Sink;

pub use flush::Reach;
pub use mapping::{Run, RunError};
pub use write::LIMIT_REACHED;

use crate::quota::Quota;
use crate::reclaim;
use chunk::Chunks;
use fill::ReadAhead;
use partial::Partials;

/// A future behind a pointer, for the slow paths.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The longest file: offsets are signed in Linux's interface.
pub const LENGTH_MAX: u64 = i64::MAX.unsigned_abs();
const PAGE_BYTES: u64 = PAGE as u64;

/// Contents that came from a backing.
#[derive(Debug)]
pub enum Content {
    /// In a bounce buffer, so many bytes of it.
    Bounce(Bounce, usize),
    /// In the enclave.
    Bytes(Vec<u8>),
}

/// Where contents come from, and for writable files where they go.
pub trait Backing: Send + Sync {
    /// Reads at most `len` bytes at `offset`; fewer are fine, none means the end.
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>>;

    /// Whether writes are carried through.
    fn writable(&self) -> bool {
        false
    }

    /// Writes `len` bytes of `extent` from `at` on to `offset`; all or an error.
    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        let _ = (offset, extent, at, len);
        Box::pin(core::future::ready(Err(abi::Errno::EROFS.into())))
    }
}

/// Who must hear that pages of a file are no longer what they were: its mappings.
pub trait Observer: Send + Sync {
    /// The frames of `pages` (page numbers) leave the file: unmap them before this returns.
    fn invalidated(&self, pages: Range<u64>);
}

/// Contents that must be brought in first, by [`Pages::fill`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// First byte that is missing.
    pub offset: u64,
    /// How many bytes are wanted.
    pub len: u64,
}

/// The cached contents of one file. See the module.
pub struct Pages {
    size: AtomicU64,
    /// Frames were handed out for mapping at some time: bytes beyond the end may not be zero.
    mapped: AtomicBool,
    writer: Mutex<()>,
    state: Mutex<State>,
    backing: Option<Arc<dyn Backing>>,
    filled: WaitQueue,
    observers: Mutex<Vec<Weak<dyn Observer>>>,
}

struct State {
    chunks: Chunks,
    /// So many bytes at the start are the backing's where no page is present.
    backed: u64,
    partials: Partials,
    /// Pages that somebody reads from the backing right now.
    filling: Vec<Range<u64>>,
    ahead: ReadAhead,
    /// Bytes that were written and are not yet in the writable backing.
    pending: Vec<Range<u64>>,
    /// Somebody carries what was pending to the backing; nobody else does meanwhile, or older bytes
    /// could come after newer ones.
    carrying: bool,
    /// The [`moment`] of the last change that a writable backing gets, or got.
    changed: u64,
}

static MOMENT: AtomicU64 = AtomicU64::new(1);

/// A moment: later than those of all changes that were made before, not later than those after.
///
/// Who asks a backing about a file takes one before, for [`Pages::refresh`].
pub fn moment() -> u64 {
    MOMENT.load(Ordering::SeqCst)
}

/// The moment of a change: what was asked before is older, what is asked from now on is not.
pub fn moment_of_change() -> u64 {
    MOMENT.fetch_add(1, Ordering::SeqCst)
}

impl State {
    /// The backing gets something, or has got it: what it said of the file before is old.
    fn note_change(&mut self) {
        self.changed = moment_of_change();
    }
}

/// What stands at an offset.
enum Found {
    /// Bytes in frames, from an index in the extent on.
    Frames(Arc<Extent>, usize, usize),
    /// So many zeros.
    Hole(usize),
    /// Not here yet.
    Missing,
}

impl Pages {
    /// An empty file in memory.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::with(None, 0))
    }

    /// An empty file in memory whose pages are taken from `quota`.
    pub fn limited(quota: Option<Arc<Quota>>) -> Arc<Self> {
        let pages = Self::with(None, 0);
        pages.state.lock().chunks.quota = quota;
        Arc::new(pages)
    }

    /// A file of `size` bytes (at most [`LENGTH_MAX`]) whose contents come from `backing`.
    pub fn backed(backing: Arc<dyn Backing>, size: u64) -> Arc<Self> {
        let pages = Arc::new(Self::with(Some(backing), size.min(LENGTH_MAX)));
        reclaim::register(&pages);
        pages
    }

    fn with(backing: Option<Arc<dyn Backing>>, size: u64) -> Self {
        Self {
            size: AtomicU64::new(size),
            mapped: AtomicBool::new(false),
            writer: Mutex::new(()),
            state: Mutex::new(State {
                chunks: Chunks::default(),
                backed: size,
                partials: Partials::default(),
                filling: Vec::new(),
                ahead: ReadAhead::default(),
                pending: Vec::new(),
                carrying: false,
                changed: 0,
            }),
            backing,
            filled: WaitQueue::new(),
            observers: Mutex::new(Vec::new()),
        }
    }

    /// Something else of the backing changed than what [`Pages::flush`] carries: its length.
    pub fn note_change(&self) {
        self.state.lock().note_change();
    }

    /// Length in bytes.
    #[inline]
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// 512-byte units of memory in use; with a backing, those of the whole file.
    pub fn blocks(&self) -> u64 {
        const UNITS: u64 = PAGE_BYTES / 512;
        if self.backing.is_some() {
            return self.size().div_ceil(PAGE_BYTES) * UNITS;
        }
        let state = self.state.lock();
        let pages: u64 =
            state.chunks.touching(0..u64::MAX).map(|chunk| u64::from(chunk.present.count())).sum();
        pages * UNITS
    }

    /// Whether contents come from elsewhere; else the file is its pages.
    pub fn is_backed(&self) -> bool {
        self.backing.is_some()
    }

    /// Whether writes must be carried to the backing by [`Pages::flush`].
    pub fn writes_through(&self) -> bool {
        self.backing.as_ref().is_some_and(|backing| backing.writable())
    }

    /// Has `observer` told of pages that leave the file.
    pub fn add_observer(&self, observer: Weak<dyn Observer>) {
        let mut observers = self.observers.lock();
        observers.retain(|old| old.strong_count() > 0);
        observers.push(observer);
    }

    /// Reads from `offset` on until the sink is full or faults, the file ends, or contents are missing.
    ///
    /// 0 at the end, and when the sink takes nothing.
    ///
    /// # Errors
    /// [`Missing`] when the first byte is not here.
    pub fn read(&self, offset: u64, sink: &mut dyn Sink) -> Result<usize, Missing> {
        let mut done = 0;
        loop {
            let at = offset.saturating_add(done as u64);
            let left = self.size().saturating_sub(at);
            let wanted = sink.room().min(usize::try_from(left).unwrap_or(usize::MAX));
            if wanted == 0 {
                return Ok(done);
            }
            let found = self.state.lock().find(at, wanted);
            let (taken, offered) = match found {
                Found::Frames(extent, from, len) => (sink.put_frames(&extent, from, len), len),
                Found::Hole(len) => (sink.put_zeros(len), len),
                Found::Missing if done > 0 => return Ok(done),
                Found::Missing => return Err(Missing { offset: at, len: wanted as u64 }),
            };
            done += taken;
            if taken < offered {
                return Ok(done);
            }
        }
    }

    /// Reads the next missing-free bytes into `out`; how many.
    ///
    /// # Errors
    /// As [`Pages::read`].
    pub fn read_bytes(&self, offset: u64, out: &mut [u8]) -> Result<usize, Missing> {
        self.read(offset, &mut Slice { out, done: 0 })
    }

    fn invalidate(&self, pages: Range<u64>) {
        if !self.mapped.load(Ordering::Acquire) {
            return;
        }
        let observers: Vec<_> = self.observers.lock().iter().filter_map(Weak::upgrade).collect();
        for observer in observers {
            observer.invalidated(pages.clone());
        }
    }
}

impl State {
    /// Whether the backing has the contents of `page` where the cache has none.
    fn is_backed(&self, page: u64) -> bool {
        page.saturating_mul(PAGE_BYTES) < self.backed
    }

    /// How many bytes of `page` the backing has.
    fn backed_bytes(&self, page: u64) -> usize {
        let left = self.backed.saturating_sub(page.saturating_mul(PAGE_BYTES));
        usize::try_from(left.min(PAGE_BYTES)).unwrap_or(PAGE)
    }

    /// What stands at `at`, for at most `wanted` bytes (not 0).
    fn find(&self, at: u64, wanted: usize) -> Found {
        let page = at / PAGE_BYTES;
        let last = at.saturating_add(wanted as u64 - 1) / PAGE_BYTES;
        let Some(chunk) = self.chunks.find(page) else {
            if self.is_backed(page) {
                return Found::Missing;
            }
            let next = self.chunks.next_start(page).unwrap_or(u64::MAX).min(last + 1);
            return Found::Hole(bytes_until(at, next).min(wanted));
        };
        let present = chunk.present.get(chunk.index(page));
        if !present && self.is_backed(page) {
            return Found::Missing;
        }
        let end = (last + 1).min(chunk.end());
        let run = (page..end)
            .find(|page| chunk.present.get(chunk.index(*page)) != present)
            .unwrap_or(end);
        let len = bytes_until(at, run).min(wanted);
        if present {
            let from = usize::try_from(at - chunk.start * PAGE_BYTES).unwrap_or(usize::MAX);
            Found::Frames(Arc::clone(&chunk.extent), from, len)
        } else {
            Found::Hole(len)
        }
    }
}

/// Bytes from `at` to the start of `page`.
fn bytes_until(at: u64, page: u64) -> usize {
    usize::try_from(page.saturating_mul(PAGE_BYTES) - at).unwrap_or(usize::MAX)
}

/// The pages that `len` bytes at `offset` touch.
fn pages_of(offset: u64, len: u64) -> Range<u64> {
    let end = offset.saturating_add(len);
    offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES)
}

/// A sink into the enclave's own memory.
struct Slice<'a> {
    out: &'a mut [u8],
    done: usize,
}

impl Slice<'_> {
    fn next(&mut self, len: usize) -> &mut [u8] {
        let start = self.done;
        self.done = (start + len).min(self.out.len());
        &mut self.out[start..self.done]
    }
}

impl Sink for Slice<'_> {
    fn room(&self) -> usize {
        self.out.len() - self.done
    }

    fn put(&mut self, bytes: &[u8]) -> usize {
        let next = self.next(bytes.len());
        next.copy_from_slice(&bytes[..next.len()]);
        next.len()
    }

    fn put_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let next = self.next(len);
        extent.read(at, next);
        next.len()
    }

    fn put_zeros(&mut self, len: usize) -> usize {
        let next = self.next(len);
        next.fill(0);
        next.len()
    }
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages").field("size", &self.size()).finish_non_exhaustive()
    }
}
