"""What quick mode shows of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from adyton.errors import ProgramNotExecutable, ProgramNotFound
from adyton.launch import host

if TYPE_CHECKING:
    from pathlib import Path


def script(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def roots(program: Path | str | None, **changes: object) -> list[str]:
    arguments: dict[str, object] = {"directory": "/", "environment": {}, "home": "/nonexistent"}
    arguments |= changes
    found = host.roots(None if program is None else str(program), **arguments)  # type: ignore[arg-type]
    return [
        path
        for path in found
        if path not in host.roots(None, directory="/", environment={}, home="/x")
    ]


def test_system_directories_are_there_and_home_is_not() -> None:
    found = host.roots("/usr/bin/true", directory="/", environment={}, home="/root")
    assert "/usr" in found
    assert "/etc" in found
    assert not {"/", "/root", "/home", "/tmp", "/var", "/proc"} & set(found)


def test_prefix_of_a_program(tmp_path: Path) -> None:
    assert roots(script(tmp_path / "app/bin/tool")) == [str(tmp_path / "app")]
    assert roots(script(tmp_path / "loose/tool")) == [str(tmp_path / "loose")]


def test_a_program_in_the_home_directory_itself_comes_alone(tmp_path: Path) -> None:
    tool = script(tmp_path / "tool")
    assert roots(tool, home=str(tmp_path)) == [str(tool)]
    assert roots(script(tmp_path / "bin/tool"), home=str(tmp_path)) == [str(tmp_path / "bin/tool")]


def test_a_home_directory_by_another_name_stays_out(tmp_path: Path) -> None:
    """/home/me may be a link to /data/me: neither name, nor what is above, is offered."""
    real, home = tmp_path / "data/me", tmp_path / "me"
    for name in ("bin/tool", "tool"):
        tool = script(real / name)
        home.unlink(missing_ok=True)
        home.symlink_to(real)
        assert set(roots(home / name, home=str(home))) == {str(home / name), str(tool)}
        assert roots(tool, home=str(home)) == [str(tool)]
        third = tmp_path / "third"
        third.unlink(missing_ok=True)
        third.symlink_to(real)
        assert set(roots(third / name, home=str(home))) == {str(third / name), str(tool)}
    for folder in (home, third, tmp_path):
        assert roots(None, home=str(home), environment={"VIRTUAL_ENV": str(folder)}) == []


def test_links_bring_what_they_point_to(tmp_path: Path) -> None:
    real = script(tmp_path / "base/bin/python3.11")
    link = tmp_path / "links/python3"
    link.parent.mkdir()
    link.symlink_to(real)
    assert set(roots(link)) == {str(tmp_path / "links"), str(tmp_path / "base")}


def test_virtual_environment_brings_its_base(tmp_path: Path) -> None:
    real = script(tmp_path / "base/bin/python3.11")
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(real)
    (tmp_path / "venv/pyvenv.cfg").write_text(f"home = {tmp_path}/base/bin\nversion = 3\n")
    both = {str(tmp_path / "venv"), str(tmp_path / "base")}
    assert set(roots(tmp_path / "venv/bin/python")) == both
    assert set(roots(None, environment={"VIRTUAL_ENV": str(tmp_path / "venv")})) == both


def test_interpreters_of_scripts(tmp_path: Path) -> None:
    interpreter = script(tmp_path / "lang/bin/interp")
    tool = script(tmp_path / "a/tool", f"#!{interpreter} -x\n")
    assert set(roots(tool)) == {str(tmp_path / "a"), str(tmp_path / "lang")}
    by_env = script(tmp_path / "b/tool", "#!/usr/bin/env -S A=b interp\n")
    found = roots(by_env, environment={"PATH": str(tmp_path / "lang/bin")})
    assert set(found) == {str(tmp_path / "b"), str(tmp_path / "lang")}
    circle = script(tmp_path / "c/tool", f"#!{tmp_path}/c/tool\n")
    assert roots(circle) == [str(tmp_path / "c")]


def test_working_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert roots(None, directory=str(tmp_path)) == [str(tmp_path)]
    assert roots(None, directory=str(home), home=str(home)) == [str(home)]
    assert roots(None, directory="/usr/share") == []
    assert roots(None, directory="/proc/self") == []
    # A prefix below the working directory comes with it.
    tool = script(tmp_path / "app/bin/tool")
    assert roots(tool, directory=str(tmp_path)) == [str(tmp_path)]


def test_finding_programs(tmp_path: Path) -> None:
    tool = script(tmp_path / "bin/tool")
    (tmp_path / "bin/data").write_text("")
    path = {"PATH": f"/nowhere:{tmp_path}/bin"}

    def find(name: str) -> str:
        return host.find(name, directory=str(tmp_path), environment=path)

    assert find("tool") == str(tool)
    assert find("./bin/tool") == f"{tmp_path}/./bin/tool"
    for name, kind, message in (
        ("absent", ProgramNotFound, "not found in PATH"),
        ("./absent", ProgramNotFound, "no such program"),
        ("data", ProgramNotExecutable, "permission denied"),
        ("./bin/data", ProgramNotExecutable, "permission denied"),
        ("./bin", ProgramNotExecutable, "is a directory"),
    ):
        with pytest.raises(kind, match=message):
            find(name)
