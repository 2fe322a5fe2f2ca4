//! Call frame information: how unwinders get out of the functions, and through a signal frame.

use alloc::vec::Vec;

use super::code::{Function, Text};

/// Pointers relative to where they stand, signed 4 bytes.
const RELATIVE: u8 = 0x1B;
/// Unsigned 4 bytes.
const COUNT: u8 = 0x03;
/// Relative to the section, signed 4 bytes.
const TO_SECTION: u8 = 0x3B;
/// `DW_CFA_def_cfa`, `DW_CFA_offset`, `DW_CFA_def_cfa_expression`, `DW_CFA_expression`.
const DEFINE: u8 = 0x0C;
const SAVED: u8 = 0x80;
const DEFINE_BY: u8 = 0x0F;
const SAVED_BY: u8 = 0x10;
/// `DW_OP_breg7`: rsp plus an offset; `DW_OP_deref`.
const STACK_POINTER: u8 = 0x77;
const LOAD: u8 = 0x06;
/// Numbers of rsp and of the return address.
const RSP: u8 = 7;
const RETURN: u8 = 16;
/// The data alignment factor, -8.
const FACTOR: u8 = 0x78;

/// Where the general registers lie above the restorer's stack pointer, which points to the ucontext, and
/// their numbers: r8 to r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip.
const SAVED_AT: u8 = 40;
const ORDER: [u8; 17] = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, RSP, RETURN];

/// `.eh_frame`, and where each function's entry begins in it.
pub(super) struct Section {
    pub(super) bytes: Vec<u8>,
    /// Start of a function and offset of its entry, in the order of addresses.
    rows: Vec<(usize, usize)>,
}

/// Builds `.eh_frame` for an image in which it begins at `base`.
pub(super) fn section(text: &Text, base: usize) -> Section {
    let mut section = Section { bytes: Vec::new(), rows: Vec::new() };
    // At each instruction the frame is what the call left: the return address, and nothing else.
    let rule = [DEFINE, RSP, 8, SAVED | RETURN, 1];
    let common = section.common(b"zR\0", &rule);
    for function in &text.functions {
        section.entry(base, common, function.start, function.len, &[]);
    }
    let common = section.common(b"zRS\0", &[]);
    let Function { start, len, .. } = text.restorer;
    section.entry(base, common, start - 1, len + 1, &through_signal_frame());
    section.bytes.extend_from_slice(&[0; 4]);
    section
}

/// Builds `.eh_frame_hdr`, which begins at `base`, for `.eh_frame` at `frames`.
pub(super) fn table(section: &Section, frames: usize, base: usize) -> Vec<u8> {
    let mut bytes = alloc::vec![1, RELATIVE, COUNT, TO_SECTION];
    bytes.extend_from_slice(&distance(frames, base + 4));
    bytes.extend_from_slice(&length(section.rows.len()));
    for (start, entry) in &section.rows {
        bytes.extend_from_slice(&distance(*start, base));
        bytes.extend_from_slice(&distance(frames + entry, base));
    }
    bytes
}

/// Bytes of `.eh_frame_hdr` for so many functions.
pub(super) const fn table_len(functions: usize) -> usize {
    12 + 8 * functions
}

/// The rules by which all registers are in the ucontext.
fn through_signal_frame() -> Vec<u8> {
    let at = |index: usize| SAVED_AT + 8 * u8::try_from(index).unwrap_or(0);
    let mut rules = alloc::vec![DEFINE_BY];
    let stack = ORDER.iter().position(|register| *register == RSP).unwrap_or(0);
    block(&mut rules, at(stack), &[LOAD]);
    for (index, register) in ORDER.into_iter().enumerate() {
        rules.extend_from_slice(&[SAVED_BY, register]);
        block(&mut rules, at(index), &[]);
    }
    rules
}

/// An expression: the stack pointer plus `offset`, and what is done with it.
fn block(rules: &mut Vec<u8>, offset: u8, then: &[u8]) {
    // As a signed LEB128, whose bytes carry 7 bits and whose last one's bit 6 is the sign.
    let offset =
        if offset < 0x40 { alloc::vec![offset] } else { alloc::vec![offset | 0x80, offset >> 7] };
    rules.push(u8::try_from(1 + offset.len() + then.len()).unwrap_or(0));
    rules.push(STACK_POINTER);
    rules.extend_from_slice(&offset);
    rules.extend_from_slice(then);
}

impl Section {
    /// Adds what entries have in common; gives its offset.
    fn common(&mut self, augmentation: &[u8], rules: &[u8]) -> usize {
        let mut body = alloc::vec![0, 0, 0, 0, 1];
        body.extend_from_slice(augmentation);
        body.extend_from_slice(&[1, FACTOR, RETURN, 1, RELATIVE]);
        body.extend_from_slice(rules);
        self.add(body)
    }

    /// Adds the entry of a function.
    fn entry(&mut self, base: usize, common: usize, start: usize, len: usize, rules: &[u8]) {
        let at = self.bytes.len();
        let mut body = Vec::new();
        body.extend_from_slice(&length(at + 4 - common));
        body.extend_from_slice(&distance(start, base + at + 8));
        body.extend_from_slice(&length(len));
        body.push(0);
        body.extend_from_slice(rules);
        self.add(body);
        self.rows.push((start, at));
    }

    /// Adds a record with its length, filled up with nops to a multiple of 8.
    fn add(&mut self, mut body: Vec<u8>) -> usize {
        let at = self.bytes.len();
        while !(body.len() + 4).is_multiple_of(8) {
            body.push(0);
        }
        self.bytes.extend_from_slice(&length(body.len()));
        self.bytes.extend_from_slice(&body);
        at
    }
}

fn length(len: usize) -> [u8; 4] {
    u32::try_from(len).unwrap_or(0).to_le_bytes()
}

fn distance(to: usize, from: usize) -> [u8; 4] {
    let offset = |at: usize| i32::try_from(at).unwrap_or(0);
    (offset(to) - offset(from)).to_le_bytes()
}
