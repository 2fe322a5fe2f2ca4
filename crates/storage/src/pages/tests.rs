//! Contents compared with a plain vector, over every mix of operations.

use std::boxed::Box;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::vec::Vec;

use abi::errno::Result;
use platform::arena::{Extent, PAGE};
use platform::user::Source;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{Backing, Content, Observer, Pages, Reach, RunError, Waiting};

fn finish<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// A backing that gives contents in odd pieces, and takes them.
struct Disk {
    bytes: Mutex<Vec<u8>>,
    most: usize,
    writable: bool,
    reads: Mutex<usize>,
}

impl Disk {
    fn new(bytes: Vec<u8>, most: usize, writable: bool) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(bytes), most, writable, reads: Mutex::new(0) })
    }
}

impl Backing for Disk {
    fn read(&self, offset: u64, len: usize) -> Waiting<'_, Result<Content>> {
        *self.reads.lock().unwrap() += 1;
        let bytes = self.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap().min(bytes.len());
        let end = (start + len.min(self.most)).min(bytes.len());
        let content = Content::Bytes(bytes[start..end].to_vec());
        Box::pin(std::future::ready(Ok(content)))
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        let mut bytes = self.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        if bytes.len() < start + len {
            bytes.resize(start + len, 0);
        }
        extent.read(at, &mut bytes[start..start + len]);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A source that faults after some bytes.
struct Faulting<'a> {
    bytes: &'a [u8],
    left_before_fault: usize,
}

impl Source for Faulting<'_> {
    fn left(&self) -> usize {
        self.bytes.len()
    }

    fn take(&mut self, out: &mut [u8]) -> usize {
        let len = out.len().min(self.bytes.len()).min(self.left_before_fault);
        out[..len].copy_from_slice(&self.bytes[..len]);
        self.bytes = &self.bytes[len..];
        self.left_before_fault -= len;
        len
    }

    fn take_frames(&mut self, extent: &Extent, at: usize, len: usize) -> usize {
        let mut bytes = vec![0; len];
        let taken = self.take(&mut bytes);
        extent.write(at, &bytes[..taken]);
        taken
    }
}

fn read_all(pages: &Arc<Pages>, offset: usize, len: usize) -> Vec<u8> {
    let mut out = vec![0xaa; len];
    let mut done = 0;
    loop {
        match pages.read_bytes((offset + done) as u64, &mut out[done..]) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(missing) => finish(pages.fill(missing.offset, missing.len)).unwrap(),
        }
        if done == len {
            break;
        }
    }
    out.truncate(done);
    out
}

/// Fails with the first place where two contents differ.
#[track_caller]
fn same(got: &[u8], wanted: &[u8]) {
    let differs = got.iter().zip(wanted).position(|(one, other)| one != other);
    let at = differs.map(|at| (at, got[at], wanted[at]));
    assert!(got.len() == wanted.len() && at.is_none(), "{} {} {at:?}", got.len(), wanted.len());
}

#[derive(Clone, Debug)]
enum Step {
    Write { at: usize, len: usize, seed: u8 },
    WriteFaulting { at: usize, len: usize, after: usize },
    Append { len: usize, seed: u8 },
    Truncate { len: usize },
    Punch { at: usize, len: usize },
    Allocate { at: usize, len: usize, keep: bool },
    Fill { at: usize, len: usize },
    Map { page: usize, write: bool },
    Evict,
    Flush,
    Read { at: usize, len: usize },
}

const LEN: usize = 40 * PAGE;

fn step() -> impl Strategy<Value = Step> {
    let at = prop_oneof![0..LEN, (0..40_usize).prop_map(|page| page * PAGE)];
    let len = prop_oneof![0..64_usize, 0..3 * PAGE, Just(PAGE), 0..20 * PAGE];
    prop_oneof![
        (at.clone(), len.clone(), any::<u8>()).prop_map(|(at, len, seed)| Step::Write {
            at,
            len,
            seed
        }),
        (at.clone(), len.clone(), 0..2 * PAGE).prop_map(|(at, len, after)| Step::WriteFaulting {
            at,
            len,
            after
        }),
        (len.clone(), any::<u8>()).prop_map(|(len, seed)| Step::Append { len, seed }),
        at.clone().prop_map(|len| Step::Truncate { len }),
        (at.clone(), len.clone()).prop_map(|(at, len)| Step::Punch { at, len }),
        (at.clone(), 1..9 * PAGE, any::<bool>()).prop_map(|(at, len, keep)| Step::Allocate {
            at,
            len,
            keep
        }),
        (at.clone(), len.clone()).prop_map(|(at, len)| Step::Fill { at, len }),
        (0..40_usize, any::<bool>()).prop_map(|(page, write)| Step::Map { page, write }),
        Just(Step::Evict),
        Just(Step::Flush),
        (at, len).prop_map(|(at, len)| Step::Read { at, len }),
    ]
}

