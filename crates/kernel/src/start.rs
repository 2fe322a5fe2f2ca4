//! From the boot blob to the first program.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use abi::host::{ExitKind, HostCall};
use abi::plan::{Config, config, flag, tag, wanted};
use executor::{Executor, Machine};
use platform::boot::Start;
use platform::context::UserContext;
use platform::sync::{Mutex, Once};
use platform::{clock, mailbox, mapping, user, vcpu};
use vfs::credentials::Credentials;
use vfs::descriptor::{OnExec, Table};

use crate::Kernel;
use crate::memory::mapper::Mapper;
use crate::memory::{self, Prot, Space};
use crate::process::futex::Futexes;
use crate::process::interception::Interception;
use crate::process::limits::{Limit, Limits, Resource};
use crate::process::registry::Registry;
use crate::process::terminal;
use crate::process::usage::Usage;
use crate::process::{Directories, Process, Program, Thread, load, run, vdso};
use crate::signal::{self, ProcessSignals, ThreadSignals};
use crate::{roots, trace};

/// Host signals that a program may be sent from outside.
static KERNEL: Once<&'static Kernel> = Once::new();

/// What the measured configuration and the plan fix.
pub struct Settings {
    /// The measured configuration.
    pub config: Config,
    /// [`flag`] bits of the plan.
    pub flags: u32,
    /// Monotonic ns at the start.
    pub started: u64,
    /// Seconds since 1970 at the start, for /proc/stat.
    pub boot_time: u64,
    /// Counters are wanted at the end.
    pub report: bool,
    /// A person reads what the enclave says.
    pub notes: bool,
    /// Signals that were ignored when the command started, and those that were blocked.
    pub ignored: signal::SignalSet,
    /// See `ignored`.
    pub blocked: signal::SignalSet,
}

impl Settings {
    /// Whether what happens inside may be told.
    pub fn is_debug(&self) -> bool {
        self.config.flags & config::DEBUG != 0
    }

    /// Whether sites may be rewritten.
    pub fn may_patch(&self) -> bool {
        self.flags & flag::NO_PATCHING == 0
    }
}

/// The boot blob, taken apart. All of it is the host's word.
struct Blob<'a> {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    directory: &'a [u8],
    program: &'a [u8],
    roots: Vec<roots::Root<'a>>,
    identity: Vec<u32>,
    hostname: &'a [u8],
    signals: (u64, u64),
    trace: Option<&'a [u8]>,
    core: bool,
    limits: Vec<(u32, u64, u64)>,
}

/// Starts the kernel and the first program on the first vCPU; becomes its loop.
pub fn first(start: &Start) -> ! {
    let Some(blob) = Blob::read(&start.blob) else {
        platform::boot::fail(format_args!("the boot record is malformed"))
    };
    let executor: &'static Executor = Box::leak(Box::new(Executor::new(vcpu::count(), &VCPUS)));
    let settings = Settings {
        config: start.config,
        flags: start.boot.flags,
        started: clock::now(),
        boot_time: clock::realtime() / clock::SECOND,
        report: start.boot.wanted & wanted::STAT != 0,
        notes: start.boot.wanted & wanted::NOTES != 0,
        ignored: signal::SignalSet::from_bits(blob.signals.0),
        blocked: signal::SignalSet::from_bits(blob.signals.1),
    };
    let decoded = start.boot.wanted & wanted::TRACE != 0;
    let trace = trace::Trace::new(settings.is_debug(), decoded, blob.trace, blob.core);
    let kernel: &'static Kernel = Box::leak(Box::new(Kernel {
        executor,
        registry: Registry::new(),
        futexes: Futexes::new(),
        mounts: roots::tree(),
        trace,
        once: platform::sync::Once::new(),
        hostname: Mutex::new(blob.hostname.to_vec()),
        domainname: Mutex::new(b"(none)".to_vec()),
        settings,
    }));
    KERNEL.set(kernel);
    let blob = blob.into_owned();
    executor.spawn(async move {
        if let Err((code, line)) = start_program(kernel, blob).await {
            platform::boot::message(&alloc::format!("adyton: {line}\n"));
            platform::boot::exit(ExitKind::Exited, code);
        }
    });
    platform::boot::release_vcpus();
    executor.run(0);
    platform::boot::exit(ExitKind::Failed, 125)
}

/// The loop of another vCPU.
pub fn other(index: usize) -> ! {
    if let Some(kernel) = KERNEL.get() {
        kernel.executor.run(index);
    }
    platform::boot::exit(ExitKind::Failed, 125)
}

