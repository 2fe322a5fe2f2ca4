//! Vector, mask and x87 state beyond xmm0 to 15, saved by hand.
//!
//! XSAVEC at each switch costs 130 to 190 ns, because glibc leaves the wide state in use on AVX-512
//! machines. Here XGETBV(1) tells which components are in use, only those are stored, and loading
//! initialises the others, so that no thread sees another's.

use crate::cpu::{self, Features};
use crate::sync::Once;

const X87: u64 = 1;
const AVX: u64 = 4;
const OPMASK: u64 = 0x20;
const ZMM_HI256: u64 = 0x40;
const HI16_ZMM: u64 = 0x80;
/// MXCSR as a process starts with it: all exceptions masked.
const MXCSR: u32 = 0x1f80;
/// Bits of MXCSR that may be set without a fault.
const MXCSR_MASK: u32 = 0xffff;
/// x87 control word as a process starts with it.
const CONTROL_WORD: u16 = 0x37f;
/// Bytes of the legacy area, and of the XSAVE header behind it.
const LEGACY: usize = 512;
const HEADER: usize = 64;

/// The state of one thread.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Extended {
    /// zmm0 to 31, or ymm0 to 15 in the lower halves; the low 16 bytes of the first 16 are not valid.
    vectors: [[u8; 64]; 32],
    /// FXSAVE image; only its x87 part is valid.
    legacy: [u8; LEGACY],
    masks: [u64; 8],
    /// Components that were in use, bits as in XCR0.
    in_use: u64,
    mxcsr: u32,
}

/// What is known of the processor's extended state: how it was when it was last saved there.
///
/// XGETBV costs some 10 ns, and the LibOS changes nothing that this tells of.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Held {
    /// Components in use, bits as in XCR0; bit 63: known.
    components: u64,
    mxcsr: u32,
}

const KNOWN: u64 = 1 << 63;

impl Held {
    /// Nothing is known.
    pub(crate) const UNKNOWN: Self = Self { components: 0, mxcsr: 0 };

    #[cfg(not(any(test, feature = "hosted")))]
    fn is_known(self) -> bool {
        self.components & KNOWN != 0
    }
}

impl Extended {
    /// State as exec gives it.
    pub(crate) fn new() -> Self {
        Self { vectors: [[0; 64]; 32], legacy: [0; LEGACY], masks: [0; 8], in_use: 0, mxcsr: MXCSR }
    }

    /// Back to the state that exec gives. Of components that are not in use, nothing is ever read.
    pub(crate) fn reset(&mut self) {
        self.in_use = 0;
        self.mxcsr = MXCSR;
    }

    /// MXCSR and the x87 status word.
    pub(crate) fn status(&self) -> (u32, u16) {
        (self.mxcsr, u16::from_le_bytes([self.legacy[2], self.legacy[3]]))
    }

