//! Typed I/O operations, carried out at once. Called on vCPUs' threads and the poller's: raw system
//! calls only.

use std::os::fd::RawFd;

use abi::io::{APPEND, Code, NOWAIT, Operation, STREAM, open};

use crate::text::{PATH, Text};
use crate::{attributes, handles, host, sys, terminal};

mod told;

const EBADF: i64 = -(libc::EBADF as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);
const EFAULT: i64 = -(libc::EFAULT as i64);

/// One operation with its buffer checked.
struct Request {
    operation: Operation,
    fd: RawFd,
    buffer: u64,
}

/// Carries out the operation at an address of untrusted memory.
pub(crate) fn perform(address: u64) -> i64 {
    // SAFETY: the enclave passes the address of a bounce buffer.
    carry_out(unsafe { (address as *const Operation).read() })
}

/// Carries out an operation.
pub(crate) fn carry_out(operation: Operation) -> i64 {
    let Some(buffer) = host::bounce(operation.buffer, operation.len.into()) else { return EFAULT };
    if operation.code == Code::Close as u32 {
        return handles::close(operation.handle);
    }
    if operation.code == Code::Nothing as u32 {
        return 0;
    }
    let Some(fd) = handles::descriptor(operation.handle) else { return EBADF };
    if operation.path_len > operation.len {
        return EINVAL;
    }
    let result = Request { operation, fd, buffer }.carry_out();
    #[cfg(feature = "faults")]
    let result = crate::faults::answer(&operation, buffer, result);
    result
}

impl Request {
    fn carry_out(&self) -> i64 {
        const OPEN: u32 = Code::Open as u32;
        const READ: u32 = Code::Read as u32;
        const WRITE: u32 = Code::Write as u32;
        const STAT: u32 = Code::Stat as u32;
        const LIST_CODE: u32 = Code::List as u32;
        const READ_LINK: u32 = Code::ReadLink as u32;
        const MAKE_DIRECTORY: u32 = Code::MakeDirectory as u32;
        const MAKE_FIFO: u32 = Code::MakeFifo as u32;
        const GET_ATTRIBUTE: u32 = Code::GetAttribute as u32;
        const REMOVE_ATTRIBUTE: u32 = Code::RemoveAttribute as u32;
        const REMOVE: u32 = Code::Remove as u32;
        const RENAME: u32 = Code::Rename as u32;
        const SYMBOLIC_LINK: u32 = Code::SymbolicLink as u32;
        const LINK: u32 = Code::Link as u32;
        const TRUNCATE: u32 = Code::Truncate as u32;
        const SYNC: u32 = Code::Sync as u32;
        const SYNC_ALL: u32 = Code::SyncAll as u32;
        const SET_MODE: u32 = Code::SetMode as u32;
        const SET_TIMES: u32 = Code::SetTimes as u32;
        const SET_OWNER: u32 = Code::SetOwner as u32;
        const POLL: u32 = Code::Poll as u32;
        const GET_TERMINAL: u32 = Code::GetTerminal as u32;
        const SET_TERMINAL: u32 = Code::SetTerminal as u32;
        const GET_WINDOW: u32 = Code::GetWindow as u32;
        const SET_WINDOW: u32 = Code::SetWindow as u32;
        const COUNT_TERMINAL: u32 = Code::CountTerminal as u32;
        const FLUSH_TERMINAL: u32 = Code::FlushTerminal as u32;
        const SUSPEND_TERMINAL: u32 = Code::SuspendTerminal as u32;
        let fd = self.fd as u64;
        match self.operation.code {
            OPEN => self.open(),
            READ => self.read(),
            WRITE => self.write(),
            STAT => self.stat(),
            LIST_CODE => self.list(),
            READ_LINK => self.read_link(),
            MAKE_DIRECTORY => self.with_path(|path| {
                [libc::SYS_mkdirat as u64, fd, path, self.operation.mode.into(), 0]
            }),
            MAKE_FIFO => self.with_path(|path| {
                let mode = libc::S_IFIFO | self.operation.mode & 0o7777;
                [libc::SYS_mknodat as u64, fd, path, mode.into(), 0]
            }),
            REMOVE => self.with_path(|path| {
                let flags = if self.operation.flags & 1 != 0 { libc::AT_REMOVEDIR } else { 0 };
                [libc::SYS_unlinkat as u64, fd, path, flags as u64, 0]
            }),
            RENAME => self.two_paths(libc::SYS_renameat2, u64::from(self.operation.flags & 2)),
            LINK => self.two_paths(libc::SYS_linkat, 0),
            SYMBOLIC_LINK => self.symbolic_link(),
            TRUNCATE => self.plain(libc::SYS_ftruncate, self.operation.offset),
            SYNC if self.operation.flags & 1 != 0 => self.plain(libc::SYS_fdatasync, 0),
            SYNC => self.plain(libc::SYS_fsync, 0),
            SYNC_ALL => self.plain(libc::SYS_syncfs, 0),
            SET_MODE if self.operation.path_len == 0 => {
                self.plain(libc::SYS_fchmod, self.operation.mode.into())
            }
            SET_MODE => self.with_path(|path| {
                [libc::SYS_fchmodat as u64, fd, path, self.operation.mode.into(), 0]
            }),
            SET_TIMES => self.set_times(),
            SET_OWNER => self.set_owner(),
            POLL => self.poll(),
            GET_TERMINAL => self.control(libc::TCGETS, 36),
            SET_TERMINAL => {
                terminal::keep(fd);
                self.control(libc::TCSETS + u64::from(self.operation.flags.min(2)), 36)
            }
            GET_WINDOW => self.control(libc::TIOCGWINSZ, 8),
            SET_WINDOW => self.control(libc::TIOCSWINSZ, 8),
            COUNT_TERMINAL => terminal::count(fd, self.operation.flags),
            FLUSH_TERMINAL => terminal::act(fd, libc::TCFLSH, self.operation.flags),
            SUSPEND_TERMINAL => terminal::act(fd, libc::TCXONC, self.operation.flags),
            GET_ATTRIBUTE..=REMOVE_ATTRIBUTE => self.attributes(),
            _ => EINVAL,
        }
    }