/// Takes in what the host reported: signals for the first process, readiness. True when it woke a task.
#[inline]
pub(crate) fn poll_events() -> bool {
    let moved = platform::carrier::turn();
    if mailbox::pending() { drain_mailbox() || moved } else { moved }
}

/// Apart, so that a turn without word from the host needs neither its registers nor its stack.
#[cold]
#[inline(never)]
fn drain_mailbox() -> bool {
    let (signals, woke) = mailbox::drain();
    if let Some(kernel) = KERNEL.get() {
        for number in signals {
            signal::send::from_host(kernel, number);
        }
    }
    woke
}

/// Measures the clock's rate again when it is time.
pub(crate) fn refine_clock() {
    if clock::refine() {
        vdso::refresh();
    }
}

/// Hands the counters out, if they are wanted and may be told.
pub(crate) fn report(kernel: &Kernel) {
    trace::record::flush(kernel);
    if !kernel.settings.report || !kernel.settings.is_debug() {
        return;
    }
    let text = trace::counters::json(kernel);
    if let Some(mut bounce) = platform::io::Bounce::with_capacity(text.len()) {
        bounce.write(0, text.as_bytes());
        let arguments = [bounce.address(), text.len() as u64, 0, 0, 0];
        if platform::gate::call(HostCall::Stat, arguments) < 0 {
            platform::boot::message("adyton: the counters can't be written where --stat says\n");
        }
    }
}

/// Tells a person which files were in memory only, and go with the enclave.
pub(crate) fn note_losses(kernel: &Kernel) {
    if !kernel.settings.notes || !kernel.settings.is_debug() {
        return;
    }
    let mounts = kernel.mounts.list();
    let Some(base) = mounts.iter().find(|mount| mount.source == roots::SOURCE) else { return };
    let lost = vfs::tree::unkept(&base.root().dentry);
    let path = alloc::string::String::from_utf8_lossy(&lost.example).replace(char::is_control, "?");
    let what = match lost.files {
        0 => return,
        1 => alloc::format!("{path} was written in memory and is gone"),
        files => alloc::format!("{files} files were written in memory and are gone, as {path}"),
    };
    platform::boot::message(&alloc::format!(
        "adyton: {what}; -v DIR:DIR:rw keeps what is written to DIR\n"
    ));
}

/// What the first program starts from, no longer tied to the blob.
struct First {
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    directory: Vec<u8>,
    program: Vec<u8>,
    roots: Vec<roots::OwnedRoot>,
    identity: Vec<u32>,
    signals: (u64, u64),
    limits: Vec<(u32, u64, u64)>,
}

/// Exit code and line for the person.
type Failure = (u32, String);

async fn start_program(kernel: &'static Kernel, first: First) -> Result<(), Failure> {
    let failed = |what: &str, error: abi::Error| (125, alloc::format!("{what}: {error}"));
    roots::mount(kernel, &first.roots)
        .await
        .map_err(|error| failed("mounting the roots", error))?;
    let (uid, gid) = (first.identity.first().copied(), first.identity.get(1).copied());
    let groups = first.identity.get(2..).unwrap_or_default();
    let credentials = Arc::new(Credentials::new(uid.unwrap_or(0), gid.unwrap_or(0), groups));
    let root = kernel.mounts.root();
    let directories = Directories { root: root.clone(), current: root, umask: 0o022 };
    let pid = kernel.registry.allocate().unwrap_or(1);
    let process = new_process(kernel, pid, directories, credentials, &first);
    enter_directory(&process, &first.directory)
        .await
        .map_err(|error| (125, roots::directory_refused(&first.directory, error)))?;
    terminal::connect(kernel);
    let name = roots::find(kernel, b"/dev/tty").await.ok();
    for (fd, file) in vfs::stream::standard(name.as_ref()).into_iter().enumerate() {
        if let Some(file) = file {
            let fd = i32::try_from(fd).unwrap_or(0);
            let _ = process.files.replace(fd, file, OnExec::Keep);
        }
    }
    if vfs::stream::terminal().is_some() {
        process.take_terminal(terminal::Terminal::Host);
    }
    let program = load::find(kernel, &process, &first.program, &first.environment)
        .await
        .map_err(|error| refused(&first.program, error))?;
    let loaded = load::load(kernel, &process, &program, first.arguments, first.environment)
        .await
        .map_err(|error| refused(&first.program, error))?;
    let name = loaded.name;
    *process.program.lock() = loaded.program;
    let blocked = signal::SignalSet::from_bits(first.signals.1);
    let thread = Thread::new(pid, Arc::clone(&process), ThreadSignals::new(blocked), name);
    process.threads.lock().insert(pid, Arc::clone(&thread));
    kernel.registry.add_process(&process);
    kernel.registry.add_thread(&thread);
    run::spawn(kernel, &thread, Box::new(UserContext::new(loaded.entry, loaded.stack_pointer)));
    Ok(())
}

