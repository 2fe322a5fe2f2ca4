//! The line that says that the memory limit was reached.

use alloc::format;
use alloc::string::String;
use core::sync::atomic::{AtomicU64, Ordering};

use platform::budget::{self, Purpose};

/// What came of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The program was told.
    Refused,
    /// The program had asked for nothing that could be refused, and was ended.
    Ended,
}

static REFUSED: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);

/// Counts what came of a refusal.
pub(crate) fn count(outcome: Outcome) {
    let counter = match outcome {
        Outcome::Refused => &REFUSED,
        Outcome::Ended => &ENDED,
    };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// How often programs were refused memory, and ended for want of it.
pub fn counts() -> (u64, u64) {
    (REFUSED.load(Ordering::Relaxed), ENDED.load(Ordering::Relaxed))
}

/// A request for memory that the limit refused, and the state that it met. All in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The limit.
    pub limit: u64,
    /// What was asked for.
    pub asked: u64,
    /// Private memory of programs.
    pub user: u64,
    /// Page cache, files in memory, shared memory.
    pub frames: u64,
    /// The LibOS itself.
    pub libos: u64,
    /// The most that was ever in use at once.
    pub peak: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl OutOfMemory {
    /// The state now, when `asked` was refused.
    pub fn now(asked: u64, outcome: Outcome) -> Self {
        Self {
            limit: budget::limit(),
            asked,
            user: budget::used(Purpose::User),
            frames: budget::used(Purpose::Frames),
            libos: budget::used(Purpose::Libos),
            peak: budget::peak(),
            outcome,
        }
    }

    /// One line for a person, without its newline.
    pub fn line(&self, process: &str, id: u32) -> String {
        let deed = match self.outcome {
            Outcome::Refused => "asked",
            Outcome::Ended => "was ended, as it needed",
        };
        format!(
            "adyton: out of memory: limit {}, {process}[{id}] {deed} {}, in use user {} cache {} \
             kernel {}; raise --memory (peak so far {})",
            size(self.limit),
            size(self.asked),
            size(self.user),
            size(self.frames),
            size(self.libos),
            size(self.peak),
        )
    }
}

/// A size in the largest unit of which it has ten, or that divides it.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let fits = |unit: u64| bytes >= unit && (bytes.is_multiple_of(unit) || bytes >= 10 * unit);
    match UNITS.iter().find(|(unit, _)| fits(*unit)) {
        Some((unit, name)) => format!("{}{name}", (bytes + unit / 2) / unit),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests {
    use super::{OutOfMemory, Outcome, size};

    #[test]
    fn names_all_that_a_person_needs() {
        let refusal = OutOfMemory {
            limit: 1 << 30,
            asked: 256 << 20,
            user: 901 << 20,
            frames: 60 << 20,
            libos: 31 << 20,
            peak: 1002 << 20,
            outcome: Outcome::Refused,
        };
        assert_eq!(
            refusal.line("python3", 7),
            "adyton: out of memory: limit 1GiB, python3[7] asked 256MiB, in use user 901MiB \
             cache 60MiB kernel 31MiB; raise --memory (peak so far 1002MiB)"
        );
        let ended = OutOfMemory { asked: 4096, outcome: Outcome::Ended, ..refusal };
        assert!(ended.line("dd", 1).contains("dd[1] was ended, as it needed 4KiB, in use"));
    }

    #[test]
    fn sizes_keep_two_digits() {
        assert_eq!(size(0), "0B");
        assert_eq!(size(4096), "4KiB");
        assert_eq!(size((1 << 20) + 4096), "1028KiB");
        assert_eq!(size((900 << 20) + 4096), "900MiB");
        assert_eq!(size(3 << 40), "3TiB");
    }
}
