//! Filters that run, filters that are refused, and whatever bytes there are.

use super::{Data, Instruction, LEN_MAX, Program};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

const RETURN_A: Instruction = Instruction::new(0x16, 0, 0, 0);
const RETURN: Instruction = Instruction::new(0x06, 0, 0, 7);

fn op(code: u16, k: u32) -> Instruction {
    Instruction::new(code, 0, 0, k)
}

fn data() -> Data {
    Data::new(39, 0x1122_3344_5566_7788, [1 << 40, 2, 3, 4, 5, u64::MAX])
}

fn run(program: &[Instruction]) -> u32 {
    Program::new(program).expect("a good filter").run(&data())
}

#[test]
fn data_lies_where_linux_has_it() {
    let rows = [(0, 39), (4, 0xc000_003e), (8, 0x5566_7788), (12, 0x1122_3344)];
    for (at, value) in rows.into_iter().chain([(16, 0), (20, 256), (24, 2), (60, u32::MAX)]) {
        assert_eq!(run(&[op(0x20, at), RETURN_A]), value, "at {at}");
    }
}

#[test]
fn arithmetic() {
    let rows = [
        (0x04, 5, 15),
        (0x14, 11, u32::MAX),
        (0x24, 3, 30),
        (0x34, 3, 3),
        (0x44, 5, 15),
        (0x54, 6, 2),
        (0xa4, 6, 12),
        (0x64, 31, 0),
        (0x74, 1, 5),
    ];
    for (code, k, result) in rows {
        assert_eq!(run(&[op(0x00, 10), op(code, k), RETURN_A]), result, "{code:#x} {k}");
        let by_x = [op(0x00, 10), op(0x01, k), op(code | 8, 0), RETURN_A];
        assert_eq!(run(&by_x), result, "{code:#x} by x, {k}");
    }
    assert_eq!(run(&[op(0x00, 10), op(0x84, 0), RETURN_A]), 10_u32.wrapping_neg());
    assert_eq!(run(&[op(0x00, 10), op(0x3c, 0), RETURN]), 0, "a division by zero");
    assert_eq!(run(&[op(0x80, 0), op(0x07, 0), op(0x00, 0), op(0x87, 0), RETURN_A]), 64);
}

#[test]
fn jumps_and_memory() {
    let branch = |code, k| {
        let test = Instruction::new(code, 0, 1, k);
        run(&[op(0x00, 10), test, op(0x06, 1), op(0x06, 2)]) == 1
    };
    assert!(branch(0x15, 10) && !branch(0x15, 11));
    assert!(branch(0x25, 9) && !branch(0x25, 10));
    assert!(branch(0x35, 10) && !branch(0x35, 11));
    assert!(branch(0x45, 2) && !branch(0x45, 5));
    assert_eq!(run(&[op(0x05, 1), op(0x06, 1), op(0x06, 2)]), 2);
    assert_eq!(run(&[op(0x00, 9), op(0x02, 15), op(0x61, 15), op(0x87, 0), RETURN_A]), 9);
}

#[test]
fn what_linux_refuses() {
    let long = alloc::vec![RETURN; LEN_MAX + 1];
    assert!(Program::new(&long[1..]).is_ok());
    let refused: [&[Instruction]; 16] = [
        &[],
        &long,
        &[op(0x00, 1)],
        &[op(0x20, 64), RETURN],
        &[op(0x20, 2), RETURN],
        &[op(0x28, 0), RETURN],
        &[op(0x94, 3), RETURN],
        &[op(0x34, 0), RETURN],
        &[op(0x64, 32), RETURN],
        &[op(0x02, 16), RETURN],
        &[op(0x60, 0), RETURN],
        &[op(0x05, 1), RETURN],
        &[op(0x05, u32::MAX), RETURN],
        &[Instruction::new(0x15, 0, 1, 0), RETURN],
        &[op(0x0e, 0), RETURN],
        // One of two ways writes the word.
        &[Instruction::new(0x15, 1, 0, 0), op(0x02, 3), op(0x60, 3), RETURN],
    ];
    for program in refused {
        assert!(Program::new(program).is_err(), "{program:?}");
    }
    let both = [Instruction::new(0x15, 2, 0, 0), op(0x02, 3), op(0x05, 1), op(0x02, 3)];
    let both = [&both[..], &[op(0x60, 3), RETURN]].concat();
    assert!(Program::new(&both).is_ok());
}

fn instruction() -> impl Strategy<Value = Instruction> {
    const CODES: [u16; 32] = [
        0x20, 0x80, 0x81, 0x00, 0x01, 0x60, 0x61, 0x02, 0x03, 0x84, 0x07, 0x87, 0x06, 0x16, 0x05,
        0x04, 0x0c, 0x1c, 0x24, 0x3c, 0x34, 0x64, 0x6c, 0x74, 0x7c, 0xa4, 0xac, 0x15, 0x1d, 0x25,
        0x35, 0x45,
    ];
    let code = proptest::prop_oneof![
        9 => proptest::sample::select(&CODES[..]),
        1 => any::<u16>(),
    ];
    let k = proptest::prop_oneof![0_u32..40, any::<u32>()];
    (code, 0_u8..4, 0_u8..4, k).prop_map(|(code, yes, no, k)| Instruction::new(code, yes, no, k))
}

proptest! {
    /// What the check lets through ends with a return, whatever the call.
    #[test]
    fn whatever_passes_ends(
        mut program in proptest::collection::vec(instruction(), 0..40),
        arguments in any::<[u64; 6]>(),
    ) {
        program.push(RETURN_A);
        if let Ok(checked) = Program::new(&program) {
            let data = Data::new(1, 2, arguments);
            prop_assert_eq!(checked.run(&data), checked.run(&data));
            prop_assert!(checked.len() == program.len());
        }
    }
}
