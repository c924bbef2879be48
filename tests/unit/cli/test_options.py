"""Durations, sizes, ports and file modes as people write them."""

from __future__ import annotations

import pytest
import typer

from mockrec.cli import printing
from mockrec.cli.options import OutputShape, _set_quiet, _set_verbose, duration, file_mode, port, server_url, size
from mockrec.cli.run import event_types
from mockrec.formats.schema.lifecycle import DEFAULT_EVENTS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100ms", 0.1),
        ("2s", 2.0),
        ("1m", 60.0),
        ("1.5m", 90.0),
        ("1h", 3600.0),
        (" 2s ", 2.0),
        ("0", 0.0),
        ("0ms", 0.0),
        (2, 2.0),
        (0.5, 0.5),
    ],
)
def test_durations(text: str | float, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)
    assert isinstance(duration(text), float)


@pytest.mark.parametrize("text", ["", "2", "2  s", "-1s", "2S", "1d", "1m30s", "s", "1.s", ".5s", "1e3ms", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        duration(text)
    assert caught.value.message == f"expected a duration such as 100ms, 2s or 1m, got {text!r}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("512", 512),
        ("512B", 512),
        ("64KiB", 65536),
        ("64kib", 65536),
        ("10MB", 10_000_000),
        ("10 MB", 10_000_000),
        ("1.5KiB", 1536),
        ("2GiB", 2 * 1024**3),
        ("1kB", 1000),
        ("1GB", 10**9),
        ("1MiB", 1024**2),
        (" 5 ", 5),
        (7, 7),
    ],
)
def test_sizes(text: str | int, count: int) -> None:
    assert size(text) == count
    assert isinstance(size(text), int)


@pytest.mark.parametrize("text", ["", "MB", "-1", "1TB", "1K", "1M", "10  MB", "1,5MB", "0x10", "1e3"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        size(text)
    assert caught.value.message == f"expected a size such as 64KiB or 10MB, got {text!r}"


@pytest.mark.parametrize(("text", "mode"), [("0600", 0o600), ("640", 0o640), ("0o644", 0o644), (0o600, 0o600)])
def test_file_modes(text: str | int, mode: int) -> None:
    assert file_mode(text) == mode


@pytest.mark.parametrize("text", ["", "9", "888", "06000", "1600", "rw", "0x180", "-600", "600 "])
def test_what_is_no_file_mode(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        file_mode(text)
    assert caught.value.message == f"expected a file mode such as 0600 or 0640, got {text!r}"


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("8000", (8000, 8000)),
        ("0", (0, 0)),
        ("65535", (65535, 65535)),
        ("8000-8100", (8000, 8100)),
        ("1-1", (1, 1)),
        (" 80 ", (80, 80)),
    ],
)
def test_ports(text: str, ports: tuple[int, int]) -> None:
    assert port(text) == ports


@pytest.mark.parametrize("text", ["", "http", "-1", "65536", "9-8", "0-9", "1-65536", "1-", "-", "8000 - 8100", "1.5"])
def test_what_is_no_port(text: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        port(text)
    assert caught.value.message.startswith("expected a port, 0 for any free one, or a range such as 8000-8100, got ")
    assert caught.value.message.endswith(repr(text))


def test_quiet_and_verbose_reach_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert _set_verbose(True) is True
    printing.detail("shown")
    assert _set_quiet(True) is True
    printing.detail("muted")
    assert _set_quiet(False) is False
    assert _set_verbose(False) is False
    printing.detail("muted")
    assert capsys.readouterr().err == "shown\n"


def test_the_shapes_of_what_is_printed() -> None:
    assert list(OutputShape) == ["text", "json"]


def test_a_server_beyond_ascii_has_the_name_that_dns_has() -> None:
    assert server_url("http://Straße.test:81") == ("http", "xn--strae-oqa.test", 81)
    with pytest.raises(typer.BadParameter, match="no name that a host can have"):
        server_url("http://\u0300a.test")


def test_default_may_be_one_of_several_events() -> None:
    assert event_types("default") == "default"
    assert event_types("default, response-body-data,request") == (*DEFAULT_EVENTS, "response-body-data")
