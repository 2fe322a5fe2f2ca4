//! Mounting in steps: a context is opened, configured, and mounted.
//!
//! Source: fsopen(2), fsconfig(2), fsmount(2), fspick(2).

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::any::Any;

use abi::Errno;
use abi::errno::Result;
use platform::sync::Mutex;
use platform::user::Sink;
use vfs::anonymous::Identity;
use vfs::descriptor::OnExec;
use vfs::mount::{FileSystem, Mount};
use vfs::object::{Attempt, Object, OpenFile, Stat, Status};

use super::kinds::{Options, Refused, Type};
use super::{apart, attributes, check_may_mount, place};
use crate::arguments::Arguments;
use crate::context::Context;
use crate::syscalls::files::base::{AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, find};
use crate::syscalls::files::objects;

/// `FSOPEN_CLOEXEC`, `FSMOUNT_CLOEXEC`, `FSPICK_CLOEXEC`.
const CLOEXEC: u32 = 1;
/// Messages that are kept for the reader.
const MESSAGES: usize = 8;
/// Bytes of a key, and of a text, with its NUL.
const TEXT_MAX: usize = 256;

/// How far a context is.
#[derive(Clone)]
enum Phase {
    /// Its file system is to be made.
    Making,
    /// Its file system was made, and waits to be mounted.
    Made(Arc<FileSystem>),
    /// It changes a file system that is mounted.
    Changing(Arc<Mount>),
    /// Its file system was mounted: nothing can be done any more.
    Mounted,
}

/// What a descriptor of fsopen(2) or fspick(2) is.
struct Configuration {
    kind: Type,
    state: Mutex<State>,
    identity: Identity,
}

struct State {
    phase: Phase,
    options: Options,
    messages: VecDeque<String>,
}

impl Object for Configuration {
    /// One message at a time.
    fn read(&self, _open: &OpenFile, _offset: u64, sink: &mut dyn Sink) -> Attempt<usize> {
        let message = {
            let mut state = self.state.lock();
            let next = state.messages.front();
            let next = next.ok_or(Errno::ENODATA.because("there is no message"))?;
            if next.len() > sink.room() {
                return Err(Errno::EMSGSIZE.because("the message is longer").into());
            }
            state.messages.pop_front()
        };
        Ok(sink.put(message.unwrap_or_default().as_bytes()))
    }

    fn stat(&self) -> Result<Stat> {
        Ok(self.identity.other())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

fn open(cx: &Context<'_>, kind: Type, phase: Phase, on_exec: OnExec) -> Result<u64> {
    let state = State { phase, options: Options::default(), messages: VecDeque::new() };
    let identity = Identity::new(objects::owner(cx));
    let object = Arc::new(Configuration { kind, state: Mutex::new(state), identity });
    let file = OpenFile::new(object, Status::READ_WRITE, None);
    cx.process.files.add(file, on_exec).map(u64::from)
}

fn on_exec(close: bool) -> OnExec {
    if close { OnExec::Close } else { OnExec::Keep }
}

/// fsopen(2): type, flags.
pub(super) fn fsopen(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_may_mount(cx)?;
    let flags = args.uint(1);
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL.because("only FSOPEN_CLOEXEC is known"));
    }
    let name = cx.read_string(args.address(0), 4096, Errno::EINVAL)?;
    let kind = Type::find(&name)?;
    open(cx, kind, Phase::Making, on_exec(flags != 0))
}

