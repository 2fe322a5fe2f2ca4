//! Setting up and entering the vCPUs' io_urings. Called on the vCPUs' threads: raw system calls only.

use std::sync::atomic::{AtomicI32, Ordering};

use abi::host::{RING_FILES, RingKind};
use abi::ring::{COMPLETIONS, Places, SUBMISSIONS};

use crate::{attendant, handles, poller, sys};

const SETUP_CQSIZE: u32 = 1 << 3;
const SETUP_SUBMIT_ALL: u32 = 1 << 7;
const SETUP_COOP_TASKRUN: u32 = 1 << 8;
const SETUP_TASKRUN_FLAG: u32 = 1 << 9;
const SETUP_SINGLE_ISSUER: u32 = 1 << 12;
const SETUP_DEFER_TASKRUN: u32 = 1 << 13;
const FEATURE_SINGLE_MMAP: u32 = 1;
const ENTER_GETEVENTS: u64 = 1;
const REGISTER_EVENTFD: u64 = 4;
const REGISTER_FILES_UPDATE: u64 = 6;
const REGISTER_FILES2: u64 = 13;
const REGISTER_SPARSE: u32 = 1;
const OFFSET_SUBMISSIONS: u64 = 0x1000_0000;

static RINGS: [AtomicI32; 64] = [const { AtomicI32::new(-1) }; 64];

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct SqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    flags: u32,
    dropped: u32,
    array: u32,
    reserved: u32,
    user_addr: u64,
}

#[derive(Clone, Copy, Default)]
#[repr(C)]
struct CqOffsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    overflow: u32,
    cqes: u32,
    flags: u32,
    reserved: u32,
    user_addr: u64,
}

/// `struct io_uring_params`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    reserved: [u32; 3],
    sq: SqOffsets,
    cq: CqOffsets,
}

/// `struct io_uring_rsrc_register`.
#[repr(C)]
struct Resources {
    count: u32,
    flags: u32,
    reserved: u64,
    data: u64,
    tags: u64,
}

/// `struct io_uring_files_update`.
#[repr(C)]
struct FilesUpdate {
    offset: u32,
    reserved: u32,
    fds: u64,
}

/// Makes the calling vCPU's ring of a kind and writes its addresses to `out`.
pub(crate) fn setup(index: u64, out: u64, kind: u64) -> i64 {
    if kind == RingKind::Poller as u64 {
        return poller::setup(index, out);
    }
    let Some(slot) = RINGS.get(index as usize) else { return -i64::from(libc::EINVAL) };
    let base = SETUP_CQSIZE | SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG;
    let mut params = Params::default();
    let mut fd = -i64::from(libc::EINVAL);
    for mode in [SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN, SETUP_COOP_TASKRUN] {
        params = Params { cq_entries: COMPLETIONS, flags: base | mode, ..Params::default() };
        let entries = SUBMISSIONS.into();
        // SAFETY: parameters on this stack.
        fd = unsafe {
            sys::call4(libc::SYS_io_uring_setup, entries, (&raw mut params) as u64, 0, 0)
        };
        if fd != -i64::from(libc::EINVAL) {
            break;
        }
    }
    if fd < 0 {
        return fd;
    }
    let made = make(index, fd, &params, out);
    if made < 0 {
        close(fd);
    } else {
        slot.store(fd as i32, Ordering::Release);
    }
    made
}

/// Maps a ring that was set up, and prepares it; a ring that failed is of no use.
fn make(index: u64, fd: i64, params: &Params, out: u64) -> i64 {
    let right = params.sq_entries == SUBMISSIONS && params.cq_entries == COMPLETIONS;
    if !right || params.features & FEATURE_SINGLE_MMAP == 0 {
        return -i64::from(libc::ENOSYS);
    }
    let sq_len = u64::from(params.sq.array) + 4 * u64::from(SUBMISSIONS);
    let cq_len = u64::from(params.cq.cqes) + 16 * u64::from(COMPLETIONS);
    let (rings_len, entries_len) = (sq_len.max(cq_len), 64 * u64::from(SUBMISSIONS));
    let rings = map(fd, rings_len, 0);
    let entries = map(fd, entries_len, OFFSET_SUBMISSIONS);
    let prepared = if rings < 0 || entries < 0 { rings.min(entries) } else { prepare(index, fd) };
    if prepared < 0 {
        unmap(rings, rings_len);
        unmap(entries, entries_len);
        return prepared;
    }
    let rings = rings as u64;
    let at = |offset: u32| rings + u64::from(offset);
    for index in 0..SUBMISSIONS {
        // SAFETY: the array of indices has SUBMISSIONS words; entry n always stands at place n.
        unsafe { ((at(params.sq.array) + 4 * u64::from(index)) as *mut u32).write(index) };
    }
    let places = Places {
        sq_head: at(params.sq.head),
        sq_tail: at(params.sq.tail),
        sq_flags: at(params.sq.flags),
        cq_head: at(params.cq.head),
        cq_tail: at(params.cq.tail),
        submissions: entries as u64,
        completions: at(params.cq.cqes),
    };
    #[cfg(feature = "faults")]
    let places = crate::faults::set_up(index as usize, places);
    // SAFETY: the enclave's bounce buffer of that size.
    unsafe { sys::copy(out as *mut u8, (&raw const places).cast(), Places::LEN) };
    0
}

