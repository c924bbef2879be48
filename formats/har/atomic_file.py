"""A growing file that is complete at every moment: there are two copies, and the visible one is never written to.

New data is appended to the hidden copy, which then takes the visible name by a rename. The former visible copy, which
lacks only the last step, becomes the hidden one and first catches up. Overwriting the end of a single file is not
enough: a kill interrupts that between two pages, and 70 of 200 files were invalid afterwards. On file systems without
hard links, the end is overwritten all the same, because there is no other way.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from mockrec.formats.files import locks
from mockrec.formats.files.outfile import CHECK_MS, OutFile, open_output
from mockrec.formats.schema.errors import OutputError, OutputLostError

_PIECE = 1024 * 1024
_OPEN = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FAILED = frozenset({errno.ENOENT, errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO})
"""Errors of `link` that do not mean that the file system lacks hard links."""


class Growing(Protocol):
    """A file of appended data, followed by a tail that changes. Methods raise `OutputError`."""

    name: str
    locked: bool
    """False where the file system has no locks."""

    def grow(self, data: bytes) -> None:
        """Append `data`, which may stay invisible until `show`."""

    def show(self, tail: bytes) -> None:
        """Make everything visible, followed by this tail."""

    def check(self, now: float) -> None:
        """Raise `OutputLostError` if the visible file is not ours any more. `now` is in monotonic milliseconds."""

    def rescue(self, tail: bytes) -> str:
        """Keep the data of a lost visible file, with this tail, under the file's name if that is free. Return the path,
        or "" if the data is lost."""

    def finish(self, tail: bytes | None) -> None:
        """Show everything with this last tail (None: leave the visible file as it is), and close. Idempotent."""

    def discard(self) -> None:
        """Close and remove the file; raises nothing. A later `finish` does nothing."""


class TailStream:
    """A device or a pipe as `Growing`: the tail is written only at the end."""

    def __init__(self, file: OutFile) -> None:
        self.name = file.name
        self.locked = file.locked
        self._file = file
        self._finished = False

    def grow(self, data: bytes) -> None:
        """Write the data; see `Growing`."""
        self._file.write(data, lines=False)

    def show(self, tail: bytes) -> None:
        """Do nothing: a tail could not be taken back."""

    def check(self, now: float) -> None:
        """See `Growing`."""
        self._file.check(now)

    def rescue(self, tail: bytes) -> str:
        """Return "": there is no second copy."""
        return ""

    def finish(self, tail: bytes | None) -> None:
        """Write the tail and close."""
        finished, self._finished = self._finished, True
        try:
            if tail is not None and not finished:
                self._file.write(tail, lines=False)
        finally:
            self._file.close()

    def discard(self) -> None:
        """Close the stream; written data cannot be taken back."""
        self._finished = True
        self._file.discard()


class _Copy:
    """One of the two copies."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.end = 0
        """Offset of the tail; everything before it stays."""

    def append(self, data: bytes) -> None:
        self._put(data)
        self.end += len(data)

    def catch_up(self, other: _Copy) -> None:
        """Append the data that only the other copy has."""
        while self.end < other.end:
            piece = os.pread(other.fd, min(_PIECE, other.end - self.end), self.end)
            if not piece:
                raise OSError("another program has truncated the file")
            self.append(piece)

    def put_tail(self, tail: bytes) -> None:
        self._put(tail)
        os.ftruncate(self.fd, self.end + len(tail))

    def _put(self, data: bytes) -> None:
        view, at = memoryview(data), self.end
        while view:
            written = os.pwrite(self.fd, view, at)
            view, at = view[written:], at + written


