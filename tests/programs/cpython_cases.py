"""Runs one module of CPython's own tests and says what became of each case, one line of JSON each.

    python3 cpython_cases.py MODULE [--skip FILE]

Runs on Linux and inside alike, with the interpreter's standard library alone. A line is
`{"case": ID, "outcome": …, "why": …, "beyond": […]}`: the outcome is `start`, then `ok`, `skip`,
`fail` or `error`; `beyond` names what the case used that one process alone does not have: other
processes, the network. A case that ends the interpreter leaves its `start` behind; whoever reads
that starts again with `--skip`, a file of the IDs to leave out.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import json
import os
import sys
import unittest
from pathlib import Path

from test import support
from test.support import os_helper

# A case may take this long, in seconds, before the interpreter ends with every thread's stack.
LIMIT = 120

_PROCESSES = {
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
    "subprocess.Popen",
}
_NETWORK = {
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
}

used: set[str] = set()


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Note what leaves the process."""
    if event in _PROCESSES:
        used.add("processes")
    elif event in _NETWORK or (event == "socket.__new__" and arguments[1] not in {-1, 1}):
        used.add("network")


class Report(unittest.TestResult):
    """One line for each case's start and end."""

    def __init__(self, out: int) -> None:
        super().__init__()
        self.out = out
        self.worst: tuple[str, str] = ("ok", "")

    def say(self, case: unittest.TestCase, outcome: str, why: str = "") -> None:
        """Write a line past everything that a test does to standard output."""
        line = {"case": case.id(), "outcome": outcome, "why": why[-1500:], "beyond": sorted(used)}
        os.write(self.out, json.dumps(line).encode() + b"\n")

    def startTest(self, test: unittest.TestCase) -> None:
        """A case begins."""
        super().startTest(test)
        used.clear()
        self.worst = ("ok", "")
        faulthandler.dump_traceback_later(LIMIT, exit=True)
        self.say(test, "start")

    def stopTest(self, test: unittest.TestCase) -> None:
        """A case has ended: the worst of what it and its parts said counts."""
        super().stopTest(test)
        faulthandler.cancel_dump_traceback_later()
        self.say(test, *self.worst)

    def addFailure(self, test, err) -> None:  # noqa: ANN001
        super().addFailure(test, err)
        self.note(test, "fail", self.failures[-1][1])

    def addError(self, test, err) -> None:  # noqa: ANN001
        super().addError(test, err)
        self.note(test, "error", self.errors[-1][1])

    def addSkip(self, test, reason: str) -> None:  # noqa: ANN001
        super().addSkip(test, reason)
        self.note(test, "skip", reason)

    def addUnexpectedSuccess(self, test) -> None:  # noqa: ANN001
        super().addUnexpectedSuccess(test)
        self.note(test, "fail", "unexpected success")

    def addSubTest(self, test, subtest, err) -> None:  # noqa: ANN001
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            text = (self.failures if failed else self.errors)[-1][1]
            self.note(test, "fail" if failed else "error", text)

    def note(self, test: unittest.TestCase, outcome: str, why: str) -> None:
        """Keep an outcome, unless a worse one was there; say that of a class or module."""
        if not isinstance(test, unittest.TestCase):
            self.say(test, outcome, why)
        elif self.worst[0] in {"ok", "skip"}:
            self.worst = (outcome, why)


def each(tests: unittest.TestSuite, skipped: set[str]) -> unittest.TestSuite:
    """The suite without the skipped cases; classes and modules keep their set-up."""
    left = unittest.TestSuite()
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            left.addTest(each(test, skipped))
        elif test.id() not in skipped:
            left.addTest(test)
    return left


def main() -> None:
    """Run the module's cases."""
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("--skip", type=Path)
    options = parser.parse_args()
    skipped = set(options.skip.read_text().split("\n")) if options.skip else set()
    out = os.dup(1)
    sys.addaudithook(watch)
    support.use_resources = ["decimal", "subprocess", "tzdata"]
    with os_helper.temp_cwd():
        module = importlib.import_module(f"test.{options.module}")
        tests = unittest.defaultTestLoader.loadTestsFromModule(module)
        report = Report(out)
        report.buffer = False
        each(tests, skipped).run(report)
    os._exit(0)


if __name__ == "__main__":
    main()
