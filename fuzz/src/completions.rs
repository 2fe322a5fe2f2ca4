//! A ring whose host does what it likes.
//!
//! The input is a list of steps, the LibOS's and the host's mixed. Whatever the host writes, a result
//! is an errno or at most what was asked for, an operation ends once, and a buffer is not given to
//! somebody else while the host may still write to it.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::task::Waker;

use abi::ring::{COMPLETIONS, Completion, Places, SUBMISSIONS, Submission, UNAWAITED};
use arbitrary::{Arbitrary, Unstructured};
use platform::io::Bounce;
use platform::ring::{Answer, Broken, Client, IN_FLIGHT, Ticket};

/// Bytes of untrusted memory.
const UNTRUSTED: usize = 8 << 20;

/// One step.
#[derive(Arbitrary, Debug)]
enum Step {
    /// The LibOS asks for at most `most` bytes, or for a handle, with a buffer or without.
    Submit { most: u16, handle: bool, buffer: bool },
    /// It gives an operation up.
    Cancel(u8),
    /// It waits no longer for one that goes on.
    Detach(u8),
    /// It asks for a result.
    Poll(u8),
    /// It takes completions.
    Reap,
    /// The host takes entries.
    Take(u8),
    /// The host answers an operation, an old one maybe.
    Answer { which: u8, result: i32, flags: u8 },
    /// The host answers what nobody asked.
    Invent { user_data: u64, result: i32 },
    /// The host answers a cancellation.
    Cancelled(i32),
    /// The host overwrites a shared word.
    Overwrite { which: u8, value: u32 },
}

/// The shared memory, as the kernel lays it out.
#[repr(C, align(64))]
struct Shared {
    submissions: [Submission; SUBMISSIONS as usize],
    completions: [Completion; COMPLETIONS as usize],
    /// SQ head, SQ tail, SQ flags, CQ head, CQ tail.
    words: [u32; 5],
}

const SQ_HEAD: usize = 0;
const SQ_TAIL: usize = 1;
const CQ_TAIL: usize = 4;

/// The host's side: raw accesses only, since the client reads and writes the same memory.
struct Host {
    shared: *mut Shared,
    taken: Vec<Submission>,
}

impl Host {
    fn word(&self, which: usize) -> *mut u32 {
        // SAFETY: `shared` lives for the run, and `which` is below 5.
        let words = unsafe { &raw mut (*self.shared).words };
        words.cast::<u32>().wrapping_add(which % 5)
    }

    fn get(&self, which: usize) -> u32 {
        // SAFETY: `word` gives a place in `shared`.
        unsafe { self.word(which).read_volatile() }
    }

    fn set(&self, which: usize, value: u32) {
        // SAFETY: as in `get`.
        unsafe { self.word(which).write_volatile(value) };
    }

    /// Reads the entries up to the tail, at most `most`.
    fn take(&mut self, most: u8) {
        for _ in 0..most {
            let head = self.get(SQ_HEAD);
            if head == self.get(SQ_TAIL) {
                return;
            }
            // SAFETY: `shared` lives, the index is below SUBMISSIONS.
            let entries = unsafe { &raw const (*self.shared).submissions };
            let at = entries.cast::<Submission>().wrapping_add((head % SUBMISSIONS) as usize);
            // SAFETY: `at` lies in `shared`.
            self.taken.push(unsafe { at.read_volatile() });
            self.set(SQ_HEAD, head.wrapping_add(1));
        }
    }

    fn complete(&self, user_data: u64, result: i32, flags: u32) {
        let tail = self.get(CQ_TAIL);
        // SAFETY: `shared` lives.
        let entries = unsafe { &raw mut (*self.shared).completions };
        let at = entries.cast::<Completion>().wrapping_add((tail % COMPLETIONS) as usize);
        // SAFETY: `at` lies in `shared`.
        unsafe { at.write_volatile(Completion { user_data, result, flags }) };
        self.set(CQ_TAIL, tail.wrapping_add(1));
    }
}

/// What the LibOS knows of an operation.
struct Asked {
    ticket: Ticket,
    answer: Answer,
    /// Where its buffer lies, if it has one.
    buffer: Option<u64>,
    ended: bool,
    given_up: bool,
}

/// Makes `Bounce` work in this process.
fn untrusted_memory() {
    static READY: OnceLock<()> = OnceLock::new();
    READY.get_or_init(|| {
        let memory = Box::leak(vec![0_u8; UNTRUSTED].into_boxed_slice());
        // SAFETY: leaked, so mapped for ever, and nobody else's.
        unsafe { platform::io::init(memory.as_ptr() as u64, UNTRUSTED as u64, 0) };
    });
}

