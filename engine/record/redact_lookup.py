"""Many values looked for at once: one pass over a text, however many they are (Aho and Corasick, 1975)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

Span = tuple[int, int, bytes]
"""From, to, and the mark that belongs there."""

_UNTIL_BUILT: Final = 64
"""KiB that are searched for each value on its own; an automaton takes about as long to build."""


class Lookup:
    """Finds values in bytes. Its automaton is built when it is worth it: most are asked a few times."""

    __slots__ = ("_automaton", "_marks", "_searched", "_values")

    def __init__(self, marks: Mapping[bytes, bytes]) -> None:
        """Value → mark."""
        ordered = sorted(marks, key=len, reverse=True)
        self._values = ordered
        self._marks = [marks[value] for value in ordered]
        self._searched = 0
        self._automaton: Any = None

    def occurs(self, data: bytes) -> bool:
        """Whether one of them is in it."""
        if self._is_worth_it(data):
            return bool(self._found(data))
        return any(value in data for value in self._values)

    def spans(self, data: bytes) -> list[Span]:
        """Where they stand, from left to right; of those that begin at one place, the longest."""
        if not self.occurs(data):
            return []
        return [(start, end, self._marks[number]) for number, start, end in self._found(data)]

    def replaced(self, data: bytes) -> tuple[bytes, int]:
        """With marks in their place, and how many those are."""
        count = 0
        if self._is_worth_it(data):
            spans = [(start, end, self._marks[number]) for number, start, end in self._found(data)]
            return (spliced(data, spans), len(spans)) if spans else (data, 0)
        for value, mark in zip(self._values, self._marks, strict=True):
            if value in data:
                count += data.count(value)
                data = data.replace(value, mark)
        return data, count

    def _is_worth_it(self, data: bytes) -> bool:
        if self._automaton is None:
            self._searched += 1 + len(data) // 1024
        return self._searched > _UNTIL_BUILT

    def _found(self, data: bytes) -> list[tuple[int, int, int]]:
        if self._automaton is None:
            import ahocorasick_rs  # most sessions have few secrets

            longest = ahocorasick_rs.MatchKind.LeftmostLongest
            self._automaton = ahocorasick_rs.BytesAhoCorasick(self._values, matchkind=longest)
            self._searched = _UNTIL_BUILT + 1
        found: list[tuple[int, int, int]] = self._automaton.find_matches_as_indexes(data)
        return found


def spliced(data: bytes, spans: list[Span]) -> bytes:
    """`data` with marks in the place of spans, which stand in their order and apart."""
    pieces: list[bytes] = []
    at = 0
    for start, end, mark in spans:
        if start >= at:
            pieces += (data[at:start], mark)
            at = end
    pieces.append(data[at:])
    return b"".join(pieces)
