//! The folders of processes and threads.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::mount::Place;
use vfs::node::{Followed, Kind};

use super::descriptors::{Descriptors, Show};
use super::node::{Item, Link, Listing, Row, Text};
use super::pagemap::MapFiles;
use super::system::number;
use super::{mounts, pagemap, smaps, status};
use crate::Kernel;
use crate::process::{Process, Thread};

/// A process and one of its threads by number, so that an open file keeps neither alive.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) kernel: &'static Kernel,
    pid: u32,
    tid: u32,
}

/// The same, found.
pub(super) struct Subject {
    pub(super) kernel: &'static Kernel,
    pub(super) process: Arc<Process>,
    pub(super) thread: Arc<Thread>,
    /// One thread is meant, not the process.
    pub(super) alone: bool,
}

impl Name {
    /// The process.
    ///
    /// # Errors
    /// ESRCH when it has ended.
    pub(super) fn process(&self) -> Result<Arc<Process>> {
        self.kernel.registry.process(self.pid).ok_or(Errno::ESRCH.into())
    }

    /// The thread; where it stands for its process (not `alone`), another one when it has ended.
    fn thread(&self, process: &Process, alone: bool) -> Result<Arc<Thread>> {
        let named = self.kernel.registry.thread(self.tid);
        let any = || process.threads.lock().values().next().filter(|_| !alone).cloned();
        named.or_else(any).ok_or(Errno::ESRCH.into())
    }

    /// User and group whose files these are.
    pub(super) fn owner(&self) -> (u32, u32) {
        self.process().map_or((0, 0), |process| {
            let who = process.credentials.lock();
            (who.euid, who.egid)
        })
    }
}

type Read = fn(&Subject) -> Vec<u8>;

/// The files of a folder: name, permissions, text.
const FILES: [(&str, u32, Read); 31] = [
    ("auxv", 0o400, status::auxv),
    ("cgroup", 0o444, |_| b"0::/\n".to_vec()),
    ("clear_refs", 0o200, |_| Vec::new()),
    ("cmdline", 0o444, status::cmdline),
    ("comm", 0o644, status::comm),
    ("coredump_filter", 0o444, |_| b"00000033\n".to_vec()),
    ("cpuset", 0o444, |_| b"/\n".to_vec()),
    ("environ", 0o400, status::environ),
    ("gid_map", 0o444, |_| status::IDENTITY.to_vec()),
    ("io", 0o400, status::io),
    ("limits", 0o444, status::limits),
    ("loginuid", 0o444, |_| b"4294967295".to_vec()),
    ("maps", 0o444, status::maps),
    ("mountinfo", 0o444, mounts::mountinfo),
    ("mounts", 0o444, mounts::mounts),
    ("mountstats", 0o400, mounts::mountstats),
    ("numa_maps", 0o444, pagemap::numa_maps),
    ("oom_adj", 0o644, status::oom_old),
    ("oom_score", 0o444, status::oom_score),
    ("oom_score_adj", 0o644, status::oom),
    ("personality", 0o400, status::personality),
    ("sessionid", 0o444, |_| b"4294967295".to_vec()),
    ("setgroups", 0o444, |_| b"allow\n".to_vec()),
    ("smaps", 0o444, smaps::smaps),
    ("smaps_rollup", 0o444, smaps::rollup),
    ("stat", 0o444, status::stat),
    ("statm", 0o444, status::statm),
    ("status", 0o444, status::status),
    ("timerslack_ns", 0o444, status::timer_slack),
    ("uid_map", 0o444, |_| status::IDENTITY.to_vec()),
    ("wchan", 0o444, |_| b"0".to_vec()),
];

type Write = fn(&Subject, &[u8]) -> Result<()>;

/// Those that can be written.
const WRITABLE: [(&str, Write); 4] = [
    ("clear_refs", pagemap::clear_refs),
    ("comm", |subject, bytes| {
        status::set_name(&subject.thread, bytes);
        Ok(())
    }),
    ("oom_adj", |subject, bytes| {
        let privileged = status::adjusts_freely(subject);
        subject.process.oom.set_old(bytes, privileged)
    }),
    ("oom_score_adj", |subject, bytes| {
        let privileged = status::adjusts_freely(subject);
        subject.process.oom.set(bytes, privileged)
    }),
];

/// What else stands in a folder.
const OTHERS: [(&str, Kind); 9] = [
    ("cwd", Kind::Link),
    ("exe", Kind::Link),
    ("fd", Kind::Directory),
    ("fdinfo", Kind::Directory),
    ("map_files", Kind::Directory),
    ("mem", Kind::File),
    ("pagemap", Kind::File),
    ("root", Kind::Link),
    ("task", Kind::Directory),
];

/// The folder of a process, or of one of its threads.
pub(super) struct ProcessFolder {
    name: Name,
    alone: bool,
}

