//! One instruction's replacement: the bytes, and how to write them so that no processor ever sees half.

use core::ops::Range;

use smallvec::SmallVec;

use super::code::page_of;
use super::decide::Rule;
use super::trampoline;

/// Bytes that a pun's jump shares with what follows the `syscall`.
pub(crate) const SHARED: u64 = 3;

/// Bytes of a `syscall`, and of a jump with an 8-bit displacement.
pub(crate) const SHORT: u64 = 2;

/// Bytes of one replaced instruction.
pub type Span = SmallVec<[u8; 8]>;

/// One instruction's replacement, with all that is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The rule that it follows.
    pub rule: Rule,
    /// Address of the `syscall`.
    pub site: u64,
    /// Address of the replaced instruction.
    pub at: u64,
    /// The program's bytes at `at`.
    pub old: Span,
    /// What replaces them, as many.
    pub new: Span,
    /// How to write them.
    pub store: Store,
    /// What they lead to; to be written first.
    pub trampoline: Trampoline,
    /// The jump on the way there, of rule *pad*: to be written before the site, and undone when the
    /// site has been and no vCPU can be on its way any more.
    pub pad: Option<Pad>,
}

/// Where a thread that was interrupted in code of ours stands in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It makes a system call.
    Call(Call),
    /// At an instruction between a replaced `mov` and its `syscall`, where it can go on: all that
    /// is there is still the program's.
    Between {
        /// What the `mov` has loaded into rax.
        number: u32,
        /// Where.
        at: u64,
    },
}

/// A system call that a thread has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number, where rax may not hold it yet.
    pub number: Option<u32>,
    /// Where it returns to.
    pub back: u64,
}

/// A jump in dead bytes of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pad {
    /// Its address; all in one page.
    pub at: u64,
    /// The program's bytes there.
    pub old: [u8; 5],
    /// The jump.
    pub new: [u8; 5],
}

impl Pad {
    /// The bytes that it occupies.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at + self.new.len() as u64
    }
}

/// Code to be placed in a trampoline page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trampoline {
    /// Its address.
    pub at: u64,
    /// Its bytes.
    pub code: trampoline::Bytes,
    /// Address of the stub in the same page.
    pub stub: u64,
    /// Whether the page has still to be mapped, filled with [`trampoline::FILL`], and given its
    /// stub.
    pub fresh: bool,
}

impl Trampoline {
    /// The page that holds it.
    pub fn page(&self) -> u64 {
        page_of(self.at)
    }

    /// The bytes that it occupies.
    pub fn range(&self) -> Range<u64> {
        self.at..self.at + self.code.len() as u64
    }
}

/// How the new bytes reach the text, and the old ones again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// One store within a 64-byte line.
    One {
        /// Where the store begins; the bytes of it that are not replaced keep their value.
        at: u64,
        /// Its width.
        width: Width,
        /// Whether the replaced bytes lie within naturally aligned eight.
        within_eight: bool,
    },
    /// The bytes lie on two lines: no single store has them all.
    Split,
}

/// Width of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// Two bytes.
    Two,
    /// Eight bytes.
    Eight,
}

/// Who else might execute the text that is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// No other vCPU is in user code of this address space, nor can one enter it.
    Alone,
    /// Others may be, on processors that promise old or new bytes for naturally aligned eight
    /// (AMD APM volume 2, section 7.6.1).
    OldOrNew,
    /// Others may be, on processors that promise nothing without synchronisation.
    Unsynchronised,
}

impl Store {
    /// How to write `len` bytes at `at`: two with a store of two, up to eight with a store of eight.
    pub fn new(at: u64, len: u64) -> Self {
        let last = at + len - 1;
        if at >> 6 != last >> 6 {
            return Self::Split;
        }
        let within_eight = at >> 3 == last >> 3;
        let (start, width) = match (len, within_eight) {
            (2, _) => (at, Width::Two),
            (_, true) => (at & !7, Width::Eight),
            (_, false) => (at.min((at & !63) + 56), Width::Eight),
        };
        Self::One { at: start, width, within_eight }
    }

