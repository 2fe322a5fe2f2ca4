"""One table of the options of `run`, and the scanner that reads a command line by it.

The scanner uses nothing but this table, because `run` must start in milliseconds; `app` builds the
help, the completion and the same options for typer from the same table.
"""

from __future__ import annotations

from adyton.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# Shapes of an option.
SWITCH = "switch"  # present or not
VALUE = "value"  # takes a value, the last one counts
LIST = "list"  # takes a value, all count
OPTIONAL = "optional"  # `--name` alone, or `--name=value`


class Option:
    """A row of the table.

    `refused` is a reason why this version says no to it; such options are known, so that the answer
    names the option, and hidden from the help.
    """

    __slots__ = ("help", "long", "metavar", "name", "refused", "shape", "short")

    def __init__(
        self,
        long: str,
        shape: str,
        help: str,  # noqa: A002 - the word that the table's readers expect
        *,
        short: str = "",
        metavar: str = "",
        refused: str = "",
    ) -> None:
        """Take `--long` without its dashes, `-short` without its dash."""
        self.long = long
        self.name = long.replace("-", "_")
        self.shape = shape
        self.help = help
        self.short = short
        self.metavar = metavar
        self.refused = refused


_NO_IMAGES = "measured images are not there yet; without it, `run` uses the host's files"
_NO_NETWORK = "sockets other than pairs are not there yet"

RUN = (
    Option("memory", VALUE, "Bytes that the enclave may use.", short="m", metavar="SIZE"),
    Option("vcpus", VALUE, "Host threads that run it, 1 to 64.", metavar="N"),
    Option(
        "volume",
        LIST,
        "A host file or folder to see inside; ro unless said.",
        short="v",
        metavar="HOST:GUEST[:ro|rw]",
    ),
    Option("env", LIST, "Set a variable, or pass the host's.", short="e", metavar="K[=V]"),
    Option("env-file", LIST, "Read variables from a file, K=V a line.", metavar="FILE"),
    Option("workdir", VALUE, "Working directory inside.", short="w", metavar="DIR"),
    Option("user", VALUE, "Numeric user and group.", short="u", metavar="UID[:GID]"),
    Option(
        "network",
        VALUE,
        "none, or loopback unless said; no sockets but pairs yet.",
        metavar="NETWORK",
    ),
    Option("interactive", SWITCH, "Accepted: stdin is always passed through.", short="i"),
    Option("tty", SWITCH, "Accepted: a terminal is always passed through.", short="t"),
    Option("rm", SWITCH, "Accepted: nothing stays behind in any case."),
    Option("backend", VALUE, "What holds the enclave: sim.", metavar="NAME"),
    Option("exit-cost", VALUE, "Cycles to add to each exit and entry.", metavar="CYCLES"),
    Option("stat", VALUE, "Write counters as JSON at the end; - is stderr.", metavar="FILE"),
    Option("trace", OPTIONAL, "Print system calls, all or those named.", metavar="[=CALL,…]"),
    Option("trace-output", VALUE, "Write the trace to a file.", metavar="FILE"),
    Option("core", VALUE, "Write a core, for gdb, when a signal ends it.", metavar="FILE"),
    Option("name", VALUE, "Name of the enclave.", metavar="NAME"),
    Option("with", LIST, "Insist on: rings or poller (for all I/O), seccomp.", metavar="FEATURE"),
    Option(
        "without",
        LIST,
        "Do without: rings, poller, inclusive-dispatch, patching, avx512, seccomp; "
        "dispatch (a test).",
        metavar="FEATURE",
    ),
    Option("quick", SWITCH, "The host's files, also where adyton.toml lies."),
    Option("image", VALUE, "", metavar="FILE", refused=_NO_IMAGES),
    Option("detach", SWITCH, "", short="d", refused="not there yet; end the line with & instead"),
    Option("publish", LIST, "", short="p", metavar="HOSTPORT:PORT", refused=_NO_NETWORK),
    Option("help", SWITCH, "Show this text.", short="h"),
)


class Scanned:
    """A command line by the table: `values` by option name, and what is left, program first.

    Switches are True, values str, lists list[str]; an optional one without its value is "". What is
    absent has no entry.
    """

    __slots__ = ("rest", "values")

    def __init__(self) -> None:
        """Begin empty."""
        self.values: dict[str, bool | str | list[str]] = {}
        self.rest: list[str] = []

    def flag(self, name: str) -> bool:
        """Return whether a switch is present."""
        return bool(self.values.get(name))

    def text(self, name: str) -> str | None:
        """Return the value of an option, None when it is absent."""
        value = self.values.get(name)
        return value if isinstance(value, str) else None

    def all(self, name: str) -> list[str]:
        """Return all values of a list option."""
        value = self.values.get(name)
        return value if isinstance(value, list) else []


def scan(words: Sequence[str], table: Sequence[Option] = RUN, *, verb: str = "run") -> Scanned:
    """Read options up to the program's name or `--`; the program's own are left alone.

    Raises:
        UsageError: An option is unknown, refused, lacks its value, or has one too many.
    """
    longs = {option.long: option for option in table}
    shorts = {option.short: option for option in table if option.short}
    scanned = Scanned()
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            break
        if word == "-" or not word.startswith("-"):
            position -= 1
            break
        if word.startswith("--"):
            name, given, value = word[2:].partition("=")
            option = longs.get(name)
            if option is None:
                raise _unknown(f"--{name}", longs, verb)
            position = _take(scanned, option, word, value if given else None, words, position)
        else:
            position = _cluster(scanned, shorts, words, position, verb)
    scanned.rest = list(words[position:])
    return scanned


def _cluster(
    scanned: Scanned,
    shorts: dict[str, Option],
    words: Sequence[str],
    position: int,
    verb: str,
) -> int:
    """Read `-it` or `-m1GiB`, the word before `position`."""
    letters = words[position - 1][1:]
    while letters:
        option = shorts.get(letters[0])
        if option is None:
            raise _unknown(f"-{letters[0]}", {}, verb)
        letters = letters[1:]
        if option.shape == SWITCH:
            _take(scanned, option, f"-{option.short}", None, words, position)
            continue
        value = letters.removeprefix("=") if letters else None
        return _take(scanned, option, f"-{option.short}", value, words, position)
    return position


def _take(
    scanned: Scanned,
    option: Option,
    word: str,
    value: str | None,
    words: Sequence[str],
    position: int,
) -> int:
    if option.refused:
        raise UsageError(f"--{option.long}: {option.refused}")
    if option.shape == SWITCH:
        if value is not None:
            raise UsageError(f"--{option.long} takes no value")
        scanned.values[option.name] = True
        return position
    if value is None and option.shape != OPTIONAL:
        if position == len(words):
            raise UsageError(f"{word} needs a value: {option.metavar}")
        value = words[position]
        position += 1
    if option.shape == LIST:
        scanned.values[option.name] = [*scanned.all(option.name), value or ""]
    else:
        scanned.values[option.name] = value or ""
    return position


def _unknown(word: str, longs: dict[str, Option], verb: str) -> UsageError:
    if longs:
        import difflib  # errors may be slow

        close = difflib.get_close_matches(word[2:], longs, n=1)
        if close:
            return UsageError(f"{verb}: no option {word}; did you mean --{close[0]}?")
    return UsageError(f"{verb}: no option {word}; see `adyton {verb} --help`")
