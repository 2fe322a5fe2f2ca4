//! The files that describe one process or thread.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use core::sync::atomic::Ordering;

use platform::budget;
use vfs::credentials::Capabilities;

use super::process::Subject;
use super::system::ticks;
use crate::process::limits::{INFINITY, Resource};
use crate::process::{Process, Thread};

/// Users and groups are what they are outside of any namespace.
pub(super) const IDENTITY: &[u8] = b"         0          0 4294967295\n";

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Longest name of a thread, without the NUL.
const NAME_MAX: usize = 15;

/// A thread's name.
fn name(thread: &Thread) -> Vec<u8> {
    let name = *thread.name.lock();
    name.iter().copied().take_while(|byte| *byte != 0).collect()
}

/// Gives a thread another name, cut to 15 bytes (writing to `comm`).
pub(super) fn set_name(thread: &Thread, bytes: &[u8]) {
    let mut name = [0; NAME_MAX + 1];
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    for (to, from) in name.iter_mut().zip(bytes.iter().take(NAME_MAX)) {
        *to = *from;
    }
    *thread.name.lock() = name;
}

pub(super) fn comm(subject: &Subject) -> Vec<u8> {
    let mut text = name(&subject.thread);
    text.push(b'\n');
    text
}

fn terminated(strings: &[Vec<u8>]) -> Vec<u8> {
    let mut text = Vec::new();
    for string in strings {
        text.extend_from_slice(string);
        text.push(0);
    }
    text
}

pub(super) fn cmdline(subject: &Subject) -> Vec<u8> {
    terminated(&subject.process.program.lock().arguments)
}

pub(super) fn environ(subject: &Subject) -> Vec<u8> {
    terminated(&subject.process.program.lock().environment)
}

pub(super) fn auxv(subject: &Subject) -> Vec<u8> {
    let program = subject.process.program.lock();
    let words = program.auxiliary.iter().flat_map(|(kind, value)| [*kind, *value]);
    words.flat_map(u64::to_le_bytes).collect()
}

pub(super) fn maps(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for mapping in subject.process.memory.maps() {
        text.extend_from_slice(&mapping.line());
        text.push(b'\n');
    }
    text
}

/// Nothing of it is counted by process.
pub(super) fn io(_: &Subject) -> Vec<u8> {
    let names = ["rchar", "wchar", "syscr", "syscw", "read_bytes", "write_bytes"];
    let mut text = String::new();
    for name in names {
        let _ = writeln!(text, "{name}: 0");
    }
    text += "cancelled_write_bytes: 0\n";
    text.into_bytes()
}

pub(super) fn personality(subject: &Subject) -> Vec<u8> {
    format!("{:08x}\n", subject.thread.attributes.get().personality).into_bytes()
}

pub(super) fn timer_slack(subject: &Subject) -> Vec<u8> {
    format!("{}\n", subject.thread.attributes.get().timer_slack).into_bytes()
}

pub(super) fn limits(subject: &Subject) -> Vec<u8> {
    const ROWS: [(&str, Resource, &str); 16] = [
        ("Max cpu time", Resource::Cpu, "seconds"),
        ("Max file size", Resource::FileSize, "bytes"),
        ("Max data size", Resource::Data, "bytes"),
        ("Max stack size", Resource::Stack, "bytes"),
        ("Max core file size", Resource::Core, "bytes"),
        ("Max resident set", Resource::Resident, "bytes"),
        ("Max processes", Resource::Processes, "processes"),
        ("Max open files", Resource::Files, "files"),
        ("Max locked memory", Resource::Locked, "bytes"),
        ("Max address space", Resource::AddressSpace, "bytes"),
        ("Max file locks", Resource::Locks, "locks"),
        ("Max pending signals", Resource::PendingSignals, "signals"),
        ("Max msgqueue size", Resource::MessageQueues, "bytes"),
        ("Max nice priority", Resource::Nice, ""),
        ("Max realtime priority", Resource::RealtimePriority, ""),
        ("Max realtime timeout", Resource::RealtimeTime, "us"),
    ];
    let text_of = |value: u64| {
        if value == INFINITY { String::from("unlimited") } else { format!("{value}") }
    };
    let mut text = row("Limit", "Soft Limit", "Hard Limit", "Units");
    for (name, resource, unit) in ROWS {
        let limit = subject.process.limits.get(resource);
        text += &row(name, &text_of(limit.soft), &text_of(limit.hard), unit);
    }
    text.into_bytes()
}

pub(super) fn oom(subject: &Subject) -> Vec<u8> {
    format!("{}\n", subject.process.oom.get()).into_bytes()
}

pub(super) fn oom_old(subject: &Subject) -> Vec<u8> {
    format!("{}\n", subject.process.oom.get_old()).into_bytes()
}

pub(super) fn oom_score(subject: &Subject) -> Vec<u8> {
    let used = subject.process.memory.statistics().charged;
    format!("{}\n", subject.process.oom.score(used, budget::limit())).into_bytes()
}

/// Whether the process may lower its readiness to be ended.
pub(super) fn adjusts_freely(subject: &Subject) -> bool {
    subject.process.credentials.lock().has(Capabilities::SYS_RESOURCE)
}

fn row(name: &str, soft: &str, hard: &str, unit: &str) -> String {
    format!("{name:<25} {soft:<20} {hard:<20} {unit:<10}\n")
}

/// R while the task has a vCPU, T while the process is stopped, else S.
fn state(subject: &Subject) -> (char, &'static str) {
    let runs = |thread: &Thread| thread.slice_started.load(Ordering::Relaxed) != 0;
    let running = if subject.alone {
        runs(&subject.thread)
    } else {
        subject.process.threads.lock().values().any(|thread| runs(thread))
    };
    if subject.process.signals.is_stopped() {
        ('T', "stopped")
    } else if running {
        ('R', "running")
    } else {
        ('S', "sleeping")
    }
}

pub(super) fn statm(subject: &Subject) -> Vec<u8> {
    let memory = subject.process.memory.statistics();
    let pages = |bytes: u64| bytes / PAGE;
    let (size, resident) = (pages(memory.mapped), pages(memory.charged));
    let (text, data) = (pages(memory.text), pages(memory.data + memory.stack));
    format!("{size} {resident} 0 {text} 0 {data} 0\n").into_bytes()
}

pub(super) fn stat(subject: &Subject) -> Vec<u8> {
    let Subject { process, thread, .. } = subject;
    let memory = process.memory.statistics();
    let values = thread.attributes.get();
    let (caught, ignored) = process.signals.actions().caught_and_ignored();
    let used = if subject.alone { thread.cpu_used() } else { process.cpu_time() };
    let (id, threads) = (subject_id(subject), process.threads.lock().len());
    let parent = process.parent.load(Ordering::Relaxed);
    let group = process.group.load(Ordering::Relaxed);
    let session = process.session.load(Ordering::Relaxed);
    let (terminal, front) = terminal_of(process);
    let started = process.started.saturating_sub(subject.kernel.settings.started);
    let vcpu = thread.task().map_or(0, |task| task.last_vcpu());
    let stack = process.program.lock().stack_top;
    let mut text = format!("{id} (").into_bytes();
    text.extend_from_slice(&name(thread));
    let (nice, priority) = (values.nice, 20 + values.nice);
    let children = ticks(process.usage.children());
    let rest = format!(
        ") {} {parent} {group} {session} {terminal} {front} 4194304 0 0 0 0 {} 0 {children} 0 \
         {priority} {nice} {threads} 0 {} {} {} 18446744073709551615 0 0 {stack} 0 0 \
         {} {} {} {} 0 0 0 17 {vcpu} {} {} 0 0 0 0 0 0 0 0 0 0 0\n",
        state(subject).0,
        ticks(used),
        ticks(started),
        memory.mapped,
        memory.charged / PAGE,
        (thread.signals.pending().union(process.signals.pending()).bits()) & 0x7fff_ffff,
        thread.signals.blocked().bits() & 0x7fff_ffff,
        ignored.bits() & 0x7fff_ffff,
        caught.bits() & 0x7fff_ffff,
        values.priority,
        values.policy,
    );
    text.extend_from_slice(rest.as_bytes());
    text
}

fn subject_id(subject: &Subject) -> u32 {
    if subject.alone { subject.thread.tid } else { subject.process.pid }
}

pub(super) fn status(subject: &Subject) -> Vec<u8> {
    let mut text = b"Name:\t".to_vec();
    text.extend_from_slice(&name(&subject.thread));
    text.push(b'\n');
    for part in [identity(subject), memory(subject), signals(subject), rights(subject)] {
        text.extend_from_slice(part.as_bytes());
    }
    text
}

