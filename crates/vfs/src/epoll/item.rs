//! One registration, and the list of those that may be ready.

use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};

use platform::sync::Mutex;

use super::{Epoll, Interest, Key, Options};
use crate::object::{Events, OpenFile};

/// Bits that are told whether they were asked for or not.
const ALWAYS: u32 = Events::ERR.bits() | Events::HUP.bits();
/// Bits that are no events.
const OPTIONS: u32 = Options::all().bits();

/// A description that a set watches.
pub(super) struct Item {
    epoll: Weak<Epoll>,
    fd: i32,
    file: Weak<OpenFile>,
    interest: Mutex<Interest>,
    /// Told its one event, and waits to be modified.
    disarmed: AtomicBool,
    /// Was removed from the set.
    dead: AtomicBool,
    /// Stands in the ready list; changed by whoever puts it there or takes it.
    queued: AtomicBool,
}

impl Item {
    pub(super) fn new(
        epoll: Weak<Epoll>,
        fd: i32,
        file: &Arc<OpenFile>,
        interest: Interest,
    ) -> Self {
        Self {
            epoll,
            fd,
            file: Arc::downgrade(file),
            interest: Mutex::new(interest),
            disarmed: AtomicBool::new(false),
            dead: AtomicBool::new(false),
            queued: AtomicBool::new(false),
        }
    }

    pub(super) fn key(&self) -> Key {
        Key { fd: self.fd, file: self.file.as_ptr().addr() }
    }

    /// The description, while it is open.
    pub(super) fn file(&self) -> Option<Arc<OpenFile>> {
        self.file.upgrade()
    }

    /// What is asked for, as fdinfo shows it: with what is always told, or without any event once the
    /// only one was told.
    pub(super) fn shown(&self) -> Interest {
        let Interest { events, data } = self.interest();
        let disarmed = self.disarmed.load(Ordering::Relaxed);
        Interest { events: if disarmed { events & OPTIONS } else { events | ALWAYS }, data }
    }

    pub(super) fn interest(&self) -> Interest {
        *self.interest.lock()
    }

    /// Asks for something else, and arms the item.
    pub(super) fn set(&self, interest: Interest) {
        *self.interest.lock() = interest;
        self.disarmed.store(false, Ordering::Relaxed);
    }

    /// Has no more to tell.
    pub(super) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// What can be told now.
    pub(super) fn event(&self) -> Option<Interest> {
        if self.dead.load(Ordering::Relaxed) || self.disarmed.load(Ordering::Relaxed) {
            return None;
        }
        let file = self.file.upgrade()?;
        let Interest { events: wanted, data } = self.interest();
        let events = file.poll().bits() & (wanted & !OPTIONS | ALWAYS);
        (events != 0).then_some(Interest { events, data })
    }

    /// Notes that an event was told; true if it will be told again as long as it holds.
    pub(super) fn delivered(&self) -> bool {
        let options = Options::from_bits_truncate(self.interest().events);
        if options.contains(Options::ONESHOT) {
            self.disarmed.store(true, Ordering::Relaxed);
        }
        !options.intersects(Options::ONESHOT | Options::EDGE)
    }

    /// Looks whether it is ready right now, as if it had just been woken.
    pub(super) fn look(self: &Arc<Self>) {
        if self.event().is_some() {
            self.wake_by_ref();
        }
    }
}

impl Wake for Item {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.disarmed.load(Ordering::Relaxed) || self.dead.load(Ordering::Relaxed) {
            return;
        }
        // Seen as queued, it will be looked at after this: whoever takes it clears the mark first.
        if !self.queued.load(Ordering::Acquire)
            && let Some(epoll) = self.epoll.upgrade()
        {
            epoll.enqueue(self);
        }
    }
}

/// Items that may be ready, the longest waiting first. Each stands in it once.
#[derive(Default)]
pub(super) struct Ready {
    pub(super) list: VecDeque<Arc<Item>>,
    /// How many of the list were removed from the set meanwhile.
    buried: usize,
}

impl Ready {
    /// Puts an item at the end; false if it stands in the list already.
    pub(super) fn put(&mut self, item: Arc<Item>) -> bool {
        let new = !item.queued.swap(true, Ordering::AcqRel);
        if new {
            self.list.push_back(item);
        }
        new
    }

    /// Puts an item that was just taken at the front again.
    pub(super) fn put_back(&mut self, item: Arc<Item>) {
        if !item.queued.swap(true, Ordering::AcqRel) {
            self.list.push_front(item);
        }
    }

    /// Takes the first item; a wake-up after this puts it in again.
    pub(super) fn take(&mut self) -> Option<Arc<Item>> {
        let item = self.list.pop_front()?;
        item.queued.swap(false, Ordering::AcqRel);
        Some(item)
    }

    /// Takes note of a removed item, and drops such items once they are many.
    pub(super) fn bury(&mut self, item: &Arc<Item>) {
        self.buried += usize::from(item.queued.load(Ordering::Acquire));
        if self.buried > 16 && self.buried > self.list.len() / 2 {
            self.list.retain(|item| !item.dead.load(Ordering::Relaxed));
            self.buried = 0;
        }
    }
}
