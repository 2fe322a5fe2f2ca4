//! `/proc/PID/fd` and `/proc/PID/fdinfo`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::epoll::Epoll;
use vfs::eventfd::{self, EventFd};
use vfs::lock::Holder;
use vfs::node::{Followed, Kind, Opened};
use vfs::notify::inotify::Inotify;
use vfs::object::{OpenFile, Status};
use vfs::pipe;
use vfs::secret::Secret;
use vfs::socketpair::Socket;
use vfs::stream::{Nature, Stream};
use vfs::timerfd::TimerFd;

use super::node::{self, Item, Link, Listing, Row};
use super::process::Name;
use super::system::number;
use crate::process::pidfd::PidFd;
use crate::signal::descriptor::SignalFd;

/// Bit of `flags` in fdinfo: closed at execve(2).
const CLOEXEC: u32 = 0o2_000_000;

/// Which of the two folders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// Links to what is open.
    Links,
    /// Files with positions and flags.
    Info,
}

/// The folder.
pub(super) struct Descriptors {
    pub(super) name: Name,
    pub(super) show: Show,
}

impl Listing for Descriptors {
    fn find(&self, name: &[u8]) -> Option<Item> {
        let fd = i32::try_from(number(name)?).ok()?;
        let process = self.name.process().ok()?;
        process.files.get(fd).ok()?;
        let one = Descriptor { name: self.name, fd };
        Some(match self.show {
            Show::Links => Item::Link(Box::new(one)),
            Show::Info => Item::text(move || one.info()),
        })
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        let kind = if self.show == Show::Links { Kind::Link } else { Kind::File };
        let Ok(process) = self.name.process() else { return Vec::new() };
        let open = process.files.list();
        open.iter()
            .map(|(fd, _)| *fd)
            .filter(|fd| u64::from(*fd) >= position)
            .map(|fd| Row { position: fd.into(), name: format!("{fd}").into_bytes(), kind })
            .collect()
    }

    fn owner(&self) -> (u32, u32) {
        self.name.owner()
    }
}

/// One descriptor.
struct Descriptor {
    name: Name,
    fd: i32,
}

impl Descriptor {
    fn file(&self) -> Result<Arc<OpenFile>> {
        self.name.process()?.files.get(self.fd).map_err(|_| Errno::ENOENT.into())
    }

    fn info(&self) -> Result<Vec<u8>> {
        let process = self.name.process()?;
        let file = self.file()?;
        let mut flags = file.status().bits();
        if process.files.on_exec(self.fd) == Ok(OnExec::Close) {
            flags |= CLOEXEC;
        }
        let position = *file.position().lock();
        let mount = file.place().map_or(0, |place| place.mount.id);
        let inode = file.object().stat().map_or(0, |stat| stat.inode);
        let mut text =
            format!("pos:\t{position}\nflags:\t0{flags:o}\nmnt_id:\t{mount}\nino:\t{inode}\n");
        if let Some(locks) = file.place().and_then(|place| place.node().locks()) {
            let process = Holder::Process(process.pid);
            for (number, lock) in (1..).zip(locks.of(process, file.identity())) {
                let _ = writeln!(text, "lock:\t{number}: {lock}");
            }
        }
        text += &details(&file);
        Ok(text.into_bytes())
    }
}

