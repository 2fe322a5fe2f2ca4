//! mmap(2), munmap(2), mprotect(2), mremap(2), mseal(2), brk(2), pkeys(7).

use alloc::sync::Arc;

use abi::Errno;
use abi::errno::Result;
use abi::nr;
use storage::exposed;
use storage::pages::{Pages, Reach};
use vfs::device::{Device, Kind};
use vfs::mount::{Flags as MountFlags, Place};
use vfs::object::{OpenFile, Status};
use vfs::seal::Seal;
use vfs::secret::Secret;

use crate::arguments::Arguments;
use crate::context::Context;
use crate::memory::contents::{Described, Description};
use crate::memory::map::{FileSource, MapFlags, Request, Type};
use crate::memory::protect::prot_of;
use crate::memory::{Access, Prot, page_up};
use crate::syscalls::process::prctl::machine::check_write_exec;

/// Sizes of huge pages, as the logarithms that mmap(2) takes; 0 is the usual one.
const HUGE_SIZES: [u64; 3] = [0, 21, 30];

/// mmap(2), where no page has to be brought in.
pub(crate) fn mmap_at_once(cx: &Context<'_>, args: &Arguments) -> Option<Result<u64>> {
    let (_, flags) = Type::decode(args.raw(3));
    if must_carry(cx, nr::MMAP, args)
        || must_populate(flags)
        || cx.memory().locks_new_mappings_now()
    {
        return None;
    }
    Some(request(cx, args).and_then(|request| cx.memory().map(&request)))
}

/// Whether a call may unmap what was shared with a file of the host, which must then get what was changed
/// there: that takes time.
pub(crate) fn must_carry(cx: &Context<'_>, number: usize, args: &Arguments) -> bool {
    if !exposed::any() {
        return false;
    }
    let shares = |place: usize, len: usize| cx.memory().shares(args.address(place), args.raw(len));
    match number {
        nr::MUNMAP => shares(0, 1),
        nr::MREMAP => shares(0, 1) || shares(4, 2),
        _ => Type::decode(args.raw(3)).1.contains(MapFlags::FIXED) && shares(0, 1),
    }
}

/// After such a call. As on Linux, it does not fail for it.
pub(crate) async fn carried(result: Result<u64>) -> Result<u64> {
    let _ = exposed::write_back(Reach::Unmapped).await;
    result
}

/// mmap(2) with MAP_POPULATE or MAP_LOCKED, after mlockall(MCL_FUTURE), or over what may be the host's.
pub(crate) async fn mmap(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let request = request(cx, args)?;
    check_lock(cx, &request)?;
    let mapped = if must_carry(cx, nr::MMAP, args) {
        carried(cx.memory().map(&request)).await
    } else {
        cx.memory().map(&request)
    };
    let address = mapped?;
    if !must_populate(request.flags) && !cx.memory().locks_new_mappings_now() {
        return Ok(address);
    }
    let private = matches!(request.kind, Type::Private | Type::Droppable);
    let private_write = private && request.prot.contains(Prot::WRITE);
    let access = if private_write { Access::Write } else { Access::Read };
    if let Some(end) = page_up(request.len).and_then(|len| address.checked_add(len))
        && !request.prot.is_empty()
    {
        // As on Linux, what can't be brought in now is no error here.
        let _ = cx.memory().bring(address..end, access).await;
    }
    Ok(address)
}

/// Whether memory that is locked from the start may be had (`RLIMIT_MEMLOCK`).
fn check_lock(cx: &Context<'_>, request: &Request) -> Result<()> {
    let asked = request.flags.contains(MapFlags::LOCKED);
    if !asked && !cx.memory().locks_new_mappings_now() {
        return Ok(());
    }
    let limit = match super::advice::lock_limit(cx) {
        Err(error) if asked => return Err(error),
        limit => limit.unwrap_or(0),
    };
    let locked = cx.memory().statistics().locked;
    let len = page_up(request.len).unwrap_or(u64::MAX);
    if locked.saturating_add(len) > limit {
        return Err(Errno::EAGAIN.because("RLIMIT_MEMLOCK"));
    }
    Ok(())
}

