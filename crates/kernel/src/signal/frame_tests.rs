//! The frame's layout against the C library's headers, and what comes back from a hostile program.

use std::process::{Command, Stdio};

use super::{
    ADDRESS, CONTEXT, ERROR, EXTENDED, FLAGS, INFO, LEGACY, MAGIC1, MAGIC2, MASK, OLD_MASK, Place,
    REGISTERS, SEGMENTS, SIZE, SOFTWARE, STACK, Seal, State, VECTOR, decode, encode, enter,
    extended_len, seal,
};
use crate::signal::info::{self, Info};
use crate::signal::number::{Signal, SignalSet};
use crate::signal::state::FaultRecord;
use abi::trap::Registers;

/// Prints the offsets that Linux's own headers give, in the order of `OURS`.
const PROGRAM: &str = r#"
#include <stddef.h>
#include <stdio.h>
typedef struct { int words[32]; } info;
#include <asm/sigcontext.h>
typedef unsigned long sigset_t;
typedef struct { void *sp; int flags; unsigned long size; } stack_t;
struct ucontext {
    unsigned long uc_flags; struct ucontext *uc_link; stack_t uc_stack;
    struct sigcontext uc_mcontext; sigset_t uc_sigmask;
};
struct frame { char *pretcode; struct ucontext uc; info info; };
#define AT(field) (long)offsetof(struct frame, field)
int main(void) {
    printf("%ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %ld %x %x %ld\n",
        AT(uc), AT(uc.uc_flags), AT(uc.uc_stack), AT(uc.uc_mcontext.r8), AT(uc.uc_mcontext.cs),
        AT(uc.uc_mcontext.err), AT(uc.uc_mcontext.trapno), AT(uc.uc_mcontext.oldmask),
        AT(uc.uc_mcontext.cr2), AT(uc.uc_mcontext.fpstate), AT(uc.uc_sigmask), AT(info),
        (long)sizeof(struct frame), (long)offsetof(struct _fpstate_64, sw_reserved),
        FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, AT(uc.uc_mcontext.rip));
}
"#;

#[test]
fn the_layout_is_that_of_the_headers() {
    let folder = std::env::temp_dir().join(format!("adyton-frame-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let (source, binary) = (folder.join("frame.c"), folder.join("frame"));
    std::fs::write(&source, PROGRAM).expect("writing the program");
    let compiled = Command::new("gcc")
        .args(["-w", "-o"])
        .args([&binary, &source])
        .stdin(Stdio::null())
        .status()
        .expect("gcc is installed");
    assert!(compiled.success());
    let output = Command::new(&binary).output().expect("running the program");
    std::fs::remove_dir_all(&folder).expect("removing the folder");
    let theirs = String::from_utf8(output.stdout).expect("digits");
    let ours = format!(
        "{CONTEXT} {FLAGS} {STACK} {REGISTERS} {SEGMENTS} {ERROR} {VECTOR} {OLD_MASK} {ADDRESS} \
         {EXTENDED} {MASK} {INFO} {SIZE} {SOFTWARE} {MAGIC1:x} {MAGIC2:x} {}\n",
        REGISTERS + 8 * 16,
    );
    assert_eq!(ours, theirs);
}

fn registers() -> Registers {
    Registers {
        rax: 1,
        rcx: 2,
        r8: 3,
        rsp: 0x7000,
        rip: 0x4000,
        rflags: 0x246,
        ..Registers::default()
    }
}

fn state() -> State {
    State {
        registers: registers(),
        mask: SignalSet::of(&[Signal::USR1]),
        stack: [0x9000, 0, 8192],
        fault: FaultRecord { vector: 14, error: 6, address: 0x30 },
        extended: 0x6000,
    }
}

#[test]
fn what_goes_out_comes_back() {
    let bytes = encode(&state(), 0x5000, &Info::fault(Signal::SEGV, 1, 0x30).to_user(), true);
    assert_eq!(bytes[..8], 0x5000_u64.to_le_bytes());
    assert_eq!(bytes[FLAGS], 7);
    assert_eq!(bytes[INFO], 11);
    assert_eq!(bytes.len() - INFO, info::SIZE);
    let back = decode(&bytes, &registers()).expect("nothing was changed");
    assert_eq!(back, State { fault: FaultRecord::default(), ..state() });
}

#[test]
fn a_program_gets_no_flag_mask_or_segment_that_it_may_not_have() {
    let mut bytes = encode(&state(), 0, &[0; info::SIZE], true);
    bytes[REGISTERS + 136..REGISTERS + 144].fill(0xff);
    bytes[MASK..MASK + 8].fill(0xff);
    let now = Registers { rflags: 0x202, ..Registers::default() };
    let back = decode(&bytes, &now).expect("flags are cut");
    assert_eq!(back.registers.rflags, 0x5_0fd7);
    assert_eq!(back.mask, SignalSet::from_bits(u64::MAX).as_mask());
    bytes[SEGMENTS] = 0x23; // 32-bit code
    assert_eq!(decode(&bytes, &now), None);
    bytes[SEGMENTS] = 0x30; // the privilege level is not the program's to say
    assert!(decode(&bytes, &now).is_some());
}

#[test]
fn a_frame_is_aligned_as_after_a_call() {
    for sp in (0x8000..0x8080).step_by(1) {
        let place = Place::below(sp, 836).expect("room");
        assert_eq!(place.extended % 64, 0);
        assert_eq!(place.frame % 16, 8);
        assert!(place.extended + 836 <= sp);
        assert!(place.frame + SIZE as u64 <= place.extended);
    }
    assert_eq!(Place::below(100, 836), None);
    let mut entered = registers();
    entered.rflags |= 0x1_0500;
    enter(&mut entered, 0x7008, 0x1234, 11);
    assert_eq!(
        (entered.rdi, entered.rsi, entered.rdx, entered.rip, entered.rsp, entered.rax),
        (11, 0x7008 + 312, 0x7010, 0x1234, 0x7008, 0)
    );
    assert_eq!(entered.rflags, 0x246);
}

#[test]
fn the_extended_state_says_how_far_it_goes() {
    let mut image = vec![0; extended_len(832)];
    assert_eq!(image.len(), 836);
    seal(&mut image, 7);
    let mut legacy = [0; LEGACY];
    legacy.copy_from_slice(&image[..LEGACY]);
    let read = Seal::of(&legacy, 832).expect("sealed");
    assert_eq!(read, Seal { len: 832, mask: 7 });
    assert_eq!(Seal::of(&legacy, 831), None);
    image[LEGACY] = 0xe7; // more components than the seal names
    assert!(read.open(&mut image));
    assert_eq!(image[LEGACY], 7);
    assert!(!read.open(&mut image[..832]));
    image[832] ^= 1;
    assert!(!read.open(&mut image), "its magic is not there");
    legacy[SOFTWARE] ^= 1;
    assert_eq!(Seal::of(&legacy, 832), None);
    legacy[SOFTWARE] ^= 1;
    legacy[SOFTWARE + 4] -= 1; // no room for the magic
    assert_eq!(Seal::of(&legacy, 832), None);
    let mut bare = [0; LEGACY];
    seal(&mut bare, 3);
    assert!(bare.iter().all(|byte| *byte == 0));
}
