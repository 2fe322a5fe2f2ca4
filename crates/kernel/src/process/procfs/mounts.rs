//! What is mounted, as a process sees it: what its root leads to.
//!
//! Source: `proc_pid_mountinfo(5)`, `proc_pid_mounts(5)`, `proc_pid_mountstats(5)`.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;

use vfs::mount::{Flags, Mount};

use super::process::Subject;

/// `/proc/PID/mounts`.
pub(super) fn mounts(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for (mount, point) in visible(subject) {
        let volume = mount.root().node().volume().clone();
        text.extend_from_slice(&escape(&mount.source));
        text.push(b' ');
        text.extend_from_slice(&escape(&point));
        let writable = if mount.check_writable().is_ok() { "rw" } else { "ro" };
        let (ours, all) = (options(mount.flags()), volume.options());
        let kind = volume.name;
        text.extend_from_slice(format!(" {kind} {writable}{ours}{all} 0 0\n").as_bytes());
    }
    text
}

/// `/proc/PID/mountinfo`.
pub(super) fn mountinfo(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for (mount, point) in visible(subject) {
        let volume = mount.root().node().volume().clone();
        let parent = mount.mount_point().map_or(mount.id, |at| at.mount.id);
        let (major, minor) = (volume.device >> 8, volume.device & 0xff);
        text.extend_from_slice(format!("{} {parent} {major}:{minor} ", mount.id).as_bytes());
        text.extend_from_slice(&escape(&inner_path(&mount)));
        text.push(b' ');
        text.extend_from_slice(&escape(&point));
        let writable = !mount.flags().contains(Flags::READ_ONLY);
        let writable = if writable { "rw" } else { "ro" };
        text.extend_from_slice(format!(" {writable}{}", options(mount.flags())).as_bytes());
        text.extend_from_slice(shared(&mount).as_bytes());
        text.extend_from_slice(format!(" - {} ", volume.name).as_bytes());
        text.extend_from_slice(&escape(&mount.source));
        let writable = if volume.is_read_only() { "ro" } else { "rw" };
        text.extend_from_slice(format!(" {writable}{}\n", volume.options()).as_bytes());
    }
    text
}

/// `/proc/PID/mountstats`.
pub(super) fn mountstats(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for (mount, point) in visible(subject) {
        text.extend_from_slice(b"device ");
        text.extend_from_slice(&escape(&mount.source));
        text.extend_from_slice(b" mounted on ");
        text.extend_from_slice(&escape(&point));
        let kind = mount.root().node().volume().name;
        text.extend_from_slice(format!(" with fstype {kind}\n").as_bytes());
    }
    text
}

/// All mounts that the process's root leads to, with their paths from there.
fn visible(subject: &Subject) -> Vec<(Arc<Mount>, Vec<u8>)> {
    let root = subject.process.directories.lock().root.clone();
    let mut all = subject.kernel.mounts.list();
    all.sort_by_key(|mount| mount.id);
    let seen = |mount: Arc<Mount>| {
        let text = mount.root().path(&root);
        text.reachable.then_some((mount, text.bytes))
    };
    all.into_iter().filter_map(seen).collect()
}

/// The path of a mount's root in its file system.
pub(crate) fn inner_path(mount: &Arc<Mount>) -> Vec<u8> {
    let root = mount.root();
    let mut text = root.dentry.path();
    if root.dentry.is_removed() {
        text.extend_from_slice(b"//deleted");
    }
    text
}

/// What a mount shares, as fields of mountinfo.
fn shared(mount: &Mount) -> String {
    let sharing = mount.sharing();
    let mut text = String::new();
    if sharing.group != 0 {
        let _ = write!(text, " shared:{}", sharing.group);
    }
    if sharing.master != 0 {
        let _ = write!(text, " master:{}", sharing.master);
    }
    if sharing.unbindable {
        text += " unbindable";
    }
    text
}

/// How it is mounted, each option behind a comma.
pub(crate) fn options(flags: Flags) -> String {
    let named = [
        (Flags::NO_SUID, ",nosuid"),
        (Flags::NO_DEVICES, ",nodev"),
        (Flags::NO_EXEC, ",noexec"),
        (Flags::NO_ATIME, ",noatime"),
        (Flags::NO_DIRECTORY_ATIME, ",nodiratime"),
        (Flags::RELATIVE_ATIME, ",relatime"),
        (Flags::NO_LINKS, ",nosymfollow"),
    ];
    named.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect()
}

/// With what separates fields written in octal.
fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' | b'#' => {
                escaped.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => escaped.push(*byte),
        }
    }
    escaped
}
