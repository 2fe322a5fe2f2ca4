//! The image is what linkers, unwinders and processors expect.

mod native;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Mnemonic, OpKind};

use super::{PAGE, code, field, image};
use crate::memory::Prot;
use crate::process::elf::{Elf, HEAD, Head, Role, Type};

fn elf(image: &[u8]) -> Elf {
    let head = Head::read(&image[..HEAD], Role::Program).expect("a good header");
    let from = usize::try_from(head.table).expect("small");
    Elf::read(head, &image[from..]).expect("good program headers")
}

#[test]
fn our_own_reader_takes_it() {
    let image = image();
    let elf = elf(&image);
    assert_eq!(elf.head.kind, Type::Relocatable);
    let plan = elf.plan(1 << 40).expect("it can be laid out");
    assert_eq!(plan.span, 0..PAGE);
    assert_eq!(plan.segments.len(), 1);
    assert_eq!(plan.segments[0].prot, Prot::READ | Prot::EXEC);
    assert!(image.len() as u64 <= PAGE, "{} bytes", image.len());
}

#[test]
fn every_byte_of_code_is_an_instruction_that_is_meant() {
    let image = image();
    let text = code::assemble(0x880);
    for function in text.functions.iter().chain([&text.restorer]) {
        let bytes = &image[function.start..function.start + function.len];
        let mut decoder = Decoder::with_ip(64, bytes, function.start as u64, DecoderOptions::NONE);
        let mut starts = vec![];
        let mut targets = vec![];
        let mut before = Mnemonic::INVALID;
        while decoder.can_decode() {
            let instruction = decoder.decode();
            assert_ne!(
                instruction.code(),
                Code::INVALID,
                "{} at {:#x}",
                function.name,
                instruction.ip()
            );
            starts.push(instruction.ip());
            if instruction.flow_control() == FlowControl::ConditionalBranch {
                targets.push(instruction.near_branch_target());
            }
            if instruction.mnemonic() == Mnemonic::Syscall {
                assert_eq!(before, Mnemonic::Mov, "the number stands before the call");
            }
            let memory =
                (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
            if memory && instruction.is_ip_rel_memory_operand() {
                let at = instruction.ip_rel_memory_address().wrapping_add(PAGE);
                assert!(
                    at <= u64::from(field::COUNT.unsigned_abs()) && at.is_multiple_of(8),
                    "{at:#x}"
                );
            }
            before = instruction.mnemonic();
        }
        assert!(targets.iter().all(|target| starts.contains(target)), "{}", function.name);
    }
}

#[test]
fn interception_finds_the_functions() {
    use crate::memory::interception::frames;
    let image = image();
    let at = 0x7000_0000_0000_u64;
    let read = |from: u64, out: &mut [u8]| {
        let start = usize::try_from(from - at).expect("in the image");
        out.copy_from_slice(&image[start..start + out.len()]);
        out.len()
    };
    let section = frames::section(&image, 0, at).expect("a table");
    let text = code::assemble(0x880);
    for function in &text.functions {
        for inside in [function.start, function.start + function.len - 1] {
            let start = frames::function_start(&read, &section, at + inside as u64);
            assert_eq!(start, Some(at + function.start as u64), "{}", function.name);
        }
    }
    let restorer = frames::function_start(&read, &section, at + text.restorer.start as u64);
    assert_eq!(restorer, Some(at + text.restorer.start as u64 - 1));
}

proptest::proptest! {
    #[test]
    fn the_inverses_divide(ns in proptest::prelude::any::<u64>(), rest in 0..1_000_000_000_u64) {
        let high = u128::from(ns >> 9) * 0x0044_B82F_A09B_5A53_u128;
        assert_eq!(u64::try_from(high >> 75).expect("small"), ns / 1_000_000_000);
        assert_eq!((rest * 274_877_907) >> 38, rest / 1000);
    }
}
