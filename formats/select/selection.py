"""What a filter expression selects from one or several sessions, as the lines that stand in them.

An exchange can only be judged when all its records are known, so each session is read twice: first the tests
are answered and the exchanges judged, in a few bytes a record; then the lines of those that match are taken.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING, AnyInput, AnyJudged, Input, SelectedLine
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.units import SESSION


class Selection:
    """Lines of sessions that match a plan; without one, all of them."""

    def __init__(
        self, paths: Sequence[str], plan: Plan | None, *, limit: int | None = None, progress: Progress = no_progress
    ) -> None:
        self.inputs: list[AnyInput] = [open_input(path, progress) for path in paths]
        self._plan = plan or parse(EVERYTHING, records=True)
        self._limit = limit
        self.found = 0
        """Exchanges (or records) selected so far."""

    def only(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Only what stands at these places of the records will be asked for: the rest may be left out of the lines."""
        # Merging looks at the time.
        wanted = frozenset(paths) | ({("timestamp",)} if len(self.inputs) > 1 else set())
        for known in self.inputs:
            known.wanted = wanted

    def close(self) -> None:
        """Forget what was kept of streams."""
        for known in self.inputs:
            known.close()

    def count(self) -> int:
        """How many exchanges (or records) match, without reading a second time."""
        return sum(known.count(self._plan) for known in self.inputs)

    def __iter__(self) -> Iterator[SelectedLine]:
        """The lines: of one session in file order, of several in the order of their timestamps."""
        if self._plan.records:
            return self._limited_records()
        judged = [known.judge(self._plan) for known in self.inputs]
        return self._limited_units(judged)

    def _limited_records(self) -> Iterator[SelectedLine]:
        streams = [known.match(self._plan, source) for source, known in enumerate(self.inputs)]
        for kept in _merged(streams):
            if kept.unit != SESSION:
                if self._limit is not None and self.found >= self._limit:
                    continue
                self.found += 1
            yield kept

    def _limited_units(self, judged: list[AnyJudged]) -> Iterator[SelectedLine]:
        streams = [known.take(judged[source], source) for source, known in enumerate(self.inputs)]
        seen = [bytearray(len(each.verdicts)) for each in judged]
        for kept in _merged(streams):
            source, unit = kept.source, kept.unit
            if unit != SESSION and not seen[source][unit]:
                if self._limit is not None and self.found >= self._limit:
                    judged[source].verdicts[unit] = 0
                    continue
                seen[source][unit] = 1
                self.found += 1
            yield kept


def open_input(path: str, progress: Progress = no_progress) -> AnyInput:
    """A session to select from: by columns where it is all in Parquet, by lines otherwise. Raises `SessionError`."""
    try:
        files = table_files(path)
    except OSError as error:
        raise SessionError(path, error.strerror or str(error)) from None
    if files:
        # Imported here: only Parquet needs it.
        from mockrec.formats.select.parquet_input import TableInput

        return TableInput(path, files, progress)
    return Input(path, progress)


class _Stamp(msgspec.Struct):
    timestamp: object = None


def _merged(streams: list[Iterator[SelectedLine]]) -> Iterator[SelectedLine]:
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=_Clock())


class _Clock:
    """The timestamp of a line; one without any goes with what came before it."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Stamp).decode
        self._last: dict[int, str] = {}

    def __call__(self, kept: SelectedLine) -> str:
        stamp = self._decode(kept.raw).timestamp
        if type(stamp) is not str:
            return self._last.get(kept.source, "")
        # Within a session the order is that of the file, also where a timestamp is a little earlier.
        latest = max(stamp, self._last.get(kept.source, ""))
        self._last[kept.source] = latest
        return latest
