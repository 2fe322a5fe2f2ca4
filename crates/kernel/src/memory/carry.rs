//! What the host backs, taken along to another address.

use alloc::vec::Vec;
use core::ops::Range;

use abi::errno::Result;
use platform::user;

use super::runs::{Held, Run};
use super::space::{Space, State};
use super::{Prot, bytes};

impl Space {
    /// Moves what the host backs.
    pub(super) fn move_runs(
        &self,
        state: &mut State,
        from: &Range<u64>,
        to: u64,
        prot: Prot,
    ) -> Result<()> {
        let runs: Vec<Run> = state.runs.within(from).collect();
        let mut done: Vec<(Range<u64>, u64)> = Vec::new();
        for run in runs {
            let range = run.start..run.end;
            let target = to + (run.start - from.start);
            if let Err(error) = self.move_run(state, &run, target, prot) {
                for (back, from) in done.into_iter().rev() {
                    let moved: Vec<Run> = state.runs.within(&(from..from + bytes(&back))).collect();
                    for run in moved {
                        let _ = self.move_run(state, &run, back.start + (run.start - from), prot);
                    }
                }
                return Err(error);
            }
            done.push((range, target));
        }
        state.runs.move_guards(from, to);
        Ok(())
    }

    fn move_run(&self, state: &mut State, run: &Run, to: u64, prot: Prot) -> Result<()> {
        let mapper = &self.environment.mapper;
        let len = run.end - run.start;
        let mut held = run.held.clone();
        if !run.held.is_private() {
            let (backing, offset) = held.backing();
            let clean = matches!(held, Held::Frames { clean: true, .. });
            let host = if clean { prot - Prot::WRITE } else { prot };
            mapper.map(to, len, host, backing, offset)?;
            mapper.unmap(run.start, len)?;
        } else if mapper.relocate(run.start, to, len).is_err() {
            // What is one run to us may be several mappings to the host, which it can't move at once.
            self.copy_run(run, to, prot)?;
            held = Held::Anonymous;
        }
        state.runs.remove(&(run.start..run.end));
        state.runs.insert(to..to + len, held);
        Ok(())
    }

    /// Moves private memory by copying it.
    fn copy_run(&self, run: &Run, to: u64, prot: Prot) -> Result<()> {
        let mapper = &self.environment.mapper;
        let (backing, offset) = Held::Anonymous.backing();
        let len = run.end - run.start;
        mapper.map(to, len, Prot::READ | Prot::WRITE, backing, offset)?;
        if prot.is_empty() || !prot.contains(Prot::READ) {
            mapper.protect(run.start, len, prot | Prot::READ)?;
        }
        let mut buffer = alloc::vec![0; 64 << 10];
        let mut at = 0;
        while at < len {
            let part = usize::try_from(len - at).unwrap_or(usize::MAX).min(buffer.len());
            let bytes = buffer.get_mut(..part).unwrap_or_default();
            user::copy_in(run.start + at, bytes)?;
            user::copy_out(to + at, bytes)?;
            at += part as u64;
        }
        mapper.protect(to, len, prot)?;
        mapper.unmap(run.start, len)
    }
}
