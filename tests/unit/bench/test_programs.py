"""The C programs build, print what is read, and a machine without a compiler is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adyton.bench import calls, programs
from adyton.errors import AdytonError
from tests.harness import tool

if TYPE_CHECKING:
    from pathlib import Path


def test_lines_are_read() -> None:
    output = programs.parse("getppid\t120.5\t1000\nread 1 byte\t7\t5\n@tsc\t2596.1\n")
    assert output == programs.Output({"getppid": 120.5, "read 1 byte": 7.0}, 2596.1)


@pytest.mark.parametrize("line", ["getppid 120.5 1000", "getppid\tfast\t1", "@tsc\t1\t2\t3"])
def test_other_lines_are_not(line: str) -> None:
    with pytest.raises(ValueError, match=r"not a result|could not convert"):
        programs.parse(line)


def test_every_source_builds_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool("gcc")
    monkeypatch.setattr(programs, "FLAGS", (*programs.FLAGS, "-Wall", "-Wextra", "-Werror"))
    names = [path.stem for path in programs.sources().glob("*.c")]
    assert sorted(names) == [
        "epoll",
        "futex",
        "memory",
        "pipe",
        "signal",
        "syscall",
        "thread",
        "tmpfs",
        "yield",
    ]
    for name in names:
        assert programs.build(name, tmp_path).exists()


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(AdytonError, match=r"no C compiler.*apt-get install"):
        programs.build("syscall", tmp_path)


def test_a_compiler_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusing = tmp_path / "cc"
    refusing.write_text("#!/bin/sh\necho 'cannot find -lc' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("CC", str(refusing))
    with pytest.raises(AdytonError, match=r"static libc[\s\S]*cannot find -lc"):
        programs.build("syscall", tmp_path)


def test_a_wrong_clock_is_noticed() -> None:
    assert calls._clock_error({"linux": [2600.0], "adyton": [2601.0]}) == ""
    assert "its clock" in calls._clock_error({"linux": [2600.0], "adyton": [2000.0]})
    assert calls._clock_error({"linux": [2600.0], "adyton": []}) == ""
