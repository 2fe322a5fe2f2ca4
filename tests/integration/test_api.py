"""`adyton.run` and `Enclave.popen` with real enclaves: words, streams, and each way to end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import adyton
from adyton.launch import install
from tests.security.host.lying import Lie

if TYPE_CHECKING:
    from tests.harness import Machine


@pytest.fixture(autouse=True)
def inside(machine: Machine) -> None:
    """All of this is about the inside alone."""
    if machine.native_only:
        pytest.skip("asked for with --native-only; this test is about the inside alone")


@pytest.mark.parametrize(
    "words",
    [[b"echo", b"\xff", "ä"], [Path("/bin/echo"), b"\xff", "ä"], ["echo", "\udcff", "ä"]],
    ids=["bytes", "path", "surrogates"],
)
def test_words_as_subprocess_takes_them(words: list[bytes | str | Path]) -> None:
    done = adyton.run(words, stdout=subprocess.PIPE)
    assert done.stdout == subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout
    assert done.args == [os.fsdecode(word) for word in words]
    with pytest.raises(TypeError, match="not int"):
        adyton.run(["echo", 1])  # type: ignore[list-item]


@pytest.mark.parametrize("kind", [str, os.fsencode], ids=["str", "bytes"])
def test_env_and_cwd(kind: type[str], tmp_path: Path) -> None:
    """The program gets this environment and no other, and starts in this folder."""
    (tmp_path / "here").touch()
    env = {kind(name): kind(text) for name, text in {"PATH": "/usr/bin", "A": "b=c ä"}.items()}
    how = {"env": env, "cwd": kind(str(tmp_path)), "stdout": subprocess.PIPE}
    for words in (["env"], ["ls"], ["/bin/pwd"]):
        done = adyton.run(words, check=True, **how)
        native = subprocess.run(words, check=True, **how)
        assert sorted(done.stdout.splitlines()) == sorted(native.stdout.splitlines())
    assert done.stdout == os.fsencode(tmp_path) + b"\n"


def test_popen_streams() -> None:
    """One line in, one line out, while it runs; the end of stdin ends it."""
    with adyton.Enclave.popen(
        ["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in ("one\n", "two\n"):
            process.stdin.write(line)
            assert process.stdout.readline() == line
        assert process.poll() is None
        process.stdin.close()
        assert process.stdout.read() == ""
        assert process.wait(timeout=20) == 0
        assert process.poll() == 0


def test_communicate() -> None:
    """More than a pipe takes goes both ways at once; stderr comes apart."""
    data = bytes(range(256)) * 4000
    with adyton.Enclave.popen(
        ["tee", "/dev/stderr"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.communicate(data, timeout=30) == (data, data)
    assert process.returncode == 0


def test_a_signal_reaches_the_program() -> None:
    process = adyton.Enclave.popen(["sleep", "60"])
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.3)
    process.terminate()
    assert process.wait(timeout=20) == -signal.SIGTERM


def test_killing_it_is_an_end_and_no_failure() -> None:
    process = adyton.Enclave.popen(["sleep", "60"])
    process.kill()
    assert process.wait(timeout=20) == -signal.SIGKILL


def test_somebody_else_kills_the_runner() -> None:
    """Then nobody knows what became of the program, and that is what is said."""
    process = adyton.Enclave.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"alive\n")
    process.stdin.flush()
    assert process.stdout.readline() == b"alive\n"
    os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(adyton.EnclaveLost) as lost:
        process.communicate(timeout=20)
    assert lost.value.status == -signal.SIGKILL
    with pytest.raises(adyton.EnclaveLost):
        process.poll()


def test_the_enclave_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that puts a ring into the enclave is not served; the exception quotes the reason."""
    Lie("ring-inside").install(tmp_path)
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path / "adyton" / "_bin"))
    with pytest.raises(adyton.EnclaveFailed) as failed:
        # Dear exits make it want rings.
        adyton.run(["cat", "/etc/passwd"], capture_output=True, exit_cost=1)
    assert any("the host put a ring where" in note for note in failed.value.__notes__)


def test_a_timeout_ends_it() -> None:
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as expired:
        adyton.run(["sleep", "60"], timeout=1)
    assert expired.value.cmd == ["sleep", "60"]
    assert time.monotonic() - begin < 20