    /// Stores what the processor holds and has in use.
    #[cfg(not(any(test, feature = "hosted")))]
    pub(crate) fn save(&mut self) -> Held {
        let in_use = components_in_use();
        self.in_use = in_use;
        // SAFETY: STMXCSR to a field of ours.
        unsafe {
            core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut self.mxcsr, options(nostack, preserves_flags));
        }
        let vectors = self.vectors.as_mut_ptr();
        if in_use & ZMM_HI256 != 0 {
            // SAFETY: AVX-512 is enabled, as its component is in use; the array has 32 × 64 bytes.
            unsafe { save_zmm_low(vectors) };
        } else if in_use & AVX != 0 {
            // SAFETY: AVX is enabled, as its component is in use; the array is long enough.
            unsafe { save_ymm(vectors) };
        }
        if in_use & HI16_ZMM != 0 {
            // SAFETY: as for the low half.
            unsafe { save_zmm_high(vectors) };
        }
        if in_use & OPMASK != 0 {
            // SAFETY: AVX-512 is enabled, as its component is in use; 8 masks of 8 bytes.
            unsafe { save_masks(self.masks.as_mut_ptr()) };
        }
        if in_use & X87 != 0 {
            // SAFETY: FXSAVE64 to 512 aligned bytes of ours.
            unsafe {
                core::arch::asm!("fxsave64 [{}]", in(reg) self.legacy.as_mut_ptr(),
                    options(nostack, preserves_flags));
            }
        }
        Held { components: in_use | KNOWN, mxcsr: self.mxcsr }
    }

    /// Loads the state into the processor, which holds `held`, and initialises what it lacks.
    #[cfg(not(any(test, feature = "hosted")))]
    pub(crate) fn restore(&self, held: Held) {
        let present = if held.is_known() { held.components & !KNOWN } else { components_in_use() };
        let stale = present & !self.in_use;
        if stale & (AVX | ZMM_HI256) != 0 {
            // SAFETY: AVX is enabled, as a component of it is in use.
            unsafe { core::arch::asm!("vzeroupper", options(nomem, nostack, preserves_flags)) };
        }
        let vectors = self.vectors.as_ptr();
        if self.in_use & ZMM_HI256 != 0 {
            // SAFETY: the component was in use on this machine; the array has 32 × 64 bytes.
            unsafe { load_zmm_low(vectors) };
        } else if self.in_use & AVX != 0 {
            // SAFETY: as above.
            unsafe { load_ymm(vectors) };
        }
        if self.in_use & HI16_ZMM != 0 {
            // SAFETY: as above.
            unsafe { load_zmm_high(vectors) };
        } else if stale & HI16_ZMM != 0 {
            // SAFETY: AVX-512 is enabled, as its component is in use.
            unsafe { clear_zmm_high() };
        }
        if self.in_use & OPMASK != 0 {
            // SAFETY: as above; 8 masks of 8 bytes.
            unsafe { load_masks(self.masks.as_ptr()) };
        } else if stale & OPMASK != 0 {
            // SAFETY: AVX-512 is enabled, as its component is in use.
            unsafe { clear_masks() };
        }
        if self.in_use & X87 != 0 {
            // SAFETY: the image came from FXSAVE64 or was checked when a program gave it. It loads
            // the xmm registers too, which the way out loads again.
            unsafe {
                core::arch::asm!("fxrstor64 [{}]", in(reg) self.legacy.as_ptr(),
                    options(nostack, preserves_flags));
            }
        } else if stale & X87 != 0 {
            // SAFETY: FNINIT touches x87 state only.
            unsafe { core::arch::asm!("fninit", options(nomem, nostack, preserves_flags)) };
        }
        if held.is_known() && held.mxcsr == self.mxcsr && self.in_use & X87 == 0 {
            return;
        }
        // SAFETY: the reserved bits are clear, checked wherever the field is set.
        unsafe {
            core::arch::asm!("ldmxcsr [{}]", in(reg) &raw const self.mxcsr,
                options(nostack, preserves_flags, readonly));
        }
    }
}

#[cfg(not(any(test, feature = "hosted")))]
fn components_in_use() -> u64 {
    let (xcr0, xinuse) = cpu::state_components();
    let enabled = xcr0 & (X87 | AVX | OPMASK | ZMM_HI256 | HI16_ZMM);
    if !xinuse {
        return enabled | X87;
    }
    let (low, high): (u32, u32);
    // SAFETY: XGETBV with 1 exists, as probed.
    unsafe {
        core::arch::asm!("xgetbv", in("ecx") 1, out("eax") low, out("edx") high,
            options(nomem, nostack, preserves_flags));
    }
    enabled & (u64::from(high) << 32 | u64::from(low))
}

