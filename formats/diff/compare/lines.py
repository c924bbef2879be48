"""Compare text line by line, up to a number of differences that people would read."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mockrec.formats.diff.compare.align import align
from mockrec.formats.diff.compare.values import ValueComparer
from mockrec.formats.diff.model.finding import ABSENT, DifferenceKind, Finding, Severity, Subject

_MOST = 20
"""Differences of one text that are listed; the rest is only counted."""
_END = re.compile("\r\n|\n|\r")
_END_NAMES = (("\r\n", "CR LF"), ("\n", "LF"), ("\r", "CR"))


def compare_lines(a: str, b: str, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """Yield the lines that differ; lines of one side only are added or removed."""
    lines_a, lines_b = split_lines(a), split_lines(b)
    masked_a = [values.masked(line, 0) for line in lines_a]
    masked_b = [values.masked(line, 1) for line in lines_b]
    found = False
    for finding in compare_pieces(Pieces(lines_a, masked_a), Pieces(lines_b, masked_b), values, side, place):
        found = True
        yield finding
    ends_a, ends_b = _END.findall(a), _END.findall(b)
    if not found and ends_a != ends_b:
        sides = [_ends(text, ends) for text, ends in ((a, ends_a), (b, ends_b))]
        yield Finding(DifferenceKind.value, Severity.changed, f"{place} (line ends)", Subject(side, "text"), *sides)


@dataclass(frozen=True)
class Pieces:
    """A text in pieces: lines, or tags and texts of an HTML page."""

    shown: list[str]
    compared: list[str]
    """The part of each piece that counts."""
    lines: list[int] | None = None
    """The line of each piece, from 0; None if each piece is a line."""

    def line(self, index: int) -> int:
        """Return the line number of a piece, from 1."""
        return 1 + (index if self.lines is None else self.lines[index])


def compare_pieces(a: Pieces, b: Pieces, values: ValueComparer, side: str, place: str) -> Iterator[Finding]:
    """Yield the pieces that differ, up to a limit; the rest is one finding with their number."""
    subject = Subject(side, "text")
    more = 0
    pairs: Iterable[_Run] = (_run(pair) for pair in _unequal(a.compared, b.compared, values))
    for count, (run_a, run_b) in enumerate(pairs if a.lines is None else _joined(pairs), 1):
        if count > _MOST:
            more += 1
            continue
        kind = DifferenceKind.added if not run_a else DifferenceKind.removed if not run_b else DifferenceKind.value
        line = a.line(run_a.start) if run_a else b.line(run_b.start)
        sides = [
            "".join(pieces.shown[run.start : run.stop]) if run else ABSENT for pieces, run in ((a, run_a), (b, run_b))
        ]
        yield Finding(kind, Severity.changed, f"{place} (line {line})", subject, *sides)
    if more:
        yield Finding(
            DifferenceKind.value, Severity.changed, f"{place} (more lines)", subject, f"{more} lines", f"{more} lines"
        )


_Run = tuple[range, range]
"""Indexes of adjacent pieces in A and in B; empty on a side that has none."""


def _run(pair: tuple[int | None, int | None]) -> _Run:
    run_a, run_b = (range(0) if index is None else range(index, index + 1) for index in pair)
    return run_a, run_b


def _joined(runs: Iterable[_Run]) -> Iterator[_Run]:
    """Join adjacent pieces that only one side has: an added element is one difference, not three."""
    last: _Run | None = None
    for run in runs:
        if last is not None:
            for side in (0, 1):
                if not last[1 - side] and not run[1 - side] and last[side] and last[side].stop == run[side].start:
                    both = range(last[side].start, run[side].stop)
                    last = (both, range(0)) if side == 0 else (range(0), both)
                    break
            else:
                yield last
                last = run
        else:
            last = run
    if last is not None:
        yield last


def split_lines(text: str) -> list[str]:
    """Split at LF, CR LF and CR only, not at other characters that Python takes for line ends."""
    lines = _END.split(text)
    return lines if lines[-1] else lines[:-1]


def _ends(text: str, ends: list[str]) -> str:
    """Describe the line ends of a text."""
    counts = Counter(ends)
    parts = [f"{counts[end]} × {name}" for end, name in _END_NAMES if counts[end]]
    if text and not _END.search(text[-1]):
        parts.append("none at the end")
    return ", ".join(parts)


def _unequal(a: list[str], b: list[str], values: ValueComparer) -> Iterator[tuple[int | None, int | None]]:
    for index_a, index_b in align(a, b):
        if index_a is None or index_b is None or not values.same_text(a[index_a], b[index_b]):
            yield index_a, index_b
