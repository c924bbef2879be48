"""The folder `.bodies` next to a log: each body in a file that is named by its hash, complete or not there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Final

from mockrec.formats.parquet.paths import is_uri
from mockrec.formats.schema.body import FILE_NAME
from mockrec.formats.schema.errors import FormatError, OutputError, OutputLostError

INLINE_BYTES: Final = 256 * 1024
"""Bodies of more bytes are written to files of their own."""
_TEMPORARY = ".new-"


def has_folder(output: str) -> bool:
    """Return whether an output can have a folder of bodies: stdout, devices, pipes and objects of a store cannot."""
    return output != "-" and not is_uri(output) and (not os.path.exists(output) or os.path.isfile(output))


class BodyFiles:
    """The folders of bodies of a run's outputs. Each is made with its first body."""

    def __init__(
        self, outputs: Iterable[str], file_mode: int = 0o600, failed: Callable[[FormatError], None] | None = None
    ) -> None:
        """`outputs` are the paths of the logs. `failed` is called when a body cannot be written, which ends the run."""
        # Absolute: a user's function may change the working directory.
        self.folders = [Path(f"{path}.bodies").absolute() for path in outputs]
        self._mode = file_mode
        self._failed = failed
        self._numbers = count()
        self._broken = False
        self._made: dict[Path, os.stat_result] = {}
        """The folders that were made, as they were then."""

    def check(self) -> None:
        """Raise `OutputLostError` if a folder with bodies was removed or renamed. May be called in another thread."""
        for folder, made in list(self._made.items()):
            try:
                there = os.path.samestat(os.stat(folder), made)
            except OSError:
                there = False
            if not there:
                raise OutputLostError(str(folder), "was removed or renamed")

    def clear(self) -> None:
        """Remove the bodies of an earlier session with the same outputs. Raises OutputError."""
        for folder in self.folders:
            try:
                for path in list(folder.glob("*")):
                    if path.name.startswith(_TEMPORARY):
                        path.unlink()
                    elif path.is_dir() and not path.is_symlink() and len(path.name) == 2:
                        _remove_bodies(path)
            except OSError as error:
                raise OutputError(str(folder), error.strerror or str(error)) from None

    def sweep(self, pid: int) -> None:
        """Remove the unfinished files of a process that has ended."""
        for folder in self.folders:
            for path in folder.glob(f"{_TEMPORARY}{pid}-*"):
                with suppress(OSError):  # it does no harm: no log refers to it
                    path.unlink()

    def sweep_dead(self) -> None:
        """Remove the unfinished files of all processes that have ended."""
        pids = {path.name.split("-")[1] for folder in self.folders for path in folder.glob(f"{_TEMPORARY}*-*")}
        for pid in pids:
            if pid.isdecimal() and not _is_running(int(pid)):
                self.sweep(int(pid))

    def open(self) -> BodyFile | None:
        """Return a new file; None if bodies cannot be written, or no longer."""
        if self._broken:
            return None
        folder = self.folders[0]
        path = folder / f"{_TEMPORARY}{os.getpid()}-{next(self._numbers)}"
        try:
            self._make(folder)
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), self._mode)
        except OSError as error:
            self.fail(path, error)
            return None
        return BodyFile(self, path, fd)

    def put(self, data: bytes) -> str | None:
        """Write a whole body. Return its hash, None if it cannot be written."""
        file = self.open()
        if file is None:
            return None
        file.write(data)
        return file.finish()

    def name(self, path: Path, sha256: str) -> None:
        """Give a complete file its name, in every folder. Raises OSError."""
        name = f"{sha256[:2]}/{sha256}"
        for folder in self.folders[1:]:
            self._make(folder)
            target = folder / name
            if not target.exists():
                self._make(target.parent)
                new = folder / path.name
                try:
                    os.link(path, new)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(path, new)
                    new.chmod(self._mode)
                new.replace(target)
        target = self.folders[0] / name
        if target.exists():
            path.unlink()
            return
        self._make(target.parent)
        path.replace(target)

    def fail(self, path: Path, error: OSError) -> None:
        """A body cannot be written: call `failed`, once, and open no more files."""
        if not self._broken:
            self._broken = True
            if self._failed is not None:
                self._failed(OutputError(str(path), error.strerror or str(error)))

    def _make(self, folder: Path) -> None:
        """Make a folder, once: if it is removed, it is not made again. Users who may read the files may enter it."""
        if folder in self._made:
            return
        mode = self._mode | (self._mode & 0o444) >> 2
        try:
            folder.mkdir(mode=mode)
        except FileExistsError:
            pass
        else:
            folder.chmod(mode)
        if folder in self.folders:
            self._made[folder] = os.stat(folder)


class BodyFile:
    """A body that is being written into the folder."""

    __slots__ = ("_fd", "_files", "_hash", "_path", "size")

    def __init__(self, files: BodyFiles, path: Path, fd: int) -> None:
        self._files = files
        self._path = path
        self._fd = fd
        self._hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Write the next bytes."""
        if self._fd < 0:
            return
        self._hash.update(data)
        self.size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            self.abandon()
            self._files.fail(self._path, error)

    def finish(self) -> str | None:
        """Close the complete file. Return its hash, by which it is named now; None if it could not be written."""
        if self._fd < 0:
            return None
        fd, self._fd = self._fd, -1
        sha256 = self._hash.hexdigest()
        try:
            os.close(fd)
            self._files.name(self._path, sha256)
        except OSError as error:
            self._files.fail(self._path, error)
            return None
        return sha256

    def abandon(self) -> None:
        """Remove the file: the body is not recorded."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            try:
                os.close(fd)
                self._path.unlink()
            except OSError:
                pass  # it does no harm: no log refers to it

    def __del__(self) -> None:
        self.abandon()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # it belongs to another user, or is no process id
    return True


def _remove_bodies(folder: Path) -> None:
    """Remove the bodies in a folder, that is, the files with the names of bodies."""
    for path in list(folder.iterdir()):
        if FILE_NAME.fullmatch(f"{folder.name}/{path.name}"):
            path.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()