fn noise(len: usize, seed: u8) -> Vec<u8> {
    (0..=250_u8).cycle().take(len).map(|byte| byte ^ seed).collect()
}

fn put(model: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    if model.len() < at + bytes.len() {
        model.resize(at + bytes.len(), 0);
    }
    model[at..at + bytes.len()].copy_from_slice(bytes);
}

fn apply(pages: &Arc<Pages>, model: &mut Vec<u8>, step: &Step) {
    match *step {
        Step::Write { at, len, seed } => {
            let bytes = noise(len, seed);
            pages.write_bytes(at as u64, &bytes).unwrap();
            put(model, at, &bytes);
        }
        Step::WriteFaulting { at, len, after } => {
            let bytes = noise(len, 0x5a);
            let mut source = Faulting { bytes: &bytes, left_before_fault: after };
            let (done, end) = pages.write(Some(at as u64), &mut source).unwrap();
            assert_eq!(done, len.min(after));
            assert_eq!(end, (at + done) as u64);
            put(model, at, &bytes[..done]);
        }
        Step::Append { len, seed } => {
            let bytes = noise(len, seed);
            let mut source = Faulting { bytes: &bytes, left_before_fault: usize::MAX };
            let (done, end) = pages.write(None, &mut source).unwrap();
            put(model, model.len(), &bytes);
            assert_eq!((done, end), (len, model.len() as u64));
        }
        Step::Truncate { len } => {
            pages.truncate(len as u64).unwrap();
            model.resize(len, 0);
        }
        Step::Punch { at, len } => {
            pages.punch_hole(at as u64, len as u64).unwrap();
            let end = (at + len).min(model.len());
            model[at.min(end)..end].fill(0);
        }
        Step::Allocate { at, len, keep } => {
            pages.allocate(at as u64, len as u64, keep).unwrap();
            if !keep && model.len() < at + len {
                model.resize(at + len, 0);
            }
        }
        Step::Fill { at, len } => finish(pages.fill(at as u64, len as u64)).unwrap(),
        Step::Map { page, write } => map(pages, model, page, write),
        Step::Evict => {
            pages.evict();
        }
        Step::Flush => finish(pages.flush(Reach::Exposed)).unwrap(),
        Step::Read { at, len } => {
            let start = at.min(model.len());
            let end = (at + len).min(model.len()).max(start);
            same(&read_all(pages, at, len), &model[start..end]);
        }
    }
    assert_eq!(pages.size(), model.len() as u64);
}

