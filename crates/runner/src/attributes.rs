//! Extended attributes, by paths that lead through `/proc/self/fd`: older kernels have no calls that take
//! a directory's descriptor.

use std::os::fd::RawFd;

use abi::io::Code;

use crate::sys;
use crate::text::{PATH, Text};

const EINVAL: i64 = -(libc::EINVAL as i64);
const ENAMETOOLONG: i64 = -(libc::ENAMETOOLONG as i64);
/// Longest name of an attribute, with its NUL.
const NAME: usize = 256;

/// What is asked: the directory, the path below it, and what lies behind the path.
pub(crate) struct Asked {
    pub(crate) fd: RawFd,
    pub(crate) path: (u64, u64),
    pub(crate) behind: (u64, u64),
    /// Bytes of the attribute's name.
    pub(crate) name: u64,
    pub(crate) flags: u32,
}

/// Carries out one of the operations on extended attributes.
pub(crate) fn perform(code: u32, asked: &Asked) -> i64 {
    const GET: u32 = Code::GetAttribute as u32;
    const SET: u32 = Code::SetAttribute as u32;
    const LIST: u32 = Code::ListAttributes as u32;
    const REMOVE: u32 = Code::RemoveAttribute as u32;
    let mut path = Text::<PATH>::new();
    let below = asked.path.1 > 0;
    let fits = path.push_descriptor(asked.fd)
        && (!below || path.push(b"/") && path.push_from(asked.path.0, asked.path.1));
    if !fits {
        return ENAMETOOLONG;
    }
    let (at, room) = asked.behind;
    let named = code != LIST;
    let mut name = Text::<NAME>::new();
    if named && (asked.name > room || !name.push_from(at, asked.name)) {
        return EINVAL;
    }
    // What the handle itself is stands behind a link of /proc, which has to be followed.
    let pick = |itself: i64, link: i64| if below { link } else { itself };
    let (path, name) = (path.address(), name.address());
    let (number, arguments) = match code {
        GET => (pick(libc::SYS_getxattr, libc::SYS_lgetxattr), [path, name, at, room, 0, 0]),
        SET => {
            let value = [path, name, at + asked.name, room - asked.name, asked.flags.into(), 0];
            (pick(libc::SYS_setxattr, libc::SYS_lsetxattr), value)
        }
        LIST => (pick(libc::SYS_listxattr, libc::SYS_llistxattr), [path, at, room, 0, 0, 0]),
        REMOVE => (pick(libc::SYS_removexattr, libc::SYS_lremovexattr), [path, name, 0, 0, 0, 0]),
        _ => return EINVAL,
    };
    // SAFETY: C strings on this stack, and a buffer of `room` bytes.
    unsafe { sys::call(number, arguments) }
}
