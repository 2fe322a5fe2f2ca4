//! Hand-made sites: each rule, and each thing that it must refuse.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction};

use super::world::{BASE, GATE, Program, World, by, is_by};
use crate::memory::interception::Origin;
use crate::memory::interception::decide::{Decision, RESTORER, Reason, Rule};
use crate::memory::interception::patch::Company::{Alone, OldOrNew, Unsynchronised};
use crate::memory::interception::patch::{Call, Place, Store, Width};
use crate::memory::interception::pool::Round;

/// `mov $39,%eax; syscall; cmp $-4096,%rax`.
const GETPPID: [u8; 13] = [0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF];

fn refused(decision: &Decision) -> Reason {
    match decision {
        Decision::LeaveTrap(reason) => *reason,
        Decision::Rewrite(patch) => panic!("{patch:?}"),
    }
}

#[test]
fn the_short_mov() {
    let (mut world, at) = World::around(&GETPPID);
    let patch = by(Rule::Mov, world.trap(at + 5, 39));
    assert_eq!(patch.at, at);
    assert_eq!(patch.new[0], 0xE9);
    assert_eq!(world.program.slice(at + 5..at + 7), [0x0F, 0x05], "the system call stays");
    world.check(&patch, 39);
    assert_eq!(patch.trampoline.range().end - patch.trampoline.at, 17);
    let call = Place::Call(Call { number: Some(39), back: at + 7 });
    for inside in patch.trampoline.range() {
        assert_eq!(world.process.place_at(inside, 1, 2), Some(call));
    }
    let stub = patch.trampoline.stub;
    assert_eq!(
        world.process.place_at(stub, 1, 2),
        Some(Place::Call(Call { number: None, back: 1 }))
    );
    assert_eq!(
        world.process.place_at(stub + 3, 1, 2),
        Some(Place::Call(Call { number: None, back: 2 }))
    );
    for elsewhere in [at, at + 5, at + 7, patch.trampoline.range().end] {
        assert_eq!(world.process.place_at(elsewhere, 1, 2), None);
    }
}

#[test]
fn the_long_mov_is_filled_up_with_a_nop() {
    let (mut world, at) = World::around(&[
        0x48, 0xC7, 0xC0, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 1, 0xF0, 0xFF, 0xFF,
    ]);
    let patch = by(Rule::Mov, world.trap(at + 7, 39));
    assert_eq!(patch.at, at);
    assert_eq!(patch.new[5..], [0x66, 0x90]);
    world.check(&patch, 39);
}

#[test]
fn a_system_call_alone_becomes_a_pun() {
    let (mut world, at) =
        World::around(&[0x89, 0xF8, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]);
    let patch = by(Rule::Pun, world.trap(at + 2, 39));
    assert_eq!(patch.old[..], [0x0F, 0x05]);
    assert_eq!(patch.new[0], 0xE9);
    let distance = patch.trampoline.at - (at + 2 + 5);
    assert_eq!(distance >> 8, 0x3D48, "4.0 MB away, as the compare behind it says");
    world.check(&patch, 39);
}

#[test]
fn prefixes_in_front_of_the_system_call() {
    let (mut world, at) = World::around(&[0x66, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]);
    assert_eq!(refused(&world.trap(at + 1, 39)), Reason::Prefixed);
    // REX.W: no meaning to the system call, nor to the jump.
    let (mut world, at) =
        World::around(&[0xB8, 39, 0, 0, 0, 0x48, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]);
    let patch = by(Rule::Pun, world.trap(at + 6, 39));
    world.check(&patch, 39);
}

#[test]
fn a_pun_needs_its_window() {
    let bytes = [0x89, 0xF8, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF];
    let (mut world, at) = World::around(&bytes);
    world.space.0.push(at..at + (16 << 20));
    assert_eq!(refused(&world.trap(at + 2, 39)), Reason::NoWindow);
    assert_eq!(world.process.book().unpatched_sites(), 1);
    // Below zero, or in the first 64 KiB: ET_EXEC with a window that reaches back.
    let (program, at) = Program::padded(0x40_0000, &[0x0F, 0x05, 0xC3, 0xCC, 0xCC, 0xCC]);
    let mut world = World::new(program);
    assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow);
    let far = [0x0F, 0x05, 0x00, 0x00, 0x00];
    let (mut world, at) = World::around(&far);
    assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow, "its own page");
}

