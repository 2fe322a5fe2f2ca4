"""The scanner, and its agreement with the typer command that is built from the same table."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from adyton.cli import app, options, run, trace
from adyton.cli.options import LIST, OPTIONAL, SWITCH, VALUE
from adyton.errors import UsageError
from adyton.launch import plan


def test_options_end_at_the_program() -> None:
    scanned = options.scan(["-it", "-m", "1GiB", "python3", "-c", "--memory", "x"])
    assert scanned.values == {"interactive": True, "tty": True, "memory": "1GiB"}
    assert scanned.rest == ["python3", "-c", "--memory", "x"]


@pytest.mark.parametrize(
    "words",
    [["--memory", "1GiB"], ["--memory=1GiB"], ["-m", "1GiB"], ["-m1GiB"], ["-m=1GiB"], ["-tm1GiB"]],
)
def test_spellings_of_a_value(words: list[str]) -> None:
    assert options.scan([*words, "true"]).text("memory") == "1GiB"


def test_double_dash_and_lists() -> None:
    scanned = options.scan(["-e", "A=1", "-eB=2", "--trace", "--env=C=3", "--", "-x", "--"])
    assert scanned.all("env") == ["A=1", "B=2", "C=3"]
    assert scanned.text("trace") == ""
    assert scanned.rest == ["-x", "--"]
    assert options.scan(["--trace=read,write", "true"]).text("trace") == "read,write"
    assert options.scan(["-"]).rest == ["-"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--memroy", "1GiB"], "did you mean --memory"),
        (["-z"], "no option -z"),
        (["-iz"], "no option -z"),
        (["--memory"], "needs a value: SIZE"),
        (["-m"], "needs a value: SIZE"),
        (["--rm=1"], "takes no value"),
        (["-d", "true"], "--detach: not there yet"),
        (["--image", "x"], "--image: measured images"),
        (["--image=x"], "--image: measured images"),
    ],
)
def test_refusals(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        options.scan(words)


@given(st.lists(st.text(alphabet="-=mveit1G:/xw ", max_size=6), max_size=6))
def test_any_line_is_read_or_refused(words: list[str]) -> None:
    try:
        scanned = options.scan(words)
    except UsageError:
        return
    assert scanned.rest == words[len(words) - len(scanned.rest) :]


TABLES = [("run", options.RUN), ("trace", trace.TABLE)]


@pytest.mark.parametrize(("verb", "table"), TABLES)
def test_typer_has_the_same_options(verb: str, table: tuple[options.Option, ...]) -> None:
    group: Any = typer.main.get_command(app.application)
    command = group.commands[verb]
    theirs = {}
    for parameter in command.params:
        if parameter.param_type_name != "option":
            continue
        names = frozenset(parameter.opts)
        shape = (
            SWITCH if parameter.is_flag else LIST if parameter.multiple else VALUE,
            parameter.hidden,
        )
        theirs[names] = shape
    ours = {
        frozenset({f"--{row.long}", *([f"-{row.short}"] if row.short else [])}): (
            VALUE if row.shape == OPTIONAL else row.shape,
            bool(row.refused),
        )
        for row in table
        if row.name != "help"
    }
    assert theirs == ours


@pytest.mark.parametrize(("verb", "table"), TABLES)
def test_table_is_sound(verb: str, table: tuple[options.Option, ...]) -> None:
    longs = [row.long for row in table]
    shorts = [row.short for row in table if row.short]
    assert len(set(longs)) == len(longs)
    assert len(set(shorts)) == len(shorts)
    for row in table:
        assert row.refused or row.help, (verb, row.long)
        assert row.shape == SWITCH or row.metavar, (verb, row.long)


def ask(*words: str) -> Any:
    return run.to_request(options.scan([*words, "true"]))


def test_values_become_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FROM_HOST", "1")
    request = ask(
        "-m", "512MiB", "--vcpus", "3", "-e", "A=b=c", "-e", "FROM_HOST", "-w", "/x/../y",
        "-u", "5:6", "-v", "a:/b/", "-v", "/c:/d:rw", "--exit-cost", "9000",
        "--without", "rings,avx512", "--name", "n",
    )  # fmt: skip
    assert request.arguments == ["true"]
    assert (request.memory, request.vcpus, request.exit_cost) == (512 << 20, 3, 9000)
    assert request.environment["A"] == "b=c"
    assert request.environment["FROM_HOST"] == "1"
    assert request.directory == "/y"
    assert request.identity == (5, 6)
    assert [(v.guest, v.writable) for v in request.volumes] == [("/b", False), ("/d", True)]
    assert request.volumes[0].host.startswith("/")
    assert request.features == plan.NO_RINGS | plan.NO_AVX512
    assert ask("-u", "7").identity == (7, 7)


@pytest.mark.parametrize("network", ["none", "loopback"])
def test_networks_that_are_the_same_without_sockets(network: str) -> None:
    assert ask("--network", network).features == ask().features


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "3GG"], '"3GG" is not a size; write "3GiB"'),
        (["-m", "512"], 'write "512GiB"'),
        (["-m", "1g"], 'write "1GiB"'),
        (["-m", "1.²GiB"], 'write "1GiB"'),
        (["-m", "9" * 5000 + "GiB"], 'write "1GiB"'),
        (["--vcpus", "9" * 4400], "at most 20 digits"),
        (["--vcpus", "²"], "not a number"),
        (["-u", "5000000000"], "user 5000000000: ids"),
        (["-u", f"0:{(1 << 32) - 1}"], "user 4294967295: ids"),
        (["--vcpus", "many"], "not a number"),
        (["-v", "/a"], "write HOST:GUEST"),
        (["-v", "/a:b"], "GUEST absolute"),
        (["-v", "/a:/b:rx"], "write HOST:GUEST"),
        (["-e", "=x"], "write K=V"),
        (["-w", "here"], "must be absolute"),
        (["-u", "root"], "not a number"),
        (["--backend", "sgx"], "not there yet"),
        (["--network", "host"], "not there yet"),
        (["--without", "speed"], "one of"),
        (["--with", "rings", "--without", "rings"], "exclude each other"),
        (["--env-file", "/nowhere"], "No such file"),
        (["--trace=raed"], "did you mean read"),
    ],
)
def test_values_that_make_no_sense(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ask(*words)


_DIGITS = st.text(st.characters(categories=["Nd", "No"]) | st.sampled_from(".,- kMGTiB"))


@given(st.sampled_from(["-m", "--vcpus", "-u", "--exit-cost"]), _DIGITS)
def test_any_number_is_read_or_refused(option: str, text: str) -> None:
    with contextlib.suppress(UsageError):
        ask(option, text)


def test_trace_filter() -> None:
    assert trace.expand_filter("read,write") == "read,write"
    others = trace.expand_filter("!futex").split(",")
    assert "read" in others
    assert "futex" not in others
