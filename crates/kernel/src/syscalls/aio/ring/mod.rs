//! `io_uring`: submission and completion queues in memory that a program maps.
//!
//! Shape of the first mapping, as Linux 6.18 lays it out (words of 32 bits): heads and tails, masks and
//! sizes, counters and flags, from byte 64 on the completions, behind them the array of indices. The
//! second mapping holds the entries. A program may scribble on all of it at any time: each entry is
//! copied once, and the LibOS keeps its own heads, tails and sizes.
//!
//! Source: io_uring(7), `io_uring_setup(2)`.

mod cancel;
pub(super) mod enter;
mod entry;
mod operations;
mod poll;
pub(super) mod register;
pub(super) mod setup;
mod submit;
mod timeout;
mod transfer;
mod work;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Write as _;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use executor::Task;
use executor::wait_queue::WaitQueue;
use platform::arena::Extent;
use platform::sync::{Guard, Mutex};
use platform::user::{Source, UserRange};
use storage::pages::Pages;
use vfs::anonymous::Identity;
use vfs::object::{Events, Object, OpenFile, Stat};

use self::entry::Completion;
use self::setup::{Setup, Shape};
use self::submit::Chain;
use super::shared::Shared;
use crate::process::{Process, Thread};

/// Where the words of the first mapping lie.
const SQ_HEAD: usize = 0;
const SQ_TAIL: usize = 4;
const CQ_HEAD: usize = 8;
const CQ_TAIL: usize = 12;
const SQ_FLAGS: usize = 36;
const SQ_DROPPED: usize = 32;
const CQ_OVERFLOW: usize = 44;
const COMPLETIONS: usize = 64;

/// Bit of the submission queue's flags: completions wait outside the queue.
const OVERFLOWN: u32 = 2;
/// The offsets at which a program maps.
const AT_RINGS: u64 = 0;
const AT_COMPLETIONS: u64 = 0x800_0000;
const AT_ENTRIES: u64 = 0x1000_0000;
/// What of an offset counts.
const OFFSETS: u64 = 0xf800_0000;
/// So many completions are kept outside of a full queue; those beyond are counted as lost.
const OVERFLOW_MAX: usize = 1 << 17;
/// So many operations of one ring are under way at most.
const RUNNING_MAX: usize = 1 << 16;

/// A ring.
pub(crate) struct Ring {
    me: Weak<Self>,
    identity: Identity,
    shape: Shape,
    rings: Shared,
    entries: Shared,
    state: Mutex<State>,
    /// Woken at each completion.
    changed: WaitQueue,
}

/// What changes.
struct State {
    /// The LibOS's own index of the next entry.
    sq_head: u32,
    /// Its own index of the next completion.
    cq_tail: u32,
    /// Completions that found no room.
    overflow: VecDeque<Completion>,
    /// Completions so far, those of timeouts left out.
    posted: u32,
    /// Chains that workers carry out.
    active: usize,
    running: BTreeMap<u64, Running>,
    next: u64,
    deferred: VecDeque<Chain>,
    files: Vec<Option<Arc<OpenFile>>>,
    buffers: Vec<Option<UserRange>>,
    /// Told of completions.
    event: Option<Arc<OpenFile>>,
    restrictions: Option<register::Restrictions>,
    enabled: bool,
    closed: bool,
}

/// An operation that is under way.
struct Running {
    user_data: u64,
    opcode: u8,
    /// What [`OpenFile::identity`] says of its file; 0 none.
    file: u64,
    /// Whoever carries it out.
    thread: Arc<Thread>,
    /// Of a timeout: when. Of a poll: what for.
    aim: Aim,
}

/// What can be changed of an operation under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Aim {
    None,
    Deadline(Option<u64>),
    Events(u32),
}

impl Running {
    /// Whether its wait was ended.
    fn is_stopping(&self) -> bool {
        self.thread.ending.load(Ordering::SeqCst)
    }

    /// Has its wait end.
    fn stop(&self) {
        self.thread.ending.store(true, Ordering::SeqCst);
        if let Some(task) = self.thread.task() {
            Task::wake(task);
        }
    }
}

impl Ring {
    /// A file that was registered.
    ///
    /// # Errors
    /// EBADF.
    fn registered_file(&self, index: u32) -> Result<Arc<OpenFile>> {
        let state = self.state.lock();
        let slot = state.files.get(index as usize).cloned().flatten();
        slot.ok_or(Errno::EBADF.because("no file is registered there"))
    }

    /// Completions that a program has not taken yet.
    fn ready(&self) -> u32 {
        let state = self.state.lock();
        self.waiting(&state).saturating_add(u32::try_from(state.overflow.len()).unwrap_or(u32::MAX))
    }

    /// Those in the queue itself. A head that makes no sense means a full queue.
    fn waiting(&self, state: &State) -> u32 {
        state.cq_tail.wrapping_sub(self.rings.load(CQ_HEAD)).min(self.shape.completions)
    }

    /// Adds a completion; `false`: it stands outside of the queue, which is full.
    fn post(&self, completion: Completion) -> bool {
        let (fits, event) = {
            let mut state = self.state.lock();
            let fits = state.overflow.is_empty() && self.waiting(&state) < self.shape.completions;
            if fits {
                self.put(&mut state, completion);
            } else {
                self.keep(&mut state, completion);
            }
            state.posted = state.posted.wrapping_add(1);
            (fits, state.event.clone())
        };
        self.changed.wake_all();
        if let Some(event) = event {
            let _ = event.object().write(&event, None, &mut One(true));
        }
        fits
    }

