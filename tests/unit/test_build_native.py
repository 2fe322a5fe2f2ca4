"""The build tool: what stripping keeps, and which flags cargo never sees."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from adyton.launch import elf
from tests.harness import ROOT, load_tool
from tests.unit import samples


@pytest.fixture(scope="module")
def tool() -> Any:
    return load_tool("build_native")


def test_strip_keeps_what_is_loaded(tool: Any) -> None:
    whole = samples.image()
    stripped = tool.strip(whole)
    assert len(stripped) == 0x1180
    before, after = elf.parse(whole), elf.parse(stripped)
    assert after.entry == before.entry
    for old, new in zip(before.segments, after.segments, strict=True):
        assert new.address == old.address
        assert new.permissions == old.permissions
        assert new.pages[64:] == old.pages[64:]
    # Another count and place of sections is the same image.
    other = bytearray(whole)
    other[40:48] = b"\x11" * 8
    other[58:64] = b"\x22" * 6
    assert tool.strip(bytes(other)) == stripped


def test_flags_of_the_environment_are_dropped(tool: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cargo = shutil.which("cargo")
    if cargo is None:
        pytest.skip("cargo is not here")
    for name in ("RUSTFLAGS", "CARGO_PROFILE_RELEASE_LTO", "CARGO_BUILD_RUSTFLAGS"):
        monkeypatch.setenv(name, "-Copt-level=0")
    monkeypatch.setenv("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Copt-level=0")
    environment = tool.environment(ROOT, cargo)
    assert not [key for key, value in environment.items() if value == "-Copt-level=0"]
    flags = environment["CARGO_ENCODED_RUSTFLAGS"].split("\x1f")
    assert f"--remap-path-prefix={ROOT}=/src" in flags
    assert "-Ctarget-feature=+crt-static" in flags
