//! What is mounted, told in structures.
//!
//! Source: statmount(2), listmount(2).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Capabilities;
use vfs::mount::{Flags, Mount, Place};

use crate::arguments::Arguments;
use crate::context::Context;
use crate::process::procfs::mounts::inner_path;

/// All numbers of mounts are greater.
const NO_MOUNT: u64 = 1 << 31;
/// `LSMT_ROOT`: the caller's root.
const ROOT: u64 = u64::MAX;
/// The number of the one namespace of mounts.
const NAMESPACE: u64 = 1;
/// Bytes of `struct statmount` before its texts.
const FIXED: usize = 512;

const SB_BASIC: u64 = 1;
const MNT_BASIC: u64 = 2;
const PROPAGATE_FROM: u64 = 4;
const MNT_ROOT: u64 = 8;
const MNT_POINT: u64 = 0x10;
const FS_TYPE: u64 = 0x20;
const MNT_NS_ID: u64 = 0x40;
const MNT_OPTS: u64 = 0x80;
const SB_SOURCE: u64 = 0x200;
const OPT_ARRAY: u64 = 0x400;
const SUPPORTED: u64 = 0x1000;
const ALL: u64 = SB_BASIC
    | MNT_BASIC
    | PROPAGATE_FROM
    | MNT_ROOT
    | MNT_POINT
    | FS_TYPE
    | MNT_NS_ID
    | MNT_OPTS
    | SB_SOURCE
    | OPT_ARRAY
    | SUPPORTED;

/// A `struct mnt_id_req`: which mount, and what is asked for.
struct Request {
    mount: u64,
    parameter: u64,
}

impl Request {
    /// Bytes: its size (4), nothing (4), the mount (8), what is asked (8), a namespace (8).
    fn read(cx: &Context<'_>, address: u64) -> Result<Self> {
        const FIRST: usize = 24;
        const KNOWN: usize = 32;
        let size: u32 = cx.read(address)?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > 4096 {
            return Err(Errno::E2BIG.because("the structure exceeds a page"));
        }
        if size < FIRST {
            return Err(Errno::EINVAL.because("the structure is too short"));
        }
        let mut bytes = alloc::vec![0; size.max(KNOWN)];
        cx.read_bytes(address, &mut bytes[..size])?;
        if bytes[KNOWN..].iter().any(|byte| *byte != 0) {
            return Err(Errno::E2BIG.because("something unknown stands behind the structure"));
        }
        let word = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
        let request = Self { mount: word(8), parameter: word(16) };
        if bytes[4..8] != [0; 4] || request.mount <= NO_MOUNT {
            return Err(Errno::EINVAL.because("no number that a mount can have"));
        }
        if ![0, NAMESPACE].contains(&word(24)) {
            return Err(Errno::ENOENT.because("there is one namespace of mounts"));
        }
        Ok(request)
    }

    fn find(&self, cx: &Context<'_>) -> Result<Arc<Mount>> {
        let all = cx.kernel.mounts.list();
        let found = all.into_iter().find(|mount| mount.unique() == self.mount);
        found.ok_or(Errno::ENOENT.because("no mount has that number"))
    }
}

fn administrator(cx: &Context<'_>) -> bool {
    cx.process.credentials.lock().has(Capabilities::SYS_ADMIN)
}

/// statmount(2): request, buffer, its bytes, flags.
pub(super) fn statmount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.uint(3) != 0 {
        return Err(Errno::EINVAL.because("no flags are known"));
    }
    let request = Request::read(cx, args.address(0))?;
    let mount = request.find(cx)?;
    let root = cx.process.directories.lock().root.clone();
    if !mount.root().is_below(&root) && !administrator(cx) {
        return Err(Errno::EPERM.because("the mount is not below the root"));
    }
    let answer = Answer::of(&mount, &root, request.parameter);
    let size = args.size(2);
    let fixed = FIXED.min(size);
    if !answer.texts.is_empty() && size < FIXED + answer.texts.len() {
        return Err(Errno::EOVERFLOW.because("the buffer is too small for the texts"));
    }
    let mut bytes = answer.bytes;
    let total = u32::try_from(fixed + answer.texts.len()).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&total.to_le_bytes());
    if !answer.texts.is_empty() {
        cx.write_bytes(args.address(1).wrapping_add(FIXED as u64), &answer.texts)?;
    }
    cx.write_bytes(args.address(1), &bytes[..fixed])?;
    Ok(0)
}

/// A `struct statmount` and the texts behind it.
struct Answer {
    bytes: [u8; FIXED],
    texts: Vec<u8>,
    mask: u64,
}

