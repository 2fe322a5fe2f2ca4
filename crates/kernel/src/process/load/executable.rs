//! A file that is to be run, or to interpret one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use storage::pages::Pages;
use vfs::credentials::Credentials;
use vfs::mount::Place;
use vfs::object::Object;
use vfs::tree::File;

use super::script::LINE;
use crate::process::elf::{self, Elf, Head, Role};

/// Keeps a file from being opened for writing while it runs.
pub struct Running {
    place: Place,
}

impl Running {
    /// # Errors
    /// ETXTBSY when somebody has it open for writing.
    fn new(place: &Place) -> Result<Arc<Self>> {
        if let Some(file) = file(place) {
            file.deny_writing()?;
        }
        Ok(Arc::new(Self { place: place.clone() }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(file) = file(&self.place) {
            file.allow_writing();
        }
    }
}

fn file(place: &Place) -> Option<&File> {
    place.node().as_any().downcast_ref()
}

/// A file that may be run, and its first bytes.
pub struct Executable {
    pub(super) place: Place,
    pub(super) pages: Arc<Pages>,
    /// As many as a `#!` line may have; zeros behind the file's end.
    pub(super) head: [u8; LINE],
    pub(super) running: Arc<Running>,
}

impl Executable {
    /// Checks that `who` may run what is at `place`, and looks at its first bytes.
    ///
    /// # Errors
    /// EACCES, ETXTBSY, ENOEXEC for files that can't be mapped, EIO.
    pub async fn open(place: &Place, who: &Credentials) -> Result<Self> {
        vfs::opening::check_runnable(place, who)?;
        let running = Running::new(place)?;
        let pages = Object::pages(place.node().as_ref())
            .ok_or(Errno::ENOEXEC.because("this kind of file can't be mapped"))?;
        let mut head = [0; LINE];
        read(&pages, 0, &mut head).await?;
        Ok(Self { place: place.clone(), pages, head, running })
    }
}

/// A file and what its headers say.
pub(super) struct Image {
    pub(super) file: Executable,
    pub(super) elf: Elf,
}

impl Image {
    /// Reads the headers.
    ///
    /// # Errors
    /// ENOEXEC or ELIBBAD as `role` says, EIO.
    pub(super) async fn read(file: Executable, role: Role) -> Result<Self> {
        let head = Head::read(&file.head, role)?;
        let mut table = alloc::vec![0; head.table_len()];
        let len = read(&file.pages, head.table, &mut table).await?;
        let elf = Elf::read(head, &table[..len])?;
        Ok(Self { file, elf })
    }

    /// The path of the interpreter that it asks for.
    ///
    /// # Errors
    /// ENOEXEC when it is no path, EIO when it lies beyond the file's end.
    pub(super) async fn interpreter(&self) -> Result<Option<Vec<u8>>> {
        let Some((offset, len)) = self.elf.interpreter()? else { return Ok(None) };
        let mut bytes = alloc::vec![0; len];
        if read(&self.file.pages, offset, &mut bytes).await? < len {
            return Err(Errno::EIO.because("the interpreter's name lies beyond the file's end"));
        }
        Ok(Some(elf::name(&bytes)?.to_vec()))
    }
}

/// Reads what there is from `offset` on; gives the number of bytes.
async fn read(pages: &Pages, offset: u64, out: &mut [u8]) -> Result<usize> {
    let mut done = 0;
    while done < out.len() {
        match pages.read_bytes(offset.saturating_add(done as u64), &mut out[done..]) {
            Ok(0) => break,
            Ok(len) => done += len,
            Err(missing) => pages.fill(missing.offset, missing.len).await?,
        }
    }
    Ok(done)
}