fn must_populate(flags: MapFlags) -> bool {
    flags.contains(MapFlags::LOCKED)
        || flags.contains(MapFlags::POPULATE) && !flags.contains(MapFlags::NON_BLOCK)
}

/// Decodes the arguments, in Linux's order of checks.
fn request(cx: &Context<'_>, args: &Arguments) -> Result<Request> {
    check_write_exec(cx, args.raw(2), || true)?;
    let (kind, flags) = Type::decode(args.raw(3));
    let (len, offset) = (args.raw(1), args.raw(5));
    if !offset.is_multiple_of(abi::layout::PAGE) {
        return Err(Errno::EINVAL.because("the offset is not page-aligned"));
    }
    let huge = flags.contains(MapFlags::HUGE_TLB);
    let file = if flags.contains(MapFlags::ANONYMOUS) {
        if huge && !HUGE_SIZES.contains(&(args.raw(3) >> 26 & 0x3f)) {
            return Err(Errno::EINVAL.because("no processor has pages of this size"));
        }
        anonymous(cx, kind, flags, len)?
    } else {
        let open = cx.process.files.get(args.fd(4))?;
        if open.status().contains(Status::PATH) {
            return Err(Errno::EBADF.because("the descriptor only names a file"));
        }
        if huge {
            return Err(Errno::EINVAL.because("the file has no huge pages"));
        }
        check_seals(&open, kind, prot_of(args.raw(2)))?;
        source(cx, &open, kind, flags, len, offset)?
    };
    Ok(Request { address: args.address(0), len, prot: prot_of(args.raw(2)), kind, flags, file })
}

/// Zeros: private ones have no object, shared ones a new one.
fn anonymous(
    cx: &Context<'_>,
    kind: Type,
    flags: MapFlags,
    len: u64,
) -> Result<Option<FileSource>> {
    let Some(size) = page_up(len).filter(|size| kind == Type::Shared && *size > 0) else {
        return Ok(None);
    };
    if size > cx.memory().region().end {
        return Err(Errno::ENOMEM.because("longer than the user region"));
    }
    if !flags.contains(MapFlags::NO_RESERVE) {
        cx.memory().check_shared(size)?;
    }
    let pages = Pages::new();
    pages.truncate(size)?;
    Ok(Some(FileSource {
        pages: Some(pages),
        file: None,
        offset: 0,
        readable: true,
        writable: true,
        executable: true,
        secret: false,
    }))
}

fn source(
    cx: &Context<'_>,
    open: &Arc<OpenFile>,
    kind: Type,
    flags: MapFlags,
    len: u64,
    offset: u64,
) -> Result<Option<FileSource>> {
    if kind == Type::Droppable {
        return Err(Errno::EINVAL.because("MAP_DROPPABLE of a file"));
    }
    if open.downcast::<Device>().is_some_and(|device| device.kind() == Kind::Zero) {
        return anonymous(cx, kind, flags, len);
    }
    let secret = open.downcast::<Secret>().is_some();
    if secret {
        check_secret(cx, kind, len)?;
    }
    let executable =
        open.place().is_none_or(|place| !place.mount.flags().contains(MountFlags::NO_EXEC));
    let may_write = open.writable() && may_map_writable(open);
    let file: Arc<dyn Described> = if kind == Type::Shared && may_write {
        WritableMapping::of(open)
    } else {
        Arc::clone(open) as Arc<dyn Described>
    };
    let (pages, offset) = open.object().mapped_at(offset).unzip();
    Ok(Some(FileSource {
        pages,
        file: Some(file),
        offset: offset.unwrap_or(0),
        readable: open.readable(),
        writable: may_write,
        executable: executable && !secret,
        secret,
    }))
}

