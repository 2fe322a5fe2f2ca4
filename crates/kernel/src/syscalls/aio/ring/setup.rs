//! Making a ring.
//!
//! Source: `io_uring_setup(2)`. Differs from Linux: memory of the program's own (`IORING_SETUP_NO_MMAP`),
//! rings without a descriptor and a polling thread (`IORING_SETUP_SQPOLL`) are refused with EINVAL.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use vfs::anonymous::Identity;
use vfs::descriptor::OnExec;
use vfs::object::{OpenFile, Status};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::{COMPLETIONS, Ring, SQ_DROPPED, SQ_FLAGS, State};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::aio::shared::Shared;
use crate::syscalls::files::objects;

bitflags::bitflags! {
    /// Flags of `io_uring_setup(2)`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Setup: u32 {
        /// Completions are polled for.
        const IO_POLL = 1;
        /// A thread of the kernel takes the entries.
        const SQ_POLL = 2;
        /// And on one processor.
        const SQ_AFFINITY = 4;
        /// The completion queue's size is given.
        const CQ_SIZE = 8;
        /// Sizes too large are made smaller.
        const CLAMP = 0x10;
        /// Shares the workers of another ring.
        const ATTACH = 0x20;
        /// Begins disabled.
        const DISABLED = 0x40;
        /// An entry that is refused does not end the submission.
        const SUBMIT_ALL = 0x80;
        /// No interruption for completions.
        const COOPERATIVE = 0x100;
        /// Tells when there is something to be done.
        const TASKRUN_FLAG = 0x200;
        /// Entries of 128 bytes.
        const LARGE_ENTRIES = 0x400;
        /// Completions of 32 bytes.
        const LARGE_COMPLETIONS = 0x800;
        /// One thread submits.
        const SINGLE_ISSUER = 0x1000;
        /// Completions come when the program enters.
        const DEFER = 0x2000;
        /// No array of indices.
        const NO_ARRAY = 0x1_0000;
    }
}

const ENTRIES_MAX: u32 = 32_768;
/// What programs may rely on: one mapping, no completion dropped, entries copied, current position,
/// current credentials, fast poll, 32 bits of poll events, extended arguments, native workers, skipped
/// completions, files of links looked up late, registration through a registered ring, and a shortest
/// wait.
const FEATURES: u32 = 1 | 2 | 4 | 8 | 0x10 | 0x20 | 0x40 | 0x100 | 0x200 | 0x800 | 0x1000 | 0x2000;

/// Sizes and flags of a ring, fixed from its birth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Submission entries, a power of two.
    pub(super) entries: u32,
    /// Completions, a power of two.
    pub(super) completions: u32,
    pub(super) flags: Setup,
}

/// `struct io_uring_params`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Parameters {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    thread_cpu: u32,
    thread_idle: u32,
    features: u32,
    workers: u32,
    reserved: [u32; 3],
    /// head, tail, mask, entries, flags, dropped, array, reserved; user address.
    sq: [u32; 10],
    /// head, tail, mask, entries, overflow, completions, flags, reserved; user address.
    cq: [u32; 10],
}

impl Shape {
    fn new(entries: u32, parameters: &Parameters) -> Result<Self> {
        let flags = Setup::from_bits(parameters.flags)
            .ok_or(Errno::EINVAL.because("flags that are unknown, or not supported"))?;
        Self::check(flags)?;
        let clamp = flags.contains(Setup::CLAMP);
        let entries = sized(entries, ENTRIES_MAX, clamp)?;
        let completions = if flags.contains(Setup::CQ_SIZE) {
            sized(parameters.cq_entries, 2 * ENTRIES_MAX, clamp)?
        } else {
            2 * entries
        };
        if completions < entries {
            return Err(Errno::EINVAL.because("fewer completions than entries"));
        }
        Ok(Self { entries, completions, flags })
    }

    fn check(flags: Setup) -> Result<()> {
        let bad = flags.intersects(Setup::SQ_POLL | Setup::SQ_AFFINITY)
            || flags.contains(Setup::DEFER) && !flags.contains(Setup::SINGLE_ISSUER)
            || flags.contains(Setup::TASKRUN_FLAG)
                && !flags.intersects(Setup::COOPERATIVE | Setup::DEFER);
        if bad {
            return Err(Errno::EINVAL.because("flags that need others, or SQPOLL"));
        }
        Ok(())
    }

