"""Files that are read whole have an end."""

from __future__ import annotations

import datetime
import errno
from pathlib import Path

import pytest

from mockrec.formats.diff.baseline import BaselineError, read_baseline
from mockrec.formats.diff.ignore import read_rules
from mockrec.formats.files.small_file import MIB, read_small
from mockrec.formats.schema.vocabulary import SelectorError


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB])
def test_a_file_up_to_the_limit_is_read(tmp_path: Path, size: int) -> None:
    (tmp_path / "a").write_bytes(bytes(size))
    assert read_small(tmp_path / "a", MIB) == bytes(size)


def test_a_file_beyond_the_limit_is_not(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(MIB + 1))
    with pytest.raises(OSError, match="more than 1 MiB") as caught:
        read_small(tmp_path / "a", MIB)
    assert caught.value.errno == errno.EFBIG


def test_a_device_without_an_end_is_not_read_for_ever() -> None:
    with pytest.raises(OSError, match="more than 16 MiB"):
        read_small("/dev/zero")
    with pytest.raises(BaselineError, match="more than 64 MiB"):
        read_baseline("/dev/zero")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ignore: " + "[" * 100_000, "too deeply|nesting depth"),
        ("a: &a [1]\nignore: [*a, *a]", "aliases"),
        ("ignore:\n- {selector: a, reason: b, x: [" + "1, " * 10_000 + "]}", "'x' is not known"),
        ("ignore:\n- [" + "1, " * 100_000 + "]", r"expected selector and reason, found \[1, 1.{,40}\]$"),
    ],
)
def test_a_list_of_rules_that_grows_when_it_is_read(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ignore.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SelectorError, match=message):
        read_rules(str(tmp_path / "ignore.yaml"), datetime.date(2030, 1, 1))