    /// Whether all other vCPUs must be kept out of user code while this is written.
    pub fn needs_stop(self, company: Company) -> bool {
        match (self, company) {
            (Self::One { .. }, Company::Alone) => false,
            (Self::One { within_eight, .. }, Company::OldOrNew) => !within_eight,
            (Self::Split, _) | (_, Company::Unsynchronised) => true,
        }
    }
}

/// The bytes of a store, ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// For a store of two.
    Two([u8; 2]),
    /// For a store of eight.
    Eight([u8; 8]),
}

impl Patch {
    /// The bytes at the site that must stay as they are while the patch stands. Those of its
    /// [`pad`](Self::pad) have to as well.
    pub fn claim(&self) -> Range<u64> {
        let end = match self.rule {
            Rule::Mov => self.site,
            Rule::Pun => self.behind() + SHARED,
            Rule::Pad => self.behind(),
        };
        self.at..end
    }

    /// All that the patch was made of: what it claims, and the `syscall`, which two may be about.
    pub fn extent(&self) -> Range<u64> {
        self.at..self.claim().end.max(self.site + SHORT)
    }

    /// The end of the replaced instruction.
    fn behind(&self) -> u64 {
        self.at + self.new.len() as u64
    }

    /// Where a thread that is on the way at `rip` stands in the program.
    pub fn place(&self, rip: u64) -> Place {
        if let (Some(number), Some(into)) = (self.number(), rip.checked_sub(self.trampoline.at)) {
            // Behind the `mov`, wherever in it: with it, a step of a program that steps is done.
            let at = self.behind() + into.saturating_sub(trampoline::MOV);
            if at < self.site {
                return Place::Between { number, at };
            }
        }
        Place::Call(Call { number: self.number(), back: self.site + SHORT })
    }

    /// What to store in order to apply the patch, given the bytes that the store covers as they are
    /// in memory now (other patches included); `None` when they are not the expected ones, or the
    /// store is split.
    pub fn apply_to(&self, current: &[u8]) -> Option<Value> {
        self.exchange(current, &self.old, &self.new)
    }

    /// As [`Self::apply_to`], for undoing the patch.
    pub fn restore_to(&self, current: &[u8]) -> Option<Value> {
        self.exchange(current, &self.new, &self.old)
    }

    /// Whether a thread at `rip` has left the site and not yet come to its page's stub.
    pub fn is_on_the_way(&self, rip: u64) -> bool {
        self.trampoline.range().contains(&rip) || self.pad.is_some_and(|pad| pad.at == rip)
    }

    /// The program's bytes from `start` on, the address of its site or of its pad.
    pub fn old_at(&self, start: u64) -> &[u8] {
        match &self.pad {
            Some(pad) if pad.at == start => &pad.old,
            _ => &self.old,
        }
    }

    /// The number that its trampoline loads; `None` when the program did.
    pub fn number(&self) -> Option<u32> {
        let [0xB8, number @ ..] = self.trampoline.code.first_chunk::<5>()? else {
            return None;
        };
        (self.rule == Rule::Mov).then(|| u32::from_le_bytes(*number))
    }

    fn exchange(&self, current: &[u8], from: &[u8], to: &[u8]) -> Option<Value> {
        let Store::One { at, width, .. } = self.store else {
            return None;
        };
        let skip = usize::try_from(self.at.checked_sub(at)?).ok()?;
        let mut bytes: Span = Span::from_slice(current);
        let place = bytes.get_mut(skip..skip + to.len())?;
        if *place != *from {
            return None;
        }
        place.copy_from_slice(to);
        Some(match width {
            Width::Two => Value::Two(bytes.as_slice().try_into().ok()?),
            Width::Eight => Value::Eight(bytes.as_slice().try_into().ok()?),
        })
    }
}
