//! The ELF file around the code.
//!
//! One segment that is read and executed, with the tables that dynamic linkers, unwinders and debuggers
//! look for: both hash tables, symbols with their version, call frame information, section headers.

use alloc::vec::Vec;

use super::code::{self, Function};
use super::frames;

/// Where the code begins; all tables but the section headers lie before it.
const TEXT: usize = 0x880;
const HEAD: usize = 64;
const PROGRAM_HEADER: usize = 56;
const SECTION_HEADER: usize = 64;
const SYMBOL: usize = 24;
/// Its name for dynamic linkers.
const NAME: &str = "linux-vdso.so.1";
/// The version of its symbols.
const VERSION: &str = "LINUX_2.6";

/// `st_info` of a global and of a weak function, and of a global object.
const GLOBAL_FUNCTION: u8 = 0x12;
const WEAK_FUNCTION: u8 = 0x22;
const GLOBAL_OBJECT: u8 = 0x11;
/// `st_shndx` of absolute symbols.
const ABSOLUTE: u16 = 0xFFF1;

/// Sections, by their indices.
#[derive(Clone, Copy)]
enum Index {
    Symbols = 3,
    Strings = 4,
    Text = 10,
    Names = 11,
}

/// A symbol.
struct Symbol {
    name: u32,
    info: u8,
    section: u16,
    value: usize,
    len: usize,
    text: Vec<u8>,
}

/// Strings, each with its NUL, and where they begin.
struct Strings(Vec<u8>);

impl Strings {
    fn new() -> Self {
        Self(alloc::vec![0])
    }

    fn add(&mut self, text: &[u8]) -> u32 {
        let at = u32::try_from(self.0.len()).unwrap_or(0);
        self.0.extend_from_slice(text);
        self.0.push(0);
        at
    }
}

/// A file that grows.
struct File {
    bytes: Vec<u8>,
    sections: Vec<Section>,
    names: Strings,
}

/// What a section header says.
struct Section {
    name: u32,
    kind: u32,
    flags: u64,
    address: usize,
    offset: usize,
    len: usize,
    link: u32,
    info: u32,
    align: usize,
    entry: usize,
}

/// `sh_flags`: in memory, and executable.
const ALLOC: u64 = 2;
const EXECUTE: u64 = 4;
const WRITE: u64 = 1;

/// The bytes of the vDSO: one page.
pub fn image() -> Vec<u8> {
    let text = code::assemble(TEXT);
    let mut strings = Strings::new();
    let soname = strings.add(NAME.as_bytes());
    let symbols = symbols(&text, &mut strings);
    let version = symbols.last().map_or(0, |symbol| symbol.name);
    let mut file = File::new();
    let hash =
        file.section(".hash", Kind::of(5, ALLOC, 8, 4).to(Index::Symbols), &sysv_hash(&symbols));
    let gnu = file.section(
        ".gnu.hash",
        Kind::of(0x6FFF_FFF6, ALLOC, 8, 0).to(Index::Symbols),
        &gnu_hash(&symbols),
    );
    let table = symbol_table(&symbols);
    let kind = Kind { info: 1, ..Kind::of(11, ALLOC, 8, SYMBOL).to(Index::Strings) };
    let symbol_table = file.section(".dynsym", kind, &table);
    let string_table = file.section(".dynstr", Kind::of(3, ALLOC, 1, 0), &strings.0);
    let kind = Kind::of(0x6FFF_FFFF, ALLOC, 2, 2).to(Index::Symbols);
    let versions = file.section(".gnu.version", kind, &versions(symbols.len()));
    let kind = Kind { info: 2, ..Kind::of(0x6FFF_FFFD, ALLOC, 8, 0).to(Index::Strings) };
    let definitions = file.section(".gnu.version_d", kind, &version_definitions(soname, version));
    let dynamic = dynamic(&[
        (14, soname as usize),
        (4, hash),
        (0x6FFF_FEF5, gnu),
        (5, string_table),
        (6, symbol_table),
        (10, strings.0.len()),
        (11, SYMBOL),
        (0x6FFF_FFF0, versions),
        (0x6FFF_FFFC, definitions),
        (0x6FFF_FFFD, 2),
        (0, 0),
    ]);
    let dynamic_len = dynamic.len();
    let dynamic =
        file.section(".dynamic", Kind::of(6, ALLOC | WRITE, 8, 16).to(Index::Strings), &dynamic);
    let functions = text.functions.len() + 1;
    let lookup = file.next(4);
    let frames_at = (lookup + frames::table_len(functions)).next_multiple_of(8);
    let section = frames::section(&text, frames_at);
    let table = frames::table(&section, frames_at, lookup);
    let table_len = table.len();
    file.section(".eh_frame_hdr", Kind::of(1, ALLOC, 4, 0), &table);
    file.section(".eh_frame", Kind::of(1, ALLOC, 8, 0), &section.bytes);
    debug_assert!(file.bytes.len() <= TEXT, "tables and code overlap");
    file.bytes.resize(TEXT, 0);
    file.section(".text", Kind::of(1, ALLOC | EXECUTE, 16, 0), &text.bytes);
    let loaded = file.bytes.len();
    let headers = file.section_headers();
    file.head(headers);
    file.program_headers(&[
        (1, 5, 0, loaded, 0x1000),
        (2, 4, dynamic, dynamic_len, 8),
        (0x6474_E550, 4, lookup, table_len, 4),
        (0x6474_E551, 6, 0, 0, 16),
    ]);
    file.bytes
}

