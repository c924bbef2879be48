"""One output file: created once, locked, written in whole units, cut back when a write fails, and looked after.

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
"""How often `check` looks, however often it is called."""


class OutFile:
    """A file descriptor with its name. Methods raise `OutputError`, `OutputClosedError` for a closed pipe."""

    def __init__(self, fd: int, name: str, *, locked: bool = True) -> None:
        """`locked` is False where there are no locks: another program may write the file as well."""
        self.name = name
        self.locked = locked
        self._fd = fd
        try:
            found = os.fstat(fd)
        except OSError as error:
            # A stdout that was closed before we started.
            raise OutputError(name, error.strerror or str(error)) from None
        self._regular = stat.S_ISREG(found.st_mode)
        # Python's TemporaryFile as stdout never had a name.
        self._had_name = found.st_nlink > 0
        self._size = found.st_size
        """How long it has to be."""
        self._check_at = 0.0
        self._failure: OutputError | None = None
        self._closed = False

    @property
    def fd(self) -> int:
        """The descriptor."""
        return self._fd

    @property
    def is_regular(self) -> bool:
        """Whether it is a file on disk: a pipe or a device may take what is written as slowly as it likes."""
        return self._regular

    @property
    def size(self) -> int:
        """Bytes that are written."""
        return self._size

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
            self._size += kept
            raise self._failure from None
        self._size += written

    def check(self, now: float) -> None:
        """Look whether the file is still there, and as long as it was written: `now` in monotonic milliseconds.

        Raises `OutputLostError`, and so does each further call and write. A renamed file is no loss.
        """
        if now >= self._check_at:
            self._check_at = now + CHECK_MS
            self._check()

    def close(self) -> None:
        """Close; calling it twice is fine. Stdout stays open, it is not ours."""
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
                # Network file systems report a full disk only here.
                raise OutputError(self.name, error.strerror or str(error)) from None

    def discard(self) -> None:
        """Close, and remove the file, unless it is stdout, a device or a pipe, or has another name by now."""
        if self._closed:
            return
        self._closed = True
        if self._fd == STDOUT:
            return
        if self._regular and self.is_named(Path(self.name)):
            with suppress(OSError):  # a folder that may not be written any more
                os.unlink(os.path.realpath(self.name))
        os.close(self._fd)

    def is_named(self, path: Path) -> bool:
        """Whether a path is the name of this very file: not after a rename."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._fd))
        except OSError:
            return False

    def detach(self) -> int:
        """The descriptor, with its lock, for somebody who writes in another way and closes it."""
        self._closed = True
        return self._fd

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._regular:
            return
        try:
            found = os.fstat(self._fd)
            # A redirected stdout is others' as well: they may have written behind us.
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


def open_output(path: Path, *, force: bool, file_mode: int, readable: bool = False) -> OutFile:
    """Create the file, exclusively, and lock it; with `force` an existing one that nobody writes is emptied first.

    Devices and named pipes are opened as they are, nothing of them can be overwritten. `readable`: also to be read, and
    written at any place. Raises `OutputExistsError`, `OutputBusyError` or `OutputError`.
    """
    name = str(path)
    is_stream = _is_stream(path)
    flags = os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    # What another program cuts is then short afterwards, and has no hole that nobody sees.
    flags |= os.O_RDWR if readable and not is_stream else os.O_WRONLY | os.O_APPEND
    if not (force or is_stream):
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
        raise exists_already(name) from None
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        no_reader = isinstance(error, OSError) and error.errno == errno.ENXIO
        why = "nobody reads from this named pipe" if no_reader else getattr(error, "strerror", None) or str(error)
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
    """Why an existing file is not overwritten: another program writes it, or nobody said --force."""
    return OutputBusyError(name, locks.held_by(name)) if locks.is_held(name) else OutputExistsError(name)


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
