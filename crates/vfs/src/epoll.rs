//! epoll: a set of descriptors, of which it tells those that are ready.
//!
//! Each registered descriptor is an [`item::Item`] that the descriptor's wait queue wakes; it then
//! stands in the ready list, and only what stands there is looked at. So the cost of a wait depends on
//! what is ready, not on what is registered.
//!
//! A registration belongs to the open description: it ends with it, whatever happens to the number.
//! The set notices that late (when the item is woken, or at the next growth), which nobody can see.
//!
//! Parameters of busy polling (`EPIOCSPARAMS`) are kept for who asks: no network card is polled here, and a
//! budget above 64 is refused to the privileged, too.
//!
//! Source: epoll(7), `epoll_ctl(2)`, `epoll_wait(2)`.

mod item;
mod nesting;

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::{Subscription, WaitQueue};
use hashbrown::HashMap;
use platform::sync::Mutex;

use crate::anonymous::{Identity, Owner};
use crate::object::{Events, IoctlArgument, Object, OpenFile, Stat, Status};
use item::{Item, Ready};

bitflags::bitflags! {
    /// What a registration asks for besides the bits of [`Events`], with the bits of `epoll_ctl(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Options: u32 {
        /// Of several sets that hold the same description, not all need to hear of an event.
        const EXCLUSIVE = 1 << 28;
        /// Keeps the machine awake: without effect here.
        const WAKEUP = 1 << 29;
        /// Tells one event, then nothing until it is modified.
        const ONESHOT = 1 << 30;
        /// Tells changes instead of states.
        const EDGE = 1 << 31;
    }
}

/// What the program wants to hear of a descriptor, or what it hears: `struct epoll_event`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// Bits of [`Events`] and [`Options`].
    pub events: u32,
    /// The program's own word.
    pub data: u64,
}

/// ioctl: sets and gets the parameters of busy polling.
const EPIOCSPARAMS: u32 = 0x4008_8a01;
const EPIOCGPARAMS: u32 = 0x8008_8a02;
/// Bytes of `struct epoll_params`: microseconds, budget, whether it is preferred, padding.
const PARAMETERS: usize = 8;
/// The largest budget for everybody.
const BUDGET: u16 = 64;
/// What a registration is taken to cost, bytes, and the part of memory that they may cost.
const WATCH: u64 = 320;
const PART: u64 = 25;
/// Registrations that there are.
static WATCHES: AtomicU64 = AtomicU64::new(0);

/// How many registrations there may be: `/proc/sys/fs/epoll/max_user_watches`.
pub fn most_watches() -> u64 {
    platform::budget::limit() / PART / WATCH
}

/// Where a set stands before it is first pruned of the dead.
const PRUNE_FIRST: usize = 64;
/// What may be asked for together with [`Options::EXCLUSIVE`].
const WITH_EXCLUSIVE: u32 = Events::IN.bits()
    | Events::OUT.bits()
    | Events::ERR.bits()
    | Events::HUP.bits()
    | Options::WAKEUP.bits()
    | Options::EDGE.bits()
    | Options::EXCLUSIVE.bits();

/// A set.
pub struct Epoll {
    me: Weak<Epoll>,
    registered: Mutex<Registered>,
    ready: Mutex<Ready>,
    /// Held while the ready list is gone through, so that nobody meets it half empty.
    scan: Mutex<()>,
    /// Who waits in `epoll_wait`.
    waiters: WaitQueue,
    /// Who polls the set's own descriptor.
    queue: WaitQueue,
    /// Sets that hold this one.
    parents: Mutex<Vec<Weak<Epoll>>>,
    parameters: Mutex<[u8; PARAMETERS]>,
    identity: Identity,
}

struct Registered {
    items: HashMap<Key, Entry>,
    prune_at: usize,
}

/// A registration is known by number and description together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    fd: i32,
    /// The description's address; the item's weak reference keeps it from being used again.
    file: usize,
}

struct Entry {
    item: Arc<Item>,
    _subscription: Subscription,
    _watch: Watch,
}

/// One of the registrations that are counted.
struct Watch(());

