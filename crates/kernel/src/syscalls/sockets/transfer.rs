//! Sending and receiving.
//!
//! Source: send(2), recv(2), unix(7).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::user::{Sink as _, Source as _, UserRange};
use vfs::object::{OpenFile, Stop};
use vfs::socketpair::{Kind, Received, Socket, Take};

use super::pair;
use crate::arguments::Arguments;
use crate::context::{Context, TRANSFER_MAX, UserBuffers};
use crate::signal::{Info, Signal, send_to_thread};
use crate::syscalls::time::spec;

bitflags::bitflags! {
    /// Flags of one transfer, with the bits of send(2) and recv(2). Others mean nothing to a Unix
    /// socket and are ignored, as in Linux.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Flags: u32 {
        /// Urgent data.
        const OUT_OF_BAND = 1;
        /// What is received stays.
        const PEEK = 2;
        /// Told: descriptors or other ancillary data were lost.
        const CONTROL_CUT = 8;
        /// Told: the message was longer; asked: tell how long it was.
        const CUT = 0x20;
        /// This call doesn't wait.
        const DONT_WAIT = 0x40;
        /// Wait until all that was asked for is there.
        const WAIT_ALL = 0x100;
        /// No SIGPIPE.
        const NO_SIGNAL = 0x4000;
        /// recvmmsg: wait for the first message only.
        const WAIT_FOR_ONE = 0x1_0000;
        /// Received descriptors are closed at execve(2).
        const CLOSE_ON_EXEC = 0x4000_0000;
    }
}

/// sendto(2): socket, buffer, its length, flags, address or null, its length.
pub(super) async fn sendto(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let buffer = buffer(args)?;
    let file = pair::open(cx, args.fd(0))?;
    let flags = Flags::from_bits_truncate(args.uint(3));
    if args.address(4) != 0 && args.int(5) != 0 {
        return Err(refuse_address(pair::socket_of(&file)?));
    }
    send(cx, &file, cx.source(&[buffer]), Vec::new(), flags).await
}

/// recvfrom(2): socket, buffer, its length, flags, where the address goes or null, its length.
pub(super) async fn recvfrom(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let buffer = buffer(args)?;
    let file = pair::open(cx, args.fd(0))?;
    let flags = Flags::from_bits_truncate(args.uint(3));
    let received = receive(cx, &file, cx.sink(&[buffer]), flags).await?;
    // The sender has no name.
    if args.address(4) != 0 && args.address(5) != 0 {
        cx.write(args.address(5), &0_i32)?;
    }
    Ok(told_length(&received, flags))
}

fn buffer(args: &Arguments) -> Result<UserRange> {
    let UserRange { start, len } = args.buffer(1, 2);
    let len = len.min(TRANSFER_MAX);
    if !platform::user::is_below_end(start, len) {
        return Err(Errno::EFAULT.because("the buffer lies outside user memory"));
    }
    Ok(UserRange { start, len })
}

/// What a receiving call returns.
pub(super) fn told_length(received: &Received, flags: Flags) -> u64 {
    let len = if flags.contains(Flags::CUT) { received.full } else { received.len };
    len as u64
}

/// Why an address can't be given with a message.
pub(super) fn refuse_address(socket: &Socket) -> Error {
    match socket.kind() {
        Kind::Datagram => Errno::ECONNREFUSED.because("nobody has that address"),
        _ => Errno::EISCONN.because("the socket is one of a pair"),
    }
}

