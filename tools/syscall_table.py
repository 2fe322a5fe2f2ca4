"""Generates docs/syscalls/table.md: the calls that exist, their families, the programs of each.

Reads the source: numbers and names from `crates/abi/src/nr.rs`, families from the kernel's lists,
and what is there from the arms of the families' functions.

    python tools/syscall_table.py           writes the page
    python tools/syscall_table.py --check   fails when the page is not what the source says
"""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "syscalls" / "table.md"
KERNEL = ROOT / "crates" / "kernel" / "src" / "syscalls"
TESTS = ROOT / "tests" / "syscalls"

# Names by which C programs know a call, where they differ from the kernel's.
_IN_C = {
    "newfstatat": "fstatat",
    "exit_group": "_?exit",
    "rt_sigreturn": "sigaction|signal",
    "restart_syscall": "nanosleep",
    "exit": "SYS_exit",
    "set_robust_list": "set_robust_list",
    "pselect6": "pselect6?",
    "umount2": "umount",
    "rt_sigqueueinfo": "sigqueue",
    "rt_tgsigqueueinfo": "pthread_sigqueue",
    "rt_sigtimedwait": "sigtimedwait|sigwaitinfo",
    "getdents": "getdents",
    "prlimit64": "prlimit64",
    "futex": "SYS_futex",
    "sendto": "send(to)?",
    "recvfrom": "recv(from)?",
    "eventfd2": "eventfd",
    "signalfd4": "signalfd",
    "epoll_pwait": "epoll_pwait",
    "clock_nanosleep": "clock_nanosleep",
    "gettid": "SYS_gettid",
    "fadvise64": "posix_fadvise",
}


# Answered with ENOSYS until there are new processes: an arm in the source, but not there.
_NO_PROCESSES = {"FORK", "VFORK"}


def names() -> dict[str, tuple[int, str]]:
    """Constant to number and name."""
    text = (ROOT / "crates" / "abi" / "src" / "nr.rs").read_text()
    rows = re.findall(r'^\s+(\d+) (\w+) "(\w+)";', text, re.MULTILINE)
    return {constant: (int(number), name) for number, constant, name in rows}


def families() -> dict[str, str]:
    """Constant to family, from the lists of the kernel."""
    text = (KERNEL / "families.rs").read_text()
    found = {}
    for family, body in re.findall(r"const (\w+): &\[usize\] = &\[(.*?)\];", text, re.DOTALL):
        for constant in re.findall(r"nr::(\w+)", body):
            found[constant] = family.lower()
    return found


def implemented() -> set[str]:
    """Constants that some family's function has an arm for."""
    found: set[str] = set()
    for path in KERNEL.rglob("*.rs"):
        if path.name not in {"table.rs", "families.rs", "refused.rs"}:
            found |= set(re.findall(r"\bnr::([A-Z0-9_]+)", path.read_text()))
    return found - _NO_PROCESSES - refused().keys()


def refused() -> dict[str, str]:
    """Constant to errno of the calls that are refused by design: the kernel's own table of them."""
    text = _uncommented(KERNEL / "refused.rs")
    found = dict(re.findall(r"\(nr::(\w+),\s*Errno::(\w+)", text))
    system = _uncommented(KERNEL / "system" / "mod.rs")
    for arm, rule in re.findall(r"((?:\|?\s*nr::\w+\s*)+)=> Rule::(\w+)", system):
        errno = "ENOSYS" if rule == "Gone" else "EPERM"
        found |= dict.fromkeys(re.findall(r"nr::(\w+)", arm), errno)
    # These look at their arguments first.
    errnos = r"nr::(\w+) => \S*refused::\w+\("
    found |= dict.fromkeys(re.findall(errnos, system), "as for the unprivileged")
    return found


def _uncommented(path: Path) -> str:
    return re.sub(r"//[^\n]*", "", path.read_text())


def states() -> dict[str, dict[str, object]]:
    """Name to number, state (`there`, `refused`, `missing`), and errno, family where there are."""
    there, turned_away, family_of = implemented(), refused(), families()
    found: dict[str, dict[str, object]] = {}
    for constant, (number, name) in sorted(names().items(), key=lambda item: item[1]):
        row: dict[str, object] = {"number": number}
        if constant in turned_away:
            row |= {"state": "refused", "errno": turned_away[constant]}
        elif constant in there:
            row["state"] = "there"
        else:
            row |= {"state": "missing", "errno": "ENOSYS"}
        if constant in family_of:
            row["family"] = family_of[constant]
        found[name] = row
    return found


def tested_by(name: str) -> list[str]:
    """The test programs that make a call, as `family/program`.

    A name counts where it is called, or stands as a number (`SYS_name`); in comments and texts it
    doesn't.
    """
    plain = re.sub(r"^rt_", "", re.sub(r"64$", "", name))
    word = _IN_C.get(name, f"{re.escape(name)}|{re.escape(plain)}")
    pattern = re.compile(rf"\bSYS_{re.escape(name)}\b|\b(?:{word})\s*\(")
    return [
        str(path.relative_to(TESTS).with_suffix(""))
        for path in sorted(TESTS.rglob("*.c"))
        if pattern.search(_code(path))
    ]


@functools.cache
def _code(path: Path) -> str:
    """A C program without its comments and strings."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.DOTALL)
    # With the headers beside it, where calls have wrappers.
    beside = (path.parent / name for name in re.findall(r'#include "(\w+\.h)"', text))
    headers = "".join(_code(header) for header in beside if header.exists())
    return headers + re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)


def page() -> str:
    """The whole page."""
    known, family_of, there, turned_away = names(), families(), implemented(), refused()
    rows = []
    missing = []
    refusals = []
    for constant, (number, name) in sorted(known.items(), key=lambda item: item[1]):
        if constant in turned_away:
            programs = ", ".join(f"`{program}`" for program in tested_by(name)[:4])
            refusals.append(f"| {number} | `{name}` | {turned_away[constant]} | {programs} |")
            continue
        if constant not in there:
            missing.append(name)
            continue
        programs = tested_by(name)
        shown = ", ".join(f"`{program}`" for program in programs[:4])
        if len(programs) > 4:
            shown += f" and {len(programs) - 4} more"
        family = family_of.get(constant, "")
        rows.append(f"| {number} | `{name}` | [{family}]({family}.md) | {shown} |")
    return "\n".join(
        [
            "# Table of system calls",
            "",
            "Generated by `tools/syscall_table.py`; don't edit.",
            "",
            f"{len(rows)} calls are there. The programs lie under `tests/syscalls/`.",
            "",
            "| number | call | family | tried by |",
            "|---:|---|---|---|",
            *rows,
            "",
            "## Refused by design",
            "",
            "What a Linux answers that is set up without them, or to the unprivileged; ENOSYS",
            "where no Linux has the call any more. No line on standard error.",
            "",
            "| number | call | errno | tried by |",
            "|---:|---|---|---|",
            *refusals,
            "",
            "## Not there",
            "",
            "These give ENOSYS, and one line on standard error the first time:",
            "",
            ", ".join(f"`{name}`" for name in missing) + ".",
            "",
        ]
    )


def main() -> int:
    """Write or check the page."""
    text = page()
    if "--check" in sys.argv[1:]:
        if not PAGE.exists() or PAGE.read_text() != text:
            sys.stderr.write(f"{PAGE.name} is out of date; run `make table`\n")
            return 1
        return 0
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
