//! Tests of watches, without a program.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::inotify::{Inotify, MAX_QUEUED, inotify};
use super::{Mask, any, tell_inode, tell_name};
use crate::anonymous::Owner;
use crate::node::{Change, Kind, New};
use crate::object::{Attempt, OpenFile, Status, Stop};
use crate::testing::Bytes;
use crate::tree::{TMPFS_MAGIC, Tree};

/// Descriptor, mask and name of each event.
fn read(queue: &OpenFile, room: usize) -> Attempt<Vec<(i32, u32, Vec<u8>)>> {
    let mut sink = Bytes::sink(room);
    let done = queue.object().read(queue, 0, &mut sink)?;
    let bytes: Vec<u8> = sink.content.into_iter().collect();
    assert_eq!(bytes.len(), done);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a word"));
    let (mut events, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let len = word(at + 12) as usize;
        let name = bytes[at + 16..at + 16 + len].split(|byte| *byte == 0).next();
        let name = name.unwrap_or_default().to_vec();
        events.push((word(at).cast_signed(), word(at + 4), name));
        at += 16 + len;
    }
    Ok(events)
}

fn file(tree: &Tree, name: &[u8]) -> Arc<crate::dentry::Dentry> {
    let new = New { kind: Kind::File, permissions: 0o600, uid: 0, gid: 0, rdev: 0, target: b"" };
    match tree.root().node().create(tree.root(), name, new) {
        crate::node::Answer::Now(made) => made.expect("a file"),
        crate::node::Answer::Later(_) => panic!("memory does not wait"),
    }
}

/// One test, because whether anything is watched is known once for all.
#[test]
fn watches_are_told_and_end() {
    let owner = crate::credentials::Owner { mode: 0o755, uid: 0, gid: 0 };
    let tree = Tree::memory("tmpfs", TMPFS_MAGIC, owner);
    let child = file(&tree, b"name");
    assert!(!any());
    let open = inotify(Status::NONBLOCK, Owner::default()).expect("a queue");
    let queue: &Inotify = open.downcast().expect("a queue");
    let (above, below) = (tree.root().node(), child.node());
    assert_eq!(queue.watch(above, Mask::ACCESS | Mask::ATTRIBUTES).ok(), Some(1));
    assert_eq!(queue.watch(below, Mask::EVENTS).ok(), Some(2));
    assert!(any());
    super::changed(&child, Change::Permissions(0));
    super::changed(&child, Change::Permissions(0));
    let told = read(&open, 4096).expect("events");
    let name = b"name".to_vec();
    // The second pair equals no neighbour.
    let pair = [(1, 4, name), (2, 4, Vec::new())];
    assert_eq!(told, [pair.clone(), pair].concat());
    let unmounted = below.volume();
    tell_name(tree.root(), Mask::CREATE, b"unasked", &**below, 0);
    assert!(matches!(read(&open, 4096), Err(Stop::WouldBlock)));
    super::attributes(&child);
    assert!(matches!(read(&open, 31), Err(Stop::Error(_))), "no room for the name");
    assert_eq!(read(&open, 33).expect("one").len(), 1);
    assert_eq!(read(&open, 33).expect("the other").len(), 1);
    let kept: Vec<Mask> = [Mask::OPEN, Mask::MODIFY].into();
    for at in 0..MAX_QUEUED + 10 {
        tell_inode(&**below, kept[at % 2]);
    }
    let told = read(&open, usize::MAX).expect("many");
    assert_eq!(told.len(), MAX_QUEUED + 1);
    assert_eq!(told.last().map(|last| (last.0, last.1)), Some((-1, Mask::OVERFLOW.bits())));
    super::unmounted(unmounted);
    let masks: Vec<u32> = read(&open, 4096).expect("the end").iter().map(|event| event.1).collect();
    let end = Mask::IGNORED.bits();
    let directory = Mask::UNMOUNT | Mask::DIRECTORY;
    let all = [directory.bits(), end, Mask::UNMOUNT.bits(), end];
    assert!(masks == all || masks == [all[2], all[3], all[0], all[1]], "{masks:x?}");
    assert!(!any() && queue.watches().is_empty());
    queue.watch(below, Mask::OPEN).expect("a watch");
    drop(open);
    assert!(!any());
}
