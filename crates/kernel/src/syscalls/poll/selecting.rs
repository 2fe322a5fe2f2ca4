//! select and pselect6.
//!
//! Source: select(2), `select_tut(2)`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::clock::SECOND;
use vfs::object::{Events, OpenFile, Status};
use zerocopy::IntoBytes;

use super::mask;
use super::wait::{Patience, wait};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::time::spec;

/// Microseconds of a second.
const MICROSECONDS: u64 = 1_000_000;
/// Bits of a word of a set.
const WORD: usize = 64;

/// What each set asks for, and which events put a descriptor into it.
const SETS: [Events; 3] = [
    Events::IN.union(Events::RDNORM).union(Events::HUP).union(Events::ERR),
    Events::OUT.union(Events::WRNORM).union(Events::ERR),
    Events::PRI,
];

/// One descriptor of the sets.
struct Selected {
    fd: usize,
    /// In which of the sets it stands.
    sets: [bool; 3],
}

/// The sets of one call.
struct Selection {
    addresses: [u64; 3],
    words: usize,
    selected: Vec<Selected>,
    files: Vec<Arc<OpenFile>>,
}

impl Selection {
    fn read(cx: &Context<'_>, args: &Arguments) -> Result<Self> {
        let Ok(count) = usize::try_from(args.int(0)) else {
            return Err(Errno::EINVAL.because("a negative number of descriptors"));
        };
        let count = count.min(cx.process.files.capacity());
        let words = count.div_ceil(WORD);
        let addresses = [args.address(1), args.address(2), args.address(3)];
        let mut sets = [const { Vec::new() }; 3];
        for (set, address) in sets.iter_mut().zip(addresses) {
            if address != 0 {
                *set = cx.read_vec::<u64>(address, words)?;
            }
        }
        let mut selection = Self { addresses, words, selected: Vec::new(), files: Vec::new() };
        for fd in 0..count {
            let sets = [0, 1, 2].map(|set| contains(&sets[set], fd));
            if sets.contains(&true) {
                selection.add(cx, fd, sets)?;
            }
        }
        Ok(selection)
    }

    fn add(&mut self, cx: &Context<'_>, fd: usize, sets: [bool; 3]) -> Result<()> {
        let file = cx.process.files.get(i32::try_from(fd).unwrap_or(-1))?;
        if file.status().contains(Status::PATH) {
            return Err(Errno::EBADF.because("the descriptor only names a file"));
        }
        self.selected.push(Selected { fd, sets });
        self.files.push(file);
        Ok(())
    }

    /// The descriptors that are ready, as sets, and how many bits these have.
    fn look(&self) -> Option<([Vec<u64>; 3], u64)> {
        let mut found = 0;
        let mut ready: [Vec<u64>; 3] = [const { Vec::new() }; 3];
        for (selected, file) in self.selected.iter().zip(&self.files) {
            let events = file.poll();
            for set in 0..3 {
                if selected.sets[set] && events.intersects(SETS[set]) {
                    ready[set].resize(self.words, 0);
                    ready[set][selected.fd / WORD] |= 1 << (selected.fd % WORD);
                    found += 1;
                }
            }
        }
        (found > 0).then_some((ready, found))
    }

    fn write(&self, cx: &Context<'_>, ready: &mut [Vec<u64>; 3]) -> Result<()> {
        for (set, address) in ready.iter_mut().zip(self.addresses) {
            if address != 0 {
                set.resize(self.words, 0);
                cx.write_bytes(address, set.as_slice().as_bytes())?;
            }
        }
        Ok(())
    }

    async fn run(cx: &Context<'_>, args: &Arguments, patience: Patience) -> Result<u64> {
        let selection = Self::read(cx, args)?;
        match wait(cx, &selection.files, patience, || selection.look()).await {
            Ok(found) => {
                let (mut ready, count) = found.unwrap_or_default();
                selection.write(cx, &mut ready)?;
                Ok(count)
            }
            Err(_) => Err(Errno::ERESTARTNOHAND.because("a signal came")),
        }
    }
}

fn contains(set: &[u64], fd: usize) -> bool {
    set.get(fd / WORD).is_some_and(|word| word >> (fd % WORD) & 1 == 1)
}

/// select(2): number of descriptors, three sets, `timeval` or null, which gets what is left.
pub(super) async fn select(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let address = args.address(4);
    let mut time = None;
    if address != 0 {
        let [seconds, micros]: [i64; 2] = cx.read(address)?;
        time = Some(duration(seconds, micros)?);
    }
    let patience = Patience::lasting(time);
    let result = Selection::run(cx, args, patience).await;
    if let Some(left) = patience.left() {
        // As Linux, which forgives a timeout that can't be written.
        let _ = cx.write(address, &spec::parts_of(left, MICROSECONDS));
    }
    result
}

/// A `timeval` as ns; more than a second of microseconds is fine, as in Linux.
fn duration(seconds: i64, micros: i64) -> Result<u64> {
    match (u64::try_from(seconds), u64::try_from(micros)) {
        (Ok(seconds), Ok(micros)) => {
            let whole = seconds.saturating_mul(SECOND);
            Ok(whole.saturating_add(micros.saturating_mul(1000)).min(spec::LONGEST))
        }
        _ => Err(Errno::EINVAL.because("a negative timeout")),
    }
}

/// pselect6(2): as select(2), with a `timespec`, and a pointer to a mask's address and size.
pub(super) async fn pselect6(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let mut signals = [0_u64; 2];
    if args.address(5) != 0 {
        signals = cx.read(args.address(5))?;
    }
    let patience = Patience::lasting(spec::read_optional(cx, args.address(4))?);
    mask::begin(cx, signals[0], usize::try_from(signals[1]).unwrap_or(usize::MAX))?;
    let result = Selection::run(cx, args, patience).await;
    if let Some(left) = patience.left() {
        let _ = spec::write(cx, args.address(4), left);
    }
    mask::end(cx, result)
}
