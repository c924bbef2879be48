"""The lines of one or several sessions that a filter expression selects.

Whether an exchange matches is known only after its last record. So each session is read twice: the first reading
computes the answers of all records, in a few bytes a record, and judges the exchanges; the second takes the lines of
those that match.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mockrec.formats.parquet.files_of_store import FoundSession
from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING, AnyInput, AnyVerdicts, Input, SelectedLine
from mockrec.formats.sessions.blocks import Progress, no_progress
from mockrec.formats.sessions.units import SESSION


class Selection:
    """The lines of sessions that match a plan; without a plan, all lines."""

    def __init__(
        self, paths: Sequence[str], plan: Plan | None, *, limit: int | None = None, progress: Progress = no_progress
    ) -> None:
        self.inputs: list[AnyInput] = [open_input(path, progress) for path in paths]
        self._plan = plan or parse(EVERYTHING, records=True)
        self._limit = limit
        self.found = 0
        """The number of exchanges (or records) selected so far."""

    def only(self, paths: Iterable[tuple[str, ...]]) -> None:
        """Limit the records to these paths: other fields may be left out of the lines."""
        # The merge of several sessions needs the timestamps.
        wanted = frozenset(paths) | ({("timestamp",)} if len(self.inputs) > 1 else set())
        for session in self.inputs:
            session.wanted = wanted

    def close(self) -> None:
        """Remove the copies that were kept of streams."""
        for session in self.inputs:
            session.close()

    def count(self) -> int:
        """The number of exchanges (or records) that match. Needs no second reading."""
        return sum(session.count(self._plan) for session in self.inputs)

    def __iter__(self) -> Iterator[SelectedLine]:
        """The lines, for one session in file order, for several sessions in the order of their timestamps."""
        if self._plan.records:
            return self._limited_records()
        judged = [session.judge(self._plan) for session in self.inputs]
        return self._limited_units(judged)

    def _limited_records(self) -> Iterator[SelectedLine]:
        streams = [session.match(self._plan, source) for source, session in enumerate(self.inputs)]
        for line in _merged(streams):
            if line.unit != SESSION:
                if self._limit is not None and self.found >= self._limit:
                    continue
                self.found += 1
            yield line

    def _limited_units(self, judged: list[AnyVerdicts]) -> Iterator[SelectedLine]:
        streams = [session.take(judged[source], source) for source, session in enumerate(self.inputs)]
        seen = [bytearray(len(each.verdicts)) for each in judged]
        for line in _merged(streams):
            source, unit = line.source, line.unit
            if unit != SESSION and not seen[source][unit]:
                if self._limit is not None and self.found >= self._limit:
                    judged[source].verdicts[unit] = 0
                    continue
                seen[source][unit] = 1
                self.found += 1
            yield line


def open_input(path: str, progress: Progress = no_progress) -> AnyInput:
    """Open a session to select from, by columns if all of it is in Parquet files, otherwise by lines.

    Raises `SessionError`.
    """
    if isinstance(path, FoundSession) and path.files:
        # Imported here: only Parquet needs it.
        from mockrec.formats.select.parquet_input import ParquetInput

        return ParquetInput(path, path.files, progress)
    try:
        files = table_files(path)
    except OSError as error:
        raise SessionError(path, error.strerror or str(error)) from None
    if files:
        # Imported here: only Parquet needs it.
        from mockrec.formats.select.parquet_input import ParquetInput

        return ParquetInput(path, files, progress)
    return Input(path, progress)


class _Stamp(msgspec.Struct):
    timestamp: object = None


def _merged(streams: list[Iterator[SelectedLine]]) -> Iterator[SelectedLine]:
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams, key=_Clock())


class _Clock:
    """Returns the timestamp of a line; a line without one has the timestamp of the line before it."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Stamp).decode
        self._last: dict[int, str] = {}

    def __call__(self, line: SelectedLine) -> str:
        stamp = self._decode(line.raw).timestamp
        if type(stamp) is not str:
            return self._last.get(line.source, "")
        # Within a session the order of the file counts, even if a timestamp is a little earlier than the one before.
        latest = max(stamp, self._last.get(line.source, ""))
        self._last[line.source] = latest
        return latest
