//! The first line of a script.
//!
//! Source: execve(2), "Interpreter scripts".

use abi::Errno;
use abi::errno::Result;

/// So many bytes of a file are looked at.
pub(crate) const LOOKED_AT: usize = 256;

/// What a script is interpreted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Path of the interpreter.
    pub(crate) interpreter: &'a [u8],
    /// Its one argument.
    pub(crate) argument: Option<&'a [u8]>,
}

/// Whether a file that begins so is a script.
pub(crate) fn is_script(start: &[u8]) -> bool {
    start.starts_with(b"#!")
}

/// Reads the line from a script's first bytes, at most [`LOOKED_AT`] of them.
///
/// # Errors
/// ENOEXEC when no interpreter is named, or its name is cut off.
pub(crate) fn line(start: &[u8]) -> Result<Line<'_>> {
    let start = &start[..start.len().min(LOOKED_AT)];
    let text = start.strip_prefix(b"#!").ok_or(Errno::ENOEXEC.because("not a script"))?;
    let nameless = Errno::ENOEXEC.because("the script names no interpreter");
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let text = if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
        &text[..end]
    } else if start.len() < LOOKED_AT {
        text // it ends with the file
    } else {
        // The last byte that Linux reads is not looked at. A name must end before it.
        let text = &text[..text.len() - 1];
        let begin = text.iter().position(|byte| !blank(byte)).ok_or(nameless)?;
        if !text[begin..].iter().any(|byte| blank(byte) || *byte == 0) {
            return Err(Errno::ENOEXEC.because("the interpreter's name is cut off"));
        }
        text
    };
    let end = text.iter().rposition(|byte| !blank(byte)).ok_or(nameless)?;
    let text = &text[..=end];
    let begin = text.iter().position(|byte| !blank(byte)).ok_or(nameless)?;
    let text = &text[begin..];
    let split = text.iter().position(|byte| blank(byte) || *byte == 0).unwrap_or(text.len());
    let (interpreter, rest) = text.split_at(split);
    if interpreter.is_empty() {
        return Err(nameless);
    }
    let argument = rest.iter().position(|byte| !blank(byte)).map(|begin| &rest[begin..]);
    let argument = argument.filter(|_| rest.first() != Some(&0));
    let argument = argument.map(|text| text.split(|byte| *byte == 0).next().unwrap_or_default());
    Ok(Line { interpreter, argument: argument.filter(|text| !text.is_empty()) })
}

#[cfg(test)]
mod tests {
    use super::{Line, line};
    use abi::Errno;

    fn read(text: &[u8]) -> Result<Line<'_>, Errno> {
        line(text).map_err(|error| error.errno)
    }

    fn named<'a>(interpreter: &'a [u8], argument: Option<&'a [u8]>) -> Result<Line<'a>, Errno> {
        Ok(Line { interpreter, argument })
    }

    #[test]
    fn one_argument_is_passed_on_whole() {
        assert_eq!(read(b"#!/bin/sh\necho"), named(b"/bin/sh", None));
        assert_eq!(read(b"#! \t/bin/sh -e -x \t\n"), named(b"/bin/sh", Some(b"-e -x")));
        assert_eq!(read(b"#!/bin/sh"), named(b"/bin/sh", None));
        assert_eq!(read(b"#!/bin/sh\0 x\n"), named(b"/bin/sh", None));
    }

    #[test]
    fn a_line_without_a_name_is_refused() {
        for text in [&b"#!\n"[..], b"#!  \t\n", b"#!", b"#!   ", b"plain"] {
            assert_eq!(read(text), Err(Errno::ENOEXEC));
        }
    }

    #[test]
    fn a_long_line_is_cut_but_not_within_the_name() {
        let mut long = b"#!/bin/true ".to_vec();
        long.extend([b'a'; 300]);
        assert_eq!(read(&long), named(b"/bin/true", Some(&[b'a'; 243])));
        let mut name = b"#!".to_vec();
        name.extend([b'a'; 300]);
        assert_eq!(read(&name), Err(Errno::ENOEXEC));
        let mut blank = b"#!".to_vec();
        blank.extend([b' '; 300]);
        assert_eq!(read(&blank), Err(Errno::ENOEXEC));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in proptest::collection::vec(0_u8..40, 0..300)) {
            let mut all = b"#!".to_vec();
            all.extend(text);
            let _ = line(&all);
        }
    }
}
