//! Symbolic links of a tree.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use super::attributes::Attributes;
use super::change;
use super::lower::Origin;
use crate::credentials::{Credentials, Owner};
use crate::extended::Keeper;
use crate::mount::Place;
use crate::node::{Answer, Change, Followed, Kind, Node, Opened, Volume};
use crate::object::{Attempt, Object, Stat, Status, Stop, Waiting};

/// A symbolic link.
pub(crate) struct Symlink {
    pub(super) volume: Arc<Volume>,
    pub(super) attributes: Attributes,
    pub(super) origin: Option<Arc<Origin>>,
    len: u64,
    /// `None`: the layer below was not asked yet.
    target: Mutex<Option<Arc<[u8]>>>,
}

impl Symlink {
    pub(super) fn new(volume: Arc<Volume>, attributes: Attributes, target: &[u8]) -> Self {
        let len = target.len() as u64;
        Self { volume, attributes, origin: None, len, target: Mutex::new(Some(target.into())) }
    }

    pub(super) fn lower(
        volume: Arc<Volume>,
        attributes: Attributes,
        origin: Arc<Origin>,
        len: u64,
    ) -> Self {
        Self { volume, attributes, origin: Some(origin), len, target: Mutex::new(None) }
    }

    async fn ask(&self) -> Result<()> {
        let Some(origin) = &self.origin else { return Err(Errno::EIO.into()) };
        let path = origin.path();
        let target = origin.lower().read_link(&path).await?;
        *self.target.lock() = Some(target.into());
        Ok(())
    }
}

impl Object for Symlink {
    fn stat(&self) -> Result<Stat> {
        Ok(self.attributes.stat(&self.volume, self.len, || 0))
    }

    fn fill(&self, _offset: u64, _len: u64) -> Waiting<'_, Result<()>> {
        Box::pin(self.ask())
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Symlink {
    fn kind(&self) -> Kind {
        Kind::Link
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

    fn touch_changed(&self) {
        self.attributes.touch_changed();
    }

    fn follow(&self, _who: &Credentials) -> Attempt<Followed> {
        match &*self.target.lock() {
            Some(target) => {
                self.attributes.touch_accessed_always();
                Ok(Followed::Path(Arc::clone(target)))
            }
            None => Err(Stop::Fill { offset: 0, len: self.len }),
        }
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        change::change(&self.attributes, self.origin.as_ref(), change)
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Err(Errno::ELOOP.because("a symbolic link can't be opened"))?
    }
}