/// Runs the steps.
///
/// # Panics
/// When a rule is broken.
pub fn run(data: &[u8]) {
    let Ok(steps) = Vec::<Step>::arbitrary_take_rest(Unstructured::new(data)) else { return };
    untrusted_memory();
    let shared = Box::into_raw(Box::new(Shared {
        submissions: [Submission::default(); SUBMISSIONS as usize],
        completions: [Completion::default(); COMPLETIONS as usize],
        words: [0; 5],
    }));
    let mut host = Host { shared, taken: Vec::new() };
    let at = |which| host.word(which) as u64;
    let places = Places {
        sq_head: at(0),
        sq_tail: at(1),
        sq_flags: at(2),
        cq_head: at(3),
        cq_tail: at(4),
        submissions: shared as u64,
        completions: shared as u64 + (size_of::<Submission>() * SUBMISSIONS as usize) as u64,
    };
    // SAFETY: in `Shared`'s order, aligned, freed after the client.
    let mut client = unsafe { Client::new(places) };
    let mut asked = Vec::new();
    for step in steps {
        // A broken host ends the enclave, so the run ends as well.
        if advance(&step, &mut client, &mut host, &mut asked).is_err() {
            break;
        }
        assert!(client.in_flight() <= IN_FLIGHT, "more in flight than slots");
    }
    drop(client);
    // SAFETY: from `Box::into_raw`; the client, which knew its address, is gone.
    drop(unsafe { Box::from_raw(shared) });
}

/// Carries out one step; an error when the client noticed that the host broke a rule.
fn advance(
    step: &Step,
    client: &mut Client,
    host: &mut Host,
    asked: &mut Vec<Asked>,
) -> Result<(), Broken> {
    match *step {
        Step::Submit { most, handle, buffer } => {
            let most = usize::from(most);
            let answer = if handle { Answer::Handle } else { Answer::AtMost(most) };
            let bounce = if buffer { Bounce::with_capacity(most.max(1)) } else { None };
            let place = bounce.as_ref().map(Bounce::offset);
            if let Some(place) = place {
                assert!(!in_use(asked).contains(&place), "a buffer in flight was given away");
            }
            if let Ok(ticket) = client.submit(Submission::default(), answer, bounce)? {
                asked.push(Asked { ticket, answer, buffer: place, ended: false, given_up: false });
            }
        }
        Step::Cancel(which) => {
            if let Some(operation) = pick(asked, which) {
                operation.given_up = true;
                client.cancel(operation.ticket)?;
            }
        }
        Step::Detach(which) => {
            if let Some(operation) = pick(asked, which) {
                operation.given_up = true;
                client.detach(operation.ticket);
            }
        }
        Step::Poll(which) => {
            if let Some(operation) = pick(asked, which) {
                poll(client, operation);
            }
        }
        Step::Reap => {
            client.reap()?;
        }
        Step::Take(most) => host.take(most),
        Step::Answer { which, result, flags } => {
            if let Some(entry) = pick(&mut host.taken, which) {
                let user_data = entry.user_data;
                host.complete(user_data, result, flags.into());
            }
        }
        Step::Invent { user_data, result } => host.complete(user_data, result, 0),
        Step::Cancelled(result) => host.complete(UNAWAITED, result, 0),
        Step::Overwrite { which, value } => host.set(which.into(), value),
    }
    Ok(())
}

fn poll(client: &mut Client, operation: &mut Asked) {
    let Ok((result, bounce)) = client.poll(operation.ticket, Waker::noop()) else { return };
    assert!(!operation.ended, "an operation ended twice");
    assert!(!operation.given_up, "an operation that nobody waits for ended");
    assert_eq!(bounce.as_ref().map(Bounce::offset), operation.buffer, "another's buffer");
    operation.ended = true;
    let raw = result.check(|_| true).unwrap_or_default();
    let fine = match operation.answer {
        Answer::AtMost(most) => usize::try_from(raw).is_ok_and(|count| count <= most),
        Answer::Handle => raw >= 0,
    };
    assert!(fine || (-4095..0).contains(&raw), "{raw} for {:?}", operation.answer);
}

/// Buffers that may be written to at any moment. Of those that were given up only the client knows.
fn in_use(asked: &[Asked]) -> BTreeSet<u64> {
    let waiting = |operation: &&Asked| !operation.ended && !operation.given_up;
    asked.iter().filter(waiting).filter_map(|operation| operation.buffer).collect()
}

fn pick<T>(list: &mut [T], which: u8) -> Option<&mut T> {
    let len = list.len().max(1);
    list.get_mut(usize::from(which) % len)
}
