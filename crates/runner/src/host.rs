//! Host calls: the one function that the enclave's gate calls, on the vCPU thread's own stack.
//!
//! Runs with the program's FS and vector registers: raw system calls only.

use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use abi::host::{Advice, Backing, ExitKind, HostCall};
use abi::layout::USER_START;

use crate::plan::Plan;
use crate::space::Space;
use crate::{attendant, io, ring, sys, terminal, trace, vcpu};

static USER_END: AtomicU64 = AtomicU64::new(0);
static TRUSTED: AtomicI32 = AtomicI32::new(-1);
static UNTRUSTED: AtomicU64 = AtomicU64::new(0);
static UNTRUSTED_LEN: AtomicU64 = AtomicU64::new(0);
static STAT: AtomicI32 = AtomicI32::new(-1);
static CONTROL: AtomicI32 = AtomicI32::new(-1);

const EINVAL: i64 = -(libc::EINVAL as i64);
const ENOSYS: i64 = -(libc::ENOSYS as i64);
/// Kind of the control frame that says how the enclave ended.
const FRAME_ENDED: u32 = 1;

/// Remembers what the calls need.
pub(crate) fn init(plan: &Plan, space: &Space) {
    let fd = |field: u32| i32::try_from(field).unwrap_or(0) - 1;
    USER_END.store(space.user_end, Ordering::Relaxed);
    TRUSTED.store(space.trusted_fd, Ordering::Relaxed);
    UNTRUSTED.store(space.untrusted, Ordering::Relaxed);
    UNTRUSTED_LEN.store(space.untrusted_len, Ordering::Relaxed);
    STAT.store(fd(plan.header.stat_fd), Ordering::Relaxed);
    CONTROL.store(fd(plan.header.control_fd), Ordering::Relaxed);
}

/// The address of `len` bytes at `offset` of untrusted memory, if they lie inside.
pub(crate) fn bounce(offset: u64, len: u64) -> Option<u64> {
    let inside =
        offset.checked_add(len).is_some_and(|end| end <= UNTRUSTED_LEN.load(Ordering::Relaxed));
    inside.then(|| UNTRUSTED.load(Ordering::Relaxed) + offset)
}

/// What the gate calls.
pub(crate) unsafe extern "sysv64" fn entry(
    call: u64,
    a: u64,
    b: u64,
    c: u64,
    d: u64,
    e: u64,
) -> i64 {
    const WAIT: u64 = HostCall::Wait as u64;
    const WAKE: u64 = HostCall::Wake as u64;
    const MAP: u64 = HostCall::Map as u64;
    const PROTECT: u64 = HostCall::Protect as u64;
    const UNMAP: u64 = HostCall::Unmap as u64;
    const ADVISE: u64 = HostCall::Advise as u64;
    const MOVE: u64 = HostCall::Move as u64;
    const DISCARD: u64 = HostCall::Discard as u64;
    const CLOCK: u64 = HostCall::Clock as u64;
    const RANDOM: u64 = HostCall::Random as u64;
    const EXIT: u64 = HostCall::Exit as u64;
    const IO: u64 = HostCall::Io as u64;
    const WATCH: u64 = HostCall::Watch as u64;
    const KICK: u64 = HostCall::Kick as u64;
    const TICK: u64 = HostCall::Tick as u64;
    const ALARM: u64 = HostCall::Alarm as u64;
    const MESSAGE: u64 = HostCall::Message as u64;
    const STAT_CALL: u64 = HostCall::Stat as u64;
    const TRACE_CALL: u64 = HostCall::Trace as u64;
    const START: u64 = HostCall::Start as u64;
    const RING_SETUP: u64 = HostCall::RingSetup as u64;
    const RING_ENTER: u64 = HostCall::RingEnter as u64;
    const RING_REGISTER: u64 = HostCall::RingRegister as u64;
    const STOP: u64 = HostCall::Stop as u64;
    match call {
        WAIT => wait(a, b, c),
        WAKE => futex(a, libc::FUTEX_WAKE, b, 0),
        MAP => map(a, b, c, d, e),
        PROTECT => in_user(a, b, || [a, b, c, 0, 0, 0], libc::SYS_mprotect),
        UNMAP => reserve(a, b),
        ADVISE => advise(a, b, c),
        MOVE => relocate(a, b, c),
        DISCARD => discard(a, b),
        CLOCK => clock(a, b),
        // SAFETY: the enclave's bounce buffer.
        RANDOM => unsafe { sys::call4(libc::SYS_getrandom, a, b, 0, 0) },
        EXIT => end(a, b as u32),
        IO => io::perform(a),
        WATCH => attendant::watch(a, b as u32, c),
        KICK => vcpu::interrupt(a),
        TICK => attendant::tick(),
        ALARM => attendant::set_alarm(a),
        MESSAGE => write(2, a, b),
        STAT_CALL => write(STAT.load(Ordering::Relaxed), a, b),
        TRACE_CALL => trace::write(a, b),
        START => vcpu::release(),
        RING_SETUP => ring::setup(a, b, c),
        RING_ENTER => ring::enter(a, b),
        RING_REGISTER => ring::register(a, b),
        STOP => send(libc::SIGSTOP),
        _ => ENOSYS,
    }
}

