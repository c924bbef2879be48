"""Contents of exchanges, in an unnamed temporary file: each different content once.

A session may be larger than memory, come from a pipe or be compressed, so contents cannot be read from it a second time
for the comparison. The file is unlinked when it is created.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from array import array
from collections.abc import Callable
from typing import Any

from mockrec.formats.text.json import dump

_BUFFER = 1 << 20


class ContentSpool:
    """Stores contents by number, each after its key. `put` returns the same number for equal keys."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="mockrec-diff-", buffering=_BUFFER)  # noqa: SIM115 - closed by close
        self._numbers: dict[bytes, int] = {}
        self._ends = array("Q")
        self._end = 0
        self._written = True
        self._shapes: dict[int, bytes] = {}

    def close(self) -> None:
        """Free the disk space."""
        self._file.close()

    def put(self, key: bytes, content: Any) -> int:
        """Store a content unless its key is already stored. Return the number of the key's content."""
        digest = hashlib.blake2b(key, digest_size=16).digest()
        number = self._numbers.get(digest)
        if number is None:
            number = self._numbers[digest] = len(self._ends) // 2
            data = dump(content)
            self._file.write(key + data)
            self._ends.append(self._end + len(key))
            self._end += len(key) + len(data)
            self._ends.append(self._end)
            self._written = False
        return number

    def key(self, number: int) -> bytes:
        """Return the key of a content."""
        return self._piece(2 * number)

    def get(self, number: int) -> Any:
        """Return a content."""
        return json.loads(self._piece(2 * number + 1))

    def _piece(self, index: int) -> bytes:
        """Read with `pread`: the buffered file would read a megabyte each time."""
        if not self._written:
            self._file.flush()
            self._written = True
        start = self._ends[index - 1] if index else 0
        return os.pread(self._file.fileno(), self._ends[index] - start, start)

    def forget_shapes(self) -> None:
        """Drop the shapes, because another comparison has other rules for values."""
        self._shapes.clear()

    def has_shape(self, number: int) -> bool:
        """True if the shape of a content is cached."""
        return number in self._shapes

    def shape(self, number: int, make: Callable[[bytes], bytes]) -> bytes:
        """Return the shape of a content, a hash of `make(key)`; cached."""
        found = self._shapes.get(number)
        if found is None:
            found = self._shapes[number] = hashlib.blake2b(make(self.key(number)), digest_size=12).digest()
        return found
