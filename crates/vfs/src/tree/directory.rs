//! Directories of a tree.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use super::Shared;
use super::attributes::Attributes;
use super::change;
use super::children::{Child, Children};
use super::lower::Origin;
use crate::credentials::Owner;
use crate::dentry::Dentry;
use crate::extended::Keeper;
use crate::lock::Locks;
use crate::mount::Place;
use crate::node::{Answer, Change, Existing, Kind, New, Node, Opened, Volume};
use crate::object::{Attempt, Entry, Object, Stat, Status, Stop, Waiting};

/// The size of an empty directory in memory, and what each name adds: tmpfs's figures.
const EMPTY: u64 = 40;
const EACH: u64 = 20;

/// A directory.
pub(crate) struct Directory {
    pub(super) shared: Arc<Shared>,
    pub(super) attributes: Attributes,
    pub(super) origin: Option<Arc<Origin>>,
    pub(super) children: Mutex<Children>,
    /// Inode number of `..`.
    pub(super) parent: AtomicU64,
    locks: Locks,
    /// Bytes as the layer below tells; none for a directory in memory.
    size: Option<u64>,
    /// Whether lookups ask the layer below each time.
    revalidate: bool,
}

impl Directory {
    pub(super) fn new(shared: Arc<Shared>, attributes: Attributes, parent: u64) -> Self {
        Self::with(shared, attributes, parent, None, None)
    }

    pub(super) fn lower(
        shared: Arc<Shared>,
        attributes: Attributes,
        parent: u64,
        origin: Arc<Origin>,
        size: u64,
    ) -> Self {
        Self::with(shared, attributes, parent, Some(origin), Some(size))
    }

    fn with(
        shared: Arc<Shared>,
        attributes: Attributes,
        parent: u64,
        origin: Option<Arc<Origin>>,
        size: Option<u64>,
    ) -> Self {
        let revalidate = origin.as_ref().is_some_and(|origin| origin.policy().revalidate);
        Self {
            shared,
            attributes,
            origin,
            children: Mutex::new(Children::default()),
            parent: AtomicU64::new(parent),
            locks: Locks::new(),
            size,
            revalidate,
        }
    }

    /// Whether the names are not all known.
    pub(super) fn is_incomplete(&self) -> bool {
        self.origin.is_some() && !self.children.lock().complete
    }

    /// The layer below, if changes are carried through to it.
    pub(super) fn through(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref().filter(|origin| origin.policy().through)
    }

    /// Asks the layer below for all its names.
    pub(super) async fn list_lower(&self) -> Result<()> {
        let Some(origin) = &self.origin else { return Ok(()) };
        let path = origin.path();
        let names = origin.lower().list(&path).await?;
        let mut children = self.children.lock();
        if self.revalidate {
            children.forget_listed();
        }
        for listed in names {
            if children.get(&listed.name).is_none() {
                let inode = self.shared.listed_number(listed.inode);
                let child = Child::Listed { inode, kind: listed.kind };
                children.set(&listed.name.into(), child);
            }
        }
        children.complete = true;
        children.fresh = true;
        Ok(())
    }

    /// Asks the layer below for a name; once more, if a change of names came between.
    async fn ask(&self, here: &Arc<Dentry>, name: &[u8]) -> Result<Option<Arc<Dentry>>> {
        if self.through().is_none() {
            return self.ask_now(here, name).await;
        }
        let turns = &self.shared.turns;
        let before = turns.quiet();
        if before.is_some() {
            let answer = self.ask_below(name).await;
            if turns.quiet() == before {
                return self.heed(here, name, answer);
            }
        }
        let _turn = turns.take().await;
        self.ask_now(here, name).await
    }

    /// Asks the layer below for a name, in a turn or where no turns are taken.
    async fn ask_now(&self, here: &Arc<Dentry>, name: &[u8]) -> Result<Option<Arc<Dentry>>> {
        let answer = self.ask_below(name).await;
        self.heed(here, name, answer)
    }

    /// What the layer below says of a name, and the moment when it was asked; `None`: there is none.
    async fn ask_below(&self, name: &[u8]) -> Option<(Result<Stat>, u64)> {
        let origin = self.origin.as_ref()?;
        let path = origin.path_of(name);
        let asked = storage::pages::moment();
        Some((origin.lower().stat(&path).await, asked))
    }

