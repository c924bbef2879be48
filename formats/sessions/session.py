"""Reads any session from its first record to its last, in fixed memory, and says how it ended."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.files.line_blocks import LineBlocks
from mockrec.formats.files.reader import Lines
from mockrec.formats.parquet.paths import session_name
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.events import SCHEMA_VERSION
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.live import why_incomplete
from mockrec.formats.text.json import is_deeper

MAX_DEPTH = 254
"""No record is nested deeper: none can be written that is, and whoever walks through one must not run out of stack."""


@dataclass(slots=True)
class Line:
    """One line of a session."""

    number: int
    """Counted from 1, blank lines included."""
    raw: bytes
    """As it stands in the file, without the line end."""
    record: dict[str, Any] | None
    """None when the line is no record."""
    problem: str = ""
    """Why not."""
    torn: bool = False
    """It does not parse and nothing follows it: the writer was stopped in the middle of it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What remains to be told of a session that has been read and closed."""

    name: str
    problems: tuple[str, ...]
    """See `Session.problems`."""
    cut_off: str
    """See `Session.cut_off`."""
    notes: tuple[str, ...] = ()
    """See `Session.notes`."""


class Session:
    """One recording, to be iterated once: `for line_number, record in session`.

    A cut-off session is read to its end; `torn`, `complete` and `cut_off` are known after that.
    """

    def __init__(self, source: Lines) -> None:
        self.name = source.name
        self.torn = ""
        """Empty, or a sentence about the line or frame that is cut off."""
        self.ended: dict[str, Any] | None = None
        """The `session-ended` record, once it is read."""
        self._last_type: str | None = None
        self._incomplete = ""
        self._source = source
        self._raw = LineBlocks(source)
        self._lines = self._read()
        self._first = next(self._lines, None)
        first = self._first.record if self._first else None
        self.header = first if first is not None and first.get("type") == "session-started" else None
        """The `session-started` record; None when the session does not begin with one."""
        if self.header is not None:
            check_version(self.name, self.header)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with suppress(ValueError):  # another thread is still reading, and nobody waits for it
            self._lines.close()
            self._raw.close()
        self._source.close()

    @property
    def bodies_folder(self) -> Path | None:
        """Where bodies beside the log are kept; None for stdin."""
        return None if self.name == "stdin" else Path(f"{session_name(self.name)}.bodies")

    @property
    def unit(self) -> str:
        """What the numbers of its lines count: `record` where the file itself has no such lines."""
        return self._source.unit

    @property
    def problems(self) -> list[str]:
        """What of the file had to be left out so far, a sentence each: damaged entries of a HAR."""
        return self._source.problems

    @property
    def notes(self) -> list[str]:
        """What of the file was repaired, a sentence each: oddities of another tool's HAR. Known at its end."""
        return getattr(self._source, "notes", [])

    @property
    def complete(self) -> bool:
        """The last record is `session-ended` and nothing is torn."""
        return not self.cut_off

    @property
    def cut_off(self) -> str:
        """Why the session is not complete; empty when it is."""
        return self._incomplete

    @property
    def reading(self) -> Reading:
        """For those who tell of it later."""
        return Reading(self.name, tuple(self.problems), self.cut_off, tuple(self.notes))

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and records. Raises `SessionError` for a bad line that is not the torn last one."""
        for line in self.scan():
            if line.record is not None:
                yield line.number, line.record
            elif not line.torn:
                raise SessionError(self.name, line.problem, line.number)

    def others(
        self, take: Callable[[bytes], bool], decode: Callable[[bytes], Any]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """As iterating does, but only for lines that `take` leaves: it returns True for one that it has read itself.

        `take` may be called with several lines at once, see `LineBlocks.left_by`, and must not take a `session-ended`.
        `decode` reads the others, and may skip keys; it raises `orjson.JSONDecodeError` for what is no JSON.
        """
        first, self._first = self._first, None
        if first is None:
            return
        if first.record is None:
            if first.torn:
                return
            raise SessionError(self.name, first.problem, first.number)
        yield first.number, first.record
        held: Line | None = None

        def taken(lines: bytes) -> bool:
            if not take(lines):
                return False
            if held is not None:
                raise SessionError(self.name, held.problem, held.number)
            self._last_type = None
            return True

        for raw in self._raw.left_by(taken):
            if not raw or raw.isspace():
                continue
            if held is not None:
                raise SessionError(self.name, held.problem, held.number)
            line = _parse(self._raw.number, raw, decode)
            if line.record is not None:
                self._note(line.record)
                yield line.number, line.record
            elif line.torn:
                held = line
            else:
                raise SessionError(self.name, line.problem, line.number)
        self._end(held)

    def scan(self) -> Iterator[Line]:
        """All lines, bad ones too. Raises `SessionError` only where the file cannot be decompressed."""
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._lines

    def _read(self) -> Generator[Line, None, None]:
        held: Line | None = None
        for raw in self._raw:
            if not raw or raw.isspace():
                continue
            if held is not None:
                yield held
                held = None
            line = _parse(self._raw.number, raw, orjson.loads)
            if line.torn:
                # Torn if nothing follows, otherwise just bad: the next line tells.
                line.torn = False
                held = line
                continue
            self._note(line.record)
            yield line
        if held is not None:
            held.torn = True
        self._end(held)
        if held is not None:
            yield held

    def _end(self, cut: Line | None) -> None:
        """All lines are read; the last one, `cut`, does not parse."""
        self.torn = self._source.torn or (f"line {cut.number} is cut off" if cut is not None else "")
        self._incomplete = why_incomplete(self._source.name, self.torn, ended=self._last_type == "session-ended")

    def _note(self, record: dict[str, Any] | None) -> None:
        if record is None:
            return
        self._last_type = record["type"]
        if self._last_type == "session-ended":
            self.ended = record


def open_session(path: str | Path) -> Session:
    """Open a session, recognised by its content; `-` is stdin.

    Raises `SessionError` for a file that is no session, or one of a format or version that this
    mockrec does not read.
    """
    source = open_source(str(path))
    try:
        return Session(source)
    except SessionError:
        source.close()
        raise


def check_version(name: str, header: Mapping[str, Any]) -> None:
    """Raise `SessionError` for a session that only a later mockrec can read."""
    version = header.get("schemaVersion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SessionError(
            name, f"written by a newer mockrec: schema {version}, this one reads up to {SCHEMA_VERSION}", 1
        )


def _parse(number: int, raw: bytes, decode: Callable[[bytes], Any]) -> Line:
    """The line as a record. `torn` is set when it is no JSON at all, as a cut line is."""
    try:
        value = decode(raw)
    except orjson.JSONDecodeError as error:
        return Line(number, raw, None, f"expected a record, found {_excerpt(raw)} ({error})", torn=True)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return Line(number, raw, None, f"expected an object with a type, found {_excerpt(raw)}")
    # Each level takes two bytes at least.
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        return Line(number, raw, None, f"nested more than {MAX_DEPTH} levels deep")
    return Line(number, raw, value)


def _excerpt(raw: bytes) -> str:
    text = raw[:60].decode("utf-8", "replace")
    return ascii(text + ("…" if len(raw) > 60 else ""))
