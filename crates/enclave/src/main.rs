//! The enclave image: the LibOS as a freestanding program.
//!
//! Wires the kernel to the platform: entry of each vCPU, the allocator, the panic handler, and the
//! functions that the compiler expects of every program.
#![no_std]
#![no_main]

extern crate alloc;

use abi::plan::Boot;

core::arch::global_asm!(include_str!("../../abi/asm/memory.s"));

#[global_allocator]
static HEAP: platform::heap::Heap = platform::heap::Heap::new();

/// Where the entry of a vCPU goes on, on the vCPU's LibOS stack.
///
/// # Safety
/// Called by the entry only: once for each vCPU, index 0 first and alone.
#[unsafe(no_mangle)]
unsafe extern "sysv64" fn adyton_main(boot: *const Boot, index: u64) -> ! {
    platform::boot::admit(index);
    if index == 0 {
        // SAFETY: the first vCPU, before anything else ran.
        let start = unsafe { platform::boot::start(boot) };
        kernel::start::first(&start)
    } else {
        kernel::start::other(usize::try_from(index).unwrap_or(0))
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    platform::boot::fail(format_args!("{info}"))
}

/// Never called: panics end the enclave.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    platform::boot::fail(format_args!("an exception was raised"))
}

/// Never called: panics end the enclave.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    platform::boot::fail(format_args!("an exception was raised"))
}
