//! inotify: a queue of what happened to the inodes that it watches.
//!
//! The length of a queue and the number of watches and queues are limited; the memory of a queue is the
//! LibOS's heap, so that an event that finds little memory left is lost, and this is told as Linux does.
//!
//! Locks: a queue's own, then that of all marks; nobody is told with either held.
//!
//! Source: inotify(7), `inotify_add_watch(2)`.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::budget;
use platform::sync::Mutex;
use platform::user::Sink;

use super::{Event, Mark, Mask};
use crate::anonymous::{Identity, Owner};
use crate::driven::{Band, Source};
use crate::node::Node;
use crate::object::{Attempt, Events, IoctlArgument, Object, OpenFile, Stat, Status, Stop};
use crate::pipe::FIONREAD;

/// The most events in a queue: `/proc/sys/fs/inotify/max_queued_events`.
pub const MAX_QUEUED: usize = 16_384;
/// The most queues: `/proc/sys/fs/inotify/max_user_instances`.
pub const MAX_INSTANCES: usize = 128;
/// The most watches of all queues together: `/proc/sys/fs/inotify/max_user_watches`.
pub const MAX_WATCHES: usize = 65_536;

/// Bytes of `struct inotify_event` without its name: descriptor, mask, cookie, length of the name.
const HEAD: usize = 16;
/// With less memory left than this, events are lost.
const RESERVE: u64 = 1 << 20;
/// ioctl: the number of the next watch.
const SET_NEXT: u32 = 0x4004_4900;

/// How many queues and watches there are.
static INSTANCES: AtomicUsize = AtomicUsize::new(0);
static WATCHES: AtomicUsize = AtomicUsize::new(0);

/// A queue and its watches.
pub struct Inotify {
    me: Weak<Self>,
    state: Mutex<State>,
    queue: WaitQueue,
    identity: Identity,
}

struct State {
    marks: BTreeMap<i32, Arc<Mark>>,
    /// The number that the next watch gets, if it is free.
    next: i32,
    events: VecDeque<Queued>,
    /// The queue holds word of lost events.
    overflowed: bool,
}

/// An event that waits to be read.
#[derive(PartialEq, Eq)]
struct Queued {
    descriptor: i32,
    mask: Mask,
    cookie: u32,
    name: Vec<u8>,
}

/// A watch, as fdinfo shows it.
#[derive(Clone, Copy, Debug)]
pub struct Watch {
    /// Its number.
    pub descriptor: i32,
    /// What it asks for.
    pub mask: Mask,
    /// What the inode is.
    pub stat: Stat,
}

/// Makes an empty queue; `status` may hold NONBLOCK.
///
/// # Errors
/// EMFILE beyond [`MAX_INSTANCES`].
pub fn inotify(status: Status, owner: Owner) -> Result<Arc<OpenFile>> {
    if !count(&INSTANCES, MAX_INSTANCES) {
        return Err(Errno::EMFILE.because("the limit of queues is reached (max_user_instances)"));
    }
    let object = Arc::new_cyclic(|me| Inotify {
        me: Weak::clone(me),
        state: Mutex::new(State {
            marks: BTreeMap::new(),
            next: 1,
            events: VecDeque::new(),
            overflowed: false,
        }),
        queue: WaitQueue::new(),
        identity: Identity::new(owner),
    });
    Ok(OpenFile::new(object, status, None))
}

/// Counts one more, unless that were too many.
fn count(counter: &AtomicUsize, most: usize) -> bool {
    let one_more = |now: usize| (now < most).then_some(now + 1);
    counter.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
}

impl Inotify {
    /// Watches `node`, or changes what is asked of it; gives the watch's number.
    ///
    /// # Errors
    /// EEXIST for [`Mask::NEW`] when it is watched, ENOSPC beyond [`MAX_WATCHES`].
    pub fn watch(&self, node: &Arc<dyn Node>, asked: Mask) -> Result<i32> {
        let kept = asked & Mask::KEPT;
        let mut state = self.state.lock();
        let key = super::key(&**node);
        let known = state.marks.values().find(|mark| super::key(&*mark.node) == key);
        if let Some(mark) = known {
            if asked.contains(Mask::NEW) {
                return Err(Errno::EEXIST.because("IN_MASK_CREATE, and it is watched already"));
            }
            let more = asked.contains(Mask::ADD);
            let mask = if more { mark.mask() | kept } else { kept };
            mark.mask.store(mask.bits(), Ordering::Relaxed);
            return Ok(mark.descriptor);
        }
        if !count(&WATCHES, MAX_WATCHES) {
            return Err(Errno::ENOSPC.because("the limit of watches is reached (max_user_watches)"));
        }
        let descriptor = state.free_number();
        let mark = Arc::new(Mark {
            group: Weak::clone(&self.me),
            descriptor,
            node: Arc::clone(node),
            mask: AtomicU32::new(kept.bits()),
        });
        state.marks.insert(descriptor, Arc::clone(&mark));
        super::insert(&mark);
        Ok(descriptor)
    }

    /// Ends the watch of that number.
    ///
    /// # Errors
    /// EINVAL when there is none.
    pub fn unwatch(&self, descriptor: i32) -> Result<()> {
        let mark = self.state.lock().marks.get(&descriptor).cloned();
        let mark = mark.ok_or(Errno::EINVAL.because("no watch has this number"))?;
        self.end(&mark);
        Ok(())
    }

