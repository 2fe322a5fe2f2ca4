//! Classic BPF as seccomp admits it: the check of a program, and its execution.
//!
//! A checked program ends: it only jumps forward, and within itself. Whatever the program, running it
//! reads nothing but the call's data and its own memory.
//!
//! Source: `Documentation/networking/filter.rst`, seccomp(2).

use alloc::boxed::Box;

use abi::Errno;
use abi::errno::{Error, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most instructions of one program.
pub const LEN_MAX: usize = 4096;
/// Words of memory.
const WORDS: usize = 16;
/// Bytes of a call's data.
const DATA_LEN: u32 = 64;
/// `AUDIT_ARCH_X86_64`.
pub const ARCHITECTURE: u32 = 0xc000_003e;

/// One instruction, `struct sock_filter`.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

impl Instruction {
    /// From its four fields.
    pub const fn new(code: u16, jump_true: u8, jump_false: u8, k: u32) -> Self {
        Self { code, jump_true, jump_false, k }
    }
}

/// What a filter sees of a call: `struct seccomp_data` as sixteen words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data([u32; 16]);

impl Data {
    /// Of a call's number, where it stands, and its arguments.
    pub fn new(number: u32, instruction_pointer: u64, arguments: [u64; 6]) -> Self {
        let mut words = [0; 16];
        words[0] = number;
        words[1] = ARCHITECTURE;
        let long = core::iter::once(instruction_pointer).chain(arguments);
        for (pair, value) in words[2..].chunks_exact_mut(2).zip(long) {
            let bytes = value.to_le_bytes();
            pair[0] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            pair[1] = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        }
        Self(words)
    }
}

/// The other operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Constant(u32),
    X,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compute {
    Add,
    Subtract,
    Multiply,
    Divide,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    Bits,
}

/// An instruction that was understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Load(u8),
    Set(u32),
    SetX(u32),
    FromMemory(u8),
    FromMemoryToX(u8),
    Store(u8),
    StoreX(u8),
    Compute(Compute, Operand),
    Negate,
    Jump(u32),
    Branch(Test, Operand, u8, u8),
    ToX,
    FromX,
    Return(u32),
    ReturnA,
}

/// A checked program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program(Box<[Step]>);

impl Program {
    /// Checks a program by Linux's rules.
    ///
    /// # Errors
    /// EINVAL: empty, too long, an instruction that seccomp does not admit, a jump out of the program,
    /// no return at its end, or memory that is read before it is written.
    pub fn new(instructions: &[Instruction]) -> Result<Self> {
        let len = instructions.len();
        if !(1..=LEN_MAX).contains(&len) {
            return Err(Errno::EINVAL.because("no filter, or one of more than 4096 instructions"));
        }
        let steps =
            instructions.iter().copied().map(understand).collect::<Result<Box<[Step]>>>()?;
        for (at, step) in steps.iter().enumerate() {
            let left = len - at - 1;
            let furthest = match *step {
                Step::Jump(by) => usize::try_from(by).unwrap_or(usize::MAX),
                Step::Branch(_, _, yes, no) => yes.max(no).into(),
                _ => continue,
            };
            if furthest >= left {
                return Err(Errno::EINVAL.because("a jump leads out of the filter"));
            }
        }
        if !matches!(steps.last(), Some(Step::Return(_) | Step::ReturnA)) {
            return Err(Errno::EINVAL.because("the filter does not end with a return"));
        }
        check_memory(&steps)?;
        Ok(Self(steps))
    }

    /// Number of instructions.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Runs it; a division by zero ends it with 0.
    pub fn run(&self, data: &Data) -> u32 {
        let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; WORDS]);
        let mut at = 0;
        // The check has it that each jump stays inside; leaving would be as strict as can be.
        while let Some(step) = self.0.get(at) {
            at += 1;
            let value = |operand: Operand| match operand {
                Operand::Constant(k) => k,
                Operand::X => x,
            };
            match *step {
                Step::Load(word) => a = data.0[usize::from(word) % 16],
                Step::Set(k) => a = k,
                Step::SetX(k) => x = k,
                Step::FromMemory(word) => a = memory[usize::from(word) % WORDS],
                Step::FromMemoryToX(word) => x = memory[usize::from(word) % WORDS],
                Step::Store(word) => memory[usize::from(word) % WORDS] = a,
                Step::StoreX(word) => memory[usize::from(word) % WORDS] = x,
                Step::Compute(how, operand) => match compute(how, a, value(operand)) {
                    Some(result) => a = result,
                    None => return 0,
                },
                Step::Negate => a = a.wrapping_neg(),
                Step::Jump(by) => at += usize::try_from(by).unwrap_or(LEN_MAX),
                Step::Branch(test, operand, yes, no) => {
                    at += usize::from(if holds(test, a, value(operand)) { yes } else { no });
                }
                Step::ToX => x = a,
                Step::FromX => a = x,
                Step::Return(k) => return k,
                Step::ReturnA => return a,
            }
        }
        0
    }
}

