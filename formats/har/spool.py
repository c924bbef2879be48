"""Put lines in order: each is held until all lines before it are there, in memory or, beyond a limit, on disk."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from typing import BinaryIO

MEMORY_BYTES = 32 * 1024 * 1024


class LineSpool:
    """`put` takes lines with their places, which count from 0; `ready` yields those that are next in order."""

    def __init__(self, memory: int = MEMORY_BYTES) -> None:
        self._memory = memory
        self._next = 0
        self._heap: list[tuple[float, int]] = []
        self._lines: dict[int, bytes | tuple[int, int]] = {}
        """Number of a held line → the line, or its offset and size on disk."""
        self._count = 0
        self._held = 0
        self._file: BinaryIO | None = None
        self._end = 0

    def put(self, place: float, line: bytes) -> None:
        """Hold a line. Lines with the same place stay in the order of their arrival."""
        heapq.heappush(self._heap, (place, self._count))
        if self._held + len(line) > self._memory:
            self._lines[self._count] = self._write_to_disk(line)
        else:
            # orjson's bytes keep a buffer of up to ten times their length.
            self._lines[self._count] = bytes(memoryview(line))
            self._held += len(line)
        self._count += 1

    def ready(self) -> Iterator[bytes]:
        """Yield the next lines, up to the first missing place."""
        while self._heap and self._heap[0][0] <= self._next:
            yield self._take()

    def rest(self) -> Iterator[bytes]:
        """Yield all remaining lines in order, even if places between them are missing."""
        while self._heap:
            yield self._take()
        self.close()

    def close(self) -> None:
        """Delete the file on disk."""
        if self._file is not None:
            self._file.close()

    def _take(self) -> bytes:
        place, number = heapq.heappop(self._heap)
        self._next = max(self._next, int(place) + 1)
        held = self._lines.pop(number)
        if isinstance(held, bytes):
            self._held -= len(held)
            return held
        assert self._file is not None
        self._file.seek(held[0])
        return self._file.read(held[1])

    def _write_to_disk(self, line: bytes) -> tuple[int, int]:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="mockrec-")  # noqa: SIM115 - closed by `close`
        self._file.seek(self._end)
        self._file.write(line)
        place = (self._end, len(line))
        self._end += len(line)
        return place
