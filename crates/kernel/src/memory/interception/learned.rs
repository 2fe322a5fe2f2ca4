//! Sites that are known from an earlier mapping of the same file.
//!
//! A site that trapped once can be rewritten as soon as its file is mapped again, without a trap,
//! provided that the same bytes are around it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use super::decide::{Rule, Text};
use super::{AFTER, BEFORE};

/// Names a file. What it holds may change: that is what fingerprints are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity(pub u64);

impl From<u64> for FileIdentity {
    fn from(id: u64) -> Self {
        Self(id)
    }
}

/// The bytes around a site on which a decision rests; where a rule depends on others, it is proved anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    bytes: [u8; BEFORE + AFTER],
    /// How many of them lie before the site, and how many there are.
    shape: (usize, usize),
}

impl Fingerprint {
    /// Of the site at `at`: what a decision looks at.
    pub fn of(text: &dyn Text, at: u64) -> Option<Self> {
        let mut bytes = [0; BEFORE + AFTER];
        let code = super::shown(text, at, &mut bytes);
        let before = usize::try_from(at.checked_sub(code.start())?).ok()?;
        let len = code.len();
        bytes.get_mut(len..)?.fill(0);
        (before < len).then_some(Self { bytes, shape: (before, len) })
    }
}

/// A site of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Offset of the `syscall` in the file.
    pub offset: u64,
    /// The rule that fits.
    pub rule: Rule,
    /// What was around it.
    pub fingerprint: Fingerprint,
}

#[derive(Clone, Debug, Default)]
struct File {
    sites: BTreeMap<(u64, Rule), Fingerprint>,
    used: u64,
}

/// What has been learned, for all files.
#[derive(Clone, Debug)]
pub struct Learned {
    files: BTreeMap<FileIdentity, File>,
    sites: usize,
    capacity: usize,
    clock: u64,
}

impl Learned {
    /// Remembers nothing yet, and at most `capacity` sites.
    pub fn new(capacity: usize) -> Self {
        Self { files: BTreeMap::new(), sites: 0, capacity, clock: 0 }
    }

    /// How many sites are known.
    pub fn len(&self) -> usize {
        self.sites
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.sites == 0
    }

    /// Remembers that `rule` fits the `syscall` at `offset` of `file`. When all room is used, the
    /// file that was asked for longest ago is forgotten.
    pub fn note(&mut self, file: FileIdentity, offset: u64, rule: Rule, fingerprint: Fingerprint) {
        if self.capacity == 0 {
            return;
        }
        if self.sites == self.capacity {
            self.forget_oldest(file);
        }
        if self.sites == self.capacity {
            return; // this one file fills it alone
        }
        self.clock += 1;
        let known = self.files.entry(file).or_default();
        known.used = self.clock;
        self.sites += usize::from(known.sites.insert((offset, rule), fingerprint).is_none());
    }

    /// The sites of `file` in `offsets`, in order; marks the file as used.
    pub fn sites(&mut self, file: FileIdentity, offsets: Range<u64>) -> Vec<Known> {
        self.clock += 1;
        let Some(file) = self.files.get_mut(&file) else {
            return Vec::new();
        };
        file.used = self.clock;
        let range = (offsets.start, Rule::Mov)..(offsets.end.max(offsets.start), Rule::Mov);
        let known = file.sites.range(range);
        known
            .map(|((offset, rule), fingerprint)| Known {
                offset: *offset,
                rule: *rule,
                fingerprint: *fingerprint,
            })
            .collect()
    }

    /// Forgets a file, whose content has changed.
    pub fn forget(&mut self, file: FileIdentity) {
        if let Some(file) = self.files.remove(&file) {
            self.sites -= file.sites.len();
        }
    }

    fn forget_oldest(&mut self, except: FileIdentity) {
        let oldest = self
            .files
            .iter()
            .filter(|(file, _)| **file != except)
            .min_by_key(|(_, file)| file.used)
            .map(|(file, _)| *file);
        if let Some(file) = oldest {
            self.forget(file);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AFTER, BEFORE, FileIdentity, Fingerprint, Learned};
    use crate::memory::interception::decide::Rule;

    const SOME: Fingerprint = Fingerprint { bytes: [7; BEFORE + AFTER], shape: (BEFORE, 48) };

    #[test]
    fn remembers_by_file_and_offset_within_its_capacity() {
        let mut learned = Learned::new(3);
        let [a, b, c] = [1, 2, 3].map(FileIdentity);
        learned.note(a, 10, Rule::Mov, SOME);
        learned.note(a, 10, Rule::Mov, SOME);
        learned.note(a, 10, Rule::Pun, SOME);
        learned.note(b, 5, Rule::Pun, SOME);
        assert_eq!(learned.len(), 3);
        let found = learned.sites(a, 0..11).into_iter().map(|known| (known.offset, known.rule));
        assert_eq!(found.collect::<Vec<_>>(), [(10, Rule::Mov), (10, Rule::Pun)]);
        assert_eq!(learned.sites(a, 11..99).len(), 0);
        learned.note(c, 7, Rule::Mov, SOME);
        assert_eq!(learned.sites(b, 0..99).len(), 0, "b was used longest ago");
        assert_eq!(learned.len(), 3);
        learned.forget(a);
        assert_eq!(learned.len(), 1);
    }

    #[test]
    fn one_file_may_fill_it_but_not_more() {
        let mut learned = Learned::new(2);
        let file = FileIdentity(9);
        for offset in 0..5 {
            learned.note(file, offset, Rule::Mov, SOME);
        }
        assert_eq!(learned.len(), 2);
    }
}
