//! Regular files of a tree.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU32, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::{Mutex, Once};
use platform::user::{Sink, Source};
use storage::pages::{Missing, Pages, Reach};

use super::attributes::Attributes;
use super::change;
use super::lower::{LowerFile, Origin};
use super::turns::Turns;
use crate::credentials::Owner;
use crate::extended::Keeper;
use crate::lock::Locks;
use crate::mount::Place;
use crate::node::{Answer, Change, Kind, Node, Opened, Volume};
use crate::object::{Attempt, Object, OpenFile, Stat, Status, Stop, Waiting};
use crate::seal::{Seal, Seals};

/// A regular file.
pub struct File {
    pub(super) volume: Arc<Volume>,
    pub(super) attributes: Attributes,
    pub(super) origin: Option<Arc<Origin>>,
    pages: Arc<Pages>,
    lower: Option<Arc<dyn LowerFile>>,
    locks: Locks,
    /// Open descriptions.
    opens: AtomicU32,
    /// Descriptions open for writing; below 0: so many deny it, because the file runs.
    writers: AtomicI32,
    /// A length that the writable layer below does not have yet.
    cut: Mutex<Option<u64>>,
    /// Whose changes are carried to the layer below.
    turns: Turns,
    /// Only files that were made for it can be sealed.
    seals: Once<Seals>,
    /// How long lives what is written.
    hint: AtomicU8,
    /// It was made without a name and may get one (`O_TMPFILE`).
    linkable: AtomicBool,
}

impl File {
    pub(super) fn new(volume: Arc<Volume>, attributes: Attributes) -> Self {
        let quota = volume.limits.as_ref().map(|limits| Arc::clone(&limits.pages));
        Self::with(volume, attributes, None, None, Pages::limited(quota))
    }

    pub(super) fn lower(
        volume: Arc<Volume>,
        attributes: Attributes,
        origin: Arc<Origin>,
        size: u64,
    ) -> Self {
        let lower = Arc::clone(origin.lower()).file(Arc::clone(&origin));
        let backing: Arc<dyn storage::pages::Backing> = Arc::<dyn LowerFile>::clone(&lower);
        Self::with(volume, attributes, Some(origin), Some(lower), Pages::backed(backing, size))
    }

    fn with(
        volume: Arc<Volume>,
        attributes: Attributes,
        origin: Option<Arc<Origin>>,
        lower: Option<Arc<dyn LowerFile>>,
        pages: Arc<Pages>,
    ) -> Self {
        Self {
            volume,
            attributes,
            origin,
            pages,
            lower,
            locks: Locks::new(),
            opens: AtomicU32::new(0),
            writers: AtomicI32::new(0),
            cut: Mutex::new(None),
            turns: Turns::new(),
            seals: Once::new(),
            hint: AtomicU8::new(0),
            linkable: AtomicBool::new(false),
        }
    }

    /// The layer below changed or was looked at again.
    pub(super) fn refresh(&self, stat: &Stat, asked: u64) {
        if self.cut.lock().is_some() {
            // It was asked before it had the length that it is going to have.
            return;
        }
        if stat.size != self.pages.size() || stat.modified != self.attributes.modified() {
            self.pages.refresh(stat.size, asked);
        }
        self.attributes.refresh(stat);
    }

    /// Makes it a file that can be sealed, with some seals from the start.
    pub fn make_sealable(&self, seals: Seal) {
        self.seals.set(Seals::new(seals));
    }

    /// Whether it has contents that are nowhere else.
    pub(super) fn lies_here(&self) -> bool {
        self.attributes.is_changed_here() && self.pages.size() > 0 && !self.pages.writes_through()
    }

    /// It has no name yet and may get one.
    pub fn make_linkable(&self) {
        self.linkable.store(true, Ordering::Release);
    }

    /// It got a name: with its last one it goes as any other.
    pub(super) fn was_linked(&self) {
        self.linkable.store(false, Ordering::Release);
    }

    /// How many descriptions of it there are, and how many that can write.
    pub fn users(&self) -> (u32, u32) {
        let writers = self.writers.load(Ordering::Acquire);
        (self.opens.load(Ordering::Acquire), u32::try_from(writers).unwrap_or(0))
    }

