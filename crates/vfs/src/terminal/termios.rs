//! Attributes of a terminal, and the three shapes in which programs hand them over.
//!
//! Source: termios(3), `ioctl_tty(2)`, Linux's `asm/termbits.h`. All fields are little-endian.

bitflags::bitflags! {
    /// `c_iflag`: what happens to bytes that come in. Bits without an effect are kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Input: u32 {
        /// 0xff is doubled.
        const PARMRK = 0o10;
        /// The eighth bit is cut off.
        const ISTRIP = 0o40;
        /// NL becomes CR.
        const INLCR = 0o100;
        /// CR is dropped.
        const IGNCR = 0o200;
        /// CR becomes NL.
        const ICRNL = 0o400;
        /// Capitals become small letters.
        const IUCLC = 0o1000;
        /// Output is stopped and started by characters.
        const IXON = 0o2000;
        /// Any character starts it.
        const IXANY = 0o4000;
        /// Characters are erased whole where they have several bytes.
        const IUTF8 = 0o40000;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// `c_oflag`: what happens to bytes that go out.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Output: u32 {
        /// The flags below have an effect.
        const OPOST = 0o1;
        /// Small letters become capitals.
        const OLCUC = 0o2;
        /// NL becomes CR NL.
        const ONLCR = 0o4;
        /// CR becomes NL.
        const OCRNL = 0o10;
        /// No CR in column 0.
        const ONOCR = 0o20;
        /// NL goes to column 0 by itself.
        const ONLRET = 0o40;
        /// Tabs become spaces: both bits.
        const XTABS = 0o14000;
        const _ = !0;
    }
}

bitflags::bitflags! {
    /// `c_lflag`: lines, echo and signals.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Local: u32 {
        /// Characters make signals.
        const ISIG = 0o1;
        /// Whole lines, which can be edited.
        const ICANON = 0o2;
        /// What comes in goes out.
        const ECHO = 0o10;
        /// An erased character is wiped out.
        const ECHOE = 0o20;
        /// A newline after the character that kills the line.
        const ECHOK = 0o40;
        /// NL goes out even without `ECHO`.
        const ECHONL = 0o100;
        /// Signals leave what was typed and printed.
        const NOFLSH = 0o200;
        /// Who writes in the background is stopped.
        const TOSTOP = 0o400;
        /// Control characters go out as `^X`.
        const ECHOCTL = 0o1000;
        /// What is erased is printed, as on paper.
        const ECHOPRT = 0o2000;
        /// A killed line is wiped out.
        const ECHOKE = 0o4000;
        /// More characters than POSIX has.
        const IEXTEN = 0o100_000;
        /// Lines are made by whoever holds the master.
        const EXTPROC = 0o200_000;
        const _ = !0;
    }
}

/// Places of the special characters in `c_cc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Special {
    /// Interrupts.
    Interrupt = 0,
    /// Quits, with a core file.
    Quit = 1,
    /// Erases a character.
    Erase = 2,
    /// Erases the line.
    Kill = 3,
    /// Ends the input.
    End = 4,
    /// How long a read waits, in tenths of a second.
    Time = 5,
    /// How many bytes a read waits for.
    Least = 6,
    /// Starts the output.
    Start = 8,
    /// Stops it.
    Stop = 9,
    /// Suspends the program.
    Suspend = 10,
    /// Ends a line.
    Line = 11,
    /// Prints the line again.
    Reprint = 12,
    /// Erases a word.
    Word = 14,
    /// Takes the next character as it is.
    Literal = 15,
    /// Ends a line, too.
    Line2 = 16,
}

/// Number of special characters.
const CHARACTERS: usize = 19;
/// Bytes of `struct termio`, as glibc and the kernel have it.
pub const OLD: usize = 18;
/// Bytes of the kernel's `struct termios`.
pub const PLAIN: usize = 36;
/// Bytes of `struct termios2`.
pub const WITH_SPEED: usize = 44;

/// Size and parity bits of `c_cflag`, and the receiver's.
const SIZE_AND_PARITY: u32 = 0o60 | 0o400;
const EIGHT_BITS: u32 = 0o60;
const RECEIVER: u32 = 0o200;
const SPEED: u32 = 0o10017;
const OTHER_SPEED: u32 = 0o10000;
const INPUT_SHIFT: u32 = 16;
/// Speeds by their code, without the bit that says "extended".
const SPEEDS: [u32; 16] =
    [0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400];
/// Speeds whose code has that bit; the first is "other".
const MORE_SPEEDS: [u32; 16] = [
    0, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600, 1_000_000, 1_152_000,
    1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
];

/// Attributes of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termios {
    /// `c_iflag`.
    pub input: Input,
    /// `c_oflag`.
    pub output: Output,
    /// `c_cflag`, of which a terminal without a line keeps only what it is told.
    pub control: u32,
    /// `c_lflag`.
    pub local: Local,
    /// `c_line`.
    pub discipline: u8,
    /// `c_cc`; 0 switches one off.
    pub characters: [u8; CHARACTERS],
    /// Bits per second, in and out.
    pub speeds: [u32; 2],
}

