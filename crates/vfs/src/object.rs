//! What can be opened, and the open file description.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use abi::Errno;
use abi::errno::{Error, Result};
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use platform::user::{Sink, Source};

use crate::lock::Holder;

/// A future behind a pointer, for the slow paths.
pub type Waiting<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

bitflags::bitflags! {
    /// Readiness, with the bits of poll(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Events: u32 {
        /// Something can be read, or the end was reached.
        const IN = 0x1;
        /// Urgent data.
        const PRI = 0x2;
        /// Something can be written.
        const OUT = 0x4;
        /// An error is pending.
        const ERR = 0x8;
        /// The other end is gone.
        const HUP = 0x10;
        /// As `IN`, for sockets.
        const RDNORM = 0x40;
        /// As `OUT`, for sockets.
        const WRNORM = 0x100;
        /// The other end will send no more.
        const RDHUP = 0x2000;
    }
}

bitflags::bitflags! {
    /// Access mode and status flags of an open file description, with the bits of open(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Status: u32 {
        /// May be written; with neither `WRITE` nor `READ_WRITE` it may only be read.
        const WRITE = 0o1;
        /// May be read and written.
        const READ_WRITE = 0o2;
        /// Writes go to the end.
        const APPEND = 0o2_000;
        /// Nothing waits.
        const NONBLOCK = 0o4_000;
        /// Signal-driven I/O.
        const ASYNC = 0o20_000;
        /// Around the page cache.
        const DIRECT = 0o40_000;
        /// Files beyond 2 GiB; always on, shown by F_GETFL.
        const LARGE = 0o100_000;
        /// Reads leave the access time alone.
        const NOATIME = 0o1_000_000;
        /// Data is flushed at each write.
        const DSYNC = 0o10_000;
        /// Data and metadata are flushed at each write (with `DSYNC`).
        const SYNC = 0o4_000_000;
        /// Only names the file.
        const PATH = 0o10_000_000;
    }
}

/// Why an attempt did not finish.
#[derive(Clone, Copy, Debug)]
pub enum Stop {
    /// It failed.
    Error(Error),
    /// Nothing can be done until [`Object::readiness`] is woken.
    WouldBlock,
    /// A read has to wait as [`Object::pace`] says.
    Paced,
    /// Contents must be brought in by [`Object::fill`] first.
    Fill {
        /// First byte that is missing.
        offset: u64,
        /// How many bytes are wanted.
        len: u64,
    },
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Error(errno.into())
    }
}

/// How a read waits for what comes byte by byte, as at a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes that it waits for, if it has room for them; at least 1.
    pub least: usize,
    /// Longest wait for the first byte, ns; `u64::MAX`: for ever.
    pub first: u64,
    /// Longest wait for each further byte, ns; `u64::MAX`: for ever.
    pub between: u64,
}

/// What an attempt gives.
pub type Attempt<T> = core::result::Result<T, Stop>;

/// What a file is, as stat(2) tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Device number of the file system.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Type and permissions, as `st_mode`.
    pub mode: u32,
    /// Hard links.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device file.
    pub rdev: u64,
    /// Bytes.
    pub size: u64,
    /// Preferred size of I/O, bytes.
    pub block_size: u32,
    /// 512-byte units in use.
    pub blocks: u64,
    /// Last access, ns since 1970.
    pub accessed: i64,
    /// Last modification, ns since 1970.
    pub modified: i64,
    /// Last change of the inode, ns since 1970.
    pub changed: i64,
    /// Birth, ns since 1970; 0 unknown.
    pub born: i64,
}

/// One entry of a directory listing.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Inode number.
    pub inode: u64,
    /// `d_type`.
    pub kind: u8,
    /// Position behind this entry, for lseek(2).
    pub next: u64,
    /// Name.
    pub name: &'a [u8],
}

/// What ioctl(2) gets besides the request: the argument and the means to follow it as a pointer.
pub trait IoctlArgument {
    /// The raw argument.
    fn value(&self) -> u64;
    /// Copies from where it points.
    fn read(&self, out: &mut [u8]) -> Result<()>;
    /// Copies to where it points.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
}

