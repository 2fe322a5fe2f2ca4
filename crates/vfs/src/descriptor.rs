//! The table of descriptors.
//!
//! Source: open(2), dup(2), fcntl(2), `close_range(2)`.

#[cfg(test)]
mod tests;

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::{Error, Result};
use platform::sync::Mutex;

use crate::object::{OpenFile, Status};

/// The most descriptors that a table can ever hold (`fs.nr_open`).
pub const MOST: u32 = 1 << 20;

/// What becomes of a descriptor at execve(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExec {
    /// It stays open.
    Keep,
    /// It is closed: `FD_CLOEXEC`.
    Close,
}

/// Open files by number.
pub struct Table {
    slots: Mutex<Slots>,
}

#[derive(Clone)]
enum Slot {
    Free,
    /// Promised to an open that is under way.
    Reserved,
    Open(Arc<OpenFile>, OnExec),
}

struct Slots {
    by_number: Vec<Slot>,
    /// No slot below is free.
    lowest: usize,
    /// `RLIMIT_NOFILE`: numbers from here on are refused.
    limit: usize,
}

/// A number that is kept free for an open that may still fail; given back when dropped.
pub struct Reservation<'a> {
    table: &'a Table,
    fd: u32,
}

impl Table {
    /// An empty table for numbers below `limit`.
    pub fn new(limit: u32) -> Self {
        Self {
            slots: Mutex::new(Slots {
                by_number: Vec::new(),
                lowest: 0,
                limit: limit.min(MOST) as usize,
            }),
        }
    }

    /// The open file that a descriptor names.
    ///
    /// # Errors
    /// EBADF.
    #[inline]
    pub fn get(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let slots = self.slots.lock();
        match usize::try_from(fd).ok().and_then(|fd| slots.by_number.get(fd)) {
            Some(Slot::Open(file, _)) => Ok(Arc::clone(file)),
            _ => Err(closed()),
        }
    }

    /// As [`Table::get`], but not what only names a file (`O_PATH`).
    ///
    /// # Errors
    /// EBADF.
    pub fn opened(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let file = self.get(fd)?;
        if file.status().contains(Status::PATH) {
            return Err(Errno::EBADF.because("the descriptor only names a file (O_PATH)"));
        }
        Ok(file)
    }

    /// Uses the open file that a descriptor names, under the table's lock: `with` must not wait, nor
    /// look at this table. `None`: it names none.
    #[inline]
    pub fn borrowed<T>(&self, fd: i32, with: impl FnOnce(&Arc<OpenFile>) -> T) -> Option<T> {
        let slots = self.slots.lock();
        match usize::try_from(fd).ok().and_then(|fd| slots.by_number.get(fd)) {
            Some(Slot::Open(file, _)) => Some(with(file)),
            _ => None,
        }
    }

    /// Gives `file` the lowest free number.
    ///
    /// # Errors
    /// EMFILE.
    pub fn add(&self, file: Arc<OpenFile>, on_exec: OnExec) -> Result<u32> {
        self.add_from(file, 0, on_exec)
    }

    /// Gives `file` the lowest free number from `from` on (`F_DUPFD`).
    ///
    /// # Errors
    /// EMFILE; EINVAL when `from` is not below the limit.
    pub fn add_from(&self, file: Arc<OpenFile>, from: u32, on_exec: OnExec) -> Result<u32> {
        let mut slots = self.slots.lock();
        if from != 0 && from as usize >= slots.limit {
            return Err(Errno::EINVAL.because("the lowest number wanted is beyond the limit"));
        }
        slots.take(from as usize, Slot::Open(file, on_exec))
    }

