use alloc::vec::Vec;

use proptest::prelude::*;

use super::line::{CAPACITY, Line, Signal};
use super::termios::{Input, Local, Output, Special, Termios};

fn with(change: impl FnOnce(&mut Termios)) -> Line {
    let mut line = Line::default();
    let mut termios = Termios::default();
    change(&mut termios);
    line.set_termios(termios, &mut Vec::new());
    line
}

/// Types; what is echoed, and the signals.
fn typed(line: &mut Line, bytes: &[u8]) -> (Vec<u8>, Vec<Signal>) {
    let mut out = Vec::new();
    let mut signals = Vec::new();
    line.begin();
    for byte in bytes {
        if line.room() > 0 {
            signals.extend(line.receive(*byte, &mut out));
        }
    }
    (out, signals)
}

fn read(line: &mut Line, room: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    line.read(room, &mut bytes);
    bytes
}

#[test]
fn a_line_can_be_read_once_it_is_ended() {
    let mut line = Line::default();
    assert_eq!(typed(&mut line, b"ab").0, b"ab");
    assert!(!line.is_readable());
    assert_eq!(typed(&mut line, b"\x7fc\r").0, b"\x08 \x08c\r\n");
    assert_eq!(read(&mut line, 100), b"ac\n");
    assert!(!line.is_readable());
}

#[test]
fn an_end_is_told_once_and_not_behind_a_full_buffer() {
    let mut line = Line::default();
    typed(&mut line, b"\x04abc\x04d\n");
    assert!(line.is_readable());
    assert_eq!(read(&mut line, 9), b"");
    assert_eq!(read(&mut line, 3), b"abc");
    assert_eq!(read(&mut line, 9), b"d\n");
}

#[test]
fn a_tab_is_erased_back_to_where_it_began() {
    let mut line = with(|termios| termios.output |= Output::XTABS);
    line.write(b"12", 100, &mut Vec::new());
    assert_eq!(typed(&mut line, b"\t").0, b"      ");
    assert_eq!(typed(&mut line, b"\x7f").0, [8; 6]);
}

#[test]
fn what_does_not_fit_is_not_begun() {
    let mut line = Line::default();
    let mut out = Vec::new();
    assert_eq!(line.write(b"ab\nc", 3, &mut out), 2);
    assert_eq!(out, b"ab");
    assert_eq!(line.write(b"\nc", 3, &mut out), 2);
    assert_eq!(out, b"ab\r\nc");
}

#[test]
fn attributes_keep_what_they_are_not_told() {
    let termios = Termios { control: 0o12 | 0o100_000 << 16, ..Termios::default() }.settled();
    let bytes = termios.to_bytes();
    assert_eq!(Termios::from_bytes(&bytes, &Termios::default()), termios);
    let short = Termios::from_bytes(&bytes[..36], &Termios::default());
    assert_eq!(short.speeds, [38_400; 2]);
    assert_eq!(short.settled().speeds[1], 1800);
    assert_eq!(Termios::from_old(&termios.to_old(), &termios), termios);
}

/// Bytes that mean something, more often than chance would have them.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let special =
        prop::sample::select(b"\n\r\t\x03\x04\x11\x12\x13\x15\x16\x17\x1a\x1c\x7f\xff".to_vec());
    prop::collection::vec(prop_oneof![special, any::<u8>(), 0x20_u8..0x7f], 0..300)
}

fn attributes() -> impl Strategy<Value = Termios> {
    (any::<u16>(), any::<u16>(), any::<u32>(), any::<[u8; 3]>()).prop_map(|(i, o, l, c)| {
        let mut termios = Termios {
            input: Input::from_bits_retain(i.into()),
            output: Output::from_bits_retain(o.into()),
            local: Local::from_bits_retain(l & 0x1_ffff),
            ..Termios::default()
        };
        termios.characters[Special::Line as usize] = c[0];
        termios.characters[Special::Erase as usize] = c[1];
        termios.characters[Special::Word as usize] = c[2];
        termios
    })
}

proptest! {
    #[test]
    fn no_keys_and_no_attributes_exceed_its_bounds(
        steps in prop::collection::vec((attributes(), keys(), 0_usize..400), 1..12),
    ) {
        let mut line = Line::default();
        for (termios, keys, room) in steps {
            let mut out = Vec::new();
            line.set_termios(termios, &mut out);
            typed(&mut line, &keys);
            prop_assert!(line.readable() <= CAPACITY + 1);
            let mut written = Vec::new();
            let taken = line.write(&keys, room, &mut written);
            prop_assert!(taken <= keys.len() && written.len() <= room);
            let before = line.readable();
            let bytes = read(&mut line, room);
            prop_assert!(bytes.len() <= room && bytes.len() + line.readable() <= before + 1);
        }
    }

    #[test]
    fn raw_input_comes_out_as_it_went_in(keys in keys()) {
        let mut line = with(|termios| {
            termios.input = Input::empty();
            termios.local = Local::empty();
        });
        prop_assert_eq!(typed(&mut line, &keys), (Vec::new(), Vec::new()));
        prop_assert_eq!(read(&mut line, 1000), keys);
    }

    #[test]
    fn a_killed_line_leaves_the_cursor_where_it_was(text in "[ -~]{0,60}", start in "[ -~]{0,20}") {
        let mut line = Line::default();
        line.write(start.as_bytes(), 1000, &mut Vec::new());
        let before = line.columns().0;
        typed(&mut line, text.as_bytes());
        typed(&mut line, b"\x15");
        prop_assert_eq!(line.columns().0, before);
        typed(&mut line, b"\n");
        prop_assert_eq!(read(&mut line, 1000), b"\n");
    }

    #[test]
    fn writing_in_parts_is_writing_at_once(text in keys(), cut in 0_usize..300) {
        let (mut one, mut other) = (Line::default(), Line::default());
        let (mut whole, mut parts) = (Vec::new(), Vec::new());
        one.write(&text, usize::MAX, &mut whole);
        let cut = cut.min(text.len());
        other.write(&text[..cut], usize::MAX, &mut parts);
        other.write(&text[cut..], usize::MAX, &mut parts);
        prop_assert_eq!(whole, parts);
    }
}