    /// Makes known here what the layer below said.
    fn heed(
        &self,
        here: &Arc<Dentry>,
        name: &[u8],
        answer: Option<(Result<Stat>, u64)>,
    ) -> Result<Option<Arc<Dentry>>> {
        let (Some(origin), Some((said, asked))) = (&self.origin, answer) else {
            return Ok(self.children.lock().here(name).cloned());
        };
        match said {
            Ok(stat) => self.adopt(here, origin, name, (&stat, asked)),
            Err(error) if error.errno == Errno::ENOENT => Ok(self.not_below(name, asked)),
            Err(error) => Err(error),
        }
    }

    /// Makes what the layer below has under a name known here, as it said when it was asked at a moment.
    fn adopt(
        &self,
        here: &Arc<Dentry>,
        origin: &Arc<Origin>,
        name: &[u8],
        (stat, asked): (&Stat, u64),
    ) -> Result<Option<Arc<Dentry>>> {
        let mut children = self.children.lock();
        match children.get(name) {
            Some(Child::Here(known)) => {
                if super::is_same(known.node(), stat) {
                    super::refresh(known.node(), stat, asked);
                    return Ok(Some(Arc::clone(known)));
                }
                if super::origin_of(&**known.node()).is_none() {
                    return Ok(Some(Arc::clone(known)));
                }
                known.set_removed();
            }
            Some(Child::Absent) if !self.revalidate => return Ok(None),
            _ => {}
        }
        if children.dead {
            return Ok(None);
        }
        let name: Arc<[u8]> = name.into();
        let from = origin.child(Arc::clone(&name), stat);
        let node = self.shared.adopt(from, stat, self.attributes.inode)?;
        let dentry = Dentry::new(here, Arc::clone(&name), node);
        children.adopted = storage::pages::moment_of_change();
        children.set(&name, Child::Here(Arc::clone(&dentry)));
        Ok(Some(dentry))
    }

    /// The layer below has nothing under the name.
    fn not_below(&self, name: &[u8], asked: u64) -> Option<Arc<Dentry>> {
        let mut children = self.children.lock();
        if let Some(known) = children.here(name).cloned() {
            // What came to be here after the question is not denied by the answer.
            if super::origin_of(&**known.node()).is_none() || children.adopted >= asked {
                return Some(known);
            }
            known.set_removed();
        }
        children.set(&name.into(), Child::Absent);
        None
    }
}

impl Object for Directory {
    fn read(
        &self,
        _open: &crate::object::OpenFile,
        _offset: u64,
        _sink: &mut dyn platform::user::Sink,
    ) -> Attempt<usize> {
        Err(Errno::EISDIR)?
    }

    fn seekable(&self) -> bool {
        true
    }

    /// As of Linux's tmpfs, whose directories have none.
    fn has_end(&self) -> bool {
        self.shared.volume.magic != super::TMPFS_MAGIC
    }

    fn stat(&self) -> Result<Stat> {
        let size = self.size.unwrap_or_else(|| EMPTY + EACH * self.children.lock().len() as u64);
        Ok(self.attributes.stat(&self.shared.volume, size, || 0))
    }

