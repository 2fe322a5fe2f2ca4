//! Asking and setting clocks.
//!
//! Source: `clock_gettime(2)`, gettimeofday(2), time(2), adjtimex(2), `clock_getcpuclockid(3)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use platform::clock::{self, SECOND};
use vfs::credentials::Capabilities;

use super::spec;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::{Process, Thread};

/// A clock, as programs name it.
#[derive(Clone)]
pub enum Clock {
    /// Time since 1970.
    Realtime,
    /// Time since some moment, never set.
    Monotonic,
    /// Processor time of a process.
    Process(Arc<Process>),
    /// Processor time of a thread.
    Thread(Arc<Thread>),
}

const REALTIME: i32 = 0;
const MONOTONIC: i32 = 1;
const PROCESS_CPUTIME: i32 = 2;
const THREAD_CPUTIME: i32 = 3;
const MONOTONIC_RAW: i32 = 4;
const REALTIME_COARSE: i32 = 5;
const MONOTONIC_COARSE: i32 = 6;
const BOOTTIME: i32 = 7;
const REALTIME_ALARM: i32 = 8;
const BOOTTIME_ALARM: i32 = 9;
const TAI: i32 = 11;

/// `CAP_SYS_TIME`.
const SYS_TIME: Capabilities = Capabilities::from_bits_retain(1 << 25);

/// In the id of a process's or thread's clock: it is a thread's.
const PER_THREAD: i32 = 4;
/// The kinds of such clocks: user and system, user, scheduler; there is no fourth.
const KINDS: i32 = 3;
/// The last bits of the id of a descriptor's clock.
const DESCRIPTOR: i32 = 3;

/// Whether an id is that of a descriptor's clock; no descriptor here has one.
fn is_descriptors(id: i32) -> bool {
    id < 0 && id & 7 == DESCRIPTOR
}

impl Clock {
    /// The clock with an id.
    ///
    /// # Errors
    /// EINVAL when there is none: the alarm clocks, too, which take a real-time clock that runs while
    /// the machine sleeps.
    pub fn from_raw(cx: &Context<'_>, id: i32) -> Result<Self> {
        Ok(match id {
            REALTIME | TAI | REALTIME_COARSE => Self::Realtime,
            MONOTONIC | BOOTTIME | MONOTONIC_RAW | MONOTONIC_COARSE => Self::Monotonic,
            PROCESS_CPUTIME => Self::Process(Arc::clone(cx.process)),
            THREAD_CPUTIME => Self::Thread(Arc::clone(cx.thread)),
            REALTIME_ALARM | BOOTTIME_ALARM => {
                return Err(Errno::EINVAL.because("there is no clock that wakes a machine"));
            }
            _ if is_descriptors(id) => {
                return Err(Errno::EINVAL.because("the descriptor is no clock's"));
            }
            _ if id < 0 => Self::from_owner(cx, id)?,
            _ => return Err(no_clock()),
        })
    }

    /// Whether timers can be made on a clock; on a thread's own time they can, but sleep nobody can.
    ///
    /// # Errors
    /// EINVAL for no clock; EOPNOTSUPP for one that can only be asked, or has to wake the machine.
    pub fn check_timers(id: i32) -> Result<()> {
        match id {
            REALTIME | TAI | MONOTONIC | BOOTTIME | PROCESS_CPUTIME | THREAD_CPUTIME => Ok(()),
            _ if id < 0 && !is_descriptors(id) => Ok(()),
            _ if id < 0 => Err(Errno::EOPNOTSUPP.because("nobody waits on a descriptor's clock")),
            REALTIME_ALARM | BOOTTIME_ALARM => {
                Err(Errno::EOPNOTSUPP.because("there is no clock that wakes a machine"))
            }
            REALTIME_COARSE | MONOTONIC_COARSE | MONOTONIC_RAW => {
                Err(Errno::EOPNOTSUPP.because("this clock can only be asked"))
            }
            _ => Err(no_clock()),
        }
    }

    /// Whether one can sleep on a clock.
    ///
    /// # Errors
    /// As [`Self::check_timers`].
    pub fn check_sleep(id: i32) -> Result<()> {
        if id == THREAD_CPUTIME {
            return Err(Errno::EOPNOTSUPP.because("a sleeping thread uses no processor time"));
        }
        Self::check_timers(id)
    }

    /// A clock that names its process or thread.
    fn from_owner(cx: &Context<'_>, id: i32) -> Result<Self> {
        let bad = Errno::EINVAL.because("no such processor-time clock");
        if id & 3 == KINDS {
            return Err(bad);
        }
        let owner = u32::try_from(!(id >> 3)).map_err(|_| bad)?;
        if id & PER_THREAD != 0 {
            if owner == 0 || owner == cx.thread.tid {
                return Ok(Self::Thread(Arc::clone(cx.thread)));
            }
            let thread = cx.kernel.registry.thread(owner).ok_or(bad)?;
            let ours = Arc::ptr_eq(&thread.process, cx.process);
            return if ours { Ok(Self::Thread(thread)) } else { Err(bad) };
        }
        if owner == 0 || owner == cx.process.pid {
            return Ok(Self::Process(Arc::clone(cx.process)));
        }
        cx.kernel.registry.process(owner).map(Self::Process).ok_or(bad)
    }