/// The exit code that `docker run` gives for a program that can't be started, and why.
fn refused(program: &[u8], error: abi::Error) -> Failure {
    let name = String::from_utf8_lossy(program);
    if [abi::Errno::ENOENT, abi::Errno::ENOTDIR].contains(&error.errno) {
        let hint = "is it inside (see -v), and on the PATH inside?";
        (127, alloc::format!("{name}: not found; {hint}"))
    } else {
        (126, alloc::format!("{name}: can't be executed: {error}"))
    }
}

async fn enter_directory(process: &Arc<Process>, path: &[u8]) -> abi::Result<()> {
    let mut directories = process.directories.lock().clone();
    let credentials = Arc::clone(&process.credentials.lock());
    let start = vfs::path::Start::new(&directories.root, &directories.root, &credentials);
    let place = vfs::path::resolve(start, path, vfs::path::Last::Follow).await?;
    if vfs::node::Kind::of_mode(place.node().stat()?.mode) != Some(vfs::node::Kind::Directory) {
        return Err(abi::Errno::ENOTDIR.into());
    }
    directories.current = place;
    *process.directories.lock() = directories;
    Ok(())
}

fn new_process(
    kernel: &'static Kernel,
    pid: u32,
    directories: Directories,
    credentials: Arc<Credentials>,
    first: &First,
) -> Arc<Process> {
    let environment = memory::Environment {
        mapper: Arc::new(Host::default()),
        refused: Arc::new(move |refusal| refuse_memory(kernel, pid, refusal)),
        reclaim: Arc::new(|bytes| {
            storage::reclaim::reclaim(bytes);
        }),
        region: abi::layout::USER_START..user::end(),
    };
    let limits = Limits::new();
    for (resource, soft, hard) in &first.limits {
        if let Ok(resource) = Resource::from_raw(*resource) {
            let _ = limits.set(resource, Limit { soft: *soft, hard: *hard }, true);
        }
    }
    let open_files = u32::try_from(limits.soft(Resource::Files)).unwrap_or(1024);
    let process = Arc::new(Process {
        pid,
        parent: AtomicU32::new(0),
        memory: Space::new(environment),
        files: Table::new(open_files),
        directories: Mutex::new(directories),
        credentials: Mutex::new(credentials),
        signals: ProcessSignals::new(signal::SignalSet::from_bits(first.signals.0)),
        limits,
        threads: Mutex::new(BTreeMap::new()),
        program: Mutex::new(Program::default()),
        alone: executor::wait_queue::WaitQueue::new(),
        interception: Interception::new(),
        ending: AtomicBool::new(false),
        status: Mutex::new(None),
        started: clock::now(),
        usage: Usage::new(),
        group: AtomicU32::new(pid),
        session: AtomicU32::new(pid),
        settings: crate::process::settings::Shared::new(),
        terminal: Mutex::new(None),
        dumpable: AtomicU32::new(1),
        oom: crate::process::oom::Adjustment::default(),
    });
    Interception::watch(kernel, &process);
    process
}

/// Says that the memory limit was reached: once, where an allocator tries one way after another.
fn refuse_memory(kernel: &'static Kernel, pid: u32, refusal: &memory::refusal::OutOfMemory) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let now = clock::now();
    let last = LAST.swap(now, Ordering::Relaxed);
    let told = last != 0 && now.saturating_sub(last) < clock::SECOND;
    if told && refusal.outcome == memory::refusal::Outcome::Refused {
        return;
    }
    let name = kernel.registry.process(pid).map_or_else(String::new, |process| {
        let path = process.program.lock().path.clone();
        let short = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec();
        String::from_utf8_lossy(&short).into_owned()
    });
    platform::boot::message(&alloc::format!("{}\n", refusal.line(&name, pid)));
}

/// How often in a row memory may fault that is mapped, with no change to any in between. Each thread that
/// waited for the same contents may find once that another one was faster.
const REPAIRS_MAX: u32 = 1 << 15;

/// The host as the memory manager uses it.
#[derive(Default)]
struct Host {
    /// Repairs since the last change.
    repairs: AtomicU32,
}

impl Host {
    fn changes(&self) {
        self.repairs.store(0, Ordering::Relaxed);
    }
}

impl Mapper for Host {
    fn map(
        &self,
        address: u64,
        len: u64,
        prot: Prot,
        backing: abi::host::Backing,
        offset: u64,
    ) -> abi::Result<()> {
        self.changes();
        mapping::map(address, len, prot.bits().into(), backing, offset)
    }

