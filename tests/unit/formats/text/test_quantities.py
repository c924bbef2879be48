"""One reading of sizes and durations for the command line, rule files and filters."""

from __future__ import annotations

import pytest
import typer

from mockrec.cli.options import duration, size
from mockrec.engine.rules.yaml.types import Duration, InvalidValue, Size
from mockrec.formats.query import FilterError, parse
from mockrec.formats.text.quantities import bytes_of, seconds_of

SIZES = {
    "0": 0,
    "512": 512,
    "512b": 512,
    "10mb": 10_000_000,
    "10 MB": 10_000_000,
    "64kib": 65_536,
    "64KiB": 65_536,
    "1.5kB": 1500,
    "0.5KiB": 512,
    "1.000001GB": 1_000_001_000,
    "2GiB": 2 << 30,
}
DURATIONS = {"0": 0.0, "100ms": 0.1, "2s": 2.0, "1 s": 1.0, "1.5m": 90.0, "2h": 7200.0}
NO_SIZES = ["", "x", "-1", "1kb2", "1.0001kB", "1 ki", "1e3", "1TB", "1  kB", "9" * 101, "\u0663kB", "1.kB"]
NO_DURATIONS = ["", "x", "-1s", "1", "1M", "1S", "1d", "1  s", "1e3s", "9" * 100 + "s", "\u0663s", "1.s"]


@pytest.mark.parametrize(("text", "count"), SIZES.items())
def test_sizes(text: str, count: int) -> None:
    assert bytes_of(text) == size(text) == Size().parse(text, plain=True) == count
    parse(f"size == '{text}'")


@pytest.mark.parametrize(("text", "seconds"), DURATIONS.items())
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text) == duration(text) == Duration().parse(text, plain=True) == pytest.approx(seconds)
    parse(f"duration > '{text}'")


@pytest.mark.parametrize("text", NO_SIZES)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        bytes_of(text)
    with pytest.raises(typer.BadParameter):
        size(text)
    with pytest.raises(InvalidValue):
        Size().parse(text, plain=True)


@pytest.mark.parametrize("text", NO_DURATIONS)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of(text)
    with pytest.raises(typer.BadParameter):
        duration(text)
    with pytest.raises(InvalidValue):
        Duration().parse(text, plain=True)


@pytest.mark.parametrize("expression", ["size > 1TB", "duration > 1M", "duration > 1d", "size == 1ki"])
def test_filters_have_the_same_units(expression: str) -> None:
    with pytest.raises(FilterError):
        parse(expression)
