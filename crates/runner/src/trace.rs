//! Where trace records go: a decoder that is started at the first record.
//!
//! Most runs have no record, and a decoder is an interpreter: nothing of it costs a start anything.
//! Called on vCPU threads: raw system calls only; what they need is made ready before. Only the
//! attendant may make a process ([`serve`]), since the vCPU threads' filter refuses it.

use std::ffi::CString;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use abi::plan::tag;

use crate::plan::Plan;
use crate::{Outcome, attendant, sys};

/// There is nobody to write to.
const NOBODY: i32 = -1;

/// The pipe to the decoder.
static SINK: AtomicI32 = AtomicI32::new(NOBODY);
/// The decoder's process; 0 before it is started, -1 when there is none.
static DECODER: AtomicI32 = AtomicI32::new(0);
/// Not 0 while a vCPU waits for the decoder.
static WANTED: AtomicU32 = AtomicU32::new(0);
static COMMAND: OnceLock<Command> = OnceLock::new();
static LOCK: AtomicU32 = AtomicU32::new(0);

/// The decoder's words and environment, ready for execve(2).
struct Command {
    words: Vec<*const libc::c_char>,
    environment: Vec<*const libc::c_char>,
}

// SAFETY: the pointers are to strings that are never freed and never change.
unsafe impl Send for Command {}
// SAFETY: as above.
unsafe impl Sync for Command {}

impl Command {
    fn of(plan: &Plan) -> Outcome<Option<Self>> {
        let words = pointers(&plan.items(tag::DECODER))?;
        let environment = pointers(&plan.items(tag::DECODER_ENVIRONMENT))?;
        // The list ends with a null pointer.
        Ok((words.len() > 1).then_some(Self { words, environment }))
    }
}

fn pointers(items: &[&[u8]]) -> Outcome<Vec<*const libc::c_char>> {
    let mut list = Vec::with_capacity(items.len() + 1);
    for item in items {
        let word = CString::new(*item).map_err(|_| "a word of the decoder's holds a NUL byte")?;
        list.push(word.into_raw().cast_const());
    }
    list.push(std::ptr::null());
    Ok(list)
}

/// Remembers where records go.
pub(crate) fn init(plan: &Plan) -> Outcome<()> {
    if let Some(command) = Command::of(plan)? {
        let _ = COMMAND.set(command);
    }
    Ok(())
}

/// Whether somebody takes records.
pub(crate) fn is_wanted() -> bool {
    COMMAND.get().is_some()
}

/// Writes whole records; writers take turns, so that no record is torn.
pub(crate) fn write(address: u64, len: u64) -> i64 {
    lock();
    if SINK.load(Ordering::Relaxed) < 0 && DECODER.load(Ordering::Relaxed) == 0 {
        ask_for_decoder();
    }
    let sink = SINK.load(Ordering::Relaxed);
    let result = if sink < 0 {
        -i64::from(libc::EBADF)
    } else {
        // SAFETY: the enclave's bounce buffer; a bad address is EFAULT.
        unsafe { sys::write_all(sink, address, len) }
    };
    unlock();
    result
}

/// Ends the stream of records, and waits until the decoder has written the last of them.
pub(crate) fn finish() {
    lock();
    let sink = SINK.swap(NOBODY, Ordering::Relaxed);
    let decoder = DECODER.swap(-1, Ordering::Relaxed);
    if sink >= 0 {
        // SAFETY: a descriptor that nobody else uses.
        unsafe { sys::call4(libc::SYS_close, sink.unsigned_abs().into(), 0, 0, 0) };
    }
    if decoder > 0 {
        // SAFETY: waits for a child of ours; null pointers ask for nothing.
        while unsafe { sys::call4(libc::SYS_wait4, decoder.unsigned_abs().into(), 0, 0, 0) }
            == -i64::from(libc::EINTR)
        {}
    }
    unlock();
}

