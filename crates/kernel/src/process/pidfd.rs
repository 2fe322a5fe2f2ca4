//! Descriptors of processes and threads: they become readable when what they stand for has ended.
//!
//! A descriptor keeps nothing alive: it knows its process weakly, and a thread that ends tells the
//! descriptors that stand for it, so that a number given anew is never taken for the old one.
//!
//! Source: `pidfd_open(2)`, `linux/pidfd.h`.

use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::{Error, Result};
use executor::wait_queue::WaitQueue;
use platform::sync::Mutex;
use vfs::anonymous::{Identity, Owner};
use vfs::object::{Events, IoctlArgument, Object, OpenFile, Stat, Status};

use crate::process::{Process, Thread};

/// `PIDFD_THREAD`, which is `O_EXCL`.
pub const THREAD: u32 = 0o200;
/// Permissions that stat(2) tells, and the device number.
const MODE: u32 = 0o700;
const DEVICE: u64 = 5;

/// Type of the controls, and the number of the one that tells about a process.
const IOCTLS: u32 = 0xff;
const GET_INFO: u32 = 11;
/// The controls that give a namespace: 1 to 10.
const NAMESPACES: core::ops::RangeInclusive<u32> = 1..=10;
/// `FS_IOC_GETVERSION`.
const GET_VERSION: u32 = 0x8008_7601;
/// Bytes of `struct pidfd_info`: its first version, and the present one.
const INFO_MIN: usize = 64;
const INFO_SIZE: usize = 72;
/// What the info holds: ids, credentials, control group, how it ended, what of a dump.
const HAS_PID: u64 = 1;
const HAS_CREDENTIALS: u64 = 2;
const HAS_GROUP: u64 = 4;
const HAS_EXIT: u64 = 8;
const HAS_DUMP: u64 = 16;
/// The number of the only control group.
const CONTROL_GROUP: u64 = 1;

/// [`PidFd::ended`]: it lives.
const ALIVE: u64 = u64::MAX;

/// Woken whenever a thread has ended that a descriptor stands for.
static ENDED: WaitQueue = WaitQueue::new();
/// The descriptors that stand for threads which have not ended.
static WATCHED: Mutex<Vec<Weak<PidFd>>> = Mutex::new(Vec::new());

/// Stands for a process or for one thread.
pub struct PidFd {
    process: Weak<Process>,
    /// The thread's number, or the process's.
    number: u32,
    of_thread: bool,
    /// How the thread ended, as wait(2) tells it, or [`ALIVE`].
    ended: AtomicU64,
    identity: Identity,
}

/// Opens a descriptor; `status` may hold NONBLOCK and [`THREAD`].
///
/// # Errors
/// ESRCH when the thread is gone.
pub fn open(process: &Arc<Process>, number: u32, status: u32) -> Result<Arc<OpenFile>> {
    let of_thread = status & THREAD != 0;
    let object = Arc::new(PidFd {
        process: Arc::downgrade(process),
        number,
        of_thread,
        ended: AtomicU64::new(ALIVE),
        identity: Identity::new(Owner::default()),
    });
    if of_thread {
        let mut watched = WATCHED.lock();
        watched.retain(|one| one.strong_count() > 0);
        watched.push(Arc::downgrade(&object));
        drop(watched);
        // It may have ended before it was watched.
        object.thread()?;
    }
    Ok(OpenFile::new(object, Status::from_bits_retain(status) | Status::READ_WRITE, None))
}

/// Tells the descriptors of a thread that it has ended; `status` as wait(2) tells it.
pub fn thread_ended(tid: u32, status: u32) {
    let mut watched = WATCHED.lock();
    if watched.is_empty() {
        return;
    }
    watched.retain(|one| {
        let Some(one) = one.upgrade() else { return false };
        if one.number != tid {
            return true;
        }
        one.ended.store(status.into(), Ordering::Release);
        false
    });
    drop(watched);
    ENDED.wake_all();
}

fn gone() -> Error {
    Errno::ESRCH.because("what the descriptor stands for has ended")
}

impl PidFd {
    /// The number of what it stands for, as long as that lives.
    pub fn living_number(&self) -> Option<u32> {
        self.process().is_ok().then_some(self.number)
    }

    /// Whether it stands for one thread.
    pub fn is_of_thread(&self) -> bool {
        self.of_thread
    }

