"""The typer application: help, completion, and every command but the fast path of `run`.

The options of `run` and `trace` come from the same tables that their scanner reads.
"""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from adyton.cli import bench, check, info, measure, options, stat, trace
from adyton.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from adyton.cli.options import Option

application = typer.Typer(
    name="adyton",
    help="Run unmodified Linux programs inside an enclave.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
show = typer.Typer(help="Print what identifies an enclave.", no_args_is_help=True)
application.add_typer(show, name="print")


def main(words: Sequence[str]) -> int:
    """Carry out a command line by typer; return the exit code.

    Raises:
        UsageError: The line makes no sense.
    """
    command = typer.main.get_command(application)
    if not words:
        words = ["--help"]
    try:
        code = command.main(args=list(words), prog_name="adyton", standalone_mode=False)
    except typer.Abort:
        return 130
    except typer.Exit as end:
        return end.exit_code
    except Exception as error:
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        text = message().rstrip(".")
        if not text:  # a group without a command: its help is there already
            return 0
        context = getattr(error, "ctx", None)
        place = getattr(context, "command_path", "adyton")
        raise UsageError(f"{text}; see `{place} --help`") from None
    return code if isinstance(code, int) else 0


def show_help(verb: str) -> NoReturn:
    """Print a verb's help and leave."""
    sys.exit(main([verb, "--help"]))


def _version(*, value: bool) -> None:
    if value:
        typer.echo(measure.version())
        raise typer.Exit


@application.callback()
def _common(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=lambda value: _version(value=value), is_eager=True),
    ] = False,
) -> None:
    """Run unmodified Linux programs inside an enclave."""


def parameters(table: Sequence[Option]) -> list[inspect.Parameter]:
    """Turn a table into the parameters of a typer command, program and arguments last."""
    found = [_parameter(row) for row in table if row.name != "help"]
    words = typer.Argument(metavar="PROGRAM [ARG]...", show_default=False)
    found.append(
        inspect.Parameter(
            "program",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[list[str], words],
        )
    )
    return found


def _parameter(row: Option) -> inspect.Parameter:
    names = [f"--{row.long}"] + ([f"-{row.short}"] if row.short else [])
    kind: Any = {
        options.SWITCH: bool,
        options.VALUE: str | None,
        options.OPTIONAL: str | None,
        options.LIST: list[str] | None,
    }[row.shape]
    option = typer.Option(
        *names,
        help=row.help,
        metavar=row.metavar or " ",
        hidden=bool(row.refused),
        show_default=False,
    )
    default = False if row.shape == options.SWITCH else None
    return inspect.Parameter(
        # `with` is a word of the language.
        f"{row.name}_",
        inspect.Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[kind, option],
    )


def _scanned_command(verb: str, table: Sequence[Option], text: str) -> Callable[..., None]:
    def command(**_: object) -> None:
        # Its scanner has taken every such line already; only --help comes here.
        raise UsageError(f"{verb}: see `adyton {verb} --help`")

    command.__doc__ = text
    command.__signature__ = inspect.Signature(parameters(table))  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


application.command("run")(
    _scanned_command(
        "run",
        options.RUN,
        "Run a program inside an enclave.\n\nEnds with its exit code; 128+N when signal N ended "
        "it, 125 when Adyton itself failed, 126 when the program can't be executed, 127 when there "
        "is none.",
    )
)
application.command("trace")(
    _scanned_command("trace", trace.TABLE, "Run a program and print its system calls.")
)


@application.command("info")
def _info(*, json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Say what this machine offers, what of it is used, and what to do about the rest."""
    info.main(json=json)


@application.command("check", context_settings={"allow_interspersed_args": False})
def _check(
    program: Annotated[list[str], typer.Argument(metavar="PROGRAM [ARG]...", show_default=False)],
    *,
    run: Annotated[bool, typer.Option("--run", help="Run it inside, and see.")] = False,
    timeout: Annotated[
        float, typer.Option("--timeout", metavar="SECONDS", min=0, help="End the run after these.")
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say whether a program will run inside, and what it would miss.

    Ends with 0, or with 4 when something would be missed for sure.
    """
    raise typer.Exit(check.main(program, run=run, json=json, timeout=timeout))


@show.command("mrenclave")
def _mrenclave(
    *,
    manifest: Annotated[
        str | None, typer.Option("--manifest", metavar="FILE", help="Of this configuration.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Print the enclave's measurement: quick mode's, or a manifest's."""
    measure.main(manifest=manifest, json=json)


@application.command("stat")
def _stat(
    file: Annotated[str, typer.Argument(help="Counters that `run --stat FILE` wrote.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show counters as a table."""
    stat.main(file, json=json)


@application.command("bench")
def _bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which; all for all. Without any: says what there is."),
    ] = None,
    *,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="Write rows; - is stdout.")
    ] = None,
    plot: Annotated[
        str | None, typer.Option("--plot", metavar="FILE", help="Draw them (adyton[plot]).")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="At most 30 seconds each.")] = False,
) -> None:
    """Compare with Linux on this machine."""
    raise typer.Exit(bench.main(names or ["list"], json=json, plot=plot, quick=quick))
