//! What the processor can do, probed once.

use crate::sync::Once;

/// Features that code paths are chosen by.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent features of the processor")]
pub struct Features {
    /// RDFSBASE and friends, without which nothing runs.
    pub fsgsbase: bool,
    /// RDRAND.
    pub rdrand: bool,
    /// XSAVE is enabled by the host.
    pub xsave: bool,
    /// AVX state is enabled.
    pub avx: bool,
    /// AVX-512 state is enabled.
    pub avx512: bool,
    /// XGETBV(1), which tells what state is in use.
    pub xinuse: bool,
    /// Protection keys are enabled.
    pub pku: bool,
    /// State components enabled in XCR0.
    pub xcr0: u64,
    /// The host enabled APX: registers r16 to r31, and encodings that nobody here decodes.
    pub apx: bool,
    /// AMD's promise on 8-byte stores into code holds.
    pub amd: bool,
}

/// The bit of APX in XCR0.
const APX: u64 = 1 << 19;

static FEATURES: Once<Features> = Once::new();

/// The processor's features, less those that were switched off.
pub fn features() -> Features {
    FEATURES.get().copied().unwrap_or_else(|| init(false))
}

/// The state components enabled in XCR0, and whether XGETBV tells which are in use.
pub(crate) fn state_components() -> (u64, bool) {
    match FEATURES.get() {
        Some(features) => (features.xcr0, features.xinuse),
        None => (0, false),
    }
}

/// Probes the processor; `no_avx512` does without it.
pub fn init(no_avx512: bool) -> Features {
    let found = probe(no_avx512);
    FEATURES.set(found);
    found
}

fn probe(no_avx512: bool) -> Features {
    use core::arch::x86_64::{__cpuid, __cpuid_count};
    let (zero, one, seven) = (__cpuid(0), __cpuid(1), __cpuid_count(7, 0));
    let xsave = one.ecx >> 27 & 1 == 1;
    let xcr0 = if xsave { xgetbv(0) } else { 3 };
    let save = if zero.eax >= 13 { __cpuid_count(13, 1).eax } else { 0 };
    Features {
        fsgsbase: seven.ebx & 1 == 1,
        rdrand: one.ecx >> 30 & 1 == 1,
        xsave,
        avx: xsave && xcr0 & 4 != 0,
        avx512: xsave && xcr0 & 0xe0 == 0xe0 && !no_avx512,
        xinuse: save >> 2 & 1 == 1,
        apx: xsave && xcr0 & APX != 0,
        pku: seven.ecx >> 4 & 1 == 1,
        xcr0,
        amd: zero.ebx == u32::from_le_bytes(*b"Auth"),
    }
}

/// Reads an extended control register.
fn xgetbv(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: called only when CPUID says that the host enabled XSAVE.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") register, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    u64::from(high) << 32 | u64::from(low)
}
