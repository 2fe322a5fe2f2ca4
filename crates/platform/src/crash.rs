//! The LibOS's own crash: one line on stderr, and what a decoder outside makes a backtrace of.
//!
//! The way to the end allocates nothing and may itself fail: the second failure is silent. Registers
//! and stack tell the host what the LibOS was at, so they leave a debug enclave only.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::host::HostCall;
use abi::layout::{VCPU_GUARD, VCPU_STRIDE};
use abi::trace::{BYTES, Head, STRING, crash, nr};
use abi::trap::Registers;

use crate::sync::Mutex;
use crate::{boot, gate, io, vcpu};

/// The most bytes of a record.
const RECORD: usize = 64 << 10;

static TOLD: AtomicBool = AtomicBool::new(false);
/// Set aside at start: whoever crashes may hold the lock of those that are given out.
static BOUNCE: Mutex<Option<io::Bounce>> = Mutex::new(None);
static DECODED: AtomicBool = AtomicBool::new(false);

/// Remembers whether somebody outside takes a report, and may have it; once, at start.
pub(crate) fn init(decoded: bool) {
    DECODED.store(decoded, Ordering::Relaxed);
    *BOUNCE.lock() = io::Bounce::with_capacity(RECORD);
}

/// What else is to be said about a place where the LibOS stopped.
pub(crate) fn remark(address: u64) -> &'static str {
    if is_guard(address) { "; its stack is full" } else { "" }
}

/// Whether an address lies below a vCPU's LibOS stack.
fn is_guard(address: u64) -> bool {
    vcpu::area() != 0
        && of_vcpus().contains(&address)
        && VCPU_GUARD.contains(&(address % VCPU_STRIDE))
}

fn of_vcpus() -> core::ops::Range<u64> {
    let area = vcpu::area();
    area..area + vcpu::count() as u64 * VCPU_STRIDE
}

/// Tells why the LibOS stops, on stderr and, if it is wanted, as a record.
#[cold]
pub(crate) fn report(arguments: core::fmt::Arguments<'_>, registers: &Registers) {
    if TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut line = Line::new();
    let _ = writeln!(line, "adyton: the LibOS stopped: {arguments}");
    let reserved = BOUNCE.try_lock().and_then(|mut bounce| bounce.take());
    let Some(mut bounce) = reserved else { return boot::message(line.text()) };
    bounce.write(0, line.text().as_bytes());
    gate::call(HostCall::Message, [bounce.address(), line.len as u64, 0, 0, 0]);
    if DECODED.load(Ordering::Relaxed) {
        record(registers, bounce);
    }
}

/// Writes the record.
fn record(registers: &Registers, bounce: io::Bounce) {
    let image = boot::image();
    let mut record = Record::new(bounce);
    let mut maps = Line::new();
    let _ = writeln!(maps, "{:08x}-{:08x} r-xp 00000000 00:00 0 [adyton]", image.start, image.end);
    record.add(crash::MAPS, STRING, &[maps.text().as_bytes()]);
    let words = registers.words();
    record.add(crash::REGISTERS, BYTES, &[words.map(u64::to_le_bytes).as_flattened()]);
    let stack = stack(registers.rsp);
    let from = if stack.is_empty() { registers.rsp } else { stack.as_ptr() as u64 };
    record.add(crash::MEMORY, BYTES, &[&from.to_le_bytes(), stack]);
    record.send(image.start);
}

/// The LibOS stack from `pointer` on, empty when it does not point into one.
fn stack(pointer: u64) -> &'static [u8] {
    if !of_vcpus().contains(&pointer) {
        return &[];
    }
    let block = pointer / VCPU_STRIDE * VCPU_STRIDE;
    let end = block + VCPU_STRIDE;
    // Of a stack that is full, the pointer may lie among the pages that are not there.
    let pointer = pointer.max(block + VCPU_GUARD.end);
    let len = usize::try_from(end - pointer).unwrap_or(0).min(crash::STACK_MAX);
    // SAFETY: it lies in a vCPU's block, which is mapped to its end; whoever ran on it stopped.
    unsafe { core::slice::from_raw_parts(pointer as *const u8, len) }
}

/// A crash record in the making, in untrusted memory from the start.
struct Record {
    bounce: io::Bounce,
    len: usize,
    contents: u16,
}

impl Record {
    fn new(bounce: io::Bounce) -> Self {
        Self { bounce, len: size_of::<Head>(), contents: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if end <= self.bounce.capacity() {
            self.bounce.write(self.len, bytes);
            self.len = end;
        }
    }

    fn add(&mut self, argument: u8, kind: u8, parts: &[&[u8]]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.push(&[argument, kind]);
        self.push(&u16::try_from(len).unwrap_or(0).to_le_bytes());
        for part in parts {
            self.push(part);
        }
        self.contents += 1;
    }

    fn send(mut self, base: u64) {
        let head = Head {
            total_len: u32::try_from(self.len).unwrap_or(0),
            nr: nr::CRASH,
            args: [0, 0, 0, base, 0, 0],
            strings: self.contents,
            ..Head::default()
        };
        self.bounce.write(0, &head.to_bytes());
        gate::call(HostCall::Trace, [self.bounce.address(), self.len as u64, 0, 0, 0]);
    }
}

/// The registers that a caller's frame is found by.
#[cfg(not(any(test, feature = "hosted")))]
#[expect(clippy::inline_always, reason = "the frame must be one that stays: the caller's")]
#[inline(always)]
pub(crate) fn here() -> Registers {
    let mut registers = Registers::default();
    // SAFETY: stores registers to a place of ours.
    unsafe {
        core::arch::asm!(
            "mov [{to} + 8 * 4], r12",
            "mov [{to} + 8 * 5], r13",
            "mov [{to} + 8 * 6], r14",
            "mov [{to} + 8 * 7], r15",
            "mov [{to} + 8 * 10], rbp",
            "mov [{to} + 8 * 11], rbx",
            "mov [{to} + 8 * 15], rsp",
            "lea {scratch}, [rip]",
            "mov [{to} + 8 * 16], {scratch}",
            to = in(reg) &raw mut registers,
            scratch = out(reg) _,
            options(nostack, preserves_flags),
        );
    }
    registers
}

/// The registers that a caller's frame is found by.
#[cfg(any(test, feature = "hosted"))]
pub(crate) fn here() -> Registers {
    Registers::default()
}

/// A line on the stack.
struct Line {
    bytes: [u8; 1024],
    len: usize,
}

impl Line {
    fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("adyton: the LibOS stopped\n")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            let mut buffer = [0; 4];
            let encoded = character.encode_utf8(&mut buffer).as_bytes();
            let Some(room) = self.bytes.get_mut(self.len..self.len + encoded.len()) else {
                return Ok(());
            };
            room.copy_from_slice(encoded);
            self.len += encoded.len();
        }
        Ok(())
    }
}
