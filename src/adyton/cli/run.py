"""`adyton run`: one program in one enclave, in this process's place.

Imports only what `tests/unit/test_run_path.py` allows: a start is a matter of milliseconds.
"""

from __future__ import annotations

import os

from adyton.cli import options
from adyton.errors import UsageError
from adyton.launch import decoder, plan, runner, units
from adyton.launch.host import Volume
from adyton.launch.request import Request, write_plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from adyton.cli.options import Scanned

# The poller's rings are what is taken when the kernel's are not to be had.
_WITH = {
    "rings": plan.RINGS_FOR_ALL,
    "poller": plan.RINGS_FOR_ALL | plan.NO_RINGS,
    "seccomp": plan.SECCOMP,
}
_WITHOUT = {
    "rings": plan.NO_RINGS,
    "poller": plan.NO_POLLER,
    "inclusive-dispatch": plan.NO_INCLUSIVE_DISPATCH,
    "patching": plan.NO_PATCHING,
    "avx512": plan.NO_AVX512,
    "seccomp": plan.NO_SECCOMP,
    "dispatch": plan.NO_DISPATCH,
}


def main(words: Sequence[str]) -> NoReturn:
    """Run what the words after `run` say; does not come back."""
    scanned = options.scan(words)
    if scanned.flag("help"):
        from adyton.cli import app  # help may be slow

        app.show_help("run")
    start(scanned)


def start(
    scanned: Scanned,
    *,
    summary: bool = False,
    durations: bool = False,
    json: bool = False,
    verb: str = "run",
) -> NoReturn:
    """Plan and execute.

    Args:
        scanned: The command line.
        summary: With a trace, count calls instead of printing them (`adyton trace -c`).
        durations: With a trace, append how long each call took.
        json: With a trace, write objects instead of lines (`adyton trace --json`).
        verb: Name of the command, for messages.
    """
    request = to_request(scanned, verb=verb)
    _refuse_manifest(scanned)
    made = [name for name in map(scanned.text, ("stat", "trace_output")) if _is_new(name)]
    try:
        stat = _open_output(scanned.text("stat"))
        request.decoder = decoder.command(
            summary=summary,
            durations=durations,
            json=json,
            crashes_only=request.trace is None,
            output=_emptied(scanned.text("trace_output")),
            core=_writable(scanned.text("core")),
            volumes=[(volume.host, volume.guest) for volume in request.volumes],
        )
        memfd = write_plan(request, plan.Descriptors(stat=stat))
        keep = [] if stat is None else [stat]
        runner.execute(memfd, keep, range_size=plan.QUICK_ADDRESS_SPACE)
    except BaseException:
        for name in made:
            if name and os.path.exists(name):
                os.unlink(name)
        raise


def to_request(scanned: Scanned, *, verb: str = "run") -> Request:
    """Turn options into a request.

    Raises:
        UsageError: A value makes no sense.
    """
    if not scanned.rest:
        raise UsageError(f"{verb}: no program given; write `adyton {verb} PROGRAM [ARG…]`")
    _check_fixed(scanned)
    memory = scanned.text("memory")
    vcpus = scanned.text("vcpus")
    return Request(
        scanned.rest,
        environment=_environment(scanned),
        directory=_directory(scanned.text("workdir")),
        memory=None if memory is None else units.size(memory, "--memory"),
        vcpus=None if vcpus is None else _number("vcpus", vcpus),
        volumes=[_volume(text) for text in scanned.all("volume")],
        identity=_identity(scanned.text("user")),
        name=scanned.text("name") or "",
        exit_cost=_number("exit-cost", scanned.text("exit_cost") or "0"),
        features=_features(scanned),
        trace=_filter(scanned.text("trace")),
        core=scanned.text("core") is not None,
    )


def _check_fixed(scanned: Scanned) -> None:
    backend = scanned.text("backend")
    if backend not in (None, "sim"):
        raise UsageError(f'--backend "{backend}" is not there yet; the only one is sim')
    network = scanned.text("network")
    # The default, and as long as there are no sockets but pairs the same as none.
    if network not in (None, "none", "loopback"):
        raise UsageError(f'--network "{network}" is not there yet; there are none and loopback')


