//! Loading programs: from a file to an entry point and a stack.
//!
//! Two steps, because execve(2) has a point of no return between them:
//!
//! ```text
//! find(kernel, &process, name, &environment).await -> Found          a program by name, as a shell finds it
//! load(kernel, &process, &found, arguments, environment).await -> Loaded   both steps, for an empty space
//!
//! Executable::open(place, &who) -> Executable          may it be run?
//! prepare(kernel, &process, Wanted).await -> Prepared  all that can fail with an errno; changes nothing
//! prepared.install(&process).await -> Loaded           maps into the process's cleared space
//! ```
//!
//! Trusted; the files are not. Text and data come from the page cache, by private mappings.
//!
//! Neighbours: [`crate::process::elf`] reads the files, `memory` maps, [`crate::process::vdso`] is
//! mapped along.
//!
//! Source: execve(2), elf(5), getauxval(3).

mod executable;
mod script;
mod segments;
mod stack;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::Ordering;

use abi::Errno;
use abi::errno::Result;
use abi::layout::PAGE;
use vfs::credentials::{Capabilities, Credentials};
use vfs::mount::{Flags, Place};
use vfs::node::{SET_GID, SET_UID};

pub use crate::process::load::executable::{Executable, Running};

use crate::Kernel;
use crate::memory::{Limit, Prot, Space, page_down, page_up};
use crate::process::elf::{self, Elf, Plan, Role, Stack, Type};
use crate::process::limits::Resource;
use crate::process::load::executable::Image;
use crate::process::{Process, Program, vdso};

/// Where programs are looked for when the environment has no PATH.
const PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
/// How many `#!` lines may lead to the program.
const SCRIPTS_MAX: usize = 5;
/// The permission of a set-group-ID file without which its bit means something else.
const GROUP_EXECUTE: u32 = 0o010;

/// A program that was found, and the name under which.
pub struct Found {
    /// Where it is.
    pub place: Place,
    /// The path that led there.
    pub name: Vec<u8>,
}

/// What is to be run.
pub struct Wanted {
    /// The file.
    pub file: Executable,
    /// The path that led there, for `AT_EXECFN` and for the interpreter of a script.
    pub name: Vec<u8>,
    /// The path leads nowhere once the program runs, so that no interpreter could open it.
    pub inaccessible: bool,
    /// Arguments; none counts as one that is empty.
    pub arguments: Vec<Vec<u8>>,
    /// Environment.
    pub environment: Vec<Vec<u8>>,
    /// Set-ID bits count: not after `PR_SET_NO_NEW_PRIVS`.
    pub privileges: bool,
}

/// A program that can be run as far as can be told before it is mapped.
pub struct Prepared {
    kernel: &'static Kernel,
    program: Image,
    interpreter: Option<Image>,
    name: Vec<u8>,
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
    credentials: Arc<Credentials>,
    /// Nobody who could not read the file may look into the process.
    hidden: bool,
}

/// A program in memory.
pub struct Loaded {
    /// Where to begin: in the interpreter, if there is one.
    pub entry: u64,
    /// The stack pointer to begin with.
    pub stack_pointer: u64,
    /// Name of the first thread, NUL-padded.
    pub name: [u8; 16],
    /// It acts with more rights than its starter.
    pub secure: bool,
    /// For procfs.
    pub program: Program,
}

/// Finds a program by its name as execvp(3) does: along PATH unless it has a slash.
///
/// # Errors
/// ENOENT; EACCES when only files were found that can't be run; those of the walk.
pub async fn find(
    _: &'static Kernel,
    process: &Arc<Process>,
    name: &[u8],
    environment: &[Vec<u8>],
) -> Result<Found> {
    let directories = process.directories.lock().clone();
    let who = Arc::clone(&process.credentials.lock());
    let start = vfs::path::Start::new(&directories.root, &directories.current, &who);
    if name.contains(&b'/') {
        let place = vfs::path::resolve(start, name, vfs::path::Last::Follow).await?;
        return Ok(Found { place, name: name.to_vec() });
    }
    let path = environment.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or(PATH);
    let mut refusal = Errno::ENOENT.because("not in PATH");
    for directory in path.split(|byte| *byte == b':') {
        let mut full = directory.to_vec();
        if !full.is_empty() {
            full.push(b'/');
        }
        full.extend_from_slice(name);
        let found = match vfs::path::resolve(start, &full, vfs::path::Last::Follow).await {
            Ok(place) => vfs::opening::check_runnable(&place, &who).map(|()| place),
            Err(error) => Err(error),
        };
        match found {
            Ok(place) => return Ok(Found { place, name: full }),
            Err(error) if error.errno == Errno::EACCES => refusal = error,
            Err(error) if [Errno::ENOENT, Errno::ENOTDIR].contains(&error.errno) => {}
            Err(error) => return Err(error),
        }
    }
    Err(refusal)
}

