"""The rooms and their doors: who may import whom, and where `unsafe` may stand."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.harness import ROOT, tool

if TYPE_CHECKING:
    from pathlib import Path

# Each trusted crate with those below it that it may use; skipping is fine, upwards is not.
MAY_USE = {
    "abi": set(),
    "platform": {"abi"},
    "executor": {"abi", "platform"},
    "storage": {"abi", "platform", "executor"},
    "vfs": {"abi", "platform", "executor", "storage"},
    "net": {"abi", "platform", "executor", "storage", "vfs"},
    "kernel": {"abi", "platform", "executor", "storage", "vfs", "net"},
    "enclave": {"abi", "platform", "executor", "storage", "vfs", "net", "kernel"},
    "runner": {"abi"},
}
TRUSTED = [name for name in MAY_USE if name not in {"abi", "runner"}]
UNSAFE_ALLOWED = {"platform", "runner", "enclave"}
# What may enter the enclave from outside of this workspace.
OUTSIDE_ALLOWED = {
    "bitflags", "foldhash", "hashbrown", "iced-x86", "lazy_static",
    "smallvec", "spin", "talc", "zerocopy", "zerocopy-derive", "proc-macro2", "quote", "syn",
    "unicode-ident",
}  # fmt: skip

# In Python a layer may use those below it.
PYTHON_LAYERS = (
    {"cli"},
    {"bench"},
    {"enclave"},
    {"image", "launch", "attestation", "manifest", "observe"},
    {"errors"},
)
SOURCE = ROOT / "src" / "adyton"


@cache
def metadata() -> dict[str, dict[str, object]]:
    shown = subprocess.run(
        [tool("cargo"), "metadata", "--format-version", "1", "--locked"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    answer = json.loads(shown.stdout)
    members = set(answer["workspace_members"])
    return {
        package["name"].removeprefix("adyton-"): package
        for package in answer["packages"]
        if package["id"] in members
    }


def dependencies(name: str) -> set[str]:
    package = metadata()[name]
    return {d["name"] for d in package["dependencies"] if d["kind"] is None}  # type: ignore[index, attr-defined]


@pytest.mark.parametrize("name", MAY_USE)
def test_crate_directions(name: str) -> None:
    inside = {d.removeprefix("adyton-") for d in dependencies(name) if d.startswith("adyton-")}
    assert inside <= MAY_USE[name], f"{name} must not use {inside - MAY_USE[name]}"


def test_every_crate_is_known() -> None:
    assert set(metadata()) == set(MAY_USE)


def test_what_enters_the_enclave() -> None:
    """Every crate that the image is linked from is on the list, also those brought along."""
    tree = subprocess.run(
        [tool("cargo"), "tree", "--locked", "-p", "adyton-enclave", "-e", "normal",
         "--prefix", "none",
         "--target", "x86_64-unknown-linux-gnu"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    names = {line.split()[0] for line in tree.stdout.splitlines() if line.strip()}
    outside = {name for name in names if not name.startswith("adyton-")}
    assert outside <= OUTSIDE_ALLOWED


def rust_files(name: str) -> list[Path]:
    """A crate's files, without its tests."""
    found = sorted((ROOT / "crates" / name / "src").rglob("*.rs"))
    return [p for p in found if "tests" not in p.parts and p.name not in {"tests.rs", "test.rs"}]


def code(path: Path) -> str:
    """A Rust file's text without its test module."""
    return path.read_text().split("#[cfg(test)]")[0]


@pytest.mark.parametrize("name", sorted(set(MAY_USE) - UNSAFE_ALLOWED))
def test_unsafe_is_forbidden(name: str) -> None:
    root = ROOT / "crates" / name / "src" / "lib.rs"
    assert "#![forbid(unsafe_code)]" in root.read_text()


@pytest.mark.parametrize("name", TRUSTED)
def test_trusted_crates_have_no_std(name: str) -> None:
    root = next(
        p for p in rust_files(name) if p.name in {"lib.rs", "main.rs"} and p.parent.name == "src"
    )
    assert re.search(r"no_std", root.read_text())


