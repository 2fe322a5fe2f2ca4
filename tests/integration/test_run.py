"""The command line's contract: exit codes, streams, options, messages, counters."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import TESTS, Machine, adyton_command, compile_c, environment, tool

SYSCALLS = TESTS / "syscalls"
PROCESS = SYSCALLS / "process"


def run(*words: str, **how: object) -> subprocess.CompletedProcess[str]:
    """Run `adyton` with these words and return what it shows as text."""
    return subprocess.run(
        [*adyton_command(), *words],
        capture_output=True,
        text=True,
        timeout=90,
        env=environment(),
        **how,
    )  # type: ignore[call-overload, no-any-return]


@pytest.mark.smoke
def test_exit_codes() -> None:
    assert run("run", "true").returncode == 0
    assert run("run", "--", "sh", "-c", "exit 42").returncode == 42


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (("run",), 125, "program"),
        (("run", "--no-such-option", "true"), 125, "no-such-option"),
        (("run", "--memory", "3GG", "true"), 125, "3GG"),
        (("run", "--memory", "100", "true"), 125, "100"),
        (("run", "--memory", "1KiB", "true"), 125, "small"),
        (("run", "--vcpus", "0", "true"), 125, "vcpus"),
        (("run", "--vcpus", "65", "true"), 125, "64"),
        (("run", "--vcpus", "many", "true"), 125, "many"),
        (("run", "--env-file", "/no/such/file", "true"), 125, "/no/such/file"),
        (("run", "-v", "/no/such/folder:/x", "true"), 125, "/no/such/folder"),
        (("run", "-w", "/no/such/folder", "true"), 125, "/no/such/folder"),
        (("run", "-w", "/etc/passwd", "true"), 125, "/etc/passwd"),
        (("run", "-v", "/etc:/v", "-w", "/v/none", "true"), 125, "/v/none"),
        (("run", "--stat", "new.json", "no-such-program"), 127, "no-such-program"),
        (("trace", "-o", "new.txt", "no-such-program"), 127, "no-such-program"),
        (("run", "--stat", "/no/such/folder/x", "true"), 125, "/no/such/folder/x"),
        (("run", "-d", "true"), 125, "--detach"),
        (("print", "mrenclave", "--manifest", "none.toml"), 125, "none.toml"),
        (("stat", "none.json"), 125, "none.json"),
        (("bench", "none"), 125, "none"),
        (("run", "--backend", "warp", "true"), 125, "warp"),
        (("run", "--network", "host", "true"), 125, "host"),
        (("run", "--exit-cost", "-1", "true"), 125, "exit-cost"),
        (("run", "--exit-cost", "2000001", "true"), 125, "2,000,000"),
        (("run", "--image", "x.img", "true"), 125, "image"),
        (("run", "no-such-program-anywhere"), 127, "no-such-program-anywhere"),
        (("run", "./nothing"), 127, "nothing"),
        (("run", "/etc/passwd"), 126, "/etc/passwd"),
        (("run", "/tmp"), 126, "/tmp"),
        (("no-such-command",), 125, "no-such-command"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, tuple) else None,
)
def test_refusals(words: tuple[str, ...], status: int, text: str, tmp_path: Path) -> None:
    """One clear message on stderr that names what is wrong, nothing on stdout or left behind."""
    result = run(*words, cwd=tmp_path)
    assert result.returncode == status, result.stderr
    assert result.stdout == ""
    assert result.stderr.startswith("adyton: ")
    assert text in result.stderr
    assert result.stderr.count("\n") <= 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x7fELF",
        b"\x7fELF\x02\x01\x01" + bytes(57),
        b"text without an interpreter\n",
        os.urandom(5000),
    ],
    ids=["empty", "magic", "zero-header", "text", "random"],
)
def test_malformed_programs(content: bytes, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(content)
    program.chmod(0o755)
    result = run("run", str(program))
    assert result.returncode == 126
    assert result.stderr.startswith("adyton: ")


def test_missing_interpreters(tmp_path: Path) -> None:
    script, program = tmp_path / "script", tmp_path / "program"
    script.write_text("#!/no/such/interpreter\n")
    elf = Path("/usr/bin/true").read_bytes()
    program.write_bytes(elf.replace(b"/lib64/ld-linux", b"/nowhere/linux", 1))
    for path, name in ((script, "/no/such/interpreter"), (program, "/nowhere/linux")):
        path.chmod(0o755)
        result = run("run", str(path))
        assert result.returncode == 127
        assert f"{path}: its interpreter {name}" in result.stderr


def test_no_words_are_a_question() -> None:
    result = run()
    assert result.returncode == 0
    assert "Usage" in result.stdout
    result = run("bench")
    assert result.returncode == 0
    assert "syscall" in result.stdout


def denied(number: int, option: int | None = None) -> str:
    """A script that runs the words behind it with a system call, or one of its options, denied."""
    check = f"stmt(0x20, 16) + jump({option})" if option else "b''"
    return f"""
