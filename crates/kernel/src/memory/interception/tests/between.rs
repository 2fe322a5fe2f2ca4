//! A `mov` with other instructions between it and the `syscall`, in programs that have no other way.

use super::world::{Program, World, by};
use crate::memory::interception::Origin;
use crate::memory::interception::decide::{Decision, Reason, Rule};
use crate::memory::interception::patch::{Call, Place};

/// `mov $202,%eax`
const MOV: [u8; 5] = [0xB8, 202, 0, 0, 0];
/// `mov $202,%rax`
const LONG: [u8; 7] = [0x48, 0xC7, 0xC0, 202, 0, 0, 0];
/// `syscall; mov %rax,%rax`: no window below 1 GiB.
const END: [u8; 5] = [0x0F, 0x05, 0x48, 0x89, 0xC0];
/// `lea 0x8f0(%rbx),%rsi`
const LEA: [u8; 7] = [0x48, 0x8D, 0xB3, 0xF0, 0x08, 0, 0];
/// `mov 202(%rax),%edi`, which holds the bytes of [`MOV`].
const LOAD: [u8; 6] = [0x8B, 0xB8, 202, 0, 0, 0];

/// A program at 4 MiB that holds `mov`, `between` and a system call; where the first and the last are.
fn low(mov: &[u8], between: &[u8]) -> (World, u64, u64) {
    let (program, at) = Program::padded(0x40_0000, &[mov, between, &END].concat());
    (World::new(program), at, at + (mov.len() + between.len()) as u64)
}

/// As [`low`], in a function that is known.
fn known(mov: &[u8], between: &[u8]) -> (World, u64, u64) {
    let (mut world, at, site) = low(mov, between);
    world.original.starts.push(at);
    (world, at, site)
}

#[test]
fn what_is_between_runs_in_the_trampoline() {
    for mov in [&MOV[..], &LONG] {
        let between = [&LEA[..], &[0x31, 0xFF]].concat();
        let (mut world, at, site) = low(mov, &between);
        let patch = by(Rule::Mov, world.trap(site, 202));
        world.check(&patch, 202);
        assert_eq!((patch.at, patch.old.as_slice()), (at, mov));
        assert_eq!(patch.trampoline.code[5..][..between.len()], between);
        let behind = at + mov.len() as u64;
        assert_eq!(world.program.slice(behind..site), between, "all else stays");
        // Wherever a thread is interrupted, it is at an instruction of the program.
        let start = patch.trampoline.at;
        let place = |into: u64| world.process.place_at(start + into, 1, 2);
        let between = |at| Some(Place::Between { number: 202, at });
        assert_eq!(place(0), between(behind), "the step is made");
        assert_eq!(place(5), between(behind));
        assert_eq!(place(5 + 7), between(behind + 7));
        let call = Some(Place::Call(Call { number: Some(202), back: site + 2 }));
        assert_eq!(place(5 + 9), call);
        assert_eq!(place(5 + 9 + 7), call);
        assert_eq!(place(5 + 9 + 12), None);
    }
}

#[test]
fn instructions_that_may_be_between() {
    let movable: [&[u8]; 14] = [
        &[0x48, 0x8D, 0x74, 0x24, 0x08],       // lea 8(%rsp),%rsi
        &[0x89, 0xDF],                         // mov %ebx,%edi
        &[0x49, 0x89, 0xCA],                   // mov %rcx,%r10
        &[0x48, 0xBF, 1, 2, 3, 4, 5, 6, 7, 8], // movabs $..,%rdi
        &[0x40, 0xB7, 0x3F],                   // mov $63,%dil
        &[0x88, 0xDE],                         // mov %bl,%dh
        &[0x48, 0x63, 0xFB],                   // movslq %ebx,%rdi
        &[0x0F, 0xB6, 0xF2],                   // movzbl %dl,%esi
        &[0x31, 0xFF],                         // xor %edi,%edi
        &[0x40, 0x80, 0xF6, 0x81],             // xor $0x81,%sil
        &[0x83, 0xE6, 0x7F],                   // and $0x7f,%esi
        &[0x89, 0xC7],                         // mov %eax,%edi
        &[0x39, 0xD3],                         // cmp %edx,%ebx
        &[0x31, 0xD2, 0x31, 0xFF, 0x31, 0xF6, 0x31, 0xDB],
    ];
    for between in movable {
        let (mut world, _, site) = known(&MOV, between);
        let patch = by(Rule::Mov, world.trap(site, 202));
        world.check(&patch, 202);
    }
}

