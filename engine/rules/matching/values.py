"""Comparison of values: plain expected values and conditions (`equals`, `regex`, `gt` …) for texts and for JSON.

JSON values keep their types: `1` and `1.0` are equal, `1` and `true` are not, and neither are `1` and `"1"`.
JSON arrays are lists or tuples.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from mockrec.engine.rules.model import Condition, Expected
from mockrec.engine.rules.patterns import searcher

TextCheck = Callable[[Sequence[str]], bool]
"""A check of all values of a name in the request, in order; the sequence is empty if the name is absent."""

JsonCheck = Callable[[Sequence[Any]], bool]
"""A check of all JSON values that a path finds."""


def text_of(value: Any) -> str:
    """An expected scalar as the text of a header, query or form; null is the empty text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def text_check(expected: Expected) -> TextCheck:
    """A scalar has to equal one of the values, so has each item of a list; a condition has to hold for one value."""
    if isinstance(expected, Condition):
        return _condition_check(expected, text_check)
    if isinstance(expected, (list, tuple)):
        wanted = tuple(text_of(item) for item in expected)
        return lambda values: all(item in values for item in wanted)
    text = text_of(expected)
    return lambda values: text in values


def json_check(expected: Expected) -> JsonCheck:
    """As `text_check`, with JSON equality; a list also matches one value that is an equal list."""
    if isinstance(expected, Condition):
        return _condition_check(expected, _json_equals)
    if isinstance(expected, (list, tuple)):
        whole = _json_equals(expected)
        items = tuple(_json_equals(item) for item in expected)
        return lambda values: whole(values) or (bool(items) and all(item(values) for item in items))
    return _json_equals(expected)


def _json_equals(expected: Any) -> JsonCheck:
    return lambda values: any(json_equal(expected, value) for value in values)


def _as_text(value: Any) -> str | None:
    """The text of a JSON value for a regular expression: a string, or a number as JSON; None for other types."""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return json.dumps(value)
    return None


def _condition_check(condition: Condition, equals: Callable[[Any], JsonCheck]) -> JsonCheck:
    """A check that one value passes all tests of the condition, or, for `absent`, that there is no value."""
    tests: list[Callable[[Any], bool]] = []
    if condition.equals is not None:
        same = equals(condition.equals)
        tests.append(lambda value: same((value,)))
    if condition.regex is not None:
        search = searcher(condition.regex)
        tests.append(lambda value: (text := _as_text(value)) is not None and search(text))
    if condition.includes is not None:
        part = condition.includes
        tests.append(lambda value: isinstance(value, (str, list, tuple)) and part in value)
    for bound, holds in _BOUNDS:
        limit = getattr(condition, bound)
        if limit is not None:
            tests.append(_number_test(limit, holds))
    if condition.absent:
        return lambda values: not values
    # Without tests this is the check of `present`.
    return lambda values: any(all(test(value) for test in tests) for value in values)


_BOUNDS: tuple[tuple[str, Callable[[float, float], bool]], ...] = (
    ("gt", lambda number, limit: number > limit),
    ("gte", lambda number, limit: number >= limit),
    ("lt", lambda number, limit: number < limit),
    ("lte", lambda number, limit: number <= limit),
)


def _number_test(limit: float, holds: Callable[[float, float], bool]) -> Callable[[Any], bool]:
    def test(value: Any) -> bool:
        number = _number(value)
        return number is not None and holds(number, limit)

    return test


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def json_equal(expected: Any, value: Any) -> bool:
    """Deep equality of JSON values: keys in any order, lists in the same order."""
    if isinstance(expected, Mapping):
        return (
            isinstance(value, Mapping)
            and len(expected) == len(value)
            and all(key in value and json_equal(item, value[key]) for key, item in expected.items())
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(value, (list, tuple))
            and len(expected) == len(value)
            and all(json_equal(item, other) for item, other in zip(expected, value, strict=True))
        )
    if isinstance(expected, bool) or isinstance(value, bool):
        return expected is value
    return bool(expected == value)


def json_includes(expected: Any, value: Any) -> bool:
    """Recursive subset: a value needs the keys of an expected mapping, and a different item for each item of a list."""
    if isinstance(expected, Mapping):
        return isinstance(value, Mapping) and all(
            key in value and json_includes(item, value[key]) for key, item in expected.items()
        )
    if isinstance(expected, (list, tuple)):
        return isinstance(value, (list, tuple)) and _assign(expected, value)
    return json_equal(expected, value)


def _assign(expected: Sequence[Any], values: Sequence[Any]) -> bool:
    """Whether each expected item can be assigned a different value that includes it.

    The time is in proportion to the number of values: a scalar has to occur as often as it is expected, and the
    search for mappings and lists that include an item stops when there are as many as there are items.
    """
    if len(expected) > len(values):
        return False
    scalars: dict[tuple[bool, Any], int] = {}
    for item in expected:
        if not isinstance(item, (Mapping, list, tuple)):
            key = (isinstance(item, bool), item)
            scalars[key] = scalars.get(key, 0) + 1
    if any(_count(item, values) < wanted for (_, item), wanted in scalars.items()):
        return False
    mappings = [item for item in expected if isinstance(item, Mapping)]
    lists = [item for item in expected if isinstance(item, (list, tuple))]
    return (not mappings or _place(mappings, [one for one in values if isinstance(one, Mapping)])) and (
        not lists or _place(lists, [one for one in values if isinstance(one, (list, tuple))])
    )


def _count(scalar: Any, values: Sequence[Any]) -> int:
    """The number of values that equal a scalar; true and 1 differ."""
    found = values.count(scalar)
    if found and isinstance(scalar, (bool, int, float)) and scalar in (0, 1):
        booleans = sum(value is (scalar == 1) for value in values)
        return booleans if isinstance(scalar, bool) else found - booleans
    return found


def _place(expected: Sequence[Any], values: Sequence[Any]) -> bool:
    """Bipartite matching. An item with as many candidates as there are items always gets one."""
    most = len(expected)
    fits = [
        list(islice((i for i, value in enumerate(values) if json_includes(item, value)), most)) for item in expected
    ]
    owner: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for index in fits[item]:
            if index in tried:
                continue
            tried.add(index)
            if index not in owner or place(owner[index], tried):
                owner[index] = item
                return True
        return False

    return all(place(item, set()) for item in range(len(expected)))
