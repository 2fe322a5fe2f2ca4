//! Device files and other special files of a tree.

use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;

use super::attributes::Attributes;
use super::change;
use crate::credentials::Owner;
use crate::mount::{Flags, Place};
use crate::node::{Answer, Change, Kind, Node, Opened, Volume};
use crate::object::{Attempt, Object, Stat, Status};

/// A device file, named pipe or socket.
pub(crate) struct Special {
    pub(super) volume: Arc<Volume>,
    pub(super) attributes: Attributes,
    pub(super) kind: Kind,
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

    fn change(&self, change: Change) -> Answer<'_, ()> {
        change::change(&self.attributes, None, change)
    }

    fn open(self: Arc<Self>, place: &Place, _status: Status) -> Attempt<Opened> {
        if place.mount.flags().contains(Flags::NO_DEVICES) {
            return Err(Errno::EACCES.because("device files can't be opened on this mount"))?;
        }
        match self.kind {
            Kind::Character => Ok(Opened::Object(crate::device::open(self.attributes.rdev)?)),
            Kind::Block => Err(Errno::ENXIO.because("no block device has this number"))?,
            _ => Err(Errno::ENXIO.because("named pipes and sockets can't be opened yet"))?,
        }
    }
}
