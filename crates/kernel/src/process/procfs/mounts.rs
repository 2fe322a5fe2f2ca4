//! What is mounted, as a process sees it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use vfs::mount::{Flags, Mount, Place};

use super::process::Subject;

/// `/proc/PID/mounts`.
pub(super) fn mounts(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for mounted in visible(subject) {
        let Mounted { source, point, kind, options, .. } = &mounted;
        text.extend_from_slice(&escape(source));
        text.push(b' ');
        text.extend_from_slice(&escape(point));
        text.extend_from_slice(format!(" {kind} {options} 0 0\n").as_bytes());
    }
    text
}

/// `/proc/PID/mountinfo`.
pub(super) fn mountinfo(subject: &Subject) -> Vec<u8> {
    let mut text = Vec::new();
    for mounted in visible(subject) {
        let Mounted { id, parent, device, source, point, kind, options } = &mounted;
        let (major, minor) = (device >> 8, device & 0xff);
        text.extend_from_slice(format!("{id} {parent} {major}:{minor} / ").as_bytes());
        text.extend_from_slice(&escape(point));
        text.extend_from_slice(format!(" {options} - {kind} ").as_bytes());
        text.extend_from_slice(&escape(source));
        text.extend_from_slice(b" rw\n");
    }
    text
}

struct Mounted {
    id: u32,
    parent: u32,
    device: u64,
    source: Vec<u8>,
    point: Vec<u8>,
    kind: &'static str,
    options: String,
}

/// All mounts but those that another one at the same place hides.
fn visible(subject: &Subject) -> Vec<Mounted> {
    let root = subject.process.directories.lock().root.clone();
    let outermost = subject.kernel.mounts.list().first().map(Mount::root);
    let mut mounted: Vec<Mounted> = Vec::new();
    for mount in subject.kernel.mounts.list() {
        let point = match mount.mount_point() {
            None => b"/".to_vec(),
            Some(at) => path(at, &root, outermost.as_ref()),
        };
        let parent = mount.mount_point().map_or(mount.id, |at| at.mount.id);
        mounted.retain(|other| other.point != point);
        mounted.push(describe(&mount, parent, point));
    }
    mounted
}

fn path(at: &Place, root: &Place, outermost: Option<&Place>) -> Vec<u8> {
    let text = at.path(root);
    match outermost {
        Some(outermost) if !text.reachable => at.path(outermost).bytes,
        _ => text.bytes,
    }
}

fn describe(mount: &alloc::sync::Arc<Mount>, parent: u32, point: Vec<u8>) -> Mounted {
    let place = mount.root();
    let volume = place.node().volume();
    Mounted {
        id: mount.id,
        parent,
        device: volume.device,
        source: mount.source.clone(),
        point,
        kind: volume.name,
        options: options(mount.flags()),
    }
}

fn options(flags: Flags) -> String {
    let mut text = String::from(if flags.contains(Flags::READ_ONLY) { "ro" } else { "rw" });
    let named = [
        (Flags::NO_SUID, ",nosuid"),
        (Flags::NO_DEVICES, ",nodev"),
        (Flags::NO_EXEC, ",noexec"),
        (Flags::NO_ATIME, ",noatime"),
        (Flags::RELATIVE_ATIME, ",relatime"),
    ];
    for (flag, name) in named {
        if flags.contains(flag) {
            text += name;
        }
    }
    text
}

/// With what separates fields written in octal.
fn escape(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b' ' | b'\t' | b'\n' | b'\\' => {
                escaped.extend_from_slice(format!("\\{byte:03o}").as_bytes());
            }
            byte => escaped.push(*byte),
        }
    }
    escaped
}
