"""The tests' own harness: when a program is built anew, and which failure may be announced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import harness
from tests.harness import Case, Differs, Outcome, with_included

if TYPE_CHECKING:
    from pathlib import Path


def test_included_files_count(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "above.h").write_text('#include "below/self.h"\n')
    (tmp_path / "below" / "self.h").write_text('#include "self.h"\n#include <stdio.h>\n')
    source = tmp_path / "below" / "a.c"
    source.write_text('#include "observe.h"\n  # include "../above.h"\n// "none.h"\n')
    found = with_included([source])
    assert found == [source, harness.OBSERVE, tmp_path / "above.h", tmp_path / "below" / "self.h"]


class Scripted(harness.Machine):
    """Both sides show what a test says."""

    def __init__(self, native: Outcome, inside: Outcome) -> None:
        super().__init__([])
        self._shown = (native, inside)

    def native(self, command: list[str], **how: object) -> Outcome:
        del command, how
        return self._shown[0]

    def inside(
        self, command: list[str], *, options: list[str] | None = None, **how: object
    ) -> Outcome:
        del command, options, how
        assert self._shown[1].stderr != b"witness", "calls of the program reached the host"
        return self._shown[1]


SAME = Outcome(0, b"a\n", b"")


@pytest.mark.parametrize(
    ("native", "inside", "kind"),
    [
        (SAME, SAME, None),
        (SAME, Outcome(0, b"b\n", b""), Differs),
        (SAME, Outcome(None, b"a\n", b""), Differs),
        (SAME, Outcome(0, b"a\n", b"witness"), AssertionError),
        (Outcome(0, b"x: NO\n", b""), SAME, AssertionError),
        (Outcome(None, b"", b""), SAME, AssertionError),
    ],
)
def test_only_a_difference_may_be_announced(
    native: Outcome,
    inside: Outcome,
    kind: type[Exception] | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(harness, "compile_c", lambda *_: tmp_path / "program")
    machine = Scripted(native, inside)
    for differs in ({}, {"differs": "why"}):
        case = Case(tmp_path / "program.c", "static", differs=differs)
        if kind is None:
            assert case.run(machine) == native
            continue
        expected = pytest.xfail.Exception if kind is Differs and differs else kind
        with pytest.raises(expected) as caught:
            case.run(machine)
        assert caught.type is expected
