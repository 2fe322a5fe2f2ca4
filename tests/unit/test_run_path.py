"""What `adyton run` imports before it executes the runner: a start is a matter of milliseconds."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.unit import samples

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).resolve().parents[2]

# Ours, and of Python's own only modules that cost little.
ALLOWED = {
    "_blake2", "_collections", "_functools", "_hashlib", "_operator", "_random", "_sha512",
    "_signal", "_struct", "_thread", "_weakref", "adyton", "adyton.cli", "adyton.cli.options",
    "adyton.cli.run", "adyton.errors", "adyton.launch", "adyton.launch.caller",
    "adyton.launch.decoder", "adyton.launch.elf", "adyton.launch.host", "adyton.launch.install",
    "adyton.launch.layout", "adyton.launch.measurement", "adyton.launch.plan",
    "adyton.launch.request", "adyton.launch.runner", "adyton.launch.units", "__future__",
    "collections", "contextlib", "fcntl", "functools", "hashlib", "itertools", "keyword",
    "operator", "reprlib", "resource", "struct", "types", "_sre", "warnings", "math",
}  # fmt: skip

SCRIPT = """
import os, sys
before = set(sys.modules)
sys.path.insert(0, {source!r})
from adyton.launch import install
install.DIRECTORY = {folder!r}
def stop(path, words, environment):
    sys.stdout.write("\\n".join(sorted(set(sys.modules) - before)))
    sys.stdout.flush()
    os._exit(0)
os.execve = stop
from adyton.cli import main
main(["run", "-m", "1GiB", "-v", "/usr:/u", "true"])
"""


def test_imports(tmp_path: Path) -> None:
    samples.install(tmp_path)
    script = SCRIPT.format(source=str(ROOT / "src"), folder=str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert set(done.stdout.split()) - ALLOWED == set()
    assert "adyton.launch.plan" in done.stdout


def test_the_package_itself_is_lazy() -> None:
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); import adyton; "
        "print(len([m for m in sys.modules if m.startswith('adyton')]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"


def test_exec_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Same process id, streams and folder; nothing of Python's ignored signals; few descriptors."""
    samples.install(
        tmp_path / "_bin",
        """
status = open("/proc/self/status").read()
ignored = int(status.split("SigIgn:")[1].split()[0], 16)
names = os.listdir("/proc/self/fd")
import resource
stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
print(os.getpid(), ignored, sorted(map(int, names))[:6], len(os.environ), stack)
sys.exit(7)
""",
    )
    script = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r})\n"
        f"from adyton.launch import install; install.DIRECTORY = {str(tmp_path / '_bin')!r}\n"
        "from adyton.cli import main; sys.exit(main(['run', '--', 'true']))"
    )
    monkeypatch.chdir(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
    assert process.returncode == 7
    pid, ignored, rest = output.split(maxsplit=2)
    assert int(pid) == process.pid
    # The Python that plays the runner ignores SIGPIPE and SIGXFSZ again; what was ignored when this
    # test began comes along by design.
    status = Path("/proc/self/status").read_text()
    inherited = int(status.split("SigIgn:")[1].split()[0], 16)
    assert int(ignored) & ~inherited & ~0x1001000 == 0
    assert rest.strip().endswith(str(8 << 20))
    assert os.getpid() != process.pid
