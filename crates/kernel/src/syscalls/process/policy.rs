//! NUMA memory policies: the enclave has one node, so that every policy on it is what happens anyway.
//!
//! Source: mbind(2), `set_mempolicy(2)`, `get_mempolicy(2)`.

use abi::Errno;
use abi::errno::Result;

use crate::arguments::Arguments;
use crate::context::Context;

/// `MPOL_WEIGHTED_INTERLEAVE`, the last mode.
const LAST_MODE: u32 = 6;
/// `MPOL_F_STATIC_NODES`, `_RELATIVE_NODES`, `_NUMA_BALANCING`.
const MODE_FLAGS: u32 = 0xe000;
/// The only node.
const NODE: u64 = 1;

/// Checks a mode and the nodes that it is for.
fn check(cx: &Context<'_>, mode: u32, mask: u64, bits: u64) -> Result<u64> {
    if mode & !MODE_FLAGS > LAST_MODE {
        return Err(Errno::EINVAL.because("an unknown policy"));
    }
    if mask != 0 && bits > 1 {
        let nodes: u64 = cx.read(mask)?;
        if nodes & !NODE != 0 {
            return Err(Errno::EINVAL.because("the enclave has node 0 only"));
        }
    }
    Ok(0)
}

/// mbind(2): address, bytes, mode, mask, bits, flags.
pub(super) fn mbind(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const STRICT_MOVE: u32 = 7;
    if !args.address(0).is_multiple_of(abi::layout::PAGE) || args.uint(5) & !STRICT_MOVE != 0 {
        return Err(Errno::EINVAL.because("not a page boundary, or unknown flags"));
    }
    check(cx, args.uint(2), args.address(3), args.raw(4))
}

/// `set_mempolicy(2)`: mode, mask, bits.
pub(super) fn set_mempolicy(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check(cx, args.uint(0), args.address(1), args.raw(2))
}

/// `get_mempolicy(2)`: mode, mask, bits, address, flags.
pub(super) fn get_mempolicy(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const MEMS_ALLOWED: u32 = 4;
    let flags = args.uint(4);
    if flags > 7 || flags & MEMS_ALLOWED != 0 && flags != MEMS_ALLOWED {
        return Err(Errno::EINVAL.because("unknown or contradicting flags"));
    }
    if args.address(0) != 0 {
        cx.write(args.address(0), &0_u32)?;
    }
    if args.address(1) != 0 {
        let allowed = if flags == MEMS_ALLOWED { NODE } else { 0 };
        let words = usize::try_from(args.raw(2).div_ceil(64).clamp(1, 16)).unwrap_or(1);
        cx.write(args.address(1), &allowed)?;
        for word in 1..words {
            cx.write(args.address(1) + 8 * word as u64, &0_u64)?;
        }
    }
    Ok(0)
}
