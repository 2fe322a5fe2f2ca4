//! One process's view of user memory, and what its operations have in common.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::{Error, Result};
use platform::budget::{self, Charge, Purpose};
use platform::sync::{Mutex, Once};

use super::area::{Area, Areas, Flags, Kind};
use super::contents::{Mapped, Watches};
use super::mapper::Mapper;
use super::original::Rewritten;
use super::place::Cursor;
use super::populate::{Access, Refusal};
use super::refusal::{OutOfMemory, Outcome};
use super::runs::{Held, Runs};
use super::text::{Change, TextWatcher};
use super::{PAGE, Prot, common};

/// The most areas of a process: Linux's default `vm.max_map_count`.
pub(crate) const AREAS_MAX: usize = 65_530;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What a space needs of the world.
#[derive(Clone)]
pub struct Environment {
    /// Carries out effects on the host.
    pub mapper: Arc<dyn Mapper>,
    /// Told of each refusal by the memory limit.
    pub refused: Arc<dyn Fn(&OutOfMemory) + Send + Sync>,
    /// Asked to give back about so many bytes of unused cache before a refusal; must not wait for
    /// the host, nor touch mappings.
    pub reclaim: Arc<dyn Fn(u64) + Send + Sync>,
    /// The user region.
    pub region: Range<u64>,
}

/// A resource limit that memory calls obey (setrlimit(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// RLIMIT_AS: bytes of all areas.
    AddressSpace = 0,
    /// RLIMIT_STACK: bytes of an area that grows down.
    Stack = 1,
    /// RLIMIT_DATA: bytes of the heap.
    Data = 2,
}

/// How a futex's word is known: never by its bare address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    // Two words travel in registers; an enum would not.
    owner: u64,
    place: u64,
}

impl Key {
    /// Ids are counted up, and never come so far.
    const SHARED: u64 = 1 << 63;

    /// An address in one space, by [`Space::id`].
    #[inline]
    pub const fn private(space: u64, address: u64) -> Self {
        Self { owner: space, place: address }
    }

    /// An offset in an object that may be mapped elsewhere too.
    pub const fn shared(object: u64, offset: u64) -> Self {
        Self { owner: object | Self::SHARED, place: offset }
    }