/// Something that a descriptor can refer to: a file, a directory, a pipe's end, an epoll set.
///
/// Methods have defaults that refuse as Linux does for objects without that ability. None of them
/// blocks; a sink or source that faults simply takes or gives less.
pub trait Object: Any + Send + Sync {
    /// Reads at `offset`, or from the stream when the object has no positions.
    ///
    /// Returns 0 at the end. When the sink faults before the first byte it returns 0 as well; the
    /// caller tells the two apart by asking the sink.
    fn read(&self, open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let _ = (open, offset, sink);
        Err(Errno::EINVAL.because("the object can't be read").into())
    }

    /// How a read that gave [`Stop::Paced`] waits.
    fn pace(&self, open: &OpenFile) -> Option<Pace> {
        let _ = open;
        None
    }

    /// Reads what is there, though it is less than [`Object::pace`] waits for.
    fn read_early(&self, open: &OpenFile, sink: &mut dyn Sink) -> Attempt<usize> {
        self.read(open, 0, sink)
    }

    /// Writes at `offset` (`None`: at the end, `O_APPEND`), or to the stream. Gives the number of bytes and the position
    /// behind them. Where it would block with nothing written, what was taken from the source comes
    /// again at the next attempt.
    fn write(
        &self,
        open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        let _ = (open, offset, source);
        Err(Errno::EINVAL.because("the object can't be written").into())
    }

    /// Whether `O_APPEND` means anything: writes go to their position otherwise.
    fn appends(&self) -> bool {
        true
    }

    /// Whether it has positions (`lseek`, `pread`): ESPIPE otherwise.
    fn seekable(&self) -> bool {
        false
    }

    /// Whether positions are accepted and mean nothing, as for most devices: for lseek(2) and pread(2).
    fn ignores_seeks(&self) -> bool {
        false
    }

    /// Whether `SEEK_END` means anything: EINVAL otherwise.
    fn has_end(&self) -> bool {
        true
    }

    /// Whether lseek(2) succeeds and changes nothing: event objects ignore it, and refuse pread(2).
    fn seeks_in_vain(&self) -> bool {
        self.ignores_seeks()
    }

    /// `SEEK_DATA` and `SEEK_HOLE`: the next data (`hole` false) or hole from `offset` on.
    fn seek_data(&self, offset: u64, hole: bool) -> Result<u64> {
        let _ = (offset, hole);
        Err(Errno::ESPIPE.because("it has no position"))
    }