/// What fdinfo tells of an object besides.
fn details(file: &OpenFile) -> String {
    if let Some(event) = file.downcast::<EventFd>() {
        let (count, kind) = event.state();
        let semaphore = u8::from(kind == eventfd::Kind::Semaphore);
        return format!("eventfd-count: {count:16x}\neventfd-semaphore: {semaphore}\n");
    }
    if let Some(timer) = file.downcast::<TimerFd>() {
        let setting = timer.setting();
        let part = |time: u64| {
            let second = platform::clock::SECOND;
            format!("({}, {})", time / second, time % second)
        };
        return format!(
            "clockid: {}\nticks: {}\nsettime flags: 00\nit_value: {}\nit_interval: {}\n",
            timer.clock_id(),
            timer.expirations(),
            part(setting.remaining),
            part(setting.interval),
        );
    }
    if let Some(signals) = file.downcast::<SignalFd>() {
        return format!("sigmask:\t{:016x}\n", signals.wanted().bits());
    }
    if let Some(process) = file.downcast::<PidFd>() {
        let number = process.living_number().map_or(-1, i64::from);
        return format!("Pid:\t{number}\nNSpid:\t{number}\n");
    }
    if let Some((_, details)) = file.object().shown() {
        return details;
    }
    let mut text = String::new();
    if let Some(queue) = file.downcast::<Inotify>() {
        for watch in queue.watches() {
            let _ = writeln!(
                text,
                "inotify wd:{:x} ino:{:x} sdev:{:x} mask:{:x} ignored_mask:0 ",
                watch.descriptor,
                watch.stat.inode,
                watch.stat.device,
                watch.mask.bits()
            );
        }
    }
    if let Some(set) = file.downcast::<Epoll>() {
        for (fd, interest, file) in set.list() {
            let stat = file.object().stat().unwrap_or_default();
            let position = *file.position().lock();
            let _ = writeln!(
                text,
                "tfd: {fd:8} events: {:8x} data: {:16x}  pos:{position} ino:{:x} sdev:{:x}",
                interest.events, interest.data, stat.inode, stat.device
            );
        }
    }
    text
}

impl Link for Descriptor {
    fn follow(&self) -> Result<Followed> {
        let file = self.file()?;
        let place = match file.place() {
            Some(place) => place.clone(),
            None => node::place_of(file),
        };
        Ok(Followed::Place(place))
    }

    fn text(&self) -> Result<Vec<u8>> {
        let process = self.name.process()?;
        let file = self.file()?;
        if let Some(place) = file.place() {
            let root = process.directories.lock().root.clone();
            return Ok(super::process::path_text(place, &root));
        }
        Ok(unnamed(&file).into_bytes())
    }
}

/// What an object without a path is called.
fn unnamed(file: &OpenFile) -> String {
    let inode = || file.object().stat().map_or(0, |stat| stat.inode);
    if let Some(end) = file.downcast::<pipe::End>() {
        format!("pipe:[{}]", end.inode())
    } else if let Some(socket) = file.downcast::<Socket>() {
        format!("socket:[{}]", socket.inode())
    } else if let Some(stream) = file.downcast::<Stream>() {
        match stream.nature() {
            Nature::Terminal => "/dev/tty".into(),
            Nature::File => format!("file:[{}]", inode()),
            Nature::Device => "/dev/null".into(),
            Nature::Flow => format!("pipe:[{}]", inode()),
        }
    } else if file.downcast::<EventFd>().is_some() {
        "anon_inode:[eventfd]".into()
    } else if file.downcast::<Epoll>().is_some() {
        "anon_inode:[eventpoll]".into()
    } else if file.downcast::<TimerFd>().is_some() {
        "anon_inode:[timerfd]".into()
    } else if file.downcast::<Inotify>().is_some() {
        "anon_inode:inotify".into()
    } else if file.downcast::<Secret>().is_some() {
        vfs::secret::PATH.into()
    } else if file.downcast::<SignalFd>().is_some() {
        "anon_inode:[signalfd]".into()
    } else if file.downcast::<PidFd>().is_some() {
        "anon_inode:[pidfd]".into()
    } else if let Some((name, _)) = file.object().shown() {
        format!("anon_inode:{name}")
    } else {
        format!("anon_inode:[{}]", inode())
    }
}

/// Opens once more what a description without a path stands for.
///
/// # Errors
/// ENXIO for what can be opened only once, as on Linux.
pub(super) fn open_again(file: &Arc<OpenFile>, status: Status) -> Result<Opened> {
    if let Some(end) = file.downcast::<pipe::End>() {
        return Ok(Opened::Object(end.pipe().end(status)));
    }
    if file.downcast::<Stream>().is_some() {
        return Ok(Opened::Object(Arc::clone(file.object())));
    }
    Err(Errno::ENXIO.because("the object has no path and can't be opened once more"))
}