import ctypes, os, struct, sys
def stmt(code, k): return struct.pack("<HBBI", code, 0, 0, k)
def jump(k): return struct.pack("<HBBI", 0x15, 1, 0, k) + stmt(6, 0x7FFF0000)
code = ctypes.create_string_buffer(stmt(0x20, 0) + jump({number}) + {check} + stmt(6, 0x50016))
words = struct.pack("<H6xQ", (len(code) - 1) // 8, ctypes.addressof(code))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, words, 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""


IO_URING_SETUP, MEMFD_CREATE, PRCTL, USER_DISPATCH = 425, 319, 157, 59


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        (denied(MEMFD_CREATE), 125, "memfd_create"),
        (denied(PRCTL, USER_DISPATCH), 125, "Syscall User Dispatch"),
        (denied(IO_URING_SETUP), 0, ""),
    ],
    ids=["memfd", "user-dispatch", "rings"],
)
def test_a_host_that_lacks_a_feature(script: str, status: int, text: str) -> None:
    """One line and the next step; without io_uring it runs."""
    words = [sys.executable, "-c", script, *adyton_command(), "run", "true"]
    result = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment())
    assert result.returncode == status, result.stderr
    assert text in result.stderr
    assert result.stderr.count("\n") == (1 if text else 0)


@pytest.mark.parametrize(
    ("limit", "status", "text"),
    [
        ("ulimit -v 4000000", 125, "ulimit -v"),
        ("ulimit -f 10", 125, "ulimit -f"),
        ("ulimit -n 20", 125, "ulimit -n"),
        ("ulimit -Sn 20", 0, ""),
        ("ulimit -Sf 1000000", 0, ""),
    ],
)
def test_limits_of_the_host(limit: str, status: int, text: str, tmp_path: Path) -> None:
    script = f'{limit}; exec "$@" --stat counters true'
    words = ["bash", "-c", script, "-", *adyton_command(), "run"]
    result = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env=environment(), cwd=tmp_path
    )
    assert (result.returncode, text in result.stderr) == (status, True), result.stderr
    assert (tmp_path / "counters").exists() == (status == 0)


def test_closed_streams_are_nobody_elses(tmp_path: Path) -> None:
    """The plan never stands where a closed stream was."""
    out = tmp_path / "out"
    script = f'exec "$@" <&- 2>{out}'
    words = ["bash", "-c", script, "-", *adyton_command(), "run", "cat"]
    result = subprocess.run(words, capture_output=True, timeout=60, env=environment())
    assert b"ADYPLAN" not in result.stdout


