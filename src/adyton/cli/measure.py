"""`adyton print mrenclave` and `adyton --version`."""

from __future__ import annotations

import hashlib
import json as json_module
import os
import sys
from pathlib import Path

import adyton
from adyton.errors import NotInstalled
from adyton.launch import install
from adyton.launch.request import measured


def main(*, manifest: str | None, json: bool) -> None:
    """Print the measurement of quick mode's configuration, or of a manifest's."""
    configuration = None
    if manifest is not None:
        from adyton.manifest import load

        configuration = load(Path(manifest)).configuration()
    content = measured(configuration)
    value = content.mrenclave().hex()
    if json:
        chosen = content.configuration
        row = {
            "mrenclave": value,
            "image_sha256": _digest(),
            "debug": bool(chosen.flags & 1),
            "address_space": chosen.address_space,
            "max_memory": chosen.max_memory,
            "max_vcpus": chosen.max_vcpus,
        }
        value = json_module.dumps(row)
    sys.stdout.write(value + "\n")


def version() -> str:
    """Describe the package and which image it carries."""
    try:
        digest = _digest()[:16]
    except NotInstalled:
        return f"adyton {adyton.__version__} (no enclave image: built without it)"
    profile = ""
    record = os.path.join(install.DIRECTORY, "adyton-build.json")
    if os.path.exists(record):
        name = json_module.loads(Path(record).read_bytes()).get("profile")
        profile = "" if name == "release" else f", profile {name}: not for measuring"
    return f"adyton {adyton.__version__} (image {digest}{profile})"


def _digest() -> str:
    return hashlib.sha256(Path(install.image()).read_bytes()).hexdigest()