/// Secret memory is mapped as it is, and locked.
fn check_secret(cx: &Context<'_>, kind: Type, len: u64) -> Result<()> {
    if matches!(kind, Type::Private | Type::Unknown) {
        return Err(Errno::EINVAL.because("secret memory has no private copies"));
    }
    let limit = super::advice::lock_limit(cx).unwrap_or(0);
    let locked = cx.memory().statistics().locked;
    if locked.saturating_add(page_up(len).unwrap_or(u64::MAX)) > limit {
        return Err(Errno::EAGAIN.because("RLIMIT_MEMLOCK"));
    }
    Ok(())
}

/// Whether no seal forbids to change the file through a mapping.
fn may_map_writable(open: &OpenFile) -> bool {
    open.object()
        .seals()
        .is_none_or(|seals| !seals.get().intersects(Seal::WRITE | Seal::FUTURE_WRITE))
}

/// EPERM where a seal forbids a shared writable mapping.
fn check_seals(open: &OpenFile, kind: Type, prot: Prot) -> Result<()> {
    if kind == Type::Shared && prot.contains(Prot::WRITE) && !may_map_writable(open) {
        return Err(Errno::EPERM.because("the contents are sealed"));
    }
    Ok(())
}

/// The file of a shared mapping that may be written: it counts against sealing the contents.
struct WritableMapping(Arc<OpenFile>);

impl WritableMapping {
    fn of(open: &Arc<OpenFile>) -> Arc<dyn Described> {
        let Some(seals) = open.object().seals() else {
            return Arc::clone(open) as Arc<dyn Described>;
        };
        seals.mapped();
        Arc::new(Self(Arc::clone(open)))
    }
}

impl Described for WritableMapping {
    fn describe(&self) -> Description {
        self.0.describe()
    }

    fn place(&self) -> Option<Place> {
        Described::place(&*self.0)
    }
}

impl Drop for WritableMapping {
    fn drop(&mut self) {
        if let Some(seals) = self.0.object().seals() {
            seals.unmapped();
        }
    }
}

/// munmap(2).
pub(crate) fn munmap(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().unmap(args.address(0), args.raw(1)).map(|()| 0)
}

/// mprotect(2).
pub(crate) fn mprotect(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    let (address, len) = (args.address(0), args.raw(1));
    check_write_exec(cx, args.raw(2), || cx.memory().is_executable(address, len))?;
    cx.memory().protect(args.address(0), args.raw(1), args.raw(2)).map(|()| 0)
}

/// mseal(2).
pub(crate) fn mseal(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.raw(2) != 0 {
        return Err(Errno::EINVAL.because("mseal has no flags"));
    }
    cx.memory().seal(args.address(0), args.raw(1)).map(|()| 0)
}

/// brk(2): never fails, but gives where the break is then.
pub(crate) fn brk(cx: &Context<'_>, args: &Arguments) -> u64 {
    cx.memory().brk(args.address(0))
}

/// mremap(2).
pub(crate) fn mremap(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    cx.memory().remap(args.address(0), args.raw(1), args.raw(2), args.raw(3), args.address(4))
}

/// pkey_mprotect(2): without protection keys it is mprotect(2) with key -1, or EINVAL.
pub(crate) fn pkey_mprotect(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.int(3) != -1 {
        return Err(Errno::EINVAL.because("programs get no protection keys here"));
    }
    mprotect(cx, args)
}

/// pkey_alloc(2): as on a processor without protection keys.
pub(crate) fn pkey_alloc(args: &Arguments) -> Result<u64> {
    if args.raw(0) != 0 || args.raw(1) & !3 != 0 {
        return Err(Errno::EINVAL.because("pkey_alloc flags or rights"));
    }
    Err(Errno::ENOSPC.because("programs get no protection keys here"))
}

/// pkey_free(2).
pub(crate) fn pkey_free() -> Result<u64> {
    Err(Errno::EINVAL.because("no such protection key"))
}
