"""A session that is still being written, plain or compressed: what matches comes out as it happens.

Nothing can be read twice here, so an exchange's lines wait in memory until its end is recorded, and then come
out together. What belongs to it and is recorded later follows at once.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.parquet.paths import is_table_place
from mockrec.formats.parquet.table_files import table_files
from mockrec.formats.query.checks import compile_any
from mockrec.formats.query.extract import Context
from mockrec.formats.query.parser import parse
from mockrec.formats.query.plan import Plan
from mockrec.formats.query.predicate import compile_predicate
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.select.inputs import EVERYTHING, SelectedLine
from mockrec.formats.sessions.inputs import Source, open_part
from mockrec.formats.sessions.parts import ROTATED, find_part
from mockrec.formats.sessions.recognise import is_lines
from mockrec.formats.sessions.units import ENDING_TYPES, REMEMBERED, SESSION, SESSION_TYPES, SINGLE_TYPES

POLL_SECONDS = 0.1
_OTHER_FORMAT = "only JSON Lines can be followed, also compressed: record with -o NAME.jsonl besides"


class _Waiting:
    """An exchange whose end is not recorded yet."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.lines: list[bytes] = []
        self.bits = 0
        self.counts: dict[int, int] = {}


class _Growing:
    """A file at whose end one waits for more; stdin has an end."""

    def __init__(self, path: str, wait: Callable[[float], None], is_over: Callable[[], bool]) -> None:
        """`is_over` is asked where there is nothing more: whether nothing will come."""
        self._path = path
        self._wait = wait
        self._is_over = is_over
        try:
            self._file = None if path == "-" else Path(path).open("rb", buffering=0)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise SessionError(path, error.strerror or str(error)) from None

    def read(self, size: int, /) -> bytes:
        """At least a byte, as soon as there is one; none at the end. Raises `SessionError` for a file that shrinks."""
        file = self._file
        if file is None:
            return os.read(sys.stdin.fileno(), size)
        while not (data := file.read(size)):
            with suppress(OSError):
                if os.fstat(file.fileno()).st_size < file.tell():
                    raise SessionError(self._path, "it has become shorter while it was followed")
            if self._is_over():
                break
            self._wait(POLL_SECONDS)
        return data

    def close(self) -> None:
        """Close it (not stdin)."""
        if self._file is not None:
            self._file.close()


class Follower:
    """Lines of one session in JSON Lines, as they are written. Ends with the session, or with stdin."""

    def __init__(self, path: str, plan: Plan | None, *, wait: Callable[[float], None] = time.sleep) -> None:
        self.name = "stdin" if path == "-" else path
        self.context = Context(None if path == "-" else Path(f"{path}.bodies"))
        self.found = 0
        """Exchanges (or records) that matched so far."""
        self._path = path
        self._plan = plan or parse(EVERYTHING, records=True)
        self._wait = wait
        self._bits = compile_predicate(self._plan, self.context)
        self._counting = {number: compile_any(self._plan.tests[number].checks) for number in self._plan.counted}
        self._waiting: dict[str, _Waiting] = {}
        self._decided: dict[str, int] = {}
        """Ended exchange → its number where it matched, otherwise 0. Bounded; the oldest are forgotten."""
        self._units = 0
        self._session = ""
        self._next_number = 0
        """Of the part that is to come, while that is not there."""
        self._next_path: str | None = None

    def __iter__(self) -> Iterator[SelectedLine]:
        """Raises `SessionError` for a line that is no record, and for a session of another format."""
        for number, raw in enumerate(self._lines(), 1):
            if not raw.strip():
                continue
            try:
                record = orjson.loads(raw)
            except orjson.JSONDecodeError as error:
                raise SessionError(self.name, f"expected a record ({error})", number) from None
            if not isinstance(record, dict) or not isinstance(record.get("type"), str):
                raise SessionError(self.name, "expected an object with a type", number)
            yield from self._take(raw, record)
            if record["type"] == "session-started":
                self._session, self._next_number = str(record.get("sessionId")), 0
            elif record["type"] == "session-ended":
                part = record.get("part")
                if record.get("reason") != ROTATED or not isinstance(part, int):
                    break
                self._next_number = part + 1
        # What never ended is judged by what there is of it.
        for waiting in list(self._waiting.values()):
            yield from self._release(waiting)

    def _take(self, raw: bytes, record: dict[str, Any]) -> Iterator[SelectedLine]:
        kind, identity = record["type"], record.get("id")
        bits = self._bits(record)
        if kind in SESSION_TYPES and not (self._plan.records and self._plan.decide(bits)):
            yield SelectedLine(raw, SESSION, 0)
        elif self._plan.records or kind in SINGLE_TYPES or not isinstance(identity, str):
            if self._plan.decide(bits):
                self._units += 1
                self.found += 1
                yield SelectedLine(raw, self._units, 0)
        elif identity in self._decided:
            if unit := self._decided[identity]:
                yield SelectedLine(raw, unit, 0)
        else:
            yield from self._collect(raw, kind, identity, bits)

    def _collect(self, raw: bytes, kind: str, identity: str, bits: int) -> Iterator[SelectedLine]:
        waiting = self._waiting.get(identity)
        if waiting is None:
            self._units += 1
            waiting = self._waiting[identity] = _Waiting(self._units)
        waiting.lines.append(raw)
        waiting.bits |= bits
        for number, kinds in self._plan.counted.items():
            if kind in kinds:
                waiting.counts[number] = waiting.counts.get(number, 0) + 1
        if kind in ENDING_TYPES:
            del self._waiting[identity]
            before = self.found
            yield from self._release(waiting)
            self._decided[identity] = waiting.unit if self.found > before else 0
            if len(self._decided) > REMEMBERED:
                del self._decided[next(iter(self._decided))]

    def _release(self, waiting: _Waiting) -> Iterator[SelectedLine]:
        bits = waiting.bits
        for number, holds in self._counting.items():
            count = waiting.counts.get(number)
            if count is not None and holds(count):
                bits |= 1 << number
        if self._plan.decide(bits):
            self.found += 1
            for raw in waiting.lines:
                yield SelectedLine(raw, waiting.unit, 0)

    def _lines(self) -> Iterator[bytes]:
        if self._path != "-" and (table_files(self._path) is not None or is_table_place(self._path)):
            raise SessionError(self.name, _OTHER_FORMAT)
        path: str | None = self._path
        while path is not None:
            yield from self._file_lines(path)
            path, self._next_path = self._next_path, None

    def _goes_on_elsewhere(self) -> bool:
        """Whether the next part is in another file, which is there: outputs that are not split go on as they are."""
        if self._next_number and self._path != "-":
            self._next_path = find_part(self._path, self._session, self._next_number, open_part)
        return self._next_path is not None

    def _file_lines(self, path: str) -> Iterator[bytes]:
        source = Source(self.name, _Growing(path, self._wait, self._goes_on_elsewhere))
        try:
            chunks = source.plain()
            first = next(chunks)
            if not is_lines(first):
                raise SessionError(self.name, _OTHER_FORMAT)
            rest = b""
            for chunk in chain([first], chunks):
                *whole, rest = (rest + chunk).split(b"\n")
                yield from whole
        finally:
            source.close()
