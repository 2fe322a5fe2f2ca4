//! Who a process is: users, groups, capabilities, process groups and sessions.
//!
//! Source: credentials(7), setuid(2), setresuid(2), capget(2), setpgid(2).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::{Capabilities, Credentials};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::Process;
use crate::process::credentials::{self as rules, Kind};

/// The most supplementary groups.
const GROUPS_MAX: usize = 65_536;
/// Versions of the capability header: one with 32-bit sets, and two with 64-bit ones.
const CAPABILITY_VERSION_1: u32 = 0x1998_0330;
const CAPABILITY_VERSION_2: u32 = 0x2007_1026;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;

/// Which identity is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    User,
    EffectiveUser,
    Group,
    EffectiveGroup,
}

impl Which {
    fn kind(self) -> Kind {
        match self {
            Self::User | Self::EffectiveUser => Kind::User,
            Self::Group | Self::EffectiveGroup => Kind::Group,
        }
    }
}

fn credentials(cx: &Context<'_>) -> Arc<Credentials> {
    Arc::clone(&cx.process.credentials.lock())
}

/// getuid(2) and its kin.
pub(super) fn get(cx: &Context<'_>, which: Which) -> u64 {
    let [real, effective, _] = rules::ids(&credentials(cx), which.kind());
    match which {
        Which::User | Which::Group => real.into(),
        Which::EffectiveUser | Which::EffectiveGroup => effective.into(),
    }
}

/// getppid(2).
pub(super) fn parent(cx: &Context<'_>) -> u64 {
    cx.process.parent.load(Ordering::Relaxed).into()
}

/// getresuid(2), getresgid(2).
pub(super) fn getres(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    for (index, identity) in rules::ids(&credentials(cx), which.kind()).iter().enumerate() {
        cx.write(args.address(index), identity)?;
    }
    Ok(0)
}

/// getgroups(2): room, array.
pub(super) fn getgroups(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let who = credentials(cx);
    let room = usize::try_from(args.int(0)).map_err(|_| Errno::EINVAL)?;
    if room != 0 {
        if room < who.groups.len() {
            return Err(Errno::EINVAL.because("the array is too short for the groups"));
        }
        let bytes: Vec<u8> = who.groups.iter().flat_map(|group| group.to_le_bytes()).collect();
        cx.write_bytes(args.address(1), &bytes)?;
    }
    Ok(who.groups.len() as u64)
}

/// setgroups(2): count, array.
pub(super) fn setgroups(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let who = credentials(cx);
    if !who.has(Capabilities::SETGID) {
        return Err(Errno::EPERM.because("setting groups needs CAP_SETGID"));
    }
    let count = args.size(0);
    if count > GROUPS_MAX {
        return Err(Errno::EINVAL.because("too many groups"));
    }
    let mut groups: Vec<u32> = cx.read_vec(args.address(1), count)?;
    groups.sort_unstable();
    *cx.process.credentials.lock() =
        Arc::new(Credentials { groups: groups.into(), ..(*who).clone() });
    Ok(0)
}

/// Puts new identities in place, by a rule that sees the old ones.
fn install(
    cx: &Context<'_>,
    rule: impl FnOnce(&Credentials, bool) -> Result<Credentials>,
) -> Result<u64> {
    let keeps = cx.thread.attributes.get().keep_capabilities;
    let mut lock = cx.process.credentials.lock();
    *lock = Arc::new(rule(&lock, keeps)?);
    Ok(0)
}

/// setuid(2), setgid(2).
pub(super) fn set(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    install(cx, |old, keeps| rules::set(old, which.kind(), args.uint(0), keeps))
}

/// setreuid(2), setregid(2).
pub(super) fn setre(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    let new = [args.uint(0), args.uint(1)];
    install(cx, |old, keeps| rules::set_two(old, which.kind(), new, keeps))
}

/// setresuid(2), setresgid(2).
pub(super) fn setres(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    let new = [args.uint(0), args.uint(1), args.uint(2)];
    install(cx, |old, keeps| rules::set_three(old, which.kind(), new, keeps))
}

/// setfsuid(2), setfsgid(2): give the old one, whatever happens.
pub(super) fn set_for_files(cx: &Context<'_>, args: &Arguments, which: Which) -> u64 {
    let mut lock = cx.process.credentials.lock();
    let old = match which.kind() {
        Kind::User => lock.fsuid,
        Kind::Group => lock.fsgid,
    };
    if let Some(new) = rules::set_for_files(&lock, which.kind(), args.uint(0)) {
        *lock = Arc::new(new);
    }
    old.into()
}