class DoubleBufferedFile:
    """A regular file as `Growing`. If a method fails, the visible copy is still complete."""

    def __init__(self, file: OutFile, path: Path, *, file_mode: int) -> None:
        """Take over `file`: empty, open for reading and writing under the name `path`."""
        self.name = str(path)
        self.locked = file.locked
        # The copies are in the folder of the real file: a rename does not cross file systems, and a symbolic link
        # to the file stays one.
        self._target = Path(os.path.realpath(path))
        self._hidden_name, self._free_name = _hidden_names(self._target)
        self._finished = False
        self._links = True
        self._rescued = False
        self._check_at = 0.0
        self._visible = _Copy(file.detach())
        try:
            self._remove_hidden()  # left by a run that was killed
            self._hidden = _Copy(os.open(self._hidden_name, _OPEN | os.O_CREAT | os.O_EXCL, file_mode))
        except OSError as error:
            os.close(self._visible.fd)
            raise self._failed(error) from None
        try:
            locks.lock(self._hidden.fd)  # it will be the visible copy, which other processes must find locked
            os.chmod(self._hidden_name, stat.S_IMODE(os.fstat(self._visible.fd).st_mode))
        except OSError as error:
            self._close()
            raise self._failed(error) from None

    def grow(self, data: bytes) -> None:
        """Append to the hidden copy; see `Growing`."""
        try:
            self._hidden.catch_up(self._visible)
            self._hidden.append(data)
        except OSError as error:
            raise self._failed(error) from None

    def show(self, tail: bytes) -> None:
        """Swap the copies; see `Growing`."""
        try:
            self._hidden.catch_up(self._visible)
            self._hidden.put_tail(tail)
            if self._links:
                self._swap()
        except OSError as error:
            raise self._failed(error) from None

    def check(self, now: float) -> None:
        """Check that the file with the visible name is ours; see `Growing`."""
        if now >= self._check_at and not self._finished:
            self._check_at = now + CHECK_MS
            self._check()

    def rescue(self, tail: bytes) -> str:
        """Complete the hidden copy, unless it was removed as well; see `Growing`."""
        try:
            self._hidden.catch_up(self._visible)
            self._hidden.put_tail(tail)
            self._rescued = os.path.samestat(os.stat(self._hidden_name), os.fstat(self._hidden.fd))
        except OSError:
            self._rescued = False
        if not self._rescued:
            return ""
        try:
            os.link(self._hidden_name, self._target)  # fails if another file has the name by now
            self._hidden_name.unlink()
        except OSError:
            return str(self._hidden_name)
        return self.name

    def finish(self, tail: bytes | None) -> None:
        """Show everything and remove the hidden copy; see `Growing`."""
        finished, self._finished = self._finished, True
        if finished:
            return
        try:
            if tail is not None:
                self.show(tail)
        finally:
            self._close()

    def discard(self) -> None:
        """Remove both copies; see `Growing`."""
        if self._finished:
            return
        self._finished = True
        with suppress(OSError, OutputError):  # another program's file by now
            self._check()
            self._target.unlink()
        self._close()

    def _check(self) -> None:
        try:
            found = os.stat(self._target)
        except OSError:
            raise OutputLostError(self.name, "was removed or renamed") from None
        if not os.path.samestat(found, os.fstat(self._visible.fd)):
            raise OutputLostError(self.name, "was replaced by another file")

    def _swap(self) -> None:
        self._check()  # never overwrite a file that another program has put there
        try:
            os.link(self._target, self._free_name)
        except OSError as error:
            if error.errno in _FAILED:
                raise
            # No hard links here: the hidden copy, which has everything, is the only one from now on.
            self._links = False
            os.replace(self._hidden_name, self._target)
            os.close(self._visible.fd)
            self._visible = self._hidden
            return
        os.replace(self._hidden_name, self._target)
        self._hidden_name, self._free_name = self._free_name, self._hidden_name
        self._visible, self._hidden = self._hidden, self._visible

    def _close(self) -> None:
        try:
            if not self._rescued:
                self._remove_hidden()
        except OSError:
            pass  # a folder that is read-only by now: the visible copy is complete
        finally:
            for fd in {self._visible.fd, self._hidden.fd}:
                os.close(fd)

    def _remove_hidden(self) -> None:
        for name in (self._hidden_name, self._free_name):
            name.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(self.name, error.strerror or str(error))


def _hidden_names(target: Path) -> tuple[Path, Path]:
    """Return the two names that the hidden copy takes in turn."""
    return target.with_name(f".{target.name}.1"), target.with_name(f".{target.name}.2")


def may_grow(path: str) -> bool:
    """True if a hidden copy exists: a process is writing the file, or was killed while it did."""
    return any(name.exists() for name in _hidden_names(Path(os.path.realpath(path))))


def open_growing(path: Path, *, force: bool, file_mode: int) -> Growing:
    """Create the file. Raises `OutputExistsError`, `OutputBusyError` or `OutputError`."""
    file = open_output(path, force=force, file_mode=file_mode, readable=True)
    return DoubleBufferedFile(file, path, file_mode=file_mode) if path.is_file() else TailStream(file)