impl ProcessFolder {
    /// The folder of `thread`'s process; of the thread when it is named as one of that process.
    pub(super) fn new(kernel: &'static Kernel, thread: &Thread, of: Option<u32>) -> Self {
        let name = Name { kernel, pid: thread.process.pid, tid: thread.tid };
        Self { name, alone: of.is_some() }
    }

    fn subject(name: Name, alone: bool) -> Result<Subject> {
        let process = name.process()?;
        let thread = name.thread(&process, alone)?;
        Ok(Subject { kernel: name.kernel, process, thread, alone })
    }

    fn text(&self, permissions: u32, read: Read, write: Option<Write>) -> Item {
        let Self { name, alone } = *self;
        let write = write.map(|write| {
            let change = move |bytes: &[u8]| write(&Self::subject(name, alone)?, bytes);
            Box::new(change) as super::node::Write
        });
        let read = Box::new(move || Ok(read(&Self::subject(name, alone)?)));
        Item::Text(Text { permissions, read, write })
    }
}

impl Listing for ProcessFolder {
    fn find(&self, name: &[u8]) -> Option<Item> {
        let known = FILES.iter().find(|(known, ..)| known.as_bytes() == name);
        if let Some((known, permissions, read)) = known {
            let write = WRITABLE.iter().find(|(name, _)| name == known).map(|(_, write)| *write);
            return Some(self.text(*permissions, *read, write));
        }
        let of = self.name;
        let folder = |listing: Box<dyn Listing>| Some(Item::Folder(listing));
        let link = |which| Some(Item::Link(Box::new(PlaceLink { of, which })));
        match name {
            b"cwd" => link(Which::Current),
            b"exe" => link(Which::Program),
            b"root" => link(Which::Root),
            b"fd" => folder(Box::new(Descriptors { name: of, show: Show::Links })),
            b"fdinfo" => folder(Box::new(Descriptors { name: of, show: Show::Info })),
            b"map_files" if !self.alone => folder(Box::new(MapFiles(of))),
            b"pagemap" => {
                Some(Item::Pagemap(Box::new(move || Ok(Arc::clone(&of.process()?.memory)))))
            }
            b"mem" => Some(Item::Memory(Box::new(move || Ok(Arc::clone(&of.process()?.memory))))),
            b"task" if !self.alone => folder(Box::new(Tasks(of))),
            _ => None,
        }
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        let files = FILES.iter().map(|(name, ..)| (*name, Kind::File));
        let others = OTHERS
            .iter()
            .copied()
            .filter(|(name, _)| !self.alone || !matches!(*name, "task" | "map_files"));
        (0..)
            .zip(files.chain(others))
            .filter(|(at, _)| *at >= position)
            .map(|(position, (name, kind))| Row { position, name: name.as_bytes().to_vec(), kind })
            .collect()
    }

    fn owner(&self) -> (u32, u32) {
        self.name.owner()
    }
}

/// `/proc/PID/task`.
struct Tasks(Name);

impl Listing for Tasks {
    fn find(&self, name: &[u8]) -> Option<Item> {
        let thread = self.0.kernel.registry.thread(number(name)?)?;
        if thread.process.pid != self.0.pid {
            return None;
        }
        let folder = ProcessFolder::new(self.0.kernel, &thread, Some(self.0.pid));
        Some(Item::Folder(Box::new(folder)))
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        let Ok(process) = self.0.process() else { return Vec::new() };
        let threads = process.threads.lock();
        let from = u32::try_from(position).unwrap_or(u32::MAX);
        threads
            .range(from..)
            .map(|(tid, _)| Row {
                position: u64::from(*tid),
                name: format!("{tid}").into_bytes(),
                kind: Kind::Directory,
            })
            .collect()
    }

    fn owner(&self) -> (u32, u32) {
        self.0.owner()
    }
}

/// Which place of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Current,
    Program,
    Root,
}

/// A link straight to a place.
struct PlaceLink {
    of: Name,
    which: Which,
}

impl PlaceLink {
    fn place(&self, process: &Process) -> Result<Place> {
        match self.which {
            Which::Current => Ok(process.directories.lock().current.clone()),
            Which::Root => Ok(process.directories.lock().root.clone()),
            Which::Program => process.program.lock().place.clone().ok_or(Errno::ENOENT.into()),
        }
    }
}

impl Link for PlaceLink {
    fn follow(&self) -> Result<Followed> {
        Ok(Followed::Place(self.place(&*self.of.process()?)?))
    }

    fn text(&self) -> Result<Vec<u8>> {
        let process = self.of.process()?;
        let root = process.directories.lock().root.clone();
        Ok(path_text(&self.place(&process)?, &root))
    }
}

/// A place as links to it show it.
pub(super) fn path_text(place: &Place, root: &Place) -> Vec<u8> {
    let text = place.path(root);
    let mut bytes = text.bytes;
    if text.removed {
        bytes.extend_from_slice(b" (deleted)");
    }
    bytes
}
