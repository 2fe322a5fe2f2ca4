//! The tree of mounts that the first program finds.
//!
//! `/` is a file system in memory. Quick mode's directories of the host are grafted into it: their
//! names and contents come in on first use, changes stay in memory. `-v` makes mounts of their own.
//! Over it lie `/dev`, `/proc`, `/sys`, `/tmp`, `/run` and `/dev/shm`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::errno::Result;
use abi::plan::root;
use abi::{Errno, Error};
use vfs::credentials::Owner;
use vfs::device;
use vfs::mount::{FileSystem, Flags, MountTree};
use vfs::node::{Kind, New};
use vfs::terminal::folder;
use vfs::tree::{Policy, TMPFS_MAGIC, Tree};

use crate::Kernel;
use crate::process::procfs;

/// Names under `/dev` that lead elsewhere.
const LINKS: [(&[u8], &[u8]); 5] = [
    (b"fd", b"/proc/self/fd"),
    (b"stdin", b"/proc/self/fd/0"),
    (b"stdout", b"/proc/self/fd/1"),
    (b"stderr", b"/proc/self/fd/2"),
    (b"core", b"/proc/kcore"),
];
/// Directories that programs expect in `/`, with their permissions.
const DIRECTORIES: [(&[u8], u32); 7] = [
    (b"tmp", 0o1777),
    (b"dev", 0o755),
    (b"proc", 0o555),
    (b"sys", 0o555),
    (b"run", 0o755),
    (b"root", 0o700),
    (b"var/tmp", 0o1777),
];

/// What the root of all is called.
pub(crate) const SOURCE: &[u8] = b"adyton";
/// How file systems are mounted unless something else is said.
const PLAIN: Flags = Flags::RELATIVE_ATIME;

/// A directory or file that the host offers, as the boot blob names it.
pub(crate) struct Root<'a> {
    flags: u32,
    host: &'a [u8],
    guest: &'a [u8],
}

/// A [`Root`] of its own.
pub(crate) struct OwnedRoot {
    flags: u32,
    host: Vec<u8>,
    guest: Vec<u8>,
}

impl<'a> Root<'a> {
    /// Reads an item of the boot blob; `None` when it is malformed.
    pub(crate) fn read(item: &'a [u8]) -> Option<Self> {
        let (head, paths) = item.split_at_checked(8)?;
        let flags = u32::from_le_bytes(head.get(..4)?.try_into().ok()?);
        let end = paths.iter().position(|byte| *byte == 0)?;
        let guest = paths.get(end + 1..)?;
        guest.starts_with(b"/").then_some(Self { flags, host: paths.get(..end)?, guest })
    }

    /// A copy that does not borrow.
    pub(crate) fn to_owned(&self) -> OwnedRoot {
        OwnedRoot { flags: self.flags, host: self.host.to_vec(), guest: self.guest.to_vec() }
    }
}

/// A tree with nothing but its root.
pub(crate) fn tree() -> Arc<MountTree> {
    let root = memory("tmpfs", 0o755);
    MountTree::new(Arc::clone(root.root()), b"rootfs", PLAIN)
}

/// Mounts what every program finds, and what the host offers.
///
/// # Errors
/// The first refusal of the host or of the tree.
pub(crate) async fn mount(kernel: &'static Kernel, roots: &[OwnedRoot]) -> Result<()> {
    let base = memory("tmpfs", 0o755);
    for (path, mode) in DIRECTORIES {
        base.add(path, new(Kind::Directory, mode)).await?;
    }
    for (index, offered) in roots.iter().enumerate() {
        if offered.flags & root::LAYERED != 0 && offered.guest != b"/" {
            let policy = Policy { through: false, revalidate: false };
            base.graft(&offered.guest, vfs::host::lower(handle(index), true), policy).await?;
        }
    }
    let at = kernel.mounts.root();
    kernel.mounts.mount(&at, &FileSystem::new(Arc::clone(base.root())), SOURCE, PLAIN)?;
    let devices = FileSystem::new(Arc::clone(devices().await?.root()));
    let system = FileSystem::new(procfs::sys(kernel));
    let flags = PLAIN | Flags::NO_SUID | Flags::NO_DEVICES | Flags::NO_EXEC;
    for (path, shown, flags) in [
        (b"/dev".as_slice(), &devices, PLAIN | Flags::NO_SUID),
        (b"/proc", &FileSystem::new(procfs::proc(kernel)), flags),
        (b"/sys", &system, flags),
        (b"/sys/fs/cgroup", &FileSystem::new(procfs::cgroup(kernel)), flags),
    ] {
        let source = shown.root().node().volume().name.as_bytes();
        kernel.mounts.mount(&find(kernel, path).await?, shown, source, flags)?;
    }
    kernel.once.set([devices, system]);
    let pts = FileSystem::new(folder::root());
    let flags = PLAIN | Flags::NO_SUID | Flags::NO_EXEC;
    let pts = kernel.mounts.mount(&find(kernel, b"/dev/pts").await?, &pts, b"devpts", flags)?;
    folder::mounted(pts.root());
    let shared = memory("tmpfs", 0o1777);
    mount_at(kernel, b"/dev/shm", &shared, b"tmpfs", Flags::NO_SUID | Flags::NO_DEVICES).await?;
    for path in [b"/tmp".as_slice(), b"/run"] {
        let mode = if path == b"/tmp" { 0o1777 } else { 0o755 };
        if !is_offered(roots, path) {
            let flags = Flags::NO_SUID | Flags::NO_DEVICES;
            mount_at(kernel, path, &memory("tmpfs", mode), b"tmpfs", flags).await?;
        }
    }
    for (index, offered) in roots.iter().enumerate() {
        if offered.flags & root::LAYERED == 0 {
            volume(kernel, &base, index, offered).await?;
        }
    }
    Ok(())
}