def _refuse_manifest(scanned: Scanned) -> None:
    if os.path.exists("adyton.toml") and not scanned.flag("quick"):
        raise UsageError(
            "adyton.toml asks for a measured image, which this version cannot build yet; "
            "--quick runs with the host's files"
        )


def _number(name: str, text: str) -> int:
    if not units.is_number(text):
        too_long = f" of at most {units.DIGITS_MAX} digits" if text.isdigit() else ""
        raise UsageError(f'--{name} "{units.quoted(text)}" is not a number{too_long}')
    return int(text)


def _environment(scanned: Scanned) -> dict[str, str]:
    environment = dict(os.environ)
    for name in scanned.all("env_file"):
        try:
            with open(name, encoding="utf-8", errors="surrogateescape") as file:
                lines = file.read().splitlines()
        except OSError as error:
            raise UsageError(f"--env-file {name}: {error.strerror}") from None
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.lstrip().startswith("#"):
                _set(environment, line, f"{name}:{number}")
    for assignment in scanned.all("env"):
        _set(environment, assignment, "-e")
    return environment


def _set(environment: dict[str, str], assignment: str, where: str) -> None:
    key, equals, value = assignment.partition("=")
    if not key:
        raise UsageError(f'{where} "{assignment}": write K=V, or K for the host\'s value')
    if equals:
        environment[key] = value


def _directory(given: str | None) -> str:
    if given is not None:
        if not given.startswith("/"):
            raise UsageError(f"-w {given}: the directory must be absolute")
        return os.path.normpath(given)
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise UsageError("the working directory is gone; cd elsewhere") from None


def _volume(text: str) -> Volume:
    host, colon, rest = text.partition(":")
    guest, _, mode = rest.partition(":")
    if not host or not colon or not guest.startswith("/") or mode not in ("", "ro", "rw"):
        raise UsageError(f'-v "{text}": write HOST:GUEST or HOST:GUEST:rw, GUEST absolute')
    return Volume(os.path.abspath(host), os.path.normpath(guest), writable=mode == "rw")


def _identity(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    uid, colon, gid = text.partition(":")
    user = _number("user", uid)
    return user, _number("user", gid) if colon else user


def _features(scanned: Scanned) -> int:
    flags = 0
    named = {"with": set[str](), "without": set[str]()}
    for option, names in (("with", _WITH), ("without", _WITHOUT)):
        for text in scanned.all(option):
            for name in text.split(","):
                if name not in names:
                    raise UsageError(f'--{option} "{name}": one of {", ".join(names)}')
                named[option].add(name)
                flags |= names[name]
    for name in sorted(named["with"] & named["without"]):
        raise UsageError(f"--with {name} and --without {name} exclude each other")
    if {"rings", "poller"} <= named["with"]:
        raise UsageError("--with rings and --with poller exclude each other")
    return flags


def _is_new(name: str | None) -> bool:
    return name is not None and name != "-" and not os.path.lexists(name)


def _open_output(name: str | None) -> int | None:
    if name is None:
        return None
    if name == "-":
        return plan.above_streams(os.dup(2))
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        return plan.above_streams(os.open(name, flags, 0o666))
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None


def _filter(text: str | None) -> str | None:
    if not text:
        return text
    from adyton.cli import trace  # its table of names is not needed otherwise

    return trace.expand_filter(text)


def _writable(name: str | None) -> str | None:
    """Check that a file can be made, and leave none: most programs are not ended by signals."""
    if name is not None:
        new = _is_new(name)
        try:
            os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise UsageError(f"--core {name}: {error.strerror}") from None
        if new:
            os.unlink(name)
    return name


def _emptied(name: str | None) -> str | None:
    """Make or empty the file that the trace goes to, here, where a failure can be told."""
    descriptor = None if name is None else _open_output(name)
    if descriptor is None or name == "-":
        return None
    os.close(descriptor)
    return name
