//! Random code: whatever is decided, no other instruction changes.

use super::world::{BASE, Program, World};
use crate::memory::interception::decide::{Rule, SYSCALL};
use crate::memory::interception::frames;
use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, Register,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};

fn decoded(bytes: &[u8]) -> Vec<Instruction> {
    Decoder::with_ip(64, bytes, BASE, DecoderOptions::NONE).into_iter().collect()
}

/// What may stand between a `mov` and its system call.
fn between() -> impl Strategy<Value = Vec<u8>> {
    let one = prop_oneof![
        Just(vec![0x31, 0xFF]),
        Just(vec![0x48, 0x8D, 0xB3, 0xF0, 0x08, 0, 0]),
        Just(vec![0x48, 0x89, 0xFE]),
        any::<u8>().prop_map(|nr| vec![0xBF, nr, 0, 0, 0]),
        any::<u8>().prop_map(|nr| vec![0x48, 0xBF, 0xB8, nr, 0, 0, 0, 0x31, 0xFF, 0x90]),
    ];
    proptest::collection::vec(one, 0..4).prop_map(|parts| parts.concat())
}

/// Pieces of code, the usual neighbours of system calls among them.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let number = any::<u8>().prop_map(|nr| vec![0xB8, nr, 0, 0, 0, 0x0F, 0x05]);
    let long = any::<u8>().prop_map(|nr| vec![0x48, 0xC7, 0xC0, nr, 0, 0, 0, 0x0F, 0x05]);
    prop_oneof![
        3 => number,
        1 => long,
        2 => Just(vec![0x0F, 0x05]),
        1 => Just(vec![0x48, 0xC7, 0xC0, 0x0F, 0, 0, 0, 0x0F, 0x05]),
        1 => Just(vec![0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]),
        1 => Just(vec![0x48, 0x3D, 0x01, 0xF0, 0xFF, 0xFF]),
        2 => (any::<u8>(), between()).prop_map(|(nr, between)| {
            [&[0xB8, nr, 0, 0, 0][..], &between, &[0x0F, 0x05, 0x48, 0x89, 0xC0]].concat()
        }),
        1 => between(),
        1 => Just(vec![0xC3]),
        1 => Just(vec![0x48, 0x89, 0xC7]),
        1 => Just(vec![0x8D]),
        2 => proptest::collection::vec(any::<u8>(), 1..8),
        1 => (5_usize..20).prop_map(|len| vec![0xCC; len]),
        1 => (5_usize..20).prop_map(|len| vec![0x90; len]),
        1 => Just(vec![0x66, 0x0F, 0x1F, 0x84, 0, 0, 0, 0, 0]),
        1 => any::<u8>().prop_map(|by| vec![0xEB, by]),
        1 => any::<u8>().prop_map(|by| vec![0x74, by]),
    ]
}

