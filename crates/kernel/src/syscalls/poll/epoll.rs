//! epoll.
//!
//! Source: `epoll_create(2)`, `epoll_ctl(2)`, `epoll_wait(2)`.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::epoll::{Epoll, Interest, epoll};
use vfs::object::OpenFile;

use super::mask;
use super::wait::Patience;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::files::objects::owner;
use crate::syscalls::time::spec;

/// `EPOLL_CLOEXEC`.
const CLOEXEC: u32 = 0o2_000_000;
/// Bytes of a `struct epoll_event`, which is packed: events, then the program's word.
const EVENT: usize = 12;

const ADD: i32 = 1;
const DELETE: i32 = 2;
const MODIFY: i32 = 3;

/// `epoll_create(2)`: a size that only must be positive.
pub(super) fn epoll_create(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.int(0) <= 0 {
        return Err(Errno::EINVAL.because("the size must be positive"));
    }
    create(cx, OnExec::Keep)
}

/// `epoll_create1(2)`: flags.
pub(super) fn epoll_create1(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    match args.uint(0) {
        0 => create(cx, OnExec::Keep),
        CLOEXEC => create(cx, OnExec::Close),
        _ => Err(Errno::EINVAL.because("only EPOLL_CLOEXEC is known")),
    }
}

fn create(cx: &Context<'_>, on_exec: OnExec) -> Result<u64> {
    cx.process.files.add(epoll(owner(cx)), on_exec).map(u64::from)
}

/// `epoll_ctl(2)`: set, operation, descriptor, event.
pub(super) fn epoll_ctl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let operation = args.int(1);
    let mut interest = Interest::default();
    if operation != DELETE {
        let mut event = [0; EVENT];
        cx.read_bytes(args.address(3), &mut event)?;
        interest = decode(event);
    }
    let set = cx.process.files.opened(args.fd(0))?;
    let fd = args.fd(2);
    let file = cx.process.files.opened(fd)?;
    if file.object().readiness().is_none() {
        return Err(Errno::EPERM.because("the file is always ready; epoll can't watch it"));
    }
    let epoll = epoll_of(&set)?;
    if Arc::ptr_eq(&set, &file) {
        return Err(Errno::EINVAL.because("a set can't watch itself"));
    }
    match operation {
        ADD => epoll.add(fd, &file, interest)?,
        DELETE => epoll.delete(fd, &file)?,
        MODIFY => epoll.modify(fd, &file, interest)?,
        _ => return Err(Errno::EINVAL.because("no such operation")),
    }
    Ok(0)
}

fn epoll_of(set: &Arc<OpenFile>) -> Result<&Epoll> {
    set.downcast::<Epoll>().ok_or(Errno::EINVAL.because("the descriptor is no epoll set"))
}

fn decode(event: [u8; EVENT]) -> Interest {
    let (events, data) = event.split_at(4);
    Interest {
        events: u32::from_le_bytes(events.try_into().unwrap_or_default()),
        data: u64::from_le_bytes(data.try_into().unwrap_or_default()),
    }
}

fn encode(interest: Interest) -> [u8; EVENT] {
    let mut event = [0; EVENT];
    event[..4].copy_from_slice(&interest.events.to_le_bytes());
    event[4..].copy_from_slice(&interest.data.to_le_bytes());
    event
}

/// The set, and the program's buffer for its events.
struct Wait {
    set: Arc<OpenFile>,
    address: u64,
    most: usize,
}

impl Wait {
    /// From the first three arguments: set, buffer, events that fit.
    fn decode(cx: &Context<'_>, args: &Arguments) -> Result<Self> {
        const MOST: usize = i32::MAX as usize / EVENT;
        let set = cx.process.files.opened(args.fd(0))?;
        let most = usize::try_from(args.int(2)).unwrap_or(0);
        if most == 0 || most > MOST {
            return Err(Errno::EINVAL.because("room for no event, or for too many"));
        }
        if !platform::user::is_below_end(args.address(1), most * EVENT) {
            return Err(Errno::EFAULT.because("the buffer lies outside user memory"));
        }
        epoll_of(&set)?;
        Ok(Self { set, address: args.address(1), most })
    }

    /// Writes what is ready; `None`: nothing is.
    fn collect(&self, cx: &Context<'_>) -> Option<Result<u64>> {
        let Ok(epoll) = epoll_of(&self.set) else { return None };
        let mut address = self.address;
        let mut fault = None;
        let taken = epoll.collect(self.most, |event| {
            fault = cx.write_bytes(address, &encode(event)).err();
            address += EVENT as u64;
            fault.is_none()
        });
        match (taken, fault) {
            (0, None) => None,
            (0, Some(error)) => Some(Err(error)),
            (taken, _) => Some(Ok(taken as u64)),
        }
    }

    async fn run(&self, cx: &Context<'_>, patience: Patience) -> Result<u64> {
        let epoll = epoll_of(&self.set)?;
        loop {
            if let Some(result) = self.collect(cx) {
                return result;
            }
            if patience == Patience::None {
                return Ok(0);
            }
            let listener = epoll.waiters().listen();
            if let Some(result) = self.collect(cx) {
                return result;
            }
            let woken = cx.kernel.executor.timeout(patience.deadline(), listener);
            match cx.interruptible(woken).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return self.collect(cx).unwrap_or(Ok(0)),
                Err(_) => return Err(Errno::EINTR.because("a signal came")),
            }
        }
    }
}

/// `epoll_wait(2)`, when nothing must be waited for: set, buffer, its events, milliseconds.
pub(super) fn epoll_wait_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    match Wait::decode(cx, args) {
        Ok(wait) => match wait.collect(cx) {
            None if args.int(3) == 0 => Some(Ok(0)),
            result => result,
        },
        Err(error) => Some(Err(error)),
    }
}

/// `epoll_wait(2)`: set, buffer, its events, milliseconds.
pub(super) async fn epoll_wait(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let patience = Patience::from_milliseconds(args.int(3));
    Wait::decode(cx, args)?.run(cx, patience).await
}

/// `epoll_pwait(2)`: as `epoll_wait(2)`, signal mask or null, its size.
pub(super) async fn epoll_pwait(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let patience = Patience::from_milliseconds(args.int(3));
    masked(cx, args, patience).await
}

/// `epoll_pwait2(2)`: as `epoll_pwait(2)`, with a `timespec` or null.
pub(super) async fn epoll_pwait2(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let patience = Patience::lasting(spec::read_optional(cx, args.address(3))?);
    masked(cx, args, patience).await
}

async fn masked(cx: &Context<'_>, args: &Arguments, patience: Patience) -> Result<u64> {
    mask::begin(cx, args.address(4), args.size(5))?;
    let result = match Wait::decode(cx, args) {
        Ok(wait) => wait.run(cx, patience).await,
        Err(error) => Err(error),
    };
    mask::end(cx, result)
}
