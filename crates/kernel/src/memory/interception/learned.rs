//! Sites that are known from an earlier mapping of the same file.
//!
//! A site that trapped once in a verified, unchanged file can be rewritten as soon as the file is
//! mapped again, before any thread runs there: no trap, no stop. Shared by all processes.

use alloc::collections::{BTreeMap, BTreeSet};
use core::ops::Range;

use super::decide::Rule;

/// Names a file and its exact bytes: a new number whenever the content can have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileIdentity(pub u128);

#[derive(Clone, Debug, Default)]
struct File {
    sites: BTreeSet<(u64, Rule)>,
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
    pub fn note(&mut self, file: FileIdentity, offset: u64, rule: Rule) {
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
        self.sites += usize::from(known.sites.insert((offset, rule)));
    }

    /// The sites of `file` in `offsets`, in order; marks the file as used.
    pub fn sites(
        &mut self,
        file: FileIdentity,
        offsets: Range<u64>,
    ) -> impl Iterator<Item = (u64, Rule)> + '_ {
        self.clock += 1;
        let clock = self.clock;
        let known = self.files.get_mut(&file).map(|file| {
            file.used = clock;
            &file.sites
        });
        let range = (offsets.start, Rule::Mov)..(offsets.end.max(offsets.start), Rule::Mov);
        known.into_iter().flat_map(move |sites| sites.range(range.clone()).copied())
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
    use super::{FileIdentity, Learned};
    use crate::memory::interception::decide::Rule;

    #[test]
    fn remembers_by_file_and_offset_within_its_capacity() {
        let mut learned = Learned::new(3);
        let [a, b, c] = [1, 2, 3].map(FileIdentity);
        learned.note(a, 10, Rule::Mov);
        learned.note(a, 10, Rule::Mov);
        learned.note(a, 10, Rule::Pun);
        learned.note(b, 5, Rule::Pun);
        assert_eq!(learned.len(), 3);
        let found: Vec<_> = learned.sites(a, 0..11).collect();
        assert_eq!(found, [(10, Rule::Mov), (10, Rule::Pun)]);
        assert_eq!(learned.sites(a, 11..99).count(), 0);
        learned.note(c, 7, Rule::Mov);
        assert_eq!(learned.sites(b, 0..99).count(), 0, "b was used longest ago");
        assert_eq!(learned.len(), 3);
        learned.forget(a);
        assert_eq!(learned.len(), 1);
    }

    #[test]
    fn one_file_may_fill_it_but_not_more() {
        let mut learned = Learned::new(2);
        let file = FileIdentity(9);
        for offset in 0..5 {
            learned.note(file, offset, Rule::Mov);
        }
        assert_eq!(learned.len(), 2);
    }
}
