//! What the host tells of files: their attributes, and the entries of directories.

use std::mem::MaybeUninit;

use abi::io::{Entry, Stat};

use super::{EINVAL, Request};
use crate::sys;

/// Bytes of raw directory entries read at once.
const LIST: usize = 32 << 10;

impl Request {
    pub(super) fn stat(&self) -> i64 {
        let (out, room) = self.behind();
        let Some(path) = self.path().filter(|_| room >= size_of::<Stat>() as u64) else {
            return EINVAL;
        };
        let mut raw = MaybeUninit::<libc::statx>::uninit();
        let empty = if self.operation.path_len == 0 { libc::AT_EMPTY_PATH } else { 0 };
        let flags = (libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | empty) as u64;
        let mask = u64::from(libc::STATX_BASIC_STATS);
        let arguments = [self.fd as u64, path.address(), flags, mask, raw.as_mut_ptr() as u64, 0];
        // SAFETY: a path and a statx on this stack.
        let result = unsafe { sys::call(libc::SYS_statx, arguments) };
        if result != 0 {
            return result;
        }
        // SAFETY: the kernel filled it in.
        let raw = unsafe { raw.assume_init_ref() };
        let time = |at: &libc::statx_timestamp| at.tv_sec * 1_000_000_000 + i64::from(at.tv_nsec);
        let device = |major: u32, minor: u32| libc::makedev(major, minor);
        let stat = Stat {
            mode: raw.stx_mode.into(),
            links: raw.stx_nlink,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            inode: raw.stx_ino,
            device: device(raw.stx_dev_major, raw.stx_dev_minor),
            rdev: device(raw.stx_rdev_major, raw.stx_rdev_minor),
            size: raw.stx_size,
            blocks: raw.stx_blocks,
            accessed: time(&raw.stx_atime),
            modified: time(&raw.stx_mtime),
            changed: time(&raw.stx_ctime),
        };
        // SAFETY: room for it behind the path.
        unsafe { sys::copy(out as *mut u8, (&raw const stat).cast(), size_of::<Stat>()) };
        0
    }

    pub(super) fn list(&self) -> i64 {
        let fd = self.fd as u64;
        let offset = self.operation.offset;
        // SAFETY: no pointers.
        let at = unsafe { sys::call4(libc::SYS_lseek, fd, offset, libc::SEEK_SET as u64, 0) };
        if at < 0 {
            return at;
        }
        let mut raw = MaybeUninit::<[u64; LIST / 8]>::uninit();
        let start = raw.as_mut_ptr() as u64;
        // Each entry grows by at most 8 bytes, so half of the room always suffices.
        let wanted = (u64::from(self.operation.len) / 2).min(LIST as u64);
        // SAFETY: the array has LIST bytes.
        let got = unsafe { sys::call4(libc::SYS_getdents64, fd, start, wanted, 0) };
        if got <= 0 {
            return got;
        }
        let (mut from, mut to) = (start, self.buffer);
        while from < start + got.unsigned_abs() {
            from += Self::convert(from, &mut to);
        }
        (to - self.buffer) as i64
    }

    /// Converts one `linux_dirent64`; gives its length.
    fn convert(from: u64, to: &mut u64) -> u64 {
        const NAME: u64 = 19;
        // SAFETY: the kernel wrote a whole entry here.
        let inode = unsafe { (from as *const u64).read() };
        // SAFETY: as above.
        let next = unsafe { ((from + 8) as *const u64).read() };
        // SAFETY: as above.
        let len = unsafe { ((from + 16) as *const u16).read() };
        // SAFETY: as above.
        let kind = unsafe { ((from + 18) as *const u8).read() };
        let mut name_len = 0_u64;
        // SAFETY: the name ends with a NUL inside the entry.
        while unsafe { ((from + NAME + name_len) as *const u8).read() } != 0 {
            name_len += 1;
        }
        let entry = Entry { next, inode, kind: kind.into(), name_len: name_len as u32 };
        let head = size_of::<Entry>() as u64;
        // SAFETY: the caller left room.
        unsafe { (*to as *mut Entry).write_unaligned(entry) };
        // SAFETY: as above.
        unsafe {
            sys::copy((*to + head) as *mut u8, (from + NAME) as *const u8, name_len as usize);
        };
        *to += head + name_len.next_multiple_of(8);
        len.into()
    }
}