    fn protect(&self, address: u64, len: u64, prot: Prot) -> abi::Result<()> {
        self.changes();
        mapping::protect(address, len, prot.bits().into())
    }

    fn repair(&self, address: u64, len: u64, prot: Prot) -> abi::Result<()> {
        if self.repairs.fetch_add(1, Ordering::Relaxed) >= REPAIRS_MAX {
            platform::boot::fail(format_args!(
                "the host does not keep what it maps: memory at {address:#x} faults again and again"
            ));
        }
        mapping::protect(address, len, prot.bits().into())
    }

    fn unmap(&self, address: u64, len: u64) -> abi::Result<()> {
        self.changes();
        mapping::unmap(address, len)
    }

    fn advise(&self, address: u64, len: u64, advice: abi::host::Advice) -> abi::Result<()> {
        self.changes();
        mapping::advise(address, len, advice)
    }

    fn relocate(&self, from: u64, to: u64, len: u64) -> abi::Result<()> {
        self.changes();
        mapping::relocate(from, to, len)
    }
}

/// The vCPUs as the executor uses them.
struct Vcpus;

static VCPUS: Vcpus = Vcpus;

impl Machine for Vcpus {
    fn now(&self) -> u64 {
        clock::now()
    }

    fn current(&self) -> Option<usize> {
        Some(vcpu::current())
    }

    fn event(&self, vcpu: usize) -> u32 {
        // Asked for by a vCPU that finds no work: its time is nobody's.
        platform::vcpu::set_slice_end(None);
        mailbox::event(vcpu)
    }

    fn sleep(&self, vcpu: usize, event: u32, deadline: Option<u64>) {
        mailbox::sleep(vcpu, event, deadline);
        refine_clock();
    }

    fn wake(&self, vcpu: usize) {
        mailbox::wake(vcpu);
    }

    fn poll_events(&self, _: usize) -> bool {
        poll_events()
    }

    fn set_tick(&self, on: bool) {
        mailbox::set_tick(on);
    }

    fn set_alarm(&self, deadline: u64) {
        mailbox::set_alarm(deadline);
    }

    fn alarm(&self) -> u64 {
        mailbox::alarm()
    }

    fn relax(&self) {
        platform::vcpu::set_slice_end(None);
        core::hint::spin_loop();
    }
}

impl<'a> Blob<'a> {
    /// Takes the blob apart; `None` when an item leaves it or a needed one is missing.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut blob = Self {
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: b"/",
            program: b"",
            roots: Vec::new(),
            identity: Vec::new(),
            hostname: b"adyton",
            signals: (0, 0),
            trace: None,
            core: false,
            limits: Vec::new(),
        };
        let mut rest = bytes;
        while let Some((head, body)) = rest.split_at_checked(8) {
            let len = word(head, 4)? as usize;
            let item = body.get(..len)?;
            blob.take(word(head, 0)?, item)?;
            rest = body.get(len.next_multiple_of(8)..).unwrap_or_default();
        }
        (!blob.program.is_empty() && !blob.arguments.is_empty()).then_some(blob)
    }

    fn take(&mut self, kind: u32, item: &'a [u8]) -> Option<()> {
        match kind {
            tag::ARGUMENT => self.arguments.push(item.to_vec()),
            tag::ENVIRONMENT => self.environment.push(item.to_vec()),
            tag::DIRECTORY => self.directory = item,
            tag::PROGRAM => self.program = item,
            tag::ROOT => self.roots.push(roots::Root::read(item)?),
            tag::IDENTITY => {
                self.identity = (0..item.len() / 4).filter_map(|n| word(item, 4 * n)).collect();
            }
            tag::HOSTNAME => self.hostname = item,
            tag::SIGNALS => self.signals = (long(item, 0)?, long(item, 8)?),
            tag::TRACE => self.trace = Some(item),
            tag::CORE => self.core = true,
            tag::LIMIT => self.limits.push((word(item, 0)?, long(item, 8)?, long(item, 16)?)),
            _ => {}
        }
        Some(())
    }

    fn into_owned(self) -> First {
        First {
            arguments: self.arguments,
            environment: self.environment,
            directory: self.directory.to_vec(),
            program: self.program.to_vec(),
            roots: self.roots.iter().map(roots::Root::to_owned).collect(),
            identity: self.identity,
            signals: self.signals,
            limits: self.limits,
        }
    }
}

/// Takes a boot blob apart, as a start does; for fuzzers.
#[cfg(feature = "fuzzing")]
pub fn fuzz_blob(bytes: &[u8]) {
    if let Some(blob) = Blob::read(bytes) {
        drop(blob.into_owned());
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}