    fn attributes(&self) -> i64 {
        let asked = attributes::Asked {
            fd: self.fd,
            path: (self.buffer, self.operation.path_len.into()),
            behind: self.behind(),
            name: self.operation.offset,
            flags: self.operation.flags,
        };
        attributes::perform(self.operation.code, &asked)
    }

    fn plain(&self, number: i64, argument: u64) -> i64 {
        // SAFETY: no pointers.
        unsafe { sys::call4(number, self.fd as u64, argument, 0, 0) }
    }

    fn control(&self, request: u64, bytes: u32) -> i64 {
        if self.operation.len < bytes {
            return EINVAL;
        }
        // SAFETY: the buffer holds what the request reads or writes.
        unsafe { sys::call4(libc::SYS_ioctl, self.fd as u64, request, self.buffer, 0) }
    }

    /// The path at the buffer's start.
    fn path(&self) -> Option<Text<PATH>> {
        Text::copy(self.buffer, self.operation.path_len.into())
    }

    /// The path that stands behind it.
    fn second_path(&self) -> Option<Text<PATH>> {
        let (address, len) = self.behind();
        Text::copy(address, len)
    }

    /// What lies behind the path: address and bytes.
    fn behind(&self) -> (u64, u64) {
        let path_len = u64::from(self.operation.path_len);
        (self.buffer + path_len, u64::from(self.operation.len) - path_len)
    }

    fn with_path(&self, arguments: impl FnOnce(u64) -> [u64; 5]) -> i64 {
        let Some(path) = self.path() else { return EINVAL };
        let [number, a, b, c, d] = arguments(path.address());
        // SAFETY: the path is a C string on this stack.
        unsafe { sys::call4(number as i64, a, b, c, d) }
    }

