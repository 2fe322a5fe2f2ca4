//! All that can fail before the old program is gone: what is to be run, and by what.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::errno::Result;
use vfs::credentials::Credentials;
use vfs::mount::Place;
use vfs::path::Last;

use crate::process::elf::{self, Elf, Head, Role};
use crate::process::load::file::Executable;
use crate::process::load::{identity, limits, script, short_name};
use crate::process::{Process, Thread};

/// So many interpreters may follow each other: Linux's limit.
const DEPTH: usize = 5;
/// `ADDR_NO_RANDOMIZE` of personality(2).
const NO_RANDOM_PLACES: u32 = 0x004_0000;

/// What execve(2) is asked for.
pub(crate) struct Wanted {
    /// The file.
    pub(crate) place: Place,
    /// Its name as given: AT_EXECFN, and a script's name for its interpreter.
    pub(crate) name: Vec<u8>,
    /// The thread's name afterwards; `None`: the last component of `name`.
    pub(crate) short: Option<[u8; 16]>,
    /// The name will not lead to the file once the descriptors are closed.
    pub(crate) name_vanishes: bool,
    /// Arguments.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// Environment.
    pub(crate) environment: Vec<Vec<u8>>,
}

/// A program that can be started.
pub(crate) struct Prepared {
    pub(crate) program: Executable,
    pub(crate) elf: Elf,
    pub(crate) interpreter: Option<(Executable, Elf)>,
    pub(crate) name: Vec<u8>,
    /// The thread's name.
    pub(crate) short: [u8; 16],
    pub(crate) arguments: Vec<Vec<u8>>,
    pub(crate) environment: Vec<Vec<u8>>,
    /// Who it acts as.
    pub(crate) credentials: Arc<Credentials>,
    /// Whether its identity changed: AT_SECURE.
    pub(crate) secure: bool,
    /// Whether places are chosen at random.
    pub(crate) random: bool,
}

/// Opens what is wanted, and what is needed to run it.
///
/// # Errors
/// Those of execve(2): ENOEXEC, EACCES, E2BIG, ELOOP, ELIBBAD, EIO, ETXTBSY, those of the walk.
pub(crate) async fn prepare(
    process: &Process,
    thread: Option<&Thread>,
    wanted: Wanted,
) -> Result<Prepared> {
    let Wanted { place, name, short, name_vanishes, mut arguments, environment } = wanted;
    let who = Arc::clone(&process.credentials.lock());
    let attributes = thread.map(|thread| thread.attributes.get());
    if arguments.is_empty() {
        arguments.push(Vec::new()); // as Linux: nobody looks for arguments among the environment
    }
    let mut called = name.clone();
    let mut file = Executable::open(&place, &who).await?;
    for depth in 0.. {
        limits::check(process, &arguments, &environment, &name)?;
        let start = file.read(0, script::LOOKED_AT).await?;
        if !script::is_script(&start) {
            let (elf, interpreter) = read(process, &who, &file, &start).await?;
            let fresh = attributes.is_some_and(|now| now.no_new_privileges);
            let credentials = identity::after_exec(&who, file.running.open(), !fresh);
            return Ok(Prepared {
                program: file,
                elf,
                interpreter,
                short: short.unwrap_or_else(|| short_name(&name)),
                name,
                arguments,
                environment,
                secure: identity::is_secure(&credentials),
                credentials: Arc::new(credentials),
                random: attributes.is_none_or(|now| now.personality & NO_RANDOM_PLACES == 0),
            });
        }
        let line = script::line(&start)?;
        if name_vanishes {
            return Err(Errno::ENOENT.because("the script's descriptor closes at exec"));
        }
        if depth == DEPTH {
            return Err(Errno::ELOOP.because("more than 5 interpreters of interpreters"));
        }
        arguments[0] = called;
        if let Some(argument) = line.argument {
            arguments.insert(0, argument.to_vec());
        }
        arguments.insert(0, line.interpreter.to_vec());
        called = line.interpreter.to_vec();
        file = open(process, &who, line.interpreter).await?;
    }
    Err(Errno::ELOOP.into())
}

async fn open(process: &Process, who: &Credentials, path: &[u8]) -> Result<Executable> {
    let directories = process.directories.lock().clone();
    let start = vfs::path::Start::new(&directories.root, &directories.current, who);
    let place = vfs::path::resolve(start, path, Last::Follow).await?;
    Executable::open(&place, who).await
}

/// Reads a program's headers, and those of its interpreter.
async fn read(
    process: &Process,
    who: &Credentials,
    file: &Executable,
    start: &[u8],
) -> Result<(Elf, Option<(Executable, Elf)>)> {
    let elf = read_headers(file, Head::read(start, Role::Program)?).await?;
    let Some((offset, len)) = elf.interpreter()? else { return Ok((elf, None)) };
    let bytes = file.read_all(offset, len).await?;
    let name = elf::name(&bytes)?;
    // An empty name is the working directory to Linux's opener, which is no file.
    let name = if name.is_empty() { b"." } else { name };
    let interpreter = open(process, who, name).await?;
    let start = interpreter.read_all(0, elf::HEAD).await?;
    let other = read_headers(&interpreter, Head::read(&start, Role::Interpreter)?).await?;
    Ok((elf, Some((interpreter, other))))
}

async fn read_headers(file: &Executable, head: Head) -> Result<Elf> {
    let table = file.read(head.table, head.table_len()).await?;
    Elf::read(head, &table)
}