/// The name of a thread that runs the program at `path`.
pub fn short_name(path: &[u8]) -> [u8; 16] {
    let base = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let mut name = [0; 16];
    let len = base.len().min(15);
    name[..len].copy_from_slice(&base[..len]);
    name
}

/// Loads a process's first program into its empty space.
///
/// # Errors
/// Those of execve(2), and what execve could only answer by ending the process.
pub async fn load(
    kernel: &'static Kernel,
    process: &Arc<Process>,
    found: &Found,
    arguments: Vec<Vec<u8>>,
    environment: Vec<Vec<u8>>,
) -> Result<Loaded> {
    let who = Arc::clone(&process.credentials.lock());
    let wanted = Wanted {
        file: Executable::open(&found.place, &who).await?,
        name: found.name.clone(),
        inaccessible: false,
        arguments,
        environment,
        privileges: true,
    };
    prepare(kernel, process, wanted).await?.install(process).await
}

/// The bytes that arguments and environment may take together, with their pointers (execve(2)).
pub fn arguments_limit(process: &Process) -> usize {
    stack::strings_limit(process.limits.soft(Resource::Stack))
}

/// Looks at everything that may refuse a program: scripts, headers, the interpreter, lengths.
///
/// # Errors
/// ENOEXEC, ELIBBAD, ELOOP, E2BIG, EACCES, ENOENT, EIO, ETXTBSY and those of the walk, as execve(2).
pub async fn prepare(
    kernel: &'static Kernel,
    process: &Arc<Process>,
    mut wanted: Wanted,
) -> Result<Prepared> {
    if wanted.arguments.is_empty() {
        wanted.arguments.push(Vec::new());
    }
    let who = Arc::clone(&process.credentials.lock());
    let mut path = wanted.name.clone();
    let mut scripts = 0;
    while let Some(script) = script::parse(&wanted.file.head)? {
        if wanted.inaccessible {
            return Err(Errno::ENOENT.because("the interpreter could not open the script"));
        }
        let interpreter = script.interpreter.to_vec();
        let leading = [Some(script.interpreter), script.argument, Some(&path[..])];
        let leading: Vec<_> = leading.into_iter().flatten().map(<[u8]>::to_vec).collect();
        wanted.arguments.splice(..1, leading);
        check_size(process, &wanted)?;
        wanted.file = open(process, &who, &interpreter).await?;
        path = interpreter;
        scripts += 1;
        if scripts > SCRIPTS_MAX {
            return Err(Errno::ELOOP.because("too many scripts run one another"));
        }
    }
    check_size(process, &wanted)?;
    let program = Image::read(wanted.file, Role::Program).await?;
    let interpreter = match program.interpreter().await? {
        Some(path) => {
            // An empty name is the working directory, which is no file.
            let path = if path.is_empty() { &b"."[..] } else { &path };
            let file = open(process, &who, path).await?;
            if file.pages.size() < elf::HEAD as u64 {
                return Err(Errno::EIO.because("the interpreter is shorter than an ELF header"));
            }
            Some(Image::read(file, Role::Interpreter).await?)
        }
        None => None,
    };
    let hidden =
        who.check(program.file.place.node().owner(), vfs::credentials::Access::READ).is_err();
    let credentials = Arc::new(new_credentials(&who, &program.file.place, wanted.privileges));
    let Wanted { name, arguments, environment, .. } = wanted;
    Ok(Prepared { kernel, program, interpreter, name, arguments, environment, credentials, hidden })
}

