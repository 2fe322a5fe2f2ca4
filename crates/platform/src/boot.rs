//! From the first instruction to the kernel: relocation, the vCPU's own stack, what the host told us.
//!
//! The entry gets the address of [`Boot`] and a vCPU index, both the host's word: the index is bounded,
//! the vCPU may enter once, and [`Boot`] is copied before it is looked at. Where the range ends, and so
//! where everything lies, follows from the image's own address.

use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};

use abi::host::{ExitKind, HostCall, mailbox};
use abi::layout::{self, Layout};
use abi::plan::{Boot, CONFIG_MAGIC, Config, VERSION, flag, wanted};
use abi::trap::Trap;

use crate::{arena, budget, carrier, clock, cpu, crash, gate, heap, io, random, user, vcpu};

/// The most bytes of a boot blob.
const BLOB_MAX: u64 = 64 << 20;

static IMAGE_START: AtomicU64 = AtomicU64::new(u64::MAX);
static IMAGE_END: AtomicU64 = AtomicU64::new(0);
static MAILBOX: AtomicU64 = AtomicU64::new(0);

/// What the kernel starts from.
pub struct Start {
    /// The host's word, copied.
    pub boot: Boot,
    /// The boot blob, copied.
    pub blob: Vec<u8>,
    /// The measured configuration.
    pub config: Config,
    /// Where things lie.
    pub layout: Layout,
}

/// Addresses of the image and all behind it.
pub(crate) fn image() -> Range<u64> {
    IMAGE_START.load(Ordering::Relaxed)..IMAGE_END.load(Ordering::Relaxed)
}

/// Address of the attendant's mailbox.
pub(crate) fn mailbox_address() -> u64 {
    MAILBOX.load(Ordering::Relaxed)
}

/// Ends the enclave as the program ended.
pub fn exit(kind: ExitKind, code: u32) -> ! {
    loop {
        gate::call(HostCall::Exit, [kind as u64, u64::from(code), 0, 0, 0]);
    }
}

/// Writes a line for the person, on stderr.
pub fn message(text: &str) {
    let mut written = 0;
    while written < text.len() {
        let part = (text.len() - written).min(io::Bounce::MAX);
        let Some(mut bounce) = io::Bounce::with_capacity(part) else { return };
        bounce.write(0, &text.as_bytes()[written..written + part]);
        gate::call(HostCall::Message, [bounce.address(), part as u64, 0, 0, 0]);
        written += part;
    }
}

/// Ends the enclave because the LibOS can't go on.
pub fn fail(arguments: core::fmt::Arguments<'_>) -> ! {
    crash::report(arguments, &crash::here());
    exit(ExitKind::Failed, 125)
}

/// Ends the enclave after a trap in the LibOS itself.
pub(crate) fn die_in_trap(trap: &Trap) -> ! {
    let arguments = format_args!(
        "trap kind {} vector {} error {:#x} at {:#x} (image {:+#x}), address {:#x}, rsp {:#x}{}",
        trap.kind,
        trap.vector,
        trap.error,
        trap.registers.rip,
        trap.registers.rip.wrapping_sub(image().start),
        trap.address,
        trap.registers.rsp,
        crash::remark(trap.address),
    );
    crash::report(arguments, &trap.registers);
    exit(ExitKind::Failed, 125)
}

