//! The object as readers of ELF files see it, its code decoded, and its functions run natively.

use iced_x86::{Decoder, DecoderOptions, FlowControl, Mnemonic, OpKind, Register};

use super::image::{gnu_hash_of, system_v_hash};
use super::{code, image};
use crate::memory::Prot;
use crate::process::elf::{Elf, Head, Role, Type};

const NAMES: [&str; 6] = [
    "__vdso_clock_gettime",
    "__vdso_gettimeofday",
    "__vdso_time",
    "__vdso_clock_getres",
    "__vdso_getcpu",
    "__kernel_rt_sigreturn",
];

fn long(bytes: &[u8], at: u64) -> u64 {
    let at = usize::try_from(at).expect("small");
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn word(bytes: &[u8], at: u64) -> u32 {
    let at = usize::try_from(at).expect("small");
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn text_at(bytes: &[u8], at: u64) -> &str {
    let from = usize::try_from(at).expect("small");
    let text = bytes[from..].split(|byte| *byte == 0).next().expect("one");
    core::str::from_utf8(text).expect("plain")
}

fn parsed() -> (Vec<u8>, Elf) {
    let bytes = image();
    let head = Head::read(&bytes, Role::Program).expect("a header");
    let table = usize::try_from(head.table).expect("small");
    let elf = Elf::read(head, &bytes[table..]).expect("program headers");
    (bytes, elf)
}

/// The value of an entry of the dynamic section.
fn dynamic(bytes: &[u8], elf: &Elf, wanted: u64) -> u64 {
    let section = elf.headers.iter().find(|header| header.kind == 2).expect("PT_DYNAMIC");
    (0..section.size / 16)
        .map(|index| section.offset + 16 * index)
        .find(|at| long(bytes, *at) == wanted)
        .map(|at| long(bytes, at + 8))
        .expect("the entry")
}

/// Address of a symbol, found by the System V table, and its length.
fn symbol(bytes: &[u8], elf: &Elf, name: &str) -> Option<(u64, u64)> {
    let (table, strings) = (dynamic(bytes, elf, 6), dynamic(bytes, elf, 5));
    let hash = dynamic(bytes, elf, 4);
    let buckets = u64::from(word(bytes, hash));
    let mut index = word(bytes, hash + 8 + 4 * (u64::from(system_v_hash(name.as_bytes())) % buckets));
    while index != 0 {
        let at = table + 24 * u64::from(index);
        if text_at(bytes, strings + u64::from(word(bytes, at))) == name {
            return Some((long(bytes, at + 8), long(bytes, at + 16)));
        }
        index = word(bytes, hash + 8 + 4 * (buckets + u64::from(index)));
    }
    None
}

#[test]
fn the_loader_would_take_it() {
    let (bytes, elf) = parsed();
    assert!(bytes.len() <= 4096);
    assert_eq!(elf.head.kind, Type::Relocatable);
    let plan = elf.plan(1 << 46).expect("a plan");
    assert_eq!(plan.span, 0..4096);
    assert_eq!(plan.segments.len(), 1);
    assert_eq!(plan.segments[0].prot, Prot::READ | Prot::EXEC);
    assert_eq!(elf.table_address(), 64);
}

#[test]
fn all_functions_are_found_by_both_tables() {
    let (bytes, elf) = parsed();
    for name in NAMES {
        let (at, len) = symbol(&bytes, &elf, name).expect("found");
        assert!(len > 0 && at + len <= bytes.len() as u64, "{name}");
    }
    assert_eq!(symbol(&bytes, &elf, "__vdso_nothing"), None);
    let table = dynamic(&bytes, &elf, 0x6FFF_FEF5);
    assert_eq!([word(&bytes, table), word(&bytes, table + 4), word(&bytes, table + 8)], [1, 1, 1]);
    let chain = table + 16 + 8 + 4;
    for (index, name) in NAMES.iter().enumerate() {
        let hash = word(&bytes, chain + 4 * index as u64);
        assert_eq!(hash | 1, gnu_hash_of(name.as_bytes()) | 1);
        assert_eq!(hash & 1 == 1, index == NAMES.len() - 1, "the last one ends the chain");
    }
}

#[test]
fn the_version_is_the_one_that_libraries_ask_for() {
    let (bytes, elf) = parsed();
    let strings = dynamic(&bytes, &elf, 5);
    let versions = dynamic(&bytes, &elf, 0x6FFF_FFF0);
    let second = dynamic(&bytes, &elf, 0x6FFF_FFFC) + 28;
    assert_eq!(word(&bytes, second) >> 16, 0, "no base definition");
    assert_eq!(word(&bytes, second + 4) & 0xFFFF, 2, "its index");
    assert_eq!(word(&bytes, second + 8), system_v_hash(b"LINUX_2.6"));
    assert_eq!(text_at(&bytes, strings + u64::from(word(&bytes, second + 20))), "LINUX_2.6");
    for index in 1..=NAMES.len() as u64 {
        assert_eq!(word(&bytes, versions + 2 * index) & 0xFFFF, 2);
    }
    let own = strings + dynamic(&bytes, &elf, 14);
    assert_eq!(text_at(&bytes, own), "linux-vdso.so.1");
}

#[test]
fn the_code_is_what_it_says() {
    let (bytes, elf) = parsed();
    for name in NAMES {
        let (at, len) = symbol(&bytes, &elf, name).expect("found");
        let from = usize::try_from(at).expect("small");
        let body = &bytes[from..from + usize::try_from(len).expect("small")];
        let base = 1 << 20;
        let mut decoder = Decoder::with_ip(64, body, base + at, DecoderOptions::NONE);
        let starts: Vec<u64> = decoder.iter().map(|instruction| instruction.ip()).collect();
        decoder.set_position(0).expect("the start");
        decoder.set_ip(base + at);
        for instruction in &mut decoder {
            assert!(!instruction.is_invalid(), "{name}: {:x}", instruction.ip());
            if instruction.is_ip_rel_memory_operand() {
                let data = instruction.ip_rel_memory_address();
                assert!((base - 4096..base - 4096 + 32).contains(&data), "{name}: {data:x}");
            } else if instruction.op_kinds().any(|kind| kind == OpKind::Memory) {
                assert!([Register::RDI, Register::RSI].contains(&instruction.memory_base()));
            }
            if instruction.flow_control() == FlowControl::ConditionalBranch {
                assert!(starts.contains(&instruction.near_branch_target()), "{name}");
            }
            let stack = [Mnemonic::Push, Mnemonic::Pop, Mnemonic::Call, Mnemonic::Leave];
            assert!(!stack.contains(&instruction.mnemonic()), "{name} touches the stack");
        }
        assert_eq!(decoder.position(), body.len(), "{name} ends with an instruction");
    }
}

#[test]
fn signals_return_by_the_known_bytes() {
    let (bytes, elf) = parsed();
    let (at, len) = symbol(&bytes, &elf, code::RETURN).expect("found");
    let at = usize::try_from(at).expect("small");
    assert_eq!(len, 9);
    assert_eq!(bytes[at..at + 9], crate::memory::interception::decide::RESTORER);
    assert_eq!(bytes[at - 1], 0x90, "an instruction before it, for unwinders");
}

#[test]
fn the_text_depends_on_its_place_in_displacements_only() {
    let (near, far) = (image::build(4096), image::build(1 << 20));
    assert_eq!(near.len(), far.len());
    assert_ne!(near, far);
}

/// Loads the object as a C library would, compares its clocks with the same arithmetic in C, and
/// unwinds out of a signal handler that returns through it. Needs a C compiler.
#[test]
#[cfg_attr(miri, ignore)]
fn it_runs_natively() {
    let directory = std::env::temp_dir().join(format!("adyton-vdso-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let [object, source, program] = ["vdso.so", "native.c", "native"].map(|name| directory.join(name));
    std::fs::write(&object, image()).expect("written");
    std::fs::write(&source, include_str!("tests/native.c")).expect("written");
    let compiled = std::process::Command::new("cc")
        .args(["-O1", "-g", "-Wall", "-o"])
        .args([&program, &source])
        .status();
    let compiled = compiled.expect("a C compiler (cc) is needed for this test");
    assert!(compiled.success());
    let output = std::process::Command::new(&program).arg(&object).output().expect("run");
    let _ = std::fs::remove_dir_all(&directory);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
