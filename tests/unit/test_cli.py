"""The command line beside `run`: output, exit codes, and where messages go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import pytest

from adyton.cli import main
from adyton.errors import StartError
from adyton.launch import install, plan, runner
from adyton.launch.request import measured
from adyton.observe import machine
from tests.unit import samples

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    samples.install(tmp_path / "_bin")
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path / "_bin"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run"], 125, "run: no program given"),
        (["run", "--memory"], 125, "needs a value"),
        (["run", "no-such-program-here"], 127, "not found in PATH"),
        (["run", "/etc/passwd"], 126, "permission denied"),
        (["run", "./absent"], 127, "no such program"),
        (["run", "-v", "/absent:/x", "true"], 125, "no such file or directory on the host"),
        (["run", "-m", "1KiB", "true"], 125, "the least is 16MiB"),
        (["run", "--vcpus", "65", "true"], 125, "1 to 64"),
        (["trace", "-F", "raed", "true"], 125, "did you mean read"),
        (["nonsense"], 125, "No such command"),
        (["stat", "absent.json"], 125, "No such file"),
        (["print", "mrenclave", "--manifest", "absent.toml"], 125, "No such file"),
        (["bench", "no-such-bench"], 125, "no-such-bench"),
    ],
)
def test_failures(
    installed: Path, capfd: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    assert main(words) == code
    output, diagnostics = capfd.readouterr()
    assert output == ""
    assert diagnostics.startswith("adyton: ")
    assert message in diagnostics
    assert diagnostics.count("\n") == 1


@pytest.mark.parametrize("verb", [["run", "--stat", "new"], ["trace", "-o", "new"]])
@pytest.mark.parametrize("error", [OSError(12, "no memory"), StartError("why"), KeyboardInterrupt])
def test_a_start_that_fails_leaves_no_file(
    installed: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str], error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        assert (installed / "new").exists()
        raise error

    monkeypatch.setattr(runner, "execute", fail)
    assert main([*verb, "true"]) == (130 if error is KeyboardInterrupt else 125)
    assert not (installed / "new").exists()


def test_a_folder_with_a_manifest_wants_an_image(
    installed: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (installed / "adyton.toml").write_text("")
    assert main(["run", "true"]) == 125
    assert "--quick runs with the host's files" in capfd.readouterr().err


def test_a_missing_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path))
    assert main(["print", "mrenclave"]) == 125
    assert "build_native.py" in capfd.readouterr().err
    assert main(["--version"]) == 0
    assert "no enclave image" in capfd.readouterr().out


def test_mrenclave(installed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["print", "mrenclave"]) == 0
    quick = capfd.readouterr().out.strip()
    assert quick == measured().mrenclave().hex()
    (installed / "m.toml").write_text("max-vcpus = 4\n")
    assert main(["print", "mrenclave", "--manifest", "m.toml", "--json"]) == 0
    row = json.loads(capfd.readouterr().out)
    assert row["mrenclave"] != quick
    assert (row["max_vcpus"], row["debug"]) == (4, False)
    assert row["address_space"] == plan.QUICK_ADDRESS_SPACE


@pytest.mark.parametrize("verb", ["run", "trace"])
def test_help(verb: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    output = capfd.readouterr().out
    assert "--memory" in output
    assert "--image" not in output


def test_stat(installed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    counters = {"exits": {"wait": 2, "io": 12345, "total": 12347}, "wall_seconds": 0.5}
    (installed / "s.json").write_text(json.dumps(counters))
    assert main(["stat", "s.json"]) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert rows == [["exits", "12,347"], ["io", "12,345"], ["wait", "2"], ["wall_seconds", "0.500"]]
    assert main(["stat", "--json", "s.json"]) == 0
    assert json.loads(capfd.readouterr().out) == counters


def test_info(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)["features"]
    names = {row["name"] for row in rows}
    assert {"FSGSBASE", "Syscall User Dispatch", "io_uring", "vm.max_map_count"} <= names
    for row in rows:
        # What nothing runs without comes with what to do about it.
        assert row["ok"] or row["advice"], row
    assert main(["info"]) == 0
    assert "FSGSBASE" in capfd.readouterr().out


def test_probes_leave_this_process_alone() -> None:
    before = machine.probe()
    assert machine.probe() == before
