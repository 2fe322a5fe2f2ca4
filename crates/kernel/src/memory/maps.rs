//! `/proc/self/maps`, and what lies at an address.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::area::{Area, Flags, Kind};
use super::contents::{Described, Description};
use super::policy::Policy;
use super::space::Space;
use super::{PAGE, Prot};

/// One line of `/proc/self/maps`.
#[derive(Clone)]
pub struct Mapping {
    /// Where.
    pub range: Range<u64>,
    /// Access.
    pub prot: Prot,
    /// What mprotect(2) may allow.
    pub max: Prot,
    /// Writes reach an object.
    pub shared: bool,
    /// What is special.
    pub flags: Flags,
    /// Offset in the object.
    pub offset: u64,
    /// The open file.
    pub file: Option<Arc<dyn Described>>,
    /// On which nodes (mbind).
    pub policy: Option<Policy>,
    /// The name of a mapping without an object: `[heap]` and its like.
    pub name: &'static str,
}

/// What a mapping uses, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Can be used without a fault into the LibOS.
    pub resident: u64,
    /// Of these, private memory.
    pub private: u64,
    /// Guards lie in it.
    pub guarded: bool,
}

impl Mapping {
    fn new(start: u64, area: &Area) -> Self {
        let mut mapping = Self {
            range: start..area.end,
            prot: area.prot,
            max: area.max,
            shared: area.is_shared(),
            flags: area.flags,
            offset: 0,
            file: None,
            policy: area.policy,
            name: "",
        };
        match &area.kind {
            Kind::File(mapped) => {
                mapping.offset = mapped.offset;
                mapping.file.clone_from(&mapped.file);
                if mapped.file.is_none() && mapped.shared {
                    mapping.name = "/dev/zero (deleted)";
                }
            }
            Kind::Special(name) => mapping.name = name,
            Kind::Anonymous if area.flags.contains(Flags::HEAP) => mapping.name = "[heap]",
            Kind::Anonymous if area.flags.contains(Flags::MAIN_STACK) => mapping.name = "[stack]",
            Kind::Anonymous => {}
        }
        mapping
    }

    /// The line, without its newline, as proc_pid_maps(5) has it.
    pub fn line(&self) -> Vec<u8> {
        let may = |bit, letter| if self.prot.contains(bit) { letter } else { '-' };
        let described =
            self.file.as_ref().map_or_else(Description::default, |file| file.describe());
        let mut line = format!(
            "{:08x}-{:08x} {}{}{}{} {:08x} {:02x}:{:02x} {} ",
            self.range.start,
            self.range.end,
            may(Prot::READ, 'r'),
            may(Prot::WRITE, 'w'),
            may(Prot::EXEC, 'x'),
            if self.shared { 's' } else { 'p' },
            self.offset,
            described.device >> 8,
            described.device & 0xFF,
            described.inode,
        );
        let name = if self.file.is_some() { &described.path } else { self.name.as_bytes() };
        if name.is_empty() {
            return line.into_bytes();
        }
        while line.len() < 73 {
            line.push(' ');
        }
        let mut line = line.into_bytes();
        for byte in name {
            match byte {
                b'\n' => line.extend_from_slice(b"\\012"),
                byte => line.push(*byte),
            }
        }
        line
    }

    /// The line for a person.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.line()).into_owned()
    }
}

impl Space {
    /// All mappings, in order.
    pub fn maps(&self) -> Vec<Mapping> {
        let state = self.state.lock();
        state.areas.map().iter().map(|(start, area)| Mapping::new(*start, area)).collect()
    }

    /// The same with what each uses.
    pub fn maps_with_usage(&self) -> Vec<(Mapping, Usage)> {
        let state = self.state.lock();
        let usage = |range: Range<u64>| {
            let guarded = state.runs.guards(&range).next().is_some();
            let mut usage = Usage { guarded, ..Usage::default() };
            for run in state.runs.within(&range) {
                let len = run.end - run.start;
                usage.resident += len;
                usage.private += if run.held.is_private() { len } else { 0 };
            }
            usage
        };
        let areas = state.areas.map().iter();
        areas.map(|(at, area)| (Mapping::new(*at, area), usage(*at..area.end))).collect()
    }

    /// What `/proc/PID/pagemap` tells of the pages of a range.
    pub fn page_entries(&self, range: Range<u64>) -> Vec<u64> {
        const PRESENT: u64 = 1 << 63;
        const FILE: u64 = 1 << 61;
        const ALONE: u64 = 1 << 56;
        let count = usize::try_from(super::bytes(&range) / PAGE).unwrap_or(0);
        let mut entries = alloc::vec![0; count];
        let state = self.state.lock();
        for (piece, area) in state.pieces(&range) {
            for run in state.runs.within(&piece) {
                let file = !(run.held.is_private() && area.is_anonymous());
                let entry = PRESENT | ALONE | if file { FILE } else { 0 };
                let pages = (run.start - range.start) / PAGE..(run.end - range.start) / PAGE;
                for page in pages {
                    let at = usize::try_from(page).unwrap_or(usize::MAX);
                    if let Some(slot) = entries.get_mut(at) {
                        *slot = entry;
                    }
                }
            }
        }
        entries
    }

    /// The parts of a range that memory stands behind.
    pub(crate) fn backed(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let state = self.state.lock();
        let within = state.runs.within(range);
        within.map(|run| run.start.max(range.start)..run.end.min(range.end)).collect()
    }

    /// The mapping that holds `address`.
    pub fn find(&self, address: u64) -> Option<Mapping> {
        let state = self.state.lock();
        state.areas.find(address).map(|(start, area)| Mapping::new(start, area))
    }
}
