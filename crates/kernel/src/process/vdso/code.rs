//! The machine code.
//!
//! Every function uses rax, rcx, rdx, r8, r9 and no stack, so that one rule unwinds them all.

use alloc::vec::Vec;

use abi::layout::{PAGE, VCPU_STRIDE};
use abi::nr;

use super::field;

/// Functions begin at multiples of it.
const ALIGN: usize = 16;
/// Fills what is never executed: `int3`.
const FILL: u8 = 0xCC;
/// The clocks that are answered, as bits: all but those of processor time and of alarms.
const CLOCKS: u32 = 1 << 0 | 1 << 1 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 11;
/// Those among them that count since 1970: REALTIME, its COARSE form, TAI.
const DATES: u32 = 1 << 0 | 1 << 5 | 1 << 11;
/// The largest clock among them.
const LAST_CLOCK: u8 = 11;
/// Nanoseconds of a second.
const SECOND: u32 = 1_000_000_000;
/// `(x >> 9) * this >> 75` is `x / SECOND` for every 64-bit number.
const SECOND_INVERSE: u64 = 0x0044_B82F_A09B_5A53;
/// `x * this >> 38` is `x / 1000` for every 32-bit number.
const THOUSAND_INVERSE: u32 = 274_877_907;

/// Conditions of jumps, by their codes.
#[derive(Clone, Copy)]
enum If {
    AboveOrEqual = 3,
    Zero = 4,
    NotZero = 5,
    Above = 7,
}

/// A function: its name without prefix, and where its code lies in the image.
pub(super) struct Function {
    pub(super) name: &'static str,
    pub(super) start: usize,
    pub(super) len: usize,
}

/// The code, and what is in it.
pub(super) struct Text {
    pub(super) bytes: Vec<u8>,
    /// `clock_gettime` and the like, in the order of their addresses.
    pub(super) functions: Vec<Function>,
    /// The restorer.
    pub(super) restorer: Function,
}

/// Code under construction.
struct Assembler {
    bytes: Vec<u8>,
    /// Address of the first byte in the image.
    base: usize,
}

/// A jump whose target comes later: the place behind it.
struct Forward(usize);

/// Which clock is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// REALTIME.
    Date,
    /// The one in edi.
    Numbered,
}

/// Writes one function's code.
type Maker = fn(&mut Assembler);

/// Assembles all functions, for an image in which they begin at `base`.
pub(super) fn assemble(base: usize) -> Text {
    let mut code = Assembler { bytes: Vec::new(), base };
    let makers: [(&str, Maker); 5] = [
        ("clock_gettime", clock_gettime),
        ("gettimeofday", gettimeofday),
        ("time", time),
        ("clock_getres", clock_getres),
        ("getcpu", getcpu),
    ];
    let functions = makers.map(|(name, make)| {
        code.align(ALIGN);
        let start = code.bytes.len();
        make(&mut code);
        Function { name, start: base + start, len: code.bytes.len() - start }
    });
    code.align(ALIGN);
    code.raw(&[0x90]); // nop: an unwinder looks for a caller one byte before where it returns to
    let start = code.bytes.len();
    code.call(nr::RT_SIGRETURN);
    let restorer =
        Function { name: "rt_sigreturn", start: base + start, len: code.bytes.len() - start };
    code.align(ALIGN);
    Text { bytes: code.bytes, functions: functions.into(), restorer }
}

impl Assembler {
    fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn with_number(&mut self, opcode: &[u8], number: u32) {
        self.raw(opcode);
        self.raw(&number.to_le_bytes());
    }

    fn align(&mut self, to: usize) {
        while !(self.base + self.bytes.len()).is_multiple_of(to) {
            self.raw(&[FILL]);
        }
    }

    /// An instruction whose last operand is a field of the page of numbers.
    fn with_field(&mut self, opcode: &[u8], field: i32) {
        self.raw(opcode);
        let behind = i32::try_from(self.base + self.bytes.len() + 4).unwrap_or(0);
        let page = i32::try_from(PAGE).unwrap_or(0);
        self.raw(&(field - page - behind).to_le_bytes());
    }

    fn jump(&mut self, condition: If) -> Forward {
        self.with_number(&[0x0F, 0x80 | condition as u8], 0); // jcc rel32
        Forward(self.bytes.len())
    }