#[test]
fn the_far_end_of_reach_takes_a_movabs() {
    let (mut world, at) = World::around(&[0x0F, 0x05, 0xFF, 0xFF, 0x7F]);
    let patch = by(Rule::Pun, world.trap(at, 39));
    assert_eq!(patch.trampoline.code.len(), 12, "the window's start is just in reach of lea");
    world.check(&patch, 39);
    let last = at + 5 + 0x7FFF_FFFF;
    let code = crate::memory::interception::trampoline::for_pun(last, at + 2, last - 100).unwrap();
    assert_eq!(code[..2], [0x48, 0xB9]);
    assert_eq!(code[2..10], (at + 2).to_le_bytes());
    assert_eq!(code[10..], [0xE9, 0x8D, 0xFF, 0xFF, 0xFF]);
}

#[test]
fn bytes_that_only_look_like_the_mov() {
    // mov $39,%r8d
    let (mut world, at) =
        World::around(&[0x41, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    let patch = by(Rule::Pun, world.trap(at + 6, 39));
    world.check(&patch, 39);
    // lea 39(%rax),%edi
    let (mut world, at) =
        World::around(&[0x8D, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 6, 39)));
    // nopl 39(%rax): has a memory operand and touches none
    let (mut world, at) =
        World::around(&[0x0F, 0x1F, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 7, 39)));
    // movabs whose immediate ends so
    let (mut world, at) =
        World::around(&[0x48, 0xBB, 1, 2, 3, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 10, 39)));
    // mov 39(%r8),%edi
    let (mut world, at) =
        World::around(&[0x41, 0x8B, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 7, 39)));
    // mov %fs:39(%rax),%edi
    let (mut world, at) =
        World::around(&[0x64, 0x8B, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 7, 39)));
    // cmpxchg %edi,39(%rax): it changes rax itself
    let (mut world, at) =
        World::around(&[0x0F, 0xB1, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 7, 39)));
}

#[test]
fn an_access_below_64k_cannot_have_run() {
    // The byte before is 8B: together a load from 39(%rax), which with rax = 39 would have faulted.
    let (mut world, at) =
        World::around(&[0x8B, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Mov, &world.trap(at + 6, 39)));
}

#[test]
fn the_function_decides_what_bytes_leave_open() {
    // push $imm with 8D as its last byte, then the mov: as bytes the same as an lea's end.
    let bytes = [0x68, 1, 2, 3, 0x8D, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0];
    let (mut world, at) = World::around(&bytes);
    assert!(is_by(Rule::Pun, &world.trap(at + 10, 39)), "nothing known of functions");
    let (mut program, at) = Program::padded(BASE, &bytes);
    program.starts.push(at);
    assert!(is_by(Rule::Mov, &World::new(program).trap(at + 10, 39)));
    let (mut program, at) = Program::padded(BASE, &bytes);
    program.starts.push(at - 700);
    assert!(is_by(Rule::Mov, &World::new(program).trap(at + 10, 39)), "in pieces");
    // And an lea that is one.
    let bytes = [0x68, 1, 2, 3, 4, 0x8D, 0xB8, 39, 0, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0];
    let (mut program, at) = Program::padded(BASE, &bytes);
    program.starts.push(at);
    assert!(is_by(Rule::Pun, &World::new(program).trap(at + 11, 39)));
}