/// A rax that the system call can see which comes after `previous`: the likeliest to mislead, that in the
/// bytes `back` before it.
fn rax_before(previous: &[Instruction], before: &[u8], back: usize) -> u64 {
    let before_it = before.get(..before.len().saturating_sub(back)).unwrap_or_default();
    let looks_like = before_it.last_chunk::<4>().map_or(0, |last| u32::from_le_bytes(*last));
    let mut info = InstructionInfoFactory::new();
    let near = previous.iter().rev().take(if back == 0 { 1 } else { 32 });
    let touches_by_rax = near.into_iter().any(|instruction| {
        info.info(instruction).used_memory().iter().any(|memory| {
            [memory.base(), memory.index()].contains(&Register::RAX)
                || [memory.base(), memory.index()].contains(&Register::EAX)
        })
    });
    if touches_by_rax { 0x7000_0000_0000 } else { u64::from(looks_like) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn nothing_else_changes(
        pieces in proptest::collection::vec(piece(), 1..40),
        function_is_known in any::<bool>(),
        padding in prop_oneof![
            Just([0xC3, 0xCC].as_slice()), Just([0xC3, 0x90].as_slice()),
            Just([0xEB, 0xCC].as_slice()), Just([0x90, 0x90].as_slice()),
        ],
        room in 0_usize..16,
        crowded in any::<bool>(),
        back in prop_oneof![Just(0_usize), 0_usize..30],
    ) {
        let mut bytes = pieces.concat();
        if let Some(invalid) = decoded(&bytes).iter().find(|i| i.is_invalid()) {
            bytes.truncate(usize::try_from(invalid.ip() - BASE).unwrap()); // nothing runs beyond
        }
        // The function ends in what may be padding, and another one follows.
        bytes.push(padding[0]);
        bytes.resize(bytes.len() + room, padding[1]);
        let next = BASE + bytes.len() as u64;
        bytes.resize(bytes.len() + 32, 0x90);
        let before = decoded(&bytes);
        let starts = if function_is_known { vec![BASE, next] } else { Vec::new() };
        let program = Program { base: BASE, bytes, starts };
        let mut world = World::new(program);
        if crowded {
            // No windows for puns: all but the pool's own place is taken.
            let pool = (BASE & !4095) + (16 << 20);
            world.space.0.extend([0..pool, pool + (1 << 27) + 4096..u64::MAX]);
        }
        let mut patches = Vec::new();
        let syscalls = before.iter().enumerate().filter(|(_, i)| {
            i.code() == iced_x86::Code::Syscall && i.len() == 2
        });
        for (index, instruction) in syscalls {
            let text = world.original.slice(BASE..instruction.ip());
            let rax = rax_before(&before[..index], text, back);
            if let Some(patch) = world.trap(instruction.ip(), rax).patch() {
                patches.push((patch.clone(), rax));
            }
        }
        // Every patch works with all others in place.
        for (patch, rax) in &patches {
            let pun = patches.iter().any(|(other, _)| {
                other.rule != Rule::Mov && other.at == patch.site && patch.rule == Rule::Mov
            });
            assert!(!pun);
            let (number, back, _) = world.follow(patch.at);
            assert_eq!(back, patch.site + 2);
            if patch.rule == Rule::Mov {
                assert_eq!(number, *rax);
                let behind = patch.at + patch.old.len() as u64;
                let between = world.original.slice(behind..patch.site);
                assert_eq!(&patch.trampoline.code[5..5 + between.len()], between);
            }
        }
        // Every byte outside of the replaced instructions is what it was, so all that is
        // executed elsewhere still is.
        let replaced = |at: u64| {
            patches.iter().any(|(patch, _)| {
                (patch.at..patch.at + patch.old.len() as u64).contains(&at)
                    || patch.pad.is_some_and(|pad| pad.range().contains(&at))
            })
        };
        for (at, (now, then)) in
            (BASE..).zip(world.program.bytes.iter().zip(&world.original.bytes))
        {
            assert!(now == then || replaced(at));
        }
        // Nobody runs or jumps into a pad.
        let pads: Vec<_> = patches.iter().filter_map(|(patch, _)| patch.pad).collect();
        let in_pad = |at: u64| pads.iter().any(|pad| pad.range().contains(&at));
        for (instruction, behind) in before.iter().zip(&before[1..]) {
            let dead = in_pad(instruction.ip())
                || [Mnemonic::Int3, Mnemonic::Nop].contains(&instruction.mnemonic());
            let ends = instruction.next_ip() == behind.ip()
                && !matches!(instruction.flow_control(),
                    FlowControl::Return | FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch | FlowControl::Exception);
            assert!(dead || !ends || !in_pad(behind.ip()), "{instruction:?} runs into a pad");
            assert!(in_pad(instruction.ip()) || !in_pad(instruction.near_branch_target()));
        }
        // What is replaced are whole instructions of the program.
        for instruction in before.iter().filter(|instruction| {
            ![Mnemonic::Int3, Mnemonic::Nop].contains(&instruction.mnemonic())
        }) {
            let bytes = instruction.ip()..instruction.next_ip();
            let touched: Vec<_> = bytes.clone().filter(|at| replaced(*at)).collect();
            assert!(touched.is_empty() || touched.len() == instruction.len(), "{instruction:?}");
        }
        for patch in world.process.restore(&(BASE..BASE + 4096)) {
            world.program.write(&patch, true);
        }
        assert_eq!(world.program.bytes, world.original.bytes);
    }

    /// Whatever lies in memory, at whatever address: a decision, never a panic.
    #[test]
    fn any_bytes_get_an_answer(
        page in 16_u64..1 << 35,
        shift in 0_usize..4000,
        bytes in proptest::collection::vec(any::<u8>(), 0..40),
        behind in proptest::collection::vec(any::<u8>(), 0..20),
        rax in prop_oneof![any::<u64>(), 0_u64..1024],
        starts in any::<Option<u16>>(),
    ) {
        let base = page << 12;
        let mut all = vec![0x90; shift];
        all.extend_from_slice(&bytes);
        let site = base + all.len() as u64;
        all.extend_from_slice(&SYSCALL);
        all.extend_from_slice(&behind);
        let starts = starts.map(|start| base + u64::from(start)).into_iter().collect();
        let mut world = World::new(Program { base, bytes: all, starts });
        world.trap(site, rax);
        world.trap(site, rax);
    }

    #[test]
    fn any_frame_table_gets_an_answer(
        mut table in proptest::collection::vec(any::<u8>(), 12..200),
        usual in any::<bool>(),
        rows in 0_u8..30,
        at in any::<u64>(),
        address in any::<u64>(),
    ) {
        if usual {
            table[..4].copy_from_slice(&[1, 0x1B, 3, 0x3B]);
            table[8..12].copy_from_slice(&[rows, 0, 0, 0]);
        }
        let at = at.min(u64::MAX - 200);
        let end = at + table.len() as u64;
        let read = |from: u64, buffer: &mut [u8]| {
            let tail = from
                .checked_sub(at)
                .and_then(|from| table.get(usize::try_from(from).ok()?..))
                .unwrap_or_default();
            let len = tail.len().min(buffer.len());
            buffer[..len].copy_from_slice(&tail[..len]);
            len
        };
        for address in [address, at.saturating_add(address & 0xFFFF_FFFF)] {
            if let Some(start) = frames::function_start(&read, &(at..end), address) {
                assert!(start <= address);
            }
        }
        let mut file = b"\x7fELF\x02".to_vec();
        file.resize(54, 0);
        file[32] = 64;
        file.extend_from_slice(&[56, 0, rows, 0, 0, 0, 0, 0, 0, 0]);
        file.extend_from_slice(&table);
        frames::section(&file, address & 0xFFFF, at);
    }
}