    fn open(&self) -> i64 {
        let flags = self.operation.flags;
        let has = |bit: u32| flags & bit != 0;
        let access = match (has(open::READ), has(open::WRITE)) {
            (_, false) => libc::O_RDONLY,
            (false, true) => libc::O_WRONLY,
            (true, true) => libc::O_RDWR,
        };
        let mut raw =
            access | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NOCTTY | libc::O_NONBLOCK;
        for (bit, value) in [
            (open::CREATE, libc::O_CREAT),
            (open::EXCLUSIVE, libc::O_EXCL),
            (open::TRUNCATE, libc::O_TRUNC),
            (open::DIRECTORY, libc::O_DIRECTORY),
        ] {
            if has(bit) {
                raw |= value;
            }
        }
        let Some(path) = self.path() else { return EINVAL };
        if self.operation.path_len == 0 {
            return self.reopen(raw);
        }
        let open = |raw: i32| {
            let mode = u64::from(self.operation.mode);
            // SAFETY: the path is a C string on this stack.
            unsafe {
                sys::call4(libc::SYS_openat, self.fd as u64, path.address(), raw as u64, mode)
            }
        };
        let mut fd = open(raw);
        if fd == -i64::from(libc::EACCES) && has(open::DIRECTORY) {
            // A directory that may be searched but not listed.
            fd = open(libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_DIRECTORY);
        }
        Self::handle(fd)
    }

    /// Opens what the handle itself is (a root that is a file).
    fn reopen(&self, raw: i32) -> i64 {
        let mut path = Text::<PATH>::new();
        if !path.push_descriptor(self.fd) {
            return EINVAL;
        }
        let raw = raw & !libc::O_NOFOLLOW;
        let at = libc::AT_FDCWD as u64;
        // SAFETY: the path is a C string on this stack.
        let fd = unsafe { sys::call4(libc::SYS_openat, at, path.address(), raw as u64, 0) };
        Self::handle(fd)
    }

    fn handle(fd: i64) -> i64 {
        let Ok(fd) = RawFd::try_from(fd) else { return EINVAL };
        if fd < 0 {
            return fd.into();
        }
        if let Some(handle) = handles::insert(fd) {
            return handle as i64;
        }
        // SAFETY: nobody has seen the descriptor.
        unsafe { sys::call4(libc::SYS_close, fd as u64, 0, 0, 0) };
        -i64::from(libc::ENFILE)
    }

    /// A read or write of a stream that does not wait; `None` when the file can't do it that way.
    fn without_wait(&self, number: i64) -> Option<i64> {
        if self.operation.flags & NOWAIT == 0 || self.operation.offset != STREAM {
            return None;
        }
        let vector = [self.buffer, u64::from(self.operation.len)];
        let flags = libc::RWF_NOWAIT as u64;
        let arguments = [self.fd as u64, (&raw const vector) as u64, 1, u64::MAX, u64::MAX, flags];
        // SAFETY: one buffer of that many bytes.
        let result = unsafe { sys::call(number, arguments) };
        (result != -i64::from(libc::EOPNOTSUPP)).then_some(result)
    }

    fn read(&self) -> i64 {
        if let Some(result) = self.without_wait(libc::SYS_preadv2) {
            return result;
        }
        let (fd, len) = (self.fd as u64, u64::from(self.operation.len));
        let (number, offset) = match self.operation.offset {
            STREAM => (libc::SYS_read, 0),
            offset => (libc::SYS_pread64, offset),
        };
        // SAFETY: the buffer has `len` bytes.
        unsafe { sys::call4(number, fd, self.buffer, len, offset) }
    }