/// fspick(2): directory, path, flags.
pub(super) async fn fspick(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    const NO_FOLLOW: u32 = 2;
    const NO_AUTOMOUNT: u32 = 4;
    const EMPTY_PATH: u32 = 8;
    check_may_mount(cx)?;
    let flags = args.uint(2);
    if flags & !(CLOEXEC | NO_FOLLOW | NO_AUTOMOUNT | EMPTY_PATH) != 0 {
        return Err(Errno::EINVAL.because("unknown flags"));
    }
    let path = cx.read_path(args.address(1))?;
    let mut how = if flags & NO_FOLLOW != 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
    if flags & EMPTY_PATH != 0 {
        how |= AT_EMPTY_PATH;
    }
    let picked = place(find(cx, args.fd(0), &path, how).await?.0)?;
    if !picked.is_mounted() {
        return Err(Errno::EINVAL.because("it is no mount's root"));
    }
    let kind = Type::of(picked.node().volume());
    let kind = kind.ok_or(Errno::EOPNOTSUPP.because("the file system has no options"))?;
    open(cx, kind, Phase::Changing(picked.mount), on_exec(flags & CLOEXEC != 0))
}

/// What fsconfig(2) is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Flag,
    String,
    Binary,
    Path,
    Descriptor,
    Create,
    Reconfigure,
}

impl Command {
    /// The command, if key, value and the number that goes with them are as it wants them.
    fn read(args: &Arguments) -> Result<Self> {
        const BINARY_MAX: i32 = 1 << 20;
        let (key, value, extra) = (args.address(2) != 0, args.address(3) != 0, args.int(4));
        let (command, fits) = match args.uint(1) {
            0 => (Self::Flag, key && !value && extra == 0),
            1 => (Self::String, key && value && extra == 0),
            2 => (Self::Binary, key && value && (1..=BINARY_MAX).contains(&extra)),
            3 | 4 => (Self::Path, key && value && (extra == AT_FDCWD || extra >= 0)),
            5 => (Self::Descriptor, key && !value && extra >= 0),
            6 | 8 => (Self::Create, !key && !value && extra == 0),
            7 => (Self::Reconfigure, !key && !value && extra == 0),
            _ => return Err(Errno::EOPNOTSUPP.because("an unknown command")),
        };
        if !fits {
            return Err(Errno::EINVAL.because("key, value or number are not the command's"));
        }
        Ok(command)
    }
}

/// fsconfig(2): context, command, key, value, number.
pub(super) fn fsconfig(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    if args.fd(0) < 0 {
        return Err(Errno::EINVAL.because("a negative descriptor"));
    }
    let command = Command::read(args)?;
    let file = cx.process.files.get(args.fd(0))?;
    let context = configuration(&file)?;
    let key = match args.address(2) {
        0 => Vec::new(),
        address => cx.read_string(address, TEXT_MAX, Errno::EINVAL)?,
    };
    let value = match command {
        Command::String => Some(cx.read_string(args.address(3), TEXT_MAX, Errno::EINVAL)?),
        Command::Binary => {
            let mut bytes = alloc::vec![0; usize::try_from(args.int(4)).unwrap_or(0)];
            cx.read_bytes(args.address(3), &mut bytes)?;
            Some(bytes)
        }
        Command::Path => Some(cx.read_path(args.address(3))?),
        Command::Descriptor => {
            cx.process.files.get(args.int(4))?;
            Some(Vec::new())
        }
        _ => None,
    };
    let mut state = context.state.lock();
    match command {
        Command::Create => context.create(cx, &mut state)?,
        Command::Reconfigure => context.reconfigure(cx, &mut state)?,
        _ => context.set(&mut state, command, &key, value.as_deref())?,
    }
    Ok(0)
}

/// The context that a descriptor is.
fn configuration(file: &OpenFile) -> Result<&Configuration> {
    file.downcast().ok_or(Errno::EINVAL.because("the descriptor is no file system's context"))
}

impl Configuration {
    fn create(&self, cx: &Context<'_>, state: &mut State) -> Result<()> {
        let Phase::Making = state.phase else {
            return Err(Errno::EBUSY.because("the context is past that"));
        };
        check_may_mount(cx)?;
        let system = self.kind.make(cx.kernel, &state.options);
        state.phase = Phase::Made(system);
        Ok(())
    }

