//! A process's memory as `/proc/PID/mem` opens it: whatever is mapped can be read, and written where a
//! private copy may be made or the area is writable anyhow.
//!
//! Source: proc(5), `/proc/pid/mem`.

use abi::Errno;
use abi::errno::Result;
use platform::user;

use super::area::{Area, Kind};
use super::populate::Access;
use super::space::{Space, State};
use super::text::Change;
use super::{PAGE, Prot, bytes, page_down};

impl Space {
    /// Reads from `at` on, whatever the areas admit; gives how many bytes are there.
    pub fn inspect(&self, at: u64, out: &mut [u8]) -> usize {
        let mut done = 0;
        while done < out.len() {
            let Some((address, len)) = piece(at, done, out.len()) else { break };
            let part = &mut out[done..done + len];
            if self.is_secret(address) {
                break;
            }
            if self.copy_in(address, part).is_err() && self.inspect_page(address, part).is_err() {
                break;
            }
            done += len;
        }
        done
    }

    /// Writes from `at` on; gives how many bytes were written.
    pub fn alter(&self, at: u64, bytes: &[u8]) -> usize {
        let mut done = 0;
        while done < bytes.len() {
            let Some((address, len)) = piece(at, done, bytes.len()) else { break };
            if self.alter_page(address, &bytes[done..done + len]).is_err() {
                break;
            }
            done += len;
        }
        done
    }

    fn inspect_page(&self, at: u64, out: &mut [u8]) -> Result<()> {
        let unreadable = Errno::EIO.because("nothing can be read there");
        self.populate_now(at, Access::Inspect).map_err(|_| unreadable)?;
        let state = self.state.lock();
        let (_, area) = visible(&state, at).ok_or(unreadable)?;
        let opened = area.prot.is_empty() && state.runs.at(at).is_some();
        if !opened {
            return Ok(self.copy_in(at, out)?);
        }
        let mapper = &self.environment.mapper;
        mapper.protect(page_down(at), PAGE, Prot::READ)?;
        let copied = self.copy_in(at, out);
        mapper.protect(page_down(at), PAGE, area.prot)?;
        Ok(copied?)
    }

    fn alter_page(&self, at: u64, bytes: &[u8]) -> Result<()> {
        let refused = Errno::EIO.because("nothing can be written there");
        let whole = self.area_at(at).ok_or(refused)?;
        if whole.prot.contains(Prot::WRITE) {
            while let Err(short) = user::copy_out(at, bytes) {
                self.populate_now(short.fault, Access::Write).map_err(|_| refused)?;
            }
            return Ok(());
        }
        self.populate_now(at, Access::Inspect).map_err(|_| refused)?;
        let mut state = self.state.lock();
        self.alter_private(&mut state, at, bytes)
    }

    /// Makes a private copy of a page that the program itself may not write, and changes that.
    fn alter_private(&self, state: &mut State, at: u64, bytes: &[u8]) -> Result<()> {
        let refused = Errno::EIO.because("a shared mapping without PROT_WRITE");
        let (start, area) = visible(state, at).ok_or(refused)?;
        let area = area.clone();
        if area.is_shared() || matches!(area.kind, Kind::Special(_)) {
            return Err(refused);
        }
        let page = page_down(at)..page_down(at) + PAGE;
        self.before_change(state, &page, Change::Writable);
        self.charge_as_writable(state, start, &area)?;
        // It stays executable meanwhile: others may be running there.
        let open = area.prot | Prot::READ | Prot::WRITE;
        let run = state.runs.within(&page).next().ok_or(refused)?;
        if matches!(area.kind, Kind::File(_)) && !run.held.is_private() {
            self.part(state, run, open)?;
        } else {
            self.environment.mapper.protect(page.start, PAGE, open)?;
        }
        let copied = user::copy_out(at, bytes);
        self.environment.mapper.protect(page.start, PAGE, area.prot)?;
        Ok(copied?)
    }

    /// Private copies are charged as if the area had become writable: for its whole length.
    fn charge_as_writable(&self, state: &mut State, start: u64, area: &Area) -> Result<()> {
        if !area.to_charge(area.prot | Prot::WRITE) {
            return Ok(());
        }
        let whole = start..area.end;
        self.charge(state, bytes(&whole))?;
        state.areas.edit(&whole, |_, area| area.flags |= super::area::Flags::CHARGED);
        Ok(())
    }

    fn is_secret(&self, at: u64) -> bool {
        let state = self.state.lock();
        let found = state.areas.find(at);
        found.is_some_and(|(_, area)| area.flags.contains(super::area::Flags::SECRET))
    }

    fn area_at(&self, at: u64) -> Option<Area> {
        visible(&self.state.lock(), at).map(|(_, area)| area.clone())
    }
}

fn visible(state: &State, at: u64) -> Option<(u64, &Area)> {
    let shown = |(_, area): &(u64, &Area)| {
        !area.is_hidden() && !area.flags.contains(super::area::Flags::SECRET)
    };
    state.areas.find(at).filter(shown)
}

/// The next piece of a transfer that lies within one page of the user region: its address and length.
fn piece(at: u64, done: usize, all: usize) -> Option<(u64, usize)> {
    let address = at.checked_add(done as u64)?;
    let to_page_end = usize::try_from(PAGE - address % PAGE).ok()?;
    let len = to_page_end.min(all - done);
    user::in_region(address, len).then_some((address, len))
}
