//! Making and ending socket pairs.
//!
//! Source: socket(2), socketpair(2), shutdown(2), unix(7).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::Reservation;
use vfs::object::{OpenFile, Status};
use vfs::socketpair::{Kind, Maker, Shutdown, Socket};

use crate::arguments::{Arguments, Fd};
use crate::context::Context;
use crate::syscalls::files::objects;

/// `AF_UNIX`.
pub(super) const UNIX: u16 = 1;
/// The largest address family that Linux has.
const FAMILIES: i32 = 46;
/// The type proper, in a type with flags.
const TYPE: u32 = 0xf;
/// Types from here on are none.
const TYPES: u32 = 11;
/// `AF_NETLINK`.
const NETLINK: i32 = 16;

const STREAM: u32 = 1;
const DATAGRAM: u32 = 2;
/// With Unix sockets the same as `DATAGRAM`.
const RAW: u32 = 3;
const PACKETS: u32 = 5;

/// The number of a socket's type.
pub(super) fn type_number(kind: Kind) -> u32 {
    match kind {
        Kind::Stream => STREAM,
        Kind::Datagram => DATAGRAM,
        Kind::Packets => PACKETS,
    }
}

/// The socket that a descriptor names, with its description.
///
/// # Errors
/// EBADF, ENOTSOCK.
pub(super) fn open(cx: &Context<'_>, fd: Fd) -> Result<Arc<OpenFile>> {
    let file = cx.file(fd)?;
    if file.status().contains(Status::PATH) {
        return Err(Errno::EBADF.because("the descriptor only names a file"));
    }
    socket_of(&file)?;
    Ok(file)
}

/// The socket of a description.
///
/// # Errors
/// ENOTSOCK.
pub(super) fn socket_of(file: &Arc<OpenFile>) -> Result<&Socket> {
    file.downcast::<Socket>().ok_or(Errno::ENOTSOCK.because("the descriptor is no socket"))
}

/// socket(2): domain, type, protocol. None is there yet.
pub(super) fn socket(args: &Arguments) -> Result<u64> {
    match args.int(0) {
        1 => Err(Errno::EAFNOSUPPORT.because("named Unix sockets come with the network")),
        0..FAMILIES => Err(Errno::EAFNOSUPPORT.because("the enclave has no network yet")),
        _ => Err(Errno::EAFNOSUPPORT.because("no such address family")),
    }
}

/// socketpair(2): domain, type, protocol, where the two descriptors go. As Linux, it writes the numbers
/// before it looks at what is asked for.
pub(super) fn socketpair(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let raw = args.uint(1);
    let flags = raw & !TYPE;
    if flags & !(objects::CLOEXEC | objects::NONBLOCK) != 0 {
        return Err(Errno::EINVAL.because("only SOCK_CLOEXEC and SOCK_NONBLOCK are known"));
    }
    let files = &cx.process.files;
    let numbers = [files.reserve()?, files.reserve()?];
    cx.write(args.address(3), &numbers.each_ref().map(Reservation::fd))?;
    let kind = pair_kind(args)?;
    let maker = Maker { pid: cx.process.pid.cast_signed(), owner: objects::owner(cx) };
    let pair = vfs::socketpair::socketpair(kind, objects::status(flags), maker);
    for (number, socket) in numbers.into_iter().zip(pair) {
        number.fill(socket, objects::on_exec(flags));
    }
    Ok(0)
}

/// What kind of pair domain, type and protocol ask for.
fn pair_kind(args: &Arguments) -> Result<Kind> {
    let kind = args.uint(1) & TYPE;
    let family = args.int(0);
    if !(0..FAMILIES).contains(&family) {
        return Err(Errno::EAFNOSUPPORT.because("no such address family"));
    }
    if kind >= TYPES {
        return Err(Errno::EINVAL.because("no such type of socket"));
    }
    if family != i32::from(UNIX) {
        return match family {
            2 | 10 => Err(Errno::EOPNOTSUPP.because("only Unix sockets come in pairs")),
            NETLINK if !matches!(kind, DATAGRAM | RAW) => {
                Err(Errno::ESOCKTNOSUPPORT.because("netlink has datagrams only"))
            }
            _ => Err(Errno::EAFNOSUPPORT.because("only Unix sockets come in pairs")),
        };
    }
    if !matches!(args.int(2), 0 | 1) {
        return Err(Errno::EPROTONOSUPPORT.because("Unix sockets have one protocol"));
    }
    match kind {
        STREAM => Ok(Kind::Stream),
        DATAGRAM | RAW => Ok(Kind::Datagram),
        PACKETS => Ok(Kind::Packets),
        _ => Err(Errno::ESOCKTNOSUPPORT.because("no such type of Unix socket")),
    }
}

/// shutdown(2): socket, how.
pub(super) fn shutdown(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open(cx, args.fd(0))?;
    let how = match args.int(1) {
        0 => Shutdown::Receive,
        1 => Shutdown::Send,
        2 => Shutdown::Both,
        _ => return Err(Errno::EINVAL.because("neither SHUT_RD, SHUT_WR nor SHUT_RDWR")),
    };
    socket_of(&file)?.shutdown(how);
    Ok(0)
}

/// bind(2): a pair's sockets cannot get names, since nobody could connect to them.
pub(super) fn bind(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    open(cx, args.fd(0))?;
    Err(Errno::EOPNOTSUPP.because("named Unix sockets come with the network"))
}

/// connect(2).
pub(super) fn connect(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    open(cx, args.fd(0))?;
    if args.uint(2) <= 2 {
        return Err(Errno::EINVAL.because("the address has no name"));
    }
    Err(Errno::EISCONN.because("the socket is one of a pair"))
}

/// listen(2).
pub(super) fn listen(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open(cx, args.fd(0))?;
    refuse_listening(socket_of(&file)?)
}

/// accept(2), accept4(2).
pub(super) fn accept(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = open(cx, args.fd(0))?;
    refuse_listening(socket_of(&file)?)
}

fn refuse_listening(socket: &Socket) -> Result<u64> {
    match socket.kind() {
        Kind::Datagram => Err(Errno::EOPNOTSUPP.because("datagram sockets don't listen")),
        _ => Err(Errno::EINVAL.because("the socket is one of a pair")),
    }
}