/// Has the attendant start the decoder, and waits until it tried.
fn ask_for_decoder() {
    if COMMAND.get().is_none() {
        return;
    }
    WANTED.store(1, Ordering::Release);
    attendant::tick();
    while WANTED.load(Ordering::Acquire) != 0 {
        // SAFETY: a futex wait on a word of ours.
        unsafe {
            sys::call4(libc::SYS_futex, WANTED.as_ptr() as u64, libc::FUTEX_WAIT as u64, 1, 0)
        };
    }
}

/// Starts the decoder if a vCPU asked for it. Called on the attendant's thread.
pub(crate) fn serve() {
    if WANTED.load(Ordering::Acquire) == 0 {
        return;
    }
    start();
    WANTED.store(0, Ordering::Release);
    // SAFETY: a futex wake on a word of ours.
    unsafe { sys::call4(libc::SYS_futex, WANTED.as_ptr() as u64, libc::FUTEX_WAKE as u64, 1, 0) };
}

fn say(line: &[u8]) {
    // SAFETY: bytes of ours.
    unsafe { sys::write_all(2, line.as_ptr() as u64, line.len() as u64) };
}

/// Starts the decoder; without it, records go nowhere.
fn start() {
    let Some(command) = COMMAND.get() else { return };
    let mut ends = [0_i32; 2];
    let flags = libc::O_CLOEXEC as u64;
    // SAFETY: room for two descriptors.
    if unsafe { sys::call4(libc::SYS_pipe2, (&raw mut ends) as u64, flags, 0, 0) } != 0 {
        DECODER.store(-1, Ordering::Relaxed);
        return say(b"adyton: no pipe to the decoder of traces and crashes; see `ulimit -n`\n");
    }
    let [source, sink] = ends.map(|end| u64::from(end.unsigned_abs()));
    // SAFETY: the child only makes system calls until it executes the decoder or ends.
    let child = unsafe { sys::call4(libc::SYS_fork, 0, 0, 0, 0) };
    if child == 0 {
        become_decoder(command, source);
    }
    // SAFETY: a descriptor of ours.
    unsafe { sys::call4(libc::SYS_close, source, 0, 0, 0) };
    if child < 0 {
        // SAFETY: a descriptor of ours.
        unsafe { sys::call4(libc::SYS_close, sink, 0, 0, 0) };
        say(b"adyton: no process for the decoder of traces and crashes; see `ulimit -u`\n");
    } else {
        SINK.store(ends[1], Ordering::Relaxed);
    }
    DECODER.store(i32::try_from(child).unwrap_or(-1), Ordering::Relaxed);
}

fn become_decoder(command: &Command, source: u64) -> ! {
    // SAFETY: the child's own descriptors; the source becomes its standard input.
    unsafe { sys::call4(libc::SYS_dup2, source, 0, 0, 0) };
    let none = 0_u64;
    // SAFETY: the child's own mask: it ends by signals as any program does.
    unsafe {
        let how = libc::SIG_SETMASK as u64;
        sys::call4(libc::SYS_rt_sigprocmask, how, (&raw const none) as u64, 0, 8)
    };
    let [words, environment] =
        [&command.words, &command.environment].map(|list| list.as_ptr() as u64);
    // SAFETY: lists of strings that end with a null pointer.
    unsafe { sys::call4(libc::SYS_execve, command.words[0] as u64, words, environment, 0) };
    say(b"adyton: the decoder of traces and crashes does not start; see `adyton info`\n");
    loop {
        // SAFETY: ends the child.
        unsafe { sys::call4(libc::SYS_exit_group, 127, 0, 0, 0) };
    }
}

fn lock() {
    while LOCK.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_err() {
        // SAFETY: a futex wait on a word of ours.
        unsafe { sys::call4(libc::SYS_futex, LOCK.as_ptr() as u64, libc::FUTEX_WAIT as u64, 1, 0) };
    }
}

fn unlock() {
    LOCK.store(0, Ordering::Release);
    // SAFETY: a futex wake on a word of ours.
    unsafe { sys::call4(libc::SYS_futex, LOCK.as_ptr() as u64, libc::FUTEX_WAKE as u64, 1, 0) };
}
