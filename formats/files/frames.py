"""Compressed logs: independent gzip members or zstd frames of whole lines.

After a crash every complete frame is readable. So a frame is closed at about 1 MiB, or before its first line is a
second old.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mockrec.formats.files.outfile import OutFile

FRAME_BYTES = 1024 * 1024
"""Uncompressed bytes after which a frame is closed."""
FRAME_AGE_MS = 900.0
"""Age at which a frame is closed: with a sync point every 50 ms, a crash never loses more than a second."""

Compress = Callable[[bytes], bytes]


class Sink(Protocol):
    """The destination of batches of whole lines. Used by one thread.

    Two attributes are optional. `most_waiting`, of a slow sink: the bytes of lines that may wait for it, because a kill
    loses them. `most_at_once`: the bytes that one call of `write` may get.
    """

    name: str

    def write(self, data: bytes) -> None:
        """Write whole lines. Raises `OutputError`."""

    def sync_point(self, now: float | None = None) -> None:
        """Close a frame if it is time, and check that the written file still exists.

        `now` is in monotonic milliseconds; None closes the frame at once. Raises `OutputError`.
        """

    def close(self) -> None:
        """Write the waiting lines and close the file. Raises `OutputError`; may be called twice."""


@runtime_checkable
class FileOutput(Sink, Protocol):
    """A sink that can be given up before its end, as a conversion needs it."""

    def discard(self) -> None:
        """Remove the unfinished file, as far as possible. A later `close` does nothing."""


class FrameSink:
    """Collects lines and writes them as compressed frames."""

    def __init__(self, file: OutFile, compress: Compress) -> None:
        self.name = file.name
        self.locked = file.locked
        """False where the file system has no locks."""
        self.file = file
        """The file that is written."""
        self._compress = compress
        self._lines: list[bytes] = []
        self._size = 0
        self._fresh_at: float | None = None
        """The last sync point at which no line was waiting: every waiting line is younger."""

    def write(self, data: bytes) -> None:
        """Add whole lines to the frame; they reach the file with it."""
        self._lines.append(data)
        self._size += len(data)
        if self._size >= FRAME_BYTES:
            self._flush()

    def sync_point(self, now: float | None = None) -> None:
        """Close the frame if it is old enough; see `Sink`."""
        if now is not None:
            self.file.check(now)
        if self._lines and now is not None:
            if self._fresh_at is None:
                self._fresh_at = now
            if now - self._fresh_at < FRAME_AGE_MS:
                return
        self._flush()
        self._fresh_at = now

    def close(self) -> None:
        """Write the last frame and close the file."""
        try:
            self._flush()
        finally:
            self.file.close()

    def discard(self) -> None:
        """Close the file and remove it."""
        self._lines, self._size = [], 0
        self.file.discard()

    def _flush(self) -> None:
        if not self._lines:
            return
        data = b"".join(self._lines)
        self._lines = []
        self._size = 0
        self.file.write(self._compress(data), lines=False)


def gzip_member(data: bytes) -> bytes:
    """One gzip member (RFC 1952), without a time, so that equal logs are equal files."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def zstd_frames() -> Compress:
    """A function that compresses its argument to one zstd frame (RFC 8878), with a checksum."""
    # Imported here: only compressed logs need it.
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress
