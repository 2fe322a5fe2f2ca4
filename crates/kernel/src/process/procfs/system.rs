//! What is not of one process: the root of `/proc`, and `/proc/sys`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use platform::clock::SECOND;
use platform::sync::{Mutex, Once};
use platform::{budget, clock, random};
use vfs::node::Kind;

use super::node::{Fixed, Item, Listing, Make, PathLink, Row, constant, folder, link, made};
use super::process::ProcessFolder;
use super::{TICK, caller, cpu};
use crate::Kernel;

/// What uname(2) calls the system.
pub const SYSTEM: &str = "Linux";
/// The version of Linux whose behaviour is meant.
pub const RELEASE: &str = "6.18.0-adyton";
/// What uname(2) calls the version.
pub const VERSION: &str = "#1 SMP PREEMPT_DYNAMIC Adyton";

/// Positions from here on are those of processes, by number.
const PROCESSES: u64 = 4096;

/// The controllers of `/sys/fs/cgroup`, of the second version: hierarchy 0, one group.
const CONTROLLERS: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t0\t1\t1\n\
                           memory\t0\t1\t1\npids\t0\t1\t1\n";
/// This start's random name, `/proc/sys/kernel/random/boot_id`.
static BOOT_ID: Once<String> = Once::new();

struct Root {
    kernel: &'static Kernel,
    fixed: Fixed,
}

/// The root folder.
pub(super) fn root(kernel: &'static Kernel) -> Box<dyn Listing> {
    let fixed = Fixed(alloc::vec![
        ("cgroups", constant(CONTROLLERS)),
        ("cmdline", constant("\n")),
        ("cpuinfo", made(move || cpu::info(kernel))),
        ("filesystems", made(file_systems)),
        ("loadavg", made(move || load(kernel))),
        ("locks", made(|| vfs::lock::shown::all().into_bytes())),
        ("meminfo", made(memory)),
        ("mounts", link("self/mounts")),
        ("self", myself(kernel)),
        ("stat", made(move || cpu::stat(kernel))),
        ("swaps", constant("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n")),
        ("sys", sys(kernel)),
        ("thread-self", my_thread(kernel)),
        ("uptime", made(move || uptime(kernel))),
        ("version", made(version)),
    ]);
    Box::new(Root { kernel, fixed })
}

impl Listing for Root {
    fn find(&self, name: &[u8]) -> Option<Item> {
        if let Some(item) = self.fixed.find(name) {
            return Some(item);
        }
        let pid = number(name)?;
        // Threads can be named too, though they are not listed.
        let folder = ProcessFolder::new(self.kernel, &*self.kernel.registry.thread(pid)?, None);
        Some(Item::Folder(Box::new(folder)))
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        if position < PROCESSES {
            let rows = self.fixed.rows(position);
            if !rows.is_empty() {
                return rows;
            }
        }
        let from = position.saturating_sub(PROCESSES);
        let processes = self.kernel.registry.processes();
        processes
            .iter()
            .map(|process| process.pid)
            .filter(|pid| u64::from(*pid) >= from)
            .map(|pid| Row {
                position: PROCESSES + u64::from(pid),
                name: format!("{pid}").into_bytes(),
                kind: Kind::Directory,
            })
            .collect()
    }
}

/// A number as a name: decimal, without anything else.
pub(super) fn number(name: &[u8]) -> Option<u32> {
    let text = core::str::from_utf8(name).ok()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

fn myself(kernel: &'static Kernel) -> Make {
    Box::new(move || {
        Item::Link(Box::new(PathLink(move || {
            let thread = caller(kernel).ok_or(abi::Errno::ENOENT)?;
            Ok(format!("{}", thread.process.pid).into_bytes())
        })))
    })
}

fn my_thread(kernel: &'static Kernel) -> Make {
    Box::new(move || {
        Item::Link(Box::new(PathLink(move || {
            let thread = caller(kernel).ok_or(abi::Errno::ENOENT)?;
            Ok(format!("{}/task/{}", thread.process.pid, thread.tid).into_bytes())
        })))
    })
}

fn version() -> Vec<u8> {
    format!("{SYSTEM} version {RELEASE} (adyton) {VERSION}\n").into_bytes()
}

fn uptime(kernel: &Kernel) -> Vec<u8> {
    // The clock that CLOCK_BOOTTIME shows.
    let up = clock::now();
    let vcpus = kernel.executor.vcpus() as u64;
    let idle = up.saturating_mul(vcpus).saturating_sub(cpu::used(kernel));
    let part = |time: u64| format!("{}.{:02}", time / SECOND, time % SECOND / (SECOND / 100));
    format!("{} {}\n", part(up), part(idle)).into_bytes()
}

/// No averages are kept: they are told as 0; running and all threads, and the last process.
fn load(kernel: &Kernel) -> Vec<u8> {
    let processes = kernel.registry.processes();
    let last = processes.iter().map(|process| process.pid).max().unwrap_or(0);
    let (running, all) = cpu::threads(kernel);
    format!("0.00 0.00 0.00 {running}/{all} {last}\n").into_bytes()
}

fn memory() -> Vec<u8> {
    let limit = budget::limit();
    let free = limit.saturating_sub(budget::total());
    let rows = [
        ("MemTotal", limit),
        ("MemFree", free),
        ("MemAvailable", free),
        ("Buffers", 0),
        ("Cached", budget::used(budget::Purpose::Frames)),
        ("SwapCached", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Dirty", 0),
        ("Writeback", 0),
        ("CommitLimit", limit),
        ("Committed_AS", budget::total()),
    ];
    let mut text = String::new();
    for (name, bytes) in rows {
        let _ = writeln!(text, "{:<16}{:>8} kB", format!("{name}:"), bytes / 1024);
    }
    text += "HugePages_Total:       0\nHugePages_Free:        0\nHugepagesize:       2048 kB\n";
    text.into_bytes()
}

fn sys(kernel: &'static Kernel) -> Make {
    folder(alloc::vec![
        ("fs", folder(fs())),
        ("kernel", folder(kernel_settings(kernel))),
        ("net", folder(net())),
        ("vm", folder(vm())),
    ])
}

fn fs() -> Vec<(&'static str, Make)> {
    let watches = || format!("{}\n", vfs::epoll::most_watches()).into_bytes();
    alloc::vec![
        ("epoll", folder(alloc::vec![("max_user_watches", made(watches))])),
        ("file-max", constant("9223372036854775807\n")),
        ("inotify", folder(inotify())),
        ("file-nr", constant("0\t0\t9223372036854775807\n")),
        ("nr_open", constant("1048576\n")),
        ("pipe-max-size", constant("1048576\n")),
    ]
}

fn inotify() -> Vec<(&'static str, Make)> {
    use vfs::notify::inotify::{MAX_INSTANCES, MAX_QUEUED, MAX_WATCHES};
    let limit = |value: usize| made(move || format!("{value}\n").into_bytes());
    alloc::vec![
        ("max_queued_events", limit(MAX_QUEUED)),
        ("max_user_instances", limit(MAX_INSTANCES)),
        ("max_user_watches", limit(MAX_WATCHES)),
    ]
}

fn net() -> Vec<(&'static str, Make)> {
    alloc::vec![("core", folder(alloc::vec![("somaxconn", constant("4096\n"))]))]
}

/// `/proc/filesystems`.
fn file_systems() -> Vec<u8> {
    let lines = super::FILE_SYSTEMS.iter().map(|name| format!("nodev\t{name}\n"));
    lines.collect::<String>().into_bytes()
}

fn kernel_settings(kernel: &'static Kernel) -> Vec<(&'static str, Make)> {
    let name = |which: &'static Mutex<Vec<u8>>| {
        made(move || {
            let mut name = which.lock().clone();
            name.push(b'\n');
            name
        })
    };
    alloc::vec![
        ("cap_last_cap", constant("40\n")),
        ("core_pattern", constant("core\n")),
        ("domainname", name(&kernel.domainname)),
        ("hostname", name(&kernel.hostname)),
        ("ngroups_max", constant("65536\n")),
        ("osrelease", made(|| format!("{RELEASE}\n").into_bytes())),
        ("ostype", made(|| format!("{SYSTEM}\n").into_bytes())),
        ("overflowgid", constant("65534\n")),
        ("overflowuid", constant("65534\n")),
        ("pid_max", constant("4194304\n")),
        ("pty", folder(pseudoterminals())),
        ("random", folder(random_files())),
        ("randomize_va_space", constant("2\n")),
        ("threads-max", constant("4194303\n")),
        ("version", made(|| format!("{VERSION}\n").into_bytes())),
    ]
}

fn pseudoterminals() -> Vec<(&'static str, Make)> {
    use vfs::terminal::folder::{MOST, count};
    alloc::vec![
        ("max", made(|| format!("{MOST}\n").into_bytes())),
        ("nr", made(|| format!("{}\n", count()).into_bytes())),
        ("reserve", constant("1024\n")),
    ]
}

fn random_files() -> Vec<(&'static str, Make)> {
    alloc::vec![
        ("boot_id", made(|| boot_id().into_bytes())),
        ("entropy_avail", constant("256\n")),
        ("poolsize", constant("256\n")),
        ("uuid", made(|| uuid().into_bytes())),
    ]
}

fn vm() -> Vec<(&'static str, Make)> {
    alloc::vec![
        ("max_map_count", constant("65530\n")),
        ("mmap_min_addr", constant("65536\n")),
        ("overcommit_memory", constant("0\n")),
        ("overcommit_ratio", constant("50\n")),
    ]
}

fn boot_id() -> String {
    if BOOT_ID.get().is_none() {
        BOOT_ID.set(uuid());
    }
    BOOT_ID.get().cloned().unwrap_or_default()
}

/// A random UUID, version 4, with a newline.
fn uuid() -> String {
    let mut bytes = [0; 16];
    random::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::new();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

/// A tick count of a time in ns.
pub(super) fn ticks(time: u64) -> u64 {
    time / TICK
}
