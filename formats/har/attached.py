"""Files that a HAR names as bodies (`_file`, as Playwright writes them): in the HAR's folder, or with it in a zip.

The names are untrusted: each must lead to a regular file in the HAR's own folder or zip, which is read up to a limit.
Many entries may name the same file, so there is a limit for the sum too.
"""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

MAX_FILE: Final = 64 * 1024 * 1024
"""Bytes of one attached file."""
MAX_ALL: Final = 512 * 1024 * 1024
"""Bytes of all attached files together, beyond their size on disk. Each byte of a zip adds `MORE_PER_BYTE`."""
MORE_PER_BYTE: Final = 20


class AttachedError(ValueError):
    """An attached file cannot be read. The text says why."""


class Attached(Protocol):
    """Reads attached files."""

    def read(self, name: str) -> bytes:
        """Return the content of the file. Raises `AttachedError`."""


class Nowhere:
    """No attached files, because the HAR comes from a pipe."""

    def read(self, name: str) -> bytes:
        raise AttachedError("the HAR comes from a pipe; give its name")


class _Budget:
    def __init__(self, stored: int) -> None:
        self._left = MAX_ALL + MORE_PER_BYTE * stored

    def add(self, size: int) -> None:
        """Raise the limit by the size of a file on disk, once for each file."""
        self._left += size

    def take(self, size: int) -> None:
        if size > MAX_FILE:
            raise AttachedError(f"it is larger than {MAX_FILE // 1024**2} MiB")
        if size > self._left:
            raise AttachedError("the attached files that are named come to far more than there is on disk")
        self._left -= size


class AttachedFiles:
    """Files in the HAR's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._budget = _Budget(0)
        self._seen: set[tuple[int, int]] = set()
        """Device and inode of files that were read before."""

    def read(self, name: str) -> bytes:
        """See `Attached`."""
        _check_name(name)
        path = self._folder / name
        try:
            if not path.resolve().is_relative_to(self._folder.resolve()):
                raise AttachedError("refused: it leads out of the HAR's folder")
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # O_NONBLOCK: do not wait for a pipe
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise AttachedError(getattr(error, "strerror", None) or str(error)) from None
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise AttachedError("refused: it is no regular file")
            if (status.st_dev, status.st_ino) not in self._seen:
                self._seen.add((status.st_dev, status.st_ino))
                self._budget.add(min(status.st_size, 512 * status.st_blocks))  # a sparse file is smaller on disk
            self._budget.take(status.st_size)
            with os.fdopen(fd, "rb", closefd=False) as file:
                return file.read(MAX_FILE)
        except OSError as error:
            raise AttachedError(error.strerror or str(error)) from None
        finally:
            os.close(fd)


class Zip:
    """Files in the zip that contains the HAR."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, stored: int) -> None:
        """`folder`: the HAR's inside the zip, with its slash. `stored`: bytes of the zip."""
        self._archive = archive
        self._folder = folder
        self._budget = _Budget(stored)

    def read(self, name: str) -> bytes:
        """See `Attached`."""
        _check_name(name)
        try:
            info = self._archive.getinfo(self._folder + name)
        except KeyError:
            raise AttachedError("it is not in the zip") from None
        self._budget.take(info.file_size)
        try:
            with self._archive.open(info) as file:
                data = file.read(info.file_size + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, OSError) as error:
            raise AttachedError(str(error) or "it is damaged") from None
        if len(data) != info.file_size:
            raise AttachedError("it is not as long as the zip says")
        return data


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if not name or "\0" in name or path.is_absolute() or ".." in path.parts:
        raise AttachedError("refused: it leads out of the HAR's folder")
    if any(part.startswith(".") for part in path.parts):
        # A downloaded HAR may be in a home directory, where keys are.
        raise AttachedError("refused: it is hidden")