#[test]
fn instructions_that_may_not() {
    let others: [(&[u8], &str); 21] = [
        (&[0x48, 0x8B, 0x3C, 0x24], "mov (%rsp),%rdi"),
        (&[0x48, 0x89, 0x3C, 0x24], "mov %rdi,(%rsp)"),
        (&[0x48, 0x8D, 0x3D, 1, 0, 0, 0], "lea 1(%rip),%rdi"),
        (&[0x67, 0x48, 0x8D, 0x3D, 1, 0, 0, 0], "lea 1(%eip),%rdi"),
        (&[0x53], "push %rbx"),
        (&[0x48, 0x83, 0xC4, 0x08], "add $8,%rsp"),
        (&[0x48, 0x89, 0xDC], "mov %rbx,%rsp"),
        (&[0x89, 0xD8], "mov %ebx,%eax"),
        (&[0xB4, 0x00], "mov $0,%ah"),
        (&[0x89, 0xD9], "mov %ebx,%ecx"),
        (&[0x4D, 0x31, 0xDB], "xor %r11,%r11"),
        (&[0x8E, 0xDB], "mov %ebx,%ds"),
        (&[0x8C, 0xDB], "mov %ds,%ebx"),
        (&[0x0F, 0x20, 0xC3], "mov %cr0,%rbx"),
        (&[0xF0, 0x31, 0xFF], "lock xor %edi,%edi"),
        (&[0xEB, 0x00], "jmp"),
        (&[0x0F, 0x0B], "ud2"),
        (&[0x87, 0xDF], "xchg %ebx,%edi"),
        (&[0x64, 0x48, 0x8B, 0x3C, 0x25, 0, 0, 0, 0], "mov %fs:0,%rdi"),
        (&[0x31, 0xD2, 0x31, 0xFF, 0x31, 0xF6, 0x31, 0xDB, 0x31, 0xED], "five"),
        (&[0x48, 0xBF, 1, 2, 3, 4, 5, 6, 7, 8].repeat(3), "30 bytes"),
    ];
    for (between, what) in others {
        let (mut world, _, site) = known(&MOV, between);
        let decision = world.trap(site, 202);
        assert_eq!(decision, Decision::LeaveTrap(Reason::NoWindow), "{what}");
    }
}

#[test]
fn only_a_mov_that_ran_is_replaced() {
    let refused = |mov: &[u8], between: &[u8], rax| {
        let (mut world, _, site) = low(mov, between);
        assert_eq!(world.trap(site, rax), Decision::LeaveTrap(Reason::NoWindow), "{mov:x?}");
    };
    refused(&MOV, &LEA, 201);
    refused(&MOV, &LEA, 0x1_0000_00CA);
    refused(&[&[0x41][..], &MOV].concat(), &LEA, 202); // mov $202,%r8d
    refused(&[&[0x8D][..], &MOV].concat(), &LEA, 202); // lea 202(%rax),%edi
    // A load that would have faulted, had it run; that nothing jumps behind it is not known for sure.
    let (mut world, _, site) = low(&LOAD, &LEA);
    by(Rule::Mov, world.trap(site, 202));
    for jump in [&[0xEB, 6][..], &[0x74, 6], &[0xE9, 6, 0, 0, 0], &[0x0F, 0x84, 6, 0, 0, 0]] {
        refused(&[jump, &LOAD].concat(), &LEA, 202);
    }
    // To the system call itself.
    refused(&[&[0xEB, 13][..], &LOAD].concat(), &LEA, 202);
    // By another number it is known for a load.
    let (mut world, at, site) = known(&[&[0xEB, 6][..], &LOAD].concat(), &LEA);
    assert_eq!(world.trap(site, 202), Decision::LeaveTrap(Reason::NoWindow));
    assert_eq!(world.program.bytes, world.original.bytes, "at {at:#x}");
    // From far away, across what is read at once.
    for distance in [200_u32, 250, 252, 255, 256, 1000, 3000] {
        let (mut world, _, site) = low(&LOAD, &LEA);
        let from = site - 7 - u64::from(distance) - 5;
        let jump = [&[0xE9][..], &distance.to_le_bytes()].concat();
        world.original.slice_mut(from..from + 5).copy_from_slice(&jump);
        assert_eq!(world.trap(site, 202), Decision::LeaveTrap(Reason::NoWindow));
    }
}

