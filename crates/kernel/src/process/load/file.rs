//! Files that are run: opened, read, and kept from being written meanwhile.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use storage::pages::Pages;
use vfs::credentials::Credentials;
use vfs::mount::Place;
use vfs::object::OpenFile;

/// A file that is to be run, or runs. While it lives, opening the file for writing is ETXTBSY.
pub struct Running {
    open: Arc<OpenFile>,
    denied: bool,
}

/// A running file and its contents.
#[derive(Clone)]
pub(crate) struct Executable {
    pub(crate) running: Arc<Running>,
    pub(crate) pages: Arc<Pages>,
}

impl Running {
    /// The open file.
    pub fn open(&self) -> &Arc<OpenFile> {
        &self.open
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(file) = self.open.downcast::<vfs::tree::File>().filter(|_| self.denied) {
            file.allow_writing();
        }
    }
}

impl Executable {
    /// Opens a file to run it.
    ///
    /// # Errors
    /// EACCES as execve(2) has it, ETXTBSY, ENOEXEC for what has no contents of its own, EIO.
    pub(crate) async fn open(place: &Place, who: &Credentials) -> Result<Self> {
        let open = vfs::opening::open_to_run(place.clone(), who).await?;
        let file = open.downcast::<vfs::tree::File>();
        let denied = file.map(vfs::tree::File::deny_writing).transpose()?.is_some();
        let pages = open.object().pages();
        let running = Arc::new(Running { open, denied });
        let pages = pages.ok_or(Errno::ENOEXEC.because("the file can't be mapped"))?;
        Ok(Self { running, pages })
    }

    /// Reads up to `len` bytes at `offset`; fewer at the end.
    ///
    /// # Errors
    /// EIO and the like.
    pub(crate) async fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = alloc::vec![0; len];
        let mut done = 0;
        while done < len {
            let at = offset.saturating_add(done as u64);
            match self.pages.read_bytes(at, &mut bytes[done..]) {
                Ok(0) => break,
                Ok(more) => done += more,
                Err(missing) => self.pages.fill(missing.offset, missing.len).await?,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    /// Reads exactly `len` bytes.
    ///
    /// # Errors
    /// EIO also when the file is shorter.
    pub(crate) async fn read_all(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let bytes = self.read(offset, len).await?;
        if bytes.len() < len {
            return Err(Errno::EIO.because("the file is shorter than its header says"));
        }
        Ok(bytes)
    }
}