/// Sends what `source` has, waiting for room as needed; `rights` travel with the first byte.
pub(super) async fn send(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    mut source: UserBuffers<'_>,
    mut rights: Vec<Arc<OpenFile>>,
    flags: Flags,
) -> Result<u64> {
    let socket = pair::socket_of(file)?;
    if flags.contains(Flags::OUT_OF_BAND) {
        return Err(Errno::EOPNOTSUPP.because("Unix sockets have no urgent data here"));
    }
    let deadline = deadline(file, flags, socket.send_timeout().load(Ordering::Relaxed));
    let mut total = 0;
    loop {
        let attempt = socket.send(&mut source, &mut rights);
        let error = match attempt {
            Ok(len) => {
                total += len;
                if source.faulted() && total == 0 {
                    return Err(Errno::EFAULT.because("the message can't be read"));
                }
                if source.faulted() || source.left() == 0 || socket.kind() != Kind::Stream {
                    return Ok(total as u64);
                }
                continue;
            }
            Err(Stop::WouldBlock | Stop::Paced) => {
                let room = || socket_has_room(file);
                match wait(cx, file, deadline, room).await {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            }
            Err(Stop::Error(error)) => error,
            Err(Stop::Fill { .. }) => Errno::EIO.because("a socket has nothing to fill"),
        };
        if total > 0 {
            return Ok(total as u64);
        }
        if error.errno == Errno::EPIPE && !flags.contains(Flags::NO_SIGNAL) {
            send_to_thread(cx.kernel, cx.thread, Info::kernel(Signal::PIPE))?;
        }
        return Err(error);
    }
}

/// Receives into `sink`, waiting for something as needed.
pub(super) async fn receive(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    mut sink: UserBuffers<'_>,
    flags: Flags,
) -> Result<Received> {
    let socket = pair::socket_of(file)?;
    if flags.contains(Flags::OUT_OF_BAND) {
        return Err(match socket.kind() {
            Kind::Stream => Errno::EINVAL.because("no urgent data has come"),
            _ => Errno::EOPNOTSUPP.because("only streams have urgent data"),
        });
    }
    let take = if flags.contains(Flags::PEEK) { Take::Peek } else { Take::Away };
    let all =
        flags.contains(Flags::WAIT_ALL) && take == Take::Away && socket.kind() == Kind::Stream;
    let deadline = deadline(file, flags, socket.receive_timeout().load(Ordering::Relaxed));
    let mut total = Received::default();
    loop {
        let error = match socket.receive(&mut sink, take) {
            Ok(received) => {
                let ended = received.len == 0;
                total.len += received.len;
                total.full += received.full;
                total.rights.extend(received.rights);
                if sink.faulted() && total.len == 0 {
                    return Err(Errno::EFAULT.because("the buffer can't be written"));
                }
                let enough = ended || !total.rights.is_empty() || sink.room() == 0;
                if !all || enough || sink.faulted() {
                    return Ok(total);
                }
                continue;
            }
            Err(Stop::WouldBlock | Stop::Paced) => {
                match wait(cx, file, deadline, || has_some(file)).await {
                    Ok(()) => continue,
                    Err(error) => error,
                }
            }
            Err(Stop::Error(error)) => error,
            Err(Stop::Fill { .. }) => Errno::EIO.because("a socket has nothing to fill"),
        };
        return if total.len > 0 { Ok(total) } else { Err(error) };
    }
}

fn has_some(file: &OpenFile) -> bool {
    use vfs::object::Events;
    file.poll().intersects(Events::IN | Events::HUP | Events::ERR)
}

fn socket_has_room(file: &OpenFile) -> bool {
    use vfs::object::Events;
    file.poll().intersects(Events::OUT | Events::HUP | Events::ERR)
}

/// Until when a call may wait, as a monotonic instant and whether it is one of `SO_RCVTIMEO`'s or
/// `SO_SNDTIMEO`'s making; `Some(0)`: it doesn't wait.
fn deadline(file: &OpenFile, flags: Flags, timeout: u64) -> Option<u64> {
    if flags.contains(Flags::DONT_WAIT) || file.nonblocking() {
        return Some(0);
    }
    (timeout != u64::MAX).then(|| spec::after(timeout))
}

/// Waits until `ready` says so.
async fn wait(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    deadline: Option<u64>,
    ready: impl Fn() -> bool,
) -> Result<()> {
    let again = Errno::EAGAIN.because("nothing can be done now");
    let Some(queue) = file.object().readiness() else { return Err(again) };
    if deadline == Some(0) {
        return Err(again);
    }
    let listener = queue.listen();
    if ready() {
        return Ok(());
    }
    match cx.interruptible(cx.kernel.executor.timeout(deadline, listener)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(Errno::EAGAIN.because("the socket's timeout has passed")),
        Err(_) if deadline.is_some() => Err(Errno::EINTR.because("a signal came")),
        Err(interrupted) => Err(interrupted.into()),
    }
}
