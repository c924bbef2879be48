"""Lists, mappings and choices: every part is loaded, and the schema accepts the same values."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from mockrec.engine.rules.yaml.containers import ByKind, Checked, List, MapOf, Named, OneOrMany
from mockrec.engine.rules.yaml.context import LoadContext, Rejected
from mockrec.engine.rules.yaml.nodes import parse
from mockrec.engine.rules.yaml.types import Enum, Int, InvalidValue, Schema, Str, ValueType


def read(value_type: ValueType[Any], text: str) -> tuple[Any, list[str]]:
    context = LoadContext("r.yaml", "/folder", {}, lambda path: b"")
    try:
        return value_type.read(parse(text.encode(), "r.yaml"), "w", context), []
    except Rejected:
        return None, [f"{problem.where}: {problem.message}" for problem in context.problems]


def fits(value_type: ValueType[Any], value: Any) -> bool:
    defs: dict[str, Schema] = {}
    schema = value_type.schema(defs)
    return jsonschema.Draft202012Validator({**schema, "$defs": defs}).is_valid(value)


def odd(value: int) -> int:
    if value % 2 == 0:
        raise InvalidValue(f"{value} is even")
    return value + 100


TREE: Named[Any] = Named("tree", lambda: _TREE)
_TREE = ByKind(scalar=Int(), items=List(TREE), mapping=MapOf(TREE))
MIXED = ByKind(scalar=Enum("x"), mapping=MapOf(Int()))
WORD_KEYS = MapOf(Str(), key=Enum("a", "A", "b"), fold_case=True)


@pytest.mark.parametrize(
    ("value_type", "text", "value"),
    [
        *[(List(Int()), "[]", ()), (List(Int()), "[1, 2]", (1, 2))],
        *[(OneOrMany(Int()), "1", (1,)), (OneOrMany(Int()), "[1, 2]", (1, 2))],
        *[(MapOf(Int()), "{}", {}), (MapOf(Int()), "{a: 1, 2: 2}", {"a": 1, "2": 2})],
        (WORD_KEYS, "{a: x, b: y}", {"a": "x", "b": "y"}),
        *[(MIXED, "x", "x"), (MIXED, "{x: 1}", {"x": 1})],
        (TREE, "[1, {a: [2]}]", (1, {"a": (2,)})),
        (Checked(Int(), odd), "3", 103),
    ],
)
def test_good(value_type: ValueType[Any], text: str, value: Any) -> None:
    assert read(value_type, text) == (value, [])


@pytest.mark.parametrize(
    ("value_type", "text", "messages"),
    [
        (List(Int()), "[x, 1, y]", [
            'w[0]: expected a whole number, got "x"',
            'w[2]: expected a whole number, got "y"',
        ]),
        (List(Int()), "1", ["w: expected a list, got 1"]),
        (List(Int(), at_least=2), "[1]", ["w: expected a list of at least 2, got a list"]),
        (OneOrMany(Int()), "[]", ["w: expected a list of at least 1, got an empty list"]),
        (OneOrMany(Int()), "x", ['w: expected a whole number, got "x"']),
        (MapOf(Int()), "{a: x, b: 1, c: y, b: 2}", [
            'w: the key "b" is given twice, first in line 1',
            'w.a: expected a whole number, got "x"',
            'w.c: expected a whole number, got "y"',
        ]),
        (MapOf(Int()), "[a]", ["w: expected a mapping, got a list"]),
        (WORD_KEYS, "{a: x, A: y, c: z}", [
            'w: "A" is given twice (case does not count)',
            'w: expected a, A or b, got "c"',
        ]),
        (MIXED, "[1]", ["w: expected x or a mapping, got a list"]),
        (MIXED, "zz", ['w: expected x, got "zz"']),
        (ByKind(scalar=Int(), items=List(Int())), "zz", ['w: expected a whole number or a list, got "zz"']),
        (TREE, "{a: [1, {b: x}]}", ['w.a[1].b: expected a whole number or a list or a mapping, got "x"']),
        (Checked(Int(), odd), "4", ["w: 4 is even"]),
    ],
)  # fmt: skip
def test_bad(value_type: ValueType[Any], text: str, messages: list[str]) -> None:
    assert read(value_type, text)[1] == messages


@pytest.mark.parametrize(
    ("value_type", "good", "bad"),
    [
        (List(Int()), [[], [1]], [1, ["x"]]),
        (List(Int(), at_least=1), [[1]], [[]]),
        (OneOrMany(Int()), [1, [1]], [[], "x"]),
        (MapOf(Int()), [{}, {"a": 1}], [[], {"a": "x"}]),
        (WORD_KEYS, [{"a": "x"}], [{"c": "x"}]),
        (MIXED, ["x", {"a": 1}], ["y", []]),
        (TREE, [1, [1, {"a": [2]}]], ["x", [{"a": ["x"]}]]),
        (Checked(Int(), odd), [3], ["x"]),
    ],
)
def test_schema(value_type: ValueType[Any], good: list[Any], bad: list[Any]) -> None:
    assert [value for value in good if not fits(value_type, value)] == []
    assert [value for value in bad if fits(value_type, value)] == []