fn check_size(process: &Process, wanted: &Wanted) -> Result<()> {
    stack::check(&wanted.name, &wanted.arguments, &wanted.environment, arguments_limit(process))
}

/// Opens an interpreter by its path.
async fn open(process: &Process, who: &Credentials, path: &[u8]) -> Result<Executable> {
    let directories = process.directories.lock().clone();
    let start = vfs::path::Start::new(&directories.root, &directories.current, who);
    let place = vfs::path::resolve(start, path, vfs::path::Last::Follow).await?;
    Executable::open(&place, who).await
}

/// Who the program acts as (execve(2), "Effect of execve on capabilities" in capabilities(7)).
fn new_credentials(old: &Credentials, place: &Place, privileges: bool) -> Credentials {
    let mut new = old.clone();
    let owner = place.node().owner();
    if privileges && !place.mount.flags().contains(Flags::NO_SUID) {
        if owner.mode & SET_UID != 0 {
            new.euid = owner.uid;
        }
        if owner.mode & (SET_GID | GROUP_EXECUTE) == SET_GID | GROUP_EXECUTE {
            new.egid = owner.gid;
        }
    }
    (new.suid, new.fsuid) = (new.euid, new.euid);
    (new.sgid, new.fsgid) = (new.egid, new.egid);
    let is_root = new.uid == 0 || new.euid == 0;
    new.permitted = if is_root { Capabilities::ALL } else { Capabilities::empty() };
    new.effective = if new.euid == 0 { Capabilities::ALL } else { Capabilities::empty() };
    new
}

impl Prepared {
    /// Maps the program, its interpreter, the vDSO and the stack into the process's space, which is
    /// empty, and gives the process its new identity.
    ///
    /// # Errors
    /// EINVAL, ENOMEM, EPERM, EFAULT. The space is left as it is then: the process must end.
    pub async fn install(self, process: &Arc<Process>) -> Result<Loaded> {
        let space = &process.memory;
        let soft = |resource| process.limits.soft(resource);
        space.set_limit(Limit::AddressSpace, soft(Resource::AddressSpace));
        space.set_limit(Limit::Stack, soft(Resource::Stack));
        space.set_limit(Limit::Data, soft(Resource::Data));
        let region = space.region();
        let plan = self.program.elf.plan(region.end)?;
        let interpreter =
            self.interpreter.as_ref().map(|image| image.elf.plan(region.end)).transpose()?;
        let bias = place_program(space, &self.program.elf, &plan, interpreter.is_some())?;
        segments::map(space, &self.program.file, &plan, bias).await?;
        let own_entry = self.program.elf.head.entry.wrapping_add(bias);
        let mut entry = own_entry;
        let mut base = 0;
        if let (Some(image), Some(plan)) = (&self.interpreter, &interpreter) {
            base = place_away(space, &image.elf, plan)?;
            segments::map(space, &image.file, plan, base).await?;
            entry = image.elf.head.entry.wrapping_add(base);
        }
        if own_entry >= region.end || entry >= region.end {
            return Err(Errno::EINVAL.because("the program begins beyond the user region"));
        }
        let heap = heap_start(&region, &self.program.elf, &plan, bias, interpreter.is_some());
        space.set_heap(heap);
        let vdso = vdso::map(space)?;
        let origin = stack::Origin {
            vdso,
            // As on Linux, moved even where no segment has it.
            table: self.program.elf.table_address().wrapping_add(bias),
            count: self.program.elf.head.count,
            base,
            entry: own_entry,
        };
        self.finish(process, entry, heap, &origin)
    }

    /// Makes the stack, and the process what the program wants it to be.
    fn finish(
        self,
        process: &Arc<Process>,
        entry: u64,
        heap_start: u64,
        origin: &stack::Origin,
    ) -> Result<Loaded> {
        let credentials = self.credentials;
        let secure = credentials.euid != credentials.uid || credentials.egid != credentials.gid;
        let mut prot = Prot::READ | Prot::WRITE;
        prot.set(Prot::EXEC, self.program.elf.stack() == Some(Stack::Executable));
        let strings = stack::Strings {
            name: &self.name,
            arguments: &self.arguments,
            environment: &self.environment,
        };
        let top = stack::build(&process.memory, prot, &strings, origin, &credentials)?;
        process.dumpable.store(u32::from(!secure && !self.hidden), Ordering::Relaxed);
        *process.credentials.lock() = credentials;
        let file = self.program.file;
        let program = Program {
            path: file.place.path(&self.kernel.mounts.root()).bytes,
            place: Some(file.place.clone()),
            running: Some(file.running),
            arguments: self.arguments,
            environment: self.environment,
            auxiliary: top.auxiliary,
            heap_start,
            stack_top: top.pointer,
        };
        let name = short_name(&self.name);
        Ok(Loaded { entry, stack_pointer: top.pointer, name, secure, program })
    }
}