/// One `-v`.
async fn volume(kernel: &Kernel, base: &Tree, index: usize, offered: &OwnedRoot) -> Result<()> {
    let through = offered.flags & root::WRITABLE != 0;
    let policy = Policy { through, revalidate: offered.flags & root::REVALIDATE != 0 };
    let lower = vfs::host::lower(handle(index), !through);
    let tree = Tree::over("adyton-host", vfs::host::MAGIC, lower, policy).await?;
    let kind = tree.root().node().kind();
    base.add(&offered.guest, new(kind, 0o755)).await?;
    let flags = if through { Flags::empty() } else { Flags::READ_ONLY };
    let flags = flags | Flags::NO_SUID | Flags::NO_DEVICES;
    mount_at(kernel, &offered.guest, &tree, &offered.host, flags).await
}

/// Mounts a tree's root at a path that exists.
pub(crate) async fn mount_at(
    kernel: &Kernel,
    path: &[u8],
    tree: &Tree,
    source: &[u8],
    flags: Flags,
) -> Result<()> {
    let place = find(kernel, path).await?;
    let system = FileSystem::new(Arc::clone(tree.root()));
    kernel.mounts.mount(&place, &system, source, PLAIN | flags).map(|_| ())
}

/// The place of an absolute path, as user 0 sees it.
pub(crate) async fn find(kernel: &Kernel, path: &[u8]) -> Result<vfs::mount::Place> {
    let root = kernel.mounts.root();
    let who = vfs::credentials::Credentials::new(0, 0, &[]);
    let start = vfs::path::Start::new(&root, &root, &who);
    vfs::path::resolve(start, path, vfs::path::Last::Follow).await
}

async fn devices() -> Result<Tree> {
    let tree = memory("devtmpfs", 0o755);
    for kind in device::Kind::ALL {
        let new = New { rdev: kind.number(), ..new(Kind::Character, 0o666) };
        tree.add(kind.name().as_bytes(), new).await?;
    }
    for (name, target) in LINKS {
        tree.add(name, New { target, ..new(Kind::Link, 0o777) }).await?;
    }
    tree.add(b"shm", new(Kind::Directory, 0o1777)).await?;
    tree.add(b"pts", new(Kind::Directory, 0o755)).await?;
    Ok(tree)
}

/// The handle of a root: the runner numbers them in the plan's order.
fn handle(index: usize) -> u64 {
    abi::io::handles::ROOTS + index as u64
}

/// Whether a root lies at `path` or below, so that nothing may be mounted over it.
fn is_offered(roots: &[OwnedRoot], path: &[u8]) -> bool {
    roots.iter().any(|offered| {
        offered
            .guest
            .strip_prefix(path)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

fn memory(name: &'static str, mode: u32) -> Tree {
    Tree::memory(name, TMPFS_MAGIC, Owner { uid: 0, gid: 0, mode })
}

fn new<'a>(kind: Kind, permissions: u32) -> New<'a> {
    New { kind, permissions, uid: 0, gid: 0, rdev: 0, target: b"" }
}

/// What a person is told when the working directory is not there.
pub(crate) fn directory_refused(path: &[u8], error: Error) -> String {
    let path = String::from_utf8_lossy(path);
    if error.errno == Errno::ENOENT {
        alloc::format!(
            "working directory {path} is not there inside; pass -w DIR, or add it with -v"
        )
    } else {
        alloc::format!("working directory {path}: {error}; pass -w DIR")
    }
}
