"""Compressed logs: independent gzip members or zstd frames of whole lines.

After a crash every whole frame can be read, so a frame is closed when it has about 1 MiB, or when
what it holds is about to be a second old.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from mockrec.formats.files.outfile import OutFile

FRAME_BYTES = 1024 * 1024
"""Uncompressed bytes after which a frame is closed."""
FRAME_AGE_MS = 900.0
"""Age at which a frame is closed: with a sync point every 50 ms, never more than a second is at risk."""

Compress = Callable[[bytes], bytes]


class Sink(Protocol):
    """Where batches of whole lines go. Used by one thread.

    A slow one may say in `most_waiting` how many bytes of lines may wait for it: what waits is lost by a kill. One that
    is sure to take what it is given says in `most_at_once` how much of it that may be.
    """

    name: str

    def write(self, data: bytes) -> None:
        """Take whole lines. Raises `OutputError`."""

    def sync_point(self, now: float | None = None) -> None:
        """A chance to close a frame, and to look whether what was written is still there: `now` in monotonic
        milliseconds, None to close a frame at once. Raises `OutputError`."""

    def close(self) -> None:
        """Write what is left and close the file. Raises `OutputError`; may be called twice."""


@runtime_checkable
class FileOutput(Sink, Protocol):
    """A sink of something that is written from a beginning to an end, as a conversion is."""

    def discard(self) -> None:
        """Leave no unfinished file, as far as that is possible; `close` does nothing then."""


class FrameSink:
    """Collects lines and writes them a frame at a time."""

    def __init__(self, file: OutFile, compress: Compress) -> None:
        self.name = file.name
        self.locked = file.locked
        """False where the file system has no locks."""
        self.file = file
        """The file itself."""
        self._compress = compress
        self._lines: list[bytes] = []
        self._size = 0
        self._fresh_at: float | None = None
        """The last sync point at which nothing was waiting: everything waiting now is younger."""

    def write(self, data: bytes) -> None:
        """Take whole lines; they reach the file with their frame."""
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
    """One gzip member (RFC 1952), without a time so that equal logs are equal files."""
    return gzip.compress(data, compresslevel=6, mtime=0)


def zstd_frames() -> Compress:
    """A function that makes one zstd frame (RFC 8878) of its argument, with a checksum."""
    # Imported here: only compressed logs need it.
    import zstandard

    return zstandard.ZstdCompressor(level=3, write_checksum=True).compress