@pytest.mark.parametrize(
    ("words", "redirection", "status", "text"),
    [
        ("run /nonexistent", "2>&-", 127, ""),
        ("run /nonexistent", "2>/dev/full", 127, ""),
        ("run /nonexistent", ">&-", 127, "adyton: /nonexistent: no such program\n"),
        ("run false", "2>&-", 1, ""),
        ("stat /nonexistent", ">&- 2>&-", 125, ""),
        ("info", ">&-", 0, ""),
        ("info --json", ">&- 2>&-", 0, ""),
        ("bench", ">&-", 0, ""),
        ("info", ">/dev/full", 125, "adyton: No space left on device\n"),
        ("info --json", ">/dev/full", 125, "adyton: No space left on device\n"),
        ("run --help", ">/dev/full", 125, "adyton: No space left on device\n"),
    ],
)
def test_streams_that_take_nothing(words: str, redirection: str, status: int, text: str) -> None:
    """The exit code is what it is elsewhere; no traceback."""
    shell = ["bash", "-c", f'"$@" {words} {redirection}', "-", *adyton_command()]
    result = subprocess.run(
        shell, capture_output=True, text=True, timeout=60, env=environment(), cwd="/"
    )
    assert (result.returncode, result.stderr) == (status, text)


def test_new_processes_are_named_as_missing() -> None:
    result = run("run", "bash", "-c", "(echo a)")
    assert "adyton: clone(" in result.stderr
    assert "is not supported: ENOSYS" in result.stderr


@pytest.mark.smoke
def test_streams_pass_through() -> None:
    result = subprocess.run(
        [*adyton_command(), "run", "cat"],
        input=bytes(range(256)) * 10_000,
        capture_output=True,
        timeout=60,
        env=environment(),
    )
    assert result.stdout == bytes(range(256)) * 10_000
    assert result.stderr == b""


