"""The lines of many sessions that a filter expression selects. Sessions that cannot be read are left out."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mockrec.formats.fleet.fetching import KEPT, prepared, release
from mockrec.formats.fleet.skipped import Skipped
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING, AnyInput, SelectedLine
from mockrec.formats.select.selection import open_input
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.units import SESSION

_FEW = 1024 * 1024
"""Bytes of selected lines of one session that are taken in its first reading."""
_TAKEN = 64 * 1024 * 1024
"""Bytes of such lines of all sessions."""


@dataclass(slots=True)
class _Judged:
    """A session after its first reading."""

    session: AnyInput
    source: int
    verdicts: Any
    start: str
    """The timestamp of its first record; no line comes before it in the merge."""
    taken: list[SelectedLine] | None
    """The selected lines, if they are few; None: they are read when their time has come."""


class ManySelection:
    """As `Selection`, of many sessions: few of them are open at a time, and those that cannot be read are left out."""

    def __init__(
        self,
        paths: Sequence[str],
        plan: Plan | None,
        skipped: Skipped,
        *,
        limit: int | None = None,
        progress: Progress = no_progress,
    ) -> None:
        self.inputs: list[AnyInput] = []
        """The sessions in order, also those that cannot be read."""
        self.found = 0
        """The number of exchanges (or records) selected so far."""
        self._paths = list(paths)
        self._plan = plan or parse(EVERYTHING, records=True)
        self._limit = limit
        self._skipped = skipped
        self._room = _TAKEN
        """Bytes of lines that may still be taken in a first reading."""
        for path in paths:
            self.inputs.append(open_input(path, progress))

    def only(self, paths: Iterable[tuple[str, ...]]) -> None:
        """See `Selection.only`."""
        wanted = frozenset(paths) | {("timestamp",)}
        for session in self.inputs:
            session.wanted = wanted

    def close(self) -> None:
        """Remove copies and buffers."""
        for session, path in zip(self.inputs, self._paths, strict=True):
            session.close()
            release(path)

    def count(self) -> int:
        """The number of exchanges (or records) that match."""
        total = 0
        for _, done in prepared(self._paths, lambda source, _: self.inputs[source].count(self._plan)):
            try:
                total += done.result()
            except SessionError as error:
                self._skipped.add(error)
        return total

    def __iter__(self) -> Iterator[SelectedLine]:
        """The lines in the order of their timestamps; those of one session in file order."""
        judged: list[_Judged] = []
        for path, done in prepared(self._paths, self._judge, kept=KEPT):
            try:
                one = done.result()
            except SessionError as error:
                self._skipped.add(error)
                continue
            if one.taken is not None:
                self._room -= sum(len(line.raw) for line in one.taken)
                release(path)
            judged.append(one)
        yield from self._limited(judged)

    def _judge(self, source: int, _path: str) -> _Judged:
        """The first reading. Lines that are few are taken at once, while the file is open. Called by threads."""
        session, room = self.inputs[source], self._room
        with session.opened():
            start = _start(session)
            verdicts = None if self._plan.records else session.judge(self._plan)
            judged = _Judged(session, source, verdicts, start, None)
            if verdicts is None or self._limit is not None or room <= 0 or not session.takes_at_once:
                return judged
            taken: list[SelectedLine] = []
            left = min(room, _FEW)
            for line in session.take(verdicts, source):
                left -= len(line.raw)
                if left < 0:
                    return judged
                taken.append(line)
            judged.taken = taken
        return judged

    def _limited(self, judged: list[_Judged]) -> Iterator[SelectedLine]:
        seen = {one.source: bytearray(0 if one.verdicts is None else len(one.verdicts.verdicts)) for one in judged}
        verdicts = {one.source: one.verdicts for one in judged}
        for line in _merged([(one.start, one.source, self._lines(one)) for one in judged]):
            if line.unit != SESSION:
                known = verdicts[line.source]
                if known is None or not seen[line.source][line.unit]:
                    if self._limit is not None and self.found >= self._limit:
                        if known is not None:
                            known.verdicts[line.unit] = 0
                        continue
                    self.found += 1
                    if known is not None:
                        seen[line.source][line.unit] = 1
            yield line

    def _lines(self, one: _Judged) -> Iterator[SelectedLine]:
        if one.taken is not None:
            yield from one.taken
            one.taken = None
            return
        try:
            if one.verdicts is None:
                yield from one.session.match(self._plan, one.source)
            else:
                yield from one.session.take(one.verdicts, one.source)
        except SessionError as error:
            self._skipped.add(error)
        finally:
            release(self._paths[one.source])


class _Stamp(msgspec.Struct):
    timestamp: object = None


_stamp_of = msgspec.json.Decoder(_Stamp).decode


def _start(session: AnyInput) -> str:
    wanted, session.wanted = session.wanted, frozenset({("timestamp",)})  # of Parquet, one column is read
    try:
        return start_of(session.header())
    finally:
        session.wanted = wanted


def start_of(header: dict[str, Any] | None) -> str:
    """Return the time before which a session has no line in the merge; empty if it is not known."""
    stamp = (header or {}).get("timestamp")
    return stamp if isinstance(stamp, str) else ""


def keyed(lines: Iterator[SelectedLine]) -> Iterator[tuple[str, SelectedLine]]:
    """Yield the lines of one session, each with the timestamp that orders it among those of other sessions.

    Within a session the order of the file counts, so a timestamp that is earlier than one before does not.
    """
    last = ""
    for line in lines:
        stamp = _stamp_of(line.raw).timestamp
        if type(stamp) is str and stamp > last:
            last = stamp
        yield last, line


def _merged(streams: list[tuple[str, int, Iterator[SelectedLine]]]) -> Iterator[SelectedLine]:
    """Merge streams by timestamp, equal ones by the number of the session. A stream is begun when its time has come."""
    waiting = sorted(streams, key=lambda stream: stream[:2], reverse=True)
    heap: list[tuple[str, int, SelectedLine, Iterator[tuple[str, SelectedLine]]]] = []
    while heap or waiting:
        while waiting and (not heap or waiting[-1][:2] <= heap[0][:2]):
            _, source, lines = waiting.pop()
            _push(heap, source, keyed(lines))
        if not heap:
            continue
        _, source, line, rest = heap[0]
        yield line
        if (following := next(rest, None)) is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following[0], source, following[1], rest))


def _push(heap: list[Any], source: int, lines: Iterator[tuple[str, SelectedLine]]) -> None:
    if (first := next(lines, None)) is not None:
        heapq.heappush(heap, (first[0], source, first[1], lines))
