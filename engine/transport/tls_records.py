"""The record boundaries of a TLS connection (RFC 8446, 5.1), counted from its first byte.

OpenSSL says only by an error that it has no more data, and the error costs more than reading a short record. Who knows
how many records the received bytes complete need not provoke it.
"""

from __future__ import annotations

from typing import Final

_HEADER: Final = 5
_MOST_RECORDS: Final = 64
"""Records in one read that are counted: in larger numbers they are short ones, and counting them is no gain."""


class RecordCounter:
    """Finds where the records of one direction end."""

    __slots__ = ("_header", "_lost", "_missing")

    def __init__(self) -> None:
        self._missing = 0
        """Bytes of the current record that are still to come."""
        self._header = b""
        """The first bytes of a record's header that is incomplete."""
        self._lost = False
        """Whether it has given up."""

    def count(self, data: bytes) -> int:
        """Return how many records end in these bytes; 0 if they do not end with a record, or nothing is known."""
        size = len(data)
        if not (self._missing or self._header or self._lost) and size > 4 and size == _end(data, 0):
            return 1
        return 0 if self._lost or not data else self._walk(data, size)

    def _walk(self, data: bytes, size: int) -> int:
        at, ends = self._missing, int(self._missing > 0)
        if self._header:
            begun = len(self._header)
            header = self._header + data[: _HEADER - begun]
            if len(header) < _HEADER:
                self._header = header
                return 0
            at, ends, self._header = _end(header, 0) - begun, 1, b""
        while at + _HEADER <= size:
            at, ends = _end(data, at), ends + 1
            if ends > _MOST_RECORDS:
                self._lost = True
                return 0
        self._missing = max(0, at - size)
        if at < size:
            self._header = data[at:]
        return ends if at == size else 0


def _end(data: bytes, at: int) -> int:
    """Return where a record ends whose header begins at `at`."""
    return at + _HEADER + (data[at + 3] << 8 | data[at + 4])
