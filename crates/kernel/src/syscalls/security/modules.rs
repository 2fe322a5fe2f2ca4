//! The calls that tell which security modules there are: one, that of capabilities.

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;

/// `LSM_ID_CAPABILITY`.
const CAPABILITY: u64 = 100;

fn none() -> abi::errno::Error {
    Errno::EOPNOTSUPP.because("no security module has attributes of a process")
}

/// `lsm_list_modules(2)`: array of ids, its size, flags. Gives their number.
pub(super) fn lsm_list_modules(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(2) != 0 {
        return Err(Errno::EINVAL.because("it has no flags"));
    }
    let room: u32 = cx.read(args.address(1))?;
    let needed = 8_u32;
    cx.write(args.address(1), &needed)?;
    if room < needed {
        return Err(Errno::E2BIG.because("the array is too short for the ids"));
    }
    cx.write(args.address(0), &CAPABILITY)?;
    Ok(1)
}

/// `lsm_get_self_attr(2)`: attribute, context, its size, flags.
pub(super) fn lsm_get_self_attr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const SINGLE: u32 = 1;
    if args.uint(0) == 0 {
        return Err(Errno::EINVAL.because("an attribute without a number"));
    }
    if args.address(2) == 0 {
        return Err(Errno::EINVAL.because("no place for the size"));
    }
    let _: u32 = cx.read(args.address(2))?;
    if args.uint(3) & !SINGLE != 0 {
        return Err(Errno::EINVAL.because("an unknown flag"));
    }
    if args.uint(3) == SINGLE {
        if args.address(1) == 0 {
            return Err(Errno::EINVAL.because("no module is named"));
        }
        let id: u64 = cx.read(args.address(1))?;
        if id == 0 {
            return Err(Errno::EINVAL.because("no module is named"));
        }
    }
    Err(none())
}

/// `lsm_set_self_attr(2)`: attribute, context, its size, flags.
pub(super) fn lsm_set_self_attr(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let size = args.uint(2);
    if args.uint(3) != 0 || size < 32 {
        return Err(Errno::EINVAL.because("an unknown flag, or a context that is too short"));
    }
    if size > 4096 {
        return Err(Errno::E2BIG.because("a context of more than a page"));
    }
    let [_, _, len, context]: [u64; 4] = cx.read(args.address(1))?;
    if len < 32 || len > u64::from(size) || context > len - 32 {
        return Err(Errno::EINVAL.because("the context's lengths contradict each other"));
    }
    Err(none())
}
