//! Extended attributes of an inode: kept in memory in order of their names, or by the layer below.
//!
//! Source: xattr(7).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;

use crate::tree::Origin;

/// Longest value, and longest list of names: `XATTR_SIZE_MAX`, `XATTR_LIST_MAX`.
pub const SIZE_MAX: usize = 65_536;
/// Bytes of names and values that one inode holds at most; file systems of Linux have limits of their
/// own, and say ENOSPC too.
const TOTAL_MAX: usize = 1 << 20;

/// What setting does about a value that is or isn't there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It is replaced or made.
    Either,
    /// It must not be there (`XATTR_CREATE`): EEXIST.
    Refuse,
    /// It must be there (`XATTR_REPLACE`): ENODATA.
    Require,
}

/// The name space of users, the only one that is carried to the layer below.
pub const USER: &[u8] = b"user.";

/// Who keeps the attributes of an inode.
#[derive(Clone, Copy)]
pub enum Keeper<'a> {
    /// This side.
    Here(&'a Extended),
    /// The layer below.
    Below(&'a Arc<Origin>),
}

impl Keeper<'_> {
    /// The value of `name`.
    ///
    /// # Errors
    /// ENODATA, or the layer's.
    pub async fn get(self, name: &[u8]) -> Result<Vec<u8>> {
        match self {
            Self::Here(all) => all.get(name).map(Vec::from),
            Self::Below(origin) if name.starts_with(USER) => {
                origin.lower().get_attribute(&origin.path(), name).await
            }
            Self::Below(_) => Err(none()),
        }
    }

    /// Sets `name`.
    ///
    /// # Errors
    /// Those of [`Extended::set`], or the layer's; EOPNOTSUPP for what is not a user's there.
    pub async fn set(self, name: &[u8], value: &[u8], existing: Existing) -> Result<()> {
        match self {
            Self::Here(all) => all.set(name, value, existing),
            Self::Below(origin) if name.starts_with(USER) => {
                origin.lower().set_attribute(&origin.path(), name, value, existing).await
            }
            Self::Below(_) => Err(not_below()),
        }
    }

    /// Takes `name` away.
    ///
    /// # Errors
    /// ENODATA, or the layer's; EOPNOTSUPP for what is not a user's there.
    pub async fn remove(self, name: &[u8]) -> Result<()> {
        match self {
            Self::Here(all) => all.remove(name),
            Self::Below(origin) if name.starts_with(USER) => {
                origin.lower().remove_attribute(&origin.path(), name).await
            }
            Self::Below(_) => Err(not_below()),
        }
    }

    /// The names that `shown` admits, each with its NUL.
    ///
    /// # Errors
    /// The layer's.
    pub async fn list(self, shown: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>> {
        match self {
            Self::Here(all) => Ok(all.list(shown)),
            Self::Below(origin) => origin.lower().list_attributes(&origin.path()).await,
        }
    }
}

fn not_below() -> abi::Error {
    Errno::EOPNOTSUPP.because("only users' attributes are carried to the layer below")
}

/// Values by name.
type Values = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// The attributes.
pub struct Extended(Mutex<Values>);

impl Default for Extended {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl Extended {
    /// The value of `name`.
    ///
    /// # Errors
    /// ENODATA.
    pub fn get(&self, name: &[u8]) -> Result<Box<[u8]>> {
        self.0.lock().get(name).cloned().ok_or_else(none)
    }

    /// Sets `name`.
    ///
    /// # Errors
    /// EEXIST, ENODATA, ENOSPC.
    pub fn set(&self, name: &[u8], value: &[u8], existing: Existing) -> Result<()> {
        let mut all = self.0.lock();
        match (existing, all.contains_key(name)) {
            (Existing::Refuse, true) => {
                return Err(Errno::EEXIST.because("the attribute is there (XATTR_CREATE)"));
            }
            (Existing::Require, false) => return Err(none()),
            _ => {}
        }
        // Without the value that it replaces.
        let others = all.iter().filter(|(other, _)| other[..] != *name);
        let held: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if held + name.len() + value.len() > TOTAL_MAX {
            return Err(Errno::ENOSPC.because("the file's extended attributes exceed 1 MiB"));
        }
        all.insert(name.into(), value.into());
        Ok(())
    }

    /// Takes `name` away.
    ///
    /// # Errors
    /// ENODATA.
    pub fn remove(&self, name: &[u8]) -> Result<()> {
        self.0.lock().remove(name).map(|_| ()).ok_or_else(none)
    }

    /// The names that `shown` admits, each with its NUL.
    pub fn list(&self, shown: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let mut list = Vec::new();
        for name in self.0.lock().keys().filter(|name| shown(name)) {
            list.extend_from_slice(name);
            list.push(0);
        }
        list
    }
}

fn none() -> abi::Error {
    Errno::ENODATA.because("the file has no such extended attribute")
}

#[cfg(test)]
mod tests {
    use abi::Errno;

    use super::{Existing, Extended, TOTAL_MAX};

    #[test]
    fn keeps_what_was_set() {
        let all = Extended::default();
        let errno = |result: abi::errno::Result<()>| result.err().map(|error| error.errno);
        assert_eq!(errno(all.set(b"user.b", b"1", Existing::Require)), Some(Errno::ENODATA));
        assert_eq!(errno(all.set(b"user.b", b"1", Existing::Refuse)), None);
        assert_eq!(errno(all.set(b"user.b", b"2", Existing::Refuse)), Some(Errno::EEXIST));
        assert_eq!(errno(all.set(b"user.b", b"2", Existing::Require)), None);
        assert_eq!(errno(all.set(b"trusted.a", b"", Existing::Either)), None);
        assert_eq!(&*all.get(b"user.b").unwrap(), b"2");
        assert_eq!(all.list(|_| true), b"trusted.a\0user.b\0");
        assert_eq!(all.list(|name| name.starts_with(b"user.")), b"user.b\0");
        assert_eq!(errno(all.remove(b"user.b")), None);
        assert_eq!(errno(all.remove(b"user.b")), Some(Errno::ENODATA));
        let large = vec![0; TOTAL_MAX];
        assert_eq!(errno(all.set(b"user.c", &large, Existing::Either)), Some(Errno::ENOSPC));
    }
}
