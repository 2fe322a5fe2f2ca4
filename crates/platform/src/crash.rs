//! The LibOS's own crash: one line on stderr, and what a decoder outside makes a backtrace of.
//!
//! The way to the end allocates nothing and may itself fail: the second failure is silent. Registers
//! and stack tell the host what the LibOS was at, so they leave a debug enclave only.

use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};

use abi::host::HostCall;
use abi::layout::VCPU_STRIDE;
use abi::trace::{BYTES, Head, STRING, crash, nr};
use abi::trap::Registers;

use crate::{boot, gate, io, vcpu};

static TOLD: AtomicBool = AtomicBool::new(false);
static DECODED: AtomicBool = AtomicBool::new(false);

/// Remembers whether somebody outside takes a report, and may have it; once, at start.
pub(crate) fn init(decoded: bool) {
    DECODED.store(decoded, Ordering::Relaxed);
}

/// Tells why the LibOS stops, on stderr and, if it is wanted, as a record.
#[cold]
pub(crate) fn report(arguments: core::fmt::Arguments<'_>, registers: &Registers) {
    if TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    let mut line = Line::new();
    let _ = writeln!(line, "adyton: the LibOS stopped: {arguments}");
    boot::message(line.text());
    if DECODED.load(Ordering::Relaxed) {
        let _ = record(registers);
    }
}

/// Writes the record; `None` when there is no buffer for it.
fn record(registers: &Registers) -> Option<()> {
    let image = boot::image();
    let mut record = Record::new(io::Bounce::with_capacity(64 << 10)?);
    let mut maps = Line::new();
    let _ = writeln!(maps, "{:08x}-{:08x} r-xp 00000000 00:00 0 [adyton]", image.start, image.end);
    record.add(crash::MAPS, STRING, &[maps.text().as_bytes()]);
    let words = registers.words();
    record.add(crash::REGISTERS, BYTES, &[words.map(u64::to_le_bytes).as_flattened()]);
    let stack = stack(registers.rsp);
    record.add(crash::MEMORY, BYTES, &[&registers.rsp.to_le_bytes(), stack]);
    record.send(image.start);
    Some(())
}

/// The LibOS stack from `pointer` on, empty when it does not point into one.
fn stack(pointer: u64) -> &'static [u8] {
    let area = vcpu::area();
    let all = area..area + vcpu::count() as u64 * VCPU_STRIDE;
    if !all.contains(&pointer) {
        return &[];
    }
    let end = (pointer / VCPU_STRIDE + 1) * VCPU_STRIDE;
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
