"""The only exception tree.

```
AdytonError
├── UsageError                an option or argument makes no sense
├── ManifestError             adyton.toml is wrong; names file and line
├── ImageMalformed            the enclave image is not what the loader takes
├── StartError                the enclave could not be started (exit code 125)
│   ├── NotInstalled          runner or image are missing from the package
│   ├── ProgramNotFound       (127), also a FileNotFoundError
│   └── ProgramNotExecutable  (126), also a PermissionError
├── EnclaveFailed             the LibOS gave up: a bug, or a host that broke the rules
├── EnclaveLost               the runner was killed; `.status` is its wait status
└── TraceMalformed            a trace record's lengths do not add up
```

A program that fails is no exception here: as with `subprocess`, its exit code is in `returncode`,
`check=True` raises `subprocess.CalledProcessError`, a timeout `subprocess.TimeoutExpired`.
"""

from __future__ import annotations

__all__ = [
    "AdytonError",
    "EnclaveFailed",
    "EnclaveLost",
    "ImageMalformed",
    "ManifestError",
    "NotInstalled",
    "ProgramNotExecutable",
    "ProgramNotFound",
    "StartError",
    "TraceMalformed",
    "UsageError",
]


class AdytonError(Exception):
    """Anything that Adyton itself, not the program inside, has to report."""

    exit_code = 125


class UsageError(AdytonError):
    """An option or argument makes no sense."""


class ManifestError(AdytonError):
    """A manifest is wrong; the message names file and line."""


class ImageMalformed(AdytonError):
    """The enclave image is not a freestanding static-PIE program."""


class StartError(AdytonError):
    """The enclave could not be started."""


class NotInstalled(StartError):
    """The runner or the enclave image is missing from the package."""


class ProgramNotFound(StartError, FileNotFoundError):
    """There is no such program."""

    exit_code = 127


class ProgramNotExecutable(StartError, PermissionError):
    """The program is there and cannot be executed."""

    exit_code = 126


class EnclaveFailed(AdytonError):
    """The LibOS gave up: a bug in it, or a host that broke the rules."""


class EnclaveLost(AdytonError):
    """The runner ended without a word, because somebody killed it.

    `status` is its wait status as `subprocess` gives it: -N for signal N.
    """

    def __init__(self, status: int) -> None:
        """Take the runner's wait status."""
        super().__init__(f"the enclave's host process ended without a report (status {status})")
        self.status = status


class TraceMalformed(AdytonError):
    """A trace record's lengths do not add up."""