impl Default for Termios {
    /// What a new terminal has.
    fn default() -> Self {
        let mut characters = [0; CHARACTERS];
        for (place, character) in [
            (Special::Interrupt, 3),
            (Special::Quit, 0x1c),
            (Special::Erase, 0x7f),
            (Special::Kill, 0x15),
            (Special::End, 4),
            (Special::Least, 1),
            (Special::Start, 0x11),
            (Special::Stop, 0x13),
            (Special::Suspend, 0x1a),
            (Special::Reprint, 0x12),
            (Special::Word, 0x17),
            (Special::Literal, 0x16),
        ] {
            characters[place as usize] = character;
        }
        // VDISCARD, which nothing here looks at.
        characters[13] = 0x0f;
        Self {
            input: Input::ICRNL | Input::IXON,
            output: Output::OPOST | Output::ONLCR,
            control: 0o17 | EIGHT_BITS | RECEIVER,
            local: Local::ISIG
                | Local::ICANON
                | Local::ECHO
                | Local::ECHOE
                | Local::ECHOK
                | Local::ECHOCTL
                | Local::ECHOKE
                | Local::IEXTEN,
            discipline: 0,
            characters,
            speeds: [38_400; 2],
        }
    }
}

impl Termios {
    /// A special character; 0: it is switched off.
    #[inline]
    pub fn special(&self, which: Special) -> u8 {
        self.characters[which as usize]
    }

    /// Whether `byte` is a special character.
    #[inline]
    pub fn is(&self, which: Special, byte: u8) -> bool {
        byte != 0 && self.special(which) == byte
    }

    /// Whether input comes in lines.
    #[inline]
    pub fn canonical(&self) -> bool {
        self.local.contains(Local::ICANON) && !self.local.contains(Local::EXTPROC)
    }

    /// As `struct termios2`, of which `struct termios` is the beginning.
    pub fn to_bytes(self) -> [u8; WITH_SPEED] {
        let mut bytes = [0; WITH_SPEED];
        let words = [self.input.bits(), self.output.bits(), self.control, self.local.bits()];
        for (at, word) in words.iter().enumerate() {
            bytes[4 * at..4 * at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes[16] = self.discipline;
        bytes[17..PLAIN].copy_from_slice(&self.characters);
        for (at, speed) in self.speeds.iter().enumerate() {
            bytes[PLAIN + 4 * at..PLAIN + 4 * at + 4].copy_from_slice(&speed.to_le_bytes());
        }
        bytes
    }

    /// From `struct termios` or `struct termios2`; without speeds, those of before stay.
    pub fn from_bytes(bytes: &[u8], before: &Self) -> Self {
        let word = |at: usize| {
            bytes
                .get(at..at + 4)
                .and_then(|word| word.first_chunk())
                .map(|w| u32::from_le_bytes(*w))
        };
        let mut characters = before.characters;
        if let Some(given) = bytes.get(17..PLAIN) {
            characters.copy_from_slice(given);
        }
        Self {
            input: word(0).map_or(before.input, Input::from_bits_retain),
            output: word(4).map_or(before.output, Output::from_bits_retain),
            control: word(8).unwrap_or(before.control),
            local: word(12).map_or(before.local, Local::from_bits_retain),
            discipline: bytes.get(16).copied().unwrap_or(before.discipline),
            characters,
            speeds: [
                word(PLAIN).unwrap_or(before.speeds[0]),
                word(PLAIN + 4).unwrap_or(before.speeds[1]),
            ],
        }
    }

    /// As `struct termio`: the low halves of the flags, the first eight characters.
    pub fn to_old(self) -> [u8; OLD] {
        let full = self.to_bytes();
        let mut bytes = [0; OLD];
        for word in 0..4 {
            bytes[2 * word..2 * word + 2].copy_from_slice(&full[4 * word..4 * word + 2]);
        }
        bytes[8] = self.discipline;
        bytes[9..17].copy_from_slice(&self.characters[..8]);
        bytes
    }

    /// From `struct termio`; what it can't say stays.
    pub fn from_old(bytes: &[u8; OLD], before: &Self) -> Self {
        let half = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let mut new = *before;
        let merge = |old: u32, at: usize| old & 0xffff_0000 | half(at);
        new.input = Input::from_bits_retain(merge(before.input.bits(), 0));
        new.output = Output::from_bits_retain(merge(before.output.bits(), 2));
        new.control = merge(before.control, 4);
        new.local = Local::from_bits_retain(merge(before.local.bits(), 6));
        new.discipline = bytes[8];
        new.characters[..8].copy_from_slice(&bytes[9..17]);
        new
    }

    /// What a pair makes of attributes that it was given: eight bits, no parity, speeds by their codes.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let out = self.control & SPEED;
        let input = self.control >> INPUT_SHIFT & SPEED;
        let code = |code: u32, other: u32| match code {
            OTHER_SPEED => other,
            code => {
                let table = if code & OTHER_SPEED == 0 { SPEEDS } else { MORE_SPEEDS };
                table[(code & 0o17) as usize]
            }
        };
        let speed = code(out, self.speeds[1]);
        self.speeds = [if input == 0 { speed } else { code(input, self.speeds[0]) }, speed];
        self.control = self.control & !SIZE_AND_PARITY | EIGHT_BITS | RECEIVER;
        self
    }
}