def test_closed_stdout_is_a_broken_pipe() -> None:
    """`adyton run yes | head -1` ends, as `yes | head -1` does."""
    head = subprocess.run(
        [
            "bash",
            "-c",
            f"{' '.join(map(repr, adyton_command()))} run yes | head -1; echo ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        timeout=60,
        text=True,
        env=environment(),
    )
    assert head.stdout == "y\n141\n"


def test_environment_and_directory(tmp_path: Path) -> None:
    listing = tmp_path / "variables"
    listing.write_text("# comment\nFROM_FILE=one two\n")
    result = run(
        "run", "-e", "GIVEN=x=y", "-e", "TZ", "--env-file", str(listing), "-w", "/usr", "sh", "-c",
        'echo "$GIVEN|$TZ|$FROM_FILE|$HOME"; pwd',
    )  # fmt: skip
    assert result.stdout == "x=y|UTC|one two|/root\n/usr\n"


def test_a_working_directory_in_a_volume(tmp_path: Path) -> None:
    (tmp_path / "real" / "sub").mkdir(parents=True)
    (tmp_path / "real" / "sub" / "file").write_text("here\n")
    (tmp_path / "link").symlink_to("real")
    for name in ("real", "link"):
        volume = f"{tmp_path / name}:/data"
        result = run("run", "-v", volume, "-w", "/data/sub", "cat", "file")
        assert result.stdout == "here\n", result.stderr


def test_volumes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_text("from the host\n")
    refused = "print(open('/data/file').read(), end='', flush=True); open('/data/file', 'w')"
    read_only = run("run", "-v", f"{tmp_path}/in:/data", "/usr/bin/python3", "-c", refused)
    assert read_only.stdout == "from the host\n"
    assert read_only.returncode == 1
    assert "Read-only file system" in read_only.stderr
    assert (tmp_path / "in" / "file").read_text() == "from the host\n"
    writes = "open('/data/file', 'w').write('new\\n'); open('/data/other', 'w').write('more\\n')"
    written = run("run", "-v", f"{tmp_path}/in:/data:rw", "/usr/bin/python3", "-c", writes)
    assert written.returncode == 0, written.stderr
    assert (tmp_path / "in" / "file").read_text() == "new\n"
    assert (tmp_path / "in" / "other").read_text() == "more\n"


def test_host_files_stay_as_they_are(tmp_path: Path) -> None:
    """Without -v the working directory is seen, and what is written to it vanishes."""
    (tmp_path / "file").write_text("old\n")
    script = (
        "print(open('file').read(), end='')\n"
        "open('file', 'w').write('new\\n'); open('other', 'w').write('more\\n')\n"
        "print(open('file').read() + open('other').read(), end='')"
    )
    result = run("run", "/usr/bin/python3", "-c", script, cwd=tmp_path)
    assert result.stdout == "old\nnew\nmore\n"
    assert (tmp_path / "file").read_text() == "old\n"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_home_is_not_there(tmp_path: Path) -> None:
    """Quick mode does not show the rest of the home directory."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id").write_text("secret\n")
    (tmp_path / "work").mkdir()
    result = subprocess.run(
        [*adyton_command(), "run", "cat", f"{home}/.ssh/id"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path / "work",
        env=environment({"HOME": str(home)}),
    )
    assert "secret" not in result.stdout
    assert result.returncode == 1


def test_user() -> None:
    assert run("run", "-u", "1234:5678", "id").stdout.startswith("uid=1234 gid=5678")


def test_memory_limit() -> None:
    """Going over is ENOMEM, a MemoryError in Python, and one line with limit and option."""
    script = "try: bytearray(400 << 20)\nexcept MemoryError: print('MemoryError')"
    result = run("run", "--memory", "256MiB", "/usr/bin/python3", "-c", script)
    assert result.stdout == "MemoryError\n"
    assert result.returncode == 0
    lines = [line for line in result.stderr.splitlines() if line.startswith("adyton: ")]
    assert len(lines) == 1
    assert "256" in lines[0]
    assert "--memory" in lines[0]


def test_full_files() -> None:
    """Files in memory that reach the limit: ENOSPC and one line; the program itself goes on."""
    result = run(
        "run", "--memory", "64MiB", "dd", "if=/dev/zero", "of=/tmp/x", "bs=1M", "count=200"
    )
    assert result.returncode == 1, result.stderr
    assert "No space left on device" in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("adyton: ")]
    assert len(lines) == 1
    assert "limit 64MiB, dd[1]" in lines[0]


def test_full_mappings() -> None:
    """A page of shared memory that can't be had is a bus error, as on a full tmpfs of Linux."""
    script = (
        "import mmap\n"
        "with open('/tmp/x', 'w+b') as file:\n"
        "    file.truncate(200 << 20)\n"
        "    view = mmap.mmap(file.fileno(), 0)\n"
        "    for at in range(0, 200 << 20, 4096): view[at] = 1"
    )
    result = run("run", "--memory", "64MiB", "/usr/bin/python3", "-c", script)
    assert result.returncode == 128 + signal.SIGBUS, result.stderr


def test_reservations_cost_nothing() -> None:
    script = (
        "import mmap\n"
        "flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS\n"
        "print(len(mmap.mmap(-1, 1 << 40, prot=0, flags=flags)))"
    )
    result = run("run", "--memory", "256MiB", "/usr/bin/python3", "-c", script)
    assert result.stdout == f"{1 << 40}\n", result.stderr


def test_unknown_system_call_is_named_once() -> None:
    script = (
        "import ctypes\n"
        "libc = ctypes.CDLL(None)\n"
        "for _ in range(3): libc.syscall(244, 1, 2)\n"
        "print(libc.syscall(9999))"
    )
    result = run("run", "/usr/bin/python3", "-c", script)
    assert result.stdout == "-1\n"
    lines = [line for line in result.stderr.splitlines() if line.startswith("adyton: ")]
    assert 1 <= len(lines) <= 2
    assert any("mq_notify" in line or "244" in line for line in lines)


def test_stat(tmp_path: Path) -> None:
    counters = tmp_path / "counters.json"
    result = run("run", "--stat", str(counters), "sha256sum", "/etc/passwd")
    assert result.returncode == 0, result.stderr
    shown = json.loads(counters.read_text())
    for name in (
        "exits",
        "syscalls",
        "context_switches",
        "preemptions",
        "interception",
        "memory",
        "rings",
    ):
        assert name in shown
    assert shown["exits"]["total"] > 0
    assert (
        shown["syscalls"]["total"]
        >= sum(v for k, v in shown["syscalls"].items() if k != "total")
        > 5
    )
    sites = {"trapped", "patched_sites", "learned_sites", "unpatched_sites"}
    assert sites <= shown["interception"].keys()
    assert 0 < shown["wall_seconds"] < 60


def test_computing_makes_no_exits(tmp_path: Path) -> None:
    """A program that computes and makes calls inside does not leave the enclave for them."""
    totals = []
    for rounds in (1_000, 100_000):
        counters = tmp_path / f"{rounds}.json"
        script = f"import os\nfor _ in range({rounds}): os.getppid()"
        run("run", "--vcpus", "1", "--stat", str(counters), "/usr/bin/python3", "-c", script)
        totals.append(json.loads(counters.read_text())["exits"]["total"])
    assert totals[1] - totals[0] < 100, totals


def test_trace() -> None:
    result = run("run", "--trace", "cat", "/no/such/file")
    assert result.returncode == 1
    assert "openat(" in result.stderr
    assert "ENOENT" in result.stderr


WAYS = [
    ["--without", "rings"],
    ["--with", "rings"],
    ["--with", "poller"],
    ["--without", "patching"],
    ["--without", "inclusive-dispatch"],
    ["--without", "avx512"],
    ["--vcpus", "1"],
    ["--vcpus", "8"],
    ["--exit-cost", "10000"],
]


@pytest.mark.parametrize("options", WAYS, ids=" ".join)
def test_same_output_either_way(options: list[str], machine: Machine) -> None:
    """Each way to carry I/O and each feature switched off shows the same."""
    # Options of the whole session could contradict these.
    machine = Machine([], native_only=machine.native_only)
    machine.compare([tool("sha256sum"), "/usr/bin/python3", "/etc/passwd"], options=options)
    machine.compare([str(compile_c(PROCESS / "thread_locks.c", "dynamic"))], options=options)


def test_exits_cost_what_is_asked(machine: Machine, tmp_path: Path) -> None:
    """The time grows with exits and cost: by a tenth at least of what they come to at 6 GHz."""
    if machine.native_only:
        pytest.skip("asked for with --native-only; this test is about the inside alone")
    cost = 2_000_000

    def counters(cycles: int) -> dict[str, Any]:
        stat = tmp_path / "stat.json"
        words = ["--without", "rings,poller", "--exit-cost", str(cycles), "--stat", str(stat)]
        result = run("run", *words, "cat", "/etc/passwd")
        assert result.returncode == 0, result.stderr
        return json.loads(stat.read_text())

    free = min(counters(0)["wall_seconds"] for _ in range(3))
    dear = counters(cost)
    charged = dear["exits"]["total"] * cost / 6e9
    assert charged > 0.02
    assert dear["wall_seconds"] - free > charged / 10


def test_info() -> None:
    result = run("info", "--json")
    assert result.returncode == 0, result.stderr
    assert isinstance(json.loads(result.stdout), (dict, list))


def test_python_api() -> None:
    """`adyton.run` mirrors `subprocess.run`."""
    script = (
        "import adyton, subprocess\n"
        "r = adyton.run(['cat'], input='text', capture_output=True, text=True, timeout=30)\n"
        "print(r.stdout, r.returncode)\n"
        "try: adyton.run(['false'], check=True)\n"
        "except subprocess.CalledProcessError as e: print('failed', e.returncode)\n"
        "try: adyton.run(['sleep', '30'], timeout=1)\n"
        "except subprocess.TimeoutExpired: print('time limit')\n"
    )
    env = environment() | {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=90, env=env
    )
    assert result.stdout == "text 0\nfailed 1\ntime limit\n", result.stderr
