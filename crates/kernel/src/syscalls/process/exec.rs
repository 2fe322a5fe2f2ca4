//! execve(2), execveat(2).
//!
//! Source: execve(2), execveat(2). The order of the checks is Linux's as far as a program can
//! tell: the path, the file, the arguments, the file's contents.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::sync::atomic::Ordering;
use core::task::Poll;

use abi::Errno;
use abi::errno::Result;
use platform::context::UserContext;
use storage::exposed;
use storage::pages::Reach;
use vfs::descriptor::OnExec;
use vfs::mount::Place;
use vfs::path::Last;

use crate::arguments::{Arguments, Fd};
use crate::context::Context;
use crate::process::exit::{self, Status};
use crate::process::futex;
use crate::process::load::{self, Executable, Loaded, Prepared, Wanted};
use crate::process::{Thread, run};
use crate::signal::ThreadSignals;
use crate::syscalls::{aio, files};

const AT_FDCWD: Fd = -100;

bitflags::bitflags! {
    /// Flags of execveat(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Flags: u32 {
        /// A last symbolic link is refused.
        const NO_FOLLOW = 0x100;
        /// An empty path means the descriptor itself.
        const EMPTY_PATH = 0x1000;
        /// Nothing is run: only whether it may be is told.
        const CHECK = 0x1_0000;
    }
}

/// The longest string of arguments or environment with its NUL, bytes.
const STRING_MAX: usize = 128 << 10;
/// The signal that ends a process whose old program is gone and whose new one can't be mapped.
const SEGMENTATION_FAULT: u8 = 11;

/// A file to be run.
struct Target {
    file: Executable,
    /// The path that a script's interpreter is given, and that `AT_EXECFN` shows.
    name: Vec<u8>,
    /// The thread's name, when it is not that path's last component.
    thread_name: Option<[u8; 16]>,
    inaccessible: bool,
}

/// execve(2): path, arguments, environment.
pub(super) async fn execve(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(0))?;
    execute(cx, AT_FDCWD, path, [args.address(1), args.address(2)], Flags::empty()).await
}

/// execveat(2): directory, path, arguments, environment, flags.
pub(super) async fn execveat(cx: &mut Context<'_>, args: &Arguments) -> Result<u64> {
    let path = cx.read_path(args.address(1))?;
    let raw = args.uint(4);
    if path.is_empty() && raw & Flags::EMPTY_PATH.bits() == 0 {
        // Linux looks at the path first.
        return Err(Errno::ENOENT.because("the path is empty"));
    }
    let flags =
        Flags::from_bits(raw).ok_or(Errno::EINVAL.because("an unknown flag of execveat"))?;
    execute(cx, args.fd(0), path, [args.address(2), args.address(3)], flags).await
}

async fn execute(
    cx: &mut Context<'_>,
    directory: Fd,
    path: Vec<u8>,
    [arguments, environment]: [u64; 2],
    flags: Flags,
) -> Result<u64> {
    let target = open(cx, directory, path, flags).await?;
    let mut left = load::arguments_limit(cx.process);
    let arguments = read_strings(cx, arguments, &mut left)?;
    let environment = read_strings(cx, environment, &mut left)?;
    if flags.contains(Flags::CHECK) {
        return Ok(0);
    }
    let wanted = Wanted {
        file: target.file,
        name: target.name,
        inaccessible: target.inaccessible,
        arguments,
        environment,
        privileges: !cx.thread.attributes.get().no_new_privileges,
    };
    let prepared = load::prepare(cx.kernel, cx.process, wanted).await?;
    end_other_threads(cx).await?;
    match replace(cx, prepared).await {
        Ok(mut loaded) => {
            loaded.name = target.thread_name.unwrap_or(loaded.name);
            begin(cx, loaded);
            let _ = exposed::write_back(Reach::Unmapped).await;
            Ok(0)
        }
        Err(error) => {
            exit::end_process(cx, Status::Signaled(SEGMENTATION_FAULT));
            Err(error)
        }
    }
}

/// Finds the file and checks that it may be run.
async fn open(cx: &Context<'_>, directory: Fd, path: Vec<u8>, flags: Flags) -> Result<Target> {
    let who = Arc::clone(&cx.process.credentials.lock());
    let directories = cx.process.directories.lock().clone();
    if path.is_empty() && !flags.contains(Flags::EMPTY_PATH) {
        return Err(Errno::ENOENT.because("the path is empty"));
    }
    if directory == AT_FDCWD || path.first() == Some(&b'/') {
        let place = if path.is_empty() {
            directories.current
        } else {
            let start = vfs::path::Start::new(&directories.root, &directories.current, &who);
            walk(start, &path, flags).await?
        };
        let file = Executable::open(&place, &who).await?;
        return Ok(Target { file, name: path, thread_name: None, inaccessible: false });
    }
    let base = cx.process.files.get(directory)?;
    let base = base.place().ok_or(if path.is_empty() {
        Errno::EACCES.because("only regular files can be run")
    } else {
        Errno::ENOTDIR.because("the descriptor is no directory")
    })?;
    let mut name = alloc::format!("/dev/fd/{directory}").into_bytes();
    let (place, thread_name) = if path.is_empty() {
        (base.clone(), Some(load::short_name(&base.path(&directories.root).bytes)))
    } else {
        name.push(b'/');
        name.extend_from_slice(&path);
        let start = vfs::path::Start::new(&directories.root, base, &who);
        (walk(start, &path, flags).await?, None)
    };
    let inaccessible = cx.process.files.on_exec(directory) == Ok(OnExec::Close);
    let file = Executable::open(&place, &who).await?;
    Ok(Target { file, name, thread_name, inaccessible })
}

