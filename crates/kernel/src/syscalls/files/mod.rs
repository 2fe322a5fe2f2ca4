//! Files, names and descriptors.

mod attributes;
pub(in crate::syscalls) mod base;
mod control;
mod copy;
mod descriptors;
pub(in crate::syscalls) mod directory;
mod eventfd;
mod extended;
mod inotify;
mod length;
mod locks;
mod memfd;
mod names;
pub(crate) mod objects;
pub(crate) mod open;
mod ownership;
pub(crate) mod pipe;
mod recent;
mod side;
mod signalfd;
mod splice;
mod stat;
mod terminal;
mod timerfd;
pub(super) mod transfer;

use abi::errno::Result;
use abi::nr;

use crate::arguments::Arguments;
use crate::context::Context;

pub(super) use open::changes as open_changes;
pub(super) use transfer::{plain_at_once, read};

/// Calls that finish at once; `None`: not here, or it must wait.
#[inline]
pub(crate) fn at_once(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    Some(match number {
        nr::CLOSE => open::close(cx, args),
        nr::CLOSE_RANGE => open::close_range(cx, args),
        nr::FSTAT => stat::fstat(cx, args),
        nr::FSTATFS => stat::fstatfs(cx, args),
        nr::LSEEK => length::lseek(cx, args),
        nr::IOCTL => control::ioctl(cx, args),
        nr::DUP => descriptors::dup(cx, args),
        nr::DUP2 => descriptors::dup2(cx, args),
        nr::DUP3 => descriptors::dup3(cx, args),
        nr::FCNTL => return descriptors::fcntl(cx, args),
        nr::FLOCK => return locks::flock_at_once(cx, args),
        nr::GETCWD => directory::getcwd(cx, args),
        nr::FCHDIR => directory::fchdir(cx, args),
        nr::UMASK => Ok(directory::umask(cx, args)),
        nr::CACHESTAT => recent::cachestat(cx, args),
        nr::OPEN_BY_HANDLE_AT => recent::open_by_handle_at(cx, args),
        nr::FADVISE64 => length::fadvise(cx, args),
        _ if transfer::is_transfer(number) => return transfer::at_once(cx, number, args),
        _ => return objects::at_once(cx, number, args),
    })
}

/// Calls that may wait; `None`: not here.
pub(crate) async fn waiting(
    cx: &mut Context<'_>,
    number: usize,
    args: &Arguments,
) -> Option<Result<u64>> {
    if transfer::is_transfer(number) {
        return transfer::waiting(cx, number, args).await;
    }
    let cx = &*cx;
    if let Some(result) = by_name(cx, number, args).await {
        return Some(result);
    }
    Some(match number {
        nr::FCNTL => locks::fcntl(cx, args).await,
        nr::FLOCK => locks::flock(cx, args).await,
        nr::GETDENTS => directory::getdents(cx, args, true).await,
        nr::GETDENTS64 => directory::getdents(cx, args, false).await,
        nr::FTRUNCATE => length::ftruncate(cx, args).await,
        nr::FALLOCATE => length::fallocate(cx, args).await,
        nr::SYNC => length::sync(cx).await,
        nr::SYNCFS => length::syncfs(cx, args).await,
        nr::FSYNC | nr::FDATASYNC => length::fsync(cx, args).await,
        nr::SYNC_FILE_RANGE => length::sync_file_range(cx, args).await,
        nr::READAHEAD => length::readahead(cx, args).await,
        nr::SENDFILE => copy::sendfile(cx, args).await,
        nr::COPY_FILE_RANGE => copy::copy_file_range(cx, args).await,
        nr::SPLICE => splice::splice(cx, args).await,
        nr::TEE => splice::tee(cx, args).await,
        nr::VMSPLICE => splice::vmsplice(cx, args).await,
        nr::FCHMOD => attributes::fchmod(cx, args).await,
        nr::FCHOWN => attributes::fchown(cx, args).await,
        _ => return extended::call(cx, number, args).await,
    })
}

/// Calls that take a path.
async fn by_name(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    Some(match number {
        nr::OPEN => open::open(cx, args).await,
        nr::OPENAT => open::openat(cx, args).await,
        nr::OPENAT2 => open::openat2(cx, args).await,
        nr::CREAT => open::creat(cx, args).await,
        nr::STAT => stat::stat(cx, args).await,
        nr::LSTAT => stat::lstat(cx, args).await,
        nr::NEWFSTATAT => stat::newfstatat(cx, args).await,
        nr::STATX => stat::statx(cx, args).await,
        nr::STATFS => stat::statfs(cx, args).await,
        nr::ACCESS => stat::access(cx, args).await,
        nr::FACCESSAT => stat::faccessat(cx, args).await,
        nr::FACCESSAT2 => stat::faccessat2(cx, args).await,
        nr::CHDIR => directory::chdir(cx, args).await,
        nr::NAME_TO_HANDLE_AT => recent::name_to_handle_at(cx, args).await,
        nr::FILE_GETATTR | nr::FILE_SETATTR => recent::file_attributes(cx, args).await,
        nr::TRUNCATE => length::truncate(cx, args).await,
        nr::INOTIFY_ADD_WATCH => inotify::add_watch(cx, args).await,
        _ => return changing(cx, number, args).await,
    })
}

/// Calls that change names or attributes.
async fn changing(cx: &Context<'_>, number: usize, args: &Arguments) -> Option<Result<u64>> {
    Some(match number {
        nr::MKDIR => names::mkdir(cx, args).await,
        nr::MKDIRAT => names::mkdirat(cx, args).await,
        nr::MKNOD => names::mknod(cx, args).await,
        nr::MKNODAT => names::mknodat(cx, args).await,
        nr::RMDIR => names::rmdir(cx, args).await,
        nr::UNLINK => names::unlink(cx, args).await,
        nr::UNLINKAT => names::unlinkat(cx, args).await,
        nr::RENAME => names::rename(cx, args).await,
        nr::RENAMEAT => names::renameat(cx, args).await,
        nr::RENAMEAT2 => names::renameat2(cx, args).await,
        nr::LINK => names::link(cx, args).await,
        nr::LINKAT => names::linkat(cx, args).await,
        nr::SYMLINK => names::symlink(cx, args).await,
        nr::SYMLINKAT => names::symlinkat(cx, args).await,
        nr::READLINK => names::readlink(cx, args).await,
        nr::READLINKAT => names::readlinkat(cx, args).await,
        nr::CHMOD => attributes::chmod(cx, args).await,
        nr::FCHMODAT => attributes::fchmodat(cx, args).await,
        nr::FCHMODAT2 => attributes::fchmodat2(cx, args).await,
        nr::CHOWN => attributes::chown(cx, args).await,
        nr::LCHOWN => attributes::lchown(cx, args).await,
        nr::FCHOWNAT => attributes::fchownat(cx, args).await,
        nr::UTIME => attributes::utime(cx, args).await,
        nr::UTIMES => attributes::utimes(cx, args).await,
        nr::FUTIMESAT => attributes::futimesat(cx, args).await,
        nr::UTIMENSAT => attributes::utimensat(cx, args).await,
        _ => return None,
    })
}
