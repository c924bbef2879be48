"""Records to lines, whatever their values, and the sink for each kind of output."""

from __future__ import annotations

import datetime
import decimal
import enum
import gzip
import json
import os
import stat
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import zstandard

from mockrec.formats.files.frames import FrameSink
from mockrec.formats.files.jsonl import JsonlSink, encode_lines, open_sink
from mockrec.formats.schema.errors import FormatError, OutputError, OutputExistsError


class Colour(enum.Enum):
    red = "r"


class Text(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("I have no text")


@dataclass
class Point:
    x: int


def encoded(value: Any) -> Any:
    """What a reader gets of a value in a record."""
    line = encode_lines([{"type": "rule-event", "eventData": {"value": value}}])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    return json.loads(line)["eventData"]["value"]


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────


def test_one_line_a_record_without_spaces() -> None:
    assert (
        encode_lines([{"a": 1, "b": [True, None]}, {"c": "é\n"}]) == '{"a":1,"b":[true,null]}\n{"c":"é\\n"}\n'.encode()
    )


def test_no_records_no_lines() -> None:
    assert encode_lines([]) == b""


def test_a_record_that_needs_conversion_changes_no_other() -> None:
    lines = encode_lines([{"a": 1.0}, {"b": b"x"}, {"c": "d"}])
    assert lines == b'{"a":1.0}\n{"b":{"size":1,"text":"x"}}\n{"c":"d"}\n'


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("\ud800a\udfff", "\ufffda\ufffd"),
        (Text("\ud800"), "\ufffd"),
        ({"\ud800": 1}, {"\ufffd": 1}),
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, "18446744073709551616"),
        (-(2**63) - 1, "-9223372036854775809"),
        (Number(2**70), str(2**70)),
        (float("nan"), None),
        (float("-inf"), None),
        (Real(1.5), 1.5),
        (Real("nan"), None),
        (Number(5), 5),
        (b"hi", {"size": 2, "text": "hi"}),
        (bytearray(b"\xff"), {"size": 1, "base64": "/w=="}),
        (memoryview(b"hi"), {"size": 2, "text": "hi"}),
        ({1: "a", None: "b", ("x", 2): "c"}, {"1": "a", "None": "b", "('x', 2)": "c"}),
        ({"a"}, ["a"]),
        (frozenset(), []),
        ((1, (2,)), [1, [2]]),
        ({"a": 1}.keys(), ["a"]),
        (range(3), [0, 1, 2]),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.datetime(2024, 1, 2, 3, 4), "2024-01-02T03:04:00"),
        (Colour.red, "r"),
        (Point(1), {"x": 1}),
        (1 + 2j, "(1+2j)"),
        (Path("a/b"), "a/b"),
        (Stubborn(), "(Stubborn)"),
        ({Stubborn(): 1}, {"(Stubborn)": 1}),
    ],
)
def test_what_json_has_no_form_for_is_converted(value: Any, read: Any) -> None:
    assert encoded(value) == read


def test_an_integer_too_long_for_decimal_is_hexadecimal() -> None:
    number = 16**5000
    assert encoded(number) == "0x1" + "0" * 5000


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2024, 1, 2),
        uuid.UUID(int=1),
        Colour.red,
        Point(1),
        True,
        None,
        1.5,
        -(2**63),
        2**64 - 1,
        (1,),
    ],
)
def test_a_value_is_written_alike_whatever_stands_beside_it(value: Any) -> None:
    alone = json.loads(encode_lines([{"value": value}]))
    beside = json.loads(encode_lines([{"value": value, "other": b""}]))
    assert beside == {**alone, "other": {"size": 0, "text": ""}}


def test_what_yields_without_end_is_not_waited_for() -> None:
    assert encoded(iter(int, 1)).startswith("<callable_iterator object at ")


def test_nesting_is_cut_where_it_is_too_deep() -> None:
    value: Any = "innermost"
    for _ in range(1000):
        value = [value]
    read = encoded(value)
    depth = 0
    while isinstance(read, list):
        (read,) = read
        depth += 1
    assert read == "(nested too deep)"
    assert 190 < depth < 254


def test_nesting_that_can_be_written_is_kept() -> None:
    value: Any = b"innermost"
    for _ in range(150):
        value = {"a": value}
    read = encoded(value)
    for _ in range(150):
        read = read["a"]
    assert read == {"size": 9, "text": "innermost"}


def test_what_contains_itself_is_cut_there() -> None:
    value: dict[str, Any] = {"x": 1}
    value["pair"] = [value, value]
    assert encoded(value) == {"x": 1, "pair": ["(contains itself)", "(contains itself)"]}


def test_what_stands_twice_but_not_in_itself_is_whole() -> None:
    shared = {"x": b"y"}
    assert encoded([shared, [shared]]) == [{"x": {"size": 1, "text": "y"}}, [{"x": {"size": 1, "text": "y"}}]]


