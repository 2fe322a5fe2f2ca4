//! Locks as `/proc/locks` shows them.
//!
//! Source: `proc_locks(5)`.

use alloc::format;
use alloc::string::String;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt::Write as _;

use platform::sync::Mutex;

use super::{Holder, Inner, Locks, Mode, Record, Wanted, Whole, in_the_way};

/// Files that have, or had, locks.
static ALL: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Has a file's locks shown from now on.
pub(super) fn remember(inner: &Arc<Inner>) {
    let mut all = ALL.lock();
    if all.len() == all.capacity() {
        all.retain(|known| known.strong_count() > 0);
    }
    all.push(Arc::downgrade(inner));
}

/// A lock to be shown: what stands before it, and it.
type Row = (&'static str, String);

/// All locks, each on a line behind its number; those that wait have the number of what they wait for.
pub fn all() -> String {
    let files: Vec<_> = ALL.lock().iter().filter_map(Weak::upgrade).collect();
    let mut text = String::new();
    let mut number = 0;
    for (before, row) in files.iter().flat_map(|inner| rows(inner, |_, _| true)) {
        number += u32::from(before.is_empty());
        let _ = writeln!(text, "{number}: {before}{row}");
    }
    text
}

impl Locks {
    /// The locks that a process and a description took through that description, for fdinfo.
    pub fn of(&self, process: Holder, description: u64) -> Vec<String> {
        let Some(inner) = self.inner.get() else { return Vec::new() };
        let through = Holder::Description(description);
        let rows =
            rows(inner, |holder, by| holder == through || (holder == process && by == description));
        rows.into_iter().filter(|(before, _)| before.is_empty()).map(|(_, row)| row).collect()
    }
}

fn rows(inner: &Inner, chosen: impl Fn(Holder, u64) -> bool) -> Vec<Row> {
    let held = inner.held.lock();
    let (device, inode) = held.file.unwrap_or_default();
    let place = format!("{:02x}:{:02x}:{inode}", device >> 8 & 0xfff, device & 0xff);
    let mut rows = Vec::new();
    for whole in held.whole.iter().filter(|whole| chosen(whole.holder, 0)) {
        rows.push(("", row_of_whole(whole, &place)));
        for (_, wanted) in &held.waiting {
            if let Wanted::Whole(wanted) = wanted
                && first_in_the_way(&held.whole, wanted) == Some(whole)
            {
                rows.push(("-> ", row_of_whole(wanted, &place)));
            }
        }
    }
    for record in held.records.iter().filter(|record| chosen(record.holder, record.by)) {
        rows.push(("", row_of_record(record, &place)));
        for (_, wanted) in &held.waiting {
            if let Wanted::Record(wanted) = wanted
                && held.records.iter().find(|other| in_the_way(other, wanted)) == Some(record)
            {
                rows.push(("-> ", row_of_record(wanted, &place)));
            }
        }
    }
    rows
}

fn first_in_the_way<'a>(held: &'a [Whole], wanted: &Whole) -> Option<&'a Whole> {
    held.iter().find(|other| {
        other.holder != wanted.holder
            && (other.mode == Mode::Exclusive || wanted.mode == Mode::Exclusive)
    })
}

fn kind(mode: Mode) -> &'static str {
    match mode {
        Mode::Shared => "READ",
        Mode::Exclusive => "WRITE",
    }
}

fn row_of_whole(whole: &Whole, place: &str) -> String {
    format!("FLOCK  ADVISORY  {} {} {place} 0 EOF", kind(whole.mode), whole.pid)
}

fn row_of_record(record: &Record, place: &str) -> String {
    let (class, pid) = match record.holder {
        Holder::Process(pid) => ("POSIX ", i64::from(pid)),
        Holder::Description(_) => ("OFDLCK", -1),
    };
    let start = record.bytes.start;
    let end = match record.bytes.end {
        u64::MAX => "EOF".into(),
        end => format!("{}", end - 1),
    };
    format!("{class} ADVISORY  {} {pid} {place} {start} {end}", kind(record.mode))
}
