//! vCPU threads: set up, entered once, never back.

use std::arch::x86_64::_rdtsc;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use abi::plan::{Boot, flag, host_feature};

use crate::filter::{self, Filter};
use crate::plan::Plan;
use crate::space::{self, Space};
use crate::{Outcome, host, signals, sys};

const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;
const DISPATCH_OFF: u64 = 0;
const DISPATCH_ON: u64 = 1;
const DISPATCH_INCLUSIVE: u64 = 2;
/// How long the clock is watched before the enclave is entered; 20 ns in this are 20 ppm.
const CALIBRATION: Duration = Duration::from_millis(1);
/// Bytes of a vCPU thread's host stack.
const HOST_STACK: usize = 256 << 10;

static TIDS: [AtomicI32; 64] = [const { AtomicI32::new(0) }; 64];
static RELEASED: AtomicU32 = AtomicU32::new(0);

/// The image's entry; never returns.
type Entry = unsafe extern "sysv64" fn(*const Boot, u64) -> !;

/// Counts the TSC against the host's clock.
pub(crate) struct Calibration {
    ticks: u64,
    time: Instant,
}

impl Calibration {
    /// Starts to count.
    pub(crate) fn begin() -> Self {
        let (ticks, time) = Self::sample();
        Self { ticks, time }
    }

    /// The closest pair of ticks and time out of a few.
    fn sample() -> (u64, Instant) {
        let mut best = (u64::MAX, 0, Instant::now());
        for _ in 0..5 {
            // SAFETY: every x86-64 processor has RDTSC.
            let before = unsafe { _rdtsc() };
            let time = Instant::now();
            // SAFETY: as above.
            let after = unsafe { _rdtsc() };
            if after - before < best.0 {
                best = (after - before, before + (after - before) / 2, time);
            }
        }
        (best.1, best.2)
    }

    /// Ticks per second.
    fn end(&self) -> u64 {
        while self.time.elapsed() < CALIBRATION {
            std::hint::spin_loop();
        }
        let (ticks, time) = Self::sample();
        let elapsed = time.duration_since(self.time).as_nanos().max(1);
        let hz = u128::from(ticks - self.ticks) * 1_000_000_000 / elapsed;
        u64::try_from(hz).unwrap_or(u64::MAX)
    }
}

/// Enters the enclave on all vCPUs; the caller's thread becomes vCPU 0.
pub(crate) fn enter_all(plan: &Plan, space: &Space, clock: &Calibration) -> Outcome<Infallible> {
    let dispatch = Dispatch::probe(plan, space)?;
    let filter = wanted_filter(plan)?;
    let filtered = if filter.is_some() { host_feature::FILTER } else { 0 };
    let features = dispatch.feature() | filtered | space::terminals();
    let host_entry = host::entry as *const () as u64;
    space.fill_boot(plan, clock.end(), features, host_entry);
    signals::set_exception_entry(exception_entry(plan)?);
    let entry = plan.header.entry;
    let boot = space.boot as u64;
    for index in 1..plan.header.vcpus as usize {
        std::thread::Builder::new()
            .stack_size(HOST_STACK)
            .spawn(move || match set_up(index, dispatch, filter) {
                Ok(()) => {
                    while RELEASED.load(Ordering::Acquire) == 0 {
                        // SAFETY: a futex wait on a word of ours.
                        unsafe {
                            let word = RELEASED.as_ptr() as u64;
                            sys::call4(libc::SYS_futex, word, libc::FUTEX_WAIT as u64, 0, 0)
                        };
                    }
                    enter(entry, boot, index)
                }
                Err(line) => {
                    eprintln!("adyton: {line}");
                    std::process::exit(125)
                }
            })
            .map_err(|error| format!("can't start vCPU {index}: {error}; see `ulimit -u`"))?;
    }
    set_up(0, dispatch, filter)?;
    enter(entry, boot, 0)
}

/// The exception entry's address: the image says how far it is in the word before its entry.
fn exception_entry(plan: &Plan) -> Outcome<u64> {
    // SAFETY: the entry is mapped, as the plan was checked; the word before it holds the distance.
    let distance = unsafe { ((plan.header.entry - 8) as *const i64).read() };
    let address = plan.header.entry.wrapping_add_signed(distance);
    let inside = plan.segments.iter().any(|segment| {
        segment.permissions & 4 != 0
            && (segment.address..segment.address + segment.len).contains(&address)
    });
    if inside {
        Ok(address)
    } else {
        Err("the image has no exception entry; reinstall adyton".into())
    }
}

/// The filter of the vCPU threads, unless the plan or this kernel does without.
fn wanted_filter(plan: &Plan) -> Outcome<Option<Filter>> {
    let flags = plan.header.flags;
    let there = flags & flag::NO_SECCOMP == 0 && filter::is_there();
    if flags & (flag::SECCOMP | flag::NO_DISPATCH) != 0 && !there {
        return Err(
            "this kernel has no seccomp filters, or they are switched off; see `adyton info`"
                .to_owned(),
        );
    }
    let (start, end) = text();
    Ok(there.then(|| Filter::new(&(start..end))))
}

