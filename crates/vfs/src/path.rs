//! The walk over names.
//!
//! It runs without waiting over all that is in memory, and awaits [`crate::node::Node::fetch`] where
//! only the host knows.
//!
//! Source: `path_resolution(7)`, symlink(7), openat2(2).

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use smallvec::SmallVec;

use crate::credentials::{Access, Credentials};
use crate::dentry::{Dentry, NAME_MAX};
use crate::mount::{Flags, Place};
use crate::node::{Followed, Kind};
use crate::object::Stop;

/// Symbolic links that one walk follows.
pub const LINKS_MAX: u32 = 40;
/// The longest path with its NUL, bytes.
pub const PATH_MAX: usize = 4096;

/// A name on its way.
pub type Name = SmallVec<[u8; 32]>;

/// What becomes of a symbolic link at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// It is followed.
    Follow,
    /// It is the result.
    Keep,
}

bitflags::bitflags! {
    /// What a walk must not do, with the bits of openat2(2).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Refuse: u64 {
        /// Cross a mount: EXDEV.
        const MOUNTS = 1;
        /// Follow a magic link: ELOOP.
        const MAGIC_LINKS = 2;
        /// Follow any symbolic link: ELOOP.
        const LINKS = 4;
        /// Leave the directory where it starts: EXDEV.
        const LEAVING = 8;
        /// Leave the directory where it starts, which counts as the root.
        const ROOT = 16;
    }
}

/// Where a walk starts and who walks.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The root directory, for absolute paths.
    pub root: &'a Place,
    /// The directory that relative paths start from.
    pub from: &'a Place,
    /// Who walks.
    pub who: &'a Credentials,
    /// What is refused.
    pub refuse: Refuse,
}

impl<'a> Start<'a> {
    /// A walk as most calls make it.
    pub fn new(root: &'a Place, from: &'a Place, who: &'a Credentials) -> Self {
        Self { root, from, who, refuse: Refuse::empty() }
    }
}

/// Where a path leads.
///
/// # Errors
/// ENOENT (also for an empty path), ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV, EIO.
pub async fn resolve(start: Start<'_>, path: &[u8], last: Last) -> Result<Place> {
    let mut walk = Walk::new(start, path)?;
    walk.to_end(last).await?;
    Ok(walk.at)
}

/// The directory of a path's last name, and the name, for calls that make or take names.
///
/// # Errors
/// As [`resolve`], but the last name need not be there.
pub async fn parent(start: Start<'_>, path: &[u8]) -> Result<Leaf> {
    Walk::new(start, path)?.to_leaf().await
}

/// Why a walk ends with ENOENT; `last`: at the path's last name.
fn missing(last: bool) -> &'static str {
    if last { "nothing has the last name" } else { "a directory on the way is not there" }
}

/// The last name of a path, in its directory.
#[derive(Debug)]
pub struct Leaf {
    /// The directory that the name stands in; of [`LastName::Root`] the place itself.
    pub parent: Place,
    /// The name.
    pub name: LastName,
    /// A slash follows: only a directory will do.
    pub slash: bool,
}

/// What a path ends in.
#[derive(Debug, PartialEq, Eq)]
pub enum LastName {
    /// A name.
    Name(Name),
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// Nothing but slashes, or a magic link.
    Root,
}

/// A walk under way.
pub struct Walk<'a> {
    start: Start<'a>,
    at: Place,
    rest: Rest<'a>,
    links: u32,
}

/// What is left of the path.
struct Rest<'a> {
    /// The path as given; after a symbolic link, its target and what stood behind it.
    text: Text<'a>,
    position: usize,
}

enum Text<'a> {
    Given(&'a [u8]),
    Made(Vec<u8>),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Given(bytes) => bytes,
            Self::Made(bytes) => bytes,
        }
    }
}

/// The next component of a path.
struct Component {
    name: Name,
    last: bool,
    slash: bool,
}

