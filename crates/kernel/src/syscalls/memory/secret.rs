//! `memfd_secret`.
//!
//! Source: `memfd_secret(2)`.

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;

use crate::arguments::Arguments;
use crate::context::Context;

/// `O_CLOEXEC`, the only flag.
const CLOEXEC: u32 = 0o2_000_000;

/// `memfd_secret(2)`: flags.
pub(super) fn memfd_secret(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.uint(0);
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL.because("memfd_secret knows O_CLOEXEC only"));
    }
    let owner = {
        let who = cx.process.credentials.lock();
        vfs::anonymous::Owner { uid: who.fsuid, gid: who.fsgid }
    };
    let on_exec = if flags & CLOEXEC != 0 { OnExec::Close } else { OnExec::Keep };
    cx.process.files.add(vfs::secret::secret(owner), on_exec).map(u64::from)
}
