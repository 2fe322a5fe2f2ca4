//! clone(2) and clone3(2): new threads.
//!
//! New processes are not made yet: a call without CLONE_THREAD is refused with ENOSYS, which says so.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use platform::user;
use vfs::credentials::Capabilities;
use vfs::descriptor::OnExec;
use zerocopy::{FromBytes, IntoBytes};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::limits::Resource;
use crate::process::registry::NUMBERS;
use crate::process::{Thread, pidfd, run};
use crate::signal::ThreadSignals;

bitflags::bitflags! {
    /// Flags of clone(2) that threads use.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u64 {
        const VM = 0x100;
        const FS = 0x200;
        const FILES = 0x400;
        const SIGHAND = 0x800;
        const PIDFD = 0x1000;
        const PTRACE = 0x2000;
        const VFORK = 0x4000;
        const PARENT = 0x8000;
        const THREAD = 0x1_0000;
        const NEWNS = 0x2_0000;
        const SYSVSEM = 0x4_0000;
        const SETTLS = 0x8_0000;
        const PARENT_SETTID = 0x10_0000;
        const CHILD_CLEARTID = 0x20_0000;
        const DETACHED = 0x40_0000;
        const UNTRACED = 0x80_0000;
        const CHILD_SETTID = 0x100_0000;
        const NEWCGROUP = 0x200_0000;
        const NEWUTS = 0x400_0000;
        const NEWIPC = 0x800_0000;
        const NEWUSER = 0x1000_0000;
        const NEWPID = 0x2000_0000;
        const NEWNET = 0x4000_0000;
        const IO = 0x8000_0000;
        const CLEAR_SIGHAND = 0x1_0000_0000;
        const INTO_CGROUP = 0x2_0000_0000;
    }
}

/// Bits of the flags that hold the exit signal in clone(2).
const EXIT_SIGNAL: u64 = 0xff;
/// The most numbers of `set_tid`, one for each namespace.
const TIDS_MAX: u64 = 32;
/// The shortest `struct clone_args`.
const ARGS_MIN: usize = 64;

/// `struct clone_args`, as far as Linux 6.18 knows it.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// clone(2): flags, stack, `parent_tid`, `child_tid`, tls.
pub(crate) fn clone(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    let flags = args.raw(0);
    let wanted = CloneArgs {
        flags: flags & 0xffff_ffff & !EXIT_SIGNAL,
        exit_signal: flags & EXIT_SIGNAL,
        stack: args.address(1),
        parent_tid: args.address(2),
        pidfd: args.address(2),
        child_tid: args.address(3),
        tls: args.raw(4),
        ..CloneArgs::default()
    };
    if flags & u64::from(u32::MAX) & (Flags::PIDFD | Flags::PARENT_SETTID).bits()
        == (Flags::PIDFD | Flags::PARENT_SETTID).bits()
    {
        return Err(Errno::EINVAL.because("both want the same place"));
    }
    make(cx, &wanted, None)
}

/// clone3(2): `struct clone_args` and its size.
pub(crate) fn clone3(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    let (address, size) = (args.address(0), args.size(1));
    if size < ARGS_MIN {
        return Err(Errno::EINVAL.because("clone_args is too short"));
    }
    if size > 4096 {
        return Err(Errno::E2BIG.because("clone_args is longer than a page"));
    }
    let mut wanted = CloneArgs::default();
    let known = size.min(size_of::<CloneArgs>());
    cx.read_bytes(address, &mut wanted.as_mut_bytes()[..known])?;
    for at in known..size {
        if cx.read::<u8>(address + at as u64)? != 0 {
            return Err(Errno::E2BIG.because("clone_args has fields that are not known"));
        }
    }
    check_args(&wanted)?;
    let number = chosen_number(cx, &wanted)?;
    wanted.stack = wanted.stack.wrapping_add(wanted.stack_size);
    make(cx, &wanted, number)
}

/// What clone3(2) asks of its structure.
fn check_args(wanted: &CloneArgs) -> Result<()> {
    let flags = Flags::from_bits_retain(wanted.flags);
    if flags.contains(Flags::DETACHED) || flags.contains(Flags::SIGHAND | Flags::CLEAR_SIGHAND) {
        return Err(Errno::EINVAL.because("flags of clone(2) only, or that contradict each other"));
    }
    if (wanted.stack == 0) != (wanted.stack_size == 0) {
        return Err(Errno::EINVAL.because("stack and stack_size must both be given"));
    }
    let size = usize::try_from(wanted.stack_size).unwrap_or(usize::MAX);
    if !user::is_below_end(wanted.stack, size) {
        return Err(Errno::EINVAL.because("the stack lies outside user memory"));
    }
    if wanted.exit_signal > 64
        || wanted.exit_signal != 0 && flags.intersects(Flags::THREAD | Flags::PARENT)
    {
        return Err(Errno::EINVAL.because("no such exit signal, or one for a thread"));
    }
    if wanted.set_tid_size > TIDS_MAX || (wanted.set_tid == 0) != (wanted.set_tid_size == 0) {
        return Err(Errno::EINVAL.because("set_tid and set_tid_size must both be given"));
    }
    Ok(())
}

/// The number that a program wants for a new thread, if it wants one.
fn chosen_number(cx: &Context<'_>, wanted: &CloneArgs) -> Result<Option<u32>> {
    if wanted.set_tid == 0 {
        return Ok(None);
    }
    let numbers: Vec<i32> =
        cx.read_vec(wanted.set_tid, usize::try_from(wanted.set_tid_size).unwrap_or(0))?;
    let known = |number: &i32| u32::try_from(*number).ok().filter(|n| (1..NUMBERS).contains(n));
    let [number] = numbers[..] else {
        return Err(Errno::EINVAL.because("there is one namespace of numbers only"));
    };
    let number = known(&number).ok_or(Errno::EINVAL.because("no thread can have this number"))?;
    let who = Arc::clone(&cx.process.credentials.lock());
    if !who.has(Capabilities::SYS_ADMIN) && !who.has(Capabilities::CHECKPOINT_RESTORE) {
        return Err(Errno::EPERM.because("choosing a number needs CAP_CHECKPOINT_RESTORE"));
    }
    Ok(Some(number))
}