    /// Brings contents in that an attempt missed.
    fn fill(&self, offset: u64, len: u64) -> Waiting<'_, Result<()>> {
        let _ = (offset, len);
        Box::pin(core::future::ready(Err(Errno::EIO.because("nothing to fill from"))))
    }

    /// What it is.
    fn stat(&self) -> Result<Stat>;

    /// What it is ready for now.
    fn poll(&self, open: &OpenFile) -> Events {
        let _ = open;
        Events::IN | Events::OUT | Events::RDNORM | Events::WRNORM
    }

    /// Woken whenever readiness may have changed; `None`: always ready (EPERM for epoll).
    fn readiness(&self) -> Option<&WaitQueue> {
        None
    }

    /// The queues whose wake-ups are signals, asked for when signal-driven I/O begins; empty: the object has
    /// none of it.
    fn signal_sources(&self) -> Vec<crate::driven::Source<'_>> {
        Vec::new()
    }

    /// Whether the host may make it ready, at any moment.
    fn is_outside(&self) -> bool {
        false
    }

    /// Device-specific control.
    fn ioctl(
        &self,
        open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        let _ = (open, request, argument);
        Err(Errno::ENOTTY.because("what was opened has no such control"))
    }

    /// Cached contents that can be mapped; `None`: ENODEV.
    fn pages(&self) -> Option<Arc<storage::pages::Pages>> {
        None
    }

    /// What a mapping from `offset` on shows, and at which offset of it; `None`: ENODEV. Differs from
    /// [`Object::pages`] where offsets name different things.
    fn mapped_at(&self, offset: u64) -> Option<(Arc<storage::pages::Pages>, u64)> {
        self.pages().map(|pages| (pages, offset))
    }

    /// Lists a directory from `position` on; `each` returns false when it has no room. Gives the new
    /// position.
    fn list(&self, position: u64, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Attempt<u64> {
        let _ = (position, each);
        Err(Errno::ENOTDIR.because("it has no entries").into())
    }

    /// Sets the length.
    fn truncate(&self, len: u64) -> Attempt<()> {
        let _ = len;
        Err(Errno::EINVAL.because("the object has no length").into())
    }

    /// Flushes to where it lives.
    fn sync(&self) -> Waiting<'_, Result<()>> {
        Box::pin(core::future::ready(Err(Errno::EINVAL.because("the object can't be flushed"))))
    }

    /// The last descriptor of an open description went.
    fn released(&self, open: &OpenFile) {
        let _ = open;
    }

    /// What must be awaited before a write or truncation is acknowledged: carrying it to the host.
    /// `None`: nothing.
    fn settle(&self) -> Option<Waiting<'_, Result<()>>> {
        None
    }

    /// What `/proc` calls an object without a name, and what fdinfo tells of it besides.
    fn shown(&self) -> Option<(&'static str, alloc::string::String)> {
        None
    }

    /// Its seals, for files that can have some.
    fn seals(&self) -> Option<&crate::seal::Seals> {
        None
    }

    /// What keeps its owner and permissions, for objects without a name that let them be changed.
    fn changeable(&self) -> Option<&crate::anonymous::Identity> {
        None
    }

    /// Its inode, for files with a name.
    fn node(&self) -> Option<&dyn crate::node::Node> {
        None
    }

    /// For those who know the type.
    fn as_any(&self) -> &dyn Any;
}

/// An open file description: what descriptors share.
pub struct OpenFile {
    object: Arc<dyn Object>,
    status: AtomicU32,
    position: Mutex<u64>,
    place: Option<crate::mount::Place>,
    /// Made for the LibOS's own use: nobody is told of what it does.
    unseen: AtomicBool,
    /// It made the file that it opened.
    created: AtomicBool,
    /// How long lives what is written, where no inode keeps it.
    hint: AtomicU8,
    /// Who hears of it by signals; most have none of that.
    driven: Mutex<Option<Box<crate::driven::State>>>,
}

impl OpenFile {
    /// Opens `object`; `place` is where its name stands.
    pub fn new(
        object: Arc<dyn Object>,
        status: Status,
        place: Option<crate::mount::Place>,
    ) -> Arc<Self> {
        if let Some(mount) = written_through(status, place.as_ref()) {
            mount.count_writer(true);
        }
        Arc::new(Self {
            object,
            status: AtomicU32::new(status.bits()),
            position: Mutex::new(0),
            place,
            unseen: AtomicBool::new(false),
            created: AtomicBool::new(false),
            hint: AtomicU8::new(0),
            driven: Mutex::new(None),
        })
    }

    /// A number that no other living description has.
    pub fn identity(&self) -> u64 {
        core::ptr::from_ref(self).addr() as u64
    }

    /// What is open.
    pub fn object(&self) -> &Arc<dyn Object> {
        &self.object
    }

    /// The object as a type that the caller knows.
    pub fn downcast<T: Object>(&self) -> Option<&T> {
        self.object.as_any().downcast_ref()
    }

    /// Access mode and status flags.
    pub fn status(&self) -> Status {
        Status::from_bits_retain(self.status.load(Ordering::Relaxed))
    }

