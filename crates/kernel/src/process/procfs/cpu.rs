//! Processors.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::arch::x86_64::__cpuid_count;
use core::fmt::Write as _;
use core::sync::atomic::Ordering;

use platform::clock;

use super::system::ticks;
use crate::Kernel;

/// Features as `/proc/cpuinfo` calls them: leaf, subleaf, register (0 eax … 3 edx), bit.
const FLAGS: [(&str, u32, u32, usize, u32); 56] = [
    ("fpu", 1, 0, 3, 0),
    ("tsc", 1, 0, 3, 4),
    ("cx8", 1, 0, 3, 8),
    ("sep", 1, 0, 3, 11),
    ("cmov", 1, 0, 3, 15),
    ("clflush", 1, 0, 3, 19),
    ("mmx", 1, 0, 3, 23),
    ("fxsr", 1, 0, 3, 24),
    ("sse", 1, 0, 3, 25),
    ("sse2", 1, 0, 3, 26),
    ("ht", 1, 0, 3, 28),
    ("syscall", 0x8000_0001, 0, 3, 11),
    ("nx", 0x8000_0001, 0, 3, 20),
    ("pdpe1gb", 0x8000_0001, 0, 3, 26),
    ("rdtscp", 0x8000_0001, 0, 3, 27),
    ("lm", 0x8000_0001, 0, 3, 29),
    ("pni", 1, 0, 2, 0),
    ("pclmulqdq", 1, 0, 2, 1),
    ("ssse3", 1, 0, 2, 9),
    ("fma", 1, 0, 2, 12),
    ("cx16", 1, 0, 2, 13),
    ("sse4_1", 1, 0, 2, 19),
    ("sse4_2", 1, 0, 2, 20),
    ("movbe", 1, 0, 2, 22),
    ("popcnt", 1, 0, 2, 23),
    ("aes", 1, 0, 2, 25),
    ("xsave", 1, 0, 2, 26),
    ("avx", 1, 0, 2, 28),
    ("f16c", 1, 0, 2, 29),
    ("rdrand", 1, 0, 2, 30),
    ("hypervisor", 1, 0, 2, 31),
    ("lahf_lm", 0x8000_0001, 0, 2, 0),
    ("abm", 0x8000_0001, 0, 2, 5),
    ("sse4a", 0x8000_0001, 0, 2, 6),
    ("misalignsse", 0x8000_0001, 0, 2, 7),
    ("3dnowprefetch", 0x8000_0001, 0, 2, 8),
    ("fsgsbase", 7, 0, 1, 0),
    ("bmi1", 7, 0, 1, 3),
    ("avx2", 7, 0, 1, 5),
    ("bmi2", 7, 0, 1, 8),
    ("erms", 7, 0, 1, 9),
    ("rdseed", 7, 0, 1, 18),
    ("adx", 7, 0, 1, 19),
    ("clflushopt", 7, 0, 1, 23),
    ("clwb", 7, 0, 1, 24),
    ("sha_ni", 7, 0, 1, 29),
    ("gfni", 7, 0, 2, 8),
    ("vaes", 7, 0, 2, 9),
    ("vpclmulqdq", 7, 0, 2, 10),
    ("rdpid", 7, 0, 2, 22),
    ("avx512f", 7, 0, 1, 16),
    ("avx512dq", 7, 0, 1, 17),
    ("avx512cd", 7, 0, 1, 28),
    ("avx512bw", 7, 0, 1, 30),
    ("avx512vl", 7, 0, 1, 31),
    ("avx512_vnni", 7, 0, 2, 11),
];
/// Features whose state the enclave does not keep when it is started without AVX-512.
const WIDE: &str = "avx512";

fn registers(leaf: u32, subleaf: u32) -> [u32; 4] {
    let found = __cpuid_count(leaf, subleaf);
    [found.eax, found.ebx, found.ecx, found.edx]
}

fn text_of(words: &[u32]) -> String {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = String::from_utf8_lossy(&bytes);
    text.trim_matches(|letter: char| letter == '\0' || letter == ' ').into()
}

/// Family, model and stepping, as Linux combines their parts.
fn identity() -> (u32, u32, u32) {
    let [signature, ..] = registers(1, 0);
    let mut family = signature >> 8 & 0xf;
    let mut model = signature >> 4 & 0xf;
    if family == 0xf {
        family += signature >> 20 & 0xff;
    }
    if family >= 6 {
        model |= (signature >> 16 & 0xf) << 4;
    }
    (family, model, signature & 0xf)
}

fn name() -> String {
    let words: Vec<u32> = (0x8000_0002..=0x8000_0004).flat_map(|leaf| registers(leaf, 0)).collect();
    text_of(&words)
}

