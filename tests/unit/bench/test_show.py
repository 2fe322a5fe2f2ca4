"""The table, the JSON, the drawing, and the command's own errors."""

from __future__ import annotations

import importlib.util
import json
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from adyton import bench
from adyton.bench import machine, plot, table
from adyton.bench.rows import Case, Goal, Row, Samples, summarise
from adyton.errors import AdytonError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"cpu": "A processor", "cores": 2, "kernel": "Linux 6", "date": "2026-01-02 03:04 UTC"}


def row(name: str, linux: float, adyton: float | None, goal: Goal | None = None, x: int = 0) -> Row:
    series = "sched_yield" if x else ""
    kind = "yield" if x else "syscall"
    samples = Samples([linux], [] if adyton is None else [adyton], "" if adyton else "adyton: no")
    return summarise(Case(kind, name, "ns", goal, series, x), samples)


ROWS = [
    row("getppid, 1 core", 120, 20, Goal("value", 25)),
    row("read [1 byte], 1 core", 120, None),
    row("sched_yield, 2 threads, 1 core", 1200, 100, Goal("ratio", 15), x=2),
    row("sched_yield, 64 threads, 1 core", 1800, 110, Goal("ratio", 15), x=64),
]


def shown(rows: list[Row]) -> str:
    console = Console(width=120, color_system=None)
    with console.capture() as capture:
        console.print(table.table(rows))
    return capture.get()


def test_the_table() -> None:
    lines = shown(ROWS).splitlines()
    (parent,) = [line for line in lines if "getppid" in line]
    assert " ".join(parent.split()) == (
        "syscall getppid, 1 core 120 20.0 ns 6.00x 0% 1 <= 25 ns met"
    )
    assert "read [1 byte]" in shown(ROWS)
    (two,) = [line for line in lines if " 2 threads" in line]
    assert two.startswith("yield")
    assert two.rstrip().endswith("12.0x      0%  1  >= 15x not met")


def test_the_table_fits_a_narrow_terminal() -> None:
    console = Console(width=60, color_system=None)
    with console.capture() as capture:
        console.print(table.table(ROWS))
    assert max(map(len, capture.get().splitlines())) <= 60


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.514, "0.51"), (9.876, "9.88"), (12.34, "12.3"), (1234.5, "1,234")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert table.number(value) == text


def test_colours_follow_the_ratio() -> None:
    assert [table.colour(r) for r in (12, 1.5, 0.995, 0.95, 0.5)] == [
        "bold green", "green", "green", "yellow", "red",
    ]  # fmt: skip


def test_notes() -> None:
    failed, flat = table.notes(ROWS)
    assert failed == "syscall: adyton: no"
    assert "from 2 to 64 threads" in flat
    assert "Linux's cost changes by a factor of 1.50, Adyton's by 1.10" in flat


def test_the_drawing(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("plot.png", "plot.svg"):
        plot.draw(ROWS, str(tmp_path / name), caption=machine.line(FACTS))
        assert (tmp_path / name).stat().st_size > 5000
    text = (tmp_path / "plot.svg").read_text()
    assert "<svg" in text
    with pytest.raises(UsageError, match="nothing was measured"):
        plot.draw(ROWS[1:2], str(tmp_path / "none.png"), caption="")
    with pytest.raises(UsageError, match="--plot"):
        plot.draw(ROWS, str(tmp_path / "plot.unknown"), caption="")


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Benchmarks that measure nothing."""
    measured: dict[str, bench.Bench] = {
        "good": lambda _, *, quick: ROWS[:1],
        "bad": lambda _, *, quick: ROWS[1:2],
    }
    monkeypatch.setattr(bench, "BENCHES", measured)
    monkeypatch.setattr(machine, "facts", lambda _: FACTS)


@pytest.mark.usefixtures("canned")
def test_main(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rows.json"
    assert bench.main(["good"], json=str(file), quick=True) == 0
    assert "getppid" in capsys.readouterr().out
    (only,) = json.loads(file.read_text())
    assert only["case"] == "getppid, 1 core"
    assert only["machine"] == FACTS
    # What could not be measured is an exit code, and the rest is still shown.
    assert bench.main(["all"], json="-") == 1
    assert [r["ratio"] for r in json.loads(capsys.readouterr().out)] == [6.0, None]
    assert bench.main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == ["good", "bad"]


@pytest.mark.usefixtures("canned")
def test_one_that_fails_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: Path, *, quick: bool) -> list[Row]:
        raise AdytonError("bench: no C compiler")

    monkeypatch.setitem(bench.BENCHES, "bad", broken)
    file = tmp_path / "rows.json"
    assert bench.main(["bad", "good"], json=str(file)) == 1
    assert "bad: bench: no C compiler\n" in capsys.readouterr().out
    assert [(r["bench"], r["error"]) for r in json.loads(file.read_text())] == [
        ("bad", "bench: no C compiler"),
        ("syscall", None),
    ]


@pytest.mark.parametrize("option", ["json", "plot"])
def test_files_are_tried_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    if option == "plot":
        pytest.importorskip("matplotlib")

    def never(_: Path, *, quick: bool) -> list[Row]:
        pytest.fail("it measured")

    monkeypatch.setattr(bench, "BENCHES", {"good": never})
    words: dict[str, str] = {option: str(tmp_path / "none" / "file.png")}
    with pytest.raises(UsageError, match="No such file"):
        bench.main(["good"], **words)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("canned")
def test_rows_are_shown_where_the_disk_is_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--json /dev/full: No space left"):
        bench.main(["good"], json="/dev/full")
    assert "getppid" in capsys.readouterr().out


@pytest.mark.usefixtures("canned")
def test_wrong_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match='"fast" is not there; there are: good, bad'):
        bench.main(["good", "fast"])
    with pytest.raises(UsageError, match=r"--json .*: No such file"):
        bench.main(["good"], json=str(tmp_path / "none" / "rows.json"))
    if importlib.util.find_spec("matplotlib"):
        with pytest.raises(UsageError, match=r"its ending is none of .*png"):
            bench.main(["good"], plot=str(tmp_path / "plot.unknown"))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'adyton\[plot\]'"):
        bench.main(["good"], plot="p.png")