/// Gives the ring room for files, and a descriptor that tells the attendant of completions.
fn prepare(index: u64, ring: i64) -> i64 {
    let resources = Resources {
        count: RING_FILES as u32,
        flags: REGISTER_SPARSE,
        reserved: 0,
        data: 0,
        tags: 0,
    };
    let address = (&raw const resources) as u64;
    let files = control(ring, REGISTER_FILES2, address, size_of::<Resources>() as u64);
    if files < 0 {
        return files;
    }
    let flags = (libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) as u64;
    // SAFETY: makes a descriptor.
    let event = unsafe { sys::call4(libc::SYS_eventfd2, 0, flags, 0, 0) };
    if event < 0 {
        return event;
    }
    let word = event as i32;
    let told = control(ring, REGISTER_EVENTFD, (&raw const word) as u64, 1);
    let watched = if told < 0 { told } else { attendant::watch_ring(index, word) };
    if watched < 0 {
        close(event);
    }
    watched
}

/// Submits what stands in the calling vCPU's ring, and lets completions in.
pub(crate) fn enter(index: u64, submit: u64) -> i64 {
    if poller::serves(index) {
        return poller::enter();
    }
    let Some(fd) = descriptor(index) else { return -i64::from(libc::EBADF) };
    // SAFETY: no pointers.
    let result =
        unsafe { sys::call(libc::SYS_io_uring_enter, [fd, submit, 0, ENTER_GETEVENTS, 0, 0]) };
    #[cfg(feature = "faults")]
    crate::faults::entered(index as usize);
    result
}

/// Puts a handle's file into the ring's slot of the handle's index.
pub(crate) fn register(index: u64, handle: u64) -> i64 {
    let (Some(ring), Some(fd)) = (descriptor(index), handles::descriptor(handle)) else {
        return -i64::from(libc::EBADF);
    };
    let slot = handle & 0xffff_ffff;
    if slot >= RING_FILES {
        return -i64::from(libc::ENFILE);
    }
    let update = FilesUpdate { offset: slot as u32, reserved: 0, fds: (&raw const fd) as u64 };
    let done = control(ring as i64, REGISTER_FILES_UPDATE, (&raw const update) as u64, 1);
    if done == 1 { 0 } else { done.min(-1) }
}

fn descriptor(index: u64) -> Option<u64> {
    let fd = RINGS.get(index as usize)?.load(Ordering::Relaxed);
    u64::try_from(fd).ok()
}

fn control(ring: i64, what: u64, argument: u64, count: u64) -> i64 {
    // SAFETY: the argument lives on the caller's stack.
    unsafe { sys::call4(libc::SYS_io_uring_register, ring as u64, what, argument, count) }
}

fn map(fd: i64, len: u64, offset: u64) -> i64 {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as u64;
    let flags = (libc::MAP_SHARED | libc::MAP_POPULATE) as u64;
    // SAFETY: the kernel picks a free place.
    unsafe { sys::call(libc::SYS_mmap, [0, len, prot, flags, fd as u64, offset]) }
}

/// Takes a mapping of [`map`]'s back, if it is one.
fn unmap(address: i64, len: u64) {
    if address >= 0 {
        // SAFETY: nobody was told of it.
        unsafe { sys::call4(libc::SYS_munmap, address as u64, len, 0, 0) };
    }
}

fn close(fd: i64) {
    // SAFETY: nobody was told of it.
    unsafe { sys::call4(libc::SYS_close, fd as u64, 0, 0, 0) };
}
