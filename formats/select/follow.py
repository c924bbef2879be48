"""Follows a session while it is recorded, plain or compressed, and selects lines as soon as they match.

It cannot be read twice, so the lines of an exchange wait in memory until its end is recorded, and then are given
together. Late records of a selected exchange are given at once.
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
from mockrec.formats.schema.lifecycle import CONNECTION_TYPES, ENDING_TYPES, SESSION_TYPES
from mockrec.formats.select.inputs import EVERYTHING, SelectedLine
from mockrec.formats.sessions.inputs import Source, open_part
from mockrec.formats.sessions.parts import ROTATED, find_part
from mockrec.formats.sessions.recognise import is_lines
from mockrec.formats.sessions.units import REMEMBERED, SESSION

POLL_SECONDS = 0.1
_OTHER_FORMAT = "only JSON Lines can be followed, also compressed: record with -o NAME.jsonl besides"


class _OpenExchange:
    """An exchange whose end has not been recorded."""

    def __init__(self, unit: int) -> None:
        self.unit = unit
        self.lines: list[bytes] = []
        self.bits = 0
        self.counts: dict[int, int] = {}


class _GrowingFile:
    """A file whose reader waits at the end for further bytes; stdin has an end of its own."""

    def __init__(self, path: str, wait: Callable[[float], None], is_over: Callable[[], bool]) -> None:
        """`is_over` is called at the end of the file and returns whether no further bytes will follow."""
        self._path = path
        self._wait = wait
        self._is_over = is_over
        try:
            self._file = None if path == "-" else Path(path).open("rb", buffering=0)  # noqa: SIM115 - `close` closes it
        except OSError as error:
            raise SessionError(path, error.strerror or str(error)) from None

    def read(self, size: int, /) -> bytes:
        """Wait for at least one byte; empty at the end. Raises `SessionError` for a file that has become shorter."""
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
        """Close the file (not stdin)."""
        if self._file is not None:
            self._file.close()


class Follower:
    """The selected lines of one session in JSON Lines, while it is written. Ends with the session, or with stdin."""

    def __init__(self, path: str, plan: Plan | None, *, wait: Callable[[float], None] = time.sleep) -> None:
        self.name = "stdin" if path == "-" else path
        self.context = Context(None if path == "-" else Path(f"{path}.bodies"))
        self.found = 0
        """The number of exchanges (or records) that have matched so far."""
        self._path = path
        self._plan = plan or parse(EVERYTHING, records=True)
        self._wait = wait
        self._bits = compile_predicate(self._plan, self.context)
        self._counting = {number: compile_any(self._plan.tests[number].checks) for number in self._plan.counted}
        self._open: dict[str, _OpenExchange] = {}
        self._decided: dict[str, int] = {}
        """The number of each ended exchange that matched, 0 for one that did not. Limited; the oldest are dropped."""
        self._units = 0
        self._session = ""
        self._next_number = 0
        """The number of the next part, until its file exists."""
        self._next_path: str | None = None

    def __iter__(self) -> Iterator[SelectedLine]:
        """Selected lines. Raises `SessionError` for a line that is no record, and for a session of another format."""
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
        # Exchanges without an end are judged by the records that they have.
        for exchange in list(self._open.values()):
            yield from self._release(exchange)

    def _take(self, raw: bytes, record: dict[str, Any]) -> Iterator[SelectedLine]:
        kind, identity = record["type"], record.get("id")
        bits = self._bits(record)
        if kind in SESSION_TYPES and not (self._plan.records and self._plan.decide(bits)):
            yield SelectedLine(raw, SESSION, 0)
        elif self._plan.records or kind in CONNECTION_TYPES or not isinstance(identity, str):
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
        exchange = self._open.get(identity)
        if exchange is None:
            self._units += 1
            exchange = self._open[identity] = _OpenExchange(self._units)
        exchange.lines.append(raw)
        exchange.bits |= bits
        for number, kinds in self._plan.counted.items():
            if kind in kinds:
                exchange.counts[number] = exchange.counts.get(number, 0) + 1
        if kind in ENDING_TYPES:
            del self._open[identity]
            before = self.found
            yield from self._release(exchange)
            self._decided[identity] = exchange.unit if self.found > before else 0
            if len(self._decided) > REMEMBERED:
                del self._decided[next(iter(self._decided))]

    def _release(self, exchange: _OpenExchange) -> Iterator[SelectedLine]:
        bits = exchange.bits
        for number, holds in self._counting.items():
            count = exchange.counts.get(number)
            if count is not None and holds(count):
                bits |= 1 << number
        if self._plan.decide(bits):
            self.found += 1
            for raw in exchange.lines:
                yield SelectedLine(raw, exchange.unit, 0)

    def _lines(self) -> Iterator[bytes]:
        if self._path != "-" and (table_files(self._path) is not None or is_table_place(self._path)):
            raise SessionError(self.name, _OTHER_FORMAT)
        path: str | None = self._path
        while path is not None:
            yield from self._file_lines(path)
            path, self._next_path = self._next_path, None

    def _next_part_exists(self) -> bool:
        """Whether the file of the next part exists. A session that is not split has no next part: its file grows."""
        if self._next_number and self._path != "-":
            self._next_path = find_part(self._path, self._session, self._next_number, open_part)
        return self._next_path is not None

    def _file_lines(self, path: str) -> Iterator[bytes]:
        source = Source(self.name, _GrowingFile(path, self._wait, self._next_part_exists))
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
