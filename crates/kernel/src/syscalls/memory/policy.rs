//! NUMA: policies and nodes, of which the enclave has one.
//!
//! Source: mbind(2), `set_mempolicy(2)`, `get_mempolicy(2)`, `set_mempolicy_home_node(2)`,
//! `migrate_pages(2)`, `move_pages(2)`. Differs from Linux: a policy of shared memory is kept by the
//! mapping, not by what is mapped.

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;
use vfs::credentials::Capabilities;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory::policy::{ONLY_NODE, Policy};
use crate::memory::{Access, Prot, Space, page_up};

/// Nodes that Linux can be built for, the most that a mask may name.
const NODES_MAX: u64 = 1024;
/// Bits of the longest mask that is looked at: one page.
const BITS_MAX: u64 = 8 * PAGE;
/// Pages that `move_pages(2)` looks at in one go.
const CHUNK: u64 = 16;

/// `MPOL_MF_STRICT`, `_MOVE`, `_MOVE_ALL`.
const STRICT: u32 = 1;
const MOVE: u32 = 2;
const MOVE_ALL: u32 = 4;

/// A mask of nodes: the first word, and whether there are bits behind it.
struct Mask {
    nodes: u64,
    beyond: bool,
}

impl Mask {
    /// Reads a mask of `bits` minus one bits, as Linux counts them.
    fn read(cx: &Context<'_>, address: u64, bits: u64) -> Result<Self> {
        let bits = bits.wrapping_sub(1);
        if bits == 0 || address == 0 {
            return Ok(Self { nodes: 0, beyond: false });
        }
        if bits > BITS_MAX {
            return Err(Errno::EINVAL.because("a mask of more than a page"));
        }
        let words = bits.div_ceil(64);
        let mut mask = Self { nodes: 0, beyond: false };
        for index in (0..words).rev() {
            let mut word: u64 = cx.read(address.wrapping_add(8 * index))?;
            let left = bits - 64 * index;
            if left < 64 {
                word &= (1 << left) - 1;
            }
            if index * 64 >= NODES_MAX && word != 0 {
                return Err(Errno::EINVAL.because("a node that can't exist"));
            }
            if index == 0 {
                mask.nodes = word;
            } else {
                mask.beyond |= word != 0;
            }
        }
        Ok(mask)
    }
}

/// A range as these calls round it.
fn range(address: u64, len: u64) -> Result<core::ops::Range<u64>> {
    if !address.is_multiple_of(PAGE) {
        return Err(Errno::EINVAL.because("the address is not page-aligned"));
    }
    let len = page_up(len).unwrap_or(0);
    let end = address.checked_add(len).ok_or(Errno::EINVAL.because("the range overflows"))?;
    Ok(address..end)
}

/// EPERM for what only the privileged may do.
fn check_nice(cx: &Context<'_>, why: &'static str) -> Result<()> {
    let who = Arc::clone(&cx.process.credentials.lock());
    if who.has(Capabilities::SYS_NICE) { Ok(()) } else { Err(Errno::EPERM.because(why)) }
}

/// mbind(2): address, bytes, mode, mask, bits, flags.
pub(super) fn mbind(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (mode, flags) = (args.uint(2), args.uint(5));
    // A mode is looked at before the mask, the mask before the rest.
    Policy::check_mode(mode)?;
    let mask = Mask::read(cx, args.address(3), args.raw(4))?;
    if flags & !(STRICT | MOVE | MOVE_ALL) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    if flags & MOVE_ALL != 0 {
        check_nice(cx, "pages of others are moved for the privileged only")?;
    }
    let range = range(args.address(0), args.raw(1))?;
    if range.is_empty() {
        return Ok(0);
    }
    let policy = Policy::new(mode, mask.nodes, mask.beyond)?;
    cx.memory().bind(&range, policy).map(|()| 0)
}

/// `set_mempolicy(2)`: mode, mask, bits.
pub(super) fn set_mempolicy(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mode = args.uint(0);
    Policy::check_mode(mode)?;
    let mask = Mask::read(cx, args.address(1), args.raw(2))?;
    let policy = Policy::new(mode, mask.nodes, mask.beyond)?;
    cx.thread.attributes.change(|values| values.nodes = policy);
    Ok(0)
}

/// `get_mempolicy(2)`: where mode and mask go, bits, address, flags.
pub(super) fn get_mempolicy(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (mode_to, mask_to, bits) = (args.address(0), args.address(1), args.raw(2));
    if mask_to != 0 && bits == 0 {
        return Err(Errno::EINVAL.because("the mask has no room for the node"));
    }
    let (mode, nodes) = wanted(cx, args.address(3), args.raw(4))?;
    if mode_to != 0 {
        cx.write(mode_to, &mode)?;
    }
    if mask_to != 0 {
        write_mask(cx, mask_to, bits, nodes)?;
    }
    Ok(0)
}

