//! The reader against files that are right, wrong and random.

use abi::Errno;
use proptest::prelude::{any, prop, proptest};

use super::{Elf, HEAD, Head, Plan, Role, Stack, Type, fuzz, name};
use crate::memory::Prot;

const LIMIT: u64 = 1 << 46;

/// A program header as a file has it.
#[derive(Clone, Copy)]
struct Row {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    file_size: u64,
    size: u64,
    align: u64,
}

const TEXT: Row = Row {
    kind: 1,
    flags: 5,
    offset: 0,
    address: 0x40_0000,
    file_size: 0x1000,
    size: 0x1000,
    align: 0x1000,
};

/// A file with these program headers, of a type, and otherwise right.
fn file(kind: u16, rows: &[Row]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD];
    bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(16, &kind.to_le_bytes());
    put(18, &62_u16.to_le_bytes());
    put(20, &1_u32.to_le_bytes());
    put(24, &0x40_0100_u64.to_le_bytes());
    put(32, &64_u64.to_le_bytes());
    put(52, &64_u16.to_le_bytes());
    put(54, &56_u16.to_le_bytes());
    put(56, &u16::try_from(rows.len()).expect("few").to_le_bytes());
    for row in rows {
        bytes.extend(row.kind.to_le_bytes());
        bytes.extend(row.flags.to_le_bytes());
        let words = [row.offset, row.address, row.address, row.file_size, row.size, row.align];
        bytes.extend(words.into_iter().flat_map(u64::to_le_bytes));
    }
    bytes
}

fn read_as(bytes: &[u8], role: Role) -> Result<Elf, Errno> {
    let head = Head::read(bytes, role).map_err(|error| error.errno)?;
    let from = usize::try_from(head.table).unwrap_or(usize::MAX);
    Elf::read(head, bytes.get(from..).unwrap_or_default()).map_err(|error| error.errno)
}

fn read(bytes: &[u8]) -> Result<Elf, Errno> {
    read_as(bytes, Role::Program)
}

fn plan(kind: u16, rows: &[Row]) -> Result<Plan, Errno> {
    read(&file(kind, rows))?.plan(LIMIT).map_err(|error| error.errno)
}

#[test]
fn a_plain_program() {
    let data = Row {
        flags: 6,
        offset: 0x1E10,
        address: 0x40_3E10,
        file_size: 0x220,
        size: 0x5000,
        ..TEXT
    };
    let elf = read(&file(2, &[TEXT, data])).expect("good");
    assert_eq!((elf.head.kind, elf.head.entry, elf.head.count), (Type::Fixed, 0x40_0100, 2));
    assert_eq!(elf.table_address(), 0x40_0040);
    assert_eq!((elf.stack(), elf.interpreter()), (None, Ok(None)));
    let plan = elf.plan(LIMIT).expect("good");
    assert_eq!((plan.span, plan.end, plan.align), (0x40_0000..0x40_9000, 0x40_8E10, 0x1000));
    let data = plan.segments[1];
    assert_eq!(data.prot, Prot::READ | Prot::WRITE);
    assert_eq!((data.file_range(), data.file_offset()), (0x40_3000..0x40_5000, 0x1000));
    assert_eq!((data.tail(), data.zero_range()), (0x40_4030..0x40_5000, 0x40_5000..0x40_9000));
}

#[test]
fn heads_that_linux_refuses() {
    let good = file(2, &[TEXT]);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let wrong = [
        with(0, 0),           // magic
        with(18, 3),          // for the i386
        with(16, 1),          // an object file
        with(16, 4),          // a core
        with(54, 64),         // program headers of another size
        with(56, 0),          // none
        with(39, 0x80),       // far beyond the end
        good[..63].to_vec(),  // cut
        good[..100].to_vec(), // cut amid the program headers
        b"\x7fELF".to_vec(),
        Vec::new(),
    ];
    for (index, bytes) in wrong.iter().enumerate() {
        assert_eq!(read(bytes), Err(Errno::ENOEXEC), "case {index}");
    }
    // An interpreter of these is a corrupt library, but one of a wrong type only can't be mapped.
    for (index, bytes) in wrong.iter().enumerate() {
        let found = read_as(bytes, Role::Interpreter);
        if [2, 3].contains(&index) {
            let plan = found.expect("only its type is wrong").plan(LIMIT);
            assert_eq!(plan.map_err(|error| error.errno), Err(Errno::EINVAL), "case {index}");
        } else {
            assert_eq!(found, Err(Errno::ELIBBAD), "case {index}");
        }
    }
}

#[test]
fn heads_that_linux_takes() {
    for (at, byte) in [(4, 1), (5, 2), (6, 0), (20, 0), (52, 0), (7, 9)] {
        let mut bytes = file(2, &[TEXT]);
        bytes[at] = byte;
        assert!(read(&bytes).is_ok(), "byte {at}");
    }
    let nothing = Row { kind: 0, ..TEXT };
    assert!(read(&file(2, &vec![nothing; 1170])).is_ok());
    assert_eq!(read(&file(2, &vec![nothing; 1171])), Err(Errno::ENOEXEC));
}