    fn fill(&self, _offset: u64, _len: u64) -> Waiting<'_, Result<()>> {
        Box::pin(self.list_lower())
    }

    fn list(&self, position: u64, each: &mut dyn FnMut(Entry<'_>) -> bool) -> Attempt<u64> {
        let mut children = self.children.lock();
        if self.origin.is_some() {
            let stale = self.revalidate && position == 0 && !core::mem::take(&mut children.fresh);
            if !children.complete || stale {
                return Err(Stop::Fill { offset: 0, len: 0 });
            }
        }
        let mut at = position;
        for (index, name) in [(0, &b"."[..]), (1, &b".."[..])] {
            if at == index {
                let parent = self.parent.load(Ordering::Relaxed);
                let inode = if index == 0 { self.attributes.inode } else { parent };
                let kind = Kind::Directory.entry();
                if !each(Entry { inode, kind, next: index + 1, name }) {
                    return Ok(at);
                }
                at = index + 1;
            }
        }
        while let Some((found, name, child)) = children.at_or_behind(at) {
            let (inode, kind) = match child {
                Child::Here(dentry) => (dentry.node().stat()?.inode, dentry.node().kind()),
                Child::Listed { inode, kind } => (*inode, *kind),
                Child::Absent => {
                    at = found + 1;
                    continue;
                }
            };
            if !each(Entry { inode, kind: kind.entry(), next: found + 1, name }) {
                break;
            }
            at = found + 1;
        }
        Ok(at)
    }

    fn truncate(&self, _len: u64) -> Attempt<()> {
        Err(Errno::EISDIR)?
    }

    fn sync(&self) -> Waiting<'_, Result<()>> {
        Box::pin(async move {
            match self.through() {
                Some(origin) => origin.lower().sync_directory(&origin.path()).await,
                None => Ok(()),
            }
        })
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Node for Directory {
    fn kind(&self) -> Kind {
        Kind::Directory
    }

    fn owner(&self) -> Owner {
        self.attributes.owner()
    }

    fn volume(&self) -> &Arc<Volume> {
        &self.shared.volume
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

    fn take_apart(&self, names: &mut Vec<Arc<Dentry>>) {
        let all = self.children.lock().take_all();
        names.extend(all);
    }

    fn sync_all(&self) -> Waiting<'_, Result<()>> {
        super::sync_all(self.origin.as_ref())
    }

    fn lookup(&self, _here: &Arc<Dentry>, name: &[u8]) -> Attempt<Option<Arc<Dentry>>> {
        let children = self.children.lock();
        let known = match children.get(name) {
            Some(Child::Here(dentry)) => {
                !self.revalidate || super::origin_of(&**dentry.node()).is_none()
            }
            Some(Child::Listed { .. }) => false,
            Some(Child::Absent) => !self.revalidate,
            None => self.origin.is_none() || children.dead || children.complete && !self.revalidate,
        };
        if known { Ok(children.here(name).cloned()) } else { Err(Stop::Fill { offset: 0, len: 0 }) }
    }

    fn fetch<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
    ) -> Waiting<'a, Result<Option<Arc<Dentry>>>> {
        Box::pin(self.ask(here, name))
    }

    fn create<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
        new: New<'a>,
    ) -> Answer<'a, Arc<Dentry>> {
        match self.through() {
            Some(origin) => Answer::Later(Box::pin(async move {
                let _turn = self.shared.turns.take().await;
                self.create_below(origin, name, &new).await?;
                self.ask_now(here, name).await?.ok_or_else(|| Errno::ENOENT.into())
            })),
            None => Answer::Now(self.make(here, name, &new)),
        }
    }

    fn create_unnamed(
        &self,
        here: &Arc<Dentry>,
        new: New<'_>,
        linkable: bool,
    ) -> Result<Arc<Dentry>> {
        self.make_unnamed(here, &new, linkable)
    }

    fn link<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        name: &'a [u8],
        target: &'a Arc<Dentry>,
    ) -> Answer<'a, ()> {
        match self.through() {
            Some(origin) => Answer::Later(Box::pin(async move {
                let _turn = self.shared.turns.take().await;
                self.link_below(origin, name, target).await?;
                self.add_name(here, name, target)
            })),
            None => Answer::Now(self.add_name(here, name, target)),
        }
    }

    fn remove<'a>(&'a self, _here: &'a Arc<Dentry>, child: &'a Arc<Dentry>) -> Answer<'a, ()> {
        let incomplete = super::directory(&**child.node()).is_some_and(Self::is_incomplete);
        if self.through().is_some() || incomplete {
            Answer::Later(Box::pin(self.remove_later(child)))
        } else {
            Answer::Now(self.take_out(child))
        }
    }

    fn rename<'a>(
        &'a self,
        here: &'a Arc<Dentry>,
        child: &'a Arc<Dentry>,
        to: &'a Arc<Dentry>,
        name: &'a [u8],
        existing: Existing,
    ) -> Answer<'a, ()> {
        let Some(target) = super::directory(&**to.node()) else { return Errno::ENOTDIR.into() };
        let victim = target.children.lock().here(name).cloned();
        let incomplete = victim
            .as_ref()
            .and_then(|victim| super::directory(&**victim.node()))
            .is_some_and(Self::is_incomplete);
        if self.through().is_some() || target.through().is_some() || incomplete {
            Answer::Later(Box::pin(self.rename_later(here, child, to, name, existing)))
        } else {
            Answer::Now(self.move_name(here, child, to, name, existing))
        }
    }

    fn change(&self, change: Change) -> Answer<'_, ()> {
        change::change(&self.attributes, self.origin.as_ref(), change)
    }

    fn open(self: Arc<Self>, _place: &Place, _status: Status) -> Attempt<Opened> {
        Ok(Opened::Object(self))
    }
}
