//! What a program asks about the system and about its own consumption.
//!
//! Source: uname(2), sysinfo(2), getrusage(2), times(2), getrlimit(2), getrandom(2), getcpu(2),
//! membarrier(2), `set_tid_address(2)`.

use abi::Errno;
use abi::errno::Result;
use core::sync::atomic::Ordering;
use platform::{budget, clock, user, vcpu};
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::limits::{Limit, Resource};

/// The release that programs see: new enough for any libc, fixed so that it tells nothing of the host.
pub(crate) const RELEASE: &str = "6.18.0-adyton";
/// The build string.
pub(crate) const VERSION: &str = "#1 SMP";
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
    let fields: [&[u8]; 6] =
        [b"Linux", &host, RELEASE.as_bytes(), VERSION.as_bytes(), b"x86_64", b"(none)"];
    let mut out = [0; 6 * FIELD];
    for (place, text) in out.chunks_exact_mut(FIELD).zip(fields) {
        let len = text.len().min(FIELD - 1);
        place[..len].copy_from_slice(&text[..len]);
    }
    cx.write_bytes(args.address(0), &out).map(|()| 0)
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
    set_limit(cx, resource, Limit { soft, hard })
}

/// prlimit64(2): process, resource, new, old.
pub(super) fn prlimit64(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let resource = Resource::from_raw(args.uint(1))?;
    let pid = u32::try_from(args.int(0)).map_err(|_| Errno::ESRCH)?;
    if pid != 0 && pid != cx.process.pid {
        return Err(Errno::ESRCH.because("only the caller's own limits can be reached"));
    }
    let new = match args.address(2) {
        0 => None,
        address => Some(cx.read::<[u64; 2]>(address)?),
    };
    let old = cx.process.limits.get(resource);
    if let Some([soft, hard]) = new {
        set_limit(cx, resource, Limit { soft, hard })?;
    }
    if args.address(3) != 0 {
        cx.write(args.address(3), &[old.soft, old.hard])?;
    }
    Ok(0)
}

fn set_limit(cx: &Context<'_>, resource: Resource, new: Limit) -> Result<u64> {
    let privileged = cx.process.credentials.lock().has(Capabilities::SYS_RESOURCE);
    cx.process.limits.set(resource, new, privileged)?;
    match resource {
        Resource::Files => cx.process.files.set_limit(new.soft),
        Resource::AddressSpace => cx.memory().set_limit(crate::memory::Limit::AddressSpace, new.soft),
        Resource::Stack => cx.memory().set_limit(crate::memory::Limit::Stack, new.soft),
        Resource::Data => cx.memory().set_limit(crate::memory::Limit::Data, new.soft),
        _ => {}
    }
    Ok(0)
}

/// getrandom(2): buffer, bytes, flags.
pub(super) fn getrandom(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const NONBLOCK: u32 = 1;
    const RANDOM: u32 = 2;
    const INSECURE: u32 = 4;
    let flags = args.uint(2);
    if flags & !(NONBLOCK | RANDOM | INSECURE) != 0 || flags & (RANDOM | INSECURE) == RANDOM | INSECURE {
        return Err(Errno::EINVAL.because("unknown or contradicting flags"));
    }
    let len = args.size(1).min(0x1ff_ffff);
    if !user::in_region(args.address(0), len) {
        return Err(Errno::EFAULT.because("the buffer lies outside user memory"));
    }
    let mut done = 0;
    while done < len {
        let mut chunk = [0; 256];
        let part = chunk.len().min(len - done);
        platform::random::fill(&mut chunk[..part]);
        let written = cx.write_bytes(args.address(0) + done as u64, &chunk[..part]);
        if written.is_err() && done == 0 {
            return written.map(|()| 0);
        }
        if written.is_err() {
            break;
        }
        done += part;
    }
    Ok(done as u64)
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

/// membarrier(2): the commands that a fence on every vCPU answers.
pub(super) fn membarrier(args: &Arguments) -> Result<u64> {
    const QUERY: u32 = 0;
    const GLOBAL: u32 = 1;
    const GLOBAL_EXPEDITED: u32 = 2;
    const REGISTER_GLOBAL_EXPEDITED: u32 = 4;
    const PRIVATE_EXPEDITED: u32 = 8;
    const REGISTER_PRIVATE_EXPEDITED: u32 = 16;
    const ALL: u32 = GLOBAL
        | GLOBAL_EXPEDITED
        | REGISTER_GLOBAL_EXPEDITED
        | PRIVATE_EXPEDITED
        | REGISTER_PRIVATE_EXPEDITED;
    if args.uint(1) != 0 {
        return Err(Errno::EINVAL.because("no flags are known"));
    }
    match args.uint(0) {
        QUERY => Ok(ALL.into()),
        REGISTER_GLOBAL_EXPEDITED | REGISTER_PRIVATE_EXPEDITED => Ok(0),
        GLOBAL | GLOBAL_EXPEDITED | PRIVATE_EXPEDITED => {
            // Every other vCPU leaves user code and comes back: a barrier on each.
            vcpu::alone(|| core::sync::atomic::fence(Ordering::SeqCst));
            Ok(0)
        }
        _ => Err(Errno::EINVAL.because("the command is not supported")),
    }
}