#[test]
fn rax_must_be_what_the_mov_loads() {
    let (mut world, at) = World::around(&GETPPID);
    assert!(is_by(Rule::Pun, &world.trap(at + 5, 40)));
    let (mut world, at) = World::around(&GETPPID);
    assert!(is_by(Rule::Pun, &world.trap(at + 5, 0x1_0000_0027)));
    let (mut world, at) = World::around(&[0xB8, 0, 4, 0, 0, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    assert!(is_by(Rule::Pun, &world.trap(at + 5, 1024)), "no number that large");
}

#[test]
fn the_restorer_is_never_touched() {
    let mut bytes = RESTORER.to_vec();
    bytes.extend_from_slice(&[0x0F, 0x1F, 0x80, 0, 0, 0, 0]);
    let (mut world, at) = World::around(&bytes);
    assert_eq!(refused(&world.trap(at + 7, 15)), Reason::Restorer);
    for rule in [Rule::Mov, Rule::Pun] {
        let decision = world.process.consider_learned(at + 7, rule, &world.original, &world.space);
        assert_eq!(refused(&decision), Reason::Restorer);
    }
}

#[test]
fn adjacent_system_calls_share_no_byte() {
    // musl: syscall; mov $60,%eax; syscall
    let bytes = [0x0F, 0x05, 0xB8, 60, 0, 0, 0, 0x0F, 0x05, 0xEB, 0xF7, 0x90, 0x90];
    let (mut world, at) = World::around(&bytes);
    let first = by(Rule::Pun, world.trap(at, 231));
    let second = by(Rule::Pun, world.trap(at + 7, 60));
    world.check(&first, 231);
    world.check(&second, 60);
    let (mut world, at) = World::around(&bytes);
    let second = by(Rule::Mov, world.trap(at + 7, 60));
    assert_eq!(refused(&world.trap(at, 231)), Reason::Claimed);
    world.check(&second, 60);
    // Two bare ones.
    let bytes = [0x0F, 0x05, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF];
    let (mut world, at) = World::around(&bytes);
    let _ = by(Rule::Pun, world.trap(at + 2, 39));
    assert_eq!(refused(&world.trap(at, 39)), Reason::Claimed);
}

#[test]
fn a_jump_to_the_system_call_gets_a_pun_of_its_own() {
    let (mut world, at) = World::around(&GETPPID);
    let mov = by(Rule::Mov, world.trap(at + 5, 39));
    assert_eq!(refused(&world.trap(at + 5, 39)), Reason::Late);
    assert_eq!(refused(&world.trap(at + 5, 1)), Reason::Late);
    let pun = by(Rule::Pun, world.trap(at + 5, 1));
    world.check(&mov, 39);
    world.check(&pun, 1);
    assert_eq!(refused(&world.trap(at + 5, 1)), Reason::Late, "and then it is done");
    assert_eq!(world.process.book().counters().mov, 1);
    assert_eq!(world.process.book().counters().pun, 1);
    // Undone, all is as it was.
    let undone = world.process.restore(&(at..at + 1));
    assert_eq!(undone.len(), 1);
    let undone: Vec<_> =
        undone.into_iter().chain(world.process.restore(&(at + 8..at + 9))).collect();
    assert_eq!(undone.len(), 2, "the pun depends on the byte behind");
    for patch in &undone {
        world.program.write(patch, true);
    }
    assert_eq!(world.program.bytes, world.original.bytes);
    assert!(world.process.book().restore_in(&(0..u64::MAX)).is_empty());
    let mut pages: Vec<_> = undone.iter().map(|patch| patch.trampoline.page()).collect();
    pages.sort_unstable();
    assert!(world.process.reclaim(Round(0)).is_empty(), "not before a full round");
    let mut freed = world.process.reclaim(Round(1));
    freed.sort_unstable();
    assert_eq!(freed, pages);
    assert_eq!(world.process.place_at(mov.trampoline.at, 0, 0), None);
}

#[test]
fn a_late_trap_at_a_rewritten_site_changes_nothing() {
    let pun = [0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF];
    for (code, behind, rule) in [(&GETPPID[..], 5, Rule::Mov), (&pun[..], 0, Rule::Pun)] {
        let (mut world, at) = World::around(code);
        let patch = by(rule, world.trap(at + behind, 39));
        let (bytes, before) = (world.program.bytes.clone(), world.process.book().counters());
        // From vCPUs that had fetched the old bytes: the call is made, by way of the trap.
        for _ in 0..2 {
            assert_eq!(refused(&world.trap(at + behind, 39)), Reason::Late);
        }
        let after = world.process.book().counters();
        assert_eq!(world.program.bytes, bytes);
        assert_eq!((after.applied, after.restored), (before.applied, before.restored));
        world.check(&patch, 39);
    }
}

#[test]
fn a_mapping_over_a_window_restores_its_sites() {
    let (mut world, at) = World::around(&[0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]);
    let patch = by(Rule::Pun, world.trap(at, 39));
    let page = patch.trampoline.page();
    assert!(!world.process.book().restore_in(&(page + 4000..page + 4096)).is_empty());
    let restored = world.process.restore(&(page..page + 4096));
    assert_eq!(restored, [patch]);
    world.process.hand_over(page..page + 4096);
    assert_eq!(world.process.place_at(page, 0, 0), None);
}

#[test]
fn a_refused_site_is_looked_at_again_when_a_page_may_be_free() {
    let (mut world, at) = World::around(&[0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF]);
    world.space.0.push(0..u64::MAX);
    assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow);
    world.space.0.pop();
    for _ in 0..63 {
        assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow);
    }
    assert!(is_by(Rule::Pun, &world.trap(at, 39)));
    assert_eq!(world.process.book().unpatched_sites(), 0);
}

