//! What a program asks about the system and about its own consumption.
//!
//! Source: uname(2), sysinfo(2), getrusage(2), times(2), getrlimit(2), getrandom(2), getcpu(2),
//! membarrier(2), `set_tid_address(2)`.

use alloc::borrow::Cow;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::user::{Sink as _, UserRange};
use platform::{budget, clock, random, vcpu};
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory;
use crate::process::Process;
use crate::process::limits::{Limit, Resource};
use crate::process::procfs::{RELEASE, SYSTEM, VERSION};

/// Bytes of a field of `struct utsname`.
const FIELD: usize = 65;
/// Clock ticks per second of times(2).
const TICKS: u64 = 100;

/// `set_tid_address(2)`.
pub(super) fn set_tid_address(cx: &Context<'_>, args: &Arguments) -> u64 {
    cx.thread.clear_child_tid.store(args.address(0), Ordering::Relaxed);
    cx.thread.tid.into()
}

/// uname(2).
pub(super) fn uname(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let host = cx.kernel.hostname.lock().clone();
    let domain = cx.kernel.domainname.lock().clone();
    let release = release(cx.thread.attributes.get().personality);
    let fields: [&[u8]; 6] =
        [SYSTEM.as_bytes(), &host, release.as_bytes(), VERSION.as_bytes(), b"x86_64", &domain];
    let mut out = [0; 6 * FIELD];
    for (place, text) in out.chunks_exact_mut(FIELD).zip(fields) {
        let len = text.len().min(FIELD - 1);
        place[..len].copy_from_slice(&text[..len]);
    }
    cx.write_bytes(args.address(0), &out).map(|()| 0)
}

/// The kernel's release, for programs that know no major version above 2 (`UNAME26`) as a 2.6.
fn release(personality: u32) -> Cow<'static, str> {
    const UNAME26: u32 = 0x2_0000;
    let mut parts = RELEASE.splitn(3, '.');
    let minor = parts.nth(1).and_then(|minor| minor.parse::<u32>().ok());
    match minor {
        Some(minor) if personality & UNAME26 != 0 => {
            let rest = parts.next().unwrap_or_default();
            let rest = rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
            alloc::format!("2.6.{}{rest}", minor + 60).into()
        }
        _ => RELEASE.into(),
    }
}

/// sethostname(2): name, bytes.
pub(super) fn sethostname(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if !cx.process.credentials.lock().has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM.because("needs CAP_SYS_ADMIN"));
    }
    if args.size(1) >= FIELD {
        return Err(Errno::EINVAL.because("the name is longer than 64 bytes"));
    }
    let mut name = alloc::vec![0; args.size(1)];
    cx.read_bytes(args.address(0), &mut name)?;
    *cx.kernel.hostname.lock() = name;
    Ok(0)
}

/// sysinfo(2): the enclave's memory, not the host's.
pub(super) fn sysinfo(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut out = [0_u8; 112];
    let uptime = (clock::now() - cx.kernel.settings.started) / clock::SECOND;
    let limit = budget::limit();
    let free = limit.saturating_sub(budget::total());
    let threads: usize =
        cx.kernel.registry.processes().iter().map(|process| process.threads.lock().len()).sum();
    let mut put = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
    put(0, uptime);
    put(32, limit);
    put(40, free);
    out[80..82].copy_from_slice(&u16::try_from(threads).unwrap_or(u16::MAX).to_le_bytes());
    out[104..108].copy_from_slice(&1_u32.to_le_bytes());
    cx.write_bytes(args.address(0), &out).map(|()| 0)
}

/// getrusage(2): who, out.
pub(super) fn getrusage(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const SELF: i32 = 0;
    const CHILDREN: i32 = -1;
    const THREAD: i32 = 1;
    let (time, peak) = match args.int(0) {
        SELF => (cx.process.cpu_time(), cx.memory().statistics().peak),
        CHILDREN => (cx.process.usage.children(), cx.process.usage.children_peak()),
        THREAD => (cx.thread.cpu_used(), cx.memory().statistics().peak),
        _ => return Err(Errno::EINVAL.because("neither self, children nor thread")),
    };
    let mut out = [0_u64; 18];
    out[0] = time / clock::SECOND;
    out[1] = time % clock::SECOND / 1000;
    out[4] = peak / 1024;
    cx.write(args.address(1), &out).map(|()| 0)
}

