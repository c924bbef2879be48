"""A file that is whole at every moment, although it grows: two copies, of which the visible one is never written to.

What is new is appended to the hidden copy, which then takes the visible name by a rename; the other one, which lacks
only the last step, is hidden from then on and catches up first. Writing over the end of one file is not enough: a kill
stops that between two pages, and 70 of 200 files were invalid afterwards. Where there are no hard links, it is done all
the same.
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
"""Why a link cannot be made that have nothing to do with whether there are links here."""


class Growing(Protocol):
    """A file that has a changing tail behind what was appended. Methods raise `OutputError`."""

    name: str
    locked: bool
    """False where there are no locks."""

    def grow(self, data: bytes) -> None:
        """Append; nobody needs to see it yet."""

    def show(self, tail: bytes) -> None:
        """Let everything be seen, with this tail behind it."""

    def check(self, now: float) -> None:
        """Raises `OutputLostError` when what is visible is not ours any more: `now` in monotonic milliseconds."""

    def rescue(self, tail: bytes) -> str:
        """Keep what is lost to the eye, with this tail: under its own name if that is free. Where it is, or nothing."""

    def finish(self, tail: bytes | None) -> None:
        """The same for the last time (None: leave it as it is), and close. May be called twice."""

    def discard(self) -> None:
        """Close, and remove the file; raises nothing. `finish` does nothing then."""


class TailStream:
    """A device or a pipe: it takes the tail only at the end."""

    def __init__(self, file: OutFile) -> None:
        self.name = file.name
        self.locked = file.locked
        self._file = file
        self._finished = False

    def grow(self, data: bytes) -> None:
        """Write it; see `Growing`."""
        self._file.write(data, lines=False)

    def show(self, tail: bytes) -> None:
        """What is written cannot be taken back: not yet."""

    def check(self, now: float) -> None:
        """See `Growing`."""
        self._file.check(now)

    def rescue(self, tail: bytes) -> str:
        """There is no second copy."""
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
        """What has been written cannot be taken back."""
        self._finished = True
        self._file.discard()


class _Copy:
    """One of the two copies."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.end = 0
        """Where its tail begins: everything before that stays."""

    def append(self, data: bytes) -> None:
        self._put(data)
        self.end += len(data)

    def catch_up(self, other: _Copy) -> None:
        """Append what the other copy has more."""
        while self.end < other.end:
            piece = os.pread(other.fd, min(_PIECE, other.end - self.end), self.end)
            if not piece:
                raise OSError("the file was cut by somebody else")
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
    """A regular file as `Growing`. When a method fails, what is visible is still whole."""

    def __init__(self, file: OutFile, path: Path, *, file_mode: int) -> None:
        """`file` is open under this name, empty, to be read and written; it is ours from now on."""
        self.name = str(path)
        self.locked = file.locked
        # Beside the file itself, because a rename does not cross file systems; and a link to it stays a link.
        self._target = Path(os.path.realpath(path))
        self._hidden_name, self._free_name = _hidden_names(self._target)
        self._finished = False
        self._links = True
        self._rescued = False
        self._check_at = 0.0
        self._visible = _Copy(file.detach())
        try:
            self._remove_hidden()  # of a run that was killed
            self._hidden = _Copy(os.open(self._hidden_name, _OPEN | os.O_CREAT | os.O_EXCL, file_mode))
        except OSError as error:
            os.close(self._visible.fd)
            raise self._failed(error) from None
        try:
            locks.lock(self._hidden.fd)  # it will be the visible one: whoever opens that finds it locked
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
        """Look whether what has the visible name is ours; see `Growing`."""
        if now >= self._check_at and not self._finished:
            self._check_at = now + CHECK_MS
            self._check()

    def rescue(self, tail: bytes) -> str:
        """Complete the hidden copy, which nobody has removed; see `Growing`."""
        try:
            self._hidden.catch_up(self._visible)
            self._hidden.put_tail(tail)
            self._rescued = os.path.samestat(os.stat(self._hidden_name), os.fstat(self._hidden.fd))
        except OSError:
            self._rescued = False
        if not self._rescued:
            return ""
        try:
            os.link(self._hidden_name, self._target)  # fails if there is another file by now
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
        with suppress(OSError, OutputError):  # it is somebody else's by now
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
        self._check()  # what was put there by somebody else is not ours to overwrite
        try:
            os.link(self._target, self._free_name)
        except OSError as error:
            if error.errno in _FAILED:
                raise
            # No hard links here: the copy that has everything is the only one from now on.
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
            pass  # a folder that may not be written any more: what is visible is whole
        finally:
            for fd in {self._visible.fd, self._hidden.fd}:
                os.close(fd)

    def _remove_hidden(self) -> None:
        for name in (self._hidden_name, self._free_name):
            name.unlink(missing_ok=True)

    def _failed(self, error: OSError) -> OutputError:
        return OutputError(self.name, error.strerror or str(error))


def _hidden_names(target: Path) -> tuple[Path, Path]:
    """What the hidden copy may be called."""
    return target.with_name(f".{target.name}.1"), target.with_name(f".{target.name}.2")


def may_grow(path: str) -> bool:
    """Whether there is a hidden copy: somebody writes it, or was killed."""
    return any(name.exists() for name in _hidden_names(Path(os.path.realpath(path))))


def open_growing(path: Path, *, force: bool, file_mode: int) -> Growing:
    """Create the file. Raises `OutputExistsError`, `OutputBusyError` or `OutputError`."""
    file = open_output(path, force=force, file_mode=file_mode, readable=True)
    return DoubleBufferedFile(file, path, file_mode=file_mode) if path.is_file() else TailStream(file)
