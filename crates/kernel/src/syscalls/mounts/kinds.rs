//! File systems, made of a type's name and options.
//!
//! Source: tmpfs(5), mount(8).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Owner;
use vfs::mount::FileSystem;
use vfs::node::{Limits, Volume};
use vfs::tree::{TMPFS_MAGIC, Tree};

use crate::Kernel;
use crate::process::procfs;

const PAGE: u64 = 4096;
/// Magic number of ramfs.
const RAMFS_MAGIC: u64 = 0x8584_58f6;
/// Permissions of a tmpfs's root unless something else is said.
const USUAL_MODE: u32 = 0o1777;

/// A type of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Tmpfs,
    Ramfs,
    Proc,
    Sysfs,
    Devtmpfs,
}

/// What a file system is made with, or is to have from now on.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    /// What mounts show as the thing mounted.
    pub(super) source: Option<Vec<u8>>,
    pub(super) read_only: Option<bool>,
    /// Pages; 0: without a limit.
    pages: Option<u64>,
    inodes: Option<u64>,
    mode: Option<u32>,
    uid: u32,
    gid: u32,
    /// Flags of mount(2) were given: what is not among them is off.
    flags_given: bool,
    no_swap: bool,
    wide_inodes: bool,
    /// Words that are only shown: there is nothing to synchronise.
    shown: [bool; SHOWN.len()],
}

/// Options of all file systems that only say how to write what lies in memory anyway.
const SHOWN: [(&str, &str); 4] =
    [("sync", "async"), ("dirsync", ""), ("mand", "nomand"), ("lazytime", "nolazytime")];

/// Flags of mount(2) for [`SHOWN`]: `MS_SYNCHRONOUS`, `MS_DIRSYNC`, `MS_MANDLOCK`, `MS_LAZYTIME`.
const SHOWN_FLAGS: [u64; SHOWN.len()] = [16, 128, 64, 1 << 25];

/// What one option came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The type has no such option.
    Unknown,
    /// It has one, but not with such a value.
    BadValue,
}

impl Type {
    /// The type of a name.
    ///
    /// # Errors
    /// ENODEV.
    pub(super) fn find(name: &[u8]) -> Result<Self> {
        Ok(match name {
            b"tmpfs" => Self::Tmpfs,
            b"ramfs" => Self::Ramfs,
            b"proc" => Self::Proc,
            b"sysfs" => Self::Sysfs,
            b"devtmpfs" => Self::Devtmpfs,
            _ => return Err(Errno::ENODEV.because("an enclave has no such type of file system")),
        })
    }

    /// The type of a volume; `None`: of none that can be made at run time.
    pub(super) fn of(volume: &Volume) -> Option<Self> {
        Self::find(volume.name.as_bytes()).ok()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ramfs => "ramfs",
            Self::Proc => "proc",
            Self::Sysfs => "sysfs",
            Self::Devtmpfs => "devtmpfs",
        }
    }

    /// Makes a file system, or finds the one that there is.
    pub(super) fn make(self, kernel: &'static Kernel, options: &Options) -> Arc<FileSystem> {
        let owner = |mode| Owner { mode, uid: options.uid, gid: options.gid };
        let the_only = |which: usize| kernel.once.get().map(|all| Arc::clone(&all[which]));
        let root = match self {
            Self::Tmpfs => {
                let usual = platform::budget::limit() / 2 / PAGE;
                let limits = Limits {
                    pages: Arc::new(storage::quota::Quota::new(options.pages.unwrap_or(usual))),
                    inodes: Arc::new(storage::quota::Quota::new(options.inodes.unwrap_or(usual))),
                };
                let owner = owner(options.mode.unwrap_or(USUAL_MODE));
                Arc::clone(Tree::limited("tmpfs", TMPFS_MAGIC, owner, Some(limits)).root())
            }
            Self::Ramfs => {
                let owner = owner(options.mode.unwrap_or(0o755));
                Arc::clone(Tree::memory("ramfs", RAMFS_MAGIC, owner).root())
            }
            Self::Proc => procfs::proc(kernel),
            Self::Devtmpfs | Self::Sysfs => {
                let which = usize::from(self == Self::Sysfs);
                match the_only(which) {
                    Some(there) => return there,
                    None => procfs::sys(kernel),
                }
            }
        };
        root.node().volume().set_options(options.text(self));
        FileSystem::new(root)
    }

    /// Changes a file system's options.
    ///
    /// # Errors
    /// EINVAL: it holds more already, or has no limits.
    pub(super) fn change(self, volume: &Volume, options: &Options) -> Result<()> {
        let Some(limits) = volume.limits.as_ref().filter(|_| self == Self::Tmpfs) else {
            return Ok(());
        };
        for (quota, most) in [(&limits.pages, options.pages), (&limits.inodes, options.inodes)] {
            let Some(most) = most else { continue };
            if most != 0 && quota.most() == 0 {
                return Err(Errno::EINVAL.because("what has no limit can't be given one"));
            }
            if !quota.set_most(most) {
                return Err(Errno::EINVAL.because("more than that is in use"));
            }
        }
        // What mounts show is what the text would be that makes a file system like that.
        let mut whole = Options::default();
        whole.set_all(self, volume.options().as_bytes())?;
        whole.pages = options.pages.or(whole.pages);
        whole.inodes = options.inodes.or(whole.inodes);
        if options.flags_given {
            whole.shown = options.shown;
        }
        volume.set_options(whole.text(self));
        Ok(())
    }
}

impl Options {
    /// Takes over flags of mount(2).
    pub(super) fn set_flags(&mut self, flags: u64) {
        self.flags_given = true;
        self.read_only = Some(flags & 1 != 0);
        for (shown, flag) in self.shown.iter_mut().zip(SHOWN_FLAGS) {
            *shown = flags & flag != 0;
        }
    }

