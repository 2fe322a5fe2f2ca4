//! Raw system calls: no errno in thread-local storage, no wrappers.

/// Makes a system call; the result is the kernel's, negative errno included.
///
/// # Safety
/// As the call itself demands of its arguments.
#[inline]
pub(crate) unsafe fn call(number: i64, arguments: [u64; 6]) -> i64 {
    let [a, b, c, d, e, f] = arguments;
    let result: i64;
    // SAFETY: the caller's promise; the kernel clobbers rcx and r11 only.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e, in("r9") f,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// A call with up to four arguments, the others zero.
///
/// # Safety
/// As [`call`].
#[inline]
pub(crate) unsafe fn call4(number: i64, a: u64, b: u64, c: u64, d: u64) -> i64 {
    // SAFETY: the caller's promise.
    unsafe { call(number, [a, b, c, d, 0, 0]) }
}

/// Writes all of a buffer; gives up at the first error.
///
/// # Safety
/// `[address, address + len)` is readable.
pub(crate) unsafe fn write_all(fd: i32, address: u64, len: u64) -> i64 {
    let mut done = 0;
    while done < len {
        // SAFETY: the caller's promise.
        let wrote = unsafe { call4(libc::SYS_write, fd as u64, address + done, len - done, 0) };
        if wrote == -i64::from(libc::EINTR) || wrote == -i64::from(libc::EAGAIN) {
            continue;
        }
        if wrote <= 0 {
            return wrote;
        }
        done += wrote.unsigned_abs();
    }
    0
}

/// Copies bytes without the vector registers, which hold the program's state.
///
/// # Safety
/// Both ranges are valid and do not overlap.
#[inline]
pub(crate) unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!("rep movsb", inout("rdi") to => _, inout("rsi") from => _,
            inout("rcx") len => _, options(nostack, preserves_flags));
    }
}