    fn land(&mut self, jump: &Forward) {
        let distance = u32::try_from(self.bytes.len() - jump.0).unwrap_or(0);
        self.bytes[jump.0 - 4..jump.0].copy_from_slice(&distance.to_le_bytes());
    }

    fn jump_back(&mut self, condition: If, to: usize) {
        const LEN: usize = 6;
        let distance = u32::try_from(self.bytes.len() + LEN - to).unwrap_or(0);
        self.with_number(&[0x0F, 0x80 | condition as u8], distance.wrapping_neg()); // jcc rel32
    }

    /// A system call, so aligned that it can be rewritten by one store.
    fn call(&mut self, number: usize) {
        self.with_number(&[0xB8], u32::try_from(number).unwrap_or(0)); // mov eax, number
        self.raw(&[0x0F, 0x05]); // syscall
    }

    /// A function's last resort.
    fn ask(&mut self, number: usize, jumps: &[Forward]) {
        self.align(8);
        for jump in jumps {
            self.land(jump);
        }
        self.call(number);
        self.raw(&[0xC3]); // ret
    }

    fn return_zero(&mut self) {
        self.raw(&[0x31, 0xC0]); // xor eax, eax
        self.raw(&[0xC3]); // ret
    }

    /// Jumps away for clocks that are not answered here.
    fn check_clock(&mut self) -> [Forward; 2] {
        self.raw(&[0x83, 0xFF, LAST_CLOCK]); // cmp edi, LAST_CLOCK
        let beyond = self.jump(If::Above);
        self.with_number(&[0xB8], CLOCKS); // mov eax, CLOCKS
        self.raw(&[0x0F, 0xA3, 0xF8]); // bt eax, edi
        [beyond, self.jump(If::AboveOrEqual)]
    }

    /// The time of a clock: seconds into rdx, nanoseconds into rcx.
    fn read_clock(&mut self, wanted: Wanted) {
        if wanted == Wanted::Numbered {
            self.with_number(&[0x41, 0xB8], DATES); // mov r8d, DATES
        }
        let again = self.bytes.len();
        self.with_field(&[0x44, 0x8B, 0x0D], field::SEQUENCE); // mov r9d, [SEQUENCE]
        self.raw(&[0x41, 0xF6, 0xC1, 0x01]); // test r9b, 1
        self.jump_back(If::NotZero, again);
        self.raw(&[0x0F, 0xAE, 0xE8]); // lfence: the counter is read neither earlier …
        self.raw(&[0x0F, 0x31]); // rdtsc
        self.raw(&[0x48, 0xC1, 0xE2, 0x20]); // shl rdx, 32
        self.raw(&[0x48, 0x09, 0xD0]); // or rax, rdx
        self.with_field(&[0x48, 0x2B, 0x05], field::ORIGIN); // sub rax, [ORIGIN]
        self.with_number(&[0xBA], 0); // mov edx, 0
        self.raw(&[0x48, 0x0F, 0x42, 0xC2]); // cmovb rax, rdx
        self.with_field(&[0x48, 0xF7, 0x25], field::SCALE); // mul qword [SCALE]
        self.raw(&[0x48, 0x0F, 0xAC, 0xD0, 0x20]); // shrd rax, rdx, 32
        self.with_field(&[0x48, 0x03, 0x05], field::BASE); // add rax, [BASE]
        let monotonic = (wanted == Wanted::Numbered).then(|| {
            self.raw(&[0x41, 0x0F, 0xA3, 0xF8]); // bt r8d, edi
            self.jump(If::AboveOrEqual)
        });
        self.with_field(&[0x48, 0x03, 0x05], field::REALTIME); // add rax, [REALTIME]
        if let Some(monotonic) = monotonic {
            self.land(&monotonic);
        }
        self.with_field(&[0x44, 0x3B, 0x0D], field::SEQUENCE); // cmp r9d, [SEQUENCE]
        self.jump_back(If::NotZero, again); // … nor amid a change of the numbers
        self.divide();
    }

    /// Nanoseconds in rax: seconds into rdx, the rest into rcx.
    fn divide(&mut self) {
        self.raw(&[0x48, 0x89, 0xC1]); // mov rcx, rax
        self.raw(&[0x48, 0xC1, 0xE8, 0x09]); // shr rax, 9
        self.raw(&[0x48, 0xBA]); // mov rdx, SECOND_INVERSE
        self.raw(&SECOND_INVERSE.to_le_bytes());
        self.raw(&[0x48, 0xF7, 0xE2]); // mul rdx
        self.raw(&[0x48, 0xC1, 0xEA, 0x0B]); // shr rdx, 11
        self.with_number(&[0x48, 0x69, 0xC2], SECOND); // imul rax, rdx, SECOND
        self.raw(&[0x48, 0x29, 0xC1]); // sub rcx, rax
    }
}

