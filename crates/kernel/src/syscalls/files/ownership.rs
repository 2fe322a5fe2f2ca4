//! Who hears of a descriptor by signals: the commands of fcntl(2) and ioctl(2) for it.
//!
//! Source: fcntl(2), "Managing signals"; `ioctl_tty(2)`, socket(7).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::driven::{Kind, Owner};
use vfs::object::{OpenFile, Status};

use crate::context::Context;
use crate::signal::driven;

const F_SETOWN: i32 = 8;
const F_GETOWN: i32 = 9;
const F_SETSIG: i32 = 10;
const F_GETSIG: i32 = 11;
const F_SETOWN_EX: i32 = 15;
const F_GETOWN_EX: i32 = 16;
const F_GETOWNER_UIDS: i32 = 17;

/// ioctl: the owner, as `F_SETOWN` and `F_GETOWN` have it.
pub(super) const FIOSETOWN: u32 = 0x8901;
pub(super) const SIOCSPGRP: u32 = 0x8902;
pub(super) const FIOGETOWN: u32 = 0x8903;
pub(super) const SIOCGPGRP: u32 = 0x8904;

/// The largest number of a signal.
const SIGNALS: u64 = 64;

/// The commands of fcntl here; `None`: not one of these.
pub(super) fn fcntl(
    cx: &Context<'_>,
    file: &OpenFile,
    command: i32,
    value: u64,
) -> Option<Result<u64>> {
    Some(match command {
        F_SETOWN => set_signed(cx, file, low(value)).map(|()| 0),
        F_GETOWN => Ok(i64::from(signed(cx, file)).cast_unsigned()),
        F_SETOWN_EX => set_extended(cx, file, value),
        F_GETOWN_EX => get_extended(cx, file, value),
        F_GETOWNER_UIDS => cx.write(value, &file.owner().users).map(|()| 0),
        F_SETSIG => match u8::try_from(value) {
            Ok(signal) if value <= SIGNALS => {
                file.set_owner(|owner| owner.signal = signal);
                Ok(0)
            }
            _ => Err(Errno::EINVAL.because("no such signal")),
        },
        F_GETSIG => Ok(file.owner().signal.into()),
        _ => return None,
    })
}

/// The ioctls of sockets here: they point to the number.
pub(super) fn ioctl(cx: &Context<'_>, file: &OpenFile, request: u32, value: u64) -> Result<u64> {
    match request {
        FIOSETOWN | SIOCSPGRP => set_signed(cx, file, cx.read(value)?)?,
        _ => cx.write(value, &signed(cx, file))?,
    }
    Ok(0)
}

/// Begins or ends signal-driven I/O; false: the object has none.
pub(super) fn set_driven(cx: &Context<'_>, file: &Arc<OpenFile>, fd: i32, on: bool) -> bool {
    if !on {
        // As on Linux, O_ASYNC that came with open(2) is no more than a flag, and stays.
        file.set_subscriptions(Vec::new());
        return !file.object().signal_sources().is_empty();
    }
    let subscriptions = driven::subscribe(cx.kernel, file, fd);
    let able = !subscriptions.is_empty();
    if able {
        file.set_subscriptions(subscriptions);
    }
    able
}

/// `F_SETFL`, as far as it is about signals.
pub(super) fn set_flag(cx: &Context<'_>, file: &Arc<OpenFile>, fd: i32, wanted: Status) {
    if (file.status() ^ wanted).contains(Status::ASYNC) {
        set_driven(cx, file, fd, wanted.contains(Status::ASYNC));
    }
}

fn low(value: u64) -> i32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    i32::from_le_bytes([a, b, c, d])
}

/// Makes a process (above 0), a group (below) or nobody the owner.
fn set_signed(cx: &Context<'_>, file: &OpenFile, number: i32) -> Result<()> {
    if number == i32::MIN {
        return Err(Errno::EINVAL.because("no such process group"));
    }
    let kind = if number < 0 { Kind::Group } else { Kind::Process };
    set(cx, file, kind, number.unsigned_abs())
}

fn set(cx: &Context<'_>, file: &OpenFile, kind: Kind, id: u32) -> Result<()> {
    // A number is enough that anybody has, in whatever sense.
    let known = [Kind::Thread, Kind::Process, Kind::Group];
    if id != 0 && !known.iter().any(|kind| driven::is_there(cx.kernel, *kind, id)) {
        return Err(Errno::ESRCH.because("nobody has this number"));
    }
    let users = {
        let who = cx.process.credentials.lock();
        [who.uid, who.euid]
    };
    file.set_owner(|owner| *owner = Owner { kind, id, users, ..*owner });
    Ok(())
}

/// The owner, as long as it is there.
fn present(cx: &Context<'_>, owner: Owner) -> u32 {
    if driven::is_there(cx.kernel, owner.kind, owner.id) { owner.id } else { 0 }
}

fn signed(cx: &Context<'_>, file: &OpenFile) -> i32 {
    let owner = file.owner();
    let id = present(cx, owner).cast_signed();
    if owner.kind == Kind::Group { -id } else { id }
}

/// `struct f_owner_ex`: type, number.
fn set_extended(cx: &Context<'_>, file: &OpenFile, address: u64) -> Result<u64> {
    let [kind, id]: [i32; 2] = cx.read(address)?;
    let kind = match kind {
        0 => Kind::Thread,
        1 => Kind::Process,
        2 => Kind::Group,
        _ => return Err(Errno::EINVAL.because("no such type of owner")),
    };
    let id = u32::try_from(id).map_err(|_| Errno::ESRCH.because("nobody has this number"))?;
    set(cx, file, kind, id).map(|()| 0)
}

fn get_extended(cx: &Context<'_>, file: &OpenFile, address: u64) -> Result<u64> {
    let owner = file.owner();
    let kind = match owner.kind {
        Kind::Thread => 0,
        Kind::Process => 1,
        Kind::Group => 2,
    };
    cx.write(address, &[kind, present(cx, owner).cast_signed()])?;
    Ok(0)
}
