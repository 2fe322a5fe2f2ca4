"""Runs programs inside an enclave from Python, as `subprocess` runs them outside.

    result = adyton.run(["python3", "-c", "print(1)"], capture_output=True, text=True, timeout=10)
    with adyton.Enclave.popen(["cat"], stdin=PIPE, stdout=PIPE) as process:
        output, _ = process.communicate(b"hello")

The enclave is a process of its own: whatever happens to it arrives as an exception or an exit code.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypedDict, Unpack

from adyton.errors import AdytonError, EnclaveFailed, EnclaveLost, StartError, UsageError
from adyton.launch import control, decoder, install, plan, runner, units
from adyton.launch.host import Volume as HostVolume
from adyton.launch.request import Request, write_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

# Characters of stderr that an exception quotes: room for a report with a backtrace.
_NOTE_MAX = 8000

StrPath = str | os.PathLike[str]
# As `subprocess` takes words, names and paths.
Word = str | bytes | os.PathLike[str] | os.PathLike[bytes]


@dataclass(frozen=True, slots=True)
class Volume:
    """A host file or folder that a program sees; read-only unless `writable`."""

    path: StrPath
    writable: bool = False


class Streams(TypedDict, total=False):
    """What `subprocess.Popen` has and `popen` passes on, about the process that holds the enclave.

    Their meanings and defaults are `subprocess.Popen`'s.
    """

    stdin: int | IO[Any] | None
    stdout: int | IO[Any] | None
    stderr: int | IO[Any] | None
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None
    bufsize: int
    pipesize: int
    start_new_session: bool
    process_group: int | None


class Options(Streams, total=False):
    """What `run` and `popen` take: `subprocess`'s own, and what is the enclave's.

    Attributes:
        env: The program's environment; the caller's unless given.
        cwd: Working directory; the caller's unless given.
        memory: Bytes, or a size such as "1GiB"; half of the host's unless given.
        vcpus: Host threads, 1 to 64; the host's cores unless given.
        volumes: Guest path to host path or `Volume`.
        user: (uid, gid) inside; the caller's unless given.
        name: Name of the enclave.
        exit_cost: Cycles to add to each exit and entry.
        stat: File that gets the counters as JSON.
    """

    env: Mapping[str, str] | Mapping[bytes, bytes] | None
    cwd: Word | None
    memory: int | str | None
    vcpus: int | None
    volumes: Mapping[str, StrPath | Volume]
    user: tuple[int, int] | None
    name: str
    exit_cost: int
    stat: StrPath | None


class Process:
    """A running enclave, with the face of `subprocess.Popen`.

    `returncode` is the program's: -N when signal N ended it. `pid` is the host process that holds
    the enclave; a signal sent to it reaches the program.
    """

    def __init__(
        self, inner: subprocess.Popen[Any], connection: socket.socket, args: Sequence[str]
    ) -> None:
        """Take the runner and this side of its control socket; `Enclave.popen` makes them."""
        self._inner = inner
        self._connection = connection
        self._sent: set[int] = set()
        self._failure: AdytonError | None = None
        self.args = list(args)
        self.returncode: int | None = None

    @property
    def pid(self) -> int:
        """Id of the host process."""
        return self._inner.pid

    @property
    def stdin(self) -> IO[Any] | None:
        """Stream to the program's stdin, with `stdin=PIPE`."""
        return self._inner.stdin

    @property
    def stdout(self) -> IO[Any] | None:
        """Stream from the program's stdout, with `stdout=PIPE`."""
        return self._inner.stdout

    @property
    def stderr(self) -> IO[Any] | None:
        """Stream from the program's stderr, with `stderr=PIPE`."""
        return self._inner.stderr

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs.

        Raises:
            EnclaveLost, EnclaveFailed, StartError: As for `wait`.
        """
        return self._finish() if self._inner.poll() is not None else None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end, at most so many seconds, and return the exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs.
            StartError: The enclave did not come up; the runner said why on stderr.
            EnclaveFailed: The LibOS gave up.
            EnclaveLost: Somebody else killed the runner.
        """
        try:
            self._inner.wait(timeout)
        except subprocess.TimeoutExpired as error:
            error.cmd = self.args  # not the runner's
            raise
        return self._finish()

    def communicate(
        self,
        input: bytes | str | None = None,  # noqa: A002 - subprocess's own name
        timeout: float | None = None,
    ) -> tuple[Any, Any]:
        """Feed stdin, read stdout and stderr to their ends, wait; exceptions as for `wait`."""
        try:
            output = self._inner.communicate(input, timeout)
        except subprocess.TimeoutExpired as error:
            error.cmd = self.args
            raise
        try:
            self._finish()
        except AdytonError as error:
            diagnostics = output[1]
            if diagnostics:
                text = (
                    diagnostics
                    if isinstance(diagnostics, str)
                    else diagnostics.decode(errors="replace")
                )
                error.add_note(text[-_NOTE_MAX:])
            raise
        return output

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        self._sent.add(number)
        self._inner.send_signal(number)

    def terminate(self) -> None:
        """Send SIGTERM, which the program may handle."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the enclave at once, whatever the program does."""
        self.send_signal(signal.SIGKILL)

    def _finish(self) -> int:
        if self._failure is not None:
            raise self._failure
        if self.returncode is None:
            try:
                self.returncode = self._read_end()
            except AdytonError as error:
                self._failure = error
                raise
            finally:
                self._connection.close()
        return self.returncode

    def _read_end(self) -> int:
        status = self._inner.returncode
        end = control.read_end(self._connection)
        if end is not None:
            how, code = end
            if how == control.EXITED:
                return code
            if how == control.SIGNALED:
                return -code
            raise EnclaveFailed("the enclave failed; its stderr says why")
        # A signal that nobody can catch, or one that came before the runner caught any.
        if -status in self._sent:
            return int(status)
        if status == StartError.exit_code:
            raise StartError("the enclave did not start; its stderr says why")
        raise EnclaveLost(status)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inner.__exit__(kind, error, traceback)
        if kind is None:
            self._finish()
        self._connection.close()