/// times(2).
pub(super) fn times(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let ticks = |ns: u64| ns / (clock::SECOND / TICKS);
    let out = [ticks(cx.process.cpu_time()), 0, ticks(cx.process.usage.children()), 0];
    if args.address(0) != 0 {
        cx.write(args.address(0), &out)?;
    }
    Ok(ticks(clock::now()))
}

/// getrlimit(2): resource, out.
pub(super) fn getrlimit(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let limit = cx.process.limits.get(Resource::from_raw(args.uint(0))?);
    cx.write(args.address(1), &[limit.soft, limit.hard]).map(|()| 0)
}

/// setrlimit(2): resource, new.
pub(super) fn setrlimit(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let resource = Resource::from_raw(args.uint(0))?;
    let [soft, hard] = cx.read(args.address(1))?;
    set_limit(cx, cx.process, resource, Limit { soft, hard }).map(|_| 0)
}

/// prlimit64(2): process, resource, new, old.
pub(super) fn prlimit64(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let resource = Resource::from_raw(args.uint(1))?;
    let process = Arc::clone(&super::scheduling::thread_of(cx, args.int(0))?.process);
    if !Arc::ptr_eq(&process, cx.process) {
        check_owner(cx, &process)?;
    }
    let new = match args.address(2) {
        0 => None,
        address => Some(cx.read::<[u64; 2]>(address)?),
    };
    let old = match new {
        Some([soft, hard]) => set_limit(cx, &process, resource, Limit { soft, hard })?,
        None => process.limits.get(resource),
    };
    if args.address(3) != 0 {
        cx.write(args.address(3), &[old.soft, old.hard])?;
    }
    Ok(0)
}

/// Whether the caller may see and set another's limits: the same real ids, or `CAP_SYS_RESOURCE`.
fn check_owner(cx: &Context<'_>, process: &Process) -> Result<()> {
    let from = Arc::clone(&cx.process.credentials.lock());
    let to = Arc::clone(&process.credentials.lock());
    let users = [to.uid, to.euid, to.suid].iter().all(|uid| *uid == from.uid);
    let groups = [to.gid, to.egid, to.sgid].iter().all(|gid| *gid == from.gid);
    if users && groups || from.has(Capabilities::SYS_RESOURCE) {
        Ok(())
    } else {
        Err(Errno::EPERM.because("the process belongs to another user"))
    }
}

/// Sets a limit where it is kept and where it is enforced; gives the old one.
fn set_limit(
    cx: &Context<'_>,
    process: &Arc<Process>,
    resource: Resource,
    new: Limit,
) -> Result<Limit> {
    let privileged = cx.process.credentials.lock().has(Capabilities::SYS_RESOURCE);
    let old = process.limits.set(resource, new, privileged)?;
    let memory = &process.memory;
    match resource {
        Resource::Files => process.files.set_limit(new.soft),
        Resource::AddressSpace => memory.set_limit(memory::Limit::AddressSpace, new.soft),
        Resource::Stack => memory.set_limit(memory::Limit::Stack, new.soft),
        Resource::Data => memory.set_limit(memory::Limit::Data, new.soft),
        Resource::Cpu => process.signals.timers.rearm(cx.kernel, process),
        _ => {}
    }
    Ok(old)
}

/// `GRND_NONBLOCK`, `GRND_RANDOM`, `GRND_INSECURE`.
const RANDOM_FLAGS: u32 = 7;
const GRND_RANDOM: u32 = 2;
const GRND_INSECURE: u32 = 4;
/// So much is given at once; more is given in steps, between which others run.
const AT_ONCE: usize = 64 << 10;

/// getrandom(2), where it is short; `None`: it is long.
pub(super) fn getrandom_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let flags = args.uint(2);
    let both = GRND_RANDOM | GRND_INSECURE;
    if flags & !RANDOM_FLAGS != 0 || flags & both == both {
        return Some(Err(Errno::EINVAL.because("an unknown flag, or both RANDOM and INSECURE")));
    }
    let len = args.size(1);
    (len <= AT_ONCE).then(|| fill(cx, args.address(0), len).map(|done| done as u64))
}