fn flags() -> String {
    let wide = platform::cpu::features().avx512;
    let [most, ..] = registers(0, 0);
    let mut text = String::new();
    for (name, leaf, subleaf, register, bit) in FLAGS {
        let known = leaf >= 0x8000_0000 || leaf <= most;
        let has = known && registers(leaf, subleaf)[register] >> bit & 1 == 1;
        if has && (wide || !name.starts_with(WIDE)) {
            text += if text.is_empty() { "" } else { " " };
            text += name;
        }
    }
    text
}

/// The size that Linux calls a processor's cache size, KiB: the last level on Intel's, the second on others.
fn cache_size() -> u64 {
    let [most, ..] = registers(0, 0);
    let mut largest = 0;
    // AMD's leaf 4 is empty, which ends the loop at once.
    for subleaf in 0..if most >= 4 { 8 } else { 0 } {
        let [kind, shape, sets, _] = registers(4, subleaf).map(u64::from);
        if kind.trailing_zeros() >= 5 {
            break;
        }
        let lines = ((shape >> 22) + 1) * ((shape >> 12 & 0x3ff) + 1) * (sets + 1);
        largest = largest.max(lines / 64 * ((shape & 0xfff) + 1) / 16);
    }
    let [.., second, _] = registers(0x8000_0006, 0);
    if largest > 0 { largest } else { u64::from(second >> 16) }
}

/// `/proc/cpuinfo`.
pub(super) fn info(kernel: &Kernel) -> Vec<u8> {
    let [_, ebx, ecx, edx] = registers(0, 0);
    let vendor = text_of(&[ebx, edx, ecx]);
    let (family, model, stepping) = identity();
    let (name, flags) = (name(), flags());
    let (megahertz, cache) = (hertz() / 1_000_000, cache_size());
    let vcpus = kernel.executor.vcpus();
    let mut text = String::new();
    for index in 0..vcpus {
        let _ = write!(
            text,
            "processor\t: {index}\nvendor_id\t: {vendor}\ncpu family\t: {family}\n\
             model\t\t: {model}\nmodel name\t: {name}\nstepping\t: {stepping}\n\
             cpu MHz\t\t: {megahertz}.000\ncache size\t: {cache} KB\n\
             physical id\t: 0\nsiblings\t: {vcpus}\ncore id\t\t: {index}\ncpu cores\t: {vcpus}\napicid\t\t: {index}\n\
             initial apicid\t: {index}\nfpu\t\t: yes\nfpu_exception\t: yes\nwp\t\t: yes\n\
             flags\t\t: {flags}\nbogomips\t: {}.00\nclflush size\t: 64\n\
             cache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits virtual\n\
             power management:\n\n",
            2 * megahertz,
        );
    }
    text.into_bytes()
}

/// Ticks of the time-stamp counter in a second, from the clock's scale (32.32 ns of a tick).
fn hertz() -> u64 {
    let (_, scale, ..) = clock::parameters();
    let ticks = (u128::from(clock::SECOND) << 32) / u128::from(scale.max(1));
    u64::try_from(ticks).unwrap_or(0)
}

/// Processor time that all living processes have used, ns.
pub(super) fn used(kernel: &Kernel) -> u64 {
    kernel.registry.processes().iter().map(|process| process.cpu_time()).sum()
}

/// Threads that run now, and all threads.
pub(super) fn threads(kernel: &Kernel) -> (usize, usize) {
    let mut counts = (0, 0);
    for process in kernel.registry.processes() {
        for thread in process.threads.lock().values() {
            counts.0 += usize::from(thread.slice_started.load(Ordering::Relaxed) != 0);
            counts.1 += 1;
        }
    }
    counts
}

/// `/proc/stat`. The time used is told as the user's, evenly for all vCPUs.
pub(super) fn stat(kernel: &Kernel) -> Vec<u8> {
    let vcpus = kernel.executor.vcpus();
    let count = vcpus as u64;
    let up = clock::now().saturating_sub(kernel.settings.started);
    let busy = used(kernel).min(up * count);
    let idle = up * count - busy;
    let row = |name: &str, busy: u64, idle: u64| {
        format!("{name} {} 0 0 {} 0 0 0 0 0 0\n", ticks(busy), ticks(idle))
    };
    let mut text = row("cpu ", busy, idle);
    for index in 0..vcpus {
        text += &row(&format!("cpu{index}"), busy / count, idle / count);
    }
    let switches: u64 = (0..vcpus).map(|vcpu| kernel.executor.counters(vcpu).polls).sum();
    let (running, _) = threads(kernel);
    let processes = kernel.registry.processes().len();
    let _ = write!(
        text,
        "intr 0\nctxt {switches}\nbtime {}\nprocesses {processes}\nprocs_running {running}\n\
         procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
        kernel.settings.boot_time,
    );
    text.into_bytes()
}
