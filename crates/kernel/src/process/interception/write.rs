//! The stores that put a patch into text, and take it out.

use abi::layout::PAGE;
use platform::arena::{self, Extent};
use platform::{cpu, vcpu};

use crate::memory::interception::patch::{Company, Pad, Patch, Store, Value, Width};
use crate::memory::interception::trampoline::FILL;
use crate::memory::interception::{Origin, Process as Book};
use crate::memory::text::Patching;

/// Whether a patch is put in or taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Apply,
    Restore,
}

/// Writes the trampoline, then the pad, then the site; false when a page can't be had, or something else
/// stands there by now.
pub(super) fn apply(
    book: &mut Book,
    patching: &mut Patching<'_>,
    patch: &Patch,
    origin: Origin,
) -> bool {
    let Ok(first) = patching.text_frame(patch.at) else { return false };
    let Ok(second) = patching.text_frame(last_byte(patch)) else { return false };
    let dead = match patch.pad {
        Some(pad) => match patching.text_frame(pad.at) {
            Ok(frame) => Some((pad, frame)),
            Err(_) => return false,
        },
        None => None,
    };
    let page = patch.trampoline.page();
    let trampoline = if patch.trampoline.fresh {
        let Ok(extent) = patching.allocate_at(page) else { return false };
        extent.write(0, &[FILL; arena::PAGE]);
        extent.write(offset(patch.trampoline.stub), &book.gate().stub());
        extent
    } else {
        let Some(extent) = patching.existing_text_frame(page) else { return false };
        extent
    };
    if !book.commit(patch, origin) {
        return false;
    }
    trampoline.write(offset(patch.trampoline.at), &patch.trampoline.code);
    if let Some((pad, frame)) = dead {
        frame.write(offset(pad.at), &pad.new);
    }
    site([&first, &second], patch, Direction::Apply);
    true
}

/// Puts the program's bytes back at a patch's site, if its text is there.
pub(super) fn restore(patching: &Patching<'_>, patch: &Patch) {
    let first = patching.existing_text_frame(patch.at);
    let second = patching.existing_text_frame(last_byte(patch));
    if let (Some(first), Some(second)) = (first, second) {
        site([&first, &second], patch, Direction::Restore);
    }
}

/// Puts the program's bytes back at a pad, which no vCPU can be at any more.
pub(super) fn restore_pad(patching: &Patching<'_>, pad: Pad) {
    if let Some(frame) = patching.existing_text_frame(pad.at) {
        frame.write(offset(pad.at), &pad.old);
    }
}

fn last_byte(patch: &Patch) -> u64 {
    patch.at + patch.new.len() as u64 - 1
}

/// Stores a site's bytes, or the old ones, into the frames of its first and its last byte, alone where
/// that is needed.
fn site(frames: [&Extent; 2], patch: &Patch, direction: Direction) {
    let frame = frames[0];
    let company = if vcpu::count() == 1 {
        Company::Alone
    } else if cpu::features().amd {
        Company::OldOrNew
    } else {
        Company::Unsynchronised
    };
    let Store::One { at, width, .. } = patch.store else {
        // On two lines: whole or not at all only while nobody can execute it.
        return vcpu::alone(|| split(frames, patch, direction));
    };
    let len = match width {
        Width::Two => 2,
        Width::Eight => 8,
    };
    let store = || {
        let mut current = [0; 8];
        frame.read(offset(at), &mut current[..len]);
        let value = match direction {
            Direction::Apply => patch.apply_to(&current[..len]),
            Direction::Restore => patch.restore_to(&current[..len]),
        };
        match value {
            Some(Value::Two(bytes)) => frame.store_two(offset(at), bytes),
            Some(Value::Eight(bytes)) => frame.store_eight(offset(at), bytes),
            None => {}
        }
    };
    if patch.store.needs_stop(company) { vcpu::alone(store) } else { store() }
}

fn split(frames: [&Extent; 2], patch: &Patch, direction: Direction) {
    let (from, to) = match direction {
        Direction::Apply => (&patch.old, &patch.new),
        Direction::Restore => (&patch.new, &patch.old),
    };
    let places = (patch.at..).map(|at| {
        let second = at & !(PAGE - 1) != patch.at & !(PAGE - 1);
        (frames[usize::from(second)], offset(at))
    });
    let same = places.clone().zip(from).all(|((frame, at), byte)| {
        let mut current = [0];
        frame.read(at, &mut current);
        current[0] == *byte
    });
    if same {
        places.zip(to).for_each(|((frame, at), byte)| frame.write(at, &[*byte]));
    }
}

/// Offset of an address in its page.
fn offset(address: u64) -> usize {
    usize::try_from(address % PAGE).unwrap_or(0)
}