/// Where the restorer begins in the image.
pub(super) fn restorer() -> usize {
    code::assemble(TEXT).restorer.start
}

/// The symbols behind the first, empty one: each function twice, the restorer, the version.
fn symbols(text: &code::Text, strings: &mut Strings) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    let mut function = |prefix: &str, info: u8, function: &Function| {
        let text = [prefix.as_bytes(), function.name.as_bytes()].concat();
        symbols.push(Symbol {
            name: strings.add(&text),
            info,
            section: Index::Text as u16,
            value: function.start,
            len: function.len,
            text,
        });
    };
    for each in &text.functions {
        function("__vdso_", GLOBAL_FUNCTION, each);
        function("", WEAK_FUNCTION, each);
    }
    function("__kernel_", GLOBAL_FUNCTION, &text.restorer);
    let text = VERSION.as_bytes().to_vec();
    let name = strings.add(&text);
    symbols.push(Symbol { name, info: GLOBAL_OBJECT, section: ABSOLUTE, value: 0, len: 0, text });
    symbols
}

fn symbol_table(symbols: &[Symbol]) -> Vec<u8> {
    let mut bytes = alloc::vec![0; SYMBOL];
    for symbol in symbols {
        bytes.extend_from_slice(&symbol.name.to_le_bytes());
        bytes.extend_from_slice(&[symbol.info, 0]);
        bytes.extend_from_slice(&symbol.section.to_le_bytes());
        bytes.extend_from_slice(&(symbol.value as u64).to_le_bytes());
        bytes.extend_from_slice(&(symbol.len as u64).to_le_bytes());
    }
    bytes
}

/// A table of one bucket, through whose chain all symbols are found.
fn sysv_hash(symbols: &[Symbol]) -> Vec<u8> {
    let count = u32::try_from(symbols.len()).unwrap_or(0);
    let chain = (1..=count).map(|index| if index == count { 0 } else { index + 1 });
    [1, count + 1, 1, 0].into_iter().chain(chain).flat_map(u32::to_le_bytes).collect()
}

/// The same in GNU's form, with a filter of one word.
fn gnu_hash(symbols: &[Symbol]) -> Vec<u8> {
    const SHIFT: u32 = 6;
    let hashes: Vec<u32> = symbols.iter().map(|symbol| gnu_hash_of(&symbol.text)).collect();
    let filter = hashes
        .iter()
        .fold(0_u64, |filter, hash| filter | 1 << (hash % 64) | 1 << ((hash >> SHIFT) % 64));
    let mut bytes: Vec<u8> = [1, 1, 1, SHIFT].into_iter().flat_map(u32::to_le_bytes).collect();
    bytes.extend_from_slice(&filter.to_le_bytes());
    bytes.extend_from_slice(&1_u32.to_le_bytes());
    for (index, hash) in hashes.iter().enumerate() {
        let last = u32::from(index + 1 == hashes.len());
        bytes.extend_from_slice(&(hash & !1 | last).to_le_bytes());
    }
    bytes
}

fn gnu_hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

fn sysv_hash_of(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, byte| {
        let hash = (hash << 4).wrapping_add(u32::from(*byte));
        let high = hash & 0xF000_0000;
        (hash ^ high >> 24) & !high
    })
}

/// All symbols but the empty one have version 2.
fn versions(symbols: usize) -> Vec<u8> {
    [0_u16].into_iter().chain(core::iter::repeat_n(2, symbols)).flat_map(u16::to_le_bytes).collect()
}

