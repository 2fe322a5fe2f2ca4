"""Run unmodified Linux programs inside an enclave.

    import adyton
    result = adyton.run(["python3", "-c", "print(6 * 7)"], capture_output=True, text=True)

`Enclave` mirrors `subprocess`; `adyton run PROGRAM` is the same on the command line. Names load
when they are first used, so that a start of `adyton run` pays for none of them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adyton.enclave import Enclave, Process, Volume, run
    from adyton.errors import (
        AdytonError,
        EnclaveFailed,
        EnclaveLost,
        ImageMalformed,
        ManifestError,
        NotInstalled,
        ProgramNotExecutable,
        ProgramNotFound,
        StartError,
        TraceMalformed,
        UsageError,
    )

__all__ = [
    "AdytonError",
    "Enclave",
    "EnclaveFailed",
    "EnclaveLost",
    "ImageMalformed",
    "ManifestError",
    "NotInstalled",
    "Process",
    "ProgramNotExecutable",
    "ProgramNotFound",
    "StartError",
    "TraceMalformed",
    "UsageError",
    "Volume",
    "__version__",
    "run",
]

__version__ = "0.1.0"

_IN_ENCLAVE = ("Enclave", "Process", "Volume", "run")


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    module = importlib.import_module("adyton.enclave" if name in _IN_ENCLAVE else "adyton.errors")
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
