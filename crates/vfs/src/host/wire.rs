//! What the host's answers look like, and what of them is believed.

use alloc::vec::Vec;

use abi::Errno;
use abi::errno::{Error, Result};

use crate::dentry::NAME_MAX;
use crate::extended::USER;
use crate::node::Kind;
use crate::object::Stat;
use crate::tree::Listed;

/// Bytes of an [`abi::io::Stat`].
pub(super) const STAT_LEN: usize = size_of::<abi::io::Stat>();
/// Bytes of an [`abi::io::Entry`].
const ENTRY_LEN: usize = size_of::<abi::io::Entry>();

fn malformed(why: &'static str) -> Error {
    Errno::EIO.because(why)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// What the host says of a file.
///
/// # Errors
/// EIO for a type that does not exist or a size that no file can have.
pub(super) fn stat(bytes: &[u8]) -> Result<Stat> {
    if bytes.len() < STAT_LEN {
        return Err(malformed("the host's answer is too short"));
    }
    let mode = word(bytes, 0);
    if Kind::of_mode(mode).is_none() || mode > 0o177_777 {
        return Err(malformed("the host names a type of file that does not exist"));
    }
    let size = long(bytes, 40);
    if size > storage::pages::LENGTH_MAX {
        return Err(malformed("the host names a size that no file can have"));
    }
    Ok(Stat {
        mode,
        links: word(bytes, 4),
        uid: word(bytes, 8),
        gid: word(bytes, 12),
        inode: long(bytes, 16),
        device: long(bytes, 24),
        rdev: long(bytes, 32),
        size,
        block_size: 4096,
        blocks: long(bytes, 48).min(storage::pages::LENGTH_MAX),
        accessed: long(bytes, 56).cast_signed(),
        modified: long(bytes, 64).cast_signed(),
        changed: long(bytes, 72).cast_signed(),
        born: 0,
    })
}

/// Takes a part of a directory's list apart; where the list goes on.
///
/// # Errors
/// EIO for names that no directory can have.
pub(super) fn entries(bytes: &[u8], listed: &mut Vec<Listed>) -> Result<u64> {
    let mut rest = bytes;
    let mut next = 0;
    while !rest.is_empty() {
        let (head, behind) = rest
            .split_at_checked(ENTRY_LEN)
            .ok_or_else(|| malformed("the host's list ends inside an entry"))?;
        next = long(head, 0);
        let len = word(head, 20) as usize;
        let name =
            behind.get(..len).ok_or_else(|| malformed("the host's list ends inside a name"))?;
        rest = behind.get(len.next_multiple_of(8)..).unwrap_or_default();
        if name == b"." || name == b".." {
            continue;
        }
        if name.is_empty() || len > NAME_MAX || name.contains(&b'/') || name.contains(&0) {
            return Err(malformed("the host lists a name that no file can have"));
        }
        // A type that the host's file system does not tell is asked for at the lookup; until then it
        // counts as a file.
        let kind = Kind::of_mode(word(head, 16) << 12 & 0o170_000).unwrap_or(Kind::File);
        listed.push(Listed { name: name.to_vec(), inode: long(head, 8), kind });
    }
    Ok(next)
}

/// The names of extended attributes that programs may see of the host's files: those of users.
///
/// # Errors
/// EIO for names that no attribute can have.
pub(super) fn names(list: &[u8]) -> Result<Vec<u8>> {
    if list.last().is_some_and(|last| *last != 0) {
        return Err(malformed("the host's list ends inside a name"));
    }
    let mut names = Vec::new();
    for name in list.split_inclusive(|byte| *byte == 0) {
        if name.len() < 2 || name.len() > NAME_MAX + 1 {
            return Err(malformed("the host lists an attribute that no file can have"));
        }
        if name.starts_with(USER) {
            names.extend_from_slice(name);
        }
    }
    Ok(names)
}

/// The text of a symbolic link.
///
/// # Errors
/// EIO for one with a NUL or without a character.
pub(super) fn link(text: Vec<u8>) -> Result<Vec<u8>> {
    if text.is_empty() || text.contains(&0) {
        return Err(malformed("the host's symbolic link leads to no path"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{ENTRY_LEN, STAT_LEN, entries, link, names, stat};
    use alloc::vec::Vec;

    fn entry(next: u64, kind: u32, name: &[u8], claimed: u32) -> Vec<u8> {
        let mut bytes = next.to_le_bytes().to_vec();
        bytes.extend(7_u64.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(claimed.to_le_bytes());
        bytes.extend(name);
        bytes.resize(ENTRY_LEN + name.len().next_multiple_of(8), 0);
        bytes
    }

    fn listed(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        entries(bytes, &mut found).ok()?;
        Some(found.into_iter().map(|entry| entry.name).collect())
    }

    #[test]
    fn names_that_no_directory_has_are_refused() {
        let good = [entry(1, 8, b"a", 1), entry(2, 4, b"..", 2), entry(9, 8, b"longer-name", 11)];
        assert_eq!(
            listed(&good.concat()),
            Some(alloc::vec![b"a".to_vec(), b"longer-name".to_vec()])
        );
        assert_eq!(listed(&entry(1, 8, b"a/b", 3)), None);
        assert_eq!(listed(&entry(1, 8, b"a\0b", 3)), None);
        assert_eq!(listed(&entry(1, 8, b"", 0)), None);
        assert_eq!(listed(&entry(1, 8, b"a", u32::MAX)), None);
        assert_eq!(listed(&entry(1, 8, &[b'x'; 256], 256)), None);
        assert_eq!(listed(&[0; 5]), None);
    }

    #[test]
    fn attributes_that_can_not_be_are_refused() {
        let told = |list: &[u8]| names(list).ok();
        assert_eq!(told(b""), Some(Vec::new()));
        let list = b"security.selinux\0user.a\0trusted.b\0user.c\0";
        assert_eq!(told(list), Some(b"user.a\0user.c\0".to_vec()));
        assert_eq!(told(b"user.a"), None);
        assert_eq!(told(b"user.a\0\0"), None);
        assert_eq!(told(&[&[b'x'; 256][..], b"\0"].concat()), None);
    }

    #[test]
    fn files_that_can_not_be_are_refused() {
        let mut bytes = [0; STAT_LEN];
        assert!(stat(&bytes).is_err());
        bytes[..4].copy_from_slice(&0o100_644_u32.to_le_bytes());
        assert!(stat(&bytes).is_ok());
        bytes[40..48].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(stat(&bytes).is_err());
        assert!(stat(&bytes[..8]).is_err());
        assert!(link(b"a\0".to_vec()).is_err());
        assert!(link(Vec::new()).is_err());
    }
}