impl Answer {
    fn of(mount: &Arc<Mount>, root: &Place, wanted: u64) -> Self {
        let mut answer = Self { bytes: [0; FIXED], texts: Vec::new(), mask: 0 };
        let volume = Arc::clone(mount.root().node().volume());
        if wanted & SB_BASIC != 0 {
            answer.word(16, volume.device >> 8 & 0xfff | (volume.device & 0xff) << 32);
            answer.word(24, volume.magic);
            answer.half(32, u32::from(volume.is_read_only()));
            answer.mask |= SB_BASIC;
        }
        if wanted & MNT_BASIC != 0 {
            answer.basics(mount);
        }
        if wanted & PROPAGATE_FROM != 0 {
            answer.mask |= PROPAGATE_FROM;
        }
        let inner = inner_path(mount);
        let point = mount.root().path(root);
        let options = volume.options();
        let options = options.trim_start_matches(',');
        let array = options.replace(',', "\0");
        let texts: [(u64, usize, &[u8]); 6] = [
            (FS_TYPE, 36, volume.name.as_bytes()),
            (MNT_ROOT, 104, &inner),
            (MNT_POINT, 108, if point.reachable { &point.bytes } else { b"" }),
            (MNT_OPTS, 4, options.as_bytes()),
            (SB_SOURCE, 124, &mount.source),
            (OPT_ARRAY, 132, array.as_bytes()),
        ];
        for (bit, at, text) in texts {
            if wanted & bit != 0 && !text.is_empty() {
                answer.text(bit, at, text);
            }
        }
        if answer.mask & OPT_ARRAY != 0 {
            answer.half(128, u32::try_from(options.split(',').count()).unwrap_or(0));
        }
        if wanted & MNT_NS_ID != 0 {
            answer.word(112, NAMESPACE);
            answer.mask |= MNT_NS_ID;
        }
        if wanted & SUPPORTED != 0 {
            answer.word(144, ALL);
            answer.mask |= SUPPORTED;
        }
        let mask = answer.mask;
        answer.word(8, mask);
        answer
    }

    fn basics(&mut self, mount: &Arc<Mount>) {
        const UNBINDABLE: u64 = 1 << 17;
        const PRIVATE: u64 = 1 << 18;
        const SLAVE: u64 = 1 << 19;
        const SHARED: u64 = 1 << 20;
        let parent = mount.mount_point().map_or_else(|| Arc::clone(mount), |at| at.mount);
        self.word(40, mount.unique());
        self.word(48, parent.unique());
        self.half(56, mount.id);
        self.half(60, parent.id);
        self.word(64, attributes(mount.flags()));
        let sharing = mount.sharing();
        let mut kind = 0;
        for (is_so, bit) in [
            (sharing.group != 0, SHARED),
            (sharing.master != 0, SLAVE),
            (sharing.unbindable, UNBINDABLE),
        ] {
            kind |= if is_so { bit } else { 0 };
        }
        self.word(72, if kind == 0 { PRIVATE } else { kind });
        self.word(80, sharing.group.into());
        self.word(88, sharing.master.into());
        self.mask |= MNT_BASIC;
    }

    fn word(&mut self, at: usize, value: u64) {
        self.bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }

    fn half(&mut self, at: usize, value: u32) {
        self.bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn text(&mut self, bit: u64, at: usize, text: &[u8]) {
        if self.texts.is_empty() {
            // Nothing stands at 0, which means that there is no text.
            self.texts.push(0);
        }
        let offset = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.half(at, offset);
        self.texts.extend_from_slice(text);
        self.texts.push(0);
        self.mask |= bit;
    }
}

/// Flags as `MOUNT_ATTR_…`.
fn attributes(flags: Flags) -> u64 {
    const STRICT: u64 = 0x20;
    let named = [
        (Flags::READ_ONLY, 1),
        (Flags::NO_SUID, 2),
        (Flags::NO_DEVICES, 4),
        (Flags::NO_EXEC, 8),
        (Flags::NO_DIRECTORY_ATIME, 0x80),
        (Flags::NO_LINKS, 0x20_0000),
        (Flags::NO_ATIME, 0x10),
    ];
    let set = named.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, bit)| bit).sum();
    let strict = !flags.intersects(Flags::NO_ATIME | Flags::RELATIVE_ATIME);
    if strict { set | STRICT } else { set }
}

/// listmount(2): request, numbers, how many fit, flags.
pub(super) fn listmount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const REVERSE: u32 = 1;
    const MOST: usize = 1_000_000;
    let flags = args.uint(3);
    if flags & !REVERSE != 0 {
        return Err(Errno::EINVAL.because("only LISTMOUNT_REVERSE is known"));
    }
    let room = args.size(2);
    if room > MOST {
        return Err(Errno::EOVERFLOW.because("more numbers than a call gives"));
    }
    let request = Request::read(cx, args.address(0))?;
    let last = request.parameter;
    if last != 0 && last <= NO_MOUNT {
        return Err(Errno::EINVAL.because("no number that a mount can have"));
    }
    let root = cx.process.directories.lock().root.clone();
    let above = if request.mount == ROOT { root.clone() } else { request.find(cx)?.root() };
    if !above.is_below(&root) && !administrator(cx) {
        return Err(Errno::EPERM.because("the mount is not below the root"));
    }
    let mut found: Vec<u64> = cx
        .kernel
        .mounts
        .list()
        .iter()
        .filter(|mount| mount.unique() != request.mount && mount.root().is_below(&above))
        .map(|mount| mount.unique())
        .collect();
    found.sort_unstable();
    let reverse = flags & REVERSE != 0;
    if reverse {
        found.reverse();
    }
    let behind = |id: &u64| last == 0 || if reverse { *id < last } else { *id > last };
    let numbers: Vec<u8> =
        found.into_iter().filter(behind).take(room).flat_map(u64::to_le_bytes).collect();
    cx.write_bytes(args.address(1), &numbers)?;
    Ok((numbers.len() / 8) as u64)
}
