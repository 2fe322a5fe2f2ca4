//! Calls that are refused for reasons which depend on their arguments.
//!
//! Source: `modify_ldt(2)`, iopl(2), ioperm(2), bpf(2), `perf_event_open(2)`, quotactl(2), setns(2).

use abi::Errno;
use abi::errno::Result;
use vfs::node::Kind;
use vfs::object::Status;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::files::base::{AT_FDCWD, Named, find};

/// Kinds of quota: of users, groups, projects.
const QUOTAS: u32 = 3;

/// `modify_ldt(2)`: the table is empty and stays so, as where Linux is built without it.
///
/// Gives what stands in rax: Linux extends the negated errno of this one call without its sign.
pub(super) fn modify_ldt(cx: &Context<'_>, args: &Arguments) -> u64 {
    change_segments(cx, args).unwrap_or_else(|errno| {
        let negated = errno.because("").to_return_value();
        negated.cast_unsigned() & u64::from(u32::MAX)
    })
}

fn change_segments(cx: &Context<'_>, args: &Arguments) -> Result<u64, Errno> {
    /// Bytes of the default table, and entries of one that is set.
    const DEFAULT: usize = 128;
    const ENTRIES: u32 = 8192;
    const CONTENTS: u32 = 3 << 1;
    const NOT_PRESENT: u32 = 1 << 5;
    let fault = |error: abi::Error| error.errno;
    match args.int(0) {
        0 => Ok(0),
        2 => {
            let len = args.size(2).min(DEFAULT);
            cx.write_bytes(args.address(1), &[0; DEFAULT][..len]).map_err(fault)?;
            Ok(len as u64)
        }
        function @ (1 | 0x11) => {
            if args.size(2) != 16 {
                return Err(Errno::EINVAL);
            }
            let [entry, _, _, flags]: [u32; 4] = cx.read(args.address(1)).map_err(fault)?;
            let gate = flags & CONTENTS == CONTENTS;
            if entry >= ENTRIES || gate && (function == 1 || flags & NOT_PRESENT == 0) {
                return Err(Errno::EINVAL);
            }
            Err(Errno::ENOSYS)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// iopl(2).
pub(super) fn iopl(args: &Arguments) -> Result<u64> {
    match args.uint(0) {
        0 => Ok(0),
        1..=3 => Err(Errno::EPERM.because("programs have no way to the machine's ports")),
        _ => Err(Errno::EINVAL.because("there are four levels")),
    }
}

/// ioperm(2): first port, how many, on or off.
pub(super) fn ioperm(args: &Arguments) -> Result<u64> {
    const PORTS: u64 = 65_536;
    let (first, count) = (args.raw(0), args.raw(1));
    if count == 0 || first.checked_add(count).is_none_or(|end| end > PORTS) {
        return Err(Errno::EINVAL.because("not a range of ports"));
    }
    if args.int(2) == 0 {
        return Ok(0);
    }
    Err(Errno::EPERM.because("programs have no way to the machine's ports"))
}

/// bpf(2): command, attributes, their bytes.
pub(super) fn bpf(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    /// Commands of Linux 6.18, and bytes of its attributes.
    const COMMANDS: u32 = 38;
    const KNOWN: usize = 168;
    read_versioned(cx, args.address(1), args.size(2) & 0xffff_ffff, KNOWN)?;
    if args.uint(0) >= COMMANDS {
        return Err(Errno::EINVAL.because("an unknown command"));
    }
    Err(Errno::EPERM.because("the machine's kernel takes no programs from an enclave"))
}

/// Looks at a structure that has grown with versions of Linux.
///
/// # Errors
/// E2BIG when something stands behind what is known, EFAULT.
fn read_versioned(cx: &Context<'_>, address: u64, len: usize, known: usize) -> Result<()> {
    if len > 4096 {
        return Err(Errno::E2BIG.because("the structure exceeds a page"));
    }
    let mut bytes = alloc::vec![0; len];
    cx.read_bytes(address, &mut bytes)?;
    if bytes.iter().skip(known).any(|byte| *byte != 0) {
        return Err(Errno::E2BIG.because("something unknown stands behind the structure"));
    }
    Ok(())
}

/// `perf_event_open(2)`: attributes, process, processor, group, flags.
pub(super) fn perf_event_open(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const FLAGS: u64 = 15;
    /// Bytes of the attributes' first version, and of the present one.
    const FIRST: u32 = 64;
    const NOW: u32 = 144;
    if args.raw(4) & !FLAGS != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    let [_, size]: [u32; 2] = cx.read(args.address(0))?;
    let size = if size == 0 { FIRST } else { size };
    if !(FIRST..=4096).contains(&size) {
        cx.write(args.address(0).wrapping_add(4), &NOW)?;
        return Err(Errno::E2BIG.because("no version's size"));
    }
    read_versioned(cx, args.address(0), size as usize, NOW as usize)?;
    Err(Errno::EACCES.because("the machine's counters are not for enclaves"))
}

/// quotactl(2): command, device, identity, address.
pub(super) async fn quotactl(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    /// `Q_SYNC`, which needs no device: there are no quotas to write.
    const SYNC: u32 = 0x80_0001;
    let command = args.uint(0);
    check_kind(command)?;
    if args.address(1) == 0 {
        return if command >> 8 == SYNC {
            Ok(0)
        } else {
            Err(Errno::ENODEV.because("no device is named"))
        };
    }
    let path = cx.read_path(args.address(1))?;
    let (named, _) = find(cx, AT_FDCWD, &path, 0).await?;
    match named {
        Named::Place(place) if place.node().kind() == Kind::Block => {
            Err(Errno::ENODEV.because("no file system lies on that device"))
        }
        _ => Err(Errno::ENOTBLK.because("quotas are those of block devices")),
    }
}

/// `quotactl_fd(2)`: descriptor, command, identity, address.
pub(super) fn quotactl_fd(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.process.files.get(args.fd(0))?;
    check_kind(args.uint(1))?;
    Err(Errno::ENOSYS.because("the file system keeps no quotas"))
}

fn check_kind(command: u32) -> Result<()> {
    if command & 0xff >= QUOTAS {
        return Err(Errno::EINVAL.because("quotas are those of users, groups and projects"));
    }
    Ok(())
}

/// setns(2): descriptor, kinds of namespaces.
pub(super) fn setns(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let file = cx.process.files.get(args.fd(0))?;
    if file.status().contains(Status::PATH) {
        return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
    }
    Err(Errno::EINVAL.because("the descriptor is no namespace's: an enclave has one of each kind"))
}
