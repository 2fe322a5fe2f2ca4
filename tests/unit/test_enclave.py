"""`adyton.run` and `Enclave.popen`: subprocess's manners, and what each end of a runner means."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

import adyton
from adyton.launch import install
from tests.unit import samples

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def write(text: str) -> None:
        samples.install(tmp_path / "_bin", text)
        monkeypatch.setattr(install, "DIRECTORY", str(tmp_path / "_bin"))

    return write


def test_exit_codes(runner: Callable[[str], None]) -> None:
    runner("ended(0, 3); os._exit(3)")
    assert adyton.run(["true"]).returncode == 3
    with pytest.raises(subprocess.CalledProcessError) as caught:
        adyton.run(["true"], check=True)
    assert caught.value.returncode == 3
    # 143 may be an exit code as well as a signal: only the report tells.
    runner("ended(0, 143); os._exit(143)")
    assert adyton.run(["true"]).returncode == 143
    runner("ended(1, 15); os._exit(143)")
    assert adyton.run(["true"]).returncode == -signal.SIGTERM


def test_input_and_output(runner: Callable[[str], None]) -> None:
    runner(
        "data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data.upper()); "
        "sys.stderr.write('e\\n'); sys.stdout.flush(); sys.stderr.flush(); ended(0, 0)"
    )
    done = adyton.run(["cat"], input="abc", capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ABC", "e\n")
    done = adyton.run(["cat"], input=b"abc", stdout=subprocess.PIPE)
    assert done.stdout == b"ABC"
    assert done.args == ["cat"]


def test_what_reaches_the_plan(runner: Callable[[str], None], tmp_path: Path) -> None:
    runner(
        "print([v for t, v in boot if t in (2, 3)], header[9], header[12]); "
        "sys.stdout.flush(); ended(0, 0)"
    )
    done = adyton.run(
        ["true"],
        env={"PATH": "/usr/bin"},
        cwd=tmp_path,
        memory="64MiB",
        vcpus=3,
        volumes={"/v": adyton.Volume(tmp_path, writable=True)},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"[b'PATH=/usr/bin', {str(tmp_path).encode()!r}] 3 {64 << 20}\n"


def test_timeout_ends_it(runner: Callable[[str], None]) -> None:
    runner("time.sleep(60)")
    begin = time.monotonic()
    with pytest.raises(subprocess.TimeoutExpired) as expired:
        adyton.run(["sleep", "60"], timeout=0.3)
    assert expired.value.cmd == ["sleep", "60"]
    assert time.monotonic() - begin < 20


def test_kill_and_terminate(runner: Callable[[str], None]) -> None:
    runner("time.sleep(60)")
    process = adyton.Enclave.popen(["sleep", "60"])
    assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    runner(
        "import signal; signal.signal(15, lambda *_: (ended(1, 15), os._exit(143))); "
        "print('up', flush=True); time.sleep(60)"
    )
    with adyton.Enclave.popen(["sleep", "60"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_the_runner_never_caught(
    runner: Callable[[str], None], number: signal.Signals
) -> None:
    """One that was sent here is an exit code, at whatever time; as with subprocess."""
    runner(
        "import signal; signal.signal(2, signal.SIG_DFL); print('up', flush=True); time.sleep(60)"
    )
    with adyton.Enclave.popen(["sleep", "60"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(10) == -number
    with adyton.Enclave.popen(["sleep", "60"]) as process:
        process.terminate()
        assert process.wait(10) == -signal.SIGTERM


def test_a_lost_or_failed_enclave_is_an_exception(runner: Callable[[str], None]) -> None:
    runner("os.kill(os.getpid(), 9)")
    with pytest.raises(adyton.EnclaveLost) as caught:
        adyton.run(["true"])
    assert caught.value.status == -signal.SIGKILL
    runner("ended(2, 0); os.write(2, b'adyton: why'); os._exit(125)")
    with pytest.raises(adyton.EnclaveFailed) as failed:
        adyton.run(["true"], capture_output=True)
    assert failed.value.__notes__ == ["adyton: why"]
    runner("os._exit(125)")
    with pytest.raises(adyton.StartError):
        adyton.run(["true"])


@pytest.mark.parametrize(
    ("arguments", "options", "kind"),
    [
        (["no-such-program-here"], {}, FileNotFoundError),
        (["/etc/passwd"], {}, PermissionError),
        (["true"], {"memory": "1GG"}, adyton.UsageError),
        (["true"], {"volumes": {"relative": "/"}}, adyton.UsageError),
        (["true"], {"user": (1 << 33, 0)}, adyton.UsageError),
        (["true"], {"user": (0, -1)}, adyton.UsageError),
        (["true"], {"memory": "1.²GiB"}, adyton.UsageError),
        (["true"], {"volumes": {"/a\0b": "/"}}, adyton.UsageError),
        ("true", {}, adyton.UsageError),
        ([], {}, adyton.UsageError),
    ],
)
def test_bad_requests(
    runner: Callable[[str], None], arguments: Any, options: Any, kind: type[Exception]
) -> None:
    runner("ended(0, 0)")
    with pytest.raises(kind):
        adyton.run(arguments, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"memory": 1},
        {"memory": 1 << 60},
        {"vcpus": 0},
        {"exit_cost": -1},
        {"cwd": "/absent"},
        {"volumes": {"/v": "/absent"}},
        {"user": (-1, 0)},
    ],
)
def test_messages_name_no_option_of_the_command_line(
    runner: Callable[[str], None], options: Any
) -> None:
    runner("ended(0, 0)")
    with pytest.raises(adyton.UsageError) as caught:
        adyton.run(["true"], **options)
    assert not re.search(r"(^| )--?[a-zA-Z]", str(caught.value))


def test_words_that_nobody_knows() -> None:
    with pytest.raises(TypeError, match="memry"):
        adyton.run(["true"], memry="1GiB")  # type: ignore[call-arg]


def test_a_session_of_its_own(runner: Callable[[str], None]) -> None:
    runner("print(os.getsid(0) == os.getpid()); sys.stdout.flush(); ended(0, 0)")
    done = adyton.run(
        ["true"], start_new_session=True, capture_output=True, universal_newlines=True
    )
    assert done.stdout == "True\n"


def test_missing_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path))
    with pytest.raises(adyton.NotInstalled, match="build_native"):
        adyton.run(["true"])


def test_public_names() -> None:
    for name in adyton.__all__:
        assert getattr(adyton, name) is not None
    assert sorted(adyton.__all__) == adyton.__all__
    with pytest.raises(AttributeError):
        _ = adyton.nothing