/// edi: clock, rsi: `timespec`.
fn clock_gettime(code: &mut Assembler) {
    let refused = code.check_clock();
    code.read_clock(Wanted::Numbered);
    code.raw(&[0x48, 0x89, 0x16]); // mov [rsi], rdx
    code.raw(&[0x48, 0x89, 0x4E, 0x08]); // mov [rsi + 8], rcx
    code.return_zero();
    code.ask(nr::CLOCK_GETTIME, &refused);
}

/// rdi: `timeval` or null, rsi: `timezone` or null.
fn gettimeofday(code: &mut Assembler) {
    code.raw(&[0x48, 0x85, 0xFF]); // test rdi, rdi
    let no_time = code.jump(If::Zero);
    code.read_clock(Wanted::Date);
    code.with_number(&[0x48, 0x69, 0xC9], THOUSAND_INVERSE); // imul rcx, rcx, THOUSAND_INVERSE
    code.raw(&[0x48, 0xC1, 0xE9, 0x26]); // shr rcx, 38
    code.raw(&[0x48, 0x89, 0x17]); // mov [rdi], rdx
    code.raw(&[0x48, 0x89, 0x4F, 0x08]); // mov [rdi + 8], rcx
    code.land(&no_time);
    code.raw(&[0x48, 0x85, 0xF6]); // test rsi, rsi
    let no_zone = code.jump(If::Zero);
    code.with_number(&[0x48, 0xC7, 0x06], 0); // mov qword [rsi], 0
    code.land(&no_zone);
    code.return_zero();
}

/// rdi: where the seconds go, or null.
fn time(code: &mut Assembler) {
    code.read_clock(Wanted::Date);
    code.raw(&[0x48, 0x85, 0xFF]); // test rdi, rdi
    let nowhere = code.jump(If::Zero);
    code.raw(&[0x48, 0x89, 0x17]); // mov [rdi], rdx
    code.land(&nowhere);
    code.raw(&[0x48, 0x89, 0xD0]); // mov rax, rdx
    code.raw(&[0xC3]); // ret
}

/// edi: clock, rsi: `timespec` or null. All clocks count in nanoseconds.
fn clock_getres(code: &mut Assembler) {
    let refused = code.check_clock();
    code.raw(&[0x48, 0x85, 0xF6]); // test rsi, rsi
    let nowhere = code.jump(If::Zero);
    code.with_number(&[0x48, 0xC7, 0x06], 0); // mov qword [rsi], 0
    code.with_number(&[0x48, 0xC7, 0x46, 0x08], 1); // mov qword [rsi + 8], 1
    code.land(&nowhere);
    code.return_zero();
    code.ask(nr::CLOCK_GETRES, &refused);
}

/// rdi: where the vCPU's number goes, or null; rsi: where the node's goes, or null.
///
/// GS points to the vCPU's block, unless the program has set it.
fn getcpu(code: &mut Assembler) {
    code.raw(&[0xF3, 0x48, 0x0F, 0xAE, 0xC8]); // rdgsbase rax
    code.with_field(&[0x48, 0x2B, 0x05], field::VCPUS); // sub rax, [VCPUS]
    let shift = u8::try_from(VCPU_STRIDE.trailing_zeros()).unwrap_or(0);
    code.raw(&[0x48, 0xC1, 0xE8, shift]); // shr rax, shift
    code.with_field(&[0x48, 0x3B, 0x05], field::COUNT); // cmp rax, [COUNT]
    let foreign = code.jump(If::AboveOrEqual);
    code.raw(&[0x48, 0x85, 0xFF]); // test rdi, rdi
    let no_number = code.jump(If::Zero);
    code.raw(&[0x89, 0x07]); // mov [rdi], eax
    code.land(&no_number);
    code.raw(&[0x48, 0x85, 0xF6]); // test rsi, rsi
    let no_node = code.jump(If::Zero);
    code.with_number(&[0xC7, 0x06], 0); // mov dword [rsi], 0
    code.land(&no_node);
    code.return_zero();
    code.ask(nr::GETCPU, &[foreign]);
}
