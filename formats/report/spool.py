"""Bytes by number, in an unnamed temporary file: what a report may need of a session that is larger than memory."""

from __future__ import annotations

import tempfile
from array import array

_IN_MEMORY = 32 * 1024 * 1024


class Spool:
    """Append with `put`, read again with `get`."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - closed by close
        self._ends = array("Q", [0])

    def close(self) -> None:
        """Free the space."""
        self._file.close()

    def put(self, data: bytes) -> int:
        """Store the bytes and return their number."""
        self._file.seek(self._ends[-1])
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))
        return len(self._ends) - 2

    def get(self, number: int) -> bytes:
        """Return the bytes with this number."""
        start = self._ends[number]
        self._file.seek(start)
        return self._file.read(self._ends[number + 1] - start)

    def size(self, number: int) -> int:
        """Return the length of the bytes with this number."""
        return self._ends[number + 1] - self._ends[number]
