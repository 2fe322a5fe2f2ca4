"""adyton.toml: what it means, and that errors name key, file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adyton import manifest
from adyton.errors import ManifestError
from adyton.launch import plan

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """
max-memory = "4GiB"
max-vcpus = 4
address-space = "1TiB"
debug = true

[untrusted]
arguments = true
host-files = true
"""


def test_configuration() -> None:
    loaded = manifest.parse(WHOLE, name="adyton.toml")
    configuration = loaded.configuration()
    assert configuration.flags == plan.DEBUG | plan.HOST_FILES | plan.FREE_ARGUMENTS
    assert configuration.max_memory == 4 << 30
    assert configuration.max_vcpus == 4
    assert configuration.address_space == 1 << 40
    assert configuration.manifest_len == len(loaded.canonical())


def test_comments_and_order_are_not_measured() -> None:
    other = """
untrusted = {host-files = true, arguments = true}   # inline
debug = true
"address-space" = "1024GiB"
max-vcpus = 4
max-memory = "4096MiB"
"""
    one, two = (manifest.parse(text, name="x").canonical() for text in (WHOLE, other))
    assert one == two
    assert manifest.parse("", name="x").canonical() != one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            'debug = true\n\nmax-memory = "3GG"',
            'max-memory "3GG" at adyton.toml:3 is not a size; write "3GiB"',
        ),
        (
            "max-memory = 7",
            'max-memory 7 at adyton.toml:1: 7: a size is text with a unit; write "1GiB"',
        ),
        ("# c\nmax-cpus = 1", '"max-cpus" at adyton.toml:2 is no setting; there are max-memory'),
        (
            "[untrusted]\n\nargs = true",
            '"untrusted.args" at adyton.toml:3 is no setting; there are arg',
        ),
        ("untrusted.args = true", '"untrusted.args" at adyton.toml:1 is no setting'),
        (
            "\n[untrusted]\narguments = 1",
            "arguments 1 at adyton.toml:3: Expected `bool`, got `int`",
        ),
        ("\n[network]\n", '"network" at adyton.toml:2 is no setting'),
        ("max-vcpus = 65", "max-vcpus at adyton.toml:1 65 is not 1 to 64"),
        ('\naddress-space = "48GiB"', "address-space at adyton.toml:2 is no power of two"),
        ('max-memory = "1MiB"', 'max-memory at adyton.toml:1 is not between "16MiB"'),
        ("debug = true\ndebug = ", "adyton.toml:2: Invalid value"),
        ("max-memory = 2020-01-01", 'max-memory "2020-01-01" at adyton.toml:1: "2020-01-01": a si'),
        ("max-vcpus = 2020-01-01", 'max-vcpus "2020-01-01" at adyton.toml:1: Expected `int`'),
        ('max-memory = "1.²GiB"', 'max-memory "1.²GiB" at adyton.toml:1 is not a size'),
        ("max-vcpus = " + "9" * 5000, "adyton.toml: a number in it has too many digits"),
        ("debug = " + "[" * 100_000, "adyton.toml: its tables or lists are nested too deeply"),
    ],
)
def test_errors_name_the_line(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text, name="adyton.toml")
    assert f"manifest: {message}" in str(caught.value)


def test_files(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        manifest.load(tmp_path / "adyton.toml")
    (tmp_path / "b").write_bytes(b"\xff\xfe")
    with pytest.raises(ManifestError, match="not UTF-8"):
        manifest.load(tmp_path / "b")


VALUES = ["true", "7", "1e400", "nan", "2020-01-01", "07:32:00", '"1GiB"', '"²"', "[]", "{}"]


@given(
    key=st.sampled_from([*manifest.Manifest.__struct_encode_fields__, "untrusted.arguments", "x"]),
    value=st.sampled_from(VALUES) | st.sampled_from(VALUES).map(lambda value: f"[{value}]"),
)
def test_any_value_is_taken_or_refused(key: str, value: str) -> None:
    try:
        manifest.parse(f"{key} = {value}\n", name="x")
    except ManifestError as error:
        assert str(error).startswith("manifest: ")  # noqa: PT017 - either outcome is right


@given(st.text(alphabet='[]="\n untrusted.max-memory1GiB#{}', max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        manifest.parse(text, name="x")
    except ManifestError as error:
        assert str(error).startswith("manifest: ")  # noqa: PT017 - either outcome is right