    /// A word in which bits of both halves are mixed, the upper ones best.
    #[inline]
    pub const fn mixed(self) -> u64 {
        // An odd number whose bits look random: 2^64 divided by the golden ratio. Keys are addresses
        // and counters, and nobody's secret.
        (self.place ^ self.owner.rotate_left(40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// What a space holds, in bytes unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// All areas.
    pub mapped: u64,
    /// Charged to the memory limit.
    pub charged: u64,
    /// The most that was charged at once.
    pub peak: u64,
    /// Number of areas.
    pub areas: usize,
    /// Locked by mlock(2).
    pub locked: u64,
    /// Private writable.
    pub data: u64,
    /// Executable.
    pub text: u64,
    /// The main stack.
    pub stack: u64,
}

/// One process's view of user memory.
pub struct Space {
    pub(crate) id: u64,
    pub(crate) me: Weak<Space>,
    pub(crate) environment: Environment,
    pub(crate) state: Mutex<State>,
    pub(crate) watcher: Once<Arc<dyn TextWatcher>>,
    pub(crate) rewritten: Rewritten,
    limits: [AtomicU64; 3],
}

/// What the lock of a space protects. It is never held across an `.await`.
pub(crate) struct State {
    pub(crate) areas: Areas,
    pub(crate) runs: Runs,
    /// Start of the heap and the break.
    pub(crate) heap: Range<u64>,
    pub(crate) cursor: Cursor,
    pub(crate) watches: Watches,
    /// Locks what is mapped from now on (mlockall), at once or at the first use.
    pub(crate) lock_future: Option<super::lock::When>,
    charged: u64,
    peak: u64,
}

impl Space {
    /// An empty space, its stack and mappings at random places.
    pub fn new(environment: Environment) -> Arc<Self> {
        let cursor = Cursor::random(&environment.region);
        Arc::new_cyclic(|me| Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            me: Weak::clone(me),
            environment,
            state: Mutex::new(State {
                areas: Areas::new(),
                runs: Runs::new(),
                heap: 0..0,
                cursor,
                watches: Watches::new(),
                lock_future: None,
                charged: 0,
                peak: 0,
            }),
            watcher: Once::new(),
            rewritten: Rewritten::default(),
            limits: [AtomicU64::new(u64::MAX), AtomicU64::new(8 << 20), AtomicU64::new(u64::MAX)],
        })
    }

    /// Its number: never used again while the enclave lives.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sets a limit in bytes; `u64::MAX` is none.
    pub fn set_limit(&self, limit: Limit, bytes: u64) {
        self.limits[limit as usize].store(bytes, Ordering::Relaxed);
    }

    /// A limit in bytes.
    pub fn limit(&self, limit: Limit) -> u64 {
        self.limits[limit as usize].load(Ordering::Relaxed)
    }

    /// The user region.
    pub fn region(&self) -> Range<u64> {
        self.environment.region.clone()
    }

    /// Unmaps everything: what exec(2) and a process's end do.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        let all = self.region();
        self.before_change(&mut state, &all, Change::Replaced);
        if let Some(span) = state.runs.span(&all) {
            // A host that refuses to unmap keeps what it has; nothing of it is handed out again
            // before it has been mapped anew.
            let _ = self.environment.mapper.unmap(span.start, span.end - span.start);
        }
        state.areas.carve(&all, true);
        self.rewritten.set(core::iter::empty());
        let held = state.runs.clear();
        state.heap = 0..0;
        state.lock_future = None;
        state.cursor = Cursor::random(&all);
        let charged = state.charged;
        state.release(charged);
        drop(state);
        drop(held);
    }

    /// Names the word at `address` for a futex; `private` as FUTEX_PRIVATE_FLAG says.
    ///
    /// As in Linux, a word that isn't private must be one that the program may write, or at least one
    /// of a file where the operation only reads it.
    ///
    /// # Errors
    /// EFAULT when nothing is mapped there that `access` is for (only asked where it isn't private).
    #[inline]
    pub fn futex_key(&self, address: u64, private: bool, access: Access) -> Result<Key> {
        if private { Ok(Key::private(self.id, address)) } else { self.known_key(address, access) }
    }

    fn known_key(&self, address: u64, access: Access) -> Result<Key> {
        let state = self.state.lock();
        let (start, area) =
            state.areas.find(address).ok_or(Errno::EFAULT.because("the word is not mapped"))?;
        if state.runs.is_guarded(address) {
            return Err(Errno::EFAULT.because("a guard"));
        }
        let reads_a_file =
            access == Access::Read && !area.is_anonymous() && access.is_admitted(area.prot);
        if !Access::Write.is_admitted(area.prot) && !reads_a_file {
            return Err(Errno::EFAULT.because("a futex that can't be written must be private"));
        }
        Ok(match &area.kind {
            Kind::File(mapped) if mapped.shared => {
                Key::shared(mapped.id(), mapped.offset + (address - start))
            }
            _ => Key::private(self.id, address),
        })
    }

    /// Counts the peak anew from here.
    pub fn forget_peak(&self) {
        let mut state = self.state.lock();
        state.peak = state.charged;
    }

    /// What it holds now.
    pub fn statistics(&self) -> Statistics {
        let state = self.state.lock();
        let mut all = Statistics {
            mapped: state.areas.total(),
            charged: state.charged,
            peak: state.peak,
            areas: state.areas.len(),
            ..Statistics::default()
        };
        for (start, area) in state.areas.map() {
            let len = area.end - start;
            if area.flags.contains(Flags::LOCKED) {
                all.locked += len;
            }
            if area.flags.contains(Flags::MAIN_STACK) {
                all.stack += len;
            } else if area.is_data() {
                all.data += len;
            } else if area.prot.contains(Prot::EXEC) && !area.is_hidden() {
                all.text += len;
            }
        }
        all
    }

    /// Charges `len` bytes of private memory, or says why not.
    ///
    /// # Errors
    /// ENOMEM, after one report through [`Environment::refused`].
    pub(crate) fn charge(&self, state: &mut State, len: u64) -> Result<()> {
        if len == 0 {
            return Ok(());
        }
        let charged = self.try_charge(state, len, Charge::Ordinary);
        if charged { Ok(()) } else { Err(self.refuse(len)) }
    }

    /// Charges `len` bytes if the limit admits it; a refusal is not reported.
    pub(crate) fn try_charge(&self, state: &mut State, len: u64, how: Charge) -> bool {
        if !budget::charge(Purpose::User, len, Charge::Ordinary) {
            (self.environment.reclaim)(len);
            if !budget::charge(Purpose::User, len, how) {
                return false;
            }
        }
        state.charged += len;
        state.peak = state.peak.max(state.charged);
        true
    }

    /// Refuses shared memory that could never be filled: it is charged as it is used.
    ///
    /// # Errors
    /// ENOMEM, after one report.
    pub fn check_shared(&self, len: u64) -> Result<()> {
        let left = budget::limit().saturating_sub(budget::used(Purpose::User));
        if len <= left {
            return Ok(());
        }
        Err(self.refuse(len))
    }

    fn refuse(&self, len: u64) -> Error {
        self.report(len, Outcome::Refused);
        Errno::ENOMEM.because("the enclave's memory limit is reached")
    }

    /// Says so when a page was refused for want of memory, of which its asker is told otherwise.
    pub fn report_if_full(&self, refusal: Refusal) {
        if refusal == Refusal::OutOfMemory {
            self.report(PAGE, Outcome::Refused);
        }
    }

    /// Says that the limit did not admit `len` bytes, and what came of it.
    pub fn report(&self, len: u64, outcome: Outcome) {
        super::refusal::count(outcome);
        (self.environment.refused)(&OutOfMemory::now(len, outcome));
    }

    /// Drops what the host backs in `range`.
    pub(crate) fn close(&self, state: &mut State, range: &Range<u64>) -> Result<()> {
        if let Some(span) = state.runs.span(range) {
            self.environment.mapper.unmap(span.start, span.end - span.start)?;
            state.runs.remove(&span);
        }
        Ok(())
    }

    /// Has the host back `range` with zeros.
    pub(crate) fn open(&self, state: &mut State, range: Range<u64>, prot: Prot) -> Result<()> {
        let held = Held::Anonymous;
        let (backing, offset) = held.backing();
        let len = range.end - range.start;
        self.environment.mapper.map(range.start, len, prot, backing, offset)?;
        state.runs.insert(range, held);
        Ok(())
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        self.clear();
    }
}

impl State {
    /// Takes a charge back.
    pub(crate) fn release(&mut self, len: u64) {
        if len > 0 {
            budget::release(Purpose::User, len);
            self.charged -= len;
        }
    }

