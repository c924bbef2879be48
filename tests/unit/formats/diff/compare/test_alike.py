"""Pairs of items in arrays: inputs from bug reports of json-diff, jsondiffpatch, deep-diff and other tools."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.alike import ComparisonBudget, ItemLikeness, best_anywhere, rising
from mockrec.formats.diff.compare.documents import parse
from mockrec.formats.diff.compare.tree import compare
from mockrec.formats.diff.compare.values import ValueComparer


def item(number: int, version: int = 0) -> dict[str, Any]:
    return {"title": f"t{number}", "author": f"a{number}", "n": number, "v": version}


def changes(a: Any, b: Any, values: ValueComparer) -> list[str]:
    found = compare(parse(json.dumps(a)), parse(json.dumps(b)), values)
    return [f"{change.kind} {change.path}" for change in found]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # An added item at the beginning, in the middle, at the end.
        ([1, 2, 3], [4, 1, 2, 3], ["added $[0]"]),
        (["a", "b"], ["a", "z", "b"], ["added $[1]"]),
        (["a", "c", "d", "e"], ["a", "b", "c", "d", "e"], ["added $[1]"]),
        (["h", "a", "p", "p", "y"], ["c", "h", "a", "p", "p", "y"], ["added $[0]"]),
        # A list of the newest items: one is added, one is removed, and another changed.
        ([0, 1, 2, 3, 4, 5], [9, 0, 1, 2, 3, 4], ["added $[0]", "removed $[5]"]),
        (
            [item(n) for n in range(4)],
            [item(9), *(item(n, 1) for n in range(3))],
            ["added $[0]", "value $[0].v", "value $[1].v", "value $[2].v", "removed $[3]"],
        ),
        ([item(n) for n in range(2)], [item(n, 1) for n in (9, 0, 1)], ["added $[0]", "value $[0].v", "value $[1].v"]),
        # The item that stayed is recognised by its members, also if an id occurs twice.
        (
            [{"key": "value1", "foo": "exists", "bar": "exists"}],
            [{"key": "value2", "foo": "new", "bar": "new"}, {"key": "value2", "foo": "exists", "bar": "exists"}],
            ["added $[0]", "value $[0].key"],
        ),
        ([{"b": [1], "c": "x"}], [{"b": [1], "c": "x"}, {"b": [1], "c": "y"}], ["added $[1]"]),
        # Paired by index if added items do not reduce the differences: coordinates, counts.
        ([1, 2], [2, 3], ["value $[0]", "value $[1]"]),
        ([52.1, 13.2], [13.2, 52.1], ["value $[0]", "value $[1]"]),
        ([0, 1, 0, 5], [0, 0, 1, 5], ["value $[1]", "value $[2]"]),
        ([{"a": 1}], [{"a": 2}], ["value $[0].a"]),
        ([[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 2, 4], [4, 5, 7]], ["added $[0]", "value $[0][2]", "value $[1][2]"]),
        ({"t": "0"}, {"t": False}, ["type $.t"]),
        ({"amount": 42.0}, {"amount": 42}, []),
        ({}, [], ["type $"]),
    ],
)  # fmt: skip
def test_pairs_of_items(a: Any, b: Any, expected: list[str], values: ValueComparer) -> None:
    assert changes(a, b, values) == expected


def test_long_lists_too(values: ValueComparer) -> None:
    a, b = [item(n) for n in range(3000)], [item(n, 1) for n in range(-1, 3000)]
    assert changes(a, b, values) == ["added $[0]", *(f"value $[{n}].v" for n in range(3000))]


def test_items_in_any_order_belong_to_those_that_are_alike(values: ValueComparer) -> None:
    values.any_order = (lambda location: True,)
    a, b = [item(1), item(2), item(3)], [item(3, 1), item(1, 1), item(2)]
    assert changes(a, b, values) == ["value $[0].v", "value $[2].v"]


def counted(count_a: int, count_b: int, weighed: list[int], budget: ComparisonBudget) -> ItemLikeness:
    def of(index: int) -> frozenset[object]:
        weighed[0] += 1
        return frozenset([index // 2])

    return ItemLikeness(of, of, budget)


def test_the_work_is_bounded_by_the_number_of_items() -> None:
    budget = ComparisonBudget()
    weighed = 0
    for _ in range(1000):
        budget.earn(128)
        weighed += 4096 if budget.spend(64 * 64) else 0
    assert weighed <= 4096 + 16 * 128 * 1000
    assert not budget.spend(4097)


@pytest.mark.parametrize("count", [3, 50, 100, 5000])
def test_neither_side_is_favoured(count: int) -> None:
    a = [f"a{n}" for n in range(count)]
    b = [f"b{n}" for n in range(count + 3)]
    there = list(align(a, b, counted(count, count, [0], ComparisonBudget())))
    back = list(align(b, a, counted(count, count, [0], ComparisonBudget())))
    assert sorted((j, i) for i, j in there if i is not None and j is not None) == sorted(
        (i, j) for i, j in back if i is not None and j is not None
    )


def test_long_sequences_are_divided_at_unique_items() -> None:
    a = [str(n) for n in range(6000)]
    b = ["new", *a[:3000], "other", *a[3001:], "last"]
    unequal = [(i, j) for i, j in align(a, b) if i is None or j is None or a[i] != b[j]]
    assert unequal == [(None, 0), (3000, 3001), (None, 6001)]


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], []),
        ([(0, 5), (1, 0), (2, 1), (3, 9)], [(1, 0), (2, 1), (3, 9)]),
        ([(0, 3), (1, 2), (2, 1)], [(2, 1)]),
    ],
)
def test_rising_pairs(pairs: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert rising(pairs) == expected


def test_unlike_items_are_paired_one_by_one_in_any_order() -> None:
    weigh: Callable[[int, int], float] = lambda i, j: 1.0 if (i, j) == (0, 1) else 0.0  # noqa: E731
    assert best_anywhere(2, 2, weigh, ComparisonBudget()) == [(0, 1), (1, 0)]