# ── outputs ────────────────────────────────────────────────────────────────────────────────────────

LINES = b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize("name", ["s.jsonl", "s", "s.gz.jsonl", "s.txt"])
def test_plain_lines_are_in_the_file_at_once(tmp_path: Path, name: str) -> None:
    sink = open_sink(tmp_path / name)
    sink.write(LINES)
    assert (tmp_path / name).read_bytes() == LINES
    sink.sync_point()
    sink.close()
    assert (tmp_path / name).read_bytes() == LINES
    assert sink.name == str(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "decompress"),
    [
        ("s.jsonl.gz", gzip.decompress),
        ("s.JSONL.GZ", gzip.decompress),
        ("s.jsonl.zst", zstandard.ZstdDecompressor().decompress),
    ],
)
def test_the_extension_compresses(tmp_path: Path, name: str, decompress: Callable[[bytes], bytes]) -> None:
    sink = open_sink(tmp_path / name)
    sink.write(LINES)
    sink.close()
    assert decompress((tmp_path / name).read_bytes()) == LINES


@pytest.mark.parametrize(
    ("asked", "decompress"),
    [
        ("jsonl", bytes),
        ("jsonl.gz", gzip.decompress),
        ("jsonl.zst", zstandard.ZstdDecompressor().decompress),
    ],
)
def test_a_format_that_is_asked_for_wins(tmp_path: Path, asked: str, decompress: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "s.har.gz.zst"
    sink = open_sink(path, output_format=asked)
    sink.write(LINES)
    sink.close()
    assert decompress(path.read_bytes()) == LINES


@pytest.mark.parametrize(
    ("name", "asked", "meant"),
    [
        ("-", "csv", "csv"),
    ],
)
def test_other_formats_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, asked: str | None, meant: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FormatError, match=f"^{name}: writing {meant} is not available in this version") as caught:
        open_sink(name, output_format=asked)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "s.jsonl.gz"
    path.write_bytes(b"precious")
    with pytest.raises(OutputExistsError):
        open_sink(path)
    assert path.read_bytes() == b"precious"
    sink = open_sink(path, force=True)
    sink.write(LINES)
    sink.close()
    assert gzip.decompress(path.read_bytes()) == LINES


def test_the_mode_of_the_file(tmp_path: Path) -> None:
    open_sink(tmp_path / "private").close()
    open_sink(tmp_path / "shared", file_mode=0o640).close()
    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o640


def test_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    sink = open_sink("-")
    sink.write(LINES)
    assert capfdbinary.readouterr().out == LINES
    sink.close()
    more = open_sink("-")
    more.write(LINES)
    assert capfdbinary.readouterr().out == LINES
    assert sink.name == "stdout"


@pytest.mark.parametrize("asked", ["jsonl.gz", "jsonl.zst"])
def test_stdout_is_never_compressed(asked: str) -> None:
    with pytest.raises(FormatError, match=r"^stdout takes plain JSON Lines only"):
        open_sink("-", output_format=asked)


def test_a_failure_is_told_again_at_each_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_fd: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    sink = open_sink(tmp_path / "s.jsonl")
    sink.write(LINES)
    with monkeypatch.context() as patch:
        patch.setattr("mockrec.formats.files.outfile.os.write", full)
        with pytest.raises(OutputError):
            sink.write(LINES)
    with pytest.raises(OutputError, match=r"^cannot write .*s\.jsonl: No space left on device$"):
        sink.write(LINES)
    sink.close()
    assert (tmp_path / "s.jsonl").read_bytes() == LINES


def test_on_a_full_disk_whole_lines_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def limited(fd: int, data: bytes) -> int:
        if len(data) < len(LINES):
            raise OSError(28, "No space left on device")
        return write(fd, data[:10])

    sink = open_sink(tmp_path / "s.jsonl")
    monkeypatch.setattr("mockrec.formats.files.outfile.os.write", limited)
    with pytest.raises(OutputError):
        sink.write(LINES)
    monkeypatch.undo()
    sink.close()
    assert (tmp_path / "s.jsonl").read_bytes() == b'{"a":1}\n'


def test_closing_a_sink_closes_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[int] = []
    close = os.close
    monkeypatch.setattr("mockrec.formats.files.outfile.os.close", lambda fd: (closed.append(fd), close(fd)))
    open_sink(tmp_path / "s.jsonl").close()
    assert len(closed) == 1


def test_which_sink_is_for_which_format(tmp_path: Path) -> None:
    sinks = [open_sink(tmp_path / name) for name in ("a.jsonl", "a.gz", "a.zst")]
    for sink in sinks:
        sink.close()
    assert [type(sink) for sink in sinks] == [JsonlSink, FrameSink, FrameSink]
