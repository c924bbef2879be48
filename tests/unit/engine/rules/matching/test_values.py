"""Comparing texts and JSON values."""

from __future__ import annotations

from typing import Any

import pytest

from mockrec.engine.rules.matching.values import json_check, json_equal, json_includes, text_check, text_of
from mockrec.engine.rules.model import Condition


@pytest.mark.parametrize(("value", "text"), [("a", "a"), (5, "5"), (True, "true"), (False, "false"), (None, "")])
def test_scalars_as_text(value: Any, text: str) -> None:
    assert text_of(value) == text


@pytest.mark.parametrize(
    ("expected", "values", "answer"),
    [
        ("a", ["b", "a"], True),
        ("a", ["A"], False),
        ("a", [], False),
        (1, ["1"], True),
        (("a", "b"), ["b", "x", "a"], True),
        (("a", "b"), ["a"], False),
        ((), [], True),
        (Condition(equals="a"), ["b", "a"], True),
        (Condition(equals="a"), ["b"], False),
        (Condition(regex="^a+$"), ["b", "aa"], True),
        (Condition(regex="^a+$"), ["ab"], False),
        (Condition(includes="b"), ["abc"], True),
        (Condition(includes="b"), ["ac"], False),
        (Condition(absent=True), [], True),
        (Condition(absent=True), [""], False),
        (Condition(present=True), [""], True),
        (Condition(present=True), [], False),
        (Condition(gt=1), ["1.5"], True),
        (Condition(gt=1), ["1"], False),
        (Condition(gte=1), ["1"], True),
        (Condition(gte=1), ["0.9"], False),
        (Condition(lt=1), ["0"], True),
        (Condition(lt=1), ["1"], False),
        (Condition(lte=1), ["1"], True),
        (Condition(lte=1), ["2"], False),
        (Condition(gt=1), ["many"], False),
        (Condition(gt=0), ["0"], False),
        # One value must pass all tests; two that pass one each are not enough.
        (Condition(gt=1, lt=5), ["0", "9"], False),
        (Condition(gt=1, lt=5), ["0", "3"], True),
        (Condition(regex="^a", includes="z"), ["abz"], True),
        (Condition(regex="^a", includes="z"), ["ab", "z"], False),
    ],
)
def test_texts(expected: Any, values: list[str], answer: bool) -> None:
    assert text_check(expected)(values) is answer


@pytest.mark.parametrize(
    ("expected", "values", "answer"),
    [
        (1, [1.0], True),
        (1, [True], False),
        (1, ["1"], False),
        (None, [None], True),
        (None, [], False),
        ({"a": 1}, [{"a": 1}], True),
        (("a", "b"), [["a", "b"]], True),
        (("a", "b"), ["b", "a"], True),
        (("a", "b"), ["a"], False),
        ((), [[]], True),
        ((), ["a"], False),
        (Condition(equals={"a": [1]}), [{"a": [1]}], True),
        (Condition(equals=1), [True], False),
        (Condition(regex=r"^\d+$"), [42], True),
        (Condition(regex="true"), [True], False),
        (Condition(includes="b"), [["a", "b"]], True),
        (Condition(includes="b"), ["abc"], True),
        (Condition(includes="b"), [{"b": 1}], False),
        (Condition(gt=3), [4], True),
        (Condition(gt=0), [True], False),
        (Condition(gt=0), [[1]], False),
        (Condition(lt=10**400), [10**400], False),
        (Condition(absent=True), [], True),
        (Condition(present=True), [None], True),
    ],
)
def test_json_values(expected: Any, values: list[Any], answer: bool) -> None:
    assert json_check(expected)(values) is answer


@pytest.mark.parametrize(
    ("expected", "value", "answer"),
    [
        ({"a": 1, "b": (2, 3)}, {"b": [2, 3], "a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, [1], False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ([1], "1", False),
        (0, False, False),
        (True, True, True),
        (True, 1, False),
        ("a", "a", True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_json_equality(expected: Any, value: Any, answer: bool) -> None:
    assert json_equal(expected, value) is answer


@pytest.mark.parametrize(
    ("expected", "value", "answer"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}, True),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {}, False),
        ({"a": {}}, {"a": {"b": 1}}, True),
        ({"a": {}}, {"a": []}, False),
        ({"a": []}, {"a": [1, 2]}, True),
        ({"a": []}, {"a": {}}, False),
        ([2, 1], [1, 2, 3], True),
        ([1, 1], [1, 2], False),
        ([1, 1], [1, 2, 1], True),
        ([1, 2, 3], [1, 2], False),
        # The first item could take either; only one of the ways leaves something for the second.
        ([{"a": 1}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1}], True),
        ([{"a": 1, "b": 2}, {"a": 1, "b": 2}], [{"a": 1, "b": 2}, {"a": 1}], False),
        (1, 1, True),
        (1, 2, False),
    ],
)
def test_json_inclusion(expected: Any, value: Any, answer: bool) -> None:
    assert json_includes(expected, value) is answer
