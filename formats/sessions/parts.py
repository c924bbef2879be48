"""Finds the parts of a session that was split while it was recorded, and reads them as one session.

After `session.jsonl` come `session.0002.jsonl`, `session.0003.jsonl` and so on (`run --rotate`). If the file was
renamed and a new one begun (SIGHUP), the parts have the names that a log rotator gave them. So the next part is
searched first by name, and then by content, among the files whose names begin alike: same session id, next number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from mockrec.formats.files.part_names import part_path
from mockrec.formats.schema.errors import SessionError

ROTATED = "rotated"
"""The `reason` in the last record of a part that is followed by another part."""

_LONGEST_HEADER = 16 * 1024 * 1024
"""The largest size of a first record in bytes: it holds the descriptions of all rules."""
_TAIL = 64 * 1024
"""Bytes at the end of a part that are searched for its last record, which is short."""


class Joined:
    """All parts of a session as `Lines` (`formats/files/reader.py`). Iterate it once."""

    def __init__(self, source: Any, open_part: Callable[[str], Any]) -> None:
        """`source` is the part that was named. Only the first part of a session is joined with later parts."""
        self.name: str = source.name
        self.torn = ""
        self.problems: list[str] = source.problems
        self.notes: list[str] = getattr(source, "notes", [])
        self._source = source
        self._open_part = open_part

    @property
    def unit(self) -> str:
        """See `Lines`."""
        return str(self._source.unit)

    @property
    def imported(self) -> bool:
        """See `Source.imported`."""
        return bool(self._source.imported)

    def close(self) -> None:
        """Close the part that is open."""
        self._source.close()

    def __iter__(self) -> Iterator[bytes]:
        number, path = 1, self.name
        header: dict[str, Any] | None = None
        while True:
            ends = _PartEnds()
            for chunk in self._source:
                ends.add(chunk)
                yield chunk
            self.torn = self._source.torn
            header = ends.header if header is None else header
            if self.torn or header is None or header.get("part", 1) != 1 or not ends.is_continued(number):
                return
            number += 1
            found = find_part(path, str(header.get("sessionId")), number, self._open_part)
            if found is None:
                self.torn = f"it continues in part {number}, which is not in its folder"
                return
            self._source.close()
            self._source = self._open_part(found)


class _PartEnds:
    """The first and the last record of a part, taken from its chunks."""

    def __init__(self) -> None:
        self._head = b""
        self._header: dict[str, Any] | None = None
        self._tail = b""

    def add(self, chunk: bytes) -> None:
        """Add the next bytes of the part."""
        if self._header is None and len(self._head) <= _LONGEST_HEADER:
            self._head += chunk
            line, newline, _ = self._head.partition(b"\n")
            if newline:
                self._header, self._head = _record(line) or {}, b""
        self._tail = (self._tail + chunk)[-_TAIL:] if len(chunk) < _TAIL else chunk[-_TAIL:]

    @property
    def header(self) -> dict[str, Any] | None:
        """The `session-started` record, if the part begins with one."""
        header = self._header
        return header if header is not None and header.get("type") == "session-started" else None

    def is_continued(self, number: int) -> bool:
        """Whether the last record says that this is part `number` and that another part follows."""
        last = _record(self._tail.rstrip(b"\n").rpartition(b"\n")[2])
        if last is None or last.get("type") != "session-ended" or last.get("reason") != ROTATED:
            return False
        return bool(last.get("part") == number)


def find_part(path: str, session: str, number: int, open_part: Callable[[str], Any]) -> str | None:
    """The path of the file in the folder of `path` that holds part `number` of a session; None if there is none."""
    expected = part_path(path, number)
    if _is_part(expected, session, number, open_part):
        return expected
    folder = Path(path).parent
    stem = os.path.basename(path).partition(".")[0]
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
    except OSError:
        return None
    for name in names:
        found = os.path.join(os.path.dirname(path), name)
        if name.startswith(stem) and _is_part(found, session, number, open_part):
            return found
    return None


def without_followers(paths: Sequence[str], open_part: Callable[[str], Any]) -> list[str]:
    """Leave out later parts of sessions whose first part is in `paths`, too, as after the expansion of a glob."""
    if len(paths) < 2:
        return list(paths)
    followers: set[str] = set()
    for path in paths:
        header = header_of(path, open_part)
        number = 1
        while header is not None and header.get("part", 1) == 1:
            number += 1
            found = find_part(path, str(header.get("sessionId")), number, open_part)
            if found is None:
                break
            followers.add(os.path.realpath(found))
    return [path for path in paths if os.path.realpath(path) not in followers]


def _is_part(path: str, session: str, number: int, open_part: Callable[[str], Any]) -> bool:
    header = header_of(path, open_part)
    return header is not None and header.get("sessionId") == session and header.get("part") == number


def header_of(path: str, open_part: Callable[[str], Any]) -> dict[str, Any] | None:
    """The `session-started` record with which a file begins; None if it does not begin with one."""
    if not os.path.isfile(path):
        return None
    try:
        source = open_part(path)
        ends = _PartEnds()
        try:
            for chunk in source:
                ends.add(chunk)
                if ends._header is not None:
                    break
        finally:
            source.close()
    except (SessionError, OSError):
        return None
    return ends.header


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None