    /// Keeps the lowest free number free for an open that is under way.
    ///
    /// # Errors
    /// EMFILE.
    pub fn reserve(&self) -> Result<Reservation<'_>> {
        let fd = self.slots.lock().take(0, Slot::Reserved)?;
        Ok(Reservation { table: self, fd })
    }

    /// Makes `fd` name `file`; what it named before is returned, for the caller to drop (dup2).
    ///
    /// # Errors
    /// EBADF beyond the limit, EBUSY when an open is under way for that number.
    pub fn replace(
        &self,
        fd: i32,
        file: Arc<OpenFile>,
        on_exec: OnExec,
    ) -> Result<Option<Arc<OpenFile>>> {
        let mut slots = self.slots.lock();
        let Some(index) = usize::try_from(fd).ok().filter(|fd| *fd < slots.limit) else {
            return Err(Errno::EBADF.because("the number is beyond the limit"));
        };
        slots.reach(index);
        match &mut slots.by_number[index] {
            Slot::Reserved => Err(Errno::EBUSY.because("an open is under way for this number")),
            slot => match core::mem::replace(slot, Slot::Open(file, on_exec)) {
                Slot::Open(old, _) => Ok(Some(old)),
                Slot::Free | Slot::Reserved => Ok(None),
            },
        }
    }

    /// How many descriptors the table has room for before it grows, in Linux's steps: select(2) looks at
    /// no more.
    pub fn capacity(&self) -> usize {
        const FIRST: usize = 64;
        const STEP: usize = 128;
        match self.slots.lock().by_number.len() {
            0..=FIRST => FIRST,
            used => ((used - 1) / STEP + 1).next_power_of_two() * STEP,
        }
    }

    /// Takes a descriptor out; the caller drops the file, with no lock held.
    ///
    /// # Errors
    /// EBADF.
    pub fn remove(&self, fd: i32) -> Result<Arc<OpenFile>> {
        let mut slots = self.slots.lock();
        usize::try_from(fd).ok().and_then(|fd| slots.free(fd)).ok_or_else(closed)
    }

    /// What becomes of a descriptor at execve(2).
    ///
    /// # Errors
    /// EBADF.
    pub fn on_exec(&self, fd: i32) -> Result<OnExec> {
        let slots = self.slots.lock();
        match usize::try_from(fd).ok().and_then(|fd| slots.by_number.get(fd)) {
            Some(Slot::Open(_, on_exec)) => Ok(*on_exec),
            _ => Err(closed()),
        }
    }

    /// Sets what becomes of a descriptor at execve(2).
    ///
    /// # Errors
    /// EBADF.
    pub fn set_on_exec(&self, fd: i32, value: OnExec) -> Result<()> {
        let mut slots = self.slots.lock();
        match usize::try_from(fd).ok().and_then(|fd| slots.by_number.get_mut(fd)) {
            Some(Slot::Open(_, on_exec)) => {
                *on_exec = value;
                Ok(())
            }
            _ => Err(closed()),
        }
    }

    /// Takes out all descriptors of `first..=last`, for the caller to drop.
    pub fn remove_range(&self, first: u32, last: u32) -> Vec<Arc<OpenFile>> {
        let mut slots = self.slots.lock();
        let end = (last as usize).saturating_add(1).min(slots.by_number.len());
        (first as usize..end).filter_map(|fd| slots.free(fd)).collect()
    }

    /// Marks all descriptors of `first..=last` as closed at execve(2).
    pub fn close_range_on_exec(&self, first: u32, last: u32) {
        let mut slots = self.slots.lock();
        let end = (last as usize).saturating_add(1).min(slots.by_number.len());
        for slot in slots.by_number.get_mut(first as usize..end).unwrap_or_default() {
            if let Slot::Open(_, on_exec) = slot {
                *on_exec = OnExec::Close;
            }
        }
    }

    /// Takes out what execve(2) closes, for the caller to drop.
    pub fn remove_on_exec(&self) -> Vec<Arc<OpenFile>> {
        let mut slots = self.slots.lock();
        (0..slots.by_number.len())
            .filter(|fd| matches!(slots.by_number[*fd], Slot::Open(_, OnExec::Close)))
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|fd| slots.free(fd))
            .collect()
    }

    /// A table of its own with the same files, as fork(2) makes it.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        let slots = self.slots.lock();
        let copies: Vec<_> = slots
            .by_number
            .iter()
            .map(|slot| match slot {
                Slot::Reserved => Slot::Free,
                other => other.clone(),
            })
            .collect();
        let lowest = copies.iter().position(|slot| matches!(slot, Slot::Free));
        let lowest = lowest.unwrap_or(copies.len());
        Self { slots: Mutex::new(Slots { by_number: copies, lowest, limit: slots.limit }) }
    }

    /// Numbers and files that are open, in order.
    pub fn list(&self) -> Vec<(u32, Arc<OpenFile>)> {
        let slots = self.slots.lock();
        (0_u32..)
            .zip(&slots.by_number)
            .filter_map(|(fd, slot)| match slot {
                Slot::Open(file, _) => Some((fd, Arc::clone(file))),
                Slot::Free | Slot::Reserved => None,
            })
            .collect()
    }

    /// Sets `RLIMIT_NOFILE`; what is open beyond it stays open.
    pub fn set_limit(&self, limit: u64) {
        let limit = u32::try_from(limit).unwrap_or(MOST).min(MOST);
        self.slots.lock().limit = limit as usize;
    }
}

impl Slots {
    fn take(&mut self, from: usize, slot: Slot) -> Result<u32> {
        let start = from.max(self.lowest);
        let found = self.by_number.iter().skip(start).position(|slot| matches!(slot, Slot::Free));
        let fd = found.map_or(self.by_number.len().max(start), |index| start + index);
        if fd >= self.limit {
            return Err(Errno::EMFILE.because("the limit of open files is reached (RLIMIT_NOFILE)"));
        }
        self.reach(fd);
        self.by_number[fd] = slot;
        if start == self.lowest {
            self.lowest = fd + 1;
        }
        u32::try_from(fd)
            .map_err(|_| Errno::EMFILE.because("no descriptor is free (see RLIMIT_NOFILE)"))
    }

    fn reach(&mut self, fd: usize) {
        if fd >= self.by_number.len() {
            self.by_number.resize(fd + 1, Slot::Free);
        }
    }

    fn free(&mut self, fd: usize) -> Option<Arc<OpenFile>> {
        let slot = self.by_number.get_mut(fd)?;
        if !matches!(slot, Slot::Open(..)) {
            return None;
        }
        let Slot::Open(file, _) = core::mem::replace(slot, Slot::Free) else { return None };
        self.lowest = self.lowest.min(fd);
        Some(file)
    }
}

impl Reservation<'_> {
    /// The number.
    pub fn fd(&self) -> u32 {
        self.fd
    }

    /// Makes the number name `file`.
    pub fn fill(self, file: Arc<OpenFile>, on_exec: OnExec) -> u32 {
        let fd = self.fd;
        self.table.slots.lock().by_number[fd as usize] = Slot::Open(file, on_exec);
        fd
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut slots = self.table.slots.lock();
        let fd = self.fd as usize;
        if matches!(slots.by_number[fd], Slot::Reserved) {
            slots.by_number[fd] = Slot::Free;
            slots.lowest = slots.lowest.min(fd);
        }
    }
}

fn closed() -> Error {
    Errno::EBADF.because("the descriptor is not open")
}