    /// Refuses what would make more areas than Linux allows.
    pub(crate) fn room_for(&self, more: usize) -> Result<()> {
        if self.areas.len() + more > AREAS_MAX {
            return Err(Errno::ENOMEM.because("too many mappings (vm.max_map_count)"));
        }
        Ok(())
    }

    /// Bytes that RLIMIT_DATA counts: private writable memory but the stack.
    pub(crate) fn data(&self) -> u64 {
        self.areas
            .map()
            .iter()
            .filter(|(_, area)| area.is_data())
            .map(|(start, area)| area.end - start)
            .sum()
    }

    /// Bytes charged for what lies in `range`.
    pub(crate) fn charged_in(&self, range: &Range<u64>) -> u64 {
        self.areas
            .overlapping(range)
            .map(|(start, area)| {
                let part = common(&(start..area.end), range);
                if area.flags.contains(Flags::CHARGED) {
                    part.end - part.start
                } else if area.is_lazy() {
                    self.runs.covered(&part)
                } else {
                    0
                }
            })
            .sum()
    }

    /// The parts of `range` that are in areas, with their areas, in order; a hole is skipped.
    pub(crate) fn pieces(&self, range: &Range<u64>) -> Vec<(Range<u64>, Area)> {
        self.areas
            .overlapping(range)
            .filter(|(_, area)| !area.is_hidden())
            .map(|(start, area)| (common(&(start..area.end), range), area.clone()))
            .collect()
    }

    /// Whether every byte of `range` is in a visible area.
    pub(crate) fn is_whole(&self, range: &Range<u64>) -> bool {
        let mut at = range.start;
        for (start, area) in self.areas.overlapping(range).filter(|(_, area)| !area.is_hidden()) {
            if start > at {
                return false;
            }
            at = area.end;
        }
        at >= range.end
    }
}

impl Space {
    /// Pages of a mapped object have left it, by truncation or because its backing changed.
    pub(crate) fn invalidated(&self, id: u64, pages: &Range<u64>) {
        let mut state = self.state.lock();
        for (range, end) in state.mappings_of(id, pages) {
            self.before_change(&mut state, &range, Change::Replaced);
            // Guards stay. Private copies within the file's length are the process's own. The others go.
            let gone: Vec<Range<u64>> = state
                .runs
                .within(&range)
                .filter_map(|run| {
                    let keep = if run.held.is_private() {
                        end.clamp(run.start, run.end)
                    } else {
                        run.start
                    };
                    (keep < run.end).then_some(keep..run.end)
                })
                .collect();
            for part in gone {
                // If the host refuses, the program keeps seeing frames that the run still holds.
                let _ = self.close(&mut state, &part);
            }
        }
    }
}

impl State {
    /// Where `pages` of an object are mapped, and the address at which the object ends there.
    fn mappings_of(&self, id: u64, pages: &Range<u64>) -> Vec<(Range<u64>, u64)> {
        let bytes = pages.start.saturating_mul(PAGE)..pages.end.saturating_mul(PAGE);
        let mapping = |(start, area): (&u64, &Area)| {
            let Kind::File(mapped @ Mapped { offset, .. }) = &area.kind else {
                return None;
            };
            let part = common(&(*offset..offset + (area.end - start)), &bytes);
            let range = start + (part.start - offset)..start + (part.end - offset);
            (mapped.id() == id && !part.is_empty()).then(|| (range, mapped.end_at(*start)))
        };
        self.areas.map().iter().filter_map(mapping).collect()
    }
}
