//! A file made by hand, whole and broken.

use proptest::prelude::{ProptestConfig, any, prop_assert, proptest};

use super::{MAGICS, Table};

const TEXT: u64 = 0x40_1000;
/// Functions at 0, 0x40 and 0x60; the last ends at 0x80.
const STARTS: [u32; 4] = [0, 0x40, 0x60, 0x80];

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Section headers at 64, their names at 320, the table at 384.
fn file(entry: u64, start: u64) -> Vec<u8> {
    let mut file = vec![0; 512];
    put(&mut file, 0, b"\x7fELF\x02");
    put(&mut file, 24, &entry.to_le_bytes());
    put(&mut file, 40, &64_u64.to_le_bytes());
    put(&mut file, 58, &[64, 0, 4, 0, 3, 0]);
    put(&mut file, 320, b"\0.text\0.gopclntab\0.shstrtab\0");
    for (index, (name, address, offset, size)) in
        [(1_u32, TEXT, 0, 0x80_u64), (7, 0, 384, 128), (18, 0, 320, 64)].into_iter().enumerate()
    {
        let header = 128 + index * 64;
        put(&mut file, header, &name.to_le_bytes());
        for (at, value) in [(16, address), (24, offset), (32, size)] {
            put(&mut file, header + at, &value.to_le_bytes());
        }
    }
    put(&mut file, 384, &MAGICS[1].to_le_bytes());
    put(&mut file, 390, &[1, 8]);
    for (at, value) in [(8, 3), (24, start), (64, 72)] {
        put(&mut file, 384 + at, &u64::to_le_bytes(value));
    }
    for (row, start) in STARTS.iter().enumerate() {
        put(&mut file, 384 + 72 + row * 8, &start.to_le_bytes());
    }
    file
}

fn read(file: &[u8]) -> impl Fn(u64, &mut [u8]) -> usize {
    |at, out| {
        let tail = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
        let len = tail.len().min(out.len());
        out[..len].copy_from_slice(&tail[..len]);
        len
    }
}

#[test]
fn functions_reach_to_the_next_one() {
    for start in [0, TEXT] {
        let file = file(TEXT + 0x40, start);
        let table = Table::find(&read(&file)).expect("a table");
        let at = |address| table.function(&read(&file), TEXT + address);
        assert_eq!(at(0), Some(TEXT..TEXT + 0x40));
        assert_eq!(at(0x3f), Some(TEXT..TEXT + 0x40));
        assert_eq!(at(0x7f), Some(TEXT + 0x60..TEXT + 0x80));
        assert_eq!(at(0x80), None);
        assert_eq!(table.function(&read(&file), TEXT - 1), None);
    }
}

#[test]
fn a_table_that_disagrees_with_its_file_is_not_believed() {
    assert_eq!(Table::find(&read(&file(TEXT + 0x41, 0))), None, "the entry is no function");
    assert_eq!(
        Table::find(&read(&file(TEXT, TEXT - 0x40))),
        None,
        "text begins before its section"
    );
    let mut long = file(TEXT, 0);
    put(&mut long, 384 + 8, &[200]);
    assert_eq!(Table::find(&read(&long)), None, "more rows than the section holds");
    let mut old = file(TEXT, 0);
    put(&mut old, 384, &[0xFB]);
    assert_eq!(Table::find(&read(&old)), None, "another layout");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_file_gets_an_answer(
        changes in proptest::collection::vec((0_usize..504, any::<u64>()), 0..6),
        length in 0_usize..=512,
        address in any::<u64>(),
    ) {
        let mut file = file(TEXT, 0);
        for (at, value) in changes {
            put(&mut file, at, &value.to_le_bytes());
        }
        file.truncate(length);
        if let Some(table) = Table::find(&read(&file)) {
            let found = table.function(&read(&file), address);
            prop_assert!(found.is_none_or(|range| range.contains(&address)));
        }
    }
}
