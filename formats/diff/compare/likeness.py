"""The last stage of pairing: within an endpoint, pair the exchanges that are most alike."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from urllib.parse import parse_qsl

from mockrec.formats.diff.compare.keys import split
from mockrec.formats.diff.model.exchange import Digest

_FLOOR = 0.35
"""Likeness below which two exchanges are not paired."""
_WINDOW = 64
"""Exchanges of either side that are compared at a time, because the cost grows with the square of their number."""

_PATH, _QUERY, _BODY, _STATUS, _RESPONSE, _ORDER = 0.15, 0.25, 0.15, 0.15, 0.2, 0.1


class ExchangeLikeness:
    """Computes the likeness of exchanges of one endpoint."""

    def __init__(self, a: list[Digest], b: list[Digest], shape: Callable[[Digest, int], Hashable]) -> None:
        self._a = a
        self._b = b
        self._shape = shape

    def best(self, ours: list[int], theirs: list[int]) -> Iterator[tuple[int, int]]:
        """Yield pairs of indexes: the most similar first, then the nearest. Swapped sides give the same pairs, swapped.

        Exchanges are compared in windows, which move over both sides in step.
        """
        for start in range(0, max(len(ours), len(theirs)), _WINDOW):
            yield from self._window(ours[start : start + _WINDOW], theirs[start : start + _WINDOW])

    def _window(self, ours: list[int], theirs: list[int]) -> Iterator[tuple[int, int]]:
        span = max(len(ours), len(theirs))
        weighed = []
        for place, index in enumerate(ours):
            for position, other in enumerate(theirs):
                apart = abs(place - position)
                weighed.append((-self._weigh(index, other, apart / span), apart, place + position, index, other))
        taken_a, taken_b = set(), set()
        for weight, _, _, index, other in sorted(weighed):
            if -weight < _FLOOR:
                return
            if index not in taken_a and other not in taken_b:
                taken_a.add(index)
                taken_b.add(other)
                yield index, other

    def _weigh(self, index: int, other: int, distance: float) -> float:
        a, b = self._a[index], self._b[other]
        parts_a, parts_b = split(a.url), split(b.url)
        weight = _ORDER * (1 - distance)
        weight += _PATH * (parts_a.path == parts_b.path)
        weight += _QUERY * _query(parts_a.query, parts_b.query)
        weight += _BODY * (a.request_body == b.request_body)
        weight += _STATUS * (a.status == b.status)
        weight += _RESPONSE * (self._shape(a, 0) == self._shape(b, 1))
        return weight


def _query(a: str, b: str) -> float:
    """Return the common share of two queries: half for names, half for pairs of name and value."""
    if a == b:
        return 1.0
    pairs_a, pairs_b = parse_qsl(a, keep_blank_values=True), parse_qsl(b, keep_blank_values=True)
    names_a, names_b = {name for name, _ in pairs_a}, {name for name, _ in pairs_b}
    names = len(names_a & names_b) / max(1, len(names_a | names_b))
    whole = len(set(pairs_a) & set(pairs_b)) / max(1, len(set(pairs_a) | set(pairs_b)))
    return (names + whole) / 2
