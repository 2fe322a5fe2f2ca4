//! A process's memory as the tests have it: some text, and nothing else unless said.

use core::ops::Range;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Register};

use crate::memory::interception::decide::{Decision, Rule, Text};
use crate::memory::interception::patch::{Patch, Store, Value, Width};
use crate::memory::interception::pool::Space;
use crate::memory::interception::trampoline::{FILL, Gate};
use crate::memory::interception::{Origin, Process};
use std::collections::BTreeMap;

pub(super) const GATE: Gate =
    Gate { entry: 0x3C00_1234_5678, foreign: 0x3C00_1234_9999, vcpus: 0x3C00_0000_0000 };
pub(super) const BASE: u64 = 0x2AAA_0000_0000;

/// Text at an address, with the functions that it is known to have.
#[derive(Clone)]
pub(super) struct Program {
    pub(super) base: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) starts: Vec<u64>,
}

impl Program {
    /// Text in the middle of which `bytes` lie, between runs of `nop`; the address of `bytes`.
    pub(super) fn padded(base: u64, bytes: &[u8]) -> (Self, u64) {
        let mut all = vec![0x90; 4096];
        all.extend_from_slice(bytes);
        all.extend_from_slice(&[0x90; 4096]);
        (Self { base, bytes: all, starts: Vec::new() }, base + 4096)
    }

    fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    pub(super) fn slice(&self, range: Range<u64>) -> &[u8] {
        let from = usize::try_from(range.start - self.base).unwrap();
        let to = usize::try_from(range.end - self.base).unwrap();
        &self.bytes[from..to]
    }

    pub(super) fn slice_mut(&mut self, range: Range<u64>) -> &mut [u8] {
        let from = usize::try_from(range.start - self.base).unwrap();
        let to = usize::try_from(range.end - self.base).unwrap();
        &mut self.bytes[from..to]
    }

    /// Writes a patch as the LibOS would.
    pub(super) fn write(&mut self, patch: &Patch, restore: bool) {
        if let Some(pad) = patch.pad {
            let (old, new) = if restore { (pad.new, pad.old) } else { (pad.old, pad.new) };
            let place = self.slice_mut(pad.range());
            assert_eq!(place, old);
            place.copy_from_slice(&new);
        }
        let store = patch.store;
        let (at, len) = match store {
            Store::One { at, width, .. } => (at, if width == Width::Two { 2 } else { 8 }),
            Store::Split => {
                let bytes = if restore { &patch.old } else { &patch.new };
                let range = patch.at..patch.at + bytes.len() as u64;
                self.slice_mut(range).copy_from_slice(bytes);
                return;
            }
        };
        assert_eq!(at / 64, (at + len - 1) / 64, "a store crosses a line");
        let place = self.slice_mut(at..at + len);
        let value = if restore { patch.restore_to(place) } else { patch.apply_to(place) }.unwrap();
        match value {
            Value::Two(bytes) => place.copy_from_slice(&bytes),
            Value::Eight(bytes) => place.copy_from_slice(&bytes),
        }
    }
}

impl Text for Program {
    fn function_start(&self, address: u64) -> Option<u64> {
        self.starts.iter().copied().filter(|start| *start <= address).max()
    }

    fn function(&self, address: u64) -> Option<Range<u64>> {
        let start = self.function_start(address)?;
        let next = self.starts.iter().copied().filter(|start| *start > address).min()?;
        Some(start..next)
    }

    fn read(&self, at: u64, buffer: &mut [u8]) -> usize {
        if at < self.base || at >= self.end() {
            return 0;
        }
        let tail = self.slice(at..self.end());
        let len = tail.len().min(buffer.len());
        buffer[..len].copy_from_slice(&tail[..len]);
        len
    }
}

/// An address space in which only some ranges are taken.
#[derive(Clone, Default)]
pub(super) struct Taken(pub(super) Vec<Range<u64>>);

impl Taken {
    pub(super) fn only(range: Range<u64>) -> Self {
        Self(core::iter::once(range).collect())
    }
}

impl Space for Taken {
    fn is_free(&self, page: u64) -> bool {
        (0x1_0000..0x3800_0000_0000).contains(&page)
            && !self.0.iter().any(|taken| taken.start < page + 4096 && page < taken.end)
    }

    fn find_free(&self, site: u64, range: Range<u64>) -> Option<u64> {
        let near = (site & !4095) + (16 << 20);
        (0..1024)
            .map(|step| near + (step << 17))
            .find(|page| range.contains(page) && self.is_free(*page))
    }
}

