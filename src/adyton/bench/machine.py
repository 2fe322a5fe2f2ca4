"""Facts about the machine and the enclave that a figure means nothing without."""

from __future__ import annotations

import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from adyton.bench import sides
from adyton.errors import AdytonError


def facts(folder: Path) -> dict[str, Any]:
    """Return processor, kernel, cores, vCPUs unless said otherwise, carriers of I/O, date.

    `carriers` is what an enclave's counters say of its rings after reading a file; None when it
    did not run.
    """
    return {
        "cpu": _processor(),
        "kernel": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)),
        "vcpus": 1,
        "backend": "sim",
        "carriers": _carriers(folder),
        "libc": " ".join(platform.libc_ver()),
        "load": round(os.getloadavg()[0], 1),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    }


def line(found: dict[str, Any]) -> str:
    """One line for below a table and above a drawing."""
    return f"{found['cpu']}, {found['cores']} cores, {found['kernel']}, {found['date']}"


def _processor() -> str:
    """The model's name, with family and model, which hypervisors leave even in a masked name."""
    fields: dict[str, str] = {}
    for text in Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines():
        key, _, value = text.partition(":")
        fields[key.strip()] = value.strip()
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"


def _carriers(folder: Path) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        stat = Path(scratch) / "stat.json"
        words = [*sides.command(vcpus=1, options=["--stat", str(stat)]), "/bin/true"]
        try:
            sides.output(words, folder=folder, timeout=5)
            rings = json.loads(stat.read_text(encoding="utf-8")).get("rings")
        except (AdytonError, OSError, ValueError):
            return None
    return rings if isinstance(rings, dict) else None
