//! What a process's pages are: `pagemap`, `numa_maps`, `map_files`, `clear_refs`.
//!
//! Frame numbers are not told, as Linux tells them to the privileged only.
//!
//! Source: the kernel's pagemap guide, numa(7), `proc_pid_map_files(5)`, `proc_pid_clear_refs(5)`.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::fmt::Write as _;

use abi::Errno;
use abi::errno::Result;
use platform::user::Sink;
use vfs::mount::Place;
use vfs::node::{Followed, Kind, Node};
use vfs::object::{Attempt, Object, OpenFile, Stat};

use super::node::{Item, Link, Listing, Row};
use super::process::{Name, Subject, path_text};
use crate::memory::maps::Mapping;
use crate::memory::policy::Policy;
use crate::memory::{PAGE_BYTES, Space};

/// Bytes that tell of one page.
const ENTRY: u64 = 8;
const PAGE: u64 = PAGE_BYTES as u64;
/// Pages that are looked at in one go.
const STEP: u64 = 512;

/// `pagemap`, open.
pub(super) struct OpenPagemap<N> {
    node: Arc<N>,
    space: Weak<Space>,
}

impl<N: Node> OpenPagemap<N> {
    /// The pages of `space`, opened through `node`.
    pub(super) fn new(node: Arc<N>, space: &Arc<Space>) -> Self {
        Self { node, space: Arc::downgrade(space) }
    }
}

impl<N: Node> Object for OpenPagemap<N> {
    fn read(&self, _open: &OpenFile, offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let room = sink.room() as u64;
        if !offset.is_multiple_of(ENTRY) || !room.is_multiple_of(ENTRY) {
            return Err(Errno::EINVAL.because("pagemap is read by whole entries").into());
        }
        let Some(space) = self.space.upgrade() else { return Ok(0) };
        let end = space.region().end / PAGE;
        let mut page = offset / ENTRY;
        let last = page.saturating_add(room / ENTRY).min(end);
        let mut done = 0;
        while page < last {
            let step = page..last.min(page + STEP);
            let entries = space.page_entries(step.start * PAGE..step.end * PAGE);
            let bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.to_le_bytes()).collect();
            let put = sink.put(&bytes);
            done += put;
            if put < bytes.len() {
                break;
            }
            page = step.end;
        }
        Ok(done)
    }

    fn seekable(&self) -> bool {
        true
    }

    fn has_end(&self) -> bool {
        false
    }

    fn stat(&self) -> Result<Stat> {
        self.node.stat()
    }

    fn node(&self) -> Option<&dyn Node> {
        Some(&*self.node)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `numa_maps`: each mapping's policy, and its pages on the one node.
pub(super) fn numa_maps(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for (mapping, usage) in subject.process.memory.maps_with_usage() {
        let mut line = format!("{:08x} {}", mapping.range.start, Policy::text(mapping.policy));
        if let Some(file) = &mapping.file {
            line += " file=";
            text.extend_from_slice(line.as_bytes());
            line.clear();
            text.extend_from_slice(&file.describe().path);
        } else if let Some(name) = ["heap", "stack"].iter().find(|name| {
            mapping.name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(**name)
        }) {
            let _ = write!(line, " {name}");
        }
        let (all, private) = (usage.resident / PAGE, usage.private / PAGE);
        if all > 0 {
            let _ = match (private, all - private) {
                (0, mapped) => write!(line, " mapped={mapped}"),
                (anon, 0) => write!(line, " anon={anon} dirty={anon}"),
                (anon, _) => write!(line, " mapped={all} anon={anon} dirty={anon}"),
            };
            let _ = write!(line, " N0={all} kernelpagesize_kB=4");
        }
        line.push('\n');
        text.extend_from_slice(line.as_bytes());
    }
    text
}

/// Takes what is written to `clear_refs`. Which pages were touched since is the host's affair, so that
/// only the peak can be set back.
///
/// # Errors
/// EINVAL.
pub(super) fn clear_refs(subject: &Subject, text: &[u8]) -> Result<()> {
    const PEAK: i32 = 5;
    match crate::process::oom::number(text)? {
        PEAK => {
            subject.process.memory.forget_peak();
            Ok(())
        }
        _ => Err(Errno::EINVAL.because("which pages are touched is not known here")),
    }
}

/// `map_files`: a link for each mapping of a file, called by its addresses.
pub(super) struct MapFiles(pub(super) Name);

impl MapFiles {
    fn mappings(&self) -> Vec<(String, Mapping)> {
        let Ok(process) = self.0.process() else { return Vec::new() };
        let named = |mapping: Mapping| {
            let name = format!("{:x}-{:x}", mapping.range.start, mapping.range.end);
            mapping.file.is_some().then_some((name, mapping))
        };
        process.memory.maps().into_iter().filter_map(named).collect()
    }
}

impl Listing for MapFiles {
    fn find(&self, name: &[u8]) -> Option<Item> {
        let (_, mapping) =
            self.mappings().into_iter().find(|(known, _)| known.as_bytes() == name)?;
        let place = mapping.file?.place()?;
        Some(Item::Link(Box::new(Mapped { of: self.0, place })))
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        (0..)
            .zip(self.mappings())
            .filter(|(at, _)| *at >= position)
            .map(|(position, (name, _))| Row {
                position,
                name: name.into_bytes(),
                kind: Kind::Link,
            })
            .collect()
    }

    fn permissions(&self) -> u32 {
        0o500
    }

    fn owner(&self) -> (u32, u32) {
        self.0.owner()
    }
}

struct Mapped {
    of: Name,
    place: Place,
}

impl Link for Mapped {
    fn follow(&self) -> Result<Followed> {
        Ok(Followed::Place(self.place.clone()))
    }

    fn text(&self) -> Result<Vec<u8>> {
        let root = self.of.process()?.directories.lock().root.clone();
        Ok(path_text(&self.place, &root))
    }
}