    /// Bytes of a completion.
    pub(super) fn completion_size(&self) -> usize {
        if self.flags.contains(Setup::LARGE_COMPLETIONS) { 32 } else { 16 }
    }

    /// Bytes of an entry.
    pub(super) fn entry_size(&self) -> usize {
        if self.flags.contains(Setup::LARGE_ENTRIES) { 128 } else { 64 }
    }

    /// The first cache line behind the completions.
    fn behind(&self) -> usize {
        // As in Linux, the words before large completions count twice.
        let scale = self.completion_size() / 16;
        ((COMPLETIONS + 16 * self.completions as usize) * scale).next_multiple_of(64)
    }

    /// Where the array of indices lies; `None`: there is none.
    pub(super) fn array(&self) -> Option<usize> {
        let behind = self.behind();
        (!self.flags.contains(Setup::NO_ARRAY)).then_some(behind)
    }

    fn ring_bytes(&self) -> usize {
        let behind = self.behind();
        behind + self.array().map_or(0, |_| 4 * self.entries as usize)
    }
}

/// A size as asked for, rounded up to a power of two.
fn sized(asked: u32, most: u32, clamp: bool) -> Result<u32> {
    if asked == 0 || asked > most && !clamp {
        return Err(Errno::EINVAL.because("no entries, or too many"));
    }
    Ok(asked.min(most).next_power_of_two())
}

/// `io_uring_setup(2)`: entries, parameters.
pub(in crate::syscalls::aio) fn setup(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut parameters: Parameters = cx.read(args.address(1))?;
    if parameters.reserved != [0; 3] {
        return Err(Errno::EINVAL.because("reserved words are not zero"));
    }
    let shape = Shape::new(args.uint(0), &parameters)?;
    if shape.flags.contains(Setup::ATTACH) {
        let other = cx.process.files.get(parameters.workers.cast_signed());
        let other = other.map_err(|_| Errno::ENXIO.because("nothing to attach to"))?;
        if other.downcast::<Ring>().is_none() {
            return Err(Errno::EINVAL.because("the descriptor to attach to is no ring"));
        }
    }
    let ring = make(cx, shape)?;
    answer(&ring, &mut parameters);
    cx.write(args.address(1), &parameters)?;
    let file = OpenFile::new(ring, Status::READ_WRITE, None);
    // From its first ring on, a thread has indices.
    cx.thread.rings.lock().resize(super::register::RINGS_MAX, None);
    cx.process.files.add(file, OnExec::Close).map(u64::from)
}

fn make(cx: &Context<'_>, shape: Shape) -> Result<Arc<Ring>> {
    let rings = Shared::new(shape.ring_bytes())?;
    let entries = Shared::new(shape.entries as usize * shape.entry_size())?;
    rings.store(16, shape.entries - 1);
    rings.store(20, shape.completions - 1);
    rings.store(24, shape.entries);
    rings.store(28, shape.completions);
    let state = State {
        sq_head: 0,
        cq_tail: 0,
        overflow: VecDeque::new(),
        posted: 0,
        active: 0,
        running: BTreeMap::new(),
        next: 0,
        deferred: VecDeque::new(),
        files: Vec::new(),
        buffers: Vec::new(),
        event: None,
        restrictions: None,
        enabled: !shape.flags.contains(Setup::DISABLED),
        closed: false,
    };
    Ok(Arc::new_cyclic(|me| Ring {
        me: me.clone(),
        identity: Identity::new(objects::owner(cx)),
        shape,
        rings,
        entries,
        state: Mutex::new(state),
        changed: WaitQueue::new(),
    }))
}

fn answer(ring: &Ring, parameters: &mut Parameters) {
    let shape = &ring.shape;
    let word = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    parameters.sq_entries = shape.entries;
    parameters.cq_entries = shape.completions;
    parameters.features = FEATURES;
    let array = shape.array().map_or(0, word);
    parameters.sq = [0, 4, 16, 24, word(SQ_FLAGS), word(SQ_DROPPED), array, 0, 0, 0];
    parameters.cq = [8, 12, 20, 28, word(super::CQ_OVERFLOW), word(COMPLETIONS), 40, 0, 0, 0];
}
