//! Names of the machine and of its file systems.
//!
//! Source: setdomainname(2), sysfs(2), ustat(2).

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::procfs::FILE_SYSTEMS;

/// Bytes of a name of the machine at most.
const NAME_MAX: i32 = 64;

/// setdomainname(2): name, bytes.
pub(super) fn setdomainname(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if !cx.process.credentials.lock().has(Capabilities::SYS_ADMIN) {
        return Err(Errno::EPERM.because("needs CAP_SYS_ADMIN"));
    }
    let len = usize::try_from(args.int(1)).ok().filter(|_| args.int(1) <= NAME_MAX);
    let len = len.ok_or(Errno::EINVAL.because("the name is longer than 64 bytes"))?;
    let mut name = alloc::vec![0; len];
    cx.read_bytes(args.address(0), &mut name)?;
    *cx.kernel.domainname.lock() = name;
    Ok(0)
}

/// sysfs(2): which question, and what about; about types of file systems.
pub(super) fn sysfs(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    match args.int(0) {
        1 => {
            let name = cx.read_path(args.address(1))?;
            let index = FILE_SYSTEMS.iter().position(|known| known.as_bytes() == name);
            let index = index.ok_or(Errno::EINVAL.because("no such type of file system"))?;
            Ok(index as u64)
        }
        2 => {
            let name = FILE_SYSTEMS.get(args.uint(1) as usize);
            let name = name.ok_or(Errno::EINVAL.because("no such type of file system"))?;
            cx.write_bytes(args.address(2), name.as_bytes())?;
            cx.write_bytes(args.address(2).wrapping_add(name.len() as u64), &[0])?;
            Ok(0)
        }
        3 => Ok(FILE_SYSTEMS.len() as u64),
        _ => Err(Errno::EINVAL.because("an unknown question")),
    }
}

/// ustat(2): device number, `struct ustat`: blocks (4 bytes), inodes (8), two empty names.
pub(super) fn ustat(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let device = u64::from(args.uint(0));
    let mounts = cx.kernel.mounts.list();
    let known = mounts.iter().any(|mount| mount.root().node().volume().device == device);
    if !known {
        return Err(Errno::EINVAL.because("no file system is mounted from that device"));
    }
    let free = platform::budget::available() / 4096;
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&u32::try_from(free).unwrap_or(u32::MAX >> 1).to_le_bytes());
    bytes[8..16].copy_from_slice(&free.to_le_bytes());
    cx.write_bytes(args.address(1), &bytes)?;
    Ok(0)
}
