//! Ancillary data: descriptors and credentials that travel with messages.
//!
//! Source: cmsg(3), unix(7).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::descriptor::OnExec;
use vfs::object::OpenFile;
use vfs::socketpair::Maker;
use zerocopy::IntoBytes;

use crate::context::Context;

/// `SOL_SOCKET`.
const SOCKET: i32 = 1;
/// `SCM_RIGHTS`, `SCM_CREDENTIALS`.
const RIGHTS: i32 = 1;
const CREDENTIALS: i32 = 2;
/// Bytes of a `cmsghdr`: length, level, type.
const HEADER: usize = 16;
/// Bytes of a descriptor.
const FD: usize = 4;
/// The most descriptors of one message (`SCM_MAX_FD`).
const RIGHTS_MAX: usize = 253;
/// The most bytes of ancillary data (`net.core.optmem_max`).
const CONTROL_MAX: usize = 131_072;

/// Reads the descriptors that a message is to carry.
///
/// # Errors
/// EINVAL when malformed, of an unknown type or with too many; EBADF; EPERM for credentials of
/// somebody else; ENOBUFS when too long.
pub(super) fn read(cx: &Context<'_>, address: u64, len: usize) -> Result<Vec<Arc<OpenFile>>> {
    let mut rights = Vec::new();
    if address == 0 || len < HEADER {
        return Ok(rights);
    }
    if len > CONTROL_MAX {
        return Err(Errno::ENOBUFS.because("too much ancillary data"));
    }
    let mut bytes = alloc::vec![0; len];
    cx.read_bytes(address, &mut bytes)?;
    let mut at = 0;
    while len - at >= HEADER {
        let entry = usize::try_from(u64_at(&bytes, at)).unwrap_or(usize::MAX);
        if entry < HEADER || entry > len - at {
            return Err(Errno::EINVAL.because("a control message has a wrong length"));
        }
        let (level, kind) = (i32_at(&bytes, at + 8), i32_at(&bytes, at + 12));
        let data = &bytes[at + HEADER..at + entry];
        // Other levels' messages are for other kinds of sockets.
        if level == SOCKET {
            match kind {
                RIGHTS => add_rights(cx, data, &mut rights)?,
                CREDENTIALS => check_credentials(cx, data)?,
                _ => return Err(Errno::EINVAL.because("an unknown type of control message")),
            }
        }
        at = (at + entry.next_multiple_of(8)).min(len);
    }
    Ok(rights)
}

fn add_rights(cx: &Context<'_>, data: &[u8], rights: &mut Vec<Arc<OpenFile>>) -> Result<()> {
    if rights.len() + data.len() / FD > RIGHTS_MAX {
        return Err(Errno::EINVAL.because("more than 253 descriptors in a message"));
    }
    for at in (0..data.len() / FD).map(|index| index * FD) {
        rights.push(cx.process.files.get(i32_at(data, at))?);
    }
    Ok(())
}

fn check_credentials(cx: &Context<'_>, data: &[u8]) -> Result<()> {
    if data.len() != 12 {
        return Err(Errno::EINVAL.because("credentials have 12 bytes"));
    }
    let [pid, uid, gid] = [0, 4, 8].map(|at| i32_at(data, at));
    let who = cx.process.credentials.lock();
    let uids = [who.uid, who.euid, who.suid];
    let gids = [who.gid, who.egid, who.sgid];
    let own = pid == cx.process.pid.cast_signed()
        && uids.contains(&uid.cast_unsigned())
        && gids.contains(&gid.cast_unsigned());
    if own { Ok(()) } else { Err(Errno::EPERM.because("credentials of somebody else")) }
}

/// What became of ancillary data that was received.
pub(super) struct Written {
    /// Bytes that were written.
    pub(super) len: usize,
    /// Something had no room.
    pub(super) cut: bool,
}

/// Writes what came with a message to the program's buffer, and opens the descriptors.
///
/// # Errors
/// EFAULT.
pub(super) fn write(
    cx: &Context<'_>,
    address: u64,
    room: usize,
    sender: Option<Maker>,
    rights: Vec<Arc<OpenFile>>,
    on_exec: OnExec,
) -> Result<Written> {
    let mut written = Written { len: 0, cut: false };
    if let Some(sender) = sender {
        let owner = sender.owner;
        let data = [sender.pid, owner.uid.cast_signed(), owner.gid.cast_signed()];
        put(cx, address, room, &mut written, CREDENTIALS, data.as_bytes())?;
    }
    if rights.is_empty() {
        return Ok(written);
    }
    let fitting = room.saturating_sub(written.len + HEADER) / FD;
    written.cut |= fitting < rights.len();
    let mut numbers = Vec::new();
    for file in rights.into_iter().take(fitting) {
        let Ok(fd) = cx.process.files.add(file, on_exec) else {
            written.cut = true;
            break;
        };
        numbers.push(fd);
    }
    if !numbers.is_empty() {
        put(cx, address, room, &mut written, RIGHTS, numbers.as_slice().as_bytes())?;
    }
    Ok(written)
}

fn put(
    cx: &Context<'_>,
    address: u64,
    room: usize,
    written: &mut Written,
    kind: i32,
    data: &[u8],
) -> Result<()> {
    let left = room.saturating_sub(written.len);
    if left < HEADER {
        written.cut = true;
        return Ok(());
    }
    let len = (HEADER + data.len()).min(left);
    written.cut |= len < HEADER + data.len();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend_from_slice(&(len as u64).to_le_bytes());
    bytes.extend_from_slice(&SOCKET.to_le_bytes());
    bytes.extend_from_slice(&kind.to_le_bytes());
    bytes.extend_from_slice(&data[..len - HEADER]);
    cx.write_bytes(address + written.len as u64, &bytes)?;
    written.len = (written.len + len.next_multiple_of(8)).min(room);
    Ok(())
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    i32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}
