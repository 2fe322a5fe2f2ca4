"""`adyton info`: what this machine offers."""

from __future__ import annotations

import json as json_module
import sys

from rich.console import Console
from rich.table import Table

from adyton.observe import machine


def main(*, json: bool) -> None:
    """Print the machine's features: there or not, used or not, and what to do."""
    features = machine.probe()
    if json:
        rows = [feature.as_dict() for feature in features]
        sys.stdout.write(json_module.dumps({"features": rows}, indent=2) + "\n")
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("feature", no_wrap=True)
    for heading in ("here", "used", "what to do"):
        table.add_column(heading, overflow="fold")
    for feature in features:
        table.add_row(feature.name, feature.value, feature.used, feature.advice)
    # Whoever reads it through a pipe wants lines, not a page.
    width = None if sys.stdout.isatty() else 160
    Console(highlight=False, markup=False, width=width).print(table)