fn write(fd: i32, address: u64, len: u64) -> i64 {
    if fd < 0 {
        return -i64::from(libc::EBADF);
    }
    // SAFETY: the enclave's bounce buffer; a bad address is EFAULT.
    unsafe { sys::write_all(fd, address, len) }
}

fn futex(word: u64, operation: i32, value: u64, timeout: u64) -> i64 {
    // SAFETY: a futex call on any address fails cleanly.
    unsafe { sys::call4(libc::SYS_futex, word, operation.unsigned_abs().into(), value, timeout) }
}

fn wait(word: u64, expected: u64, timeout_ns: u64) -> i64 {
    if timeout_ns == u64::MAX {
        return futex(word, libc::FUTEX_WAIT, expected, 0);
    }
    let timeout = [timeout_ns / 1_000_000_000, timeout_ns % 1_000_000_000];
    futex(word, libc::FUTEX_WAIT, expected, (&raw const timeout) as u64)
}

/// Protects the runner from a confused LibOS: user memory lies in the user region.
fn in_user(address: u64, len: u64, arguments: impl FnOnce() -> [u64; 6], number: i64) -> i64 {
    let end = address.checked_add(len);
    if address < USER_START || end.is_none_or(|end| end > USER_END.load(Ordering::Relaxed)) {
        return EINVAL;
    }
    // SAFETY: acts on the enclave's user region only.
    let result = unsafe { sys::call(number, arguments()) };
    if result > 0 { 0 } else { result }
}

fn map(address: u64, len: u64, prot: u64, backing: u64, offset: u64) -> i64 {
    const ANONYMOUS: u64 = Backing::Anonymous as u64;
    const SHARED: u64 = Backing::FramesShared as u64;
    const PRIVATE: u64 = Backing::FramesPrivate as u64;
    let trusted = TRUSTED.load(Ordering::Relaxed) as u64;
    let (flags, fd) = match backing {
        ANONYMOUS => (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE, u64::MAX),
        SHARED => (libc::MAP_SHARED, trusted),
        PRIVATE => (libc::MAP_PRIVATE | libc::MAP_NORESERVE, trusted),
        _ => return EINVAL,
    };
    let flags = (flags | libc::MAP_FIXED) as u64;
    in_user(address, len, || [address, len, prot & 7, flags, fd, offset], libc::SYS_mmap)
}

fn reserve(address: u64, len: u64) -> i64 {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED;
    in_user(address, len, || [address, len, 0, flags as u64, u64::MAX, 0], libc::SYS_mmap)
}

fn advise(address: u64, len: u64, advice: u64) -> i64 {
    const DONT_NEED: u64 = Advice::DontNeed as u64;
    const HUGE_PAGE: u64 = Advice::HugePage as u64;
    const NO_HUGE_PAGE: u64 = Advice::NoHugePage as u64;
    let advice = match advice {
        DONT_NEED => libc::MADV_DONTNEED,
        HUGE_PAGE => libc::MADV_HUGEPAGE,
        NO_HUGE_PAGE => libc::MADV_NOHUGEPAGE,
        _ => return EINVAL,
    };
    in_user(address, len, || [address, len, advice as u64, 0, 0, 0], libc::SYS_madvise)
}

