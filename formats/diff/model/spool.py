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
from collections.abc import Callable, Mapping
from typing import IO, Any

import orjson

from mockrec.formats.text.json import dump

BUFFER = 1 << 20
_DIGEST = 16
"""Bytes of a key's digest."""
_FILE = 56
"""The bits of a place that are its offset in a file; those above are the number of the file."""
_OFFSET = (1 << _FILE) - 1
_PLAIN = b"+"
"""Begins what is stored of a plain response; no JSON begins with it."""


def new_file() -> IO[bytes]:
    """Return a file for a spool, without a name."""
    return tempfile.TemporaryFile(prefix="mockrec-diff-", buffering=BUFFER)


class ContentSpool:
    """Stores contents by number, each after its key. `put` returns the same number for equal keys."""

    def __init__(self, file: IO[bytes] | None = None) -> None:
        """`file` is empty; `close` closes it."""
        self._files = [new_file() if file is None else file]
        """The own file, then those of adopted contents."""
        self._numbers: dict[bytes, int] = {}
        self._places = array("Q")
        """Of each content: the place of its key, the bytes of the key, and those of what follows it."""
        self._end = 0
        self._written = True
        self._shapes: dict[int, bytes] = {}

    def close(self) -> None:
        """Free the disk space."""
        for file in self._files:
            file.close()

    def put(self, key: bytes, content: Any) -> int:
        """Store a content unless its key is already stored. Return the number of the key's content."""
        digest = hashlib.blake2b(key, digest_size=_DIGEST).digest()
        number = self._numbers.get(digest)
        return self._add(digest, key, dump(content)) if number is None else number

    def put_plain(self, key: bytes, size: int, fields: Mapping[str, str]) -> int:
        """Do the same with a response whose body is a text: its status, reason and text are in the key."""
        digest = hashlib.blake2b(key, digest_size=_DIGEST).digest()
        number = self._numbers.get(digest)
        return self._add(digest, key, b"+%d%b" % (size, orjson.dumps(fields))) if number is None else number

    def _add(self, digest: bytes, key: bytes, data: bytes) -> int:
        number = self._numbers[digest] = len(self._numbers)
        self._files[0].write(key + data)
        self._places.extend((self._end, len(key), len(data)))
        self._end += len(key) + len(data)
        self._written = False
        return number

    def key(self, number: int) -> bytes:
        """Return the key of a content."""
        places = self._places
        return self._read(places[3 * number], places[3 * number + 1])

    def get(self, number: int) -> Any:
        """Return a content."""
        start, before, length = self._places[3 * number : 3 * number + 3]
        data = self._read(start + before, length)
        if not data.startswith(_PLAIN):
            return json.loads(data)
        size, _, fields = data[len(_PLAIN) :].partition(b"{")
        content = json.loads(self._read(start, before).split(b"\n")[1])
        content["h"] = json.loads(b"{" + fields)
        content["b"]["size"] = int(size)
        return content

    def _read(self, place: int, length: int) -> bytes:
        """Read with `pread`: the buffered file would read a megabyte each time."""
        if not self._written:
            self.flush()
        return os.pread(self._files[place >> _FILE].fileno(), length, place & _OFFSET)

    def flush(self) -> None:
        """Write what is in the buffer."""
        self._files[0].flush()
        self._written = True

    def index(self) -> tuple[bytes, bytes]:
        """Return what another spool needs to adopt the contents of this one, besides its file."""
        self.flush()
        return b"".join(self._numbers), self._places.tobytes()

    def adopt(self, file: IO[bytes], digests: bytes, places: bytes) -> array[int]:
        """Add the contents that another process has put into `file`, as `index` returns them; `close` closes the file.

        Return the number of each in this spool, as if they had been put here in the same order.
        """
        first = len(self._files) << _FILE
        self._files.append(file)
        found = array("Q", places)
        numbers = self._numbers
        made = array("q")
        for place, start in enumerate(range(0, len(digests), _DIGEST)):
            digest = digests[start : start + _DIGEST]
            number = numbers.get(digest)
            if number is None:
                number = numbers[digest] = len(numbers)
                offset, *lengths = found[3 * place : 3 * place + 3]
                self._places.extend((first + offset, *lengths))
            made.append(number)
        return made

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
