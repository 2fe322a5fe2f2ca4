//! Device files and other special files of a tree.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;

use super::attributes::Attributes;
use super::change;
use super::lower::Origin;
use crate::credentials::Owner;
use crate::extended::Keeper;
use crate::lock::Locks;
use crate::mount::{Flags, Place};
use crate::node::{Answer, Change, Kind, Node, Opened, Volume};
use crate::object::{Attempt, Object, Stat, Status, Waiting};
use crate::pipe::Pipe;

/// A device file, named pipe or socket.
pub(crate) struct Special {
    pub(super) volume: Arc<Volume>,
    pub(super) attributes: Attributes,
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) kind: Kind,
    /// What flows through a named pipe.
    fifo: Option<Arc<Pipe>>,
    locks: Locks,
}

impl Special {
    pub(super) fn new(
        volume: Arc<Volume>,
        attributes: Attributes,
        kind: Kind,
        origin: Option<Arc<Origin>>,
    ) -> Self {
        let fifo = (kind == Kind::Pipe).then(|| Pipe::fifo(crate::anonymous::Owner::default()));
        Self { volume, attributes, origin, kind, fifo, locks: Locks::new() }
    }

    /// An end of a named pipe; the other side is waited for by who opens it.
    fn open_fifo(&self, status: Status) -> Attempt<Opened> {
        let pipe = self.fifo.as_ref().ok_or(Errno::ENXIO)?;
        let only_writes = status.contains(Status::WRITE);
        if only_writes && status.contains(Status::NONBLOCK) && pipe.ends().0 == 0 {
            return Err(Errno::ENXIO.because("nobody reads the named pipe"))?;
        }
        Ok(Opened::Object(pipe.end(status)))
    }
}

impl Object for Special {
    fn stat(&self) -> Result<Stat> {
        Ok(self.attributes.stat(&self.volume, 0, || 0))
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Special {
    fn kind(&self) -> Kind {
        self.kind
    }

    fn owner(&self) -> Owner {
        self.attributes.owner()
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.volume
    }

    fn extended(&self) -> Option<Keeper<'_>> {
        Some(super::keeper(&self.attributes, self.origin.as_ref()))
    }

    fn locks(&self) -> Option<&Locks> {
        Some(&self.locks)
    }

    fn touch_changed(&self) {
        self.attributes.touch_changed();
    }

    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        super::sync_all(self.origin.as_ref())
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        change::change(&self.attributes, self.origin.as_ref(), change)
    }

    fn open(self: Arc<Self>, place: &Place, status: Status) -> Attempt<Opened> {
        if self.kind == Kind::Pipe {
            return self.open_fifo(status);
        }
        if place.mount.flags().contains(Flags::NO_DEVICES) {
            return Err(Errno::EACCES.because("device files can't be opened on this mount"))?;
        }
        match self.kind {
            Kind::Character => Ok(Opened::Object(crate::device::open(self.attributes.rdev)?)),
            Kind::Block => Err(Errno::ENXIO.because("no block device has this number"))?,
            _ => Err(Errno::ENXIO.because("a socket can't be opened"))?,
        }
    }
}