/// Version 1 is the file's name, version 2 Linux's.
fn version_definitions(soname: u32, version: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (flags, index, text, name, next) in
        [(1_u16, 1_u16, NAME, soname, 28_u32), (0, 2, VERSION, version, 0)]
    {
        for half in [1, flags, index, 1] {
            bytes.extend_from_slice(&half.to_le_bytes());
        }
        for word in [sysv_hash_of(text.as_bytes()), 20, next, name, 0] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

fn dynamic(entries: &[(u64, usize)]) -> Vec<u8> {
    entries
        .iter()
        .flat_map(|(tag, value)| [*tag, *value as u64])
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// What a section is.
#[derive(Clone, Copy)]
struct Kind {
    number: u32,
    flags: u64,
    align: usize,
    entry: usize,
    link: u32,
    info: u32,
}

impl Kind {
    const fn of(kind: u32, flags: u64, align: usize, entry: usize) -> Self {
        Self { number: kind, flags, align, entry, link: 0, info: 0 }
    }

    const fn to(self, section: Index) -> Self {
        Self { link: section as u32, ..self }
    }
}

impl File {
    /// Room for the header and four program headers.
    fn new() -> Self {
        Self {
            bytes: alloc::vec![0; HEAD + 4 * PROGRAM_HEADER],
            sections: Vec::new(),
            names: Strings::new(),
        }
    }

    /// Where the next section of such an alignment begins.
    fn next(&self, align: usize) -> usize {
        self.bytes.len().next_multiple_of(align)
    }

    /// Adds a section; gives its offset, which is its address.
    fn section(&mut self, name: &str, kind: Kind, contents: &[u8]) -> usize {
        let offset = self.next(kind.align);
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(contents);
        let name = self.names.add(name.as_bytes());
        self.sections.push(Section {
            name,
            kind: kind.number,
            flags: kind.flags,
            address: if kind.flags & ALLOC == 0 { 0 } else { offset },
            offset,
            len: contents.len(),
            link: kind.link,
            info: kind.info,
            align: kind.align,
            entry: kind.entry,
        });
        offset
    }

    /// Adds the names of sections and their headers; gives the headers' offset.
    fn section_headers(&mut self) -> usize {
        let own = self.names.add(b".shstrtab");
        let names = core::mem::replace(&mut self.names, Strings::new());
        self.section("", Kind::of(3, 0, 1, 0), &names.0);
        if let Some(section) = self.sections.last_mut() {
            section.name = own;
        }
        let offset = self.next(8);
        self.bytes.resize(offset + SECTION_HEADER, 0); // the first one is empty
        for section in &self.sections {
            let put = &mut self.bytes;
            put.extend_from_slice(&section.name.to_le_bytes());
            put.extend_from_slice(&section.kind.to_le_bytes());
            put.extend_from_slice(&section.flags.to_le_bytes());
            for word in [section.address, section.offset, section.len] {
                put.extend_from_slice(&(word as u64).to_le_bytes());
            }
            put.extend_from_slice(&section.link.to_le_bytes());
            put.extend_from_slice(&section.info.to_le_bytes());
            for word in [section.align, section.entry] {
                put.extend_from_slice(&(word as u64).to_le_bytes());
            }
        }
        offset
    }

    fn head(&mut self, section_headers: usize) {
        let sections = u16::try_from(self.sections.len() + 1).unwrap_or(0);
        let mut head = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        for half in [3_u16, 62] {
            head.extend_from_slice(&half.to_le_bytes()); // ET_DYN, EM_X86_64
        }
        head.extend_from_slice(&1_u32.to_le_bytes());
        for word in [0, HEAD as u64, section_headers as u64] {
            head.extend_from_slice(&word.to_le_bytes()); // no entry; program and section headers
        }
        head.extend_from_slice(&0_u32.to_le_bytes());
        let sizes =
            [HEAD, PROGRAM_HEADER, 4, SECTION_HEADER].map(|size| u16::try_from(size).unwrap_or(0));
        for half in sizes.into_iter().chain([sections, Index::Names as u16]) {
            head.extend_from_slice(&half.to_le_bytes());
        }
        self.bytes[..HEAD].copy_from_slice(&head);
    }

    /// Type, flags, offset (which is the address), length, alignment.
    fn program_headers(&mut self, headers: &[(u32, u32, usize, usize, u64); 4]) {
        let mut at = HEAD;
        for (kind, flags, offset, len, align) in headers {
            let mut header = Vec::new();
            header.extend_from_slice(&kind.to_le_bytes());
            header.extend_from_slice(&flags.to_le_bytes());
            let [offset, len] = [*offset as u64, *len as u64];
            for word in [offset, offset, offset, len, len, *align] {
                header.extend_from_slice(&word.to_le_bytes());
            }
            self.bytes[at..at + PROGRAM_HEADER].copy_from_slice(&header);
            at += PROGRAM_HEADER;
        }
    }
}