/// Maps a page, looks at its frame, and writes a byte through it.
fn map(pages: &Arc<Pages>, model: &mut [u8], page: usize, write: bool) {
    match finish(pages.populate(page as u64, 8, write)) {
        Ok(run) => {
            let start = page * PAGE;
            let end = (start + run.pages * PAGE).min(model.len());
            let mut bytes = vec![0; end - start];
            run.extent.read(run.first * PAGE, &mut bytes);
            same(&bytes, &model[start..end]);
            if write {
                run.extent.write(run.first * PAGE + 7, &[0x77]);
                // Beyond the end a mapping may scribble; the file never shows it.
                if start + 7 < model.len() {
                    model[start + 7] = 0x77;
                }
            }
        }
        Err(RunError::Beyond) => assert!(page * PAGE >= model.len()),
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn memory_is_a_vector(steps in proptest::collection::vec(step(), 1..40)) {
        let pages = Pages::new();
        let mut model = Vec::new();
        for step in &steps {
            apply(&pages, &mut model, step);
        }
        same(&read_all(&pages, 0, model.len() + 9), &model);
    }

    #[test]
    fn a_layer_over_a_disk_is_a_vector(
        steps in proptest::collection::vec(step(), 1..40),
        len in 0..LEN,
        most in 1..3 * PAGE,
    ) {
        let disk = Disk::new(noise(len, 3), most, false);
        let pages = Pages::backed(Arc::<Disk>::clone(&disk), len as u64);
        let mut model = noise(len, 3);
        for step in &steps {
            apply(&pages, &mut model, step);
        }
        same(&read_all(&pages, 0, model.len() + 9), &model);
        same(&disk.bytes.lock().unwrap(), &noise(len, 3));
    }

    #[test]
    fn a_disk_gets_what_is_flushed(
        steps in proptest::collection::vec(step(), 1..40),
        len in 0..LEN,
        most in 1..3 * PAGE,
    ) {
        let disk = Disk::new(noise(len, 3), most, true);
        let pages = Pages::backed(Arc::<Disk>::clone(&disk), len as u64);
        let mut model = noise(len, 3);
        for step in &steps {
            apply(&pages, &mut model, step);
            // A change of length is carried by the file's owner, before anything else happens.
            if matches!(step, Step::Truncate { .. } | Step::Allocate { .. }) {
                disk.bytes.lock().unwrap().resize(model.len(), 0);
            }
        }
        finish(pages.flush(Reach::Exposed)).unwrap();
        same(&disk.bytes.lock().unwrap(), &model);
        pages.evict();
        same(&read_all(&pages, 0, model.len() + 9), &model);
    }
}

#[test]
fn small_files_are_small_and_never_move() {
    let pages = Pages::new();
    pages.write_bytes(0, b"x").unwrap();
    let first = pages.frames(0, 1, false).unwrap();
    assert_eq!(first.extent.len(), PAGE);
    pages.write_bytes(1, &noise(20 * PAGE, 1)).unwrap();
    assert_eq!(pages.frames(0, 1, false).unwrap().offset(), first.offset());
    assert_eq!(pages.blocks(), 21 * 8);
}

#[test]
fn a_page_written_as_a_whole_is_not_read() {
    let disk = Disk::new(noise(8 * PAGE, 1), usize::MAX, false);
    let pages = Pages::backed(Arc::<Disk>::clone(&disk), 8 * PAGE as u64);
    pages.write_bytes(0, &noise(2 * PAGE, 9)).unwrap();
    same(&read_all(&pages, 0, 2 * PAGE), &noise(2 * PAGE, 9));
    assert_eq!(*disk.reads.lock().unwrap(), 0);
}

#[test]
fn sequential_reads_are_read_ahead() {
    let len = 2 << 20;
    let disk = Disk::new(noise(len, 1), usize::MAX, false);
    let pages = Pages::backed(Arc::<Disk>::clone(&disk), len as u64);
    let mut at = 0;
    while at < len {
        same(&read_all(&pages, at, PAGE), &noise(len, 1)[at..at + PAGE]);
        at += PAGE;
    }
    // 64 KiB, 128, 256, 512, then 1 MiB at a time.
    assert!(*disk.reads.lock().unwrap() <= 7, "{:?}", disk.reads);
}

#[test]
fn holes_are_found() {
    let pages = Pages::new();
    pages.write_bytes(20 * PAGE as u64 + 5, b"data").unwrap();
    pages.truncate(30 * PAGE as u64).unwrap();
    let data = 20 * PAGE as u64;
    assert_eq!(pages.seek_data(0, false).unwrap(), data);
    assert_eq!(pages.seek_data(0, true).unwrap(), 0);
    assert_eq!(pages.seek_data(data + 9, false).unwrap(), data + 9);
    assert_eq!(pages.seek_data(data, true).unwrap(), data + PAGE as u64);
    assert_eq!(pages.seek_data(22 * PAGE as u64, false).unwrap_err().errno, abi::Errno::ENXIO);
    assert_eq!(pages.seek_data(30 * PAGE as u64, true).unwrap_err().errno, abi::Errno::ENXIO);
    assert_eq!(pages.blocks(), 8);
}

#[test]
fn mappings_hear_of_truncation() {
    struct Heard(Mutex<Vec<std::ops::Range<u64>>>);
    impl Observer for Heard {
        fn invalidated(&self, pages: std::ops::Range<u64>) {
            self.0.lock().unwrap().push(pages);
        }
    }
    let heard = Arc::new(Heard(Mutex::new(Vec::new())));
    let pages = Pages::new();
    pages.write_bytes(0, &noise(5 * PAGE, 1)).unwrap();
    let weak = Arc::downgrade(&heard);
    pages.add_observer(weak);
    let run = pages.frames(4, 1, true).unwrap();
    pages.truncate(PAGE as u64 + 1).unwrap();
    assert_eq!(heard.0.lock().unwrap().first(), Some(&(2..u64::MAX)));
    drop(run);
    pages.truncate(5 * PAGE as u64).unwrap();
    same(&read_all(&pages, PAGE + 1, 5 * PAGE), &vec![0; 4 * PAGE - 1]);
}

#[test]
fn the_largest_offset_is_the_end() {
    let pages = Pages::new();
    let errno = |result: Result<()>| result.unwrap_err().errno;
    assert_eq!(errno(pages.write_bytes(super::LENGTH_MAX, b"x")), abi::Errno::EFBIG);
    assert_eq!(errno(pages.truncate(super::LENGTH_MAX + 1)), abi::Errno::EFBIG);
    pages.truncate(super::LENGTH_MAX).unwrap();
    assert_eq!(read_all(&pages, usize::MAX / 2 - 3, 9), vec![0; 3]);
    assert_eq!(pages.blocks(), 0);
}

#[test]
fn clean_contents_make_room() {
    let len = 64 * PAGE;
    let disk = Disk::new(noise(len, 1), usize::MAX, false);
    let pages = Pages::backed(Arc::<Disk>::clone(&disk), len as u64);
    // From behind, so that nothing is read ahead.
    for chunk in (0..4_u64).rev() {
        finish(pages.fill(chunk * 16 * PAGE as u64, 1)).unwrap();
    }
    pages.write_bytes(0, b"mine").unwrap();
    let mapped = pages.frames(40, 1, false).unwrap();
    assert!(crate::reclaim::reclaim(1) > 0 || pages.evict() > 0);
    let mut expected = noise(len, 1);
    expected[..4].copy_from_slice(b"mine");
    same(&read_all(&pages, 0, len), &expected);
    drop(mapped);
}

#[test]
fn what_a_backing_said_before_a_write_is_passed_over() {
    let disk = Disk::new(noise(100, 1), usize::MAX, true);
    let pages = Pages::backed(Arc::<Disk>::clone(&disk), 100);
    let asked = super::moment();
    pages.write_bytes(100, &noise(50, 2)).unwrap();
    pages.refresh(100, super::moment());
    assert_eq!(pages.size(), 150, "not carried yet");
    finish(pages.flush(Reach::Written)).unwrap();
    pages.refresh(100, asked);
    assert_eq!(pages.size(), 150, "asked before");
    same(&read_all(&pages, 100, 50), &noise(50, 2));
    pages.refresh(120, super::moment());
    assert_eq!(pages.size(), 120, "somebody else cut it");
}

#[test]
fn one_carries_at_a_time_and_what_is_given_up_is_pending_again() {
    let disk = Slow::default();
    let pages = Pages::backed(Arc::new(disk.clone()), 0);
    let mut cx = Context::from_waker(Waker::noop());
    pages.write_bytes(0, b"old").unwrap();
    let mut first = Box::pin(pages.flush(Reach::Written));
    assert!(first.as_mut().poll(&mut cx).is_pending());
    pages.write_bytes(0, b"new").unwrap();
    let mut second = Box::pin(pages.flush(Reach::Written));
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(disk.0.lock().unwrap().writes, 1, "the second waits for the first");
    // The first is given up: its bytes are the second's now.
    drop(first);
    assert!(second.as_mut().poll(&mut cx).is_pending());
    assert_eq!(disk.0.lock().unwrap().writes, 2);
    disk.0.lock().unwrap().answers = true;
    while second.as_mut().poll(&mut cx).is_pending() {}
    pages.evict();
    assert_eq!(pages.size(), 3);
    assert_eq!(disk.0.lock().unwrap().bytes, b"new");
}

/// A backing whose writes take until it is told to answer.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<SlowState>>);

#[derive(Default)]
struct SlowState {
    bytes: Vec<u8>,
    writes: usize,
    answers: bool,
}

impl Backing for Slow {
    fn read(&self, _: u64, _: usize) -> Waiting<'_, Result<Content>> {
        let content = Content::Bytes(self.0.lock().unwrap().bytes.clone());
        Box::pin(std::future::ready(Ok(content)))
    }

    fn writable(&self) -> bool {
        true
    }

    fn write<'a>(
        &'a self,
        offset: u64,
        extent: &'a Extent,
        at: usize,
        len: usize,
    ) -> Waiting<'a, Result<()>> {
        let mut bytes = vec![0; len];
        extent.read(at, &mut bytes);
        let mut started = false;
        Box::pin(std::future::poll_fn(move |_| {
            let mut state = self.0.lock().unwrap();
            state.writes += usize::from(!std::mem::replace(&mut started, true));
            if !state.answers {
                return Poll::Pending;
            }
            let end = usize::try_from(offset).unwrap() + len;
            let all = state.bytes.len().max(end);
            state.bytes.resize(all, 0);
            state.bytes[end - len..end].copy_from_slice(&bytes);
            Poll::Ready(Ok(()))
        }))
    }
}
