//! Character devices: null, zero, full, random, urandom, tty, ptmx.
//!
//! Source: null(4), full(4), random(4), tty(4).

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use executor::wait_queue::WaitQueue;
use platform::user::{Sink, Source};

use crate::anonymous::S_IFCHR;
use crate::object::{Attempt, IoctlArgument, Object, OpenFile, Stat};
use crate::terminal::{folder, pair};

/// ioctl of the random devices: bits of entropy in the pool.
const RNDGETENTCNT: u32 = 0x8004_5200;
/// What Linux says once its pool is ready.
const ENTROPY_BITS: i32 = 256;
/// Random bytes made at a time.
const RANDOM_CHUNK: usize = 256;

/// `/dev/random` can be watched with epoll, though it is always ready: nobody ever wakes this.
static ALWAYS_READY: WaitQueue = WaitQueue::new();

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Swallows all, gives nothing.
    Null,
    /// Gives zeros.
    Zero,
    /// Gives zeros, has no room.
    Full,
    /// Random bytes.
    Random,
    /// Random bytes; the same here, since neither ever waits.
    Urandom,
    /// The controlling terminal.
    Tty,
    /// Opens a new pair of pseudoterminals.
    Ptmx,
}

impl Kind {
    /// All of them, for the directory of devices.
    pub const ALL: [Self; 7] =
        [Self::Null, Self::Zero, Self::Full, Self::Random, Self::Urandom, Self::Tty, Self::Ptmx];

    /// Its name below `/dev`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Zero => "zero",
            Self::Full => "full",
            Self::Random => "random",
            Self::Urandom => "urandom",
            Self::Tty => "tty",
            Self::Ptmx => "ptmx",
        }
    }

    /// Its device number, `st_rdev`.
    pub const fn number(self) -> u64 {
        match self {
            Self::Null => 0x103,
            Self::Zero => 0x105,
            Self::Full => 0x107,
            Self::Random => 0x108,
            Self::Urandom => 0x109,
            Self::Tty => 0x500,
            Self::Ptmx => folder::PTMX,
        }
    }

    /// The device with a number.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// A device, apart from the name it was opened by.
pub struct Device {
    kind: Kind,
}

/// Opens the device with a number.
///
/// # Errors
/// ENXIO when there is none; ENOSPC for one pseudoterminal too many. What `/dev/tty` stands for, only the
/// caller's process knows: it is opened as itself, and who opened it puts the terminal in its place.
pub fn open(number: u64) -> Result<Arc<dyn Object>> {
    match Kind::from_number(number) {
        Some(Kind::Ptmx) => pair::open_master(),
        Some(kind) => Ok(Arc::new(Device { kind })),
        None => Err(Errno::ENXIO.because("no device has this number")),
    }
}

impl Device {
    /// Which device it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl Object for Device {
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        match self.kind {
            Kind::Null | Kind::Tty | Kind::Ptmx => Ok(0),
            Kind::Zero | Kind::Full => {
                let room = sink.room();
                Ok(sink.put_zeros(room))
            }
            Kind::Random | Kind::Urandom => Ok(put_random(sink)),
        }
    }

    fn write(
        &self,
        _open: &OpenFile,
        offset: Option<u64>,
        source: &mut dyn Source,
    ) -> Attempt<(usize, u64)> {
        let position = offset.unwrap_or(0);
        match self.kind {
            // As on Linux the bytes aren't even looked at: a bad address is no error.
            Kind::Null | Kind::Zero | Kind::Tty | Kind::Ptmx => Ok((source.skip_all(), position)),
            Kind::Full => {
                Err(Errno::ENOSPC.because("the device for trying out a full disk").into())
            }
            Kind::Random | Kind::Urandom => Ok((mix(source), position)),
        }
    }

    fn seekable(&self) -> bool {
        true
    }

    fn ignores_seeks(&self) -> bool {
        true
    }

    fn stat(&self) -> Result<Stat> {
        Ok(Stat {
            mode: S_IFCHR | 0o666,
            links: 1,
            rdev: self.kind.number(),
            block_size: 4096,
            ..Stat::default()
        })
    }

    fn readiness(&self) -> Option<&WaitQueue> {
        (self.kind == Kind::Random).then_some(&ALWAYS_READY)
    }

    fn ioctl(
        &self,
        _open: &OpenFile,
        request: u32,
        argument: &mut dyn IoctlArgument,
    ) -> Result<u64> {
        match (self.kind, request) {
            (Kind::Random | Kind::Urandom, RNDGETENTCNT) => {
                argument.write(&ENTROPY_BITS.to_le_bytes())?;
                Ok(0)
            }
            (Kind::Random | Kind::Urandom, _) => {
                Err(Errno::EINVAL.because("the random devices have no such control"))
            }
            _ => Err(Errno::ENOTTY.because("what was opened has no such control")),
        }
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn put_random(sink: &mut dyn Sink) -> usize {
    let mut done = 0;
    while sink.room() > 0 {
        let mut chunk = [0; RANDOM_CHUNK];
        let part = sink.room().min(chunk.len());
        platform::random::fill(&mut chunk[..part]);
        let put = sink.put(&chunk[..part]);
        done += put;
        if put < part {
            break;
        }
    }
    done
}

/// Stirs the program's bytes into the seed, which the processor's own randomness covers anyway.
fn mix(source: &mut dyn Source) -> usize {
    let mut done = 0;
    loop {
        let mut word = [0; 8];
        let taken = source.take(&mut word);
        if taken == 0 {
            return done;
        }
        platform::random::init(u64::from_le_bytes(word));
        done += taken;
    }
}

#[cfg(test)]
mod tests;
