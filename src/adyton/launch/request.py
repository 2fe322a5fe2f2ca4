"""What is asked for, and the plan made of it.

A `Request` is the common ground of the command line and of `Enclave`; `write_plan` makes the
runner's plan of it in quick mode, where files are the host's and unmeasured.
"""

from __future__ import annotations

import os

from adyton.errors import ProgramNotExecutable, ProgramNotFound, UsageError
from adyton.launch import caller, decoder, elf, host, install, plan, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from adyton.launch.host import Volume


# The most cycles that an exit may be charged: with more, a program would have no time left between
# two ticks of 4 ms, which are exits too.
EXIT_COST_MAX = 2_000_000
# The number above it means "as it is", for chown(2) and setresuid(2).
_ID_MAX = (1 << 32) - 2


class Request:
    """One program in one enclave.

    `memory` in bytes and `vcpus` only lower what is measured; None takes the host's. `features` are
    `plan` flags. `trace` is a filter of call names, "" for all, None for no trace. `core`: one is
    wanted of a program that a signal ends. `identity` is (uid, gid), None for the caller's.
    `decoder` is the command that turns records into text, empty for none; see `launch.decoder`.
    """

    __slots__ = (
        "arguments",
        "core",
        "decoder",
        "directory",
        "environment",
        "exit_cost",
        "features",
        "identity",
        "memory",
        "name",
        "trace",
        "vcpus",
        "volumes",
    )

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        memory: int | None = None,
        vcpus: int | None = None,
        volumes: Sequence[Volume] = (),
        identity: tuple[int, int] | None = None,
        name: str = "",
        exit_cost: int = 0,
        features: int = 0,
        trace: str | None = None,
        core: bool = False,
        decoder: Sequence[str] = (),
    ) -> None:
        """Take the values and check those that can be checked alone."""
        if not arguments:
            raise UsageError("no program given")
        self.arguments = list(arguments)
        self.environment = environment
        self.directory = directory
        self.memory = units.default_memory() if memory is None else memory
        self.vcpus = units.default_vcpus() if vcpus is None else vcpus
        self.volumes = list(volumes)
        self.identity = identity
        self.name = name
        self.exit_cost = exit_cost
        self.features = features
        self.trace = trace
        self.core = core
        self.decoder = list(decoder)
        self._check()

    def _check(self) -> None:
        if self.memory < units.MEMORY_MIN:
            asked, least = units.show(self.memory), units.show(units.MEMORY_MIN)
            raise UsageError(f"memory {asked} is too small; the least is {least}")
        if not 1 <= self.vcpus <= plan.QUICK_MAX_VCPUS:
            raise UsageError(f"vcpus {self.vcpus}: an enclave has 1 to {plan.QUICK_MAX_VCPUS}")
        if not 0 <= self.exit_cost <= EXIT_COST_MAX:
            raise UsageError(
                f"exit cost {self.exit_cost} is not a number of cycles up to {EXIT_COST_MAX:,}"
            )
        for number in self.identity or ():
            if not 0 <= number <= _ID_MAX:
                raise UsageError(f"user {number}: ids of users and groups are 0 to {_ID_MAX}")
        places = [path for volume in self.volumes for path in (volume.host, volume.guest)]
        for text in (*self.arguments, self.directory, self.name, *places):
            if "\0" in text:
                raise UsageError("an argument or a path holds a NUL byte")
        for key, value in self.environment.items():
            if not key or "=" in key or "\0" in key or "\0" in value:
                raise UsageError(f"{key!r} is no name for an environment variable")


def measured(configuration: plan.Configuration | None = None) -> plan.Measured:
    """Read the installed image and lay it out with a configuration, quick mode's unless given."""
    with open(install.image(), "rb", buffering=0) as file:
        data = file.read()
    return plan.Measured(elf.parse(data), configuration or plan.Configuration())


def write_plan(request: Request, descriptors: plan.Descriptors) -> int:
    """Make a quick-mode plan; return its sealed memfd.

    Raises:
        ProgramNotFound, ProgramNotExecutable: As far as the host can tell.
        NotInstalled, ImageMalformed: The package is broken.
        UsageError: More is asked for than the configuration admits.
    """
    content = measured()
    if request.memory > content.configuration.max_memory:
        most = units.show(content.configuration.max_memory)
        raise UsageError(f"memory {units.show(request.memory)} is above what is measured, {most}")
    return plan.write(
        content,
        _boot(request),
        vcpus=request.vcpus,
        memory=request.memory,
        flags=request.features,
        exit_cost=request.exit_cost,
        descriptors=descriptors,
    )


def _boot(request: Request) -> bytes:
    encode = os.fsencode
    boot = plan.Boot()
    boot.add(plan.PROGRAM, encode(request.arguments[0]))
    for argument in request.arguments:
        boot.add(plan.ARGUMENT, encode(argument))
    for key, value in request.environment.items():
        boot.add(plan.ENVIRONMENT, encode(f"{key}={value}"))
    boot.add(plan.DIRECTORY, encode(request.directory))
    _add_roots(boot, request)
    uid, gid = request.identity or (os.getuid(), os.getgid())
    boot.add_identity(uid, gid, [] if request.identity else os.getgroups())
    boot.add(plan.HOSTNAME, encode(os.uname().nodename))
    if request.trace is not None:
        boot.add(plan.TRACE, encode(request.trace))
    if request.core:
        boot.add(plan.CORE, b"")
    for limit in caller.limits():
        boot.add_limit(*limit)
    for word in request.decoder:
        boot.add(plan.DECODER, encode(word))
    for assignment in decoder.environment() if request.decoder else ():
        boot.add(plan.DECODER_ENVIRONMENT, encode(assignment))
    if request.name:
        boot.add(plan.NAME, encode(request.name))
    return boot.blob()


def _add_roots(boot: plan.Boot, request: Request) -> None:
    guests = [volume.guest for volume in request.volumes]
    if not os.path.isdir(request.directory) and not host.is_inside(request.directory, guests):
        raise UsageError(
            f"the working directory {request.directory} is neither on the host nor in a volume; "
            "name another, or a volume that has it"
        )
    program: str | None = None
    try:
        program = host.find(
            request.arguments[0], directory=request.directory, environment=request.environment
        )
        host.check_interpreter(program, directory=request.directory)
    except (ProgramNotFound, ProgramNotExecutable):
        # It may lie in a volume; then only the LibOS can tell.
        if not request.volumes:
            raise
    for path in host.roots(
        program,
        directory=request.directory,
        environment=request.environment,
        home=caller.home(),
        guests=guests,
    ):
        raw = os.fsencode(path)
        boot.add_root(raw, raw, plan.LAYERED | (0 if os.path.isdir(path) else plan.FILE))
    for volume in request.volumes:
        if not os.path.exists(volume.host):
            raise UsageError(
                f"volume {volume.host}: there is no such file or directory on the host"
            )
        flags = plan.REVALIDATE | (plan.WRITABLE if volume.writable else 0)
        flags |= 0 if os.path.isdir(volume.host) else plan.FILE
        boot.add_root(os.fsencode(os.path.realpath(volume.host)), os.fsencode(volume.guest), flags)
