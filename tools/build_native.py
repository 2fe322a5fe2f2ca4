"""Builds the enclave image and the runner and puts them into the package.

One function for both callers: the wheel's build hook and `make build`. The same source gives the
same image from any directory: paths are remapped, flags from the environment are dropped. The image
is shipped stripped; its unstripped twin stays beside it, for crash addresses and the debugger.

    python tools/build_native.py [--profile release|fast]
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import struct
import subprocess
import sys
from pathlib import Path

TARGET = "x86_64-unknown-linux-gnu"
PROFILES = ("release", "fast")
IMAGE, RUNNER, TWIN, RECORD, CALLS = (
    "adyton-enclave",
    "adyton-runner",
    "adyton-enclave.debug",
    "adyton-build.json",
    "adyton-calls.json",
)


class BuildError(Exception):
    """The native parts cannot be built; the message is one sentence with the next step."""


def build(root: Path, *, profile: str = "release") -> Path:
    """Build and install into `root/src/adyton/_bin`; return that folder.

    Args:
        root: The source tree, with Cargo.toml.
        profile: release, or fast for development (another measurement).

    Raises:
        BuildError: No cargo, another machine than x86-64 Linux, or cargo failed.
    """
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise BuildError("adyton runs on x86-64 Linux only")
    cargo = shutil.which("cargo")
    if cargo is None:
        raise BuildError("building from source needs Rust (cargo); install the wheel instead")
    root = root.resolve()
    output = _cargo_build(cargo, root, profile)
    destination = root / "src" / "adyton" / "_bin"
    destination.mkdir(exist_ok=True)
    unstripped = (output / IMAGE).read_bytes()
    image = strip(unstripped)
    _check(root, image)
    _install(destination / TWIN, unstripped, 0o644)
    _install(destination / IMAGE, image, 0o755)
    _install(destination / RUNNER, strip((output / RUNNER).read_bytes()), 0o755)
    record = {"profile": profile, "image_sha256": hashlib.sha256(image).hexdigest()}
    _install(destination / RECORD, json.dumps(record).encode(), 0o644)
    _install(destination / CALLS, _calls(root), 0o644)
    return destination


def _calls(root: Path) -> bytes:
    """Say which calls the image has, read from the source that it was built of."""
    place = root / "tools" / "syscall_table.py"
    spec = importlib.util.spec_from_file_location("syscall_table", place)
    if spec is None or spec.loader is None:
        raise BuildError(f"{place} is missing from the source")
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    return json.dumps(table.states(), indent=1).encode() + b"\n"


def strip(elf: bytes) -> bytes:
    """Cut an ELF file behind its last loaded byte and forget its sections.

    What a loader maps stays as it was but for the header's words about sections. Done here, so that
    no version of binutils has a say in what is measured.
    """
    program_headers, entry_size, count = (
        struct.unpack_from("<Q", elf, 32)[0],
        *struct.unpack_from("<HH", elf, 54),
    )
    end = program_headers + entry_size * count
    for number in range(count):
        at = program_headers + entry_size * number
        offset, file_size = struct.unpack_from("<Q16xQ", elf, at + 8)
        end = max(end, offset + file_size)
    stripped = bytearray(elf[:end])
    struct.pack_into("<Q", stripped, 40, 0)
    struct.pack_into("<HHH", stripped, 58, 0, 0, 0)
    return bytes(stripped)


def environment(root: Path, cargo: str) -> dict[str, str]:
    """Return the environment for cargo: no flags but ours, no profile but the workspace's."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if key not in ("RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")
        and not key.startswith("CARGO_PROFILE_")
        and not (key.startswith("CARGO_TARGET_") and key.endswith("_RUSTFLAGS"))
    }
    cargo_home = os.environ.get("CARGO_HOME", str(Path.home() / ".cargo"))
    sysroot = _output([str(Path(cargo).with_name("rustc")), "--print", "sysroot"], root)
    flags = [
        # The last prefix that fits wins, so the narrower ones come later.
        f"--remap-path-prefix={cargo_home}=/cargo",
        f"--remap-path-prefix={sysroot}=/rust",
        f"--remap-path-prefix={root}=/src",
        f"--remap-path-prefix={_target_directory(root)}=/target",
        "-Ctarget-feature=+crt-static",
        "-Crelocation-model=pie",
    ]
    kept["CARGO_ENCODED_RUSTFLAGS"] = "\x1f".join(flags)
    return kept


def _target_directory(root: Path) -> Path:
    return root / os.environ.get("CARGO_TARGET_DIR", "target")


def _cargo_build(cargo: str, root: Path, profile: str) -> Path:
    command = [cargo, "build", "--locked", "--target", TARGET, "--profile", profile]
    command += ["-p", IMAGE, "-p", RUNNER]
    result = subprocess.run(command, cwd=root, env=environment(root, cargo), check=False)
    if result.returncode:
        raise BuildError("cargo could not build the enclave image and the runner; see above")
    return _target_directory(root) / TARGET / profile


def _output(command: list[str], root: Path) -> str:
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if result.returncode:
        raise BuildError(f"{command[0]} does not work: {result.stderr.strip()}")
    return result.stdout.strip()


def _check(root: Path, image: bytes) -> None:
    """Refuse here what the launcher would refuse later."""
    sys.path.insert(0, str(root / "src"))
    try:
        from adyton.errors import ImageMalformed
        from adyton.launch import elf
    finally:
        sys.path.pop(0)
    try:
        elf.parse(image)
    except ImageMalformed as error:
        raise BuildError(f"the linked enclave image is not loadable: {error}") from None


def _install(path: Path, data: bytes, mode: int) -> None:
    # Under another name first: a running image is never overwritten, a torn one never seen.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(data)
    temporary.chmod(mode)
    os.replace(temporary, path)


def main() -> int:
    """Build the tree that this file lies in."""
    parser = argparse.ArgumentParser(description="Build the enclave image and the runner.")
    parser.add_argument("--profile", choices=PROFILES, default="release")
    arguments = parser.parse_args()
    try:
        folder = build(Path(__file__).resolve().parent.parent, profile=arguments.profile)
    except BuildError as error:
        sys.stderr.write(f"build: {error}\n")
        return 1
    sys.stderr.write(f"build: {folder}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