#[test]
fn readers_see_the_programs_own_bytes() {
    let (mut world, at) = World::around(&GETPPID);
    world.trap(at + 5, 39);
    for _ in 0..3 {
        world.trap(at + 5, 39);
    }
    assert_eq!(world.process.book().counters().pun, 1);
    for start in at - 3..at + 9 {
        for end in start..at + 12 {
            let mut read = world.program.slice(start..end).to_vec();
            world.process.book().overlay(start, &mut read);
            assert_eq!(read, world.original.slice(start..end));
        }
    }
}

#[test]
fn learned_sites_need_the_bytes_of_their_rule() {
    let (mut world, at) = World::around(&GETPPID);
    let decision = world.process.consider_learned(at + 5, Rule::Mov, &world.original, &world.space);
    let patch = by(Rule::Mov, decision);
    world.apply(&patch, Origin::Learned);
    world.check(&patch, 39);
    assert_eq!(world.process.book().counters().learned, 1);
    let (world, at) = World::around(&[0x89, 0xF8, 0x0F, 0x05, 0x48, 0x3D, 0, 0xF0]);
    let mut process = world.process;
    let decision = process.consider_learned(at + 2, Rule::Mov, &world.original, &world.space);
    assert_eq!(refused(&decision), Reason::Mismatch);
    let decision = process.consider_learned(at + 3, Rule::Pun, &world.original, &world.space);
    assert_eq!(refused(&decision), Reason::NotSyscall);
}

#[test]
fn text_that_ends() {
    let mut bytes = vec![0x90; 4096 - 2];
    bytes.extend_from_slice(&[0x0F, 0x05]);
    let mut world = World::new(Program { base: BASE, bytes, starts: Vec::new() });
    assert_eq!(refused(&world.trap(BASE + 4094, 39)), Reason::NoBytesBehind);
    let mut bytes = GETPPID.to_vec();
    bytes.resize(4096, 0x90);
    let mut world = World::new(Program { base: BASE, bytes, starts: Vec::new() });
    let patch = by(Rule::Mov, world.trap(BASE + 5, 39));
    world.check(&patch, 39);
    let mut world = World::new(Program { base: BASE, bytes: vec![0x0F], starts: Vec::new() });
    assert_eq!(refused(&world.trap(BASE, 39)), Reason::NotSyscall);
    assert_eq!(world.process.trapped(BASE), Err(Reason::NotSyscall), "remembered");
    assert_eq!(
        refused(&world.process.consider(BASE + 1, 39, None, &world.space)),
        Reason::Unsuitable
    );
}

#[test]
fn one_store_within_a_line() {
    let eight = |at, within_eight| Store::One { at, width: Width::Eight, within_eight };
    let two = |at, within_eight| Store::One { at, width: Width::Two, within_eight };
    assert_eq!(Store::new(0x1000, 5), eight(0x1000, true));
    assert_eq!(Store::new(0x1003, 5), eight(0x1000, true));
    assert_eq!(Store::new(0x1004, 5), eight(0x1004, false));
    assert_eq!(Store::new(0x103B, 5), eight(0x1038, true));
    assert_eq!(Store::new(0x1036, 5), eight(0x1036, false));
    assert_eq!(Store::new(0x1037, 7), eight(0x1037, false));
    assert_eq!(Store::new(0x103C, 5), Store::Split);
    assert_eq!(Store::new(0x103A, 7), Store::Split);
    assert_eq!(Store::new(0x1007, 2), two(0x1007, false));
    assert_eq!(Store::new(0x103E, 2), two(0x103E, true));
    assert_eq!(Store::new(0x103F, 2), Store::Split);
    for at in 0x1000..0x1080 {
        for len in [2, 5, 7] {
            let Store::One { at: start, width, .. } = Store::new(at, len) else {
                continue;
            };
            let wide = if width == Width::Two { 2 } else { 8 };
            assert!(start <= at && at + len <= start + wide);
            assert_eq!(start / 64, (start + wide - 1) / 64);
        }
    }
    let stops = |store: Store| [Alone, OldOrNew, Unsynchronised].map(|who| store.needs_stop(who));
    assert_eq!(stops(eight(0, true)), [false, false, true]);
    assert_eq!(stops(eight(0, false)), [false, true, true]);
    assert_eq!(stops(Store::Split), [true, true, true]);
}

