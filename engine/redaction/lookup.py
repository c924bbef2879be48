"""Search for many values at once: one pass over a text for any number of them (Aho and Corasick, 1975)."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any, Final

Span = tuple[int, int, bytes]
"""Start, end, and the placeholder for it."""

_UNTIL_BUILT: Final = 768
"""KiB of text times values that are searched value by value before an automaton is built."""
_BUILT_AT_ONCE: Final = 4
"""Bytes of values whose nodes take an automaton as long to build as the search for one value in a KiB takes."""


class Lookup:
    """Finds values in bytes. Its automaton is built only when it pays: most look-ups are used a few times."""

    __slots__ = ("_automaton", "_least", "_placeholders", "_searched", "_values")

    def __init__(self, placeholders: Mapping[bytes, bytes]) -> None:
        """`placeholders`: value → placeholder."""
        ordered = sorted(placeholders, key=len, reverse=True)
        self._values = ordered
        self._placeholders = [placeholders[value] for value in ordered]
        self._least = max(_UNTIL_BUILT, sum(map(len, ordered)) // _BUILT_AT_ONCE)
        """The `_searched` at which an automaton pays: the search of one head for a value of 15 KB is not worth 15,000
        nodes."""
        self._searched = 0
        self._automaton: Any = None

    def occurs(self, data: bytes) -> bool:
        """Return whether the text contains one of the values."""
        if self._is_worth_it(data):
            return bool(self._found(data))
        return any(value in data for value in self._values)

    def spans(self, data: bytes) -> list[Span]:
        """Return the spans of the values, from left to right; of values that begin at the same place, the longest."""
        if not self.occurs(data):
            return []
        found = self._found(data) if self._is_worth_it(data) else self._found_each(data)
        return [(start, end, self._placeholders[number]) for number, start, end in found]

    def replaced(self, data: bytes) -> tuple[bytes, int]:
        """Return the text with placeholders for the values, and how many there are."""
        count = 0
        if self._is_worth_it(data):
            spans = [(start, end, self._placeholders[number]) for number, start, end in self._found(data)]
            return (spliced(data, spans), len(spans)) if spans else (data, 0)
        for value, placeholder in zip(self._values, self._placeholders, strict=True):
            if value in data:
                count += data.count(value)
                data = data.replace(value, placeholder)
        return data, count

    def _is_worth_it(self, data: bytes) -> bool:
        if self._automaton is None:
            self._searched += (1 + len(data) // 1024) * len(self._values)
        return self._searched > self._least

    def _found(self, data: bytes) -> list[tuple[int, int, int]]:
        if self._automaton is None:
            import ahocorasick_rs  # most sessions have few secrets

            self._automaton = ahocorasick_rs.BytesAhoCorasick(
                self._values,
                matchkind=ahocorasick_rs.MatchKind.LeftmostLongest,
                # A DFA, the library's default for few values, takes quadratic time to build for a value like `AAAA…`.
                implementation=ahocorasick_rs.Implementation.ContiguousNFA,
            )
        found: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(data)
        return found

    def _found_each(self, data: bytes) -> list[tuple[int, int, int]]:
        """Find the values without an automaton: each is searched on its own."""
        upcoming = [(at, number) for number, value in enumerate(self._values) if (at := data.find(value)) >= 0]
        heapq.heapify(upcoming)  # by place, then the longest first, as `_values` is sorted
        found: list[tuple[int, int, int]] = []
        end = 0
        while upcoming:
            at, number = heapq.heappop(upcoming)
            if at >= end:
                end = at + len(self._values[number])
                found.append((number, at, end))
            again = data.find(self._values[number], max(end, at + 1))
            if again >= 0:
                heapq.heappush(upcoming, (again, number))
        return found


def spliced(data: bytes, spans: list[Span]) -> bytes:
    """Return `data` with the spans, which are sorted, replaced by their placeholders; a span that starts in an earlier
    one is ignored."""
    pieces: list[bytes] = []
    at = 0
    for start, end, placeholder in spans:
        if start >= at:
            pieces += (data[at:start], placeholder)
            at = end
    pieces.append(data[at:])
    return b"".join(pieces)