#[test]
fn bytes_that_belong_to_others() {
    // syscall; mov; xor; syscall: a pun would need the mov's bytes.
    let (mut world, at, site) = low(&[&[0x0F, 0x05][..], &MOV].concat(), &[0x31, 0xFF]);
    let patch = by(Rule::Mov, world.trap(site, 202));
    assert_eq!(patch.claim(), at + 2..site);
    assert_eq!(world.trap(at, 1), Decision::LeaveTrap(Reason::Claimed));
}

#[test]
fn who_changes_what_is_between_or_the_call_gets_all_back() {
    let (world, at, site) = low(&MOV, &LEA);
    for changed in at..site + 2 {
        let mut world = World::new(world.original.clone());
        let patch = by(Rule::Mov, world.trap(site, 202));
        let range = changed..changed + 1;
        assert!(!world.process.book().restore_in(&range).is_empty());
        assert_eq!(world.process.restore(&range), core::slice::from_ref(&patch), "{changed:#x}");
        world.program.write(&patch, true);
        assert_eq!(world.program.bytes, world.original.bytes);
        assert!(world.process.book().restore_in(&(0..u64::MAX)).is_empty());
        // Who is in it by then goes on in the text.
        let inside = world.process.place_at(patch.trampoline.at, 1, 2);
        assert_eq!(inside, Some(Place::Between { number: 202, at: at + 5 }));
    }
    for beside in [at - 1, site + 2] {
        let mut world = World::new(world.original.clone());
        world.trap(site, 202);
        assert!(world.process.book().restore_in(&(beside..beside + 1)).is_empty());
        assert!(world.process.restore(&(beside..beside + 1)).is_empty());
    }
}

#[test]
fn what_is_learned_of_them() {
    let (mut world, _, site) = known(&MOV, &LEA);
    let decision = world.process.consider_learned(site, Rule::Mov, &world.original, &world.space);
    let patch = by(Rule::Mov, decision);
    world.apply(&patch, Origin::Learned);
    world.check(&patch, 202);
    // That nothing jumps there can't be known before the program has run.
    let (world, _, site) = low(&LOAD, &LEA);
    let mut process = world.process;
    let decision = process.consider_learned(site, Rule::Mov, &world.original, &world.space);
    assert_eq!(decision, Decision::LeaveTrap(Reason::Mismatch));
    // Two that may have loaded it: `mov $201` is in what a movabs loads. Only a trap tells which.
    let two = [0x48, 0xBF, 0xB8, 201, 0, 0, 0, 0x89, 0xDF, 0x48, 0x31, 0xFF];
    let (mut world, at, site) = known(&MOV, &two);
    let decision = world.process.consider_learned(site, Rule::Mov, &world.original, &world.space);
    assert_eq!(decision, Decision::LeaveTrap(Reason::Mismatch));
    assert_eq!(world.trap(site, 201), Decision::LeaveTrap(Reason::NoWindow));
    let (mut world, _, site) = known(&MOV, &two);
    assert_eq!(by(Rule::Mov, world.trap(site, 202)).at, at);
}