macro_rules! routine {
    ($(#[$doc:meta])* $name:ident($($argument:ident: $kind:ty)?) $($line:literal)*) => {
        $(#[$doc])*
        #[cfg(not(any(test, feature = "hosted")))]
        #[unsafe(naked)]
        unsafe extern "sysv64" fn $name($($argument: $kind)?) {
            core::arch::naked_asm!($($line,)* "ret");
        }
    };
}

routine!(save_ymm(to: *mut [u8; 64])
    "vmovdqa [rdi], ymm0" "vmovdqa [rdi+0x40], ymm1" "vmovdqa [rdi+0x80], ymm2" "vmovdqa [rdi+0xc0], ymm3"
    "vmovdqa [rdi+0x100], ymm4" "vmovdqa [rdi+0x140], ymm5" "vmovdqa [rdi+0x180], ymm6" "vmovdqa [rdi+0x1c0], ymm7"
    "vmovdqa [rdi+0x200], ymm8" "vmovdqa [rdi+0x240], ymm9" "vmovdqa [rdi+0x280], ymm10" "vmovdqa [rdi+0x2c0], ymm11"
    "vmovdqa [rdi+0x300], ymm12" "vmovdqa [rdi+0x340], ymm13" "vmovdqa [rdi+0x380], ymm14" "vmovdqa [rdi+0x3c0], ymm15");
routine!(load_ymm(from: *const [u8; 64])
    "vmovdqa ymm0, [rdi]" "vmovdqa ymm1, [rdi+0x40]" "vmovdqa ymm2, [rdi+0x80]" "vmovdqa ymm3, [rdi+0xc0]"
    "vmovdqa ymm4, [rdi+0x100]" "vmovdqa ymm5, [rdi+0x140]" "vmovdqa ymm6, [rdi+0x180]" "vmovdqa ymm7, [rdi+0x1c0]"
    "vmovdqa ymm8, [rdi+0x200]" "vmovdqa ymm9, [rdi+0x240]" "vmovdqa ymm10, [rdi+0x280]" "vmovdqa ymm11, [rdi+0x2c0]"
    "vmovdqa ymm12, [rdi+0x300]" "vmovdqa ymm13, [rdi+0x340]" "vmovdqa ymm14, [rdi+0x380]" "vmovdqa ymm15, [rdi+0x3c0]");
routine!(save_zmm_low(to: *mut [u8; 64])
    "vmovdqa64 [rdi], zmm0" "vmovdqa64 [rdi+0x40], zmm1" "vmovdqa64 [rdi+0x80], zmm2" "vmovdqa64 [rdi+0xc0], zmm3"
    "vmovdqa64 [rdi+0x100], zmm4" "vmovdqa64 [rdi+0x140], zmm5" "vmovdqa64 [rdi+0x180], zmm6" "vmovdqa64 [rdi+0x1c0], zmm7"
    "vmovdqa64 [rdi+0x200], zmm8" "vmovdqa64 [rdi+0x240], zmm9" "vmovdqa64 [rdi+0x280], zmm10" "vmovdqa64 [rdi+0x2c0], zmm11"
    "vmovdqa64 [rdi+0x300], zmm12" "vmovdqa64 [rdi+0x340], zmm13" "vmovdqa64 [rdi+0x380], zmm14" "vmovdqa64 [rdi+0x3c0], zmm15");
routine!(load_zmm_low(from: *const [u8; 64])
    "vmovdqa64 zmm0, [rdi]" "vmovdqa64 zmm1, [rdi+0x40]" "vmovdqa64 zmm2, [rdi+0x80]" "vmovdqa64 zmm3, [rdi+0xc0]"
    "vmovdqa64 zmm4, [rdi+0x100]" "vmovdqa64 zmm5, [rdi+0x140]" "vmovdqa64 zmm6, [rdi+0x180]" "vmovdqa64 zmm7, [rdi+0x1c0]"
    "vmovdqa64 zmm8, [rdi+0x200]" "vmovdqa64 zmm9, [rdi+0x240]" "vmovdqa64 zmm10, [rdi+0x280]" "vmovdqa64 zmm11, [rdi+0x2c0]"
    "vmovdqa64 zmm12, [rdi+0x300]" "vmovdqa64 zmm13, [rdi+0x340]" "vmovdqa64 zmm14, [rdi+0x380]" "vmovdqa64 zmm15, [rdi+0x3c0]");
routine!(save_zmm_high(to: *mut [u8; 64])
    "vmovdqa64 [rdi+0x400], zmm16" "vmovdqa64 [rdi+0x440], zmm17" "vmovdqa64 [rdi+0x480], zmm18" "vmovdqa64 [rdi+0x4c0], zmm19"
    "vmovdqa64 [rdi+0x500], zmm20" "vmovdqa64 [rdi+0x540], zmm21" "vmovdqa64 [rdi+0x580], zmm22" "vmovdqa64 [rdi+0x5c0], zmm23"
    "vmovdqa64 [rdi+0x600], zmm24" "vmovdqa64 [rdi+0x640], zmm25" "vmovdqa64 [rdi+0x680], zmm26" "vmovdqa64 [rdi+0x6c0], zmm27"
    "vmovdqa64 [rdi+0x700], zmm28" "vmovdqa64 [rdi+0x740], zmm29" "vmovdqa64 [rdi+0x780], zmm30" "vmovdqa64 [rdi+0x7c0], zmm31");
routine!(load_zmm_high(from: *const [u8; 64])
    "vmovdqa64 zmm16, [rdi+0x400]" "vmovdqa64 zmm17, [rdi+0x440]" "vmovdqa64 zmm18, [rdi+0x480]" "vmovdqa64 zmm19, [rdi+0x4c0]"
    "vmovdqa64 zmm20, [rdi+0x500]" "vmovdqa64 zmm21, [rdi+0x540]" "vmovdqa64 zmm22, [rdi+0x580]" "vmovdqa64 zmm23, [rdi+0x5c0]"
    "vmovdqa64 zmm24, [rdi+0x600]" "vmovdqa64 zmm25, [rdi+0x640]" "vmovdqa64 zmm26, [rdi+0x680]" "vmovdqa64 zmm27, [rdi+0x6c0]"
    "vmovdqa64 zmm28, [rdi+0x700]" "vmovdqa64 zmm29, [rdi+0x740]" "vmovdqa64 zmm30, [rdi+0x780]" "vmovdqa64 zmm31, [rdi+0x7c0]");
routine!(clear_zmm_high()
    "vpxord zmm16, zmm16, zmm16" "vpxord zmm17, zmm17, zmm17" "vpxord zmm18, zmm18, zmm18" "vpxord zmm19, zmm19, zmm19"
    "vpxord zmm20, zmm20, zmm20" "vpxord zmm21, zmm21, zmm21" "vpxord zmm22, zmm22, zmm22" "vpxord zmm23, zmm23, zmm23"
    "vpxord zmm24, zmm24, zmm24" "vpxord zmm25, zmm25, zmm25" "vpxord zmm26, zmm26, zmm26" "vpxord zmm27, zmm27, zmm27"
    "vpxord zmm28, zmm28, zmm28" "vpxord zmm29, zmm29, zmm29" "vpxord zmm30, zmm30, zmm30" "vpxord zmm31, zmm31, zmm31");
routine!(save_masks(to: *mut u64)
    "kmovq [rdi], k0" "kmovq [rdi+8], k1" "kmovq [rdi+16], k2" "kmovq [rdi+24], k3"
    "kmovq [rdi+32], k4" "kmovq [rdi+40], k5" "kmovq [rdi+48], k6" "kmovq [rdi+56], k7");
routine!(load_masks(from: *const u64)
    "kmovq k0, [rdi]" "kmovq k1, [rdi+8]" "kmovq k2, [rdi+16]" "kmovq k3, [rdi+24]"
    "kmovq k4, [rdi+32]" "kmovq k5, [rdi+40]" "kmovq k6, [rdi+48]" "kmovq k7, [rdi+56]");
routine!(clear_masks()
    "kxorq k0, k0, k0" "kxorq k1, k1, k1" "kxorq k2, k2, k2" "kxorq k3, k3, k3"
    "kxorq k4, k4, k4" "kxorq k5, k5, k5" "kxorq k6, k6, k6" "kxorq k7, k7, k7");

/// Offset and bytes of components 0 to 7 in the standard XSAVE layout.
static LAYOUT: Once<[(usize, usize); 8]> = Once::new();

/// Offset and bytes of a component in the standard XSAVE layout.
///
/// Asked once: CPUID costs microseconds in a virtual machine, and SGX does not have it.
pub(crate) fn component(number: u32) -> (usize, usize) {
    let place = number as usize & 7;
    if let Some(layout) = LAYOUT.get() {
        return layout[place];
    }
    let layout = [0, 1, 2, 3, 4, 5, 6, 7].map(|number| {
        let leaf = core::arch::x86_64::__cpuid_count(13, number);
        (leaf.ebx as usize, leaf.eax as usize)
    });
    LAYOUT.set(layout);
    layout[place]
}

/// The components that frames carry on this machine.
fn carried(features: &Features) -> u64 {
    let wide = if features.avx512 { OPMASK | ZMM_HI256 | HI16_ZMM } else { 0 };
    let avx = if features.avx { AVX } else { 0 };
    features.xcr0 & (3 | avx | wide)
}

/// Bytes of a frame's XSAVE image.
pub(crate) fn xsave_size(features: &Features) -> usize {
    let carried = carried(features);
    (2..8)
        .filter(|number| carried >> number & 1 == 1)
        .map(component)
        .map(|(offset, len)| offset + len)
        .max()
        .unwrap_or(LEGACY + HEADER)
}

/// The mask of components for a frame's software bytes.
pub(crate) fn xsave_mask(features: &Features) -> u64 {
    carried(features)
}

/// Writes the state in XSAVE layout; gives the bytes up to the end of what is in use. What lies between
/// is left as it is.
pub(crate) fn to_xsave(
    state: &Extended,
    xmm: &[[u8; 16]; 16],
    features: &Features,
    out: &mut [u8],
) -> usize {
    let size = xsave_size(features);
    let out = &mut out[..size];
    out[..24].fill(0);
    out[32..160].fill(0);
    out[416..LEGACY + HEADER].fill(0);
    if state.in_use & X87 != 0 {
        out[..160].copy_from_slice(&state.legacy[..160]);
    } else {
        out[..2].copy_from_slice(&CONTROL_WORD.to_le_bytes());
    }
    out[24..28].copy_from_slice(&state.mxcsr.to_le_bytes());
    out[28..32].copy_from_slice(&MXCSR_MASK.to_le_bytes());
    for (index, register) in xmm.iter().enumerate() {
        out[160 + 16 * index..176 + 16 * index].copy_from_slice(register);
    }
    let carried = carried(features);
    let mut present = state.in_use & carried | 2;
    if state.in_use & ZMM_HI256 != 0 {
        present |= AVX & carried;
    }
    out[LEGACY..LEGACY + 8].copy_from_slice(&present.to_le_bytes());
    let mut end = LEGACY + HEADER;
    if present & AVX != 0 {
        let (offset, len) = component(2);
        end = end.max(offset + len);
        for index in 0..16 {
            out[offset + 16 * index..][..16].copy_from_slice(&state.vectors[index][16..32]);
        }
    }
    if present & OPMASK != 0 {
        let (offset, len) = component(5);
        end = end.max(offset + len);
        for (index, mask) in state.masks.iter().enumerate() {
            out[offset + 8 * index..][..8].copy_from_slice(&mask.to_le_bytes());
        }
    }
    if present & ZMM_HI256 != 0 {
        let (offset, len) = component(6);
        end = end.max(offset + len);
        for index in 0..16 {
            out[offset + 32 * index..][..32].copy_from_slice(&state.vectors[index][32..]);
        }
    }
    if present & HI16_ZMM != 0 {
        let (offset, len) = component(7);
        end = end.max(offset + len);
        for index in 0..16 {
            out[offset + 64 * index..][..64].copy_from_slice(&state.vectors[16 + index]);
        }
    }
    end
}

/// Takes the state from XSAVE layout; false when it is malformed, with nothing changed.
pub(crate) fn from_xsave(
    state: &mut Extended,
    xmm: &mut [[u8; 16]; 16],
    features: &Features,
    bytes: &[u8],
    full: bool,
) -> bool {
    let size = if full { xsave_size(features) } else { LEGACY };
    let Some(bytes) = bytes.get(..size) else { return false };
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at..at + 8]);
        u64::from_le_bytes(word)
    };
    let present = if full { word(LEGACY) } else { 3 };
    let mxcsr = u32::try_from(word(24) & 0xffff_ffff).unwrap_or(u32::MAX);
    let reserved_clear = !full || bytes[LEGACY + 8..LEGACY + HEADER].iter().all(|byte| *byte == 0);
    if present & !carried(features) != 0 || mxcsr & !MXCSR_MASK != 0 || !reserved_clear {
        return false;
    }
    state.in_use = present & !2;
    state.mxcsr = if present & (2 | AVX) != 0 { mxcsr } else { MXCSR };
    if present & X87 != 0 {
        state.legacy.copy_from_slice(&bytes[..LEGACY]);
        state.legacy[24..28].copy_from_slice(&mxcsr.to_le_bytes());
        state.legacy[464..].fill(0);
    }
    for (index, register) in xmm.iter_mut().enumerate() {
        if present & 2 == 0 {
            register.fill(0);
        } else {
            register.copy_from_slice(&bytes[160 + 16 * index..176 + 16 * index]);
        }
    }
    if present & AVX != 0 {
        let (offset, _) = component(2);
        for index in 0..16 {
            state.vectors[index][16..32].copy_from_slice(&bytes[offset + 16 * index..][..16]);
        }
    } else if present & ZMM_HI256 != 0 {
        // Loaded with the upper halves.
        state.vectors[..16].iter_mut().for_each(|register| register[16..32].fill(0));
    }
    if present & OPMASK != 0 {
        let (offset, _) = component(5);
        for (index, mask) in state.masks.iter_mut().enumerate() {
            *mask = word(offset + 8 * index);
        }
    }
    if present & ZMM_HI256 != 0 {
        let (offset, _) = component(6);
        for index in 0..16 {
            state.vectors[index][32..].copy_from_slice(&bytes[offset + 32 * index..][..32]);
        }
    }
    if present & HI16_ZMM != 0 {
        let (offset, _) = component(7);
        for index in 0..16 {
            state.vectors[16 + index].copy_from_slice(&bytes[offset + 64 * index..][..64]);
        }
    }
    true
}