async fn walk(start: vfs::path::Start<'_>, path: &[u8], flags: Flags) -> Result<Place> {
    let last = if flags.contains(Flags::NO_FOLLOW) { Last::Keep } else { Last::Follow };
    let place = vfs::path::resolve(start, path, last).await?;
    if place.node().kind() == vfs::node::Kind::Link {
        return Err(Errno::ELOOP.because("the last name is a symbolic link"));
    }
    Ok(place)
}

/// Reads an array of strings that a null pointer ends; a null array is an empty one. Takes what they
/// need, pointers and NULs too, off `left`.
///
/// # Errors
/// EFAULT, E2BIG.
fn read_strings(cx: &Context<'_>, array: u64, left: &mut usize) -> Result<Vec<Vec<u8>>> {
    let too_big = Errno::E2BIG.because("arguments and environment exceed their limit");
    let mut strings = Vec::new();
    if array == 0 {
        return Ok(strings);
    }
    for index in 0.. {
        let address: u64 = cx.read(array.wrapping_add(8 * index))?;
        if address == 0 {
            break;
        }
        let string = cx.read_string(address, STRING_MAX, Errno::E2BIG)?;
        *left = left.checked_sub(string.len() + 1 + size_of::<u64>()).ok_or(too_big)?;
        strings.push(string);
    }
    Ok(strings)
}

/// Ends the process's other threads, and returns when the caller is alone.
///
/// # Errors
/// EINTR when the caller has to end itself: another thread was first, or the whole process ends.
async fn end_other_threads(cx: &Context<'_>) -> Result<()> {
    let ended = Errno::EINTR.because("the thread ends");
    {
        let threads = cx.process.threads.lock();
        if exit::is_due(cx) {
            return Err(ended);
        }
        // All at once, so that of two threads that execute a program one wins.
        for thread in threads.values().filter(|thread| thread.tid != cx.thread.tid) {
            thread.ending.store(true, Ordering::SeqCst);
        }
    }
    let mut alone = pin!(exit::end_other_threads(cx));
    let result = poll_fn(|task| match alone.as_mut().poll(task) {
        Poll::Ready(()) => Poll::Ready(true),
        Poll::Pending if exit::is_due(cx) => Poll::Ready(false),
        Poll::Pending => Poll::Pending,
    });
    if result.await && !exit::is_due(cx) { Ok(()) } else { Err(ended) }
}

/// Puts the new program in the place of the old one, which ends here.
async fn replace(cx: &mut Context<'_>, prepared: Prepared) -> Result<Loaded> {
    futex::leave_robust_list(cx);
    cx.thread.robust_list.store(0, Ordering::Relaxed);
    cx.thread.clear_child_tid.store(0, Ordering::Relaxed);
    aio::ring::end_all(cx.process).await;
    cx.thread.rings.lock().clear();
    cx.memory().clear();
    let loaded = prepared.install(cx.process).await?;
    for file in cx.process.files.remove_on_exec() {
        files::open::closed(cx.process, &file);
    }
    cx.process.signals.reset_for_exec();
    cx.thread.signals.reset_for_exec();
    cx.thread.rseq.set(0, 0, 0);
    let secure = loaded.secure;
    cx.thread.attributes.change(|values| {
        values.keep_capabilities = false;
        if secure {
            values.parent_death_signal = 0;
        }
    });
    Ok(loaded)
}

/// Lets the caller go on in the new program, under the number of the process's first thread.
fn begin(cx: &mut Context<'_>, loaded: Loaded) {
    *cx.process.program.lock() = loaded.program;
    let fresh = UserContext::new(loaded.entry, loaded.stack_pointer);
    if cx.thread.tid == cx.process.pid {
        *cx.thread.name.lock() = loaded.name;
        *cx.registers = fresh;
        return;
    }
    let signals = ThreadSignals::new(cx.thread.signals.blocked());
    signals.take_over(&cx.thread.signals);
    let process = Arc::clone(cx.process);
    let first = Thread::new(cx.process.pid, process, signals, loaded.name);
    first.attributes.change(|values| *values = cx.thread.attributes.get());
    first.seccomp.set(cx.thread.seccomp.get());
    first.cpu_time.store(cx.thread.cpu_time.load(Ordering::Relaxed), Ordering::Relaxed);
    {
        // One of them is there at any time, and never both.
        let mut threads = cx.process.threads.lock();
        threads.insert(first.tid, Arc::clone(&first));
        threads.remove(&cx.thread.tid);
    }
    cx.kernel.registry.add_thread(&first);
    cx.thread.ending.store(true, Ordering::SeqCst);
    run::spawn(cx.kernel, &first, Box::new(fresh));
}