fn identity(subject: &Subject) -> String {
    let process = &subject.process;
    let who = alloc::sync::Arc::clone(&process.credentials.lock());
    let (letter, word) = state(subject);
    let (pid, id) = (process.pid, subject_id(subject));
    let parent = process.parent.load(Ordering::Relaxed);
    let umask = process.directories.lock().umask;
    let open = process.files.list().last().map_or(0, |(fd, _)| *fd + 1);
    let slots = open.next_power_of_two().max(64);
    let mut groups = String::new();
    for group in who.groups.iter() {
        let _ = write!(groups, "{group} ");
    }
    let group = process.group.load(Ordering::Relaxed);
    let session = process.session.load(Ordering::Relaxed);
    format!(
        "Umask:\t{umask:04o}\nState:\t{letter} ({word})\nTgid:\t{pid}\nNgid:\t0\nPid:\t{id}\n\
         PPid:\t{parent}\nTracerPid:\t0\nUid:\t{}\t{}\t{}\t{}\nGid:\t{}\t{}\t{}\t{}\n\
         FDSize:\t{slots}\nGroups:\t{groups}\nNStgid:\t{pid}\nNSpid:\t{id}\nNSpgid:\t{group}\n\
         NSsid:\t{session}\n",
        who.uid, who.euid, who.suid, who.fsuid, who.gid, who.egid, who.sgid, who.fsgid,
    )
}

fn memory(subject: &Subject) -> String {
    let memory = subject.process.memory.statistics();
    let rows = [
        ("VmPeak", memory.mapped),
        ("VmSize", memory.mapped),
        ("VmLck", memory.locked),
        ("VmPin", 0),
        ("VmHWM", memory.peak),
        ("VmRSS", memory.charged),
        ("RssAnon", memory.charged),
        ("RssFile", 0),
        ("RssShmem", 0),
        ("VmData", memory.data),
        ("VmStk", memory.stack),
        ("VmExe", memory.text),
        ("VmLib", 0),
        ("VmPTE", 0),
        ("VmSwap", 0),
    ];
    let mut text = String::new();
    for (name, bytes) in rows {
        let _ = writeln!(text, "{name}:\t{:>8} kB", bytes / 1024);
    }
    text
}

fn signals(subject: &Subject) -> String {
    let Subject { process, thread, .. } = subject;
    let (caught, ignored) = process.signals.actions().caught_and_ignored();
    let limit = process.limits.soft(Resource::PendingSignals);
    let threads = process.threads.lock().len();
    format!(
        "Threads:\t{threads}\nSigQ:\t0/{limit}\nSigPnd:\t{:016x}\nShdPnd:\t{:016x}\n\
         SigBlk:\t{:016x}\nSigIgn:\t{:016x}\nSigCgt:\t{:016x}\n",
        thread.signals.pending().bits(),
        process.signals.pending().bits(),
        thread.signals.blocked().bits(),
        ignored.bits(),
        caught.bits(),
    )
}

fn rights(subject: &Subject) -> String {
    let who = Arc::clone(&subject.process.credentials.lock());
    let all = Capabilities::ALL.bits();
    let [inheritable, permitted, effective] =
        [who.inheritable, who.permitted, who.effective].map(|set| set.bits() & all);
    let vcpus = subject.kernel.executor.vcpus();
    let every = u64::MAX >> (64 - vcpus.clamp(1, 64));
    let allowed = subject.thread.task().map_or(u64::MAX, |task| task.allowed()) & every;
    let privileges = u8::from(subject.thread.attributes.get().no_new_privileges);
    let (mode, filters) = subject.thread.seccomp.get().shown();
    format!(
        "CapInh:\t{inheritable:016x}\nCapPrm:\t{permitted:016x}\nCapEff:\t{effective:016x}\n\
         CapBnd:\t{all:016x}\n\
         CapAmb:\t{:016x}\nNoNewPrivs:\t{privileges}\nSeccomp:\t{mode}\nSeccomp_filters:\t{filters}\n\
         Cpus_allowed:\t{allowed:x}\nCpus_allowed_list:\t{}\nMems_allowed:\t1\n\
         Mems_allowed_list:\t0\nvoluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n",
        0,
        ranges(allowed),
    )
}

/// A mask as a list of ranges: `0-3,6`.
fn ranges(mask: u64) -> String {
    let mut text = String::new();
    let mut bit = 0;
    while bit < 64 {
        if mask >> bit & 1 == 0 {
            bit += 1;
            continue;
        }
        let start = bit;
        while bit < 64 && mask >> bit & 1 == 1 {
            bit += 1;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let _ = match bit - start {
            1 => write!(text, "{comma}{start}"),
            _ => write!(text, "{comma}{start}-{}", bit - 1),
        };
    }
    text
}

/// The controlling terminal's number and the group in front of it: 0 and -1 without one.
fn terminal_of(process: &Process) -> (u64, i64) {
    match process.terminal() {
        Some(terminal) => (terminal.number(), terminal.seat().foreground().into()),
        None => (0, -1),
    }
}

#[cfg(test)]
mod tests {
    use super::ranges;

    #[test]
    fn masks_as_ranges() {
        assert_eq!(ranges(0), "");
        assert_eq!(ranges(0b1), "0");
        assert_eq!(ranges(0b1011_0111), "0-2,4-5,7");
        assert_eq!(ranges(u64::MAX), "0-63");
    }
}
