"""Align two sequences: equal items are paired, and the unequal items between them are paired one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from mockrec.formats.diff.compare.alike import ItemLikeness, rising

_MOST = 2_000
"""Items of sequences that are aligned as a whole; the cost grows with the square of their number. Longer sequences are
divided at items that occur once on either side."""
_MOST_EQUAL = 500_000
"""Pairs of equal items in sequences that are aligned as a whole: a text of equal lines would take seconds."""


def align(
    a: Sequence[str], b: Sequence[str], weigh: ItemLikeness | None = None
) -> Iterator[tuple[int | None, int | None]]:
    """Yield pairs of indexes in order; None where an item has no partner on the other side.

    In unequal runs between equal items, those that `weigh` finds alike are paired. The remaining items are paired from
    the start of their run, so that a changed item is a change, not a removal and an addition. Swapped sequences give
    the same pairs, swapped.
    """
    return _align(list(a), list(b), weigh)


def _align(a: list[str], b: list[str], weigh: ItemLikeness | None) -> Iterator[tuple[int | None, int | None]]:
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        yield start, start
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    run_a, run_b = range(start, len(a) - end), range(start, len(b) - end)
    next_a, next_b, equal = start, start, 0
    for i, j in [*_anchors(a, b, run_a, run_b), (run_a.stop, run_b.stop)]:
        gap_a, gap_b = range(next_a, i), range(next_b, j)
        equal += _equal(a[next_a:i], b[next_b:j])
        if max(len(gap_a), len(gap_b)) > _MOST or equal > _MOST_EQUAL:
            yield from _unequal(a, b, gap_a, gap_b, weigh)
        else:
            yield from _gap(a, b, gap_a, gap_b, weigh)
        if i < run_a.stop:
            yield i, j
        next_a, next_b = i + 1, j + 1
    for index in range(end, 0, -1):
        yield len(a) - index, len(b) - index


def _anchors(a: list[str], b: list[str], run_a: range, run_b: range) -> list[tuple[int, int]]:
    """Return pairs at which long sequences are divided: items that occur once on either side, in order."""
    if max(len(run_a), len(run_b)) <= _MOST:
        return []
    once_a, once_b = (_once(items, run) for items, run in ((a, run_a), (b, run_b)))
    pairs = [(index, once_b[item]) for item, index in once_a.items() if item in once_b]
    # Among equally good results, choose the same one when the sides are swapped.
    if a > b:
        return [(i, j) for j, i in rising(sorted((j, i) for i, j in pairs))]
    return rising(pairs)


def _once(items: list[str], run: range) -> dict[str, int]:
    """Return the items that occur once in a run, with their indexes."""
    counts = Counter(items[run.start : run.stop])
    return {items[index]: index for index in run if counts[items[index]] == 1}


def _gap(
    a: list[str], b: list[str], run_a: range, run_b: range, weigh: ItemLikeness | None
) -> Iterator[tuple[int | None, int | None]]:
    for piece_a, piece_b in _runs(a[run_a.start : run_a.stop], b[run_b.start : run_b.stop]):
        yield from _unequal(a, b, run_a[piece_a.start : piece_a.stop], run_b[piece_b.start : piece_b.stop], weigh)


def _equal(a: list[str], b: list[str]) -> int:
    counts = Counter(b)
    return sum(count * counts[item] for item, count in Counter(a).items())


def _runs(a: list[str], b: list[str]) -> Iterator[tuple[range, range]]:
    """Yield corresponding runs, equal or not. Their order is normalised, because difflib's result depends on it."""
    swapped = a > b
    first, second = (b, a) if swapped else (a, b)
    for _, from_1, to_1, from_2, to_2 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        one, two = range(from_1, to_1), range(from_2, to_2)
        yield (two, one) if swapped else (one, two)


def _unequal(
    a: list[str], b: list[str], run_a: range, run_b: range, weigh: ItemLikeness | None
) -> Iterator[tuple[int | None, int | None]]:
    """Pair the items of two runs: those that are alike, and the items between them one by one."""
    next_a, next_b = run_a.start, run_b.start
    if weigh is not None and max(len(run_a), len(run_b)) > 1 and run_a and run_b:
        items_a, items_b = a[run_a.start : run_a.stop], b[run_b.start : run_b.stop]
        if items_a != items_b:
            # Among equally good results, choose the same one when the sides are swapped.
            for i, j in weigh.in_order(run_a, run_b, swapped=items_a > items_b):
                yield from _one_by_one(next_a, i, next_b, j)
                yield i, j
                next_a, next_b = i + 1, j + 1
    yield from _one_by_one(next_a, run_a.stop, next_b, run_b.stop)


def _one_by_one(a1: int, a2: int, b1: int, b2: int) -> Iterator[tuple[int | None, int | None]]:
    for offset in range(max(a2 - a1, b2 - b1)):
        yield (a1 + offset if a1 + offset < a2 else None, b1 + offset if b1 + offset < b2 else None)