impl Rest<'_> {
    fn next(&mut self) -> Option<Component> {
        let bytes = self.text.bytes();
        let skipped = bytes[self.position..].iter().take_while(|byte| **byte == b'/').count();
        let start = self.position + skipped;
        if start == bytes.len() {
            self.position = start;
            return None;
        }
        let len = bytes[start..].iter().position(|byte| *byte == b'/');
        let end = len.map_or(bytes.len(), |len| start + len);
        let name = Name::from_slice(&bytes[start..end]);
        let last = bytes[end..].iter().all(|byte| *byte == b'/');
        self.position = end;
        Some(Component { name, last, slash: last && end < bytes.len() })
    }
}

impl<'a> Walk<'a> {
    /// Begins a walk.
    ///
    /// # Errors
    /// ENOENT for an empty path, ENAMETOOLONG, EXDEV for an absolute one where leaving is refused.
    pub fn new(start: Start<'a>, path: &'a [u8]) -> Result<Self> {
        if path.is_empty() {
            return Err(Errno::ENOENT.because("the path is empty"));
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG.because("the path has more than 4095 bytes"));
        }
        let rest = Rest { text: Text::Given(path), position: 0 };
        let mut walk = Self { start, at: start.from.clone(), rest, links: 0 };
        if path[0] == b'/' {
            walk.restart()?;
        }
        Ok(walk)
    }

    /// Where it stands.
    pub fn into_place(self) -> Place {
        self.at
    }

    /// Walks to the end of the path.
    ///
    /// # Errors
    /// As [`resolve`].
    pub async fn to_end(&mut self, last: Last) -> Result<()> {
        while let Some(component) = self.rest.next() {
            let follow = !component.last || component.slash || last == Last::Follow;
            match &component.name[..] {
                b"." => self.check_search()?,
                b".." => self.up()?,
                name => match self.step(name).await? {
                    Some(next) => self.enter(next, follow).await?,
                    None => return Err(Errno::ENOENT.because(missing(component.last))),
                },
            }
            if component.slash && self.at.node().kind() != Kind::Directory {
                return Err(Errno::ENOTDIR.because("a slash follows what is no directory"));
            }
        }
        Ok(())
    }

    /// Walks to the directory of the path's last name.
    ///
    /// # Errors
    /// As [`parent`].
    pub async fn to_leaf(&mut self) -> Result<Leaf> {
        while let Some(component) = self.rest.next() {
            let name = match &component.name[..] {
                b"." => LastName::Dot,
                b".." => LastName::DotDot,
                _ => LastName::Name(component.name),
            };
            if component.last {
                self.check_search()?;
                return Ok(Leaf { parent: self.at.clone(), name, slash: component.slash });
            }
            match name {
                LastName::DotDot => self.up()?,
                LastName::Name(name) => match self.step(&name).await? {
                    Some(next) => self.enter(next, true).await?,
                    None => return Err(Errno::ENOENT.because(missing(false))),
                },
                LastName::Dot | LastName::Root => self.check_search()?,
            }
        }
        Ok(Leaf { parent: self.at.clone(), name: LastName::Root, slash: true })
    }

    /// What stands under the last name: `None` when nothing does.
    ///
    /// # Errors
    /// As [`resolve`].
    pub async fn look(&mut self, name: &[u8]) -> Result<Option<Place>> {
        self.step(name).await
    }

    /// Follows a symbolic link that [`Walk::look`] found; go on with [`Walk::to_leaf`].
    ///
    /// # Errors
    /// ELOOP and those of [`resolve`].
    pub async fn follow(&mut self, link: Place) -> Result<()> {
        self.enter(link, true).await
    }

    fn check_search(&self) -> Result<()> {
        let node = self.at.node();
        if node.kind() != Kind::Directory {
            return Err(Errno::ENOTDIR.because("the way leads through what is no directory"));
        }
        self.start.who.check(node.owner(), Access::EXECUTE)
    }

    /// Looks one name up here.
    async fn step(&self, name: &[u8]) -> Result<Option<Place>> {
        self.check_search()?;
        if name.len() > NAME_MAX {
            return Err(Errno::ENAMETOOLONG.because("a name has more than 255 bytes"));
        }
        let here = &self.at.dentry;
        let found = match here.node().lookup(here, name) {
            Ok(found) => found,
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { .. } | Stop::WouldBlock | Stop::Paced) => {
                here.node().fetch(here, name).await?
            }
        };
        found.map(|dentry| self.cross(dentry)).transpose()
    }

    fn cross(&self, dentry: Arc<Dentry>) -> Result<Place> {
        let place = Place { mount: Arc::clone(&self.at.mount), dentry };
        if !place.dentry.is_mount_point() {
            return Ok(place);
        }
        if self.start.refuse.contains(Refuse::MOUNTS) {
            return Err(Errno::EXDEV.because("the path crosses a mount"));
        }
        Ok(place.topmost())
    }

    /// Goes to what was found, through it if it is a symbolic link to be followed.
    async fn enter(&mut self, next: Place, follow: bool) -> Result<()> {
        if !follow || next.node().kind() != Kind::Link {
            self.at = next;
            return Ok(());
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(Errno::ELOOP.because("more than 40 symbolic links"));
        }
        if self.start.refuse.contains(Refuse::LINKS) {
            return Err(Errno::ELOOP.because("symbolic links are refused"));
        }
        if next.mount.flags().contains(Flags::NO_LINKS) {
            return Err(Errno::ELOOP.because("no symbolic link of this mount is followed"));
        }
        match target(&next, self.start.who).await? {
            Followed::Place(place) => {
                if self
                    .start
                    .refuse
                    .intersects(Refuse::MAGIC_LINKS | Refuse::LEAVING | Refuse::ROOT)
                {
                    return Err(Errno::ELOOP.because("magic links are refused"));
                }
                self.at = place;
                Ok(())
            }
            Followed::Path(path) => self.through(&path),
        }
    }

    fn through(&mut self, target: &[u8]) -> Result<()> {
        if target.is_empty() {
            return Err(Errno::ENOENT.because("the symbolic link is empty"));
        }
        let rest = &self.rest.text.bytes()[self.rest.position..];
        let mut text = Vec::with_capacity(target.len() + rest.len());
        text.extend_from_slice(target);
        text.extend_from_slice(rest);
        self.rest = Rest { text: Text::Made(text), position: 0 };
        if target[0] == b'/' {
            self.restart()?;
        }
        Ok(())
    }

    fn restart(&mut self) -> Result<()> {
        if self.start.refuse.contains(Refuse::LEAVING) {
            return Err(Errno::EXDEV.because("an absolute path leaves the directory"));
        }
        self.at = self.root().clone();
        Ok(())
    }

    fn root(&self) -> &'a Place {
        if self.start.refuse.contains(Refuse::ROOT) { self.start.from } else { self.start.root }
    }

    fn up(&mut self) -> Result<()> {
        self.check_search()?;
        if self.start.refuse.contains(Refuse::LEAVING) && self.at.is(self.start.from) {
            return Err(Errno::EXDEV.because("the path leaves the directory"));
        }
        let above = self.at.up(self.root());
        if self.start.refuse.contains(Refuse::MOUNTS) && !Arc::ptr_eq(&above.mount, &self.at.mount)
        {
            return Err(Errno::EXDEV.because("the path crosses a mount"));
        }
        self.at = above;
        Ok(())
    }
}

/// Where a symbolic link leads, its text brought in if need be.
async fn target(link: &Place, who: &Credentials) -> Result<Followed> {
    loop {
        match link.node().follow(who) {
            Ok(followed) => return Ok(followed),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => link.node().fill(offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => {
                return Err(Errno::EIO.because("a symbolic link blocks"));
            }
        }
    }
}

/// The text of a symbolic link, brought in if need be.
///
/// # Errors
/// EINVAL for anything else.
pub async fn read_link(link: &Place, who: &Credentials) -> Result<Arc<[u8]>> {
    loop {
        match link.node().read_link(who) {
            Ok(text) => return Ok(text),
            Err(Stop::Error(error)) => return Err(error),
            Err(Stop::Fill { offset, len }) => link.node().fill(offset, len).await?,
            Err(Stop::WouldBlock | Stop::Paced) => {
                return Err(Errno::EIO.because("a symbolic link blocks"));
            }
        }
    }
}
