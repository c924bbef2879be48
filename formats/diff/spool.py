"""Where contents wait while both sessions are read: a file without a name, each different content once.

A session may be larger than memory, may come from a pipe or may be compressed, so what is needed again
for a comparison cannot be read from it a second time. The file is unlinked when it is made.
"""

from __future__ import annotations

import hashlib
import tempfile
from array import array
from collections.abc import Callable
from typing import Any

import orjson

_BUFFER = 1 << 20


class Spool:
    """Contents by number. `put` gives the same number for the same key."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="mockrec-diff-", buffering=_BUFFER)  # noqa: SIM115 - closed by close
        self._numbers: dict[bytes, int] = {}
        self._ends = array("Q")
        self._end = 0
        self._written = True
        self._shapes: dict[int, bytes] = {}

    def close(self) -> None:
        """Give the disk space back."""
        self._file.close()

    def put(self, key: bytes, content: Any) -> int:
        """The number of a content. `key` is what makes it different from others; equal keys share the first content."""
        digest = hashlib.blake2b(key, digest_size=16).digest()
        number = self._numbers.get(digest)
        if number is None:
            number = self._numbers[digest] = len(self._ends)
            data = orjson.dumps(content)
            self._file.write(data)
            self._end += len(data)
            self._ends.append(self._end)
            self._written = False
        return number

    def raw(self, number: int) -> bytes:
        """The JSON of a content."""
        if not self._written:
            self._file.flush()
            self._written = True
        start = self._ends[number - 1] if number else 0
        self._file.seek(start)
        data: bytes = self._file.read(self._ends[number] - start)
        return data

    def get(self, number: int) -> Any:
        """A content."""
        return orjson.loads(self.raw(number))

    def shape(self, number: int, make: Callable[[Any], bytes]) -> bytes:
        """A hash of what `make` leaves of a content, made once."""
        found = self._shapes.get(number)
        if found is None:
            found = self._shapes[number] = hashlib.blake2b(make(self.get(number)), digest_size=12).digest()
        return found
