//! Messages with several buffers and ancillary data.
//!
//! Source: sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).

use alloc::sync::Arc;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::object::OpenFile;
use vfs::socketpair::Kind;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::transfer::{self, Flags};
use super::{control, pair};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::time::spec;

/// `struct msghdr`.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Header {
    name: u64,
    name_len: u32,
    padding: u32,
    buffers: u64,
    buffer_count: u64,
    control: u64,
    control_len: u64,
    flags: u32,
    padding_after: u32,
}

/// Bytes of a `struct mmsghdr`, and where its length lies.
const MULTIPLE: u64 = 64;
const LENGTH: u64 = 56;
/// The most messages of one call (`UIO_MAXIOV`).
const MESSAGES_MAX: u32 = 1024;

/// The flags of a call with headers: those of 32-bit programs are looked at first.
fn flags(raw: u32) -> Result<Flags> {
    const MSG_CMSG_COMPAT: u32 = 1 << 31;
    if raw & MSG_CMSG_COMPAT != 0 {
        return Err(Errno::EINVAL.because("MSG_CMSG_COMPAT is the kernel's own"));
    }
    Ok(Flags::from_bits_truncate(raw))
}

/// sendmsg(2): socket, header, flags.
pub(super) async fn sendmsg(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = flags(args.uint(2))?;
    let file = pair::open(cx, args.fd(0))?;
    send(cx, &file, args.address(1), flags).await
}

/// recvmsg(2): socket, header, flags.
pub(super) async fn recvmsg(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = flags(args.uint(2))?;
    let file = pair::open(cx, args.fd(0))?;
    receive(cx, &file, args.address(1), flags).await
}

/// sendmmsg(2): socket, headers, how many, flags.
pub(super) async fn sendmmsg(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = flags(args.uint(3))?;
    let file = pair::open(cx, args.fd(0))?;
    let mut sent = 0;
    for index in 0..u64::from(args.uint(2).min(MESSAGES_MAX)) {
        let header = args.address(1).wrapping_add(index * MULTIPLE);
        match send(cx, &file, header, flags).await {
            Ok(len) => cx.write(header + LENGTH, &u32::try_from(len).unwrap_or(u32::MAX))?,
            Err(_) if sent > 0 => break,
            Err(error) => return Err(error),
        }
        sent += 1;
    }
    Ok(sent)
}

/// recvmmsg(2): socket, headers, how many, flags, timeout or null, looked at between messages.
pub(super) async fn recvmmsg(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut flags = flags(args.uint(3))?;
    let file = pair::open(cx, args.fd(0))?;
    let deadline = spec::read_optional(cx, args.address(4))?.map(spec::after);
    let mut received = 0;
    for index in 0..u64::from(args.uint(2).min(MESSAGES_MAX)) {
        let header = args.address(1).wrapping_add(index * MULTIPLE);
        match receive(cx, &file, header, flags).await {
            Ok(len) => cx.write(header + LENGTH, &u32::try_from(len).unwrap_or(u32::MAX))?,
            Err(_) if received > 0 => break,
            Err(error) => return Err(error),
        }
        received += 1;
        if flags.contains(Flags::WAIT_FOR_ONE) {
            flags |= Flags::DONT_WAIT;
        }
        if deadline.is_some_and(|deadline| platform::clock::now() >= deadline) {
            break;
        }
    }
    Ok(received)
}

async fn send(cx: &Context<'_>, file: &Arc<OpenFile>, address: u64, flags: Flags) -> Result<u64> {
    let header: Header = cx.read(address)?;
    let buffers = buffers(cx, &header)?;
    if header.name != 0 && header.name_len != 0 {
        return Err(transfer::refuse_address(pair::socket_of(file)?));
    }
    let control_len = usize::try_from(header.control_len).unwrap_or(usize::MAX);
    let rights = control::read(cx, header.control, control_len)?;
    transfer::send(cx, file, cx.source(&buffers), rights, flags).await
}

async fn receive(
    cx: &Context<'_>,
    file: &Arc<OpenFile>,
    address: u64,
    flags: Flags,
) -> Result<u64> {
    let socket = pair::socket_of(file)?;
    let mut header: Header = cx.read(address)?;
    let buffers = buffers(cx, &header)?;
    let mut received = transfer::receive(cx, file, cx.sink(&buffers), flags).await?;
    let sender = socket.pass_credentials().load(Ordering::Relaxed).then(|| socket.peer());
    let on_exec = if flags.contains(Flags::CLOSE_ON_EXEC) { OnExec::Close } else { OnExec::Keep };
    let room = usize::try_from(header.control_len).unwrap_or(usize::MAX);
    let room = if header.control == 0 { 0 } else { room };
    let rights = core::mem::take(&mut received.rights);
    let written = control::write(cx, header.control, room, sender, rights, on_exec)?;
    let mut told = Flags::empty();
    told.set(Flags::CONTROL_CUT, written.cut);
    told.set(Flags::CUT, received.full > received.len && socket.kind() != Kind::Stream);
    header.name_len = 0;
    header.control_len = written.len as u64;
    header.flags = told.bits() | (flags & Flags::CLOSE_ON_EXEC).bits();
    cx.write(address, &header)?;
    Ok(transfer::told_length(&received, flags))
}

fn buffers(
    cx: &Context<'_>,
    header: &Header,
) -> Result<alloc::vec::Vec<platform::user::UserRange>> {
    let count = usize::try_from(header.buffer_count).unwrap_or(usize::MAX);
    if count > 1024 {
        return Err(Errno::EMSGSIZE.because("more than 1024 buffers"));
    }
    cx.read_iovecs(header.buffers, count)
}