impl Watch {
    fn count() -> Result<Self> {
        let before = WATCHES.fetch_add(1, Ordering::Relaxed);
        let watch = Self(());
        if before >= most_watches() {
            return Err(Errno::ENOSPC.because("more registrations than max_user_watches"));
        }
        Ok(watch)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        WATCHES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Makes an empty set.
pub fn epoll(owner: Owner) -> Arc<OpenFile> {
    let object = Arc::new_cyclic(|me| Epoll {
        me: Weak::clone(me),
        registered: Mutex::new(Registered { items: HashMap::new(), prune_at: PRUNE_FIRST }),
        ready: Mutex::new(Ready::default()),
        scan: Mutex::new(()),
        waiters: WaitQueue::new(),
        queue: WaitQueue::new(),
        parents: Mutex::new(Vec::new()),
        parameters: Mutex::new([0; PARAMETERS]),
        identity: Identity::new(owner),
    });
    OpenFile::new(object, Status::READ_WRITE, None)
}

impl Epoll {
    /// Registers `file` under the number `fd` (`EPOLL_CTL_ADD`).
    ///
    /// # Errors
    /// EEXIST when it is registered, EPERM for what is always ready, ELOOP for a circle of sets or more
    /// than five in a row, EINVAL for what doesn't go with EPOLLEXCLUSIVE. That `file` isn't the set
    /// itself is the caller's to check.
    pub fn add(&self, fd: i32, file: &Arc<OpenFile>, interest: Interest) -> Result<()> {
        let inner = file.downcast::<Epoll>();
        if interest.events & Options::EXCLUSIVE.bits() != 0
            && (inner.is_some() || interest.events & !WITH_EXCLUSIVE != 0)
        {
            return Err(
                Errno::EINVAL.because("EPOLLEXCLUSIVE goes with IN, OUT, ET and WAKEUP only")
            );
        }
        let Some(queue) = file.object().readiness() else {
            return Err(Errno::EPERM.because("the file is always ready; epoll can't watch it"));
        };
        let key = Key::new(fd, file);
        let _nesting = match inner {
            Some(inner) => Some(self.enter(inner)?),
            None => None,
        };
        let item = {
            let mut registered = self.registered.lock();
            if registered.items.contains_key(&key) {
                return Err(Errno::EEXIST.because("the descriptor is registered already"));
            }
            registered.prune();
            let watch = Watch::count()?;
            let item = Arc::new(Item::new(Weak::clone(&self.me), fd, file, interest));
            let subscription = queue.subscribe(Arc::clone(&item).into());
            registered.items.insert(
                key,
                Entry { item: Arc::clone(&item), _subscription: subscription, _watch: watch },
            );
            item
        };
        if let Some(inner) = inner {
            inner.parents.lock().push(Weak::clone(&self.me));
        }
        item.look();
        Ok(())
    }

    /// Changes what is asked of a registered descriptor, and arms it again (`EPOLL_CTL_MOD`).
    ///
    /// # Errors
    /// ENOENT when it isn't registered, EINVAL where EPOLLEXCLUSIVE is or was asked for.
    pub fn modify(&self, fd: i32, file: &Arc<OpenFile>, interest: Interest) -> Result<()> {
        let item = {
            let registered = self.registered.lock();
            let Some(entry) = registered.items.get(&Key::new(fd, file)) else {
                return Err(Errno::ENOENT.because("the descriptor is not registered"));
            };
            Arc::clone(&entry.item)
        };
        let exclusive = Options::EXCLUSIVE.bits();
        if (interest.events | item.interest().events) & exclusive != 0 {
            return Err(Errno::EINVAL.because("EPOLLEXCLUSIVE can't be modified"));
        }
        item.set(interest);
        item.look();
        Ok(())
    }

    /// Ends a registration (`EPOLL_CTL_DEL`).
    ///
    /// # Errors
    /// ENOENT when there is none.
    pub fn delete(&self, fd: i32, file: &Arc<OpenFile>) -> Result<()> {
        let removed = self.registered.lock().items.remove(&Key::new(fd, file));
        let Some(entry) = removed else {
            return Err(Errno::ENOENT.because("the descriptor is not registered"));
        };
        self.forget(&entry.item);
        if let Some(inner) = file.downcast::<Epoll>() {
            inner.leave(self);
        }
        Ok(())
    }

    /// Hands ready descriptors to `each`, at most `most`; it returns false when it can't take one.
    ///
    /// Gives how many were taken. Does not wait: with 0, listen to [`Self::waiters`] and try again.
    pub fn collect(&self, most: usize, mut each: impl FnMut(Interest) -> bool) -> usize {
        if self.candidates() == 0 {
            return 0;
        }
        let scan = self.scan.lock();
        let mut taken = 0;
        let candidates = self.candidates();
        for _ in 0..candidates {
            if taken == most {
                break;
            }
            let Some(item) = self.pop() else { break };
            let Some(event) = item.event() else {
                self.drop_if_dead(&item);
                continue;
            };
            if !each(event) {
                self.ready.lock().put_back(item);
                break;
            }
            taken += 1;
            if item.delivered() {
                self.ready.lock().put(item);
            }
        }
        let more = self.candidates() > 0;
        drop(scan);
        if more {
            self.waiters.wake(1);
        }
        taken
    }

    /// Woken when something became ready; one waiter for each wake-up.
    pub fn waiters(&self) -> &WaitQueue {
        &self.waiters
    }

    /// What is registered under a number; `skipped` of those that were registered under it are passed over, in
    /// no particular order.
    pub fn target(&self, fd: i32, skipped: usize) -> Option<Arc<OpenFile>> {
        let registered = self.registered.lock();
        let of_fd = registered.items.iter().filter(|(key, _)| key.fd == fd);
        of_fd.filter_map(|(_, entry)| entry.item.file()).nth(skipped)
    }

    /// What is registered: number, interest and description, for fdinfo.
    pub fn list(&self) -> Vec<(i32, Interest, Arc<OpenFile>)> {
        let registered = self.registered.lock();
        let shown =
            |(key, entry): (&Key, &Entry)| Some((key.fd, entry.item.shown(), entry.item.file()?));
        let mut list: Vec<_> = registered.items.iter().filter_map(shown).collect();
        drop(registered);
        list.sort_unstable_by_key(|(fd, ..)| *fd);
        list
    }

    /// How many may be ready now; a scan looks at no more, so that it ends.
    fn candidates(&self) -> usize {
        self.ready.lock().list.len()
    }

    /// Takes the first of the ready list, in which a wake-up from now on puts it again.
    fn pop(&self) -> Option<Arc<Item>> {
        self.ready.lock().take()
    }

    /// Ends the registration of an item whose description is gone.
    fn drop_if_dead(&self, item: &Arc<Item>) {
        if item.file().is_none() {
            self.registered.lock().items.remove(&item.key());
        }
    }

    /// Sees to it that a removed item is neither told nor kept.
    fn forget(&self, item: &Arc<Item>) {
        item.kill();
        self.ready.lock().bury(item);
    }

    /// Puts an item into the ready list; wakes who waits.
    fn enqueue(&self, item: &Arc<Item>) {
        if self.ready.lock().put(Arc::clone(item)) {
            self.waiters.wake(1);
            self.queue.wake_all();
        }
    }
}

impl Key {
    fn new(fd: i32, file: &Arc<OpenFile>) -> Self {
        Self { fd, file: Arc::as_ptr(file).addr() }
    }
}

impl Registered {
    /// Drops registrations whose description is gone, when the set has doubled since the last time.
    fn prune(&mut self) {
        if self.items.len() >= self.prune_at {
            self.items.retain(|_, entry| entry.item.file().is_some());
            self.prune_at = PRUNE_FIRST.max(2 * self.items.len());
        }
    }
}

impl Object for Epoll {
    fn seeks_in_vain(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        let _scan = self.scan.lock();
        let candidates = self.candidates();
        for _ in 0..candidates {
            let Some(item) = self.pop() else { break };
            if item.event().is_some() {
                self.ready.lock().put_back(item);
                return Events::IN | Events::RDNORM;
            }
            self.drop_if_dead(&item);
        }
        Events::empty()
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&self.queue)
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match request {
            EPIOCSPARAMS => {
                let mut bytes = [0; PARAMETERS];
                argument.read(&mut bytes)?;
                *self.parameters.lock() = checked(bytes)?;
            }
            EPIOCGPARAMS => {
                let bytes = *self.parameters.lock();
                argument.write(&bytes)?;
            }
            _ => return Err(Errno::EINVAL.because("a set has no such control")),
        }
        Ok(0)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Parameters of busy polling, if they can be.
fn checked(bytes: [u8; PARAMETERS]) -> Result<[u8; PARAMETERS]> {
    let [a, b, c, d, low, high, prefer, padding] = bytes;
    if padding != 0 || prefer > 1 || i32::from_le_bytes([a, b, c, d]) < 0 {
        return Err(Errno::EINVAL.because("parameters of busy polling that can't be"));
    }
    if u16::from_le_bytes([low, high]) > BUDGET {
        return Err(Errno::EPERM.because("a budget above 64"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
