//! exit(2), `exit_group(2)`, `arch_prctl(2)`.

use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::user;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::exit::{self, Status};

/// exit(2): ends the calling thread.
pub(crate) fn exit(cx: &mut Context<'_>, args: &Arguments) -> u64 {
    let last = cx.process.threads.lock().len() == 1;
    if last {
        cx.process.status.lock().get_or_insert(Status::Exited(code(args)));
    }
    cx.thread.exit_status.store(u32::from(code(args)) << 8, Ordering::Relaxed);
    cx.thread.ending.store(true, Ordering::Relaxed);
    0
}

/// `exit_group(2)`: ends the process.
pub(crate) fn exit_group(cx: &mut Context<'_>, args: &Arguments) -> u64 {
    exit::end_process(cx, Status::Exited(code(args)));
    0
}

fn code(args: &Arguments) -> u8 {
    args.uint(0).to_le_bytes()[0]
}

/// `arch_prctl(2)`: bases of FS and GS.
pub(crate) fn arch_prctl(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    const SET_GS: u32 = 0x1001;
    const SET_FS: u32 = 0x1002;
    const GET_FS: u32 = 0x1003;
    const GET_GS: u32 = 0x1004;
    const GET_CPUID: u32 = 0x1011;
    const SET_CPUID: u32 = 0x1012;
    let address = args.address(1);
    match args.uint(0) {
        SET_FS | SET_GS if address >= user::end() => {
            Err(Errno::EPERM.because("the base lies outside user memory"))
        }
        SET_FS => {
            cx.registers.set_fs_base(address);
            Ok(0)
        }
        SET_GS => {
            cx.registers.gs_base = address;
            Ok(0)
        }
        GET_FS => {
            let base = cx.registers.current_fs_base();
            cx.write(address, &base).map(|()| 0)
        }
        GET_GS => cx.write(address, &cx.registers.gs_base).map(|()| 0),
        GET_CPUID => Ok(1),
        SET_CPUID => Err(Errno::ENODEV.because("CPUID can't be made to fault")),
        _ => Err(Errno::EINVAL.because("shadow stacks, AMX permissions and the like are refused")),
    }
}
