"""`adyton check` from the outside: closure, sites, and no harm from hostile files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adyton.cli import main
from adyton.launch import install
from adyton.observe import check, closure, dynamic, elf, sites
from tests.harness import compile_c, compile_go
from tests.unit import samples

if TYPE_CHECKING:
    from pathlib import Path

THERE = {"state": "there"}
MISSING = {"state": "missing", "errno": "ENOSYS"}
REFUSED = {"state": "refused", "errno": "EPERM"}

RAW = """
#include <unistd.h>
#include <sys/syscall.h>
int main(void) {
    long result;
    syscall(SYS_swapoff, "x");
    __asm__ volatile("mov $167, %%eax\\n\\tsyscall" : "=a"(result) : : "rcx", "r11", "memory");
    return result == 0;
}
"""

GO = """
package main

import "syscall"

func main() { syscall.Syscall(syscall.SYS_SWAPOFF, 0, 0, 0) }
"""


class Table(dict[str, dict[str, Any]]):
    """Everything is there but what is said."""

    def __init__(self, **said: dict[str, Any]) -> None:
        super().__init__(said)

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, THERE)


def look(program: object, **said: dict[str, Any]) -> check.Verdict:
    return check.look(str(program), Table(**said), directory="/", environment={})


@pytest.mark.parametrize("variant", ["static", "dynamic"])
def test_calls_by_number(tmp_path: Path, variant: str) -> None:
    source = tmp_path / "raw.c"
    source.write_text(RAW)
    program = compile_c(source, variant)
    verdict = look(program, swapon=MISSING, swapoff=MISSING)
    found = {row.name: row.certainty for row in verdict.findings}
    assert found == {"swapon": check.SURE, "swapoff": check.SURE}
    assert not verdict.will_run
    assert look(program).will_run


def test_calls_of_go(tmp_path: Path) -> None:
    source = tmp_path / "raw.go"
    source.write_text(GO)
    verdict = look(compile_go(source), swapoff=MISSING, mmap=MISSING)
    assert {row.name for row in verdict.findings} == {"swapoff", "mmap"}


def test_what_a_library_imports_may_never_be_called(tmp_path: Path) -> None:
    source = tmp_path / "imports.c"
    source.write_text("#include <unistd.h>\nint main(void) { return getppid() == 0 && fork(); }")
    program = compile_c(source, "dynamic")
    verdict = look(program, fork=MISSING, getppid=REFUSED, acct=MISSING)
    assert {row.name: row.certainty for row in verdict.findings} == {
        "fork": check.SURE,
        "getppid": check.MAYBE,  # refused, as Linux itself may
    }
    assert "only threads" in verdict.findings[0].why


def test_a_script_is_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\nexit 3\n")
    verdict = look(script, fork=MISSING)
    assert verdict.chain == [str(script), "/bin/sh"]
    assert [row.name for row in verdict.findings] == ["fork"]
    script.write_text("#!/no/such/interpreter\n")
    (finding,) = look(script).findings
    assert (finding.name, finding.certainty) == ("/no/such/interpreter", check.SURE)
    script.write_text(f"#!{script}\n")
    assert "interpreters" in look(script).findings[0].why


def test_a_missing_library(tmp_path: Path) -> None:
    source = tmp_path / "library.c"
    source.write_text("int answer(void) { return 42; }")
    library = compile_c(source, "dynamic", ("-shared", "-fPIC"))
    kept = tmp_path / "libanswer.so"
    kept.write_bytes(library.read_bytes())
    user = tmp_path / "user.c"
    user.write_text("int answer(void); int main(void) { return answer(); }")
    program = compile_c(user, "dynamic", (str(kept),))
    assert look(program).will_run
    kept.unlink()
    elf.opened.cache_clear()
    (finding,) = look(program).findings
    assert finding.kind == "library"
    assert finding.name.endswith("libanswer.so")


def test_what_is_no_program(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    (finding,) = look(text).findings
    assert "neither a script nor an ELF file" in finding.why


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "DIRECTORY", str(tmp_path))
    table = {name: THERE for name in check.numbers.NUMBERS} | {"fork": MISSING}
    (tmp_path / "adyton-calls.json").write_text(json.dumps(table))
    assert main(["check", "--json", "true"]) == 0
    assert json.loads(capfd.readouterr().out)["findings"] == []
    assert main(["check", "bash"]) == 4
    assert "fork (ENOSYS)" in capfd.readouterr().out
    assert main(["check", "no-such-program-here"]) == 127


def test_a_run_knows_better() -> None:
    verdict = check.Verdict("program")
    verdict.findings.append(check.Finding("call", "fork", check.SURE, "", ""))
    event = {"event": "call", "name": "close", "arguments": ["77"], "errno": "EBADF"}
    check.add_run(verdict, [json.dumps(event), '{"cut'], directory="/")
    assert verdict.will_run
    opened = {"name": "openat", "arguments": ["AT_FDCWD", '"/etc/passwd"'], "errno": "ENOENT"}
    missed = {"name": "bpf", "arguments": ["1"], "errno": "ENOSYS"}
    events = [json.dumps({"event": "call", **each}) for each in (opened, missed, missed)]
    check.add_run(verdict, events, directory="/")
    sure = [row.name for row in verdict.findings if row.certainty == check.SURE]
    assert sure == ["/etc/passwd", "bpf"]


@pytest.mark.parametrize(
    ("symbol", "call"),
    [
        ("fork", "fork"),
        ("posix_spawn", "vfork"),
        ("open64", "open"),
        ("__read", "read"),
        ("syslog", None),
        ("printf", None),
    ],
)
def test_functions_and_calls(symbol: str, call: str | None) -> None:
    assert check.call_of(symbol) == call


@pytest.fixture(scope="module")
def seed() -> bytes:
    with open("/bin/true", "rb") as file:
        return file.read()


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_hostile_files(
    seed: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands in a file, it is looked at or told of, in bounded time."""
    kind = data.draw(st.sampled_from(["bytes", "made", "changed"]))
    if kind == "bytes":
        content = data.draw(st.sampled_from([b"", b"#!", b"\x7fELF\2\1"])) + data.draw(st.binary())
    elif kind == "made":
        number = st.integers(0, 1 << 64)
        numbers = st.one_of(number.filter(lambda n: n < 1 << 64), st.integers(0, 0x3000))
        header = st.tuples(st.integers(0, 8), st.integers(0, 7), numbers, numbers, numbers, numbers)
        content = samples.elf(data.draw(st.lists(header, max_size=6)))
    else:
        changed = bytearray(seed)
        spots = st.one_of(st.integers(0, 1000), st.integers(0, len(seed) - 1))
        for _ in range(data.draw(st.integers(1, 12))):
            changed[data.draw(spots)] = data.draw(st.integers(0, 255))
        content = bytes(changed[: data.draw(st.integers(64, len(seed)))])
    path = tmp_path_factory.getbasetemp() / "hostile"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    elf.opened.cache_clear()
    file = elf.opened(str(path))
    if file is not None:
        sites.scan(file, dynamic.read(file).slots)
    look(path)


def test_folders_of_the_linker(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("/from/include # comment\n")
    (tmp_path / "ld.so.conf").write_text("include *.conf\n/own\nrelative\n")
    assert closure.configured(str(tmp_path / "ld.so.conf"))[-1] == "/own"
    assert "/from/include" in closure.configured(str(tmp_path / "ld.so.conf"))


@pytest.mark.parametrize(
    ("status", "certainty"),
    [
        (0, None),
        (3, None),
        (254, None),
        (125, "sure"),
        (127, "sure"),
        (139, "maybe"),
        (-9, "maybe"),
    ],
)
def test_how_a_run_ended(status: int, certainty: str | None) -> None:
    verdict = check.Verdict("/bin/program")
    check.add_end(verdict, status)
    assert [row.certainty for row in verdict.findings] == ([certainty] if certainty else [])
    assert verdict.will_run == (certainty != "sure")