class Enclave:
    """Starts enclaves. Each call of `run` or `popen` makes one, for one program."""

    @staticmethod
    def run(
        args: Sequence[Word],
        *,
        input: bytes | str | None = None,  # noqa: A002 - subprocess's own name
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **options: Unpack[Options],
    ) -> subprocess.CompletedProcess[Any]:
        """Run a program to its end, as `subprocess.run` does.

        Raises:
            subprocess.CalledProcessError: With `check`, when the exit code is not 0.
            subprocess.TimeoutExpired: The time is over; the enclave was ended.
            ProgramNotFound, ProgramNotExecutable: There is no such program.
            UsageError: An option makes no sense.
            StartError, EnclaveFailed, EnclaveLost: As for `Process.wait`.
        """
        if input is not None:
            if options.get("stdin") is not None:
                raise ValueError("stdin and input may not both be used")
            options["stdin"] = subprocess.PIPE
        if capture_output:
            if options.get("stdout") is not None or options.get("stderr") is not None:
                raise ValueError("stdout and stderr may not be used with capture_output")
            options["stdout"] = options["stderr"] = subprocess.PIPE
        with Enclave.popen(args, **options) as process:
            try:
                output, diagnostics = process.communicate(input, timeout)
            except BaseException:
                # Also for Ctrl-C: nothing stays behind.
                process.kill()
                process.wait()
                raise
        code = process.returncode or 0
        if check and code:
            raise subprocess.CalledProcessError(code, process.args, output, diagnostics)
        return subprocess.CompletedProcess(process.args, code, output, diagnostics)

    @staticmethod
    def popen(
        args: Sequence[Word],
        **options: Unpack[Options],
    ) -> Process:
        """Start a program and return at once, as `subprocess.Popen` does.

        Raises:
            ProgramNotFound, ProgramNotExecutable, UsageError, StartError: As for `run`.
        """
        for name in options:
            if name not in Options.__annotations__:
                raise TypeError(f"popen() got an unexpected keyword argument {name!r}")
        request = _request(args, options)
        streams = {name: options.get(name) for name in Streams.__annotations__ if name in options}
        ours, theirs = socket.socketpair()
        stat: int | None = None
        memfd: int | None = None
        try:
            stat = _open_stat(options.get("stat"))
            descriptors = plan.Descriptors(control=theirs.fileno(), stat=stat)
            memfd = write_plan(request, descriptors)
            keep = [theirs.fileno(), memfd, *([] if stat is None else [stat])]
            with runner.Limits(plan.QUICK_ADDRESS_SPACE):
                inner = subprocess.Popen(
                    [install.runner(), str(memfd)],
                    env={},
                    pass_fds=keep,
                    **streams,  # type: ignore[call-overload] # as the type above has them
                )
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError) and error.filename == install.runner():
                raise StartError(f"cannot execute the runner: {error}") from None
            raise
        finally:
            theirs.close()
            for descriptor in (memfd, stat):
                if descriptor is not None:
                    os.close(descriptor)
        return Process(inner, ours, request.arguments)


run = Enclave.run


def _request(args: Sequence[Word], options: Options) -> Request:
    if isinstance(args, str | bytes):
        raise UsageError('args is a list of words; a shell is `["sh", "-c", …]`')
    env = options.get("env")
    cwd = options.get("cwd")
    memory = options.get("memory")
    volumes = [_volume(guest, host) for guest, host in options.get("volumes", {}).items()]
    return Request(
        [os.fsdecode(word) for word in args],
        environment=_environment(os.environ if env is None else env),
        directory=os.getcwd() if cwd is None else os.path.abspath(os.fsdecode(cwd)),
        memory=units.size(memory, "memory") if isinstance(memory, str) else memory,
        vcpus=options.get("vcpus"),
        volumes=volumes,
        identity=options.get("user"),
        name=options.get("name", ""),
        exit_cost=options.get("exit_cost", 0),
        decoder=_decoder(volumes),
    )


def _decoder(volumes: Sequence[HostVolume]) -> list[str]:
    """Return the command that makes a crash report, on the stderr that the runner gets."""
    if not sys.executable or getattr(sys, "frozen", False):
        return []  # Python within another program: there is no interpreter to start
    pairs = [(volume.host, volume.guest) for volume in volumes]
    return decoder.command(crashes_only=True, volumes=pairs)


def _environment(env: Mapping[str, str] | Mapping[bytes, bytes]) -> dict[str, str]:
    return {os.fsdecode(name): os.fsdecode(text) for name, text in env.items()}


def _volume(guest: str, host: StrPath | Volume) -> HostVolume:
    if not guest.startswith("/"):
        raise UsageError(f'volume "{guest}": the place inside must be absolute')
    volume = host if isinstance(host, Volume) else Volume(host)
    path = os.path.abspath(os.fspath(volume.path))
    return HostVolume(path, os.path.normpath(guest), writable=volume.writable)


def _open_stat(path: StrPath | None) -> int | None:
    if path is None:
        return None
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return plan.above_streams(os.open(path, flags, 0o666))
