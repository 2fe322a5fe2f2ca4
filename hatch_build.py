"""Hatchling's hook: a wheel carries the enclave image and the runner, built by cargo."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

if TYPE_CHECKING:
    from types import ModuleType


class NativeBuildHook(BuildHookInterface[Any]):
    """Builds the native parts before a wheel, also an editable one, is put together."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, then tell hatchling what the wheel is and what git ignores but it must carry."""
        del version
        native = _load_tool(Path(self.root) / "tools" / "build_native.py")
        try:
            native.build(Path(self.root))
        except native.BuildError as error:
            raise SystemExit(f"adyton: {error}") from None
        build_data["pure_python"] = False
        build_data["tag"] = "py3-none-linux_x86_64"
        build_data["artifacts"].append("/src/adyton/_bin/adyton-*")


def _load_tool(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_native", path)
    if spec is None or spec.loader is None:
        raise SystemExit(f"adyton: {path} is missing from the source")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
