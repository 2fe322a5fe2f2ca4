//! The first line of a script.
//!
//! Source: execve(2), "Interpreter scripts".

use abi::Errno;
use abi::errno::Result;

/// Bytes of a file that are looked at: Linux's `BINPRM_BUF_SIZE`.
pub(super) const LINE: usize = 256;

/// What a `#!` line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Script<'a> {
    /// The program that runs the script.
    pub(super) interpreter: &'a [u8],
    /// Its first argument: all that follows, as one.
    pub(super) argument: Option<&'a [u8]>,
}

/// Reads the line; `None`: the file is no script.
///
/// # Errors
/// ENOEXEC when the line names nothing, or ends amid the name.
pub(super) fn parse(head: &[u8; LINE]) -> Result<Option<Script<'_>>> {
    let Some(rest) = head.strip_prefix(b"#!") else { return Ok(None) };
    let line = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => &rest[..end],
        None => cut(rest)?,
    };
    let line = trim_end(line);
    let start = line.iter().position(|byte| !is_blank(*byte));
    let line = start.map(|start| &line[start..]).unwrap_or_default();
    if line.is_empty() {
        return Err(Errno::ENOEXEC.because("the #! line names no interpreter"));
    }
    let end = line.iter().position(|byte| is_blank(*byte) || *byte == 0);
    let Some(end) = end else { return Ok(Some(Script { interpreter: line, argument: None })) };
    let (interpreter, rest) = line.split_at(end);
    let argument = (rest[0] != 0)
        .then(|| rest.iter().position(|byte| !is_blank(*byte)))
        .flatten()
        .map(|start| until_nul(&rest[start..]));
    Ok(Some(Script { interpreter, argument }))
}

/// A line that does not end within the bytes at hand: good for its name, if that ends.
fn cut(rest: &[u8]) -> Result<&[u8]> {
    let last = rest.len() - 1;
    let start = rest[..last].iter().position(|byte| !is_blank(*byte));
    let ends = |start: usize| rest[start..last].iter().any(|byte| is_blank(*byte) || *byte == 0);
    match start {
        Some(start) if ends(start) => Ok(&rest[..last]),
        _ => Err(Errno::ENOEXEC.because("the #! line is too long")),
    }
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim_end(line: &[u8]) -> &[u8] {
    let len = line.iter().rposition(|byte| !is_blank(*byte)).map_or(0, |last| last + 1);
    &line[..len]
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use abi::Errno;

    use super::{LINE, Script, parse};

    /// An interpreter and its argument.
    type Found = Result<Option<(Vec<u8>, Option<Vec<u8>>)>, Errno>;

    fn of(text: &[u8]) -> Found {
        let mut head = [0; LINE];
        let len = text.len().min(LINE);
        head[..len].copy_from_slice(&text[..len]);
        let own =
            |script: Script<'_>| (script.interpreter.to_vec(), script.argument.map(<[u8]>::to_vec));
        parse(&head).map(|script| script.map(own)).map_err(|error| error.errno)
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be an error")]
    fn script(name: &str, argument: Option<&str>) -> Found {
        Ok(Some((name.into(), argument.map(Into::into))))
    }

    #[test]
    fn name_and_one_argument() {
        assert_eq!(of(b"#!/bin/sh\nexit\n"), script("/bin/sh", None));
        assert_eq!(
            of(b"#! \t/usr/bin/env python3 -u \t\n"),
            script("/usr/bin/env", Some("python3 -u"))
        );
        assert_eq!(of(b"#!/bin/sh"), script("/bin/sh", None));
        assert_eq!(of(b"\x7fELF"), Ok(None));
        assert_eq!(of(b"#"), Ok(None));
    }

    #[test]
    fn lines_that_name_nothing() {
        // Nothing but zeros is an empty name, which the walk refuses.
        assert_eq!(of(b"#!"), script("", None));
        assert_eq!(of(b"#!\n"), Err(Errno::ENOEXEC));
        assert_eq!(of(b"#!  \t \n/bin/sh\n"), Err(Errno::ENOEXEC));
        assert_eq!(of(&[b"#!".as_slice(), &[b' '; 300]].concat()), Err(Errno::ENOEXEC));
    }

    #[test]
    fn long_lines_are_cut_behind_the_name_only() {
        let name = [b"#!/".as_slice(), &[b'a'; 300]].concat();
        assert_eq!(of(&name), Err(Errno::ENOEXEC));
        let argument = [b"#!/bin/sh ".as_slice(), &[b'a'; 300]].concat();
        let kept = "a".repeat(LINE - 1 - 10);
        assert_eq!(of(&argument), script("/bin/sh", Some(&kept)));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read(bytes in proptest::collection::vec(
            proptest::prop_oneof![proptest::prelude::any::<u8>(), proptest::sample::select(b" \t\n\0/".to_vec())],
            LINE - 2,
        )) {
            let _ = of(&[b"#!".as_slice(), &bytes].concat());
        }
    }
}
