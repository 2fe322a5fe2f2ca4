//! The bytes of text that some patch has written or depends on.

use alloc::collections::BTreeMap;
use core::ops::Range;

/// A set of disjoint, half-open address intervals.
///
/// A patch claims what it writes and what its new instruction is made of; two patches never claim
/// the same byte, so each can be undone without a thought for the other.
#[derive(Clone, Debug, Default)]
pub struct Claims {
    ends: BTreeMap<u64, u64>,
}

impl Claims {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nobody has claimed any byte of `range`.
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        self.ends.range(..range.end).next_back().is_none_or(|(_, end)| *end <= range.start)
    }

    /// Claims `range`; false, and nothing is changed, when a byte of it is claimed already or it is
    /// empty.
    pub fn insert(&mut self, range: &Range<u64>) -> bool {
        let free = !range.is_empty() && self.is_free(range);
        if free {
            self.ends.insert(range.start, range.end);
        }
        free
    }

    /// Gives back the interval that begins at `start`.
    pub fn remove(&mut self, start: u64) -> Option<Range<u64>> {
        self.ends.remove(&start).map(|end| start..end)
    }

    /// The intervals that share a byte with `range`, in order.
    pub fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = Range<u64>> + '_ {
        let from = self
            .ends
            .range(..=range.start)
            .next_back()
            .filter(|(_, end)| **end > range.start)
            .map_or(range.start, |(start, _)| *start);
        let until = if range.is_empty() { from } else { range.end };
        self.ends.range(from..until).map(|(start, end)| *start..*end)
    }
}

#[cfg(test)]
mod tests {
    use super::Claims;

    #[test]
    fn refuses_overlap_and_finds_it() {
        let mut claims = Claims::new();
        assert!(claims.insert(&(10..15)));
        assert!(!claims.insert(&(14..16)));
        assert!(!claims.insert(&(5..11)));
        assert!(!claims.insert(&(11..12)));
        assert!(!claims.insert(&(7..7)));
        assert!(claims.insert(&(15..17)));
        assert!(claims.insert(&(5..10)));
        let all: Vec<_> = claims.overlapping(&(14..16)).collect();
        assert_eq!(all, [10..15, 15..17]);
        assert_eq!(claims.overlapping(&(17..99)).count(), 0);
        assert_eq!(claims.overlapping(&(12..12)).count(), 0);
        assert_eq!(claims.remove(10), Some(10..15));
        assert!(claims.is_free(&(10..15)));
    }
}
