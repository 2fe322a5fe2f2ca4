//! Processes and threads.
//!
//! A process is what its threads share; a thread is one task that alternates between user code and
//! system calls ([`run`]).

pub mod attributes;
pub mod credentials;
pub mod elf;
pub mod exit;
pub mod futex;
pub mod interception;
pub mod limits;
pub mod load;
pub mod oom;
pub mod pidfd;
pub mod procfs;
pub mod registry;
pub mod rseq;
pub mod run;
pub mod seccomp;
pub mod settings;
pub mod terminal;
pub mod thread;
pub mod usage;
pub mod vdso;
mod vsyscall;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32};

use platform::sync::Mutex;
use vfs::credentials::Credentials;
use vfs::descriptor::Table;
use vfs::mount::Place;

pub use crate::process::thread::Thread;

use crate::memory::Space;
use crate::process::interception::Interception;
use crate::process::limits::Limits;
use crate::process::usage::Usage;
use crate::signal::ProcessSignals;

/// What the threads of a program share.
pub struct Process {
    /// Process id: the first thread's id.
    pub pid: u32,
    /// Parent's id; 0 for the first process.
    pub parent: AtomicU32,
    /// Its user memory.
    pub memory: Arc<Space>,
    /// Its descriptors.
    pub files: Table,
    /// Working directory, root and file mode mask.
    pub directories: Mutex<Directories>,
    /// Who it acts as.
    pub credentials: Mutex<Arc<Credentials>>,
    /// Handlers, and signals pending for the process.
    pub signals: ProcessSignals,
    /// Resource limits.
    pub limits: Limits,
    /// What it and its ended children have used up.
    pub usage: Usage,
    /// Living threads by id.
    pub threads: Mutex<BTreeMap<u32, Arc<Thread>>>,
    /// What it was started with.
    pub program: Mutex<Program>,
    /// Woken when only one thread is left.
    pub alone: executor::wait_queue::WaitQueue,
    /// Rewritten system call sites.
    pub interception: Interception,
    /// All threads must end: exit_group, a fatal signal.
    pub ending: AtomicBool,
    /// How it ended.
    pub status: Mutex<Option<exit::Status>>,
    /// Monotonic ns at which it started.
    pub started: u64,
    /// Process group and session.
    pub group: AtomicU32,
    /// Session id.
    pub session: AtomicU32,
    /// What prctl(2) sets for all its threads.
    pub settings: settings::Shared,
    /// The terminal that controls it.
    pub terminal: Mutex<Option<terminal::Terminal>>,
    /// PR_SET_DUMPABLE's value.
    pub dumpable: AtomicU32,
    /// How ready it is to be ended when memory is out.
    pub oom: oom::Adjustment,
}

/// Where paths start, and what new files may not allow.
#[derive(Clone)]
pub struct Directories {
    /// Root directory.
    pub root: Place,
    /// Working directory.
    pub current: Place,
    /// File mode creation mask.
    pub umask: u32,
}

/// What a process was started with, as procfs shows it.
#[derive(Clone, Default)]
pub struct Program {
    /// Absolute path of the executable.
    pub path: Vec<u8>,
    /// Its file, for /proc/self/exe.
    pub place: Option<Place>,
    /// Keeps that file from being written.
    pub running: Option<Arc<load::Running>>,
    /// Arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
    /// Auxiliary vector as on the stack.
    pub auxiliary: Vec<(u64, u64)>,
    /// End of the program's data: where the heap begins.
    pub heap_start: u64,
    /// Lowest address of arguments on the stack.
    pub stack_top: u64,
}
