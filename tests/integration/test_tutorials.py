"""The tutorials and the README's tour do what they say: commands and scripts run as written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import Machine, adyton_command, compile_c, environment

ROOT = Path(__file__).resolve().parents[2]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
PAGES = ["README.md", "docs/index.md", *(str(page.relative_to(ROOT)) for page in TUTORIALS)]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Tried elsewhere: measuring takes minutes, installing is the wheel's test.
ELSEWHERE = re.compile(r"adyton bench [a-z]|pip install|^make ")


@pytest.fixture
def folder(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the pages take for granted: a few scripts, two folders, a server that ends by itself."""
    if machine.native_only:
        pytest.skip("about the inside alone")
    for name in ("app.py", "job.py", "train.py", "script.py"):
        (tmp_path / name).write_text("print(sum(range(10)))\n")
    for name in ("data", "results"):
        (tmp_path / name).mkdir()
    (tmp_path / "server").write_bytes(
        compile_c(ROOT / "examples" / "static.c", "static").read_bytes()
    )
    (tmp_path / "server").chmod(0o755)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "adyton").write_text(f'#!/bin/sh\nexec {shlex.join(adyton_command())} "$@"\n')
    (commands / "adyton").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    # Debian's own programs: what else calls itself python3 may be a script that starts others.
    monkeypatch.setenv("PATH", f"{commands}:/usr/bin:/bin")
    monkeypatch.setenv("PYTHONPATH", environment().get("PYTHONPATH", str(ROOT / "src")))
    return tmp_path


def commands(text: str) -> list[tuple[str, str]]:
    """List the commands of a page's console blocks, each with the output that stands below it."""
    found: list[tuple[str, str]] = []
    for kind, body in BLOCK.findall(text):
        if kind != "console":
            continue
        for line in body.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], ""))
            elif found and line:
                command, output = found[-1]
                found[-1] = (command, f"{output}{line}\n")
    return found


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", PAGES)
def test_commands(page: str) -> None:
    text = (ROOT / page).read_text()
    assert commands(text) or "```python" in text
    for command, output in commands(text):
        if ELSEWHERE.search(command):
            continue
        done = subprocess.run(
            ["bash", "-c", command],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        # `adyton trace cat /no/such/file` fails as cat does: that is its point.
        assert done.returncode == (1 if "/no/such" in command else 0), f"{command}: {done.stderr}"
        assert "adyton: " not in done.stderr, f"{command}: {done.stderr}"
        if output:
            assert done.stdout == output, command


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", [p for p in PAGES if "```python" in (ROOT / p).read_text()])
def test_scripts(page: str) -> None:
    blocks = [body for kind, body in BLOCK.findall((ROOT / page).read_text()) if kind == "python"]
    script = "\n".join(blocks)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
    )
    assert done.returncode == 0, done.stderr
