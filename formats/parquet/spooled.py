"""A Parquet file from a pipe: its index is at the end, so the whole file has to be stored before it is read.

It is stored in an unnamed temporary file, which the system removes when the process ends, however it ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from mockrec.formats.schema.errors import SessionError

_CHUNK = 1024 * 1024
_CHECKED = 64 * _CHUNK
"""Bytes after which the free space on the disk is checked."""
SPARED = 256 * _CHUNK
"""Bytes that stay free on the disk."""


class SpooledTable:
    """A session that is read once, after the end of the pipe; see `Lines` in `formats/files/reader.py`."""

    def __init__(
        self,
        name: str,
        head: bytes,
        read: Callable[[int], bytes],
        close: Callable[[], None],
        *,
        spared: int | None = None,
    ) -> None:
        """`head` is what has been read of the file. The rest is read by the iteration."""
        self.name = name
        self.torn = ""
        self.problems: list[str] = []
        self.unit = "record"
        self._head = head
        self._read = read
        self._close = close
        self._spared = SPARED if spared is None else spared
        self._file: BinaryIO | None = None

    def close(self) -> None:
        """Remove the temporary file and close the pipe."""
        if self._file is not None:
            self._file.close()
        self._close()

    def __iter__(self) -> Iterator[bytes]:
        # Imported here: only Parquet sessions need it.
        from mockrec.formats.parquet.files import EventsFile

        self._file = tempfile.TemporaryFile(prefix="mockrec-")  # noqa: SIM115 - `close` closes it
        self._fill(self._file)
        opened: Any = EventsFile(self.name, None, self._file)
        try:
            yield from opened.lines()
        finally:
            opened.close()

    def _fill(self, file: BinaryIO) -> None:
        size, checked = 0, 0
        chunk = self._head
        self._head = b""
        try:
            while chunk:
                file.write(chunk)
                size += len(chunk)
                if size - checked >= _CHECKED:
                    checked = size
                    self._check_room(file, size)
                chunk = self._read(_CHUNK)
            file.flush()
            file.seek(0)
        except OSError as error:
            raise SessionError(self.name, self._refusal(size, error.strerror or str(error))) from None

    def _check_room(self, file: BinaryIO, size: int) -> None:
        file.flush()
        stat = os.fstatvfs(file.fileno()) if hasattr(os, "fstatvfs") else None
        free = stat.f_bavail * stat.f_frsize if stat else shutil.disk_usage(tempfile.gettempdir()).free
        if free < self._spared:
            raise SessionError(self.name, self._refusal(size, "the disk is nearly full"))

    def _refusal(self, size: int, why: str) -> str:
        return (
            f"a Parquet file is read from its end, so one from a pipe is kept in {tempfile.gettempdir()} first: {why} "
            f"after {size} bytes of it. Give its name, or set TMPDIR to a folder with room"
        )
