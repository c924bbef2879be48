"""Scalar types: the texts that they accept, their messages, and that their schema accepts the same."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mockrec.engine.rules.yaml.context import LoadContext, Rejected
from mockrec.engine.rules.yaml.nodes import core_value, parse
from mockrec.engine.rules.yaml.types import (
    AnyJson,
    Bool,
    Duration,
    Enum,
    FirstOf,
    Int,
    InvalidValue,
    Null,
    Number,
    Schema,
    Size,
    Str,
    ValueType,
    nearest_hint,
)

NO_SUCH = FileNotFoundError(2, "No such file or directory")


def read(value_type: ValueType[Any], text: str, env: dict[str, str] | None = None) -> tuple[Any, list[str]]:
    """The value, or the problems."""

    def no_files(path: str) -> bytes:
        raise NO_SUCH

    context = LoadContext("r.yaml", "/folder", env or {}, no_files)
    try:
        value = value_type.read(parse(f"---\n{text}".encode(), "r.yaml"), "here", context)
    except Rejected:
        assert context.problems
        return None, [problem.message for problem in context.problems]
    assert not context.problems
    return value, []


def fits(value_type: ValueType[Any], value: Any) -> bool:
    defs: dict[str, Schema] = {}
    schema = value_type.schema(defs)
    return jsonschema.Draft202012Validator({**schema, "$defs": defs}).is_valid(value)


GOOD: list[tuple[ValueType[Any], str, Any]] = [
    *[(Str(), text, text) for text in ("1.10", "true", "null", "abc", "2024-01-01", "0x10")],
    *[(Str(), "", ""), (Str(), "'a b'", "a b"), (Str(empty=False), "'null'", "null")],
    *[(Int(), "12", 12), (Int(), "-1", -1), (Int(0, 5), "0", 0), (Int(0, 5), "5", 5), (Int(), "0x10", 16)],
    *[(Number(), "1", 1), (Number(), "-1.5", -1.5), (Number(low=0), "0", 0), (Number(), "1e3", 1000.0)],
    *[(Bool(), "true", True), (Bool(), "False", False), (Bool(only=True), "true", True)],
    *[(Null(), "null", None), (Null(), "", None)],
    *[(Enum("a", "b"), "a", "a"), (Enum("a", "b"), "'b'", "b")],
    *[
        (Duration(), "100ms", 0.1),
        (Duration(), "2s", 2.0),
        (Duration(), "1.5m", 90.0),
        (Duration(), "1h", 3600.0),
    ],
    *[(Duration(), "0", 0.0), (Duration(), "3 s", 3.0)],
    *[(Size(), "64KiB", 65536), (Size(), "10MB", 10_000_000), (Size(), "12", 12), (Size(), "1.5KiB", 1536)],
    *[(Size(), "1GiB", 2**30), (Size(), "5 B", 5), (Size(), "2kB", 2000), (Size(), "3MiB", 3 * 2**20)],
    *[(FirstOf(Int(), Duration()), "5", 5), (FirstOf(Int(), Duration()), "5s", 5.0)],
    (AnyJson(), "{a: [1, no]}", {"a": [1, "no"]}),
]


@pytest.mark.parametrize(("value_type", "text", "value"), GOOD)
def test_good_values(value_type: ValueType[Any], text: str, value: Any) -> None:
    found, problems = read(value_type, text)
    assert problems == []
    assert found == value
    assert type(found) is type(value)
    if not text.startswith("{"):
        assert fits(value_type, text.strip("'") if text.startswith("'") else core_value(text))


BAD: list[tuple[ValueType[Any], str, str]] = [
    (Str(), "[a]", "expected text, got a list"),
    (Str(empty=False), "''", 'expected text that is not empty, got ""'),
    (Str(empty=False), "null", "expected text that is not empty, got null"),
    (Int(100, 599), "abc", 'expected 100–599, got "abc"'),
    (Int(100, 599), "600", "expected 100–599, got 600"),
    (Int(100, 599), "99", "expected 100–599, got 99"),
    (Int(100, 599), "'200'", 'expected 100–599, got "200"'),
    (Int(1, 1), "2", "expected 1, got 2"),
    (Int(0), "-1", "expected a whole number, at least 0, got -1"),
    (Int(), "1.5", "expected a whole number, got 1.5"),
    (Int(), "true", "expected a whole number, got true"),
    (Int(), "{}", "expected a whole number, got an empty mapping"),
    (Int(1, 9, advice={5: "not five"}), "5", "not five"),
    (Number(), ".inf", "expected a number, got .inf"),
    (Number(), "true", "expected a number, got true"),
    (Number(), "'1'", 'expected a number, got "1"'),
    (Number(low=0), "-0.5", "expected a number, at least 0, got -0.5"),
    (Bool(), "yes", 'expected true or false, got "yes"'),
    (Bool(), "'true'", 'expected true or false, got "true"'),
    (Bool(only=True), "false", "expected true, got false"),
    (Null(), "0", "expected null, got 0"),
    (Null(), "''", 'expected null, got ""'),
    (Enum("once", "twice"), "onse", 'expected once or twice, got "onse"; did you mean "once"?'),
    (Enum("once", "twice"), "zzz", 'expected once or twice, got "zzz"'),
    (Enum("once"), "3", 'expected once, got "3"'),
    *[
        (Duration(), text, f"expected a duration such as 100ms, 2s or 1m, got {shown}")
        for text, shown in (
            ("5", "5"),
            ("5d", '"5d"'),
            ("-1s", '"-1s"'),
            ("1s1ms", '"1s1ms"'),
            ("", "nothing"),
        )
    ],
    *[
        (Size(), text, f"expected a size such as 64KiB, 10MB or a number of bytes, got {shown}")
        for text, shown in (("-5", "-5"), ("5XB", '"5XB"'), ("1.5", "1.5"), ("0.0001KiB", '"0.0001KiB"'))
    ],
    (
        FirstOf(Int(), Duration()),
        "x",
        'expected a whole number or a duration such as 100ms, 2s or 1m, got "x"',
    ),
    (FirstOf(Int(), Null(), expects="a thing"), "x", 'expected a thing, got "x"'),
    (AnyJson(), "[.inf]", "JSON has no .inf"),
]


@pytest.mark.parametrize(("value_type", "text", "message"), BAD)
def test_bad_values(value_type: ValueType[Any], text: str, message: str) -> None:
    assert read(value_type, text)[1] == [message]


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        *[(Str(), []), (Str(empty=False), ""), (Int(100, 599), 600), (Int(100, 599), "abc"), (Int(0), -1)],
        *[(Int(1, 9, advice={5: "x"}), 5), (Number(low=0), -1), (Number(), "x"), (Bool(), "yes")],
        *[(Bool(only=True), False), (Null(), 0), (Enum("a"), "b"), (Duration(), 5), (Duration(), "5d")],
        *[(Size(), -5), (Size(), "5XB"), (FirstOf(Int(), Duration()), "x")],
    ],
)
def test_the_schema_refuses_bad_values_too(value_type: ValueType[Any], value: Any) -> None:
    assert not fits(value_type, value)


@pytest.mark.parametrize("text", ["${PORT}", "'${PORT}'"])
def test_a_variable_may_stand_for_a_number(text: str) -> None:
    assert read(Int(0, 9999), text, {"PORT": "8080"}) == (8080, [])
    assert fits(Int(0, 9999), "${PORT}")


@pytest.mark.parametrize("value_type", [Int(0, 99), Enum("a", "b"), Duration(), FirstOf(Int(), Null())])
def test_a_variable_is_not_shown(value_type: ValueType[Any]) -> None:
    (message,) = read(value_type, "${SECRET}", {"SECRET": "hunter2"})[1]
    assert message == f'expected {value_type.expects}, got "${{SECRET}}"'


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("statusMesage", 'unknown "statusMesage"; did you mean "statusMessage"?'),
        ("xyz", 'unknown "xyz"'),
        ("STATUS", 'unknown "STATUS"; did you mean "status"?'),
    ],
)
def test_nearest_hint(word: str, message: str) -> None:
    assert nearest_hint(word, ("status", "statusMessage", "body"), "unknown") == message


def test_shapes_that_say_nothing_are_no_shapes() -> None:
    with pytest.raises(NotImplementedError):
        ValueType[int]().schema({})
    with pytest.raises(InvalidValue):
        Int().parse("x", True)