    /// What is watched, for fdinfo: the newest first.
    pub fn watches(&self) -> Vec<Watch> {
        let marks: Vec<_> = self.state.lock().marks.values().rev().cloned().collect();
        let shown = |mark: &Arc<Mark>| {
            let stat = mark.node.stat().ok()?;
            Some(Watch { descriptor: mark.descriptor, mask: mark.mask() & Mask::KEPT, stat })
        };
        marks.iter().filter_map(shown).collect()
    }

    /// Queues an event of a watch, unless it ended meanwhile.
    pub(super) fn hear(&self, mark: &Arc<Mark>, event: Event<'_>) {
        let mut state = self.state.lock();
        if !state.holds(mark) {
            return;
        }
        let of_inode = event.mask.intersects(Mask::DELETE_SELF | Mask::MOVE_SELF);
        let shown = if of_inode { event.mask - Mask::DIRECTORY } else { event.mask };
        let new = state.put(Queued {
            descriptor: mark.descriptor,
            mask: shown,
            cookie: event.cookie,
            name: event.name.map(Vec::from).unwrap_or_default(),
        });
        drop(state);
        if new {
            self.queue.wake_all();
        }
        if mark.mask().contains(Mask::ONCE) {
            self.end(mark);
        }
    }

    /// Ends a watch, and says so.
    pub(super) fn end(&self, mark: &Arc<Mark>) {
        {
            let mut state = self.state.lock();
            if !state.holds(mark) {
                return;
            }
            state.marks.remove(&mark.descriptor);
            state.put(Queued {
                descriptor: mark.descriptor,
                mask: Mask::IGNORED,
                cookie: 0,
                name: Vec::new(),
            });
        }
        WATCHES.fetch_sub(1, Ordering::Relaxed);
        super::remove(mark);
        self.queue.wake_all();
    }
}

impl State {
    fn holds(&self, mark: &Arc<Mark>) -> bool {
        self.marks.get(&mark.descriptor).is_some_and(|known| Arc::ptr_eq(known, mark))
    }

    /// A number for a watch: not one that was used a short time ago.
    fn free_number(&mut self) -> i32 {
        let mut number = self.next.max(1);
        while self.marks.contains_key(&number) {
            number = number.checked_add(1).unwrap_or(1);
        }
        self.next = number.checked_add(1).unwrap_or(1);
        number
    }

    /// Queues an event; false: nothing new is there.
    fn put(&mut self, event: Queued) -> bool {
        if self.events.len() >= MAX_QUEUED || budget::available() < RESERVE {
            let first = !core::mem::replace(&mut self.overflowed, true);
            if first {
                let (mask, name) = (Mask::OVERFLOW, Vec::new());
                self.events.push_back(Queued { descriptor: -1, mask, cookie: 0, name });
            }
            return first;
        }
        let same = |last: &Queued| {
            last.mask != Mask::IGNORED
                && last.mask == event.mask
                && last.descriptor == event.descriptor
                && last.name == event.name
        };
        let new = !self.events.back().is_some_and(same);
        if new {
            self.events.push_back(event);
        }
        new
    }
}

impl Queued {
    /// Bytes of the name with its padding, of which at least one is 0; none without a name.
    fn name_len(&self) -> usize {
        if self.name.is_empty() { 0 } else { (self.name.len() + 1).next_multiple_of(HEAD) }
    }

    fn len(&self) -> usize {
        HEAD + self.name_len()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len());
        bytes.extend_from_slice(&self.descriptor.to_le_bytes());
        bytes.extend_from_slice(&self.mask.bits().to_le_bytes());
        bytes.extend_from_slice(&self.cookie.to_le_bytes());
        let name_len = u32::try_from(self.name_len()).unwrap_or(0);
        bytes.extend_from_slice(&name_len.to_le_bytes());
        bytes.extend_from_slice(&self.name);
        bytes.resize(self.len(), 0);
        bytes
    }
}

impl Object for Inotify {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let mut state = self.state.lock();
        let mut done = 0;
        while let Some(first) = state.events.front() {
            let bytes = first.bytes();
            if bytes.len() > sink.room() {
                if done == 0 {
                    return Err(Errno::EINVAL.because("no room for the next event").into());
                }
                break;
            }
            if let Some(taken) = state.events.pop_front()
                && taken.mask == Mask::OVERFLOW
            {
                state.overflowed = false;
            }
            if sink.put(&bytes) < bytes.len() {
                // As in Linux, the event is gone, and nobody is told of those that came before.
                return Ok(0);
            }
            done += bytes.len();
        }
        if done == 0 { Err(Stop::WouldBlock) } else { Ok(done) }
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn seeks_in_vain(&self) -> bool {
        true
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let mut events = Events::empty();
        events.set(Events::IN | Events::RDNORM, !self.state.lock().events.is_empty());
        events
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn signal_sources(&self) -> Vec<Source<'_>> {
        alloc::vec![(&self.queue, Some(Band::In))]
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match request {
            FIONREAD => {
                let bytes: usize = self.state.lock().events.iter().map(Queued::len).sum();
                argument.write(&i32::try_from(bytes).unwrap_or(i32::MAX).to_le_bytes())?;
                Ok(0)
            }
            SET_NEXT => {
                let number = i32::try_from(argument.value()).ok().filter(|number| *number >= 1);
                let number = number.ok_or(Errno::EINVAL.because("no number of a watch"))?;
                self.state.lock().next = number;
                Ok(0)
            }
            _ => Err(Errno::ENOTTY.because("what was opened has no such control")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Drop for Inotify {
    fn drop(&mut self) {
        let marks = core::mem::take(&mut self.state.lock().marks);
        WATCHES.fetch_sub(marks.len(), Ordering::Relaxed);
        INSTANCES.fetch_sub(1, Ordering::Relaxed);
        marks.values().for_each(super::remove);
    }
}
