//! Socket options.
//!
//! Source: socket(7), unix(7).

use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::clock::SECOND;
use vfs::socketpair::Socket;
use zerocopy::IntoBytes;

use super::pair;
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::time::spec;

/// `SOL_SOCKET`.
const SOCKET: i32 = 1;
/// Microseconds of a second.
const MICROSECONDS: u64 = 1_000_000;

const TYPE: i32 = 3;
const ERROR: i32 = 4;
const SEND_BUFFER: i32 = 7;
const RECEIVE_BUFFER: i32 = 8;
const PASS_CREDENTIALS: i32 = 16;
const PEER_CREDENTIALS: i32 = 17;
const RECEIVE_TIMEOUT: i32 = 20;
const SEND_TIMEOUT: i32 = 21;
const ACCEPTS: i32 = 30;
const PROTOCOL: i32 = 38;
const DOMAIN: i32 = 39;

/// A value that is told.
enum Value {
    Int(i32),
    Time([i64; 2]),
    Credentials([i32; 3]),
}

impl Value {
    fn count(number: usize) -> Self {
        Self::Int(i32::try_from(number).unwrap_or(i32::MAX))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Int(int) => int.as_bytes(),
            Self::Time(time) => time.as_bytes(),
            Self::Credentials(credentials) => credentials.as_bytes(),
        }
    }
}

/// getsockopt(2): socket, level, option, buffer, its length in and the value's out.
pub(super) fn getsockopt(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = pair::open(cx, args.fd(0))?;
    let socket = pair::socket_of(&file)?;
    check_level(args)?;
    let room: i32 = cx.read(args.address(4))?;
    let Ok(room) = usize::try_from(room) else {
        return Err(Errno::EINVAL.because("a negative length"));
    };
    let value = get(socket, args.int(2))?;
    let bytes = value.bytes();
    let len = bytes.len().min(room);
    cx.write_bytes(args.address(3), &bytes[..len])?;
    cx.write(args.address(4), &i32::try_from(len).unwrap_or(0))?;
    Ok(0)
}

fn get(socket: &Socket, option: i32) -> Result<Value> {
    Ok(match option {
        TYPE => Value::Int(pair::type_number(socket.kind()).cast_signed()),
        ERROR => Value::Int(socket.take_error().map_or(0, |errno| i32::from(errno.raw()))),
        // There is one buffer, the sender's; of the receiver's Linux knows no use either.
        SEND_BUFFER | RECEIVE_BUFFER => Value::count(socket.send_buffer()),
        PASS_CREDENTIALS => {
            Value::Int(i32::from(socket.pass_credentials().load(Ordering::Relaxed)))
        }
        PEER_CREDENTIALS => {
            let peer = socket.peer();
            let owner = peer.owner;
            Value::Credentials([peer.pid, owner.uid.cast_signed(), owner.gid.cast_signed()])
        }
        RECEIVE_TIMEOUT => Value::Time(timeout(socket.receive_timeout())),
        SEND_TIMEOUT => Value::Time(timeout(socket.send_timeout())),
        ACCEPTS | PROTOCOL => Value::Int(0),
        DOMAIN => Value::Int(i32::from(pair::UNIX)),
        _ => return Err(Errno::ENOPROTOOPT.because("the option is not supported")),
    })
}

fn timeout(time: &AtomicU64) -> [i64; 2] {
    match time.load(Ordering::Relaxed) {
        u64::MAX => [0, 0],
        time => spec::parts_of(time, MICROSECONDS),
    }
}

/// setsockopt(2): socket, level, option, value, its length.
pub(super) fn setsockopt(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = pair::open(cx, args.fd(0))?;
    let socket = pair::socket_of(&file)?;
    check_level(args)?;
    let len = args.int(4);
    match args.int(2) {
        RECEIVE_TIMEOUT => set_timeout(cx, socket.receive_timeout(), args.address(3), len)?,
        SEND_TIMEOUT => set_timeout(cx, socket.send_timeout(), args.address(3), len)?,
        option => {
            if len < 4 {
                return Err(Errno::EINVAL.because("the value is shorter than an int"));
            }
            set(socket, option, cx.read(args.address(3))?)?;
        }
    }
    Ok(0)
}

fn set(socket: &Socket, option: i32, value: i32) -> Result<()> {
    match option {
        SEND_BUFFER => socket.set_send_buffer(usize::try_from(value).unwrap_or(0)),
        PASS_CREDENTIALS => socket.pass_credentials().store(value != 0, Ordering::Relaxed),
        _ => return Err(Errno::ENOPROTOOPT.because("the option is not supported")),
    }
    Ok(())
}

fn set_timeout(cx: &Context<'_>, timeout: &AtomicU64, address: u64, len: i32) -> Result<()> {
    if len < 16 {
        return Err(Errno::EINVAL.because("the value is shorter than a timeval"));
    }
    let [seconds, micros]: [i64; 2] = cx.read(address)?;
    let Ok(micros) = u64::try_from(micros) else {
        return Err(Errno::EDOM.because("microseconds outside a second"));
    };
    if micros >= MICROSECONDS {
        return Err(Errno::EDOM.because("microseconds outside a second"));
    }
    let time = match u64::try_from(seconds) {
        Ok(seconds) => seconds.saturating_mul(SECOND).saturating_add(micros * 1000),
        // As Linux: a negative time has passed already.
        Err(_) => 1,
    };
    timeout.store(if time == 0 { u64::MAX } else { time }, Ordering::Relaxed);
    Ok(())
}

fn check_level(args: &Arguments) -> Result<()> {
    if args.int(1) == SOCKET {
        return Ok(());
    }
    Err(Errno::EOPNOTSUPP.because("Unix sockets have options of the socket level only"))
}