/// getrandom(2): buffer, bytes, flags. A signal ends it early.
pub(super) async fn getrandom(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let len = args.size(1).min(i32::MAX as usize);
    let mut done = 0;
    while done < len {
        let part = (len - done).min(AT_ONCE);
        match fill(cx, args.address(0).wrapping_add(done as u64), part) {
            Ok(filled) => done += filled,
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
        if cx.thread.must_attend() {
            break;
        }
        executor::yield_now().await;
    }
    Ok(done as u64)
}

/// Fills a buffer as far as it can be written, and at least one byte of it.
fn fill(cx: &Context<'_>, address: u64, len: usize) -> Result<usize> {
    let mut buffer = cx.buffer(UserRange { start: address, len });
    let mut chunk = [0_u8; 256];
    let mut done = 0;
    while done < len {
        let part = (len - done).min(chunk.len());
        random::fill(&mut chunk[..part]);
        let put = buffer.put(&chunk[..part]);
        done += put;
        if put < part {
            break;
        }
    }
    if buffer.faulted() && done == 0 {
        return Err(Errno::EFAULT.because("the buffer can't be written"));
    }
    Ok(done)
}

/// getcpu(2): vCPU, node.
pub(super) fn getcpu(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.address(0) != 0 {
        cx.write(args.address(0), &u32::try_from(vcpu::current()).unwrap_or(0))?;
    }
    if args.address(1) != 0 {
        cx.write(args.address(1), &0_u32)?;
    }
    Ok(0)
}

const BARRIER_QUERY: i32 = 0;
const BARRIER_GLOBAL: i32 = 1 << 0;
const BARRIER_GLOBAL_EXPEDITED: i32 = 1 << 1;
const BARRIER_REGISTER_GLOBAL_EXPEDITED: i32 = 1 << 2;
const BARRIER_PRIVATE_EXPEDITED: i32 = 1 << 3;
const BARRIER_REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;
const BARRIER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 5;
const BARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: i32 = 1 << 6;
const BARRIER_PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 7;
const BARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ: i32 = 1 << 8;
const BARRIER_GET_REGISTRATIONS: i32 = 1 << 9;
const BARRIERS: i32 = (1 << 10) - 1;
/// Of the barrier for restartable sequences: one vCPU only, which is no less than all of them.
const BARRIER_FLAG_CPU: u32 = 1;

/// membarrier(2): command, flags. Each vCPU that runs user code is made to leave it once, which
/// orders its accesses, and its instruction fetches too, and aborts a restartable sequence.
pub(super) fn membarrier(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let command = args.int(0);
    let known = if command == BARRIER_PRIVATE_EXPEDITED_RSEQ { BARRIER_FLAG_CPU } else { 0 };
    if args.uint(1) & !known != 0 {
        return Err(Errno::EINVAL.because("the command has no such flag"));
    }
    let registered = &cx.process.usage.barriers;
    match command {
        BARRIER_QUERY => return Ok(u64::from(BARRIERS.unsigned_abs())),
        BARRIER_GET_REGISTRATIONS => return Ok(registered.load(Ordering::Relaxed).into()),
        BARRIER_GLOBAL | BARRIER_GLOBAL_EXPEDITED => {}
        BARRIER_REGISTER_GLOBAL_EXPEDITED
        | BARRIER_REGISTER_PRIVATE_EXPEDITED
        | BARRIER_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE
        | BARRIER_REGISTER_PRIVATE_EXPEDITED_RSEQ => {
            registered.fetch_or(command.unsigned_abs(), Ordering::Relaxed);
            return Ok(0);
        }
        BARRIER_PRIVATE_EXPEDITED
        | BARRIER_PRIVATE_EXPEDITED_SYNC_CORE
        | BARRIER_PRIVATE_EXPEDITED_RSEQ => {
            // The registration's command is the next bit.
            if registered.load(Ordering::Relaxed) & command.unsigned_abs() << 1 == 0 {
                return Err(Errno::EPERM.because("the process has not registered for it"));
            }
        }
        _ => return Err(Errno::EINVAL.because("no such command")),
    }
    vcpu::alone(|| ());
    Ok(0)
}
