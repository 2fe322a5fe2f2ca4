"""The typed model of `adyton.toml`, and the one loader.

```toml
max-memory = "4GiB"        # bounds of --memory and --vcpus
max-vcpus = 8
address-space = "64TiB"    # size of the enclave's range
debug = false              # trace, crash reports: tells the host what happens inside

[untrusted]                # what the host may choose
arguments = true
environment = false
host-files = false         # files that nobody measured
```

All of it is measured: its canonical form is hashed into the configuration, so that a changed value
changes MRENCLAVE and a changed comment does not.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any

import msgspec

from adyton.errors import ManifestError, UsageError
from adyton.launch import layout, plan, units

if TYPE_CHECKING:
    from pathlib import Path


class Size(int):
    """Bytes, written with a unit."""


class Untrusted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What the host may choose without changing the measurement."""

    arguments: bool = False
    environment: bool = False
    host_files: bool = False


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """An enclave's measured settings; sizes in bytes."""

    max_memory: Size = Size(1 << 30)
    max_vcpus: int = 8
    address_space: Size = Size(plan.QUICK_ADDRESS_SPACE)
    debug: bool = False
    untrusted: Untrusted = Untrusted()

    def canonical(self) -> bytes:
        """Return the form that is measured: JSON, keys sorted, no spaces, sizes in bytes."""
        plain = {
            "address-space": int(self.address_space),
            "debug": self.debug,
            "max-memory": int(self.max_memory),
            "max-vcpus": self.max_vcpus,
            "untrusted": {
                "arguments": self.untrusted.arguments,
                "environment": self.untrusted.environment,
                "host-files": self.untrusted.host_files,
            },
        }
        return json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()

    def configuration(self) -> plan.Configuration:
        """Return what goes into the enclave's configuration page."""
        canonical = self.canonical()
        flags = (
            (plan.DEBUG if self.debug else 0)
            | (plan.HOST_FILES if self.untrusted.host_files else 0)
            | (plan.FREE_ARGUMENTS if self.untrusted.arguments else 0)
            | (plan.FREE_ENVIRONMENT if self.untrusted.environment else 0)
        )
        return plan.Configuration(
            flags=flags,
            address_space=int(self.address_space),
            max_memory=int(self.max_memory),
            max_vcpus=self.max_vcpus,
            manifest_len=len(canonical),
            manifest_sha256=hashlib.sha256(canonical).digest(),
        )


def load(path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        ManifestError: It is not there, not TOML, or a value makes no sense; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ManifestError(f"manifest: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ManifestError(f"manifest: {path} is not UTF-8 text") from None
    return parse(text, name=str(path))


def parse(text: str, *, name: str) -> Manifest:
    """Read and check a manifest's text; `name` is the file's, for messages.

    Raises:
        ManifestError: As for `load`.
    """
    try:
        data = tomllib.loads(text)
    except RecursionError:
        raise ManifestError(
            f"manifest: {name}: its tables or lists are nested too deeply"
        ) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line (\d+)", str(error))
        at = f"{name}:{line.group(1)}" if line else f"{name}:{text.count(chr(10)) + 1}"
        reason = re.sub(r" \(at .*\)$", "", str(error))
        raise ManifestError(f"manifest: {at}: {reason}") from None
    except ValueError:
        raise ManifestError(f"manifest: {name}: a number in it has too many digits") from None
    try:
        manifest = msgspec.convert(data, Manifest, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _explain(str(error), data, text, name) from None
    _check(manifest, text, name)
    return manifest


def _decode(kind: type, value: object) -> object:
    if kind is not Size:
        raise NotImplementedError
    if not isinstance(value, str):
        raise ValueError(
            f'{json.dumps(value, default=str)}: a size is text with a unit; write "1GiB"'
        )
    try:
        return Size(units.size(value))
    except UsageError as error:
        raise ValueError(str(error).removeprefix("size ")) from None


def _explain(message: str, data: dict[str, Any], text: str, name: str) -> ManifestError:
    """Turn msgspec's message into ours: which key, where, what is wrong."""
    reason, _, where = message.partition(" - at `$")
    keys = [key for key in where.rstrip("`").split(".") if key]
    unknown = re.match(r"Object contains unknown field `(.*)`", reason)
    if unknown:
        keys.append(unknown.group(1))
        known = ", ".join(_known(keys[:-1]))
        return ManifestError(
            f'manifest: "{".".join(keys)}" at {name}:{_line(text, keys)} is no setting; '
            f"there are {known}"
        )
    key = keys[-1] if keys else "the file"
    place = f"{name}:{_line(text, keys)}"
    if " is not a size" in reason:
        value, _, rest = reason.partition(" is not a size")
        return ManifestError(f"manifest: {key} {value} at {place} is not a size{rest}")
    value = json.dumps(_value(data, keys), default=str)
    return ManifestError(f"manifest: {key} {value} at {place}: {reason}")


def _check(manifest: Manifest, text: str, name: str) -> None:
    def refuse(key: str, reason: str) -> ManifestError:
        return ManifestError(f"manifest: {key} at {name}:{_line(text, [key])} {reason}")

    try:
        layout.Layout(int(manifest.address_space))
    except ValueError:
        raise refuse("address-space", 'is no power of two from "64GiB" to "64TiB"') from None
    if not 1 <= manifest.max_vcpus <= layout.VCPUS_MAX:
        raise refuse("max-vcpus", f"{manifest.max_vcpus} is not 1 to {layout.VCPUS_MAX}")
    if not units.MEMORY_MIN <= manifest.max_memory <= manifest.address_space:
        least = units.show(units.MEMORY_MIN)
        raise refuse("max-memory", f'is not between "{least}" and address-space')


def _known(tables: list[str]) -> list[str]:
    model = Untrusted if tables == ["untrusted"] else Manifest
    return [field.encode_name for field in msgspec.structs.fields(model)]


def _value(data: Any, keys: list[str]) -> Any:  # noqa: ANN401 - whatever TOML holds
    for key in keys:
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _line(text: str, keys: list[str]) -> int:
    """Find the line that sets a key: `key =` in its table, or `[table]`; 1 when it is not there."""
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line)
        if header:
            table = [part.strip(" \"'") for part in header.group(1).split(".")]
            if table == keys:
                return number
        setting = re.match(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[\w-]+)*)\s*=""", line)
        if setting:
            own = [part.strip(" \"'") for part in setting.group(1).split(".")]
            if [*table, *own] == keys or [*table, *own] == keys[: len(table) + len(own)]:
                return number
    return 1