    /// Its time, ns.
    pub fn now(&self) -> u64 {
        match self {
            Self::Realtime => clock::realtime(),
            Self::Monotonic => clock::now(),
            Self::Process(process) => process.cpu_time(),
            Self::Thread(thread) => thread.cpu_used(),
        }
    }
}

fn no_clock() -> abi::errno::Error {
    Errno::EINVAL.because("no such clock")
}

/// `clock_gettime(2)`: id, `timespec`.
pub(super) fn clock_gettime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let now = match args.int(0) {
        MONOTONIC => clock::now(),
        REALTIME => clock::realtime(),
        id => Clock::from_raw(cx, id)?.now(),
    };
    spec::write(cx, args.address(1), now)?;
    Ok(0)
}

/// `clock_getres(2)`: id, `timespec` or null. All clocks count in ns, the coarse ones too.
pub(super) fn clock_getres(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    Clock::from_raw(cx, args.int(0))?;
    if args.address(1) != 0 {
        spec::write(cx, args.address(1), 1)?;
    }
    Ok(0)
}

/// `clock_settime(2)`: id, `timespec`. No program may set the enclave's time.
pub(super) fn clock_settime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let id = args.int(0);
    // Linux looks at the time of those alone that it could set.
    if id == REALTIME || id < 0 {
        spec::read(cx, args.address(1))?;
    }
    Err(match Clock::from_raw(cx, id)? {
        Clock::Realtime if id == REALTIME => {
            Errno::EPERM.because("the enclave's time can't be set")
        }
        _ if id < 0 => Errno::EPERM.because("processor time can't be set"),
        _ => Errno::EINVAL.because("this clock can't be set"),
    })
}

/// gettimeofday(2): `timeval` or null, `timezone` or null.
pub(super) fn gettimeofday(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(0) != 0 {
        cx.write(args.address(0), &spec::parts_of(clock::realtime(), 1_000_000))?;
    }
    if args.address(1) != 0 {
        cx.write(args.address(1), &[0_i32; 2])?;
    }
    Ok(0)
}

/// settimeofday(2): `timeval` or null, `timezone` or null.
pub(super) fn settimeofday(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    /// The furthest zone from Greenwich that Linux takes, minutes.
    const FURTHEST: i32 = 15 * 60;
    if args.address(0) != 0 {
        spec::nanoseconds(cx.read(args.address(0))?, 1_000_000)?;
    }
    let zone = match args.address(1) {
        0 => None,
        address => Some(cx.read::<[i32; 2]>(address)?),
    };
    if cx.process.credentials.lock().has(SYS_TIME) {
        match zone {
            Some([west, _]) if !(-FURTHEST..=FURTHEST).contains(&west) => {
                return Err(Errno::EINVAL.because("no place on earth is in that zone"));
            }
            None if args.address(0) == 0 => return Ok(0), // who may set the time, and sets nothing
            _ => {}
        }
    }
    Err(Errno::EPERM.because("the enclave's time can't be set"))
}

/// time(2): where the seconds go, or null.
pub(super) fn time(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let seconds = clock::realtime() / SECOND;
    if args.address(0) != 0 {
        cx.write(args.address(0), &seconds)?;
    }
    Ok(seconds)
}

/// `ADJ_TICK`.
const ADJ_TICK: u32 = 0x4000;
/// Bytes of `struct timex`.
const TIMEX: usize = 208;
/// `STA_UNSYNC`: nobody keeps the clock right.
const UNSYNCHRONISED: i32 = 0x40;
/// What adjtimex(2) returns for such a clock.
const TIME_ERROR: u64 = 5;

/// adjtimex(2): `struct timex`. It can only be asked.
pub(super) fn adjtimex(cx: &Context<'_>, address: u64) -> Result<u64> {
    let modes: u32 = cx.read(address)?;
    if modes != 0 {
        let tick: i64 = cx.read(address.wrapping_add(88))?;
        let may = cx.process.credentials.lock().has(SYS_TIME);
        if may && modes & ADJ_TICK != 0 && !(9_000..=11_000).contains(&tick) {
            return Err(Errno::EINVAL.because("a tick further than a tenth from 10 ms"));
        }
        return Err(Errno::EPERM.because("the enclave's clock can't be adjusted"));
    }
    let mut timex = [0_u8; TIMEX];
    let [seconds, microseconds] = spec::parts_of(clock::realtime(), 1_000_000);
    let mut put = |at: usize, value: i64| {
        timex[at..at + 8].copy_from_slice(&value.to_le_bytes());
    };
    put(24, 16_000_000); // maxerror, µs
    put(32, 16_000_000); // esterror, µs
    put(40, UNSYNCHRONISED.into());
    put(56, 1); // precision, µs
    put(64, 32_768_000); // tolerance, ppm with 16 binary places
    put(72, seconds);
    put(80, microseconds);
    put(88, 10_000); // tick, µs
    cx.write_bytes(address, &timex)?;
    Ok(TIME_ERROR)
}

/// `clock_adjtime(2)`: id, `struct timex`.
pub(super) fn clock_adjtime(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let id = args.int(0);
    if id != REALTIME {
        // A processor-time clock need not even be there.
        if id >= 0 && !matches!(id, REALTIME_ALARM | BOOTTIME_ALARM) || is_descriptors(id) {
            Clock::from_raw(cx, id)?;
        }
        return Err(Errno::EOPNOTSUPP.because("only the real-time clock can be adjusted"));
    }
    adjtimex(cx, args.address(1))
}