/// Sets the LibOS up; called by the first vCPU only, on its own stack.
///
/// # Safety
/// `boot` is what the runner passed; nothing was set up before.
#[cfg(not(any(test, feature = "hosted")))]
pub unsafe fn start(boot: *const Boot) -> Start {
    let image = image_start();
    let size = image + layout::IMAGE_BELOW_END;
    let Some(layout) = Layout::new(size) else { halt() };
    // SAFETY: the host's memory; whatever it holds, the copy is ours.
    let boot = unsafe { boot.read() };
    IMAGE_START.store(image, Ordering::Relaxed);
    IMAGE_END.store(size, Ordering::Relaxed);
    vcpu::init(layout, boot.vcpus);
    user::init(layout.user_end());
    let outside =
        boot.untrusted >= size && boot.untrusted.checked_add(boot.untrusted_len).is_some();
    let mailbox_outside = boot.mailbox >= size && boot.blob >= size;
    if !outside || !mailbox_outside || boot.blob_len > BLOB_MAX {
        halt();
    }
    let features = cpu::init(boot.flags & flag::NO_AVX512 != 0);
    if !features.fsgsbase {
        halt();
    }
    gate::set_exit_cost(boot.exit_cost);
    MAILBOX.store(boot.mailbox, Ordering::Relaxed);
    // SAFETY: outside the range, as checked.
    unsafe { io::init(boot.untrusted, boot.untrusted_len, 0) };
    // SAFETY: the layout's heap region, mapped by the plan, unused so far.
    unsafe { heap::init(layout.heap(), layout.heap_len()) };
    // SAFETY: the layout's arena, mapped by the plan, unused so far.
    unsafe { arena::init(layout.arena(), layout.vcpus() - layout.arena()) };
    // SAFETY: the configuration's page is part of the plan, read-only and measured.
    let config = unsafe { (layout.config() as *const Config).read() };
    if config.magic != CONFIG_MAGIC || config.version != VERSION || config.address_space != size {
        fail(format_args!("the measured configuration does not fit this image"));
    }
    if features.apx {
        // A switch would lose r16 to r31, and what REX2 makes of a byte before a call is not looked at.
        fail(format_args!(
            "the host enabled APX, which is not supported; boot it with clearcpuid=apx"
        ));
    }
    crash::init(config.flags & abi::plan::config::DEBUG != 0 && boot.wanted & wanted::TRACE != 0);
    if boot.vcpus == 0 || boot.vcpus > config.max_vcpus {
        fail(format_args!("{} vCPUs asked, {} measured", boot.vcpus, config.max_vcpus));
    }
    budget::set_limit(boot.memory_limit.min(config.max_memory));
    let has = |bit: u32| boot.flags & bit != 0;
    let mut admitted = carrier::Admitted::all();
    admitted.set(carrier::Admitted::KERNEL, !has(flag::NO_RINGS));
    admitted.set(carrier::Admitted::POLLER, !has(flag::NO_POLLER));
    let policy = carrier::Policy {
        prefers_rings: boot.exit_cost > 0 || has(flag::RINGS_FOR_ALL),
        admitted,
        demanded: has(flag::RINGS_FOR_ALL),
    };
    carrier::init(policy, size);
    start_clock(&boot);
    let mut blob = alloc::vec![0_u8; usize::try_from(boot.blob_len).unwrap_or(0)];
    // SAFETY: outside the range and at most BLOB_MAX long; a copy of whatever the host left there.
    unsafe {
        core::ptr::copy_nonoverlapping(boot.blob as *const u8, blob.as_mut_ptr(), blob.len());
    };
    Start { boot, blob, config, layout }
}

#[cfg(not(any(test, feature = "hosted")))]
fn start_clock(boot: &Boot) {
    let ask = |call: HostCall, argument: u64| {
        let mut bounce = io::Bounce::with_capacity(8)?;
        bounce.write(0, &[0; 8]);
        let arguments = match call {
            HostCall::Clock => [argument, bounce.address(), 0, 0, 0],
            _ => [bounce.address(), argument, 0, 0, 0],
        };
        gate::call(call, arguments);
        let mut word = [0; 8];
        bounce.read(0, &mut word);
        Some(u64::from_le_bytes(word))
    };
    let before = clock::ticks();
    let monotonic = ask(HostCall::Clock, 1).unwrap_or(0);
    let ticks = before + (clock::ticks() - before) / 2;
    let realtime = ask(HostCall::Clock, 0).unwrap_or(0);
    clock::init(boot.tsc_hz, ticks, monotonic, realtime);
    random::init(ask(HostCall::Random, 8).unwrap_or(0) ^ clock::ticks());
}

/// Refuses a vCPU that was not announced; before it does anything else, and without a lock.
///
/// What one vCPU may leave out when it is alone stands on that.
#[cfg(not(any(test, feature = "hosted")))]
pub fn admit(index: u64) {
    if index >= vcpu::count() as u64 {
        halt();
    }
}

/// Lets the other vCPUs enter.
pub fn release_vcpus() {
    if vcpu::count() > 1 {
        gate::call(HostCall::Start, [0; 5]);
    }
}