/// A process with one program, and all that it takes to run the protocol.
pub(super) struct World {
    pub(super) program: Program,
    pub(super) original: Program,
    pub(super) space: Taken,
    pub(super) process: Process,
    pub(super) pages: BTreeMap<u64, Vec<u8>>,
}

impl World {
    pub(super) fn new(program: Program) -> Self {
        let space = Taken::only(program.base..program.end());
        let original = program.clone();
        Self { program, original, space, process: Process::new(GATE), pages: BTreeMap::new() }
    }

    pub(super) fn around(bytes: &[u8]) -> (Self, u64) {
        let (program, at) = Program::padded(BASE, bytes);
        (Self::new(program), at)
    }

    /// A trap at `site`: decides and writes.
    pub(super) fn trap(&mut self, site: u64, rax: u64) -> Decision {
        if let Err(reason) = self.process.trapped(site) {
            return Decision::LeaveTrap(reason);
        }
        let decision = self.process.consider(site, rax, Some(&self.original), &self.space);
        if let Some(patch) = decision.patch() {
            self.apply(patch, Origin::Trap);
        }
        decision
    }

    pub(super) fn apply(&mut self, patch: &Patch, origin: Origin) {
        let trampoline = &patch.trampoline;
        let page = trampoline.page();
        if trampoline.fresh {
            let mut bytes = vec![FILL; 4096];
            let at = usize::try_from(trampoline.stub - page).unwrap();
            let stub = GATE.stub();
            bytes[at..at + stub.len()].copy_from_slice(&stub);
            assert!(self.pages.insert(page, bytes).is_none());
        }
        let bytes = self.pages.get_mut(&page).unwrap();
        let at = usize::try_from(trampoline.at - page).unwrap();
        let place = &mut bytes[at..at + trampoline.code.len()];
        assert!(place.iter().all(|byte| *byte == FILL), "a trampoline is overwritten");
        place.copy_from_slice(&trampoline.code);
        self.program.write(patch, false);
        assert!(self.process.commit(patch, origin));
    }

    /// What execution from `rip` does until it leaves for an absolute address: (rax, rcx, where).
    /// GS is taken to be ours.
    pub(super) fn follow(&self, mut rip: u64) -> (u64, u64, u64) {
        let (mut rax, mut rcx) = (u64::MAX, 0);
        for _ in 0..16 {
            let page = self.pages.get(&(rip & !4095));
            let bytes = match page {
                Some(page) => &page[usize::try_from(rip & 4095).unwrap()..],
                None => self.program.slice(rip..self.program.end()),
            };
            if page.is_some() && bytes.starts_with(&GATE.stub()) {
                // Its own test holds what is between here and the jump to the entry.
                return (rax, rcx, GATE.entry);
            }
            let instruction = Decoder::with_ip(64, bytes, rip, DecoderOptions::NONE).decode();
            rip = instruction.next_ip();
            let to = instruction.op0_register();
            match instruction.code() {
                Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => rip = instruction.near_branch64(),
                Code::Mov_r32_imm32 if to == Register::EAX => rax = instruction.immediate64(),
                Code::Lea_r64_m if instruction.is_ip_rel_memory_operand() => {
                    rcx = instruction.ip_rel_memory_address();
                }
                Code::Mov_r64_imm64 if to == Register::RCX => rcx = instruction.immediate64(),
                // A copy of the program's.
                _ if page.is_some() => {
                    assert_ne!(to.full_register(), Register::RAX);
                    assert_ne!(instruction.flow_control(), FlowControl::Exception);
                }
                other => panic!("{other:?} at {:#x}", instruction.ip()),
            }
        }
        panic!("does not end");
    }

    /// What must hold of every patch.
    pub(super) fn check(&self, patch: &Patch, rax: u64) {
        let site = patch.site;
        let (number, back, to) = self.follow(patch.at);
        assert_eq!((back, to), (site + 2, GATE.entry));
        assert_eq!(number, if patch.rule == Rule::Mov { rax } else { u64::MAX });
        let behind = site + 2..(site + 18).min(self.program.end());
        let mut now = self.program.slice(behind.clone()).to_vec();
        assert_eq!(now[..3], self.original.slice(behind.clone())[..3]);
        self.process.book().overlay(behind.start, &mut now);
        assert_eq!(now, self.original.slice(behind));
    }
}

/// The patch of a decision to rewrite by this rule.
pub(super) fn by(rule: Rule, decision: Decision) -> Patch {
    match decision {
        Decision::Rewrite(patch) if patch.rule == rule => patch,
        other => panic!("{other:?}"),
    }
}

/// Whether a decision is to rewrite by this rule.
pub(super) fn is_by(rule: Rule, decision: &Decision) -> bool {
    decision.patch().is_some_and(|patch| patch.rule == rule)
}