    /// Takes over options in one text, separated by commas.
    ///
    /// # Errors
    /// EINVAL.
    pub(super) fn set_all(&mut self, kind: Type, text: &[u8]) -> Result<()> {
        for option in text.split(|byte| *byte == b',').filter(|option| !option.is_empty()) {
            let equals = option.iter().position(|byte| *byte == b'=');
            let (key, value) = match equals {
                Some(0) => continue,
                Some(at) => (&option[..at], Some(&option[at + 1..])),
                None => (option, None),
            };
            if self.set_common(key) {
                continue;
            }
            self.set(kind, key, value).map_err(|_| {
                Errno::EINVAL.because("an option that the file system does not have like that")
            })?;
        }
        Ok(())
    }

    /// Takes over one option of any file system; `false`: it is none.
    pub(super) fn set_common(&mut self, key: &[u8]) -> bool {
        match key {
            b"ro" => self.read_only = Some(true),
            b"rw" => self.read_only = Some(false),
            _ => {
                let find = |(yes, no): &(&str, &str)| yes.as_bytes() == key || no.as_bytes() == key;
                let Some(at) = SHOWN.iter().position(find) else { return false };
                self.shown[at] = SHOWN[at].0.as_bytes() == key;
            }
        }
        true
    }

    /// Takes over one option of a type.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(super) fn set(
        &mut self,
        kind: Type,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), Refused> {
        match (kind, key) {
            (Type::Tmpfs, _) => self.set_tmpfs(key, value),
            (Type::Ramfs, b"mode") => {
                self.mode = Some(octal(value).ok_or(Refused::BadValue)?);
                Ok(())
            }
            // As on Linux, for the sake of old programs.
            (Type::Ramfs, _) => Ok(()),
            _ => Err(Refused::Unknown),
        }
    }

    fn set_tmpfs(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Refused> {
        let given = |found: Option<u64>| found.ok_or(Refused::BadValue).map(Some);
        let identity = || value.and_then(decimal).ok_or(Refused::BadValue);
        match key {
            b"size" => self.pages = given(value.and_then(size))?,
            b"nr_blocks" => self.pages = given(value.and_then(amount))?,
            b"nr_inodes" => self.inodes = given(value.and_then(amount))?,
            b"mode" => self.mode = Some(octal(value).ok_or(Refused::BadValue)?),
            b"uid" => self.uid = identity()?,
            b"gid" => self.gid = identity()?,
            b"huge" if value == Some(b"never") => {}
            b"huge" | b"mpol" => return Err(Refused::BadValue),
            // Nothing is ever swapped, and all numbers fit.
            b"noswap" | b"inode32" | b"inode64" if value.is_some() => {
                return Err(Refused::BadValue);
            }
            b"noswap" => self.no_swap = true,
            b"inode32" | b"inode64" => self.wide_inodes = key == b"inode64",
            _ => return Err(Refused::Unknown),
        }
        Ok(())
    }

    /// As mounts show them.
    fn text(&self, kind: Type) -> String {
        let mut text = String::new();
        for ((name, _), _) in SHOWN.iter().zip(self.shown).filter(|(_, shown)| *shown) {
            let _ = write!(text, ",{name}");
        }
        match (kind, self.mode) {
            (Type::Ramfs, Some(mode)) if mode != 0o755 => {
                let _ = write!(text, ",mode={mode:o}");
            }
            _ => {}
        }
        if kind != Type::Tmpfs {
            return text;
        }
        if let Some(pages) = self.pages {
            let _ = write!(text, ",size={}k", pages.saturating_mul(4));
        }
        if let Some(inodes) = self.inodes {
            let _ = write!(text, ",nr_inodes={inodes}");
        }
        match self.mode {
            Some(mode) if mode != USUAL_MODE => {
                let _ = write!(text, ",mode={mode:03o}");
            }
            _ => {}
        }
        if self.uid != 0 {
            let _ = write!(text, ",uid={}", self.uid);
        }
        if self.gid != 0 {
            let _ = write!(text, ",gid={}", self.gid);
        }
        if self.wide_inodes {
            text += ",inode64";
        }
        if self.no_swap {
            text += ",noswap";
        }
        text
    }
}

fn text(value: &[u8]) -> Option<&str> {
    core::str::from_utf8(value).ok()
}

fn decimal(value: &[u8]) -> Option<u32> {
    text(value)?.parse().ok().filter(|number| *number != u32::MAX)
}

fn octal(value: Option<&[u8]>) -> Option<u32> {
    let text = text(value?)?;
    u32::from_str_radix(text, 8).ok().map(|mode| mode & 0o7777)
}

/// A number with a unit behind it.
fn amount(value: &[u8]) -> Option<u64> {
    let text = text(value)?;
    let (digits, shift) = match text.as_bytes().last()? {
        b'k' | b'K' => (&text[..text.len() - 1], 10),
        b'm' | b'M' => (&text[..text.len() - 1], 20),
        b'g' | b'G' => (&text[..text.len() - 1], 30),
        b't' | b'T' => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().ok()?;
    number.checked_mul(1 << shift).filter(|amount| *amount <= i64::MAX.unsigned_abs())
}

/// Pages of a size in bytes, or in hundredths of all memory.
fn size(value: &[u8]) -> Option<u64> {
    match value.strip_suffix(b"%") {
        Some(hundredths) => {
            let hundredths = amount(hundredths)?;
            Some((platform::budget::limit() / 100).checked_mul(hundredths)?.div_ceil(PAGE))
        }
        None => amount(value).map(|bytes| bytes.div_ceil(PAGE)),
    }
}
