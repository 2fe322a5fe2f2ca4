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

/// "Leave it" in calls that set several identities.
const LEAVE: u32 = u32::MAX;
/// The most supplementary groups.
const GROUPS_MAX: usize = 65_536;
/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// Which identity is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    User,
    EffectiveUser,
    Group,
    EffectiveGroup,
}

fn credentials(cx: &Context<'_>) -> Arc<Credentials> {
    Arc::clone(&cx.process.credentials.lock())
}

/// Real, effective, saved identity.
fn three(who: &Credentials, which: Which) -> [u32; 3] {
    match which {
        Which::User | Which::EffectiveUser => [who.uid, who.euid, who.suid],
        Which::Group | Which::EffectiveGroup => [who.gid, who.egid, who.sgid],
    }
}

/// getuid(2) and its kin.
pub(super) fn get(cx: &Context<'_>, which: Which) -> u64 {
    let [real, effective, _] = three(&credentials(cx), which);
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
    for (index, identity) in three(&credentials(cx), which).iter().enumerate() {
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
    *cx.process.credentials.lock() = Arc::new(Credentials { groups: groups.into(), ..(*who).clone() });
    Ok(0)
}

/// Puts new identities in place; those for files follow the effective ones.
fn install(cx: &Context<'_>, which: Which, new: [u32; 3]) {
    let mut lock = cx.process.credentials.lock();
    let mut who = (**lock).clone();
    let [real, effective, saved] = new;
    if matches!(which, Which::User | Which::EffectiveUser) {
        let was_root = [who.uid, who.euid, who.suid].contains(&0);
        (who.uid, who.euid, who.suid, who.fsuid) = (real, effective, saved, effective);
        if effective != 0 && was_root {
            who.effective = Capabilities::empty();
        } else if effective == 0 {
            who.effective = Capabilities::ALL;
        }
    } else {
        (who.gid, who.egid, who.sgid, who.fsgid) = (real, effective, saved, effective);
    }
    *lock = Arc::new(who);
}

fn privileged(who: &Credentials, which: Which) -> bool {
    who.has(match which {
        Which::User | Which::EffectiveUser => Capabilities::SETUID,
        Which::Group | Which::EffectiveGroup => Capabilities::SETGID,
    })
}

fn refused() -> abi::Error {
    Errno::EPERM.because("neither privileged nor one of the process's own identities")
}

fn valid(identity: u32) -> Result<u32> {
    if identity == LEAVE { Err(Errno::EINVAL.because("-1 is no identity")) } else { Ok(identity) }
}

/// setuid(2), setgid(2).
pub(super) fn set(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    let new = valid(args.uint(0))?;
    let who = credentials(cx);
    let [real, _, saved] = three(&who, which);
    if privileged(&who, which) {
        install(cx, which, [new; 3]);
    } else if new == real || new == saved {
        install(cx, which, [real, new, saved]);
    } else {
        return Err(refused());
    }
    Ok(0)
}

/// setreuid(2), setregid(2).
pub(super) fn setre(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    let who = credentials(cx);
    let [real, effective, saved] = three(&who, which);
    let (new_real, new_effective) = (args.uint(0), args.uint(1));
    let may_real = new_real == LEAVE || [real, effective].contains(&new_real);
    let may_effective = new_effective == LEAVE || [real, effective, saved].contains(&new_effective);
    if !privileged(&who, which) && !(may_real && may_effective) {
        return Err(refused());
    }
    let pick = |new: u32, old: u32| if new == LEAVE { old } else { new };
    let after = [pick(new_real, real), pick(new_effective, effective)];
    let keeps_saved = new_real == LEAVE && (new_effective == LEAVE || new_effective == real);
    install(cx, which, [after[0], after[1], if keeps_saved { saved } else { after[1] }]);
    Ok(0)
}

/// setresuid(2), setresgid(2).
pub(super) fn setres(cx: &Context<'_>, args: &Arguments, which: Which) -> Result<u64> {
    let who = credentials(cx);
    let old = three(&who, which);
    let mut new = old;
    for (index, place) in new.iter_mut().enumerate() {
        let wanted = args.uint(index);
        if wanted != LEAVE {
            if !privileged(&who, which) && !old.contains(&wanted) {
                return Err(refused());
            }
            *place = wanted;
        }
    }
    install(cx, which, new);
    Ok(0)
}

/// setfsuid(2), setfsgid(2): give the old one, whatever happens.
pub(super) fn set_for_files(cx: &Context<'_>, args: &Arguments, which: Which) -> u64 {
    let mut lock = cx.process.credentials.lock();
    let mut who = (**lock).clone();
    let wanted = args.uint(0);
    let allowed = privileged(&who, which) || three(&who, which).contains(&wanted);
    let place = if which == Which::User { &mut who.fsuid } else { &mut who.fsgid };
    let old = *place;
    if wanted != LEAVE && (allowed || wanted == old) {
        *place = wanted;
        *lock = Arc::new(who);
    }
    old.into()
}

/// capget(2): header, data.
pub(super) fn capget(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let [version, pid]: [u32; 2] = cx.read(args.address(0))?;
    if version != CAPABILITY_VERSION {
        cx.write(args.address(0), &CAPABILITY_VERSION)?;
        return if args.address(1) == 0 { Ok(0) } else { Err(Errno::EINVAL.into()) };
    }
    let process = other(cx, pid.cast_signed())?;
    let bits = process.credentials.lock().effective.bits() & Capabilities::ALL.bits();
    let (low, high) = (bits & 0xffff_ffff, bits >> 32);
    let words = [low, low, 0, high, high, 0].map(|word| u32::try_from(word).unwrap_or(0));
    if args.address(1) != 0 {
        cx.write(args.address(1), &words)?;
    }
    Ok(0)
}

/// capset(2): may only take away.
pub(super) fn capset(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let [version, pid]: [u32; 2] = cx.read(args.address(0))?;
    if version != CAPABILITY_VERSION {
        cx.write(args.address(0), &CAPABILITY_VERSION)?;
        return Err(Errno::EINVAL.because("another version of the structure"));
    }
    if pid != 0 && pid != cx.thread.tid {
        return Err(Errno::EPERM.because("only the caller's own capabilities can be set"));
    }
    let words: [u32; 6] = cx.read(args.address(1))?;
    let wanted = Capabilities::from_bits_retain(u64::from(words[0]) | u64::from(words[3]) << 32);
    let mut lock = cx.process.credentials.lock();
    if !lock.effective.contains(wanted) {
        return Err(Errno::EPERM.because("a capability that the process does not have"));
    }
    *lock = Arc::new(Credentials { effective: wanted, ..(**lock).clone() });
    Ok(0)
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
    let group = u32::try_from(args.int(1)).map_err(|_| Errno::EINVAL.because("a negative group"))?;
    let process = other(cx, args.int(0)).map_err(|_| Errno::ESRCH)?;
    if process.session.load(Ordering::Relaxed) == process.pid {
        return Err(Errno::EPERM.because("a session leader stays in its group"));
    }
    let group = if group == 0 { process.pid } else { group };
    let known = cx.kernel.registry.processes().iter().any(|p| p.group.load(Ordering::Relaxed) == group);
    if group != process.pid && !known {
        return Err(Errno::EPERM.because("no such group in the session"));
    }
    process.group.store(group, Ordering::Relaxed);
    Ok(0)
}

/// setsid(2).
pub(super) fn setsid(cx: &Context<'_>) -> Result<u64> {
    let pid = cx.process.pid;
    if cx.process.group.load(Ordering::Relaxed) == pid {
        return Err(Errno::EPERM.because("the process leads a group already"));
    }
    cx.process.group.store(pid, Ordering::Relaxed);
    cx.process.session.store(pid, Ordering::Relaxed);
    Ok(pid.into())
}
