//! Signal-driven I/O: a descriptor's owner gets a signal when something can be done with it.
//!
//! Source: fcntl(2), "Managing signals".

use alloc::sync::{Arc, Weak};
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use executor::wait_queue::Subscription;
use vfs::driven::{Band, Kind, Owner};
use vfs::object::{Events, OpenFile};

use crate::Kernel;
use crate::process::Process;
use crate::signal::info::Info;
use crate::signal::number::Signal;
use crate::signal::send;

/// Sends the signals of one description.
struct Sender {
    kernel: &'static Kernel,
    file: Weak<OpenFile>,
    /// The number by which signals were asked for.
    fd: i32,
    /// What a wake-up means; `None`: poll tells.
    band: Option<Band>,
    /// Could be written when last looked at.
    writable: AtomicBool,
}

/// Asks for signals about `file` wherever it can tell; none: it has no signal-driven I/O.
pub fn subscribe(kernel: &'static Kernel, file: &Arc<OpenFile>, fd: i32) -> Vec<Subscription> {
    let sources = file.object().signal_sources();
    let subscribed = sources.into_iter().map(|(queue, band)| {
        let writable = AtomicBool::new(file.poll().contains(Events::OUT));
        let sender = Sender { kernel, file: Arc::downgrade(file), fd, band, writable };
        queue.subscribe(Arc::new(sender).into())
    });
    subscribed.collect()
}

/// Whether the owner of a description is there: a thread, a process, or anybody in a group.
pub fn is_there(kernel: &Kernel, kind: Kind, id: u32) -> bool {
    match kind {
        Kind::Thread => kernel.registry.thread(id).is_some(),
        Kind::Process => kernel.registry.process(id).is_some(),
        Kind::Group => !group(kernel, id).is_empty(),
    }
}

fn group(kernel: &Kernel, id: u32) -> Vec<Arc<Process>> {
    let mut processes = kernel.registry.processes();
    processes.retain(|process| process.group.load(Ordering::Relaxed) == id);
    processes
}

impl Sender {
    /// What a wake-up means; `None`: nothing that a signal is sent for.
    fn band(&self, file: &OpenFile) -> Option<Band> {
        if self.band.is_some() {
            return self.band;
        }
        let events = file.poll();
        let writable = events.contains(Events::OUT);
        let was_writable = self.writable.swap(writable, Ordering::Relaxed);
        if events.contains(Events::HUP) {
            Some(Band::Hangup)
        } else if events.contains(Events::IN) {
            Some(Band::In)
        } else {
            (writable && !was_writable).then_some(Band::Out)
        }
    }

    fn send(&self, owner: Owner, band: Band) {
        match owner.kind {
            Kind::Thread => {
                if let Some(thread) = self.kernel.registry.thread(owner.id)
                    && may_send(owner, &thread.process)
                {
                    each(owner.signal, self.fd, band, |info| {
                        send::send_to_thread(self.kernel, &thread, info).is_ok()
                    });
                }
            }
            Kind::Process => {
                if let Some(process) = self.kernel.registry.process(owner.id) {
                    self.send_to(&process, owner, band);
                }
            }
            Kind::Group => {
                for process in group(self.kernel, owner.id) {
                    self.send_to(&process, owner, band);
                }
            }
        }
    }

    fn send_to(&self, process: &Arc<Process>, owner: Owner, band: Band) {
        if may_send(owner, process) {
            each(owner.signal, self.fd, band, |info| {
                send::send_to_process(self.kernel, process, info).is_ok()
            });
        }
    }
}

/// The signals to try, until one can be sent: where the queue is full, a plain SIGIO stands for it.
fn each(signal: u8, fd: i32, band: Band, mut send: impl FnMut(Info) -> bool) {
    let chosen = Signal::new(signal.into());
    let told = chosen.map(|signal| Info::ready(signal, band as i32, band.events(), fd));
    if !told.is_some_and(&mut send) {
        send(Info::kernel(Signal::IO));
    }
}

/// Whether who made somebody the owner may send signals to it.
fn may_send(owner: Owner, process: &Process) -> bool {
    let target = Arc::clone(&process.credentials.lock());
    let [uid, euid] = owner.users;
    euid == 0 || [uid, euid].iter().any(|user| *user == target.suid || *user == target.uid)
}

impl Wake for Sender {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(file) = self.file.upgrade() else { return };
        let owner = file.owner();
        if let Some(band) = self.band(&file)
            && owner.id != 0
        {
            self.send(owner, band);
        }
    }
}