#[test]
fn a_site_across_a_line_is_still_rewritten() {
    for shift in 0..64 {
        let mut bytes = vec![0x90; shift];
        bytes.extend_from_slice(&GETPPID);
        let (mut world, at) = World::around(&bytes);
        let at = at + shift as u64;
        let patch = by(Rule::Mov, world.trap(at + 5, 39));
        world.check(&patch, 39);
        world.program.write(&patch, true);
        assert_eq!(world.program.bytes, world.original.bytes);
    }
}

#[test]
fn the_stub_asks_for_the_upper_half_of_gs() {
    let stub = GATE.stub();
    let codes: Vec<_> =
        Decoder::with_ip(64, &stub[..37], 0x1000, DecoderOptions::NONE).into_iter().collect();
    let expected = [
        Code::Mov_rm64_r64,
        Code::Rdgsbase_r64,
        Code::Bswap_r64,
        Code::Lea_r32_m,
        Code::Jrcxz_rel8_64,
        Code::Mov_rm64_r64,
        Code::Jmp_rm64,
        Code::Mov_rm64_r64,
        Code::Jmp_rm64,
    ];
    assert_eq!(codes.iter().map(Instruction::code).collect::<Vec<_>>(), expected);
    assert_eq!(codes[4].near_branch64(), codes[7].ip());
    let at = |address: u64| {
        let from = usize::try_from(address - 0x1000).unwrap();
        u64::from_le_bytes(stub[from..from + 8].try_into().unwrap())
    };
    assert_eq!(at(codes[6].ip_rel_memory_address()), GATE.foreign);
    assert_eq!(at(codes[8].ip_rel_memory_address()), GATE.entry);
    // The lea as the processor computes it.
    let check = |gs: u64| {
        let low = gs.swap_bytes().wrapping_add(codes[3].memory_displacement64());
        u32::try_from(low & 0xFFFF_FFFF).unwrap()
    };
    assert_eq!(check(GATE.vcpus + 0x10_0000), 0);
    assert_eq!(check(GATE.vcpus + 0xFFFF_FFFF), 0);
    for gs in [0, 1, GATE.vcpus + (1 << 32), GATE.vcpus - 1, 0x7FFF_1234_5678, GATE.vcpus << 8] {
        assert_ne!(check(gs), 0);
    }
}

#[test]
fn puns_share_a_page_without_overlap() {
    // 40 sites, 16 bytes apart: their windows overlap and lie in one or two pages.
    let one = [
        0x89, 0xF8, 0x0F, 0x05, 0x48, 0x3D, 0x00, 0xF0, 0xFF, 0xFF, 0x90, 0x90, 0x90, 0x90, 0x90,
        0x90,
    ];
    let (mut world, at) = World::around(&one.repeat(40));
    let patches: Vec<_> =
        (0..40).map(|index| by(Rule::Pun, world.trap(at + 2 + index * 16, 39))).collect();
    assert!(world.pages.len() <= 2);
    for patch in &patches {
        world.check(patch, 39);
    }
}

/// `mov %edi,%eax; syscall; mov %rax,%rax`: no number, and no window below 1 GiB.
const BARE: [u8; 7] = [0x89, 0xF8, 0x0F, 0x05, 0x48, 0x89, 0xC0];

