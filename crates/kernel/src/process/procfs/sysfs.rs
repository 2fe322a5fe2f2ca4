//! `/sys`: the processors, and what page sizes programs ask for.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use vfs::node::Kind;

use super::node::{Fixed, Item, Listing, Row, constant, folder, made};
use crate::Kernel;

/// Positions from here on are those of processors, by number.
const NUMBERED: u64 = 1024;

/// The root folder.
pub(super) fn root(kernel: &'static Kernel) -> Box<dyn Listing> {
    let huge = alloc::vec![
        ("enabled", constant("always [madvise] never\n")),
        ("hpage_pmd_size", constant("2097152\n")),
    ];
    let memory = alloc::vec![("transparent_hugepage", folder(huge))];
    let cpu = Arc::new(Fixed(alloc::vec![
        ("kernel_max", constant("63\n")),
        ("offline", constant("\n")),
        ("online", made(move || range(kernel))),
        ("possible", made(move || range(kernel))),
        ("present", made(move || range(kernel))),
    ]));
    let cpus = move || Item::Folder(Box::new(Processors { kernel, fixed: Arc::clone(&cpu) }));
    let system: Vec<(&'static str, super::node::Make)> =
        alloc::vec![("cpu", Box::new(cpus)), ("node", folder(nodes(kernel)))];
    Box::new(Fixed(alloc::vec![
        ("devices", folder(alloc::vec![("system", folder(system))])),
        ("fs", folder(alloc::vec![("cgroup", folder(alloc::vec![]))])),
        ("kernel", folder(alloc::vec![("mm", folder(memory))])),
    ]))
}

/// The one node that all memory and all vCPUs belong to.
fn nodes(kernel: &'static Kernel) -> Vec<(&'static str, super::node::Make)> {
    let map = move || {
        let all = u64::MAX >> (64 - kernel.executor.vcpus().clamp(1, 64));
        if all > u64::from(u32::MAX) {
            format!("{:08x},{:08x}\n", all >> 32, all & 0xffff_ffff).into_bytes()
        } else {
            format!("{all:x}\n").into_bytes()
        }
    };
    let node = alloc::vec![
        ("cpulist", made(move || range(kernel))),
        ("cpumap", made(map)),
        ("distance", constant("10\n")),
    ];
    alloc::vec![
        ("has_cpu", constant("0\n")),
        ("has_memory", constant("0\n")),
        ("has_normal_memory", constant("0\n")),
        ("node0", folder(node)),
        ("online", constant("0\n")),
        ("possible", constant("0\n")),
    ]
}

/// All vCPUs, as a list of ranges.
fn range(kernel: &Kernel) -> Vec<u8> {
    match kernel.executor.vcpus() {
        0 | 1 => b"0\n".to_vec(),
        vcpus => format!("0-{}\n", vcpus - 1).into_bytes(),
    }
}

struct Processors {
    kernel: &'static Kernel,
    fixed: Arc<Fixed>,
}

impl Listing for Processors {
    fn find(&self, name: &[u8]) -> Option<Item> {
        if let Some(item) = self.fixed.find(name) {
            return Some(item);
        }
        let index = super::system::number(name.strip_prefix(b"cpu")?)?;
        let kernel = self.kernel;
        if index as usize >= kernel.executor.vcpus() {
            return None;
        }
        let alone = move || {
            let bit = 1_u64 << index;
            format!("{bit:x}\n").into_bytes()
        };
        let list = move || format!("{index}\n").into_bytes();
        let topology = alloc::vec![
            ("core_cpus_list", made(list)),
            ("core_id", made(list)),
            ("core_siblings_list", made(move || range(kernel))),
            ("package_cpus_list", made(move || range(kernel))),
            ("physical_package_id", constant("0\n")),
            ("thread_siblings", made(alone)),
            ("thread_siblings_list", made(list)),
        ];
        let entries = alloc::vec![("topology", folder(topology))];
        Some(Item::Folder(Box::new(Fixed(entries))))
    }

    fn rows(&self, position: u64) -> Vec<Row> {
        let fixed = if position < NUMBERED { self.fixed.rows(position) } else { Vec::new() };
        if !fixed.is_empty() {
            return fixed;
        }
        let from = position.saturating_sub(NUMBERED);
        (from..self.kernel.executor.vcpus() as u64)
            .map(|index| Row {
                position: NUMBERED + index,
                name: format!("cpu{index}").into_bytes(),
                kind: Kind::Directory,
            })
            .collect()
    }
}
