"""The package: what the wheel holds, that it works without Rust, that builds are reproducible."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from typing import TYPE_CHECKING

import pytest

from tests.harness import ROOT, environment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

# Everything that a build reads.
SOURCES = ("benches", "crates", "src", "tools", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml",
           "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "CHANGELOG.md")  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            str(folder),
            str(ROOT),
        ],
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("adyton-*.whl")
    return found


def test_members(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-linux_x86_64.whl")
    with zipfile.ZipFile(wheel) as archive:
        for name in ("adyton/_bin/adyton-enclave", "adyton/_bin/adyton-runner"):
            assert archive.read(name).startswith(b"\x7fELF")
            assert archive.getinfo(name).external_attr >> 16 & 0o111
        assert "adyton/py.typed" in archive.namelist()
        assert not [n for n in archive.namelist() if n.startswith("tests/") or n.endswith(".rs")]


def test_works_without_rust(wheel: Path, tmp_path: Path) -> None:
    """Installed in a fresh virtual environment with no toolchain on PATH, it runs a program."""
    home = tmp_path / "environment"
    venv.create(home, with_pip=True)
    installed = subprocess.run(
        [str(home / "bin" / "pip"), "install", str(wheel)], capture_output=True, text=True
    )
    assert installed.returncode == 0, installed.stdout + installed.stderr
    env = environment()
    assert shutil.which("cargo", path=env["PATH"]) is None
    result = subprocess.run(
        [str(home / "bin" / "adyton"), "run", "/bin/echo", "hello"],
        capture_output=True, text=True, cwd=tmp_path, env=env, timeout=60,
    )  # fmt: skip
    assert (result.returncode, result.stdout) == (0, "hello\n"), result.stderr


def test_image_is_reproducible(wheel: Path, tmp_path: Path) -> None:
    """The measured image, the release's, is the same bit for bit from another folder."""
    folder = tmp_path / "another" / "much" / "deeper"
    copy_sources(ROOT, folder)
    env = {k: v for k, v in os.environ.items() if k != "CARGO_TARGET_DIR"}
    built = subprocess.run(
        [sys.executable, "tools/build_native.py", "--profile", "release"],
        capture_output=True, text=True, cwd=folder, env=env,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    image = (folder / "src" / "adyton" / "_bin" / "adyton-enclave").read_bytes()
    shutil.rmtree(folder / "target")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("adyton/_bin/adyton-enclave") == image


def copy_sources(source: Path, target: Path) -> None:
    """Copy what a build reads to a new folder."""
    target.mkdir(parents=True)
    for name in SOURCES:
        if (source / name).is_dir():
            skipped = shutil.ignore_patterns("_bin", "__pycache__")
            shutil.copytree(source / name, target / name, ignore=skipped)
        elif (source / name).exists():
            shutil.copy(source / name, target / name)
