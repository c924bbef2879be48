"""A Parquet file that comes from a pipe: its index is at its end, so all of it has to be kept before it is read.

It is kept in a temporary file without a name, which the system removes however the process ends.
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
"""Bytes after which the room that is left is looked at."""
SPARED = 256 * _CHUNK
"""Bytes that are left free for others."""


class SpooledTable:
    """A session that is read once, when everything has come; see `Lines` in `formats/files/reader.py`."""

    def __init__(
        self,
        name: str,
        head: bytes,
        read: Callable[[int], bytes],
        close: Callable[[], None],
        *,
        spared: int | None = None,
    ) -> None:
        """`head` is what was read already. Nothing is read before it is asked for."""
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
        """Give the disk back, and close the pipe."""
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
        told = os.fstatvfs(file.fileno()) if hasattr(os, "fstatvfs") else None
        free = told.f_bavail * told.f_frsize if told else shutil.disk_usage(tempfile.gettempdir()).free
        if free < self._spared:
            raise SessionError(self.name, self._refusal(size, "the disk is nearly full"))

    def _refusal(self, size: int, why: str) -> str:
        return (
            f"a Parquet file is read from its end, so one from a pipe is kept in {tempfile.gettempdir()} first: {why} "
            f"after {size} bytes of it. Give its name, or set TMPDIR to a folder with room"
        )
