//! Address space: exactly what the plan says, at exactly its addresses.

use std::os::fd::RawFd;

use abi::host::mailbox;
use abi::layout::{USER_START, VCPU_GUARD, VCPU_STRIDE};
use abi::plan::{Boot, host_feature, wanted};

use crate::plan::Plan;
use crate::signals::Inherited;
use crate::{Outcome, sys, trace};

/// Permissions of a segment that may be written.
const WRITABLE: u32 = 2;
/// REG pages; TCS pages are measured and not mapped here.
const REGULAR: u32 = 2;

/// What was mapped.
pub(crate) struct Space {
    pub(crate) trusted_fd: RawFd,
    pub(crate) boot: *mut Boot,
    pub(crate) mailbox: u64,
    pub(crate) untrusted: u64,
    pub(crate) untrusted_len: u64,
    pub(crate) user_end: u64,
}

impl Space {
    /// Maps the enclave's range and the untrusted memory beside it.
    pub(crate) fn map(plan: &Plan, inherited: &Inherited) -> Outcome<Self> {
        let layout = plan.layout;
        let user_end = layout.user_end();
        reserve(USER_START, user_end - USER_START)?;
        let trusted_len = layout.size - user_end;
        let trusted_fd = memfd(c"adyton-trusted", trusted_len)?;
        let vcpus_len = u64::from(plan.header.vcpus) * VCPU_STRIDE;
        let parts = [
            (layout.arena(), layout.vcpus() - layout.arena()),
            (layout.vcpus(), vcpus_len),
            (layout.heap(), layout.heap_len()),
        ];
        for (address, len) in parts {
            shared(address, len, trusted_fd, address - user_end)?;
        }
        for index in 0..u64::from(plan.header.vcpus) {
            guard(layout.vcpus() + index * VCPU_STRIDE)?;
        }
        for segment in plan.segments.iter().filter(|segment| segment.page_type == REGULAR) {
            if segment.permissions & WRITABLE == 0 {
                let prot = segment.permissions as i32;
                fixed(
                    segment.address,
                    segment.len,
                    prot,
                    libc::MAP_PRIVATE,
                    plan.fd,
                    segment.offset,
                )?;
            } else {
                shared(segment.address, segment.len, trusted_fd, segment.address - user_end)?;
                read_into(plan.fd, segment.address, segment.len, segment.offset)?;
            }
        }
        let untrusted_len = plan.header.untrusted_len.clamp(1 << 20, 1 << 36);
        let untrusted_fd = memfd(c"adyton-untrusted", untrusted_len)?;
        let untrusted = anywhere(untrusted_len, untrusted_fd)?;
        let head = Head::new(plan, inherited)?;
        Ok(Self {
            trusted_fd,
            boot: head.boot,
            mailbox: head.mailbox,
            untrusted,
            untrusted_len,
            user_end,
        })
    }

    /// Fills the boot record in; the rest is the plan's.
    pub(crate) fn fill_boot(&self, plan: &Plan, tsc_hz: u64, features: u64, host_entry: u64) {
        // SAFETY: the page was mapped for it and nobody else has it yet.
        let boot = unsafe { &mut *self.boot };
        boot.untrusted = self.untrusted;
        boot.untrusted_len = self.untrusted_len;
        boot.host_entry = host_entry;
        boot.mailbox = self.mailbox;
        boot.vcpus = plan.header.vcpus;
        boot.flags = plan.header.flags;
        boot.exit_cost = plan.header.exit_cost;
        boot.memory_limit = plan.header.memory_limit;
        boot.features = features;
        boot.tsc_hz = tsc_hz;
        let tracing = if trace::is_wanted() { wanted::TRACE } else { 0 };
        let stat = if plan.header.stat_fd > 0 { wanted::STAT } else { 0 };
        // SAFETY: a question about a descriptor.
        let notes = if unsafe { libc::isatty(2) } == 1 { wanted::NOTES } else { 0 };
        boot.wanted = tracing | stat | notes;
        // SAFETY: asks for a number.
        boot.host_pid = u64::from(unsafe { libc::getpid() }.unsigned_abs());
    }
}

/// The pages that the entry reads first: boot record, mailbox, boot blob.
struct Head {
    boot: *mut Boot,
    mailbox: u64,
}

