"""Records: known keys, groups of keys, and keys that this version does not support yet."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mockrec.engine.rules.yaml.context import LoadContext, Rejected
from mockrec.engine.rules.yaml.nodes import parse
from mockrec.engine.rules.yaml.records import Key, ParsedMapping, Record
from mockrec.engine.rules.yaml.types import Enum, Int, Schema, Str, ValueType

RECORD = Record(
    {
        "name": Key(Str(), "A name.", required=True),
        "maxSize": Key(Int(0), "A size."),
        "mode": Key(Enum("a", "b", "c"), "A mode.", later=lambda value: value if value == "b" else value == "c"),
        "socks": Key(Int(), "Socks.", later=True),
        "x": Key(Int(), "One."),
        "y": Key(Int(), "Another."),
    },
    lambda given: given.fields(),
    one_of=[("x", "y")],
    some_of=[("maxSize", "mode", "socks")],
)
OPTIONAL = Record({"a": Key(Int(), "A.")}, lambda given: given.fields("a"), may_be_nothing=True)


def read(value_type: ValueType[Any], text: str, where: str = "w") -> tuple[Any, list[str]]:
    context = LoadContext("r.yaml", "/folder", {}, lambda path: b"")
    try:
        return value_type.read(parse(text.encode(), "r.yaml"), where, context), []
    except Rejected:
        return None, [f"{problem.column}: {problem.where}: {problem.message}" for problem in context.problems]


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        (RECORD, "{name: n, maxSize: 1}", {"name": "n", "max_size": 1}),
        (RECORD, "{name: n, mode: a, y: 2}", {"name": "n", "mode": "a", "y": 2}),
        *[(OPTIONAL, text, {}) for text in ("{}", "null", "---\n", "~")],
        (OPTIONAL, "{a: 1}", {"a": 1}),
    ],
)
def test_good(value_type: ValueType[Any], text: str, value: Any) -> None:
    assert read(value_type, text) == (value, [])


@pytest.mark.parametrize(
    ("value_type", "text", "messages"),
    [
        (
            RECORD,
            "{nme: 1, maxSize: x, x: 1, y: z, zzzzz: 1}",
            [
                '2: w: unknown key "nme"; did you mean "name"?',
                '19: w.maxSize: expected a whole number, at least 0, got "x"',
                '31: w.y: expected a whole number, got "z"',
                '34: w: unknown key "zzzzz"; known keys: name, maxSize, mode, socks, x, y',
                '1: w: the key "name" is missing',
                "28: w: give only one of x, y",
            ],
        ),
        (RECORD, "{name: n}", ["1: w: give maxSize or mode or socks"]),
        (RECORD, "{name: n, mode: b}", ['11: w.mode: "b" is not available yet in this version of mockrec']),
        (
            RECORD,
            "{name: n, mode: c}",
            ['11: w.mode: "mode" is not available yet in this version of mockrec'],
        ),
        (
            RECORD,
            "{name: n, socks: 1}",
            ['11: w.socks: "socks" is not available yet in this version of mockrec'],
        ),
        (RECORD, "{name: n, socks: x}", ['18: w.socks: expected a whole number, got "x"']),
        (RECORD, "[]", ["1: w: expected a mapping, got an empty list"]),
        (RECORD, "null", ["1: w: expected a mapping, got null"]),
        (OPTIONAL, "'null'", ['1: w: expected a mapping, got "null"']),
        (OPTIONAL, "{a: 1, a: 2}", ['8: w: the key "a" is given twice, first in line 1']),
    ],
)
def test_bad(value_type: ValueType[Any], text: str, messages: list[str]) -> None:
    assert read(value_type, text)[1] == messages


def test_at_the_top_a_path_is_the_key_alone() -> None:
    assert read(OPTIONAL, "{a: x}", "")[1] == ['5: a: expected a whole number, got "x"']


def test_a_large_group_is_named_as_one_of() -> None:
    keys = {name: Key(Int(), name) for name in "abcde"}
    record = Record(keys, lambda given: 1, some_of=[tuple(keys)])
    assert read(record, "{}")[1] == ["1: w: give one of a, b, c, d, e"]


def test_the_builder_can_look_again_and_point() -> None:
    def build(given: ParsedMapping) -> int:
        place = given.place("a")
        assert (place.line, place.column, place.where) == (1, 5, "w.a")
        assert "a" in given
        assert "b" not in given
        raise given.reject("a", f"{given.get('a')} is not {given.get('b', 7)}")

    record = Record({"a": Key(Int(), "A."), "b": Key(Int(), "B.")}, build)
    assert read(record, "{a: 1}")[1] == ["5: w.a: 1 is not 7"]


@pytest.mark.parametrize(
    ("value_type", "value", "good"),
    [
        (RECORD, {"name": "n", "maxSize": 1}, True),
        (RECORD, {"name": "n", "maxSize": 1, "x": 1}, True),
        (RECORD, {"maxSize": 1}, False),
        (RECORD, {"name": "n"}, False),
        (RECORD, {"name": "n", "maxSize": 1, "x": 1, "y": 1}, False),
        (RECORD, {"name": "n", "maxSize": 1, "z": 1}, False),
        (RECORD, None, False),
        (OPTIONAL, None, True),
        (OPTIONAL, {"a": "x"}, False),
    ],
)
def test_schema(value_type: ValueType[Any], value: Any, good: bool) -> None:
    defs: dict[str, Schema] = {}
    schema = value_type.schema(defs)
    assert jsonschema.Draft202012Validator({**schema, "$defs": defs}).is_valid(value) is good


def test_the_schema_describes_keys_and_says_what_is_missing() -> None:
    properties = RECORD.schema({})["properties"]
    assert properties["name"]["description"] == "A name."
    assert properties["socks"]["description"] == "Socks. Not available yet."
