"""Brings two sequences together: what is equal stands side by side, what is between is paired in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

_MOST = 2_000
"""Items that are looked at in full; the cost of more grows with the square of their number."""


def align(a: Sequence[str], b: Sequence[str]) -> Iterator[tuple[int | None, int | None]]:
    """Pairs of indexes in order; None where the other side has nothing to stand beside it.

    Unequal runs between equal items are paired from their start, so that a changed item is a change and
    not a removal and an addition. Swapped sequences give the same pairs, swapped.
    """
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        yield start, start
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    if max(len(middle_a), len(middle_b)) > _MOST:
        yield from _in_turn(start, len(a) - end, start, len(b) - end)
    else:
        for run_a, run_b in _runs(list(middle_a), list(middle_b)):
            yield from _in_turn(start + run_a.start, start + run_a.stop, start + run_b.start, start + run_b.stop)
    for index in range(end, 0, -1):
        yield len(a) - index, len(b) - index


def _runs(a: list[str], b: list[str]) -> Iterator[tuple[range, range]]:
    """Runs that stand beside each other, equal or not. What difflib finds depends on the order of its arguments."""
    swapped = a > b
    first, second = (b, a) if swapped else (a, b)
    for _, from_1, to_1, from_2, to_2 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        one, two = range(from_1, to_1), range(from_2, to_2)
        yield (two, one) if swapped else (one, two)


def _in_turn(a1: int, a2: int, b1: int, b2: int) -> Iterator[tuple[int | None, int | None]]:
    for offset in range(max(a2 - a1, b2 - b1)):
        yield (a1 + offset if a1 + offset < a2 else None, b1 + offset if b1 + offset < b2 else None)
