"""Split a HAR while it is being read: the members of `log`, and the entries one by one.

Only one member at a time is in memory. An entry that is not JSON is reported, and reading continues after it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from mockrec.formats.har.recognise import CALLBACK
from mockrec.formats.schema.errors import SessionError

_SPACE = re.compile(rb"[ \t\r\n]*+")
_IN_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
"""Whole strings and what is between them."""
_SCALAR = re.compile(rb"[^,:\]}\s]*+")
_OURS = b'\n{"startedDateTime":"'
"""The beginning of our own entries. Each is one line, so a damaged entry does not affect the next one."""
_LONGEST = 256 * 1024 * 1024
"""Bytes of one entry, or of another member, which has to fit in memory. A longer one is not from a HAR."""
_MAX_STALE = 64 * 1024
"""Bytes that may stay in the buffer after they are read: moving the rest for every member takes longer."""
_QUOTE, _OPENING, _CLOSING = ord('"'), b"{[", b"}]"


@dataclass(slots=True)
class Member:
    """A member of `log` or, with an `index`, one of its entries."""

    key: str
    value: Any
    index: int | None = None
    problem: str = ""
    """Reason for a missing value, or ""."""
    document: int = 1
    """Number of the HAR in the file, from 1."""


class _EndError(Exception):
    """The file ends too early."""


class Splitter:
    """Yields the members, once. Afterwards `torn` is a sentence if the file ends too early."""

    def __init__(self, name: str, chunks: Iterable[bytes]) -> None:
        self.torn = ""
        self._name = name
        self._chunks = iter(chunks)
        self._data = bytearray()
        self._at = 0
        self._dropped = 0
        """Offset of `_data` in the file."""
        self._where = "before its first entry"
        self._document = 0

    def __iter__(self) -> Iterator[Member]:
        try:
            yield from self._documents()
        except _EndError:
            self.torn = f"the file ends {self._where}"

    def _documents(self) -> Iterator[Member]:
        """Read one HAR or several: one after the other, one a line, or as a list."""
        self._peek()
        call = CALLBACK.match(self._data, self._at)
        self._at = call.end() if call else self._at
        is_list = self._peek() == b"["
        if is_list:
            self._at += 1
        while True:
            self._document += 1
            yield from self._one_document()
            found = self._next()
            if found == b"," and is_list:
                self._at += 1
                found = self._peek()
            elif found == b"]" and is_list:
                self._at += 1
                is_list = False
                found = self._next()
            if found == b")" and call:
                self._at += 1
                if self._next() == b";":
                    self._at += 1
                found = self._next()
            if not found:
                if is_list:
                    raise _EndError
                return
            if found != b"{":
                shown = bytes(self._data[self._at : self._at + 20])
                problem = f"expected the end of the file at byte {self._dropped + self._at}, found {shown!r}"
                yield Member("", None, problem=problem)
                return

    def _one_document(self) -> Iterator[Member]:
        for key in self._object():
            if key == "log" and self._peek() == b"{":
                yield from self._log(self._object())
            elif key == "log":
                self._fail("an object")
            elif key in ("entries", "creator"):  # only the value of `log`, without the object around it
                yield from self._log(iter([key]))
            else:
                self._value()

    def _log(self, keys: Iterator[str]) -> Iterator[Member]:
        for key in keys:
            if key != "entries":
                value, problem = _parsed(self._value())
                yield Member(key, value, None, problem, self._document)
            else:
                if self._peek() != b"[":
                    self._fail("a list of entries")
                yield from self._entries()

    def _entries(self) -> Iterator[Member]:
        self._at += 1
        index = 0
        while self._peek() != b"]":
            self._forget()
            self._where = f"in entries[{index}]"
            line = self._own_line()
            value, problem = _parsed(self._value() if line is None else line)
            yield Member("entries", value, index, problem, self._document)
            index += 1
            self._separator(b"]")
        self._at += 1
        self._where = "after its entries"

    def _own_line(self) -> bytes | None:
        """Return the entry that begins here if it is on a line of its own, as we write entries; otherwise None."""
        start = self._at
        if self._dropped + start == 0 or not self._data.startswith(_OURS, start - 1):
            return None
        seen = start
        while (end := self._data.find(b"\n", seen)) < 0:
            seen = len(self._data)
            if not self._more():
                return None
        next_start = _OURS[1:]
        while len(self._data) - end - 1 < len(next_start) and self._more():
            pass
        follows = bytes(self._data[end + 1 : end + 1 + len(next_start)])
        if not (follows[:1] == b"]" or next_start.startswith(follows) or follows == next_start):
            return None  # it only begins like ours, and continues on the next line
        line = bytes(self._data[start:end]).rstrip(b" \t\r")
        is_last = not line.endswith(b",")
        if is_last and follows[:1] == b"]" and _parsed(line)[1]:
            # A damaged line, or an entry that continues on the next line with the end of a list.
            return self._over_lines(start) or self._consume(line)
        return self._consume(line if is_last else line[:-1])

    def _over_lines(self, start: int) -> bytes | None:
        """Return the entry that begins at `start`, on any number of lines, if it is valid JSON; otherwise None."""
        place = self._dropped + start
        try:
            raw = self._value()
            if not _parsed(raw)[1]:
                return raw
        except _EndError:
            pass
        self._at = place - self._dropped
        return None

    def _consume(self, line: bytes) -> bytes:
        self._at += len(line)
        return line

    # ── the grammar ────────────────────────────────────────────────────────────────────────────────

    def _object(self) -> Iterator[str]:
        """Yield the keys of the object that begins here. The caller must read the value before it asks for the next
        key."""
        if self._peek() != b"{":
            self._fail("an object")
        self._at += 1
        while self._peek() != b"}":
            key, _ = _parsed(self._value())
            if self._peek() != b":":
                self._fail("a colon")
            self._at += 1
            yield key if isinstance(key, str) else ""
            self._separator(b"}")
        self._at += 1

    def _separator(self, end: bytes) -> None:
        found = self._peek()
        if found == b",":
            self._at += 1
        elif found != end:
            self._fail(f"a comma or {end.decode()}")

    def _peek(self) -> bytes:
        """Return the next byte after white space. Raises `_EndError` at the end of the file."""
        if found := self._next():
            return found
        raise _EndError

    def _next(self) -> bytes:
        """Return the next byte after white space, or b"" at the end of the file."""
        while True:
            match = _SPACE.match(self._data, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._data):
                return bytes(self._data[self._at : self._at + 1])
            self._forget()
            if not self._more():
                return b""

    def _value(self) -> bytes:
        first = self._peek()
        self._forget()
        start = self._at
        if first in (b"{", b"["):
            self._at = self._container_end(start)
        elif first == b'"':
            self._at = self._string_end(start + 1)
        else:
            self._at = self._run_end(_SCALAR, start)
            if self._at == start:
                self._fail("a value")
        return bytes(self._data[start : self._at])

    def _container_end(self, at: int) -> int:
        depth = 0
        while True:
            at = self._run_end(_TO_BRACKET, at)
            mark = self._data[at]
            if mark == _QUOTE:  # a string that continues in the next chunk
                at = self._string_end(at + 1)
                continue
            depth += 1 if mark in _OPENING else -1
            at += 1
            if depth == 0:
                return at

    def _string_end(self, at: int) -> int:
        while True:
            match = _IN_STRING.match(self._data, at)
            at = match.end() if match else at
            if at < len(self._data) and self._data[at] == _QUOTE:
                return at + 1
            # At the end of the buffer, perhaps in the middle of an escape.
            if not self._more():
                raise _EndError

    def _run_end(self, run: re.Pattern[bytes], at: int) -> int:
        while True:
            match = run.match(self._data, at)
            at = match.end() if match else at
            if at < len(self._data):
                return at
            if not self._more():
                raise _EndError

    def _forget(self) -> None:
        """Drop bytes that are read, except for the last one, which shows if a line begins here."""
        if self._at > _MAX_STALE:
            del self._data[: self._at - 1]
            self._dropped += self._at - 1
            self._at = 1

    def _more(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        self._data += chunk
        if len(self._data) > _LONGEST + _MAX_STALE:
            raise SessionError(self._name, f"the part {self._where} of this HAR is longer than {_LONGEST} bytes")
        return True

    def _fail(self, expected: str) -> NoReturn:
        found = bytes(self._data[self._at : self._at + 20])
        place = self._dropped + self._at
        raise SessionError(self._name, f"this HAR is damaged at byte {place}: expected {expected}, found {found!r}")


def _parsed(raw: bytes) -> tuple[Any, str]:
    try:
        return orjson.loads(raw), ""
    except orjson.JSONDecodeError as error:
        problem = str(error)
    try:
        # json, unlike orjson, also reads lone surrogates, which browsers write, and NaN and Infinity, here as null.
        return json.loads(raw, parse_constant=lambda _: None), ""
    except (ValueError, RecursionError):
        return None, f"it is no JSON: {problem}"
