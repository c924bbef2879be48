"""Records to lines, whatever their values are."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mockrec.formats.files.jsonl import encode_lines


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