/// Reads a capability header: how many 32-bit words each set has, and whose. An unknown version is
/// answered with the one to use.
fn read_header(cx: &Context<'_>, address: u64) -> Result<(usize, i32)> {
    // The version is looked at before there has to be more.
    let words = match cx.read::<u32>(address)? {
        CAPABILITY_VERSION_1 => 1,
        CAPABILITY_VERSION_2 | CAPABILITY_VERSION_3 => 2,
        _ => {
            cx.write(address, &CAPABILITY_VERSION_3)?;
            return Err(Errno::EINVAL.because("an unknown version of the capability header"));
        }
    };
    Ok((words, cx.read::<i32>(address.wrapping_add(4))?))
}

/// capget(2): header, data or null to ask for the version.
pub(super) fn capget(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let header = read_header(cx, args.address(0));
    if args.address(1) == 0 && header.is_err_and(|error| error.errno == Errno::EINVAL) {
        return Ok(0);
    }
    let (words, pid) = header?;
    let process = other(cx, pid)?;
    if args.address(1) == 0 {
        return Ok(0);
    }
    let who = Arc::clone(&process.credentials.lock());
    let sets = [who.effective, who.permitted, who.inheritable];
    let sets = sets.map(|set| set.intersection(Capabilities::ALL).bits().to_le_bytes());
    for word in 0..words {
        for (place, set) in sets.iter().enumerate() {
            let at = args.address(1).wrapping_add((12 * word + 4 * place) as u64);
            cx.write_bytes(at, &set[4 * word..4 * word + 4])?;
        }
    }
    Ok(0)
}

/// capset(2): header, data. Only for the caller.
pub(super) fn capset(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (words, pid) = read_header(cx, args.address(0))?;
    if pid != 0 && u32::try_from(pid) != Ok(cx.thread.tid) {
        return Err(Errno::EPERM.because("only the caller's own capabilities can be set"));
    }
    let mut sets = [0_u64; 3];
    for word in 0..words {
        let read: [u32; 3] = cx.read(args.address(1).wrapping_add(12 * word as u64))?;
        for (set, value) in sets.iter_mut().zip(read) {
            *set |= u64::from(value) << (32 * word);
        }
    }
    // Asking for a capability that does not exist is no error; it is not given.
    let [effective, permitted, inheritable] =
        sets.map(|set| Capabilities::from_bits_retain(set).intersection(Capabilities::ALL));
    install(cx, |old, _| rules::set_capabilities(old, effective, permitted, inheritable))
}

/// The caller's process (0), or another by its number.
fn other(cx: &Context<'_>, pid: i32) -> Result<Arc<Process>> {
    if pid == 0 {
        return Ok(Arc::clone(cx.process));
    }
    let number = u32::try_from(pid).map_err(|_| Errno::EINVAL)?;
    cx.kernel.registry.process(number).ok_or(Errno::ESRCH.because("no such process"))
}

/// getpgrp(2).
pub(super) fn group(cx: &Context<'_>) -> u64 {
    cx.process.group.load(Ordering::Relaxed).into()
}

/// getpgid(2).
pub(super) fn getpgid(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let pid = args.int(0);
    let process = other(cx, pid).map_err(|_| Errno::ESRCH)?;
    Ok(process.group.load(Ordering::Relaxed).into())
}

/// getsid(2).
pub(super) fn getsid(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let process = other(cx, args.int(0)).map_err(|_| Errno::ESRCH)?;
    Ok(process.session.load(Ordering::Relaxed).into())
}

/// setpgid(2): process, group.
pub(super) fn setpgid(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let group =
        u32::try_from(args.int(1)).map_err(|_| Errno::EINVAL.because("a negative group"))?;
    let process = other(cx, args.int(0)).map_err(|_| Errno::ESRCH)?;
    let own = process.pid == cx.process.pid;
    if !own && process.parent.load(Ordering::Relaxed) != cx.process.pid {
        return Err(Errno::ESRCH.because("neither the caller nor a child of it"));
    }
    let session = process.session.load(Ordering::Relaxed);
    if session == process.pid || session != cx.process.session.load(Ordering::Relaxed) {
        return Err(Errno::EPERM.because("a session leader, or of another session"));
    }
    let group = if group == 0 { process.pid } else { group };
    let in_group = |other: &Arc<Process>| {
        other.group.load(Ordering::Relaxed) == group
            && other.session.load(Ordering::Relaxed) == session
    };
    let known = cx.kernel.registry.processes().iter().any(in_group);
    if group != process.pid && !known {
        return Err(Errno::EPERM.because("no such group in the session"));
    }
    process.group.store(group, Ordering::Relaxed);
    Ok(0)
}

/// setsid(2).
pub(super) fn setsid(cx: &Context<'_>) -> Result<u64> {
    let pid = cx.process.pid;
    let leads = |other: &Arc<Process>| other.group.load(Ordering::Relaxed) == pid;
    if cx.kernel.registry.processes().iter().any(leads) {
        return Err(Errno::EPERM.because("the process's number is a group's already"));
    }
    cx.process.group.store(pid, Ordering::Relaxed);
    cx.process.session.store(pid, Ordering::Relaxed);
    cx.process.forget_terminal();
    Ok(pid.into())
}
