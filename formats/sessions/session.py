"""Reads a session of any format from its first record to its last, in fixed memory, and finds out how it ended."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.files.line_blocks import LineBlocks
from mockrec.formats.files.reader import Lines
from mockrec.formats.parquet.paths import session_name
from mockrec.formats.schema.errors import SessionError
from mockrec.formats.schema.lifecycle import SCHEMA_VERSION
from mockrec.formats.sessions.inputs import open_source
from mockrec.formats.sessions.live import why_incomplete
from mockrec.formats.text.json import MAX_DEPTH, is_deeper


@dataclass(slots=True)
class Line:
    """One line of a session."""

    number: int
    """Counted from 1, blank lines included."""
    raw: bytes
    """The line as in the file, without its line end."""
    record: dict[str, Any] | None
    """None if the line is no record."""
    problem: str = ""
    """Why it is no record."""
    torn: bool = False
    """Whether it is invalid JSON and the last line: the writer was stopped before the end of the line."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A summary of a session that has been read and closed, for a report."""

    name: str
    problems: tuple[str, ...]
    """See `Session.problems`."""
    cut_off: str
    """See `Session.cut_off`."""
    notes: tuple[str, ...] = ()
    """See `Session.notes`."""


class Session:
    """One recording, to be iterated once: `for line_number, record in session`.

    A session that was cut off is read to its end. `torn`, `complete` and `cut_off` are set after the iteration.
    """

    def __init__(self, source: Lines) -> None:
        self.name = source.name
        self.torn = ""
        """Empty, or a sentence about the line or frame that is cut off."""
        self.ended: dict[str, Any] | None = None
        """The `session-ended` record; None before it is read."""
        self._last_type: str | None = None
        self._incomplete = ""
        self._source = source
        self._raw = LineBlocks(source)
        self._invalid: Line | None = None
        """The last line, if it is invalid JSON: torn if no line follows."""
        self._lines = self._read(self._raw)
        self._first = next(self._lines, None)
        first = self._first.record if self._first else None
        self.header = first if first is not None and first.get("type") == "session-started" else None
        """The `session-started` record; None if the session does not begin with one."""
        if self.header is not None:
            check_version(self.name, self.header)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        with suppress(ValueError):  # another thread is in the generator; `close` does not wait for it
            self._lines.close()
            self._raw.close()
        self._source.close()

    @property
    def bodies_folder(self) -> Path | None:
        """The folder of the session's body files; None for stdin."""
        return None if self.name == "stdin" else Path(f"{session_name(self.name)}.bodies")

    @property
    def unit(self) -> str:
        """What the line numbers count: `line`, or `record` if the file is in another format than JSON Lines."""
        return self._source.unit

    @property
    def problems(self) -> list[str]:
        """What was left out so far, one sentence for each problem: damaged entries of a HAR."""
        return self._source.problems

    @property
    def notes(self) -> list[str]:
        """What was repaired, one sentence for each repair, in a file of another tool. Complete after the iteration."""
        return getattr(self._source, "notes", [])

    @property
    def complete(self) -> bool:
        """Whether the last record is `session-ended` and no line or frame is torn."""
        return not self.cut_off

    @property
    def cut_off(self) -> str:
        """Why the session is not complete; empty if it is complete."""
        return self._incomplete

    @property
    def reading(self) -> Reading:
        """A summary that is valid after `close`."""
        return Reading(self.name, tuple(self.problems), self.cut_off, tuple(self.notes))

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and records. Raises `SessionError` for an invalid line, unless it is the torn last one."""
        for line in self.scan():
            if line.record is not None:
                yield line.number, line.record
            elif not line.torn:
                raise SessionError(self.name, line.problem, line.number)

    def not_consumed(
        self, take: Callable[[bytes], bool], decode: Callable[[bytes], Any]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        """Line numbers and records of the lines that `take` does not consume, see `LineBlocks.not_consumed`.

        `take` must not consume a `session-ended`. `decode` parses every other line and may skip keys; it raises
        `orjson.JSONDecodeError` for invalid JSON.
        """
        first, self._first = self._first, None
        if first is None:
            return
        if first.record is None:
            if first.torn:
                return
            raise SessionError(self.name, first.problem, first.number)
        yield first.number, first.record
        invalid: Line | None = None
        """A line of invalid JSON: torn if it is the last one, otherwise an error."""

        def taken(lines: bytes) -> bool:
            if not take(lines):
                return False
            if invalid is not None:
                raise SessionError(self.name, invalid.problem, invalid.number)
            self._last_type = None
            return True

        for raw in self._raw.not_consumed(taken):
            if not raw or raw.isspace():
                continue
            if invalid is not None:
                raise SessionError(self.name, invalid.problem, invalid.number)
            line = _parse(self._raw.number, raw, decode)
            if line.record is not None:
                self._note(line.record)
                yield line.number, line.record
            elif line.torn:
                invalid = line
            else:
                raise SessionError(self.name, line.problem, line.number)
        self._end(invalid)

    def scan(self, take: Callable[[int, bytes], bool] | None = None) -> Iterator[Line]:
        """All lines, also invalid ones. Raises `SessionError` only if the file cannot be decompressed.

        `take` is offered several whole lines at a time, with the number of the first of them. If it returns True, it
        has consumed them, and they are not yielded. It must not consume a `session-ended`, nor blank or invalid lines.
        """
        first, self._first = self._first, None
        if first is not None:
            yield first
        if take is None or self.header is None:
            yield from self._lines
            return

        def taken(lines: bytes) -> bool:
            # A single line is read at once; after invalid lines the order of findings matters.
            if self._invalid is not None or b"\n" not in lines or not take(self._raw.number + 1, lines):
                return False
            self._last_type = None
            return True

        yield from self._read(self._raw.not_consumed(taken))

    def _read(self, lines: Iterable[bytes]) -> Generator[Line, None, None]:
        for raw in lines:
            if not raw or raw.isspace():
                continue
            if self._invalid is not None:
                yield self._invalid
                self._invalid = None
            line = _parse(self._raw.number, raw, orjson.loads)
            if line.torn:
                # It is torn only if no line follows.
                line.torn = False
                self._invalid = line
                continue
            self._note(line.record)
            yield line
        invalid = self._invalid
        if invalid is not None:
            invalid.torn = True
        self._end(invalid)
        if invalid is not None:
            yield invalid

    def _end(self, cut: Line | None) -> None:
        """Set `torn` and `cut_off` after the last line; `cut` is that line if it is invalid JSON."""
        self.torn = self._source.torn or (f"line {cut.number} is cut off" if cut is not None else "")
        self._incomplete = why_incomplete(self._source.name, self.torn, ended=self._last_type == "session-ended")

    def _note(self, record: dict[str, Any] | None) -> None:
        if record is None:
            return
        self._last_type = record["type"]
        if self._last_type == "session-ended":
            self.ended = record


def open_session(path: str | Path) -> Session:
    """Open a session, whose format is recognised by its content; `-` is stdin.

    Raises `SessionError` for a file that is no session, or whose format or version this mockrec cannot read.
    """
    source = open_source(str(path))
    try:
        return Session(source)
    except SessionError:
        source.close()
        raise


def header_of(block: bytes) -> dict[str, Any] | None:
    """Return the `session-started` record with which the first lines of a session begin; None if there is none."""
    try:
        record = orjson.loads(block.lstrip().partition(b"\n")[0])
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) and record.get("type") == "session-started" else None


def check_version(name: str, header: Mapping[str, Any]) -> None:
    """Raise `SessionError` for a session of a later schema version."""
    version = header.get("schemaVersion")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise SessionError(
            name, f"written by a newer mockrec: schema {version}, this one reads up to {SCHEMA_VERSION}", 1
        )


def _parse(number: int, raw: bytes, decode: Callable[[bytes], Any]) -> Line:
    """Parse a line as a record. `torn` is set if it is invalid JSON, as a line that was cut off."""
    try:
        value = decode(raw)
    except orjson.JSONDecodeError as error:
        return Line(number, raw, None, f"expected a record, found {_excerpt(raw)} ({error})", torn=True)
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return Line(number, raw, None, f"expected an object with a type, found {_excerpt(raw)}")
    # Each level takes at least two bytes.
    if len(raw) > 2 * MAX_DEPTH and raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and is_deeper(value, MAX_DEPTH):
        return Line(number, raw, None, f"nested more than {MAX_DEPTH} levels deep")
    return Line(number, raw, value)


def _excerpt(raw: bytes) -> str:
    text = raw[:60].decode("utf-8", "replace")
    return ascii(text + ("…" if len(raw) > 60 else ""))
