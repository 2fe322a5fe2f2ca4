"""Python's layouts against the crate's: `cargo run --example layout` prints what Rust has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from adyton.launch import control, layout, plan
from adyton.observe import numbers, records

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def crate() -> dict[str, int]:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not here")
    command = ["cargo", "run", "--quiet", "--locked", "-p", "adyton-abi", "--example", "layout"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    rows: dict[str, int] = json.loads(done.stdout)
    return rows


def little(magic: bytes) -> int:
    return int.from_bytes(magic, "little")


@pytest.mark.timeout(600)
def test_constants(crate: dict[str, int]) -> None:
    modules: dict[str, Any] = {
        "plan": plan,
        "layout": layout,
        "control": control,
        "trace": records,
    }
    compared = 0
    for name, value in crate.items():
        module, _, constant = name.partition(".")
        if module in modules:
            ours = getattr(modules[module], constant)
            assert (little(ours) if isinstance(ours, bytes) else ours) == value, name
            compared += 1
    assert compared > 40


@pytest.mark.timeout(600)
def test_places(crate: dict[str, int]) -> None:
    for name, value in crate.items():
        if name.startswith("at."):
            _, size, place = name.split(".")
            assert getattr(layout.Layout(int(size)), place) == value, name


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("structure", "packed"),
    [
        ("Header", plan.HEADER),
        ("Segment", plan.SEGMENT),
        ("Root", plan.ROOT),
        ("Config", plan.CONFIG),
    ],
)
def test_structures(crate: dict[str, int], structure: str, packed: Any) -> None:
    assert packed.size == crate[f"sizeof.{structure}"]
    offsets = [v for name, v in crate.items() if name.startswith(f"{structure}.")]
    # Unpack a structure whose bytes count up: each field then begins with its own offset.
    fields = packed.unpack(bytes(range(packed.size)))
    found = [f[0] if isinstance(f, bytes) else f & 0xFF for f in fields]
    assert found == offsets


@pytest.mark.timeout(600)
def test_trace_head(crate: dict[str, int]) -> None:
    assert records.HEAD.size == crate["sizeof.Head"]
    fields = records.HEAD.unpack(bytes(range(records.HEAD.size)))
    assert fields[4] & 0xFF == crate["Head.t_ns"]
    assert fields[6] & 0xFF == crate["Head.args"]
    assert fields[14] & 0xFF == crate["Head.strings"]


def test_system_call_numbers() -> None:
    text = (ROOT / "crates/abi/src/nr.rs").read_text()
    rows = re.findall(r'^\s+(\d+) [A-Z0-9_]+ "([a-z0-9_]+)";', text, re.MULTILINE)
    assert {int(number): name for number, name in rows} == numbers.NAMES


@pytest.mark.parametrize("size", [0, 1 << 35, 1 << 47, (1 << 40) + 4096, -1])
def test_inadmissible_sizes(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        layout.Layout(size)