impl Head {
    fn new(plan: &Plan, inherited: &Inherited) -> Outcome<Self> {
        let signals = inherited.item();
        let blob_len = plan.blob.len() + signals.len();
        let len = (4096 + mailbox::LEN + blob_len).next_multiple_of(4096) as u64;
        let fd = memfd(c"adyton-boot", len)?;
        let start = anywhere(len, fd)?;
        let blob = start + 4096 + mailbox::LEN as u64;
        // SAFETY: the mapping is long enough, new, and nobody else's.
        unsafe {
            sys::copy(blob as *mut u8, plan.blob.as_ptr(), plan.blob.len());
        }
        // SAFETY: as above, behind the plan's own items.
        unsafe {
            sys::copy(
                (blob as usize + plan.blob.len()) as *mut u8,
                signals.as_ptr(),
                signals.len(),
            );
        }
        let boot = start as *mut Boot;
        // SAFETY: the first page is ours and zero.
        let record = unsafe { &mut *boot };
        record.blob = blob;
        record.blob_len = blob_len as u64;
        Ok(Self { boot, mailbox: start + 4096 })
    }
}

/// Terminal bits of the standard streams, for the boot record.
pub(crate) fn terminals() -> u64 {
    // SAFETY: asks about descriptors.
    (0..3)
        .filter(|fd| unsafe { libc::isatty(*fd) } == 1)
        .map(|fd| host_feature::TERMINAL << fd)
        .sum()
}

fn memfd(name: &std::ffi::CStr, len: u64) -> Outcome<RawFd> {
    // SAFETY: `name` is a C string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    // SAFETY: sets the length of a descriptor of ours, if there is one.
    if fd < 0 || unsafe { libc::ftruncate(fd, i64::try_from(len).unwrap_or(i64::MAX)) } != 0 {
        let reason = std::io::Error::last_os_error();
        return Err(format!("can't make {len} bytes of shared memory: {reason}; check ulimit -f"));
    }
    Ok(fd)
}

fn reserve(address: u64, len: u64) -> Outcome<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    fixed(address, len, libc::PROT_NONE, flags, -1, 0)
}

fn shared(address: u64, len: u64, fd: RawFd, offset: u64) -> Outcome<()> {
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    fixed(address, len, prot, libc::MAP_SHARED | libc::MAP_NORESERVE, fd, offset)
}

/// Takes the pages below a vCPU's LibOS stack away: a stack that grows too far shall fault.
fn guard(block: u64) -> Outcome<()> {
    let start = (block + VCPU_GUARD.start) as *mut _;
    let len = (VCPU_GUARD.end - VCPU_GUARD.start) as usize;
    // SAFETY: pages of the vCPU area, which nobody uses yet.
    if unsafe { libc::mprotect(start, len, libc::PROT_NONE) } == 0 {
        return Ok(());
    }
    let reason = std::io::Error::last_os_error();
    Err(format!("can't guard a stack of the LibOS: {reason}; see sysctl vm.max_map_count"))
}

fn fixed(address: u64, len: u64, prot: i32, flags: i32, fd: RawFd, offset: u64) -> Outcome<()> {
    let flags = flags | libc::MAP_FIXED_NOREPLACE;
    let offset = i64::try_from(offset).map_err(|_| "an offset is out of range")?;
    let len_bytes = usize::try_from(len).map_err(|_| "a length is out of range")?;
    // SAFETY: NOREPLACE: nothing that exists is touched.
    let got = unsafe { libc::mmap(address as *mut _, len_bytes, prot, flags, fd, offset) };
    if got as u64 == address {
        return Ok(());
    }
    let reason = std::io::Error::last_os_error();
    let hint = match reason.raw_os_error() {
        Some(libc::ENOMEM) => {
            "the address space is limited: raise `ulimit -v`, or check overcommit_memory"
        }
        Some(libc::EEXIST) => {
            "something of the host lies there: unlimited stacks move it; set `ulimit -s 8192`"
        }
        _ => "see `adyton info`",
    };
    Err(format!("can't map the enclave's range at {address:#x}, {len:#x} bytes: {reason}; {hint}"))
}

fn anywhere(len: u64, fd: RawFd) -> Outcome<u64> {
    let len = usize::try_from(len).map_err(|_| "a length is out of range")?;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the kernel picks a free place.
    let got = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, libc::MAP_SHARED, fd, 0) };
    if got == libc::MAP_FAILED {
        let reason = std::io::Error::last_os_error();
        return Err(format!("can't map {len} bytes beside the enclave: {reason}; see `ulimit -v`"));
    }
    Ok(got as u64)
}

fn read_into(fd: RawFd, address: u64, len: u64, offset: u64) -> Outcome<()> {
    let mut done = 0;
    while done < len {
        // SAFETY: the range was mapped writable a moment ago.
        let got = unsafe {
            sys::call4(libc::SYS_pread64, fd as u64, address + done, len - done, offset + done)
        };
        if got <= 0 {
            return Err("the plan can't be read; reinstall adyton".to_owned());
        }
        done += got.unsigned_abs();
    }
    Ok(())
}