/// A program at 4 MiB: `code` is a function, another one lies behind it; the site is at 2.
fn low(code: &[u8]) -> (World, u64) {
    let base = 0x40_0000;
    let mut bytes = code.to_vec();
    bytes.resize(code.len() + 64, 0x90);
    let starts = vec![base, base + code.len() as u64];
    (World::new(Program { base, bytes, starts }), base + 2)
}

#[test]
fn dead_bytes_behind_a_function() {
    for end in [&[0xC3][..], &[0xEB, 0xF8], &[0xE9, 0, 0, 0, 1], &[0xFF, 0xE0], &[0x0F, 0x0B]] {
        for padding in [&[0xCC; 5][..], &[0x90; 5], &[0x66, 0x0F, 0x1F, 0x44, 0, 0]] {
            let (mut world, at) = low(&[&BARE[..], end, padding].concat());
            let patch = by(Rule::Pad, world.trap(at, 39));
            let pad = patch.pad.expect("a pad");
            assert_eq!(pad.at, at + 5 + end.len() as u64);
            assert_eq!(world.program.slice(at..at + 1), [0xEB]);
            assert_eq!(world.follow(at).1, at + 2);
            assert_eq!(
                world.process.place_at(pad.at, 1, 2),
                Some(Place::Call(Call { number: None, back: at + 2 }))
            );
            assert_eq!(world.process.place_at(pad.at + 1, 1, 2), None);
            let mut seen = world.program.bytes.clone();
            world.process.book().overlay(world.program.base, &mut seen);
            assert_eq!(seen, world.original.bytes);
            // Who changes the pad gets the whole back.
            for patch in world.process.restore(&(pad.at + 4..pad.at + 5)) {
                world.program.write(&patch, true);
            }
            assert_eq!(world.program.bytes, world.original.bytes);
        }
    }
}

#[test]
fn bytes_that_may_not_be_dead() {
    let ends: [(&[u8], &str); 8] = [
        (&[0xC3, 0xCC, 0xCC, 0xCC, 0xCC], "too few"),
        (&[0x90, 0x90, 0x90, 0x90, 0x90, 0x90], "run through"),
        (&[0xE8, 0, 0, 0, 0, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC], "a call returns there"),
        (&[0xEB, 0x03, 0xC3, 0x90, 0x90, 0x90, 0x90, 0x90, 0x90], "jumped into"),
        (&[0x74, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC], "the first is a jump's"),
        (&[0xC3, 0x48, 0xB8, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC], "a number"),
        (&[0xC3, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0x90, 0xC3], "not at the end"),
        (&[0xC3, 0xCC, 0xCC, 0xCC, 0xCC, 0xCC, 0xB8], "what follows begins before the function"),
    ];
    for (end, why) in ends {
        let (mut world, at) = low(&[&BARE[..], end].concat());
        assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow, "{why}");
    }
    // Out of a short jump's reach, and just within.
    let far = |len: usize| [&BARE[..], &vec![0x90; len], &[0xC3], &[0xCC; 5]].concat();
    let (mut world, at) = low(&far(123));
    assert!(is_by(Rule::Pad, &world.trap(at, 39)));
    let (mut world, at) = low(&far(124));
    assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow);
    // No function is known.
    let (mut world, at) = low(&[&BARE[..], &[0xC3], &[0xCC; 8]].concat());
    world.original.starts.clear();
    assert_eq!(refused(&world.trap(at, 39)), Reason::NoWindow);
}

#[test]
fn two_sites_share_dead_bytes_until_there_are_no_more() {
    let code = [&BARE[..], &BARE, &BARE, &[0xC3], &[0xCC; 12]].concat();
    let (mut world, at) = low(&code);
    let first = by(Rule::Pad, world.trap(at, 39));
    let second = by(Rule::Pad, world.trap(at + 7, 39));
    assert_eq!(first.pad.expect("a pad").range().end, second.pad.expect("a pad").at);
    assert_eq!(refused(&world.trap(at + 14, 39)), Reason::NoWindow);
    // A pad does not cross into another page.
    let (mut world, at) = low(&[&[0x90; 4084][..], &BARE, &[0xC3], &[0xCC; 12]].concat());
    let patch = by(Rule::Pad, world.trap(at + 4084, 39));
    assert_eq!(patch.pad.expect("a pad").at % 4096, 0);
}
