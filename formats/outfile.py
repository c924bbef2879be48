"""One output file: created once, written in whole units, cut back when a write fails.

Knows nothing of records: a unit is a line of a plain log, or a frame of a compressed one.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from pathlib import Path

from mockrec.formats.errors import OutputClosedError, OutputError, OutputExistsError

STDOUT = 1
STDOUT_NAME = "stdout"


class OutFile:
    """A file descriptor with its name. Methods raise `OutputError`, `OutputClosedError` for a closed pipe."""

    def __init__(self, fd: int, name: str) -> None:
        self.name = name
        self._fd = fd
        try:
            self._regular = stat.S_ISREG(os.fstat(fd).st_mode)
        except OSError as error:
            # A stdout that was closed before we started.
            raise OutputError(name, error.strerror or str(error)) from None
        self._failure: OutputError | None = None
        self._closed = False

    def write(self, data: bytes, *, lines: bool) -> None:
        """Append `data`. When that fails, what was written of it is taken back.

        With `lines`, whole lines of it that did reach the file stay; otherwise none of it does.
        """
        if self._failure is not None:
            raise self._failure
        view = memoryview(data)
        written = 0
        try:
            while written < len(view):
                written += self._write_some(view[written:])
        except OSError as error:
            kept = data.rfind(b"\n", 0, written) + 1 if lines else 0
            self._failure = self._failed(error, written - kept)
            raise self._failure from None

    def close(self) -> None:
        """Close; calling it twice is fine. Stdout stays open, it is not ours."""
        if self._closed:
            return
        self._closed = True
        if self._fd == STDOUT:
            return
        try:
            os.close(self._fd)
        except OSError as error:
            # Network file systems report a full disk only here.
            raise OutputError(self.name, error.strerror or str(error)) from None

    def _write_some(self, view: memoryview) -> int:
        try:
            return os.write(self._fd, view)
        except BlockingIOError:
            # Whoever shares our stdout may have switched it to non-blocking.
            select.select([], [self._fd], [])
            return 0

    def _failed(self, error: OSError, torn: int) -> OutputError:
        if error.errno == errno.EPIPE:
            return OutputClosedError(self.name)
        if self._regular and torn:
            try:
                # The end is asked for: a redirected stdout may have held something before.
                os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR) - torn)
            except OSError:
                # The torn end stays; readers accept it. The first error is the one to tell.
                pass
        return OutputError(self.name, error.strerror or str(error))


def open_output(path: Path, *, force: bool, file_mode: int) -> OutFile:
    """Create the file, exclusively; with `force` an existing one is emptied first.

    Devices and named pipes are opened as they are, nothing of them can be overwritten. Raises
    `OutputExistsError` or `OutputError`.
    """
    name = str(path)
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    if not (force or _is_stream(path)):
        flags |= os.O_EXCL
    try:
        if is_pipe(path):
            # A named pipe without a reader would be waited for here, and nobody could say so.
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.set_blocking(fd, True)
        else:
            fd = os.open(path, flags, file_mode)
    except FileExistsError:
        if path.is_dir():
            raise OutputError(name, os.strerror(errno.EISDIR)) from None
        raise OutputExistsError(name) from None
    except OSError as error:
        why = "nobody reads from this named pipe" if error.errno == errno.ENXIO else error.strerror or str(error)
        raise OutputError(name, why) from None
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            os.ftruncate(fd, 0)
            _set_mode(path, file_mode)
    except OSError as error:
        os.close(fd)
        raise OutputError(name, error.strerror or str(error)) from None
    return OutFile(fd, name)


def is_pipe(path: str | Path) -> bool:
    """Whether there is a named pipe under this name."""
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _is_stream(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _set_mode(path: Path, file_mode: int) -> None:
    """Exactly the mode asked for: neither the umask nor a replaced file's mode has a say."""
    try:
        path.chmod(file_mode)
    except PermissionError:
        # Somebody else's file that we may write but not change: --force asked for it.
        pass