fn relocate(from: u64, to: u64, len: u64) -> i64 {
    let end = to.checked_add(len);
    if to < USER_START || end.is_none_or(|end| end > USER_END.load(Ordering::Relaxed)) {
        return EINVAL;
    }
    let flags = (libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED) as u64;
    let moved = in_user(from, len, || [from, len, len, flags, to, 0], libc::SYS_mremap);
    if moved < 0 { moved } else { reserve(from, len) }
}

fn discard(offset: u64, len: u64) -> i64 {
    let mode = (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE) as u64;
    let fd = TRUSTED.load(Ordering::Relaxed) as u64;
    // SAFETY: frees pages that the enclave gave back.
    unsafe { sys::call4(libc::SYS_fallocate, fd, mode, offset, len) }
}

fn clock(which: u64, out: u64) -> i64 {
    let clock = if which == 0 { libc::CLOCK_REALTIME } else { libc::CLOCK_MONOTONIC };
    let mut time = [0_u64; 2];
    // SAFETY: `time` has a timespec's layout.
    let result =
        unsafe { sys::call4(libc::SYS_clock_gettime, clock as u64, (&raw mut time) as u64, 0, 0) };
    let nanoseconds = time[0] * 1_000_000_000 + time[1];
    // SAFETY: the enclave's bounce buffer.
    unsafe { (out as *mut u64).write_unaligned(nanoseconds) };
    result
}

/// Ends the process as the enclave says, and tells the control socket first.
fn end(kind: u64, code: u32) -> i64 {
    // No trace or crash report comes behind the shell's prompt.
    trace::finish();
    end_now(kind, code)
}

/// The same for those who can't wait.
pub(crate) fn end_now(kind: u64, code: u32) -> i64 {
    const SIGNALED: u64 = ExitKind::Signaled as u64;
    const EXITED: u64 = ExitKind::Exited as u64;
    let control = CONTROL.load(Ordering::Relaxed);
    if control >= 0 {
        let frame = [12_u32, FRAME_ENDED, kind as u32, code];
        write(control, (&raw const frame) as u64, size_of_val(&frame) as u64);
    }
    if kind != EXITED {
        terminal::restore();
    }
    match kind {
        EXITED => exit_group(code & 0xff),
        SIGNALED => {
            // A shell's loop must see that the person pressed Ctrl-C, not a plain exit code.
            if [libc::SIGINT, libc::SIGQUIT].contains(&(code as i32)) {
                raise(code as i32);
            }
            exit_group(128 + (code & 0x7f))
        }
        _ => exit_group(125),
    }
}

fn exit_group(code: u32) -> i64 {
    // SAFETY: ends the process.
    unsafe { sys::call4(libc::SYS_exit_group, code.into(), 0, 0, 0) }
}

/// Ends the process by a signal.
fn raise(signal: i32) {
    let default = [0_u64; 4];
    let unblock = 1_u64 << (signal - 1);
    let number = signal as u64;
    let limit = [0_u64; 2];
    // No core file: it would hold what the enclave keeps.
    // SAFETY: lowers a limit of this process.
    unsafe {
        sys::call4(
            libc::SYS_setrlimit,
            u64::from(libc::RLIMIT_CORE),
            (&raw const limit) as u64,
            0,
            0,
        )
    };
    // SAFETY: a kernel sigaction of zeros is the default action.
    unsafe { sys::call4(libc::SYS_rt_sigaction, number, (&raw const default) as u64, 0, 8) };
    // SAFETY: the calling thread's mask.
    unsafe {
        let how = libc::SIG_UNBLOCK as u64;
        sys::call4(libc::SYS_rt_sigprocmask, how, (&raw const unblock) as u64, 0, 8)
    };
    send(signal);
}

/// Sends this very thread a signal.
fn send(signal: i32) -> i64 {
    // SAFETY: asks for a number.
    let pid = unsafe { sys::call4(libc::SYS_getpid, 0, 0, 0, 0) };
    // SAFETY: asks for a number.
    let tid = unsafe { sys::call4(libc::SYS_gettid, 0, 0, 0, 0) };
    // SAFETY: signals this very thread.
    unsafe { sys::call4(libc::SYS_tgkill, pid as u64, tid as u64, signal as u64, 0) }
}