    fn reconfigure(&self, cx: &Context<'_>, state: &mut State) -> Result<()> {
        let Phase::Changing(mount) = state.phase.clone() else {
            return Err(Errno::EBUSY.because("the context changes no file system"));
        };
        check_may_mount(cx)?;
        let options = core::mem::take(&mut state.options);
        reconfigure(cx, &mount, self.kind, &options)
    }

    fn set(
        &self,
        state: &mut State,
        command: Command,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<()> {
        if !matches!(state.phase, Phase::Making | Phase::Changing(_)) {
            return Err(Errno::EBUSY.because("the context takes no options any more"));
        }
        if state.options.set_common(key) {
            return Ok(());
        }
        if key == b"source" && self.kind != Type::Ramfs {
            return state.set_source(command, value);
        }
        let fits = matches!(command, Command::Flag | Command::String);
        let done = if fits {
            state.options.set(self.kind, key, value)
        } else {
            // No option of these types is anything else: known ones have a bad value then.
            match state.options.clone().set(self.kind, key, None) {
                Err(Refused::Unknown) => Err(Refused::Unknown),
                _ => Err(Refused::BadValue),
            }
        };
        let name = String::from_utf8_lossy(key);
        let kind = self.kind.name();
        let message = match done {
            Ok(()) => return Ok(()),
            Err(Refused::Unknown) => format!("e {kind}: Unknown parameter '{name}'\n"),
            Err(Refused::BadValue) => format!("e {kind}: Bad value for '{name}'\n"),
        };
        state.tell(message);
        Err(Errno::EINVAL.because("the file system has no such option, or not with that value"))
    }
}

impl State {
    fn set_source(&mut self, command: Command, value: Option<&[u8]>) -> Result<()> {
        let wrong = if command != Command::String {
            "Non-string source"
        } else if self.options.source.is_some() {
            "Multiple sources"
        } else {
            self.options.source = value.map(<[u8]>::to_vec);
            return Ok(());
        };
        self.tell(format!("e {wrong}\n"));
        Err(Errno::EINVAL.because("the source is one text"))
    }

    /// Keeps a message, in place of the oldest if there are too many.
    fn tell(&mut self, message: String) {
        if self.messages.len() == MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(message);
    }
}

/// Changes the file system that a mount shows.
pub(super) fn reconfigure(
    cx: &Context<'_>,
    mount: &Mount,
    kind: Type,
    options: &Options,
) -> Result<()> {
    if let Some(read_only) = options.read_only {
        cx.kernel.mounts.set_read_only(mount, read_only)?;
    }
    let Some(system) = mount.system() else { return Ok(()) };
    kind.change(system.root().node().volume(), options)
}

/// fsmount(2): context, flags, how it is mounted.
pub(super) fn fsmount(cx: &Context<'_>, args: &Arguments) -> Result<u64> {
    check_may_mount(cx)?;
    let flags = args.uint(1);
    if flags & !CLOEXEC != 0 {
        return Err(Errno::EINVAL.because("only FSMOUNT_CLOEXEC is known"));
    }
    let how = attributes::flags(args.uint(2).into())?;
    let file = cx.process.files.get(args.fd(0))?;
    let context = configuration(&file)?;
    let mut state = context.state.lock();
    let system = match &state.phase {
        Phase::Made(system) => Arc::clone(system),
        Phase::Mounted | Phase::Changing(_) => {
            return Err(Errno::EBUSY.because("the context's file system is mounted"));
        }
        Phase::Making => {
            return Err(Errno::EINVAL.because("the context's file system is not made yet"));
        }
    };
    let source = state.options.source.clone().unwrap_or_else(|| b"none".to_vec());
    let apart = cx.kernel.mounts.mount_apart(&system, &source, how);
    if state.options.read_only == Some(true) {
        cx.kernel.mounts.set_read_only(apart.mount(), true)?;
    }
    state.phase = Phase::Mounted;
    drop(state);
    apart::open(cx, apart, on_exec(flags != 0))
}