fn set_up(index: usize, dispatch: Dispatch, filter: Option<Filter>) -> Outcome<()> {
    signals::use_stack_of(index)?;
    // SAFETY: asks for a number.
    let tid = unsafe { libc::syscall(libc::SYS_gettid) };
    TIDS[index].store(i32::try_from(tid).unwrap_or(0), Ordering::Release);
    dispatch.switch_on()?;
    // From here on this thread makes no call but those on the filter's list.
    filter.map_or(Ok(()), Filter::switch_on)
}

fn enter(entry: u64, boot: u64, index: usize) -> ! {
    // SAFETY: the plan's entry has this signature; it lies in an executable segment.
    let entry: Entry = unsafe { std::mem::transmute(entry as *const ()) };
    // SAFETY: everything that the entry needs is mapped; it never comes back.
    unsafe { entry(boot as *const Boot, index as u64) }
}

/// Lets the waiting vCPUs enter.
pub(crate) fn release() -> i64 {
    RELEASED.store(1, Ordering::Release);
    let all = i32::MAX.unsigned_abs().into();
    // SAFETY: a futex wake on a word of ours.
    unsafe {
        sys::call4(libc::SYS_futex, RELEASED.as_ptr() as u64, libc::FUTEX_WAKE as u64, all, 0)
    }
}

/// Interrupts a vCPU.
pub(crate) fn interrupt(index: u64) -> i64 {
    let Some(tid) = TIDS.get(index as usize) else { return -i64::from(libc::EINVAL) };
    let tid = tid.load(Ordering::Relaxed);
    if tid == 0 {
        return -i64::from(libc::ESRCH);
    }
    // SAFETY: asks for a number.
    let pid = unsafe { sys::call4(libc::SYS_getpid, 0, 0, 0, 0) };
    // SAFETY: signals a thread of this process.
    unsafe { sys::call4(libc::SYS_tgkill, pid as u64, tid as u64, signals::KICK as u64, 0) }
}

/// How system calls of the user region become traps.
#[derive(Clone, Copy)]
struct Dispatch {
    mode: u64,
    start: u64,
    len: u64,
}

/// Whether the host lets programs set FS and GS, by its word in the auxiliary vector.
pub(crate) fn check_bases(hwcap2: u64) -> Outcome<()> {
    const FSGSBASE: u64 = 2;
    if hwcap2 & FSGSBASE != 0 {
        return Ok(());
    }
    Err("this host does not let programs set FS and GS by FSGSBASE, which enclaves need: it takes Linux \
         5.9 or newer without `nofsgsbase`, and a processor made since 2013; see `adyton info`"
        .to_owned())
}

impl Dispatch {
    /// Finds the mode that the kernel has: dispatch within the user region, else outside the runner.
    fn probe(plan: &Plan, space: &Space) -> Outcome<Self> {
        let start = abi::layout::USER_START;
        if plan.header.flags & flag::NO_DISPATCH != 0 {
            return Ok(Self { mode: DISPATCH_OFF, start: 0, len: 0 });
        }
        let inclusive = Self { mode: DISPATCH_INCLUSIVE, start, len: space.user_end - start };
        if plan.header.flags & flag::NO_INCLUSIVE_DISPATCH == 0 && inclusive.works() {
            return Ok(inclusive);
        }
        let (start, end) = text();
        let exclusive = Self { mode: DISPATCH_ON, start, len: end - start };
        if exclusive.works() {
            return Ok(exclusive);
        }
        Err("this kernel has no Syscall User Dispatch (Linux 5.11 or newer, x86-64, needed); see \
             `adyton info`"
            .to_owned())
    }

    fn works(self) -> bool {
        let works = self.switch_on().is_ok();
        // SAFETY: switches the thread's dispatch off again.
        unsafe { libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, DISPATCH_OFF, 0, 0, 0) };
        works
    }

    fn switch_on(self) -> Outcome<()> {
        // SAFETY: no selector byte; calls of the runner's own text are not dispatched.
        let failed = unsafe {
            libc::prctl(PR_SET_SYSCALL_USER_DISPATCH, self.mode, self.start, self.len, 0)
        };
        if failed == 0 { Ok(()) } else { Err("can't switch Syscall User Dispatch on".to_owned()) }
    }

    fn feature(self) -> u64 {
        if self.mode == DISPATCH_INCLUSIVE { host_feature::INCLUSIVE_DISPATCH } else { 0 }
    }
}

/// The runner's own executable pages, where its `syscall` instructions are (it is linked static).
fn text() -> (u64, u64) {
    unsafe extern "C" {
        static __ehdr_start: u8;
        static etext: u8;
    }
    (&raw const __ehdr_start as u64, (&raw const etext as u64).next_multiple_of(4096))
}

#[cfg(test)]
mod tests {
    use super::check_bases;

    #[test]
    fn a_host_without_fsgsbase_is_told_of() {
        assert!(check_bases(2).is_ok());
        assert!(check_bases(3).is_ok());
        let line = check_bases(1).expect_err("only the other bit");
        assert!(line.contains("nofsgsbase") && !line.contains('\n'));
        assert!(check_bases(0).is_err());
    }
}