    /// Changes the flags in `mask` (`F_SETFL`).
    pub fn set_status(&self, mask: Status, value: Status) {
        let _ = self.status.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
            Some(old & !mask.bits() | value.bits() & mask.bits())
        });
    }

    /// Whether it was opened for reading.
    pub fn readable(&self) -> bool {
        let status = self.status();
        !status.contains(Status::PATH)
            && (status & (Status::WRITE | Status::READ_WRITE)) != Status::WRITE
    }

    /// Whether it was opened for writing.
    pub fn writable(&self) -> bool {
        let status = self.status();
        !status.contains(Status::PATH) && status.intersects(Status::WRITE | Status::READ_WRITE)
    }

    /// Whether nothing may wait.
    pub fn nonblocking(&self) -> bool {
        self.status().contains(Status::NONBLOCK)
    }

    /// The file position, held while an operation uses and moves it.
    pub fn position(&self) -> &Mutex<u64> {
        &self.position
    }

    /// Where its name stands, for files that were opened by name.
    pub fn place(&self) -> Option<&crate::mount::Place> {
        self.place.as_ref()
    }

    /// Nobody is told of what it does (see [`crate::notify`]).
    pub(crate) fn set_unseen(&self) {
        self.unseen.store(true, Ordering::Relaxed);
    }

    /// Whether those who watch the file are told of what it does.
    pub(crate) fn is_told(&self) -> bool {
        !self.unseen.load(Ordering::Relaxed) && !self.status().contains(Status::PATH)
    }

    /// It made the file that it opened.
    pub(crate) fn set_created(&self) {
        self.created.store(true, Ordering::Relaxed);
    }

    /// Whether it made the file that it opened (`F_CREATED_QUERY`).
    pub fn created(&self) -> bool {
        self.created.load(Ordering::Relaxed)
    }

    /// Who hears of it by signals.
    pub fn owner(&self) -> crate::driven::Owner {
        self.driven.lock().as_ref().map(|state| state.owner).unwrap_or_default()
    }

    /// Changes who hears of it.
    pub fn set_owner(&self, change: impl FnOnce(&mut crate::driven::Owner)) {
        change(&mut self.driven.lock().get_or_insert_default().owner);
    }

    /// How long lives what is written (`F_GET_RW_HINT`): the inode's, where there is one that keeps it.
    pub fn write_hint(&self) -> u8 {
        self.hint().load(Ordering::Relaxed)
    }

    /// Says so.
    pub fn set_write_hint(&self, hint: u8) {
        self.hint().store(hint, Ordering::Relaxed);
    }

    fn hint(&self) -> &AtomicU8 {
        let node = self.place.as_ref().map(crate::mount::Place::node);
        node.and_then(|node| node.write_hint()).unwrap_or(&self.hint)
    }

    /// Begins or ends signal-driven I/O with subscriptions to [`Object::signal_sources`]; false: there was
    /// none to end.
    pub fn set_subscriptions(&self, new: Vec<executor::wait_queue::Subscription>) -> bool {
        let on = !new.is_empty();
        let old = {
            let mut driven = self.driven.lock();
            let state = driven.get_or_insert_default();
            core::mem::replace(&mut state.subscriptions, new)
        };
        if !on && old.is_empty() {
            return false;
        }
        self.set_status(Status::ASYNC, if on { Status::ASYNC } else { Status::empty() });
        true
    }

    /// What it is ready for now.
    pub fn poll(&self) -> Events {
        self.object.poll(self)
    }
}

/// The mount that a description keeps from becoming read-only: that of a regular file which may be
/// written.
fn written_through(
    status: Status,
    place: Option<&crate::mount::Place>,
) -> Option<&crate::mount::Mount> {
    let writable = status.intersects(Status::WRITE | Status::READ_WRITE);
    if !writable || status.contains(Status::PATH) {
        return None;
    }
    let place = place.filter(|place| place.node().kind() == crate::node::Kind::File)?;
    Some(&place.mount)
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if crate::notify::any() {
            crate::notify::closed(self);
        }
        if let Some(locks) = self.place.as_ref().and_then(|place| place.node().locks()) {
            locks.release_all(Holder::Description(self.identity()));
        }
        self.object.released(self);
        if let Some(mount) = written_through(self.status(), self.place.as_ref()) {
            mount.count_writer(false);
        }
    }
}