#[test]
fn segments_that_can_not_be() {
    let cases = [
        Row { size: 0x800, ..TEXT },      // shorter in memory than in the file
        Row { size: 1 << 62, ..TEXT },    // beyond the region
        Row { address: 1 << 62, ..TEXT }, // there from the start
        Row { address: u64::MAX - 0xFFF, ..TEXT }, // to the end of all addresses
        Row { size: u64::MAX, file_size: u64::MAX, ..TEXT },
        Row { offset: 0x10, ..TEXT }, // an offset that does not fit the address
        Row { address: 0x40_0010, ..TEXT },
        Row { offset: u64::MAX - 0xFFF, ..TEXT },
    ];
    for (index, row) in cases.into_iter().enumerate() {
        assert_eq!(plan(2, &[row]), Err(Errno::EINVAL), "case {index}");
        assert_eq!(plan(3, &[row]), Err(Errno::EINVAL), "case {index}");
    }
    let last = Row { address: LIMIT - 0x800, offset: 0x800, file_size: 0x800, size: 0x800, ..TEXT };
    assert_eq!(plan(2, &[last]).map(|plan| plan.span.end), Ok(LIMIT));
    let nothing = Row { kind: 0, ..TEXT };
    assert_eq!(plan(3, &[nothing]), Err(Errno::EINVAL));
    assert!(plan(2, &[nothing]).is_ok_and(|plan| plan.span.is_empty()));
    assert!(plan(2, &[Row { size: 0, file_size: 0, ..TEXT }, TEXT]).is_ok());
}

#[test]
fn alignments() {
    let aligned = |align| plan(3, &[Row { align, ..TEXT }]).map(|plan| plan.align);
    assert_eq!(aligned(0), Ok(0x1000));
    assert_eq!(aligned(3), Ok(0x1000));
    assert_eq!(aligned(1 << 21), Ok(1 << 21));
    assert_eq!(aligned(LIMIT / 16), Ok(LIMIT / 16));
    assert_eq!(aligned(1 << 62), Ok(0x1000));
}

#[test]
fn interpreters() {
    let asks_at = |offset, file_size| {
        let row = Row { kind: 3, offset, file_size, ..TEXT };
        read(&file(2, &[row, TEXT])).expect("good").interpreter().map_err(|error| error.errno)
    };
    let asks = |file_size| asks_at(0x200, file_size);
    let last = 1 << 63;
    assert_eq!(asks_at(last - 29, 28), Ok(Some((last - 29, 28))));
    for wrong in [last - 28, last - 1, last, u64::MAX] {
        assert_eq!(asks_at(wrong, 28), Err(Errno::EINVAL));
    }
    assert_eq!(asks(28), Ok(Some((0x200, 28))));
    assert_eq!(asks(4096), Ok(Some((0x200, 4096))));
    for wrong in [0, 1, 4097, u64::MAX] {
        assert_eq!(asks(wrong), Err(Errno::ENOEXEC));
    }
    assert_eq!(name(b"/lib/ld.so\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(name(b"/lib/ld.so\0junk\0"), Ok(&b"/lib/ld.so"[..]));
    assert_eq!(name(b"\0\0"), Ok(&b""[..]));
    assert!(name(b"/lib/ld.so").is_err() && name(b"").is_err());
}

#[test]
fn stacks() {
    let stack = |flags| Row { kind: 0x6474_E551, flags, ..TEXT };
    let of = |rows: &[Row]| read(&file(2, rows)).expect("good").stack();
    assert_eq!(of(&[TEXT, stack(6)]), Some(Stack::Data));
    assert_eq!(of(&[TEXT, stack(7)]), Some(Stack::Executable));
    assert_eq!(of(&[TEXT, stack(6), stack(7)]), Some(Stack::Executable));
}

#[test]
fn this_very_program() {
    let path = std::env::current_exe().expect("a path");
    let bytes = std::fs::read(path).expect("readable");
    let elf = read(&bytes).expect("it runs");
    let plan = elf.plan(LIMIT).expect("it runs");
    assert!(plan.segments.len() >= 2 && plan.end > 0);
    assert!(elf.interpreter().is_ok_and(|found| found.is_some()));
    fuzz(&bytes);
}

/// Values at which sums go wrong.
fn edges() -> impl prop::strategy::Strategy<Value = u64> {
    prop::sample::select(vec![
        0,
        1,
        0xFFF,
        0x1000,
        0x1001,
        0x40_0000,
        LIMIT - 1,
        LIMIT,
        LIMIT + 1,
        1 << 62,
        1 << 63,
        u64::MAX - 0x1000,
        u64::MAX - 0xFFF,
        u64::MAX - 1,
        u64::MAX,
    ])
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzz(&bytes);
        let mut bytes = bytes;
        if bytes.len() >= HEAD {
            let good = file(3, &[TEXT]);
            bytes[..24].copy_from_slice(&good[..24]);
            bytes[54..56].copy_from_slice(&good[54..56]);
            fuzz(&bytes);
        }
    }

    #[test]
    fn mutations_never_panic(
        kind in 2_u16..4,
        changes in prop::collection::vec((0_usize..HEAD + 3 * 56, any::<u8>()), 0..6),
        len in 0_usize..400,
    ) {
        let data = Row { flags: 6, offset: 0x1E10, address: 0x40_3E10, file_size: 0x220, size: 0x5000, ..TEXT };
        let interpreter = Row { kind: 3, offset: 0x100, file_size: 28, ..TEXT };
        let mut bytes = file(kind, &[interpreter, TEXT, data]);
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        bytes.truncate(len);
        fuzz(&bytes);
    }

    #[test]
    fn sums_at_the_edges_never_panic(
        kind in 2_u16..4,
        words in prop::collection::vec((edges(), edges(), edges(), edges(), edges()), 1..4),
        table in edges(),
    ) {
        let rows: Vec<Row> = words
            .into_iter()
            .map(|(offset, address, file_size, size, align)| Row {
                kind: 1, flags: 7, offset, address, file_size, size, align,
            })
            .collect();
        let mut bytes = file(kind, &rows);
        fuzz(&bytes);
        bytes[32..40].copy_from_slice(&table.to_le_bytes());
        fuzz(&bytes);
    }
}