fn make(cx: &mut Context<'_>, wanted: &CloneArgs, number: Option<u32>) -> Result<u64> {
    let flags = Flags::from_bits(wanted.flags).ok_or(Errno::EINVAL.because("an unknown flag"))?;
    check(flags, wanted)?;
    check_number(cx)?;
    let registry = &cx.kernel.registry;
    let tid = match number {
        Some(number) if registry.is_taken(number) => {
            return Err(Errno::EEXIST.because("another thread has this number"));
        }
        Some(number) => number,
        None => registry.allocate().ok_or(Errno::EAGAIN.because("no thread id is free"))?,
    };
    let mut context = Box::new(cx.registers.fork());
    context.registers.rax = 0;
    if wanted.stack != 0 {
        context.registers.rsp = wanted.stack;
    }
    if flags.contains(Flags::SETTLS) {
        context.set_fs_base(wanted.tls);
    }
    let tid_bytes = tid.to_le_bytes();
    if flags.contains(Flags::PARENT_SETTID) {
        // Linux makes the thread even when this word can't be written.
        let _ = cx.write_bytes(wanted.parent_tid, &tid_bytes);
    }
    if flags.contains(Flags::CHILD_SETTID) {
        let _ = cx.write_bytes(wanted.child_tid, &tid_bytes);
    }
    let name = *cx.thread.name.lock();
    let signals = ThreadSignals::new(cx.thread.signals.blocked());
    let thread = Thread::new(tid, Arc::clone(cx.process), signals, name);
    thread.attributes.inherit(&cx.thread.attributes);
    if flags.contains(Flags::CHILD_CLEARTID) {
        thread.clear_child_tid.store(wanted.child_tid, Ordering::Relaxed);
    }
    {
        let mut threads = cx.process.threads.lock();
        if cx.process.ending.load(Ordering::SeqCst) || cx.thread.ending.load(Ordering::SeqCst) {
            return Err(Errno::EAGAIN.because("the process ends"));
        }
        // Under the lock, so that a filter for all threads misses none.
        thread.seccomp.set(cx.thread.seccomp.get());
        if cx.thread.attributes.get().no_new_privileges {
            thread.attributes.change(|values| values.no_new_privileges = true);
        }
        threads.insert(tid, Arc::clone(&thread));
    }
    if flags.contains(Flags::PIDFD)
        && let Err(error) = add_pidfd(cx, tid, wanted.pidfd)
    {
        cx.process.threads.lock().remove(&tid);
        return Err(error);
    }
    cx.kernel.registry.add_thread(&thread);
    run::spawn(cx.kernel, &thread, context);
    Ok(tid.into())
}

/// Opens a descriptor of the new thread, and writes it where the program wants it.
fn add_pidfd(cx: &Context<'_>, tid: u32, address: u64) -> Result<()> {
    let file = pidfd::open(cx.process, tid, pidfd::THREAD)?;
    let fd = cx.process.files.add(file, OnExec::Close)?;
    cx.write(address, &fd).inspect_err(|_| {
        drop(cx.process.files.remove(fd.cast_signed()));
    })
}

/// `RLIMIT_NPROC`, which binds neither root nor who may go beyond limits.
fn check_number(cx: &Context<'_>) -> Result<()> {
    let who = Arc::clone(&cx.process.credentials.lock());
    let limit = cx.process.limits.soft(Resource::Processes);
    let running = || cx.process.threads.lock().len() as u64;
    if who.uid == 0 || running() < limit {
        return Ok(());
    }
    if who.has(Capabilities::SYS_RESOURCE) || who.has(Capabilities::SYS_ADMIN) {
        return Ok(());
    }
    Err(Errno::EAGAIN.because("RLIMIT_NPROC threads are running"))
}

fn check(flags: Flags, wanted: &CloneArgs) -> Result<()> {
    let threads = Flags::VM | Flags::SIGHAND | Flags::THREAD;
    if flags.contains(Flags::THREAD) && !flags.contains(Flags::SIGHAND)
        || flags.contains(Flags::SIGHAND) && !flags.contains(Flags::VM)
        || flags.contains(Flags::FS | Flags::NEWNS)
        || flags.contains(Flags::FS | Flags::NEWUSER)
        || flags.contains(Flags::PIDFD | Flags::DETACHED)
    {
        return Err(Errno::EINVAL.because("the flags contradict each other"));
    }
    if !flags.contains(threads | Flags::FS | Flags::FILES) {
        return Err(Errno::ENOSYS.because("new processes are not supported yet, only threads"));
    }
    let allowed = threads
        | Flags::FS
        | Flags::FILES
        | Flags::SYSVSEM
        | Flags::SETTLS
        | Flags::PARENT_SETTID
        | Flags::CHILD_CLEARTID
        | Flags::CHILD_SETTID
        | Flags::PIDFD
        | Flags::DETACHED
        | Flags::IO
        | Flags::PTRACE
        | Flags::UNTRACED
        | Flags::PARENT;
    if !allowed.contains(flags) {
        return Err(
            Errno::EINVAL.because("a flag that threads can't have, or that is not supported")
        );
    }
    if flags.contains(Flags::SETTLS) && wanted.tls >= user::end() {
        return Err(Errno::EPERM.because("the TLS address lies outside user memory"));
    }
    Ok(())
}
