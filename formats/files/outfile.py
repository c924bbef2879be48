"""One output file: created exclusively, locked, written in whole units, truncated after a failed write, and checked.

Knows nothing of records: a unit is a line of a plain log, or a frame of a compressed one.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import suppress
from pathlib import Path

from mockrec.formats.files import locks
from mockrec.formats.schema.errors import (
    OutputBusyError,
    OutputClosedError,
    OutputError,
    OutputExistsError,
    OutputLostError,
)

STDOUT = 1
STDOUT_NAME = "stdout"
CHECK_MS = 250.0
"""The shortest time between two checks; `check` may be called more often."""


class OutFile:
    """A file descriptor with its name. Methods raise `OutputError`, `OutputClosedError` for a closed pipe."""

    def __init__(self, fd: int, name: str, *, locked: bool = True) -> None:
        """`locked` is False where the file system has no locks: another program may write to the file as well."""
        self.name = name
        self.locked = locked
        self._fd = fd
        try:
            found = os.fstat(fd)
        except OSError as error:
            # stdout was closed before the program started.
            raise OutputError(name, error.strerror or str(error)) from None
        self._regular = stat.S_ISREG(found.st_mode)
        # If stdout is a TemporaryFile of Python, it never had a name.
        self._had_name = found.st_nlink > 0
        self._size = found.st_size
        """The expected size of the file."""
        self._check_at = 0.0
        self._failure: OutputError | None = None
        self._closed = False

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._fd

    @property
    def is_regular(self) -> bool:
        """Whether it is a file on disk. A pipe or a device may block for any time."""
        return self._regular

    @property
    def size(self) -> int:
        """The number of bytes in the file."""
        return self._size

    def write(self, data: bytes, *, lines: bool) -> None:
        """Append `data`. If that fails, truncate the file: with `lines` after the last whole line of `data` that was
        written, otherwise to its size before the call.
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
            self._size += kept
            raise self._failure from None
        self._size += written

    def check(self, now: float) -> None:
        """Check that the file still exists and has its expected size. `now` is in monotonic milliseconds.

        Raises `OutputLostError`; after that each further check and write raises it, too. A renamed file is not lost.
        """
        if now >= self._check_at:
            self._check_at = now + CHECK_MS
            self._check()

    def close(self) -> None:
        """Close the file; a second call does nothing. Stdout stays open, because mockrec has not opened it."""
        if self._closed:
            return
        self._closed = True
        if self._fd == STDOUT:
            return
        try:
            if self._failure is None:
                self._check()
        finally:
            try:
                os.close(self._fd)
            except OSError as error:
                # Some network file systems report a full disk only in `close`.
                raise OutputError(self.name, error.strerror or str(error)) from None

    def discard(self) -> None:
        """Close and remove the file, unless it is stdout, a device or a pipe, or was renamed."""
        if self._closed:
            return
        self._closed = True
        if self._fd == STDOUT:
            return
        if self._regular and self.is_named(Path(self.name)):
            with suppress(OSError):  # the folder may have become read-only
                os.unlink(os.path.realpath(self.name))
        os.close(self._fd)

    def is_named(self, path: Path) -> bool:
        """Whether a path leads to this file: False after a rename."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._fd))
        except OSError:
            return False

    def detach(self) -> int:
        """Give the descriptor, with its lock, to the caller, who closes it."""
        self._closed = True
        return self._fd

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._regular:
            return
        try:
            found = os.fstat(self._fd)
            # Other processes may append to a redirected stdout.
            expected = os.lseek(self._fd, 0, os.SEEK_CUR) if self._fd == STDOUT else self._size
        except OSError as error:
            self._failure = OutputError(self.name, error.strerror or str(error))
            raise self._failure from None
        lost = ""
        if self._had_name and found.st_nlink == 0:
            lost = "was replaced by another file" if os.path.lexists(self.name) else "was removed"
        elif found.st_size < expected:
            lost = "was cut by another program"
        elif found.st_size > expected and self._fd != STDOUT:
            lost = "was written to by another program"
        if lost:
            self._failure = OutputLostError(self.name, lost)
            raise self._failure

    def _write_some(self, view: memoryview) -> int:
        try:
            return os.write(self._fd, view)
        except BlockingIOError:
            # A process that shares stdout with this one may have made it non-blocking.
            select.select([], [self._fd], [])
            return 0

    def _failed(self, error: OSError, torn: int) -> OutputError:
        if error.errno == errno.EPIPE:
            return OutputClosedError(self.name)
        if self._regular and torn:
            try:
                # From the current end, not from zero: a redirected stdout may have had content before.
                os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_CUR) - torn)
            except OSError:
                # The torn line stays; readers accept it. The first error is the one to report.
                pass
        return OutputError(self.name, error.strerror or str(error))


def open_output(path: Path, *, force: bool, file_mode: int, readable: bool = False) -> OutFile:
    """Create a file exclusively and lock it. With `force`, empty an existing file that no other process writes.

    Devices and named pipes are only opened: they have no content to overwrite. `readable` opens the file for reading
    and for writing at any offset, too. Raises `OutputExistsError`, `OutputBusyError` or `OutputError`.
    """
    name = str(path)
    is_stream = _is_stream(path)
    flags = os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    # With O_APPEND, a file that another program truncates stays short, and `check` sees that; no hole hides it.
    flags |= os.O_RDWR if readable and not is_stream else os.O_WRONLY | os.O_APPEND
    if not (force or is_stream):
        flags |= os.O_EXCL
    try:
        if is_pipe(path):
            # A blocking open would wait here for a reader, without a message.
            fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            os.set_blocking(fd, True)
        else:
            fd = os.open(path, flags, file_mode)
    except FileExistsError:
        if path.is_dir():
            raise OutputError(name, os.strerror(errno.EISDIR)) from None
        raise exists_already(name) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        no_reader = isinstance(error, OSError) and error.errno == errno.ENXIO
        why = "no process reads from this named pipe" if no_reader else getattr(error, "strerror", None) or str(error)
        raise OutputError(name, why) from None
    try:
        locked = True
        if stat.S_ISREG(os.fstat(fd).st_mode):
            taken = locks.lock(fd)
            if taken == locks.BUSY:
                raise OutputBusyError(name, locks.held_by(path))
            locked = taken == locks.LOCKED
            os.ftruncate(fd, 0)
            _set_mode(path, file_mode)
        return OutFile(fd, name, locked=locked)
    except OSError as error:
        os.close(fd)
        raise OutputError(name, error.strerror or str(error)) from None
    except OutputError:
        os.close(fd)
        raise


def exists_already(name: str) -> OutputError:
    """The error for an existing file: another program writes it, or `--force` is missing."""
    return OutputBusyError(name, locks.held_by(name)) if locks.is_held(name) else OutputExistsError(name)


def is_pipe(path: str | Path) -> bool:
    """Whether the path is a named pipe."""
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
    """Set exactly this mode, whatever the umask and the mode of a replaced file are."""
    try:
        path.chmod(file_mode)
    except PermissionError:
        # The file of another user, which this one may write but not chmod; --force asked for it.
        pass