    /// Nobody may open it for writing from now on: it runs (execve(2)).
    ///
    /// # Errors
    /// ETXTBSY when somebody has it open for writing.
    pub fn deny_writing(&self) -> Result<()> {
        self.writers
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| (now <= 0).then_some(now - 1))
            .map(|_| ())
            .map_err(|_| Errno::ETXTBSY.because("the file is open for writing"))
    }

    /// Takes one [`File::deny_writing`] back.
    pub fn allow_writing(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// Its name in the layer below goes: what is open must outlive that.
    pub(super) async fn hold(&self) -> Result<()> {
        match &self.lower {
            Some(lower) if self.opens.load(Ordering::Acquire) > 0 => lower.hold().await,
            _ => Ok(()),
        }
    }

    /// Carries lengths and bytes to the layer below: one at a time, or a length that was set first
    /// could cut off what was written later.
    async fn carry(&self) -> Result<()> {
        let _turn = self.turns.take().await;
        let cut = *self.cut.lock();
        if let (Some(len), Some(lower)) = (cut, &self.lower) {
            let done = lower.truncate(len).await;
            self.pages.note_change();
            let mut left = self.cut.lock();
            if *left == cut {
                *left = None;
            }
            drop(left);
            done?;
        }
        self.pages.flush(Reach::Written).await?;
        // What a new length leaves of holes and blocks only the layer below can tell.
        if let Some(origin) = self.origin.as_ref().filter(|_| cut.is_some())
            && let Ok(stat) = origin.lower().stat(&origin.path()).await
            && origin.identity == (stat.device, stat.inode)
        {
            self.attributes.set_blocks(stat.blocks);
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        self.carry().await?;
        self.pages.flush(Reach::Exposed).await?;
        match &self.lower {
            Some(lower) if self.pages.writes_through() => lower.sync().await,
            _ => Ok(()),
        }
    }
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        Self::Fill { offset: missing.offset, len: missing.len }
    }
}

impl Object for File {
    fn read(&self, open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let done = self.pages.read(offset, sink)?;
        self.attributes.touch_accessed(open);
        Ok(done)
    }

    fn write(
        &self,
        _open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        if let Some(seals) = self.seals.get() {
            let size = self.pages.size();
            seals.check_write(offset.unwrap_or(size), source.left() as u64, size)?;
        }
        let written = self.pages.write(offset, source)?;
        self.attributes.touch_modified();
        Ok(written)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        self.pages.seek_data(offset, hole)
    }

    fn fill(&self, offset: u64, len: u64) -> Waiting<'_, Result<()>> {
        Box::pin(self.pages.fill(offset, len))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.attributes.stat(&self.volume, self.pages.size(), || self.pages.blocks()))
    }

    fn pages(&self) -> Option<Arc<Pages>> {
        Some(Arc::clone(&self.pages))
    }

    fn truncate(&self, len: u64) -> Attempt<()> {
        if let Some(seals) = self.seals.get() {
            seals.check_length(self.pages.size(), len)?;
        }
        self.pages.truncate(len)?;
        self.attributes.touch_modified();
        if self.pages.writes_through() {
            *self.cut.lock() = Some(len);
        }
        Ok(())
    }

    fn settle(&self) -> Option<Waiting<'_, Result<()>>> {
        self.pages.writes_through().then(|| -> Waiting<'_, _> { Box::pin(self.carry()) })
    }

    fn sync(&self) -> Waiting<'_, Result<()>> {
        Box::pin(self.flush())
    }

    fn released(&self, open: &OpenFile) {
        if open.writable() {
            self.writers.fetch_sub(1, Ordering::AcqRel);
        }
        let last = self.opens.fetch_sub(1, Ordering::AcqRel) == 1;
        if let Some(lower) = self.lower.as_ref().filter(|_| last) {
            lower.idle();
        }
    }

    fn seals(&self) -> Option<&Seals> {
        self.seals.get()
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for File {
    fn kind(&self) -> Kind {
        Kind::File
    }

    fn owner(&self) -> Owner {
        self.attributes.owner()
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn extended(&self) -> Option<Keeper<'_>> {
        Some(super::keeper(&self.attributes, self.origin.as_ref()))
    }

    fn write_hint(&self) -> Option<&AtomicU8> {
        Some(&self.hint)
    }

    fn touch_changed(&self) {
        self.attributes.touch_changed();
    }

    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        super::sync_all(self.origin.as_ref())
    }

    fn locks(&self) -> Option<&Locks> {
        Some(&self.locks)
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        change::change(&self.attributes, self.origin.as_ref(), change)
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Ok(Opened::Object(self))
    }

    fn may_be_linked(&self) -> bool {
        self.attributes.links() > 0 || self.linkable.load(Ordering::Acquire)
    }

    fn opened(&self, writable: bool) -> Result<()> {
        if writable {
            self.writers
                .fetch_update(Ordering::AcqRel, Ordering::Acquire, |now| {
                    (now >= 0).then_some(now + 1)
                })
                .map_err(|_| Errno::ETXTBSY.because("the file runs"))?;
        }
        self.opens.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }
}