    /// The process of what it stands for.
    ///
    /// # Errors
    /// ESRCH when what it stands for has ended.
    pub fn process(&self) -> Result<Arc<Process>> {
        if self.ended.load(Ordering::Acquire) != ALIVE {
            return Err(gone());
        }
        self.process.upgrade().ok_or(gone())
    }

    /// The thread that it stands for, of a process the first one.
    ///
    /// # Errors
    /// ESRCH when that has ended.
    pub fn thread(&self) -> Result<Arc<Thread>> {
        let process = self.process()?;
        let thread = process.threads.lock().get(&self.number).cloned();
        thread.ok_or(gone())
    }

    /// The control that tells about a process, with as many bytes as were asked for.
    fn tell(&self, size: usize, argument: &mut dyn IoctlArgument) -> Result<u64> {
        if argument.value() == 0 {
            return Err(Errno::EINVAL.because("nowhere to write to"));
        }
        let mut wanted = [0; 8];
        argument.read(&mut wanted)?;
        let wanted = u64::from_le_bytes(wanted);
        let mut info = [0_u8; INFO_SIZE];
        let ended = self.ended.load(Ordering::Acquire);
        let mask = if ended == ALIVE {
            self.describe(wanted, &mut info)?
        } else if wanted & HAS_EXIT != 0 {
            info[60..64].copy_from_slice(&ended.to_le_bytes()[..4]);
            HAS_EXIT | HAS_GROUP
        } else {
            return Err(gone());
        };
        info[0..8].copy_from_slice(&mask.to_le_bytes());
        info[8..16].copy_from_slice(&CONTROL_GROUP.to_le_bytes());
        let mut bytes = alloc::vec![0; size];
        let known = size.min(INFO_SIZE);
        bytes[..known].copy_from_slice(&info[..known]);
        argument.write(&bytes).map(|()| 0)
    }

    /// Writes down what is known of a living process; gives what that is.
    fn describe(&self, wanted: u64, info: &mut [u8; INFO_SIZE]) -> Result<u64> {
        let process = self.process()?;
        let who = Arc::clone(&process.credentials.lock());
        let parent = process.parent.load(Ordering::Relaxed);
        let ids = [self.number, process.pid, parent];
        let identities =
            [who.uid, who.gid, who.euid, who.egid, who.suid, who.sgid, who.fsuid, who.fsgid];
        for (index, word) in ids.iter().chain(&identities).enumerate() {
            info[16 + 4 * index..20 + 4 * index].copy_from_slice(&word.to_le_bytes());
        }
        let mut mask = HAS_PID | HAS_CREDENTIALS | HAS_GROUP;
        if wanted & HAS_DUMP != 0 {
            mask |= HAS_DUMP;
            // Dumped as its user, as root, or not at all.
            let dump = match process.dumpable.load(Ordering::Relaxed) {
                1 => 1_u32 << 2,
                2 => 1 << 3,
                _ => 1 << 1,
            };
            info[64..68].copy_from_slice(&dump.to_le_bytes());
        }
        Ok(mask)
    }
}

impl Object for PidFd {
    fn stat(&self) -> Result<Stat> {
        let stat = self.identity.other();
        // The same for each descriptor of one process or thread.
        Ok(Stat { mode: MODE, device: DEVICE, inode: u64::from(self.number), ..stat })
    }

    fn poll(&self, _open: &OpenFile) -> Events {
        if self.process().is_ok() {
            Events::empty()
        } else {
            Events::IN | Events::RDNORM | Events::HUP
        }
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        Some(&ENDED)
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        let (kind, number) = (request >> 8 & 0xff, request & 0xff);
        let size = usize::try_from(request >> 16 & 0x3fff).unwrap_or(0);
        if request == GET_VERSION {
            if argument.value() == 0 {
                return Err(Errno::EINVAL.because("nowhere to write to"));
            }
            return argument.write(&0_u32.to_le_bytes()).map(|()| 0);
        }
        if kind == IOCTLS && number == GET_INFO && request >> 30 == 3 && size >= INFO_MIN {
            return self.tell(size, argument);
        }
        if kind == IOCTLS && NAMESPACES.contains(&number) && request >> 16 == 0 {
            self.process()?;
            return Err(Errno::EOPNOTSUPP.because("namespaces are not supported"));
        }
        Err(Errno::ENOTTY.because("a process's descriptor has no such control"))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