fn compute(how: Compute, a: u32, b: u32) -> Option<u32> {
    Some(match how {
        Compute::Add => a.wrapping_add(b),
        Compute::Subtract => a.wrapping_sub(b),
        Compute::Multiply => a.wrapping_mul(b),
        Compute::Divide => a.checked_div(b)?,
        Compute::And => a & b,
        Compute::Or => a | b,
        Compute::Xor => a ^ b,
        Compute::ShiftLeft => a.wrapping_shl(b),
        Compute::ShiftRight => a.wrapping_shr(b),
    })
}

fn holds(test: Test, a: u32, b: u32) -> bool {
    match test {
        Test::Equal => a == b,
        Test::Greater => a > b,
        Test::GreaterOrEqual => a >= b,
        Test::Bits => a & b != 0,
    }
}

fn unknown() -> Error {
    Errno::EINVAL.because("an instruction that seccomp filters can't have")
}

/// Understands one instruction, and checks what can be checked of it alone.
fn understand(raw: Instruction) -> Result<Step> {
    const SHIFTS: [u16; 2] = [0x60, 0x70];
    let k = raw.k;
    let word = || match u8::try_from(k) {
        Ok(word) if usize::from(word) < WORDS => Ok(word),
        _ => Err(Errno::EINVAL.because("memory has sixteen words")),
    };
    let operand = if raw.code & 0x08 == 0 { Operand::Constant(k) } else { Operand::X };
    Ok(match raw.code {
        0x20 if k < DATA_LEN && k.is_multiple_of(4) => {
            Step::Load(u8::try_from(k / 4).map_err(|_| unknown())?)
        }
        0x20 => return Err(Errno::EINVAL.because("a load that is not of a word of the data")),
        0x80 => Step::Set(DATA_LEN),
        0x81 => Step::SetX(DATA_LEN),
        0x00 => Step::Set(k),
        0x01 => Step::SetX(k),
        0x60 => Step::FromMemory(word()?),
        0x61 => Step::FromMemoryToX(word()?),
        0x02 => Step::Store(word()?),
        0x03 => Step::StoreX(word()?),
        0x84 => Step::Negate,
        0x07 => Step::ToX,
        0x87 => Step::FromX,
        0x06 => Step::Return(k),
        0x16 => Step::ReturnA,
        0x05 => Step::Jump(k),
        code if code & 0xff07 == 0x04 => {
            let kind = code & 0xf0;
            let constant = operand == Operand::Constant(k);
            if constant && (kind == 0x30 && k == 0 || SHIFTS.contains(&kind) && k >= 32) {
                return Err(Errno::EINVAL.because("a division by zero, or a shift by 32 or more"));
            }
            let how = match kind {
                0x00 => Compute::Add,
                0x10 => Compute::Subtract,
                0x20 => Compute::Multiply,
                0x30 => Compute::Divide,
                0x40 => Compute::Or,
                0x50 => Compute::And,
                0x60 => Compute::ShiftLeft,
                0x70 => Compute::ShiftRight,
                0xa0 => Compute::Xor,
                _ => return Err(unknown()),
            };
            Step::Compute(how, operand)
        }
        code if code & 0xff07 == 0x05 => {
            let test = match code & 0xf0 {
                0x10 => Test::Equal,
                0x20 => Test::Greater,
                0x30 => Test::GreaterOrEqual,
                0x40 => Test::Bits,
                _ => return Err(unknown()),
            };
            Step::Branch(test, operand, raw.jump_true, raw.jump_false)
        }
        _ => return Err(unknown()),
    })
}

/// Whether every word of memory was written before it is read, on each way through the program.
fn check_memory(steps: &[Step]) -> Result<()> {
    // What is written for sure when a step is reached; all, for steps that nothing reaches.
    let mut written = alloc::vec![u16::MAX; steps.len()];
    let mut now = 0_u16;
    for (at, step) in steps.iter().enumerate() {
        now &= written[at];
        let mut leads = |by: usize| {
            if let Some(there) = written.get_mut(at + 1 + by) {
                *there &= now;
            }
        };
        match *step {
            Step::FromMemory(word) | Step::FromMemoryToX(word) if now >> word & 1 == 0 => {
                return Err(Errno::EINVAL.because("memory is read that was not written"));
            }
            Step::Store(word) | Step::StoreX(word) => now |= 1 << word,
            Step::Jump(by) => {
                leads(usize::try_from(by).unwrap_or(usize::MAX / 2));
                now = u16::MAX;
            }
            Step::Branch(_, _, yes, no) => {
                leads(yes.into());
                leads(no.into());
                now = u16::MAX;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
