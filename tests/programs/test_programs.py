"""Runtimes and libraries from the distribution and the registries show the same inside as on Linux.

Marked `full`: `make test-full` installs what they need.
"""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.harness import BUILD, ROOT, tool

if TYPE_CHECKING:
    from tests.harness import Machine

HERE = Path(__file__).parent
INPUTS = HERE / "inputs"
# The interpreter with the packages of requirements/full.txt.
FULL = ROOT / ".venv-full"

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@cache
def classes() -> Path:
    """The compiled Java program."""
    target = BUILD / "java"
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run([tool("javac"), "-d", str(target), str(INPUTS / "Busy.java")], check=True)
    return target


@cache
def tokio() -> Path:
    """The program on tokio, built with the versions of its lock file."""
    target = BUILD / "tokio"
    subprocess.run(
        [tool("cargo"), "build", "--quiet", "--release", "--locked", "--target-dir", str(target)],
        cwd=HERE / "tokio",
        env={key: value for key, value in os.environ.items() if key != "RUSTFLAGS"},
        check=True,
    )
    return target / "release" / "tokio-busy"


@pytest.mark.parametrize("collector", ["Serial", "Parallel", "G1", "Z"])
def test_java(collector: str, machine: Machine) -> None:
    shown = ["-v", f"{classes()}:{classes()}"]
    command = [tool("java"), f"-XX:+Use{collector}GC", "-Xmx256m", "-cp", str(classes()), "Busy"]
    native = machine.compare(command, options=shown, timeout=120.0)
    assert native.stdout.endswith(b"the end\n"), native.described()


def test_node(machine: Machine) -> None:
    native = machine.compare([tool("node"), str(INPUTS / "busy.js")], timeout=120.0)
    assert native.stdout.endswith(b"the end\n"), native.described()


def test_luajit(machine: Machine) -> None:
    native = machine.compare([tool("luajit"), str(INPUTS / "busy.lua")], timeout=120.0)
    assert native.status == 0, native.described()


def test_tokio(machine: Machine) -> None:
    shown = ["-v", f"{tokio().parent}:{tokio().parent}"]
    native = machine.compare([str(tokio())], options=shown, timeout=120.0)
    assert native.stdout.endswith(b"the end\n"), native.described()


@pytest.mark.parametrize("codec", ["mpeg4", "libx264", "libvpx-vp9"])
def test_ffmpeg(codec: str, machine: Machine) -> None:
    """A synthetic clip, encoded by all threads, to the bit."""
    sources = ["-f", "lavfi", "-i", "testsrc=duration=2:size=320x240:rate=25"]
    sound = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
    exact = ["-flags", "bitexact", "-fflags", "bitexact", "-c:v", codec, "-c:a", "flac"]
    command = [tool("ffmpeg"), "-hide_banner", "-loglevel", "error", *sources, *sound, *exact]
    native = machine.compare([*command, "-f", "md5", "-"], timeout=120.0)
    assert native.status == 0, native.described()


@pytest.mark.parametrize("script", ["duck.py", "frames.py"])
def test_packages(script: str, machine: Machine) -> None:
    shown = ["-v", f"{FULL}:{FULL}"]
    command = [str(FULL / "bin" / "python"), str(INPUTS / script)]
    native = machine.compare(command, options=shown, timeout=240.0)
    assert native.status == 0, native.described()
