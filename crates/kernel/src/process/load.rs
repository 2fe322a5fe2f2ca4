//! Loading a program (stopgap).

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::mount::Place;

use crate::Kernel;
use crate::context::write_bytes;
use crate::memory::map::{MapFlags, Request};
use crate::memory::Prot;
use crate::process::{Process, Program};

pub struct Loaded {
    pub entry: u64,
    pub stack_pointer: u64,
    pub program: Program,
}

pub async fn find(_: &'static Kernel, process: &Arc<Process>, name: &[u8], environment: &[Vec<u8>]) -> Result<Place> {
    let directories = process.directories.lock().clone();
    let who = Arc::clone(&process.credentials.lock());
    let start = vfs::path::Start::new(&directories.root, &directories.current, &who);
    if name.contains(&b'/') {
        return vfs::path::resolve(start, name, vfs::path::Last::Follow).await;
    }
    let path = environment.iter().find_map(|e| e.strip_prefix(b"PATH=")).unwrap_or(b"/usr/local/bin:/usr/bin:/bin");
    for directory in path.split(|b| *b == b':') {
        let mut full = directory.to_vec();
        full.push(b'/');
        full.extend(name);
        if let Ok(place) = vfs::path::resolve(start, &full, vfs::path::Last::Follow).await {
            return Ok(place);
        }
    }
    Err(Errno::ENOENT.into())
}

pub fn short_name(path: &[u8]) -> [u8; 16] {
    let base = path.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let mut name = [0; 16];
    let len = base.len().min(15);
    name[..len].copy_from_slice(&base[..len]);
    name
}

struct Image { entry: u64, bias: u64, phdr: u64, phnum: u64, interp: Option<Vec<u8>>, end: u64 }

async fn map(process: &Arc<Process>, place: &Place, base: u64) -> Result<Image> {
    let pages = vfs::object::Object::pages(&**place.node()).ok_or(Errno::EACCES)?;
    pages.fill(0, 4096).await?;
    let mut head = [0_u8; 4096];
    let _ = pages.read_bytes(0, &mut head);
    if &head[..4] != b"\x7fELF" { return Err(Errno::ENOEXEC.into()); }
    let u16a = |at: usize| u64::from(u16::from_le_bytes([head[at], head[at + 1]]));
    let u32a = |at: usize| u64::from(u32::from_le_bytes(head[at..at + 4].try_into().unwrap_or_default()));
    let u64a = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().unwrap_or_default());
    let (kind, entry, phoff, phnum) = (u16a(16), u64a(24), u64a(32), u16a(56));
    let bias = if kind == 3 { base } else { 0 };
    let mut image = Image { entry: entry + bias, bias, phdr: 0, phnum, interp: None, end: 0 };
    for n in 0..phnum {
        let at = usize::try_from(phoff + n * 56).unwrap_or(0);
        let (ptype, flags, offset, vaddr, filesz, memsz) = (u32a(at), u32a(at + 4), u64a(at + 8), u64a(at + 16), u64a(at + 32), u64a(at + 40));
        if ptype == 3 {
            let mut name = alloc::vec![0; usize::try_from(filesz - 1).unwrap_or(0)];
            let _ = pages.read_bytes(offset, &mut name);
            image.interp = Some(name);
        }
        if ptype == 6 { image.phdr = bias + vaddr; }
        if ptype != 1 { continue; }
        if image.phdr == 0 && offset == 0 { image.phdr = bias + vaddr + phoff; }
        let mut prot = Prot::empty();
        if flags & 4 != 0 { prot |= Prot::READ; }
        if flags & 2 != 0 { prot |= Prot::WRITE; }
        if flags & 1 != 0 { prot |= Prot::EXEC; }
        let start = (bias + vaddr) & !4095;
        let skew = (bias + vaddr) - start;
        let file_end = bias + vaddr + filesz;
        let mem_end = (bias + vaddr + memsz + 4095) & !4095;
        let fixed = MapFlags::FIXED;
        let file_pages_end = (file_end + 4095) & !4095;
        if filesz > 0 {
            process.memory.map(&Request::private_file(start, file_pages_end - start, prot, fixed, Arc::clone(&pages), None, offset - skew))?;
        }
        if mem_end > file_pages_end {
            process.memory.map(&Request::anonymous(file_pages_end.max(start), mem_end - file_pages_end.max(start), prot, fixed))?;
        }
        if memsz > filesz && filesz > 0 && file_end < file_pages_end && prot.contains(Prot::WRITE) {
            let zeros = alloc::vec![0; usize::try_from(file_pages_end - file_end).unwrap_or(0)];
            write_bytes(&process.memory, file_end, &zeros)?;
        }
        image.end = image.end.max(bias + vaddr + memsz);
    }
    Ok(image)
}

pub async fn load(kernel: &'static Kernel, process: &Arc<Process>, place: &Place, arguments: Vec<Vec<u8>>, environment: Vec<Vec<u8>>) -> Result<Loaded> {
    let image = map(process, place, 0x5555_5555_4000 / 4).await?;
    let mut entry = image.entry;
    let mut base = 0;
    if let Some(interp) = &image.interp {
        let interp = find(kernel, process, interp, &environment).await?;
        let loaded = map(process, &interp, 0x1000_0000_0000).await?;
        entry = loaded.entry;
        base = loaded.bias;
    }
    let heap = (image.end + 4095) & !4095;
    process.memory.set_heap(heap);
    let top = 0x3000_0000_0000_u64;
    process.memory.map(&Request::anonymous(top - (8 << 20), 8 << 20, Prot::READ | Prot::WRITE, MapFlags::FIXED))?;
    let mut at = top - 16;
    let put = |bytes: &[u8], at: &mut u64| -> Result<u64> {
        *at -= bytes.len() as u64 + 1;
        write_bytes(&process.memory, *at, bytes)?;
        write_bytes(&process.memory, *at + bytes.len() as u64, &[0])?;
        Ok(*at)
    };
    let path = place.path(&kernel.mounts.root()).bytes;
    let execfn = put(&path, &mut at)?;
    let mut envs = Vec::new();
    for e in environment.iter().rev() { envs.push(put(e, &mut at)?); }
    envs.reverse();
    let mut args = Vec::new();
    for a in arguments.iter().rev() { args.push(put(a, &mut at)?); }
    args.reverse();
    let mut random = [0; 16];
    platform::random::fill(&mut random);
    at -= 16;
    let random_at = at;
    write_bytes(&process.memory, at, &random)?;
    at &= !15;
    let who = Arc::clone(&process.credentials.lock());
    let _ = who;
    let auxiliary = alloc::vec![(6_u64, 4096_u64), (3, image.phdr), (4, 56), (5, image.phnum), (7, base), (8, 0), (9, image.entry), (11, 0), (12, 0), (13, 0), (14, 0), (17, 100), (23, 0), (25, random_at), (31, execfn), (26, 0), (51, 4096), (0, 0)];
    let mut words = alloc::vec![args.len() as u64];
    words.extend(&args);
    words.push(0);
    words.extend(&envs);
    words.push(0);
    for (k, v) in &auxiliary { words.push(*k); words.push(*v); }
    at -= 8 * words.len() as u64;
    at &= !15;
    let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    write_bytes(&process.memory, at, &bytes)?;
    let program = Program { path, place: Some(place.clone()), arguments, environment, auxiliary, heap_start: heap, stack_top: top };
    Ok(Loaded { entry, stack_pointer: at, program })
}