/// By how much the program is moved, its place checked to be in the region.
fn place_program(space: &Space, elf: &Elf, plan: &Plan, interpreted: bool) -> Result<u64> {
    if elf.head.kind == Type::Fixed {
        if !plan.span.is_empty() && plan.span.start < space.region().start {
            return Err(Errno::EPERM.because("nothing can be mapped below 64 KiB"));
        }
        return Ok(0);
    }
    if !interpreted {
        return place_away(space, elf, plan); // a program that may load others: away from where those go
    }
    let region = space.region();
    let start = programs_start(&region, plan.align);
    let len = plan.span.end - plan.span.start;
    if start.checked_add(len).is_none_or(|end| end > region.end - region.end / 16) {
        return place_away(space, elf, plan);
    }
    Ok(start.wrapping_sub(plan.span.start))
}

/// By how much a file is moved that goes to the area of mappings.
fn place_away(space: &Space, elf: &Elf, plan: &Plan) -> Result<u64> {
    match elf.head.kind {
        Type::Fixed => Ok(0),
        Type::Relocatable => {
            let len = plan.span.end - plan.span.start;
            let start = segments::find_place(space, len, plan.align)?;
            Ok(start.wrapping_sub(plan.span.start))
        }
    }
}

/// Where programs that may be moved begin: at two thirds of the region, as Linux has it, plus a random
/// distance.
fn programs_start(region: &Range<u64>, align: u64) -> u64 {
    let start = region.end / 3 * 2 + random_pages((region.end / 32).min(1 << 40));
    start & !(align.max(PAGE) - 1)
}

/// So far behind a program lead the jumps that most of its rewritten system calls become: what follows a
/// `syscall` in C libraries is `cmp $-4095,%rax` or `cmp $-4096,%rax`, whose bytes are the distance. A
/// heap there would leave them trapping.
const JUMPED_TO: u64 = 0x0140_0000;

/// Where the heap begins: a random distance behind the program; behind where programs begin when
/// this one lies among the mappings.
fn heap_start(region: &Range<u64>, elf: &Elf, plan: &Plan, bias: u64, interpreted: bool) -> u64 {
    let behind = if elf.head.kind == Type::Relocatable && !interpreted {
        programs_start(region, PAGE)
    } else {
        page_up(plan.end.wrapping_add(bias)).unwrap_or(region.end)
    };
    heap_behind(behind, region.end)
}

fn heap_behind(program: u64, region_end: u64) -> u64 {
    let distance = JUMPED_TO + random_pages((region_end / 64).min(1 << 30));
    let wanted = program.saturating_add(distance);
    if wanted < region_end { wanted } else { program.min(page_down(region_end)) }
}

/// A random distance of whole pages below `most` bytes.
fn random_pages(most: u64) -> u64 {
    page_down(platform::random::next() % most.max(1))
}

#[cfg(test)]
mod tests {
    use super::heap_behind;

    #[test]
    fn heaps_stay_out_of_the_way_of_rewritten_calls() {
        // The last byte of a text's last page, and the longest distance of the two.
        let program: u64 = 0x4a_6000;
        let farthest = program + 7 + 0x013d_48ff;
        let starts: Vec<u64> = (0..1000).map(|_| heap_behind(program, 1 << 46)).collect();
        assert!(starts.iter().all(|start| *start > farthest + 4096 && start % 4096 == 0));
        assert!(starts.windows(2).any(|pair| pair[0] != pair[1]), "at random");
        assert_eq!(heap_behind(program, program + 4096), program, "where there is no room");
    }
}