@pytest.mark.parametrize("name", MAY_USE)
def test_no_globs(name: str) -> None:
    """`use x::*` hides where a name comes from."""
    for path in rust_files(name):
        for number, line in enumerate(code(path).splitlines(), 1):
            if re.match(r"\s*(pub )?use .*\*;", line):
                pytest.fail(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")


def module_cycles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Find the groups of nodes that reach one another (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(edges.get(node, ())):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while True:
                group.append(stack.pop())
                if group[-1] == node:
                    break
            if len(group) > 1:
                found.append(sorted(group))

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return found


# The top-level rooms of kernel, in their order: a room may use those behind it.
KERNEL_ORDER = (("syscalls",), ("process", "signal"), ("memory",))
# The loop of a thread hands each call to the table: control goes up there, not
# knowledge.
KERNEL_LOOP = "process/run.rs"


def test_kernel_rooms() -> None:
    """In kernel: syscalls → {process, signal} → memory."""
    for level, rooms in enumerate(KERNEL_ORDER):
        above = {room for upper in KERNEL_ORDER[:level] for room in upper}
        for room in rooms:
            base = ROOT / "crates" / "kernel" / "src"
            files = [*(base / room).rglob("*.rs"), *base.glob(f"{room}.rs")]
            for path in files:
                if path.match(KERNEL_LOOP):
                    continue
                text = re.sub(r"//.*", "", code(path))
                used = set(re.findall(r"\bcrate::(\w+)", text)) & above
                assert not used, (
                    f"{path.relative_to(ROOT)} uses {sorted(used)}, which stands above it"
                )


def python_modules() -> dict[str, Path]:
    found = {}
    for path in SOURCE.rglob("*.py"):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


def python_edges(*, deferred: bool = True) -> dict[str, set[str]]:
    """Imports at run time between the package's modules; not those for the type checker.

    Args:
        deferred: Count also those inside of functions, which can't make two modules wait
            for each other.
    """
    modules = python_modules()
    edges: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for node in _runtime_nodes(ast.parse(path.read_text()), deferred=deferred):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                targets = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for target in targets:
                while target and target not in modules:
                    target = target.rpartition(".")[0]
                if target and target not in {name, "adyton"}:
                    edges[name].add(target)
    return edges


def _runtime_nodes(tree: ast.AST, *, deferred: bool) -> list[ast.AST]:
    nodes: list[ast.AST] = []
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and not deferred:
            continue
        nodes.append(child)
        nodes += _runtime_nodes(child, deferred=deferred)
    return nodes


def test_python_layers() -> None:
    level = {room: number for number, rooms in enumerate(PYTHON_LAYERS) for room in rooms}
    for name, targets in python_edges().items():
        for target in targets:
            source_room, target_room = (m.split(".")[1] if "." in m else "" for m in (name, target))
            if (
                source_room == target_room
                or "" in (source_room, target_room)
                or source_room == "__main__"
            ):
                continue
            assert target_room in level, f"{target_room} is not in PYTHON_LAYERS"
            assert level[source_room] <= level[target_room], f"{name} must not import {target}"


def test_python_has_no_cycles() -> None:
    assert module_cycles(python_edges(deferred=False)) == []


def test_python_does_not_import_relatively() -> None:
    for path in python_modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


def test_attestation_needs_no_enclave() -> None:
    """Verifying works with no enclave at hand: it must not import what starts one."""
    for name, targets in python_edges().items():
        if name.startswith("adyton.attestation"):
            assert not [t for t in targets if t.startswith(("adyton.launch", "adyton.enclave"))]


def test_only_launch_knows_the_plan() -> None:
    """Only `launch` packs the plan's bytes; `cli`, `enclave` and `bench` use its functions."""
    for name, path in python_modules().items():
        if name.startswith(
            ("adyton.launch", "adyton.observe", "adyton.attestation", "adyton.image")
        ):
            continue
        imported = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        assert "struct" not in imported, f"{name} packs bytes"


@pytest.mark.parametrize("name", [*MAY_USE, "python"])
def test_files_stay_livable(name: str) -> None:
    """About 400 lines of a file without its tests; at 600 it has become two files."""
    files = list(python_modules().values()) if name == "python" else rust_files(name)
    for path in files:
        text = code(path) if path.suffix == ".rs" else path.read_text()
        if path.name == "nr.rs":
            continue  # a table of all system calls, one a line
        assert text.count("\n") <= 600, f"{path.relative_to(ROOT)} has {text.count(chr(10))} lines"