    fn write(&self) -> i64 {
        if let Some(result) = self.without_wait(libc::SYS_pwritev2) {
            return result;
        }
        let (fd, len) = (self.fd as u64, u64::from(self.operation.len));
        match self.operation.offset {
            // SAFETY: the buffer has `len` bytes.
            STREAM => unsafe { sys::call4(libc::SYS_write, fd, self.buffer, len, 0) },
            APPEND => {
                let vector = [self.buffer, len];
                let arguments = [
                    fd,
                    (&raw const vector) as u64,
                    1,
                    u64::MAX,
                    u64::MAX,
                    libc::RWF_APPEND as u64,
                ];
                // SAFETY: one buffer of `len` bytes.
                unsafe { sys::call(libc::SYS_pwritev2, arguments) }
            }
            // SAFETY: the buffer has `len` bytes.
            offset => unsafe { sys::call4(libc::SYS_pwrite64, fd, self.buffer, len, offset) },
        }
    }

    fn read_link(&self) -> i64 {
        let (out, room) = self.behind();
        self.with_path(|path| [libc::SYS_readlinkat as u64, self.fd as u64, path, out, room])
    }

    fn two_paths(&self, number: i64, flags: u64) -> i64 {
        let Some(second_fd) = handles::descriptor(self.operation.offset) else { return EBADF };
        let (Some(first), Some(second)) = (self.path(), self.second_path()) else { return EINVAL };
        // SAFETY: two C strings on this stack.
        unsafe {
            let (from, to) = (self.fd as u64, second_fd as u64);
            sys::call(number, [from, first.address(), to, second.address(), flags, 0])
        }
    }

    fn symbolic_link(&self) -> i64 {
        let (Some(path), Some(target)) = (self.path(), self.second_path()) else { return EINVAL };
        // SAFETY: two C strings on this stack.
        unsafe {
            let fd = self.fd as u64;
            sys::call4(libc::SYS_symlinkat, target.address(), fd, path.address(), 0)
        }
    }

    fn set_times(&self) -> i64 {
        let (times, room) = self.behind();
        let Some(path) = self.path().filter(|_| room >= 16) else { return EINVAL };
        let mut pairs = [[0_i64; 2]; 2];
        for (index, pair) in pairs.iter_mut().enumerate() {
            // SAFETY: room for two words was checked.
            let at = unsafe { ((times + 8 * index as u64) as *const i64).read_unaligned() };
            *pair = if at == i64::MIN {
                [0, libc::UTIME_OMIT]
            } else {
                [at.div_euclid(1_000_000_000), at.rem_euclid(1_000_000_000)]
            };
        }
        let empty = if self.operation.path_len == 0 { libc::AT_EMPTY_PATH } else { 0 };
        let flags = (libc::AT_SYMLINK_NOFOLLOW | empty) as u64;
        let pairs = (&raw const pairs) as u64;
        // SAFETY: a path and two timespecs on this stack.
        unsafe { sys::call4(libc::SYS_utimensat, self.fd as u64, path.address(), pairs, flags) }
    }

    fn set_owner(&self) -> i64 {
        let Some(path) = self.path() else { return EINVAL };
        let (uid, gid) = (self.operation.offset & 0xffff_ffff, self.operation.offset >> 32);
        let empty = if self.operation.path_len == 0 { libc::AT_EMPTY_PATH } else { 0 };
        let flags = (libc::AT_SYMLINK_NOFOLLOW | empty) as u64;
        let arguments = [self.fd as u64, path.address(), uid, gid, flags, 0];
        // SAFETY: the path is a C string on this stack.
        unsafe { sys::call(libc::SYS_fchownat, arguments) }
    }

    fn poll(&self) -> i64 {
        let mut item = libc::pollfd {
            fd: self.fd,
            events: (self.operation.flags & 0x7fff) as i16,
            revents: 0,
        };
        // SAFETY: one pollfd on this stack.
        let result = unsafe { sys::call4(libc::SYS_poll, (&raw mut item) as u64, 1, 0, 0) };
        if result < 0 { result } else { i64::from(item.revents.cast_unsigned()) }
    }
}