/// Mode, or node, and nodes that `get_mempolicy(2)` tells.
fn wanted(cx: &Context<'_>, address: u64, flags: u64) -> Result<(u32, u64)> {
    const NODE: u64 = 1;
    const ADDRESS: u64 = 2;
    const ALLOWED: u64 = 4;
    if flags & !(NODE | ADDRESS | ALLOWED) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    if flags & ALLOWED != 0 {
        if flags != ALLOWED {
            return Err(Errno::EINVAL.because("the nodes that are allowed, and something else"));
        }
        return Ok((0, ONLY_NODE));
    }
    let own = cx.thread.attributes.get().nodes;
    let policy = if flags & ADDRESS != 0 {
        cx.memory().policy_at(address)?
    } else if address != 0 {
        return Err(Errno::EINVAL.because("an address that is not asked about"));
    } else {
        own
    };
    let nodes = policy.map_or(0, |policy| policy.nodes());
    match flags {
        NODE if policy.is_some_and(|policy| policy.takes_turns()) => Ok((0, nodes)),
        NODE => Err(Errno::EINVAL.because("the policy has no next node")),
        0 | ADDRESS => Ok((Policy::raw(policy), nodes)),
        _ => {
            let fault = Errno::EFAULT.because("no page can be had there");
            let page = address & !(PAGE - 1);
            cx.memory().populate_now(page, Access::Read).map_err(|_| fault)?;
            if !cx.memory().grants(page, Prot::READ) {
                return Err(fault);
            }
            Ok((0, nodes))
        }
    }
}

/// Writes a mask, as much of it as `bits` says, zeros behind the first word.
fn write_mask(cx: &Context<'_>, to: u64, bits: u64, nodes: u64) -> Result<()> {
    // Wrapping, as in Linux.
    let bytes = bits.wrapping_sub(1).wrapping_add(63) / 64 * 8;
    if bytes > 8 {
        if bytes > PAGE {
            return Err(Errno::EINVAL.because("a mask of more than a page"));
        }
        let len = usize::try_from(bytes - 8).unwrap_or(0);
        cx.write_bytes(to.wrapping_add(8), &alloc::vec![0; len])?;
    }
    if bytes > 0 { cx.write(to, &nodes) } else { Ok(()) }
}

/// `set_mempolicy_home_node(2)`: address, bytes, node, flags.
pub(super) fn set_home(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if !args.address(0).is_multiple_of(PAGE) || args.raw(3) != 0 || args.raw(2) != 0 {
        return Err(Errno::EINVAL.because("no page boundary, flags, or no such node"));
    }
    let range = range(args.address(0), args.raw(1))?;
    if range.is_empty() {
        return Ok(0);
    }
    cx.memory().set_home(&range).map(|()| 0)
}

/// The memory of a process by number; 0 is the caller's.
fn memory_of(cx: &Context<'_>, number: i32) -> Result<Arc<Space>> {
    if number == 0 {
        return Ok(Arc::clone(cx.memory()));
    }
    let thread = u32::try_from(number).ok().and_then(|tid| cx.kernel.registry.thread(tid));
    let thread = thread.ok_or(Errno::ESRCH.because("no thread has this number"))?;
    Ok(Arc::clone(&thread.process.memory))
}

/// `migrate_pages(2)`: process, bits, from, to. All pages are where they are to be.
pub(super) fn migrate_pages(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    Mask::read(cx, args.address(2), args.raw(1))?;
    let to = Mask::read(cx, args.address(3), args.raw(1))?;
    memory_of(cx, args.int(0))?;
    if to.beyond || to.nodes & !ONLY_NODE != 0 {
        check_nice(cx, "to nodes that the process may not use")?;
    }
    if to.nodes & ONLY_NODE == 0 {
        return Err(Errno::EINVAL.because("no node that is there"));
    }
    Ok(0)
}

/// `move_pages(2)`: process, how many, pages, nodes, where their state goes, flags.
pub(super) fn move_pages(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (count, pages, nodes, status) =
        (args.raw(1), args.address(2), args.address(3), args.address(4));
    let flags = args.uint(5);
    if flags & !(MOVE | MOVE_ALL) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    if flags & MOVE_ALL != 0 {
        check_nice(cx, "pages of others are moved for the privileged only")?;
    }
    let memory = memory_of(cx, args.int(0))?;
    let at = |base: u64, index: u64, size: u64| base.wrapping_add(index.wrapping_mul(size));
    let mut states = alloc::vec::Vec::new();
    for index in 0..count {
        let address: u64 = cx.read(at(pages, index, 8))?;
        if nodes != 0 {
            let node: i32 = cx.read(at(nodes, index, 4))?;
            if node != 0 {
                flush(cx, status, index, &mut states)?;
                return Err(Errno::ENODEV.because("no such node"));
            }
        }
        states.push(state_of(&memory, address));
        if states.len() as u64 == CHUNK {
            flush(cx, status, index + 1, &mut states)?;
        }
    }
    flush(cx, status, count, &mut states)?;
    Ok(0)
}

/// Writes the states of the pages before `end`.
fn flush(cx: &Context<'_>, to: u64, end: u64, states: &mut alloc::vec::Vec<i32>) -> Result<()> {
    let first = end - states.len() as u64;
    for (index, state) in (first..).zip(states.drain(..)) {
        cx.write(to.wrapping_add(index.wrapping_mul(4)), &state)?;
    }
    Ok(())
}

/// The node of a page, or a negative errno.
fn state_of(memory: &Space, address: u64) -> i32 {
    let page = address & !(PAGE - 1);
    let inside = memory.region().contains(&page);
    match inside.then(|| memory.resident(page, PAGE)) {
        Some(Ok(pages)) if pages.first() == Some(&1) => 0,
        Some(Ok(_)) => -i32::from(Errno::ENOENT.raw()),
        _ => -i32::from(Errno::EFAULT.raw()),
    }
}
