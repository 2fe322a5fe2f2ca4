"""`adyton stat`: the counters that `adyton run --stat FILE` wrote."""

from __future__ import annotations

import json as json_module
import sys
from pathlib import Path

from rich.console import Console

from adyton.errors import UsageError
from adyton.observe import stat


def main(file: str, *, json: bool) -> None:
    """Print counters as a table, or as they are.

    Raises:
        UsageError: There is no such file, or it holds no counters.
    """
    try:
        counters = json_module.loads(Path(file).read_bytes())
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    except ValueError:
        raise UsageError(f"{file} holds no counters (not JSON)") from None
    if not isinstance(counters, dict):
        raise UsageError(f"{file} holds no counters (not an object)")
    if json:
        sys.stdout.write(json_module.dumps(counters, indent=2) + "\n")
        return
    Console(highlight=False, markup=False).print(stat.table(counters))