/// Bytes of the mailbox, for those who check addresses.
pub const MAILBOX_LEN: usize = mailbox::LEN;

#[cfg(not(any(test, feature = "hosted")))]
fn image_start() -> u64 {
    let start: u64;
    // SAFETY: computes an address.
    unsafe {
        core::arch::asm!(".hidden __ehdr_start", "lea {}, [rip + __ehdr_start]", out(reg) start,
            options(nomem, nostack, preserves_flags));
    }
    start
}

/// Stops where not even a message can be given: before the way out is known.
#[cfg(not(any(test, feature = "hosted")))]
fn halt() -> ! {
    loop {
        // SAFETY: an invalid instruction traps; the host ends the enclave.
        unsafe { core::arch::asm!("ud2", options(nomem, nostack)) };
    }
}

// rdi: Boot, rsi: index, on the host's stack. Each vCPU enters once; the first relocates the image.
#[cfg(not(any(test, feature = "hosted")))]
core::arch::global_asm!(
    ".hidden __ehdr_start",
    ".hidden _DYNAMIC",
    ".text",
    ".global _start",
    ".balign 16",
    // The runner finds the exception entry by the distance that stands right before the entry.
    ".quad 0",
    ".quad adyton_exception - _start",
    "_start:",
    "    endbr64",
    "    cmp rsi, {vcpus_max}",
    "    jae 9f",
    "    lea rbx, [rip + __ehdr_start]",
    "    mov rcx, {image_below_end}",
    "    lea rax, [rbx + rcx]", // SIZE
    "    mov rcx, rax",
    "    shr rcx, 4",
    "    sub rax, rcx", // vCPU blocks
    "    mov rcx, rsi",
    "    shl rcx, {stride_bits}",
    "    add rax, rcx", // this block
    "    mov ecx, 1",
    "    xchg ecx, [rax + {entered}]",
    "    test ecx, ecx",
    "    jnz 9f",
    "    wrgsbase rax",
    "    mov gs:[{index}], esi",
    "    and rsp, -16",
    "    mov gs:[{host_sp}], rsp",
    "    mov rcx, [rdi + {host_entry_in_boot}]",
    "    mov gs:[{host_entry}], rcx",
    "    lea rsp, [rax + {stride}]",
    "    xor ebp, ebp",
    "    cld",
    "    test esi, esi",
    "    jnz 5f",
    // DT_RELA (7), DT_RELASZ (8); each entry is (offset, type, addend), the type always RELATIVE.
    "    lea rdx, [rip + _DYNAMIC]",
    "    xor r8d, r8d",
    "    xor r9d, r9d",
    "1:  mov rax, [rdx]",
    "    test rax, rax",
    "    jz 3f",
    "    cmp rax, 7",
    "    cmove r8, [rdx + 8]",
    "    cmp rax, 8",
    "    cmove r9, [rdx + 8]",
    "    add rdx, 16",
    "    jmp 1b",
    "3:  add r8, rbx",
    "    add r9, r8",
    "4:  cmp r8, r9",
    "    jae 5f",
    "    cmp dword ptr [r8 + 8], 8",
    "    jne 9f",
    "    mov rax, [r8]",
    "    mov rcx, [r8 + 16]",
    "    add rcx, rbx",
    "    mov [rbx + rax], rcx",
    "    add r8, 24",
    "    jmp 4b",
    // From here on this vCPU can be interrupted: before, addresses in the image did not hold.
    "5:  rdgsbase rax",
    "    mov gs:[{this}], rax",
    "    call adyton_main",
    "9:  ud2",
    vcpus_max = const layout::VCPUS_MAX,
    image_below_end = const layout::IMAGE_BELOW_END,
    stride_bits = const layout::VCPU_STRIDE.trailing_zeros(),
    stride = const layout::VCPU_STRIDE,
    entered = const vcpu::ENTERED,
    this = const vcpu::THIS,
    index = const vcpu::INDEX,
    host_sp = const vcpu::HOST_SP,
    host_entry = const vcpu::HOST_ENTRY,
    host_entry_in_boot = const core::mem::offset_of!(Boot, host_entry),
);
