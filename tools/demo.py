"""`make demo`: unmodified programs inside an enclave, their cost, a comparison with Linux."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
BUILD = ROOT / "build" / "demo"
ADYTON = [sys.executable, "-m", "adyton"]
BENCHES = ("syscall", "yield", "futex", "pipe", "thread", "start")

console = Console(highlight=False)


def run(title: str, program: list[str], *, stat: Path | None = None) -> None:
    """Show a command, run it inside an enclave, and stop the demo when it fails."""
    options = ["--stat", str(stat)] if stat else []
    shown = shlex.join(word.replace(f"{ROOT}/", "") for word in program)
    console.print(f"\n[bold]{title}[/bold]\n[dim]$ adyton run {shown}[/dim]")
    result = subprocess.run([*ADYTON, "run", *options, "--", *program], cwd=ROOT, check=False)
    if result.returncode:
        sys.exit(f"demo: that ended with {result.returncode}")


def compile_programs() -> tuple[str, str]:
    """Build the static musl program and the Go program with their ordinary compilers."""
    static, goroutines = BUILD / "static", BUILD / "goroutines"
    subprocess.run(
        ["musl-gcc", "-O2", "-static", "-o", str(static), str(EXAMPLES / "static.c")], check=True
    )
    subprocess.run(
        ["go", "build", "-o", str(goroutines), str(EXAMPLES / "goroutines.go")],
        check=True,
        env=os.environ | {"CGO_ENABLED": "0", "GO111MODULE": "off"},
    )
    return str(static), str(goroutines)


def show_exits(stat: Path) -> None:
    """A table of what made the last program leave its enclave."""
    counters = json.loads(stat.read_text())
    console.print("\n[bold]How often it left the enclave, by cause[/bold]")
    table = Table()
    table.add_column("cause")
    table.add_column("times", justify="right")
    exits = counters["exits"]
    for cause, times in sorted(exits.items(), key=lambda item: -item[1]):
        if cause != "total" and times:
            table.add_row(cause, f"{times:,}")
    table.add_row("[bold]all[/bold]", f"[bold]{exits['total']:,}[/bold]")
    console.print(table)
    console.print(f"for {counters['syscalls']['total']:,} system calls")


def main() -> int:
    """Run the whole show."""
    for name in ("musl-gcc", "go", "sqlite3"):
        if shutil.which(name) is None:
            sys.exit(f"demo: {name} is missing; run `make setup`")
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    stat = BUILD / "stat.json"
    static, goroutines = compile_programs()
    run(
        "Debian's Python: threads, sqlite3, hashlib, json, files",
        ["/usr/bin/python3", str(EXAMPLES / "everyday.py")],
        stat=stat,
    )
    show_exits(stat)
    run(
        "sqlite3: 100,000 rows",
        ["sqlite3", "items.db", f".read {EXAMPLES / 'load.sql'}"],
    )
    run("A static program with another libc", [static])
    run("Go", [goroutines])
    console.print("\n[bold]What the enclave is[/bold]\n[dim]$ adyton print mrenclave[/dim]")
    subprocess.run([*ADYTON, "print", "mrenclave"], check=True)
    plot = BUILD / "bench.png"
    console.print("\n[bold]Compared with Linux, in one run[/bold]")
    console.print(f"[dim]$ adyton bench {' '.join(BENCHES)} --quick --plot {plot.name}[/dim]")
    bench = [*ADYTON, "bench", *BENCHES, "--quick", "--plot", str(plot)]
    bench += ["--json", str(BUILD / "bench.json")]
    if subprocess.run(bench, check=False).returncode:
        sys.exit("demo: the benchmark failed")
    console.print(f"\nThe plot: {plot}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