    fn put(&self, state: &mut State, completion: Completion) {
        let size = self.shape.completion_size();
        let index = state.cq_tail & (self.shape.completions - 1);
        let at = COMPLETIONS + index as usize * size;
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&completion.user_data.to_le_bytes());
        bytes[8..12].copy_from_slice(&completion.result.to_le_bytes());
        bytes[12..].copy_from_slice(&completion.flags.to_le_bytes());
        self.rings.write(at, &bytes);
        if size > bytes.len() {
            self.rings.write(at + bytes.len(), &[0; 16]);
        }
        state.cq_tail = state.cq_tail.wrapping_add(1);
        self.rings.store(CQ_TAIL, state.cq_tail);
    }

    fn keep(&self, state: &mut State, completion: Completion) {
        if state.overflow.len() >= OVERFLOW_MAX {
            let lost = self.rings.load(CQ_OVERFLOW);
            self.rings.store(CQ_OVERFLOW, lost.wrapping_add(1));
            return;
        }
        state.overflow.push_back(completion);
        self.rings.store(SQ_FLAGS, self.rings.load(SQ_FLAGS) | OVERFLOWN);
    }

    /// Moves completions that found no room into the queue.
    fn flush(&self) {
        let mut state = self.state.lock();
        if state.overflow.is_empty() {
            return;
        }
        while self.waiting(&state) < self.shape.completions {
            let Some(completion) = state.overflow.pop_front() else { break };
            self.put(&mut state, completion);
        }
        if state.overflow.is_empty() {
            self.rings.store(SQ_FLAGS, self.rings.load(SQ_FLAGS) & !OVERFLOWN);
        }
    }

    /// Ends all that is under way, and lets go of what was registered.
    fn stop_all(&self) {
        let held = {
            let mut state = self.state.lock();
            state.closed = true;
            state.running.values().for_each(Running::stop);
            let files = core::mem::take(&mut state.files);
            (core::mem::take(&mut state.deferred), files, state.event.take())
        };
        drop(held);
    }

    fn lock(&self) -> Guard<'_, State> {
        self.state.lock()
    }

    /// What fdinfo shows.
    fn details(&self) -> String {
        let state = self.state.lock();
        let mut text = String::new();
        let (sq, cq) = (self.shape.entries, self.shape.completions);
        let words = [
            ("SqMask", u64::from(sq - 1), true),
            ("SqHead", self.rings.load(SQ_HEAD).into(), false),
            ("SqTail", self.rings.load(SQ_TAIL).into(), false),
            ("CachedSqHead", state.sq_head.into(), false),
            ("CqMask", u64::from(cq - 1), true),
            ("CqHead", self.rings.load(CQ_HEAD).into(), false),
            ("CqTail", self.rings.load(CQ_TAIL).into(), false),
            ("CachedCqTail", state.cq_tail.into(), false),
        ];
        for (name, value, hexadecimal) in words {
            let _ = if hexadecimal {
                writeln!(text, "{name}:\t0x{value:x}")
            } else {
                writeln!(text, "{name}:\t{value}")
            };
        }
        let _ = writeln!(text, "UserFiles:\t{}", state.files.len());
        let _ = writeln!(text, "UserBufs:\t{}", state.buffers.len());
        text
    }
}

impl Object for Ring {
    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let state = self.state.lock();
        let pending = self.rings.load(SQ_TAIL).wrapping_sub(state.sq_head);
        let mut events = Events::empty();
        events.set(Events::OUT | Events::WRNORM, pending < self.shape.entries);
        let some = self.waiting(&state) > 0 || !state.overflow.is_empty();
        events.set(Events::IN | Events::RDNORM, some);
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.changed)
    }

    fn mapped_at(&self, offset: u64) -> Option<(Arc<Pages>, u64)> {
        match offset & OFFSETS {
            AT_RINGS | AT_COMPLETIONS => Some((Arc::clone(self.rings.pages()), 0)),
            AT_ENTRIES => Some((Arc::clone(self.entries.pages()), 0)),
            _ => None,
        }
    }

    fn shown(&self) -> Option<(&'static str, String)> {
        Some(("[io_uring]", self.details()))
    }

    fn released(&self, _open: &OpenFile) {
        self.stop_all();
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The number one, for an eventfd.
struct One(bool);

impl Source for One {
    fn left(&self) -> usize {
        if self.0 { 8 } else { 0 }
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        if !core::mem::take(&mut self.0) {
            return 0;
        }
        let one = 1_u64.to_le_bytes();
        let len = out.len().min(one.len());
        out[..len].copy_from_slice(&one[..len]);
        len
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let mut bytes = [0; 8];
        let taken = self.take(&mut bytes[..len.min(8)]);
        extent.write(at, &bytes[..taken]);
        taken
    }
}

/// Ends all that the rings of a process do, before its memory becomes another program's.
pub(crate) async fn end_all(process: &Process) {
    for (_, file) in process.files.list() {
        let Some(ring) = file.downcast::<Ring>() else { continue };
        loop {
            let listener = ring.changed.listen();
            ring.stop_all();
            if ring.lock().active == 0 {
                break;
            }
            listener.await;
        }
    }
}

/// The flags that a ring was made with.
fn has(ring: &Ring, flag: Setup) -> bool {
    ring.shape.flags.contains(flag)
}
