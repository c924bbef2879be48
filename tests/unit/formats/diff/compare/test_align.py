"""Alignment of two sequences."""

from __future__ import annotations

import pytest

from mockrec.formats.diff.compare.align import align


@pytest.mark.parametrize(
    ("a", "b", "pairs"),
    [
        ("", "", []),
        ("abc", "abc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "axc", [(0, 0), (1, 1), (2, 2)]),
        ("abc", "ac", [(0, 0), (1, None), (2, 1)]),
        ("ac", "abc", [(0, 0), (None, 1), (1, 2)]),
        ("a", "", [(0, None)]),
        ("", "a", [(None, 0)]),
        ("aab", "ab", [(0, 0), (1, None), (2, 1)]),
        ("xaybz", "ab", [(0, None), (1, 0), (2, None), (3, 1), (4, None)]),
    ],
)
def test_pairs(a: str, b: str, pairs: list[tuple[int | None, int | None]]) -> None:
    assert list(align(a, b)) == pairs


def test_long_sequences_are_paired_in_turn() -> None:
    a = [str(number) for number in range(5000)]
    b = ["new", *a[1:-1], "other", "more"]
    assert list(align(a, b)) == [*((number, number) for number in range(5000)), (None, 5000)]
    c = [f"c{number}" for number in range(4000)]
    assert list(align(a, c))[-1] == (4999, None)


def test_many_equal_items_take_no_time() -> None:
    a, b = ["x", "y"] * 1000, ["y", "x", "x"] * 600
    pairs = list(align(a, b))
    assert len(pairs) == 2000
